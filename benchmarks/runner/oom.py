"""Out of memory: what was asked for, and the largest batch that is known to fit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from benchmarks.config.plan import PlannedRun
from frameworks.spec.roofline import ITEM_BYTES, slots
from results.task import OF_STORED, as_text, stored

if TYPE_CHECKING:
    from results.store import Store

# Settings that the memory of a training step does not depend on; all others must be equal for a
# batch size of one run to tell of another's.
_FREE = frozenset(
    {
        *("recipe.batch_size", "recipe.epochs", "recipe.optimizer.learning_rate"),
        *("recipe.class_weights", "warmup_epochs"),
        *("data.dataset", "data.sha256", "data.labels", "data.label_key", "data.image_key"),
        *("data.label_map", "data.twins"),
        *("split.seed", "split.by", "split.test_copies", "split.fold"),
    }
)
_COLUMNS = (*("framework", "machine_id", "status", "batch_size"), *OF_STORED)


def earlier(store: Store, machine_id: str) -> list[dict[str, Any]]:
    """The finished runs of this machine, as far as `largest_that_fits` looks at them."""
    runs = store.runs(columns=_COLUMNS).dropna()
    runs = runs[(runs["status"] == "ok") & (runs["machine_id"] == machine_id)]
    return [
        {str(name): value for name, value in row.items()}
        for row in runs.drop_duplicates().to_dict("records")
    ]


def largest_that_fits(row: dict[str, Any], others: Iterable[dict[str, Any]]) -> int | None:
    """The largest batch of a finished run that takes as much memory as `row` but for its batch.

    Args:
        row: the run that ran out of memory, with the columns of `runs`.
        others: rows of this session and of earlier ones.
    """
    wanted = _key(row)
    sizes = [
        int(other["batch_size"])
        for other in others
        if other["status"] == "ok"
        and other["batch_size"] < row["batch_size"]
        and _key(other) == wanted
    ]
    return max(sizes, default=None)


def _key(row: dict[str, Any]) -> tuple[str, str, str]:
    settings = stored(*(row[name] for name in OF_STORED))
    return str(row["framework"]), str(row["machine_id"]), as_text(settings, but=_FREE)


def estimated_batch(run: PlannedRun, memory_bytes: float) -> int:
    """The largest batch whose values can fit at all; 0 when the weights alone do not.

    Weights, their gradients and what the optimizer keeps, and for each image every layer's output
    and its gradient. Frameworks need room to work in besides, so less than this will fit.
    """
    config, network = run.config, run.network
    item = ITEM_BYTES[config.precision]
    fixed = (2 + slots(config.recipe.optimizer)) * network.parameters() * max(item, 4)
    per_image = 2 * item * sum(cost.output_elements for cost in network.costs)
    return max(0, int((memory_bytes - fixed) // per_image))


def explained(
    run: PlannedRun, row: dict[str, Any], others: Iterable[dict[str, Any]], memory_bytes: float
) -> dict[str, Any]:
    """Columns that say what was asked for and what is known to fit, for a row of status `oom`."""
    config = run.config
    size = "x".join(str(side) for side in config.data.input_shape)
    asked = f"asked for: batch {config.recipe.batch_size} of {size}, {config.precision}"
    fits = largest_that_fits(row, others)
    if fits is None:
        bound = estimated_batch(run, memory_bytes)
        known = (
            "no batch is known to fit here yet; by the sizes of its layers' outputs and gradients "
            f"at most {bound:,} could in {memory_bytes / 2**30:.0f} GiB"
        )
    else:
        known = f"the largest batch known to fit here is {fits}"
        bound = None
    found = {"asked": config.recipe.batch_size, "largest_known": fits, "at_most": bound}
    return {
        "reason": f"{row['reason']} ({asked}; {known})",
        "extra": {**(row.get("extra") or {}), "memory": found},
    }
