"""From the seconds of interleaved blocks to the ratios of the yardstick, with their spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.micro.contest import PEAK_SIZE

RESAMPLES = 2000


@dataclass(frozen=True)
class Ratio:
    """The median over blocks, its bootstrap 95 % interval, and the number of blocks."""

    framework: str
    architecture: str
    quantity: str
    median: float
    low: float
    high: float
    blocks: int

    def row(self) -> dict[str, Any]:
        """As a row of a table."""
        return asdict(self)


def median_with_interval(values: Sequence[float], seed: int = 0) -> tuple[float, float, float]:
    """Median and percentile bootstrap 95 % interval (Efron & Tibshirani 1993, chapter 13)."""
    array = np.asarray(values, float)
    generator = np.random.default_rng(seed)
    draws = generator.choice(array, (RESAMPLES, len(array))) if len(array) > 1 else array[None]
    low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
    return float(np.median(array)), float(low), float(high)


def ratios(contests: Sequence[dict[str, Any]]) -> list[Ratio]:
    """Each quantity of every contest, as ratios of speeds block by block: above 1 is faster.

    "epoch / steps" is a ratio of times: an epoch over its steps at the best bare loop's pace;
    "achieved / peak" takes the best matrix product of all contests of the run as the peak.
    """
    peak = max(2 * PEAK_SIZE**3 / min(one["seconds"]["peak"]) for one in contests)
    found = []
    for one in contests:
        setting = one["settings"]
        times = {name: np.asarray(values) for name, values in one["seconds"].items()}
        steps, batch = setting["steps"], setting["batch_size"]
        of_epoch = 2 * steps + (batch // 2) / batch
        flops = one["training_flops"] * batch * steps
        quantities = {
            "idiomatic / bare tutorial": times["tutorial"] / times["idiomatic"],
            "tuned / best bare": times["best"] / times["tuned"],
            "tuned / idiomatic": times["idiomatic"] / times["tuned"],
            "epoch / steps": times["epoch"] / (of_epoch * times["best"] / steps),
            "achieved / peak": flops / times["tuned"] / peak,
            "best bare achieved / peak": flops / times["best"] / peak,
        }
        for quantity, values in quantities.items():
            median, low, high = median_with_interval(values.tolist())
            found.append(
                Ratio(
                    setting["framework"],
                    setting["architecture"],
                    quantity,
                    median,
                    low,
                    high,
                    len(values),
                )
            )
    return found
