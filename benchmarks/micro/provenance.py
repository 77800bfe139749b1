"""Origin of a file of times: the command, the commit, the machine, the versions."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any


def provenance(module: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Origin kept with every time; without it an outdated table looks like a new one.

    Returns:
        `command`, `commit` (None outside a repository), `dirty` (files differ from the commit),
        `machine`, `load` and `versions`.
    """
    from benchmarks.system import machine

    commit, dirty = machine.commit()
    return {
        "command": shlex.join(["python", "-m", module, *arguments]),
        "commit": commit,
        "dirty": dirty,
        "machine": machine.describe(),
        "load": machine.load(),
        "versions": machine.versions(),
    }
