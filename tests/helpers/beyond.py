"""`python -m tests.helpers.beyond`: rates where the statistics' assumptions do not hold.

The gate under delays of sessions that are rare and long, and under a noise that grows; `equal`
under differences that hang together or are very skewed; the interval of a median of processes that
wander. `benchmarks.track selftest --noise all` has the noises whose goals are met.
"""

from __future__ import annotations

import numpy as np

from benchmarks.tracking.selftest import noises
from benchmarks.tracking.selftest.noises import NOISES, SPREAD, Values
from results.stats.equivalence import equivalence
from results.stats.intervals import median
from results.stats.vocabulary import EQUAL, REGRESSED

_GATES, _PAIRS = 1500, 400
_WANDERS = ("autoregressive, 0.5", "random walk, 1 %")


def _late(count: int, random: np.random.Generator) -> Values:
    late = random.random(count) < 0.1
    return random.normal(0, 0.01, count) + late * random.exponential(0.3, count)


def _growing(count: int, random: np.random.Generator) -> Values:
    return random.normal(0, 1, count) * np.linspace(0.005, 0.04, count)


def _together(count: int, random: np.random.Generator) -> Values:
    return NOISES["autoregressive, 0.5"](count, random) / SPREAD


def _log_normal(count: int, random: np.random.Generator) -> Values:
    return (random.lognormal(0, 1, count) - np.exp(0.5)) / 2.16


def main() -> None:
    """Print a line for each rate."""
    for name, draw in {"one in ten late": _late, "growing eightfold": _growing}.items():
        share = noises._gate(draw, _GATES, 12, 0.0, REGRESSED) / _GATES
        print(f"gate, 30 sessions kept, {name}: {REGRESSED} {share:.1%} of {_GATES}", flush=True)
    for name, draw in {"autocorrelation 0.5": _together, "log-normal": _log_normal}.items():
        shares = []
        for pairs in (5, 8, 15, 30):
            random, margin = np.random.default_rng(pairs), 5 / np.sqrt(pairs)
            drawn = [draw(pairs, random) + margin for _ in range(_PAIRS)]
            said = sum(equivalence(one, margin).verdict == EQUAL for one in drawn)
            shares.append(f"{said / _PAIRS:.1%}")
        print(f"{EQUAL} at the margin, {name}, 5, 8, 15, 30 pairs: {', '.join(shares)}", flush=True)
    for name in _WANDERS:
        shares = []
        for count in (6, 10, 15, 30):
            random = np.random.default_rng(count)
            found = [median(NOISES[name](count, random)) for _ in range(_PAIRS)]
            missed = sum(not one.low <= 0 <= one.high for one in found)
            shares.append(f"{missed / _PAIRS:.1%}")
        print(f"median's interval misses, {name}, 6, 10, 15, 30 processes: {', '.join(shares)}")


if __name__ == "__main__":
    main()
