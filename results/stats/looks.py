"""Looks of a group-sequential comparison: after which pairs, and how surely, it may decide.

A comparison that is looked at several times errs more often than one that is looked at once, unless
every look is surer. For pairs that are independent of each other both errors are bounded by
construction, whatever the distribution of the noise:

- "changed": the looks' p values add up to the whole (Bonferroni). Those before the last take
  `EARLY` each, the last one what is left (Haybittle 1971, British J. Radiology 44, 793; Peto et al.
  1976, British J. Cancer 34, 585).
- "unchanged": the interval of the median by the sign test, as repeated confidence intervals
  (Jennison & Turnbull 1989, JRSS B 51, 305), which hold the median at all looks together with
  `LEVEL`. How often a bound is passed at any look is counted over all paths of the signs (Armitage,
  McPherson & Rowe 1969, JRSS A 132, 235), and a look may have spent as large a share of the error
  as it has of the pairs (Lan & DeMets 1983, Biometrika 70, 659; Kim & DeMets 1987).
"""

from dataclasses import dataclass
from math import ceil, sqrt

from results.stats.intervals import LEVEL
from results.stats.ranks import smallest_p
from results.stats.vocabulary import SURE

EARLY = 0.001  # p value of a look before the last
_OF_TWELVE = (7, 8, 10, 12)  # pairs of twelve after which to look: no fewer can decide
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Look:
    """One look.

    Attributes:
        pairs: number of pairs that it is taken after; planned: number of pairs of the last look.
        alpha: the p value must be below it; 0 where none of so few pairs can be below `EARLY`.
        place: k of the median's interval (x_k, x_(n+1-k)), as `order_statistics` has it.
    """

    pairs: int
    planned: int
    alpha: float
    place: int

    @property
    def last(self) -> bool:
        """True of the look at all pairs."""
        return self.pairs == self.planned

    @property
    def widening(self) -> float:
        """Factor of the interval for "unchanged", as O'Brien & Fleming 1979 widen early looks."""
        return sqrt(self.planned / self.pairs)


def looks(planned: int) -> tuple[Look, ...]:
    """The looks at so many pairs; a single one for six or fewer."""
    places = _places(sorted({ceil(planned * of / 12) for of in _OF_TWELVE}))
    early = {
        pairs: EARLY if _least_p(pairs) < EARLY else 0.0
        for pairs, place in places.items()
        if place and pairs < planned
    }
    made = [Look(pairs, planned, alpha, places[pairs]) for pairs, alpha in early.items()]
    return (*made, Look(planned, planned, SURE - sum(early.values()), max(1, places[planned])))


def _least_p(pairs: int) -> float:
    """The lowest p value of the two tests together, each doubled."""
    return 2 * min(smallest_p(pairs, pairs, paired=paired) for paired in (False, True))


def _places(counts: list[int]) -> dict[int, int]:
    """The largest place at each of these numbers of pairs that the error spent so far allows.

    If the median is the bound, each difference is beyond it or not with 1/2. A bound is passed at a
    look where fewer than `place` are beyond. 0 where even none beyond is too likely.
    """
    limit = (1 - LEVEL) / 2
    paths = {0: 1.0}  # chance, by the number beyond, that no bound was passed
    spent, at = 0.0, 0
    found = {}
    for pairs in counts:
        for _ in range(pairs - at):
            paths = {
                beyond: (paths.get(beyond, 0.0) + paths.get(beyond - 1, 0.0)) / 2
                for beyond in range(max(paths) + 2)
            }
        at, place = pairs, 0
        while spent + paths[place] <= limit * pairs / counts[-1] + _ROUNDING:
            spent += paths[place]
            paths[place] = 0.0
            place += 1
        found[pairs] = place
    return found
