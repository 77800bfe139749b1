"""Ratios of the yardstick with their spread, from the seconds of many processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np

from frameworks.spec.architecture import load
from frameworks.spec.defaults import fill_architecture
from frameworks.spec.network import Network
from frameworks.spec.recipe import Adam
from frameworks.spec.roofline import least_seconds
from results.stats.intervals import Interval, median_of_medians
from results.stats.noise import noise_floor

AGAIN = "tuned / the same again"
# quantity: the contestants whose times are divided
SPEEDS = {
    "idiomatic / bare tutorial": ("tutorial", "idiomatic"),
    "idiomatic / untouched fit": ("fit", "idiomatic"),
    "tuned / best bare": ("best", "tuned"),
    "tuned / idiomatic": ("idiomatic", "tuned"),
    AGAIN: ("again", "tuned"),
}
_CELL = ("framework", "architecture", "precision")
# contestant: the quantities that cannot be had without it
NEEDING = {
    "best": ("tuned / best bare", "epoch / bare steps", "best bare achieved / peak"),
    "fit": ("idiomatic / untouched fit",),
    "tutorial": ("idiomatic / bare tutorial",),
    "idiomatic": ("idiomatic / bare tutorial", "tuned / idiomatic"),
    "again": (AGAIN,),
}


@dataclass(frozen=True)
class Ratio:
    """A quantity of one framework, network, precision and batch size: a value a process, and their
    interval."""

    framework: str
    architecture: str
    precision: str
    batch_size: int
    quantity: str
    interval: Interval
    processes: int
    values: tuple[float, ...]

    def row(self) -> dict[str, Any]:
        """Row of a table."""
        return {
            "framework": self.framework,
            "architecture": self.architecture,
            "precision": self.precision,
            "batch_size": self.batch_size,
            "quantity": self.quantity,
            **row(self.interval),
            "processes": self.processes,
            "values": list(self.values),
        }


def row(interval: Interval) -> dict[str, Any]:
    """An interval as part of a row of a table; what it has not is null."""
    numbers = {
        "median": interval.value,
        "low": interval.low,
        "high": interval.high,
        "coverage": interval.coverage,
    }
    given = {name: None if isnan(value) else value for name, value in numbers.items()}
    return given | {"is_range": interval.is_range}


def noise(found: Sequence[Ratio]) -> dict[tuple[str, str, str, int], float]:
    """The noise floor of each framework, network, precision and batch size, a share: by the
    processes' ratios of the tuned backend to itself."""
    return {
        (one.framework, one.architecture, one.precision, one.batch_size): noise_floor(
            np.log(one.values), equal=True
        )
        for one in found
        if one.quantity == AGAIN
    }


def ratios(contests: Sequence[dict[str, Any]]) -> list[Ratio]:
    """Each quantity by framework, network, precision and batch size: the median over blocks of each
    process, and the interval over processes; with one process the range of its blocks.

    Args:
        contests: what `contest.run` gave, one a process.
    """
    best: dict[str, float] = {}
    for (_, precision), (_, peak, _) in peaks(contests).items():
        best[precision] = max(peak, best.get(precision, 0.0))
    bandwidth = max(one["copied_bytes"] / min(one["seconds"]["copy"]) for one in contests)
    groups: dict[tuple[str, str, str, int], list[dict[str, np.ndarray]]] = {}
    for one in contests:
        setting = one["settings"]
        key = (*(setting[name] for name in _CELL), setting["batch_size"])
        groups.setdefault(key, []).append(quantities(one, best[setting["precision"]], bandwidth))
    found = []
    for key, processes in groups.items():
        for quantity in dict.fromkeys(name for process in processes for name in process):
            blocks = [process[quantity] for process in processes if quantity in process]
            values = [float(np.median(block)) for block in blocks]
            interval = median_of_medians(blocks)
            found.append(Ratio(*key, quantity, interval, len(blocks), tuple(values)))
    return found


def peaks(
    contests: Sequence[Mapping[str, Any]],
) -> dict[tuple[str, str], tuple[float, float, float]]:
    """Operations a second of each framework's own matrix product in each precision: lowest, median
    and highest over processes, of the fastest product of each."""
    found: dict[tuple[str, str], list[float]] = {}
    for one in contests:
        rate = one["peak_flops"] / min(one["seconds"]["peak"])
        setting = one["settings"]
        found.setdefault((setting["framework"], setting["precision"]), []).append(rate)
    return {key: (min(rates), float(np.median(rates)), max(rates)) for key, rates in found.items()}


def left_out(contests: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The quantities that a framework cannot have, each with the reason."""
    found = []
    for one in contests:
        for contestant, reason in one["absent"].items():
            for quantity in NEEDING[contestant]:
                row = {
                    "framework": one["settings"]["framework"],
                    "architecture": one["settings"]["architecture"],
                    "quantity": quantity,
                    "reason": reason,
                }
                if row not in found:
                    found.append(row)
    return found


def quantities(one: Mapping[str, Any], peak: float, bandwidth: float) -> dict[str, np.ndarray]:
    """The quantities of one process, block by block; left out where a contestant lacks.

    Ratios of contestants are of speeds: above 1 the first named is the faster. "epoch / steps" is
    one of times: an epoch of the tuned backend over its steps at its own pace. The pace is the
    slope between calls of one step and of several, so that what a call costs beside its steps is
    in the epoch alone. "epoch / bare steps" has the pace of the best bare loop, calls included.
    "achieved / peak" is against the best of the libraries' `peaks`; "roofline share" is the least
    time of the step, layer by layer (`frameworks.spec.roofline`), over the tuned backend's.

    Args:
        one: what `contest.run` gave.
        peak: operations a second.
        bandwidth: bytes read and written a second.
    """
    setting = one["settings"]
    times = {name: np.asarray(values) for name, values in one["seconds"].items()}
    steps, batch = setting["steps"], setting["batch_size"]
    of_epoch = one["epoch_images"] / batch
    flops = one["training_flops"] * batch * steps
    found = {}
    for quantity, (slower, faster) in SPEEDS.items():
        if slower in times and faster in times:
            found[quantity] = times[slower] / times[faster]
    pace = float(np.median(times["tuned"]) - np.median(times["one_step"])) / (steps - 1)
    if pace > 0:  # of a few fast steps it may be lost in the noise
        found["epoch / steps"] = times["epoch"] / (of_epoch * pace)
    if "best" in times:
        found["epoch / bare steps"] = times["epoch"] / (of_epoch * times["best"] / steps)
    found["achieved / peak"] = flops / times["tuned"] / peak
    if "best" in times:
        found["best bare achieved / peak"] = flops / times["best"] / peak
    found["roofline share"] = steps * _least_seconds(setting, peak, bandwidth) / times["tuned"]
    return found


def _least_seconds(setting: Mapping[str, Any], peak: float, bandwidth: float) -> float:
    """Least seconds of a training step of the contest, with Adam, by the roofline."""
    network = Network(
        fill_architecture(load(setting["architecture"])), (setting["size"], setting["size"], 3), 10
    )
    return least_seconds(
        network,
        setting["batch_size"],
        Adam(),
        setting["precision"],
        flops_per_second=peak,
        bytes_per_second=bandwidth,
    )
