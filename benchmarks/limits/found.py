"""Samples of each library's speed, and the best of them."""

from __future__ import annotations

from statistics import median
from typing import Any

import msgspec

COPY = "copy"  # stands where a precision stands for matrix products


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One operation at one size, timed several times after warming up.

    what: a precision, for the product of two square matrices; or "copy".
    size: the matrices' side, or the bytes copied.
    seconds: of one operation, every sample.
    """

    library: str
    what: str
    size: int
    seconds: tuple[float, ...]

    @property
    def amount(self) -> float:
        """Operations of a product, 2 n^3; bytes read and written by a copy."""
        return 2.0 * self.size if self.what == COPY else 2.0 * self.size**3

    @property
    def rate(self) -> float:
        """Operations or bytes per second, by the median of the samples."""
        return self.amount / median(self.seconds)

    @property
    def spread(self) -> tuple[float, float]:
        """Lowest and highest rate of the samples."""
        return self.amount / max(self.seconds), self.amount / min(self.seconds)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """All samples of one device and number of threads; `missing`: why a library has none."""

    device: str
    threads: int
    samples: tuple[Sample, ...] = ()
    missing: dict[str, str] = {}

    def best(self, what: str) -> Sample | None:
        """The sample of highest rate, of any library and size; None if nothing was measured."""
        found = [sample for sample in self.samples if sample.what == what]
        return max(found, key=lambda sample: sample.rate, default=None)

    def best_by_library(self, what: str) -> list[Sample]:
        """Each library's best, in the order measured."""
        found: dict[str, Sample] = {}
        for sample in self.samples:
            if sample.what == what and (
                sample.library not in found or sample.rate > found[sample.library].rate
            ):
                found[sample.library] = sample
        return list(found.values())

    def rates(self) -> dict[str, dict[str, float]]:
        """Operations or bytes per second by what was measured and library, at its best size."""
        return {
            what: {sample.library: sample.rate for sample in self.best_by_library(what)}
            for what in dict.fromkeys(sample.what for sample in self.samples)
        }

    def peak(self, precision: str) -> float | None:
        """Operations per second of matrix products in a precision; None if not measured."""
        best = self.best(precision)
        return None if best is None else best.rate

    @property
    def bandwidth(self) -> float | None:
        """Bytes read and written per second when copying; None if not measured."""
        return self.peak(COPY)

    def summary(self, precision: str) -> dict[str, Any]:
        """Each library's best sample for `precision` and for copying, as a run's row stores it.

        Returns:
            {what: {library: {size, median, range, samples}}}; median and range (lowest, highest)
            in operations per second, of copying in bytes per second.
        """
        return {
            what: {
                sample.library: {
                    "size": sample.size,
                    "median": sample.rate,
                    "range": list(sample.spread),
                    "samples": len(sample.seconds),
                }
                for sample in self.best_by_library(what)
            }
            for what in (precision, COPY)
        }
