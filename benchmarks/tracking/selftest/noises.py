"""The noises that a machine's sessions may have, and what history, gate and `equal` make of each.

None of them has a change: what is found in them is false. `selftest --simulate N --noise all`
prints how often, how often a true change is found, and the worst of each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import comb

import numpy as np
import numpy.typing as npt

from benchmarks.tracking.selftest.spot import in_turns, judge_at
from results import words
from results.output import say
from results.stats.changepoints import steps
from results.stats.drift import Drift, judge_apart
from results.stats.equivalence import equivalence
from results.stats.looks import looks
from results.stats.noise import NEEDED
from results.stats.verdict import Rule
from results.stats.vocabulary import EQUAL, REGRESSED, UNCHANGED

Values = npt.NDArray[np.float64]
SPREAD = 0.03  # of a session's level, where it has one of its own
OWN = 0.03  # of the processes of a session
IN_TURNS = 0.01  # of processes in turns, each of which has a level of its own besides
SLOWER = np.log(1.15)  # the second speed of a machine that has two
POINTS = (30, 60)  # of a history
STEP, SLOWDOWN = 0.15, 0.10
_SEED = 20210601
_BURN_IN = 100
_CHANCE = 0.05


def _independent(count: int, random: np.random.Generator) -> Values:
    return random.normal(0, SPREAD, count)


def _autoregressive(share: float) -> Callable[[int, np.random.Generator], Values]:
    def draw(count: int, random: np.random.Generator) -> Values:
        moves = random.normal(0, SPREAD * np.sqrt(1 - share**2), count + _BURN_IN)
        levels = np.zeros(count + _BURN_IN)
        for place in range(1, levels.size):
            levels[place] = share * levels[place - 1] + moves[place]
        return levels[_BURN_IN:]

    return draw


def _slow_now_and_then(share: float) -> Callable[[int, np.random.Generator], Values]:
    def draw(count: int, random: np.random.Generator) -> Values:
        return random.normal(0, 0.01, count) + SLOWER * (random.random(count) < share)

    return draw


def _two_speeds(stay: float) -> Callable[[int, np.random.Generator], Values]:
    def draw(count: int, random: np.random.Generator) -> Values:
        changes = random.random(count) < 1 / stay
        slow = (np.cumsum(changes) + random.integers(2)) % 2
        return random.normal(0, 0.01, count) + SLOWER * slow

    return draw


def _walk(count: int, random: np.random.Generator) -> Values:
    return np.cumsum(random.normal(0, 0.01, count))


def _heavy(count: int, random: np.random.Generator) -> Values:
    return 0.02 * random.standard_t(2, count)


def _trend(count: int, random: np.random.Generator) -> Values:
    return np.linspace(0, 0.05, count) + random.normal(0, 0.01, count)


def _weekly(count: int, random: np.random.Generator) -> Values:
    """Two days of seven are 8 % slower."""
    days = (np.arange(count) + random.integers(7)) % 7
    return 0.08 * (days >= 5) + random.normal(0, 0.01, count)


def _ticks(count: int, random: np.random.Generator) -> Values:
    """A clock of coarse ticks: many sessions tie."""
    return 0.02 * np.round(random.normal(0, 1, count))


def _half(count: int, random: np.random.Generator) -> Values:
    return 0.1 * (random.random(count) < 0.5) + random.normal(0, 0.005, count)


# By name, how the logarithms of sessions' levels are drawn, one after another.
NOISES: dict[str, Callable[[int, np.random.Generator], Values]] = {
    "independent, 3 %": _independent,
    "autoregressive, 0.5": _autoregressive(0.5),
    "autoregressive, 0.8": _autoregressive(0.8),
    "15 % slower in a tenth": _slow_now_and_then(0.1),
    "15 % slower in a fifth": _slow_now_and_then(0.2),
    "two speeds, 5 sessions each": _two_speeds(5),
    "random walk, 1 %": _walk,
    "heavy tails (t, 2)": _heavy,
    "trend of 5 %": _trend,
    "8 % slower two days of seven": _weekly,
    "ticks of 2 %": _ticks,
    "10 % slower in a half": _half,
}
# Of paired differences of two trainings, of mean 0 and sd 1: `equal` at the margin must be rare.
DIFFERENCES: dict[str, Callable[[int, np.random.Generator], Values]] = {
    "normal": lambda count, random: random.normal(0, 1, count),
    "t, 3": lambda count, random: random.standard_t(3, count) / np.sqrt(3),
    "exponential": lambda count, random: random.exponential(1, count) - 1,
    "exponential, downwards": lambda count, random: 1 - random.exponential(1, count),
}


@dataclass(frozen=True)
class Rate:
    """Rate of an answer in simulation.

    found: number of `tries` with the answer. most: the goal, the largest share allowed; None where
    there is no goal.
    """

    question: str
    noise: str
    found: int
    tries: int
    most: float | None = None

    @property
    def share(self) -> float:
        """Share of the tries."""
        return self.found / self.tries

    @property
    def met(self) -> bool:
        """True if the goal was reached, or missed by no more than chance, or if there is none.

        By chance: if the rate were the goal, 5 % of simulations or more would find as many.
        """
        if self.most is None or self.share <= self.most:
            return True
        fewer = sum(
            comb(self.tries, one) * self.most**one * (1 - self.most) ** (self.tries - one)
            for one in range(self.found)
        )
        return 1 - fewer >= _CHANCE


def rates(tries: int, processes: int) -> Iterator[Rate]:
    """Every question to every noise, `tries` times each."""
    for name, draw in NOISES.items():
        for points in POINTS:
            false, found = _steps(name, draw, points, tries)
            yield Rate(f"history of {points}: a step where none is", name, false, tries, 0.05)
            title = f"history of {points}: a step of {STEP:.0%} in its middle found"
            yield Rate(title, name, found, tries)
        yield from _on_the_spot(name, draw, tries, processes)
        kept = f"gate, {NEEDED} sessions kept"
        title = f"{kept}: the same code {REGRESSED}"
        yield Rate(title, name, _gate(draw, tries, processes, 0.0, REGRESSED), tries, 0.01)
        slower = f"{kept}: {SLOWDOWN:.0%} slower"
        for verdict, most in ((UNCHANGED, 0.0), (REGRESSED, None)):
            found = _gate(draw, tries, processes, SLOWDOWN, verdict)
            yield Rate(f"{slower}, {verdict}", name, found, tries, most)
    for name, draw in DIFFERENCES.items():
        for pairs in (8, 15, 30):
            found = _equal(draw, pairs, tries)
            yield Rate(
                f"{words.count(pairs, 'pair')} as far apart as the margin: {EQUAL}",
                name,
                found,
                tries,
                0.05,
            )


def table(tries: int, processes: int) -> bool:
    """Print every rate and the worst of each question; whether every goal was met."""
    from results.table import Column, Table, show

    start = time.process_time()
    numbers = [Column("share", right=True), Column("goal", 1, right=True), Column("", 1)]
    shown = Table([Column("question"), Column("noise"), *numbers])
    found = list(rates(tries, processes))
    for question in dict.fromkeys(one.question for one in found):
        mine = [one for one in found if one.question == question]
        goal = mine[0].most
        worst = max(mine, key=lambda one: one.share if goal is not None else -one.share)
        for one in mine:
            mark = "worst" if one is worst else ""
            said = "" if goal is None else f"at most {goal:.0%}"
            shown.add(one.question, one.noise, f"{one.share:.1%}", said, mark)
    show(shown)
    missed = [one for one in found if not one.met]
    for one in missed:
        say(f"missed: {one.question}, {one.noise}: {one.share:.1%}")
    if not missed:
        say(f"every goal met, or missed by no more than chance, {words.count(tries, 'try')} each")
    say(f"{time.process_time() - start:.0f} s of processor time")
    return not missed


def _steps(
    name: str,
    draw: Callable[[int, np.random.Generator], Values],
    points: int,
    tries: int,
) -> tuple[int, int]:
    """Numbers of series in which a step is found: without one, and with one in the middle.

    The second counts only steps found within 2 points of the middle.
    """
    random = np.random.default_rng([_SEED, points])
    middle = points // 2
    false = found = 0
    for _ in range(tries):
        logs = draw(points, random)
        false += bool(steps(np.exp(logs)))
        logs[middle:] += np.log1p(STEP)
        found += any(abs(step.index - middle) <= 2 for step in steps(np.exp(logs)))
    return false, found


def _gate(
    draw: Callable[[int, np.random.Generator], Values],
    tries: int,
    processes: int,
    slowdown: float,
    verdict: str,
) -> int:
    """Number of tries in which a stored baseline gives this verdict.

    The baseline is the last session kept.
    """
    random = np.random.default_rng([_SEED, processes, round(1000 * slowdown)])
    said = 0
    for _ in range(tries):
        levels = draw(NEEDED + 1, random)
        times = np.exp(levels[:, None] + random.normal(0, OWN, (NEEDED + 1, processes)))
        drift = Drift.of(np.median(times[:-1], axis=1))
        found = judge_apart(times[-2], times[-1] * (1 + slowdown), Rule(), drift)
        said += found.verdict == verdict
    return said


def _on_the_spot(
    name: str,
    draw: Callable[[int, np.random.Generator], Values],
    tries: int,
    processes: int,
) -> Iterator[Rate]:
    """The gate on the spot under one noise, at its looks and at once, from the same draws.

    The noise is that of processes one after another: successive levels are those of the two sides
    in turns. Both sides of a pair meet one level in truth, so that this is the harder case.
    """
    for slowdown, goals in (
        (0.0, {REGRESSED: 0.01, UNCHANGED: None}),
        (SLOWDOWN, {UNCHANGED: 0.0, REGRESSED: None}),
    ):
        random = np.random.default_rng([_SEED, processes, round(1000 * slowdown)])
        pairs = [
            in_turns(
                np.exp(draw(2 * processes, random) + random.normal(0, IN_TURNS, 2 * processes)),
                slowdown,
            )
            for _ in range(tries)
        ]
        code = f"{slowdown:.0%} slower" if slowdown else "the same code"
        for way, taken in (("on the spot", looks(processes)), ("all processes", (None,))):
            found = [judge_at(taken, one, Rule()) for one in pairs]
            for verdict, most in goals.items():
                said = sum(word == verdict for word, _ in found)
                yield Rate(f"gate {way}: {code}, {verdict}", name, said, tries, most)
            if way == "on the spot":
                title = f"gate {way}: {code}, share of the runs that it took"
                yield Rate(title, name, sum(count for _, count in found), processes * tries, 1.0)


def _equal(draw: Callable[[int, np.random.Generator], Values], pairs: int, tries: int) -> int:
    """Number of tries that call pairs equal whose true difference is the margin.

    The margin is wide enough that so many pairs are enough.
    """
    random = np.random.default_rng([_SEED, pairs])
    margin = 5 / np.sqrt(pairs)
    return sum(
        equivalence(draw(pairs, random) + margin, margin).verdict == EQUAL for _ in range(tries)
    )
