"""Cells that may be set side by side: framework, tuning, precision and batch size of one network.

A bench holds the cells of one network on one view of the data and one machine. Within it every
number names its tuning and precision, and ratios are taken of two cells that differ in one thing.
"""

from collections.abc import Collection, Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import nan
from statistics import median
from typing import Any, get_args

import pandas as pd

from results import words
from results.stats.comparison import Comparison, compare, log_ratios
from results.stats.intervals import ENOUGH, Interval
from results.stats.noise import noise_floor
from results.task import as_text
from results.views.columns import json_object
from results.views.estimates import epoch_time
from results.views.looks import Look, ordered
from results.views.views import Frames, Panel, View
from results.vocabulary import Precision, Tuning

# What the cells of a bench may differ in besides their framework.
_OF_CELLS = ("tuning", "precision", "recipe.batch_size")


@dataclass(frozen=True)
class Cell:
    """The finished runs of one framework, tuning, precision and batch size, a process each.

    control: the second runs of an A/A pair. refusal: why frameworks must not be compared here.
    """

    framework: str
    tuning: str
    precision: str
    batch_size: int
    look: Look
    runs: pd.DataFrame
    control: pd.DataFrame
    epochs: pd.DataFrame
    refusal: str

    @property
    def settings(self) -> tuple[str, str, int]:
        """Tuning, precision and batch size."""
        return self.tuning, self.precision, self.batch_size

    @cached_property
    def seconds(self) -> dict[Hashable, float]:
        """Median epoch seconds of each process, by block: session, node, seed and repeat."""
        return _by_block(self.runs)

    @cached_property
    def seconds_by_node(self) -> dict[str, list[float]]:
        """Median epoch seconds of each process by its node, where that is recorded."""
        if "node" not in self.runs:
            return {}
        known = self.runs[["node", "epoch_seconds_median"]].dropna(subset=["node"])
        known = known.sort_values("node")
        return {
            str(node): runs["epoch_seconds_median"].astype("float64").tolist()
            for node, runs in known.groupby("node", sort=False)
        }

    @cached_property
    def control_seconds(self) -> dict[Hashable, float]:
        """Median epoch seconds of the second runs of an A/A pair, by block."""
        return _by_block(self.control)

    @cached_property
    def noise(self) -> list[float]:
        """Log ratio of each block's A/A pair."""
        return log_ratios(self.control_seconds, self.seconds).tolist()

    @property
    def images(self) -> float:
        """Images of an epoch."""
        return float(self.runs["train_images"].median())

    @cached_property
    def epoch_seconds(self) -> Interval:
        """Median of the processes' medians with its interval or range."""
        return epoch_time(self.runs, self.epochs)

    @property
    def images_per_second(self) -> Interval:
        """Images per second, by `epoch_seconds`."""
        return self.epoch_seconds.through(lambda seconds: self.images / seconds)

    def median(self, column: str) -> float:
        """Median over the processes; NaN where it was not measured."""
        return float(self.runs[column].astype("float64").median())

    @property
    def parity_checked(self) -> bool | None:
        """Every run's configuration passed the parity check; False if one did not, None unknown."""
        found = set(self.runs["parity_checked"].astype(object))
        if False in found:
            return False
        return True if found == {True} else None

    @cached_property
    def failures(self) -> str:
        """Failures of the parity check, in words; empty if there are none."""
        found: dict[str, None] = {}
        for extra in self._extras:
            found |= dict.fromkeys(extra.get("parity_failures") or ())
        return "; ".join(found)

    @cached_property
    def fallbacks(self) -> list[str]:
        """Features that a tuned backend lacked (torch.compile, a CUDA graph), with the reason."""
        told = [
            str(value)
            for extra in self._extras
            for value in (extra.get("settings") or {}).values()
            if "failed:" in str(value) or "no CUDA graph" in str(value)
        ]
        return list(dict.fromkeys(told))

    @cached_property
    def host_wait_share(self) -> float:
        """Share of the training time that the host waited for the feed's next chunk.

        Median over the processes. NaN if it was not counted (idiomatic without drawn pictures, or
        resumed).
        """
        shares = [
            extra["host_wait_seconds"] / seconds
            for extra, seconds in zip(self._extras, self.runs["train_seconds"], strict=False)
            if extra.get("host_wait_seconds") is not None and seconds > 0
        ]
        return median(shares) if shares else nan

    @cached_property
    def throttled(self) -> list[str]:
        """Why the GPU was slowed down at the end of a run's training; empty if it was not."""
        found: dict[str, None] = {}
        for extra in self._extras:
            after = (extra.get("gpu") or {}).get("after") or {}
            found |= dict.fromkeys(after.get("throttling") or ())
        return list(found)

    @property
    def _extras(self) -> list[dict[str, Any]]:
        if "extra" not in self.runs:
            return []
        return [json_object(value) for value in self.runs["extra"]]

    @property
    def barred(self) -> str:
        """Why no verdict on this cell's speed may be given; empty when it may."""
        name = f"{self.look.name}, {self.tuning}"
        if self.refusal:
            return self.refusal
        if self.parity_checked is False:
            return f"{name} did not pass the parity check"
        return "" if self.parity_checked else f"parity of {name} was not checked"

    @property
    def parity_words(self) -> str:
        """Text of a table's parity column."""
        return {True: "passed", False: "FAILED", None: "not checked"}[self.parity_checked]


