"""Selection of executions: by a baseline's name, a commit, a session, or fields."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.tracking.history import History, Rows, latest_session
from results.door.documents import json_file
from results.parquet.files import whole_file
from results.store import Store
from results.vocabulary import near_miss, unknown
from results.words import count

BASELINES = "baselines"  # directory below the store
LATEST = "latest"
GRAMMAR = (
    "a baseline's name, `latest` (the last session), a commit or session by its first letters, or "
    "FIELD=VALUE[,FIELD=VALUE...]"
)
# Fields of a selection and their columns; the ones in _BY_PREFIX match by their first letters.
FIELDS = {
    "commit": "commit",
    "session": "session_id",
    "machine": "machine_id",
    "cell": "cell_id",
    "framework": "framework",
    "architecture": "architecture",
    "dataset": "dataset",
    "parity": "parity",
    "tuning": "tuning",
    "precision": "precision",
    "device": "device",
    "batch-size": "batch_size",
}
_BY_PREFIX = ("commit", "session", "machine", "cell")
_FEWEST_LETTERS = 4


class _Baseline(msgspec.Struct):
    """A baseline's file, as far as it is read."""

    executions: tuple[str, ...]


def select(history: History, text: str, store: Store) -> Rows:
    """The rows that a selection means (see GRAMMAR), oldest first.

    Raises:
        ValueError: nothing fits, an unknown field, or letters that fit several commits.
    """
    if not len(history):
        raise ValueError(
            f"the results store {store.path} has no runs; run python -m benchmarks.run first, or "
            "name a store with --store"
        )
    if text == LATEST:
        return latest_session(history)
    if "=" in text:
        chosen = np.ones(len(history), dtype=np.bool_)
        for part in text.split(","):
            chosen &= _field(history, *map(str.strip, part.partition("=")[::2]))
        return _some(np.flatnonzero(chosen), text)
    if text in baselines(store):
        return _baseline(history, store, text)
    if len(text) >= _FEWEST_LETTERS and re.fullmatch(r"[0-9a-zA-Z_-]+", text):
        for field in ("commit", "session"):
            found = np.flatnonzero(_field(history, field, text))
            if found.size:
                return found
    raise ValueError(
        f"'{text}' is no baseline, commit or session of {store.path}"
        f"{near_miss(text, [*baselines(store), LATEST])}. Expected {GRAMMAR}."
    )


def baselines(store: Store) -> list[str]:
    """Names of the baselines set in a store."""
    return sorted(path.stem for path in (store.path / BASELINES).glob("*.json"))


def set_baseline(history: History, store: Store, name: str, text: str) -> tuple[Path, int]:
    """Keep a selection under a name: the executions themselves, not the words that chose them.

    Returns:
        The file written and how many finished executions it names.

    Raises:
        ValueError: a name that does not make a file name, or a selection without finished runs.
        StoreError: the store cannot be written.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) or name == LATEST:
        raise ValueError(
            f"baseline name '{name}': at most 100 letters, digits, dots, dashes; not '{LATEST}'"
        )
    rows = select(history, text, store)
    rows = rows[history.ok[rows]]
    _some(rows, f"{text} (finished)")
    path = store.path / BASELINES / f"{name}.json"
    content = {
        "name": name,
        "selection": text,
        "set_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "executions": history.values("execution_id", rows),
    }
    with whole_file(path, store.path) as file:
        file.write(json.dumps(content, indent=1).encode())
    return path, len(rows)


def _baseline(history: History, store: Store, name: str) -> Rows:
    path = store.path / BASELINES / f"{name}.json"
    again = f"set it again with python -m benchmarks.track baseline set {name}"
    wanted = set(json_file(path, _Baseline, "a baseline", again).executions)
    codes, executions = history.codes("execution_id")
    held = np.array([execution in wanted for execution in executions], dtype=np.bool_)
    found = np.flatnonzero(held[codes])
    if not found.size:
        raise ValueError(
            f"none of the {count(len(wanted), 'execution')} of baseline '{name}' is in "
            f"{store.path}; set it again with python -m benchmarks.track baseline set {name}"
        )
    return found


def _field(history: History, field: str, value: str) -> np.ndarray:
    """(n,) mask of the rows that have this value of a field.

    Raises:
        ValueError: no such field, or letters that begin several commits.
    """
    if field not in FIELDS:
        raise ValueError(unknown("field of a selection", field, FIELDS))
    codes, distinct = history.codes(FIELDS[field])
    names = ["" if one is None else str(one) for one in distinct]
    if field in _BY_PREFIX:
        fits = [name.startswith(value) for name in names]
        if field == "commit" and sum(fits) > 1 and value not in names:
            several = ", ".join(name[:12] for name, fit in zip(names, fits, strict=True) if fit)
            raise ValueError(f"'{value}' begins several commits ({several}); give more letters")
    else:
        fits = [name == value for name in names]
    return np.array(fits, dtype=np.bool_)[codes]


def _some(rows: Rows, text: str) -> Rows:
    if not rows.size:
        raise ValueError(f"no run fits '{text}'")
    return rows
