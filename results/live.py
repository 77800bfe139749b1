"""Status of running sessions, in files beside the runs, for `report serve`."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from results import names, writer
from results.door.documents import json_file
from results.door.refusal import FileError

_FOLDER = "live"
QUIET_SECONDS = 120  # a session that has said nothing for so long is called silent


def tell(store: Path, session: str, state: Mapping[str, Any]) -> None:
    """Replace what a session says of itself; a store that cannot be written is left as it is."""
    with contextlib.suppress(OSError):
        path = _path(store, session)
        path.parent.mkdir(parents=True, exist_ok=True)
        writer.write(path, json.dumps(state))


def end(store: Path, session: str) -> None:
    """The session has ended: nothing is left of what it said."""
    with contextlib.suppress(OSError):
        _path(store, session).unlink()


def sessions(store: Path) -> list[dict[str, Any]]:
    """The last state of each running session, the latest first.

    `quiet_seconds` of each is the time since its last report. Unreadable files are left out.
    """
    found = []
    for path in (store / _FOLDER).glob("*.json"):
        try:
            age = time.time() - path.stat().st_mtime
            state = json_file(path, dict, "the state of a session")
        except (OSError, FileError):
            continue
        found.append(state | {"quiet_seconds": round(max(0.0, age), 1)})
    return sorted(found, key=lambda state: state["quiet_seconds"])


def _path(store: Path, session: str) -> Path:
    return names.beneath(store / _FOLDER, session, ending=".json")