@dataclass(frozen=True)
class Bench:
    """The cells of one network that may be set side by side, each saying what it is.

    replicas: data-parallel replicas of every run. others: key of the benches that are alike but for
    their number.
    """

    name: str
    view: View
    replicas: int
    others: tuple[str, ...]
    cells: tuple[Cell, ...]

    @property
    def conditions(self) -> str:
        """Conditions common to all cells, in words."""
        return f"Data: {self.view.data}; {self.view.first['parity']} parity; {self.view.machine}"

    @cached_property
    def noise_floor(self) -> float:
        """Noise floor of all A/A pairs together; infinite without any."""
        return noise_floor([one for cell in self.controlled for one in cell.noise], equal=True)

    def floor_of(self, one: Cell, other: Cell) -> float:
        """The noise floor of a comparison: the larger of the two cells' own.

        One with fewer than 6 A/A blocks, too few for an interval, has that of all pairs together.
        """
        own = [
            noise_floor(cell.noise, equal=True) if len(cell.noise) >= ENOUGH else self.noise_floor
            for cell in (one, other)
        ]
        return max(own)

    @property
    def controlled(self) -> list[Cell]:
        """The cells that were run as an A/A pair."""
        return [cell for cell in self.cells if cell.control_seconds]

    @property
    def batch_sizes(self) -> list[int]:
        """Every batch size, smallest first."""
        return sorted({cell.batch_size for cell in self.cells})

    @property
    def telling(self) -> bool:
        """True with several repeats, settings or nodes, or with a known peak of the processor."""
        several = any(len(set(cell.runs["repeat"].dropna())) > 1 for cell in self.cells)
        settings = {cell.settings for cell in self.cells}
        limited = any(cell.median("peak_share") > 0 for cell in self.cells)
        nodes = any(len(cell.seconds_by_node) > 1 for cell in self.cells)
        return several or len(settings) > 1 or limited or nodes

    def comparisons(self) -> Iterator[tuple[Cell, Cell, Comparison]]:
        """Pairs of frameworks in equal settings, then tuned against idiomatic in each framework."""
        for one, other in combinations(self.cells, 2):
            if one.settings == other.settings:
                yield one, other, self.compared(one, other)
        for one, other in combinations(self.cells, 2):
            alike = (one.framework, *one.settings[1:]) == (other.framework, *other.settings[1:])
            if alike and one.tuning != other.tuning:
                tuned, plain = (one, other) if one.tuning == "tuned" else (other, one)
                yield tuned, plain, self.compared(tuned, plain)

    def compared(self, one: Cell, other: Cell) -> Comparison:
        """Epoch seconds of one cell over those of another, and what may be said of it."""
        barred = one.barred or other.barred
        floor = self.floor_of(one, other)
        return compare(one.seconds, other.seconds, floor=floor, barred=barred)


