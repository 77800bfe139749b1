"""Version of this project: that of an installation's build, else the checkout's."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from results.door.documents import json_file, toml_file
from results.door.refusal import ToldError

ROOT = Path(__file__).resolve().parents[1]
_BUILD = ROOT / "build.json"  # written where an installation was built; a checkout has none


class NewerVersionError(ToldError):
    """A file that a later version of this project wrote; the message names it and the remedy."""


def check_format(found: int, known: int, file: object) -> None:
    """Raise NewerVersionError where the format of a file is later than what this code knows."""
    if found > known:
        raise NewerVersionError(
            f"{file} was written by a newer version of this project (format {found}, known up to "
            f"{known}); update the checkout or the installation"
        )


def version() -> str:
    """The version of this project, as in 0.1.0."""
    if _BUILD.is_file():
        return str(_build()["version"])
    return str(toml_file(ROOT / "pyproject.toml", "the project's settings")["project"]["version"])


def commit() -> tuple[str | None, bool | None]:
    """The commit, and whether tracked files differ from it; None where it is unknown."""
    if _BUILD.is_file():
        return _build()["commit"], _build()["dirty"]
    revision = _git("rev-parse", "--show-prefix", "HEAD")
    if not revision or "\n" in revision:  # a prefix before it: we lie inside another repository
        return None, None
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return revision, None if changes is None else bool(changes)


def _build() -> dict[str, Any]:
    return json_file(_BUILD, dict[str, Any], "what a build writes")


def _git(*arguments: str) -> str | None:
    # --no-optional-locks: looking must not get in the way of someone's commit.
    command = ["git", "--no-optional-locks", "-C", str(ROOT), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
