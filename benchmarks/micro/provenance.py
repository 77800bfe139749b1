"""Where a file of times comes from: the command, the commit, the machine, the versions."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any


def provenance(module: str, arguments: Sequence[str]) -> dict[str, Any]:
    """What is kept with every time: without it a table cannot be told from an outdated one.

    commit is None where the code lies in no repository; dirty: files differ from the commit.
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
