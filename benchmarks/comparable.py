"""Whether runs that are set side by side were given the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def disagreements(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Where runs that should have been given the same were not; empty when all is well.

    Args:
        rows: stored runs of one session, as dictionaries with the columns of `runs`.

    Returns:
        One sentence for each hash that differs between frameworks within a block.
    """
    same = ("architecture", "seed", "repeat", "parity", "precision", "batch_size", "tuning")
    blocks: dict[tuple, list[dict[str, Any]]] = {}
    for row in rows:
        if row["status"] in ("ok", "diverged"):
            blocks.setdefault(tuple(row.get(name) for name in same), []).append(row)
    found = []
    for block in blocks.values():
        matched = block[0]["parity"] == "matched"
        hashes = ["split_hash", "order_hash", *(["weights_hash", "masks_hash"] if matched else [])]
        for column in hashes:
            values = {row.get(column) for row in block}
            if len(values) > 1:
                names = ", ".join(f"{row['framework']} {row.get(column)}" for row in block)
                which = f"{block[0]['architecture']} seed {block[0]['seed']}"
                found.append(f"{which}: {column} differs ({names})")
    return found
