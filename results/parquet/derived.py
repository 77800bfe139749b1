"""The columns computed on reading, each from stored columns: what it needs and its formula."""

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from results.parquet.arrow import floats, integers, one_array
from results.parquet.record import EPOCHS

EPOCH_SECONDS = f"{EPOCHS}.list.element.epoch_seconds"
PHASES = ("import", "stage", "build", "compile", "train", "evaluate", "self_check")

Values = npt.NDArray[np.float64]


class Derived:
    """Derived columns of one table, each computed once.

    Args:
        table: with the columns that `needs` names for those to be asked for.
    """

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._found: dict[str, Values] = {}

    def __getitem__(self, name: str) -> Values:
        """A column, stored or derived, (n,) float64, NaN where it is null."""
        if name not in self._found:
            if name in _FORMULAS:
                with np.errstate(all="ignore"):  # a stored number may be anything
                    self._found[name] = _FORMULAS[name][1](self)
            else:
                self._found[name] = floats(self._table[name])
        return self._found[name]

    @property
    def epochs(self) -> pa.ChunkedArray:
        """The lists of epoch rows."""
        return self._table[EPOCHS]


def needs(names: Iterable[str]) -> list[str]:
    """The file columns that these derived columns are made from, each once."""
    found: dict[str, None] = {}
    for name in names:
        for source in _FORMULAS[name][0]:
            found |= dict.fromkeys(needs([source])) if source in _FORMULAS else {source: None}
    return list(found)


def median_and_count(lists: pa.ChunkedArray) -> tuple[Values, Values]:
    """Median and number of the timed epochs of each run, both (n,) float64.

    The median is NaN where a run has no timed epoch; one sort for all runs.
    """
    medians, counts = np.full(len(lists), np.nan), np.zeros(len(lists))
    if len(lists) == 0:
        return medians, counts
    array = one_array(lists)
    parent = integers(pc.list_parent_indices(array))
    rows = pc.list_flatten(array)
    seconds = floats(pc.struct_field(rows, "epoch_seconds"))
    timed = ~np.isnan(seconds)
    parent, seconds = parent[timed], seconds[timed]
    order = np.lexsort((seconds, parent))
    parent, seconds = parent[order], seconds[order]
    which, first, count = np.unique(parent, return_index=True, return_counts=True)
    lower, upper = first + (count - 1) // 2, first + count // 2
    medians[which] = (seconds[lower] + seconds[upper]) / 2
    counts[which] = count
    return medians, counts


def _own_seconds(of: Derived) -> Values:
    """A phase that a run did not come to is none of its own time; without any, nothing is known."""
    phases = [of[f"{phase}_seconds"] for phase in PHASES]
    known = of["wall_seconds"] - sum(np.nan_to_num(seconds) for seconds in phases)
    return np.where(np.isnan(phases[0]), np.nan, known)


def _images_per_joule(of: Derived) -> Values:
    _, count = median_and_count(of.epochs)
    return of["train_images"] * count / of["train_joules"]


_FORMULAS: dict[str, tuple[tuple[str, ...], Callable[[Derived], Values]]] = {
    "epoch_seconds_median": ((EPOCH_SECONDS,), lambda of: median_and_count(of.epochs)[0]),
    "images_per_second": (
        ("train_images", "epoch_seconds_median"),
        lambda of: of["train_images"] / of["epoch_seconds_median"],
    ),
    "images_per_second_per_replica": (
        ("images_per_second", "replicas"),
        lambda of: of["images_per_second"] / np.fmax(of["replicas"], 1.0),  # null: one
    ),
    "achieved_flops": (
        ("images_per_second", "flops_per_image"),
        lambda of: of["images_per_second"] * of["flops_per_image"],
    ),
    "peak_share": (
        ("achieved_flops", "peak_flops_per_second"),
        lambda of: of["achieved_flops"] / of["peak_flops_per_second"],
    ),
    "roofline_share": (
        ("images_per_second", "roofline_seconds", "batch_size"),
        lambda of: of["images_per_second"] * of["roofline_seconds"] / of["batch_size"],
    ),
    "images_per_joule": (("train_images", "train_joules", EPOCH_SECONDS), _images_per_joule),
    "own_seconds": (
        ("wall_seconds", *(f"{phase}_seconds" for phase in PHASES)),
        _own_seconds,
    ),
    "own_share": (("own_seconds",), lambda of: of["own_seconds"] / of["wall_seconds"]),
}
