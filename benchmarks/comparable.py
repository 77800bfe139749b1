"""Whether runs that are set side by side were given the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.config.plan import PlannedRun
    from results.store import Store

_SAME = (
    *("experiment", "scale"),  # each has a split of its own
    *("architecture", "seed", "repeat", "parity", "precision", "batch_size", "tuning"),
)
_DATA_HASHES = ("split_hash", "order_hash", "augmentation_hash")
_HASHES = (*_DATA_HASHES, "weights_hash", "masks_hash")


def disagreements(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Where runs that should have been given the same were not; empty when all is well.

    Args:
        rows: stored runs of one matrix, as dictionaries with the columns of `runs`.

    Returns:
        One sentence for each hash that differs between frameworks within a block.
    """
    blocks: dict[tuple, list[dict[str, Any]]] = {}
    for row in rows:
        if row["status"] in ("ok", "diverged"):
            blocks.setdefault(tuple(row.get(name) for name in _SAME), []).append(row)
    found = []
    for block in blocks.values():
        matched = block[0]["parity"] == "matched"
        for column in _HASHES if matched else _DATA_HASHES:
            values = {row.get(column) for row in block}
            if len(values) > 1:
                names = ", ".join(f"{row['framework']} {row.get(column)}" for row in block)
                which = f"{block[0]['architecture']} seed {block[0]['seed']}"
                found.append(f"{which}: {column} differs ({names})")
    return found


def stored(store: Store, runs: Sequence[PlannedRun], machine_id: str) -> list[dict[str, Any]]:
    """The latest stored execution with status ok of each of the runs, on this machine.

    Only its execution_id and the columns that `disagreements` looks at; what is null is None.
    """
    if not runs:
        return []
    columns = ("execution_id", "run_id", "machine_id", "framework", "status", *_SAME, *_HASHES)
    frame = store.runs(columns=columns)
    asked = frame["run_id"].isin({run.run_id for run in runs})
    frame = frame[asked & (frame["status"] == "ok") & (frame["machine_id"] == machine_id)]
    frame = frame.drop_duplicates("run_id", keep="last").astype(object)
    rows = frame.where(frame.notna(), None).to_dict("records")
    return [{str(column): value for column, value in row.items()} for row in rows]
