"""A gate on the spot, simulated: two sides in turns, judged at each look until one decides."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from results.stats.looks import Look
from results.stats.verdict import Rule, judge
from results.stats.vocabulary import NO_DATA


def in_turns(times: npt.NDArray[np.float64], slowdown: float) -> npt.NDArray[np.float64]:
    """(2n,) times of processes one after another as (n, 2) pairs of baseline and candidate.

    The order is A B, B A, A B, ...; the candidate is slower by a share.
    """
    pairs = times.reshape(-1, 2).copy()
    pairs[1::2] = pairs[1::2, ::-1]
    pairs[:, 1] *= 1 + slowdown
    return pairs


def judge_at(
    looks: Sequence[Look | None], pairs: npt.NDArray[np.float64], rule: Rule
) -> tuple[str, int]:
    """The first verdict that settles something, or the last, and after how many pairs.

    Args:
        looks: None for one at all pairs, as `gate --all-processes`.
        pairs: (n, 2) of `in_turns`.
    """
    verdict, taken = NO_DATA, len(pairs)
    for look in looks:
        taken = len(pairs) if look is None else look.pairs
        before, after = pairs[:taken].T
        verdict = judge(before, after, rule, paired=True, look=look).verdict
        if verdict != NO_DATA:
            break
    return verdict, taken