def benches(frames: Frames, asked: Collection[Panel] | None = None) -> list[Bench]:
    """Every bench with finished runs, in the order of the views; or those alone that the panels
    asked for have a cell in."""
    keys = None if asked is None else {_key(panel) for panel in asked}
    found: dict[tuple, dict[tuple, Cell]] = {}
    named: dict[tuple, tuple[str, View, int, tuple[str, ...]]] = {}
    for view in frames.finished_views:
        for panel in view.panels:
            key = _key(panel)
            if keys is not None and key not in keys:
                continue
            mine = [
                cell
                for name in panel.frameworks
                if (cell := _cell(frames, view, panel, name)) is not None
            ]
            if not mine:
                continue
            taken = {(cell.framework, *cell.settings) for cell in mine} & found.get(key, {}).keys()
            if taken:  # the same but for what no column tells: of its own
                key = (*key, panel.name)
            count = int(panel.settings.get("replicas", 1))
            network = str(panel.ok["architecture"].iloc[0])
            network += f", {words.count(count, 'replica')}" if count > 1 else ""
            name = panel.name if taken else network
            named.setdefault(key, (name, view, count, _key(panel, "replicas")))
            for cell in mine:
                found.setdefault(key, {})[(cell.framework, *cell.settings)] = cell
    return [Bench(*named[key], _sorted(cells.values())) for key, cells in found.items()]


def _key(panel: Panel, *but: str) -> tuple[str, ...]:
    return (str(panel.runs["machine_id"].iloc[0]), as_text(panel.settings, but=(*_OF_CELLS, *but)))


def _cell(frames: Frames, view: View, panel: Panel, framework: str) -> Cell | None:
    """The framework's cell of a panel; None where nothing was timed or it is not known of what."""
    runs = panel.of(framework)
    known = runs[["batch_size", "train_images", "epoch_seconds_median"]].notna().all(axis=1)
    runs = runs if known.all() else runs[known]
    if runs.empty:
        return None
    run = runs[["machine_id", "tuning", "precision", "batch_size"]].iloc[0]
    controls = frames.controls
    if not controls.empty:
        mine = controls["cell_id"].isin(set(runs["cell_id"])) & (controls["status"] == "ok")
        controls = controls[mine & (controls["machine_id"] == run["machine_id"])]
        controls = controls.dropna(subset=["epoch_seconds_median"])
    ids = {*runs["execution_id"]}
    return Cell(
        framework=framework,
        tuning=str(run["tuning"]),
        precision=str(run["precision"]),
        batch_size=int(run["batch_size"]),
        look=view.looks[framework],
        runs=runs,
        control=controls,
        epochs=frames.epochs
        if frames.epochs.empty
        else frames.epochs[frames.epochs["execution_id"].isin(ids)],
        refusal=panel.refusal,
    )


def _by_block(runs: pd.DataFrame) -> dict[Hashable, float]:
    if runs.empty:
        return {}
    columns = ["session_id", "node", "block", "seed", "repeat"]
    blocks = runs.reindex(columns=columns).astype("str").itertuples(index=False, name=None)
    return dict(zip(blocks, runs["epoch_seconds_median"].astype("float64"), strict=True))


def _sorted(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    """Cells by batch size and precision, then framework, idiomatic before tuned."""
    cells = list(cells)
    frameworks = ordered(cell.framework for cell in cells)

    def place(known: tuple[str, ...], name: str) -> int:
        return known.index(name) if name in known else len(known)

    def order(cell: Cell) -> tuple:
        precision = place(get_args(Precision), cell.precision)
        framework = frameworks.index(cell.framework)
        return cell.batch_size, precision, framework, place(get_args(Tuning), cell.tuning)

    return tuple(sorted(cells, key=order))
