"""The limits as text: each library's best at its best size, with the spread."""

from __future__ import annotations

from benchmarks.limits.found import COPY, Limits


def table(limits: Limits) -> str:
    """A line for each precision and library, the best of each marked; then who is missing."""
    lines = []
    for what in dict.fromkeys(sample.what for sample in limits.samples):
        best = limits.best(what)
        unit = "GB/s" if what == COPY else "GFLOP/s"
        for sample in limits.best_by_library(what):
            low, high = (rate / 1e9 for rate in sample.spread)
            size = f"{sample.size / 2**20:.0f} MiB" if what == COPY else f"{sample.size}"
            mark = "  <- limit" if sample is best else ""
            lines.append(
                f"{what:9} {sample.library:11} {sample.rate / 1e9:10,.1f} {unit:8}"
                f"({low:,.1f} to {high:,.1f}, {len(sample.seconds)} samples, at {size}){mark}"
            )
    lines += [f"{library}: {reason}" for library, reason in limits.missing.items()]
    return "\n".join(lines)
