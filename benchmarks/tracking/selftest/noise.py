"""Model of the noise in processes' epoch times on a machine: its fit, and draws from it.

The logarithm of a process's median epoch time is the sum of three parts:

- a level that wanders from process to process (drift of the machine);
- the process's own part (its memory layout, its threads' placement);
- now and then a delay by something else that ran.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from results import words

_OUTLYING = 4.0  # robust standard deviations above its neighbours that make a process delayed
_LAGS = 6


@dataclass(frozen=True)
class Noise:
    """Standard deviations of the logarithm, that is shares.

    Attributes:
        between: of processes about the level.
        drift: of the level's step from one process to the next.
        delayed: share of processes that something delayed.
        delay: mean of such a delay (exponential).
    """

    between: float
    drift: float
    delayed: float
    delay: float

    def draw(self, count: int, random: np.random.Generator) -> npt.NDArray[np.float64]:
        """(count,) times of processes one after another, relative to the true one."""
        level = np.cumsum(random.normal(0, self.drift, count))
        own = random.normal(0, self.between, count)
        delays = (random.random(count) < self.delayed) * random.exponential(self.delay, count)
        return np.exp(level + own + delays)


def fit(values: npt.ArrayLike) -> Noise:
    """The noise of one series of processes, by the method of moments on robust spreads.

    Two processes k apart differ by a variance of 2 between^2 + k drift^2: a line in k.

    Args:
        values: (n,) times of processes of one configuration in the order of time; n at least 12.

    Raises:
        ValueError: too few, or a value not above 0.
    """
    times = np.asarray(values, dtype=np.float64)
    if times.size < 2 * _LAGS:
        raise ValueError(
            f"{words.count(times.size, 'process')} are too few to fit a noise model; take at "
            f"least {2 * _LAGS}"
        )
    if not (np.isfinite(times).all() and times.min() > 0):
        raise ValueError("a time is not above 0")
    logs = np.log(times)
    lags = np.arange(1, _LAGS + 1)
    spreads = np.array([_spread(logs[lag:] - logs[:-lag]) ** 2 for lag in lags])
    slope, offset = np.polyfit(lags, spreads, 1, w=np.sqrt(times.size - lags))
    drift = float(np.sqrt(max(slope, 0.0)))
    between = float(np.sqrt(max(offset if slope > 0 else spreads.mean(), 0.0) / 2))
    padded = np.pad(logs, 2, mode="reflect")
    neighbours = np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)
    beyond = logs - neighbours
    late = beyond > _OUTLYING * max(between, drift)
    delay = float(beyond[late].mean()) if late.any() else 0.0
    return Noise(between, drift, float(late.mean()), delay)


def _spread(values: npt.NDArray[np.float64]) -> float:
    return float(1.4826 * np.median(np.abs(values - np.median(values))))
