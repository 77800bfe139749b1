"""Did the frameworks come to the same accuracy? An interval, or how many seeds it takes."""

from __future__ import annotations

import pandas as pd

from results.given import GIVEN
from results.stats.equivalence import FEWEST
from results.stats.vocabulary import DIFFERENT, EQUAL, UNDECIDED
from results.studies.outcome import ACCURACY_MARGIN, Outcome, between
from results.studies.outcome_words import number
from results.views.answers.answer import Answer
from results.views.numbers import spread
from results.views.views import Panel, View
from results.words import count

_QUESTION = "Same accuracy?"
_PAIRED = 4  # frameworks of which every pair is tested; of more, each against the first
_ASKED = (
    *("execution_id", "framework", "seed", "repeat", "status", "parity"),
    *("test_accuracy", "test_cross_entropy", *(given.column for given in GIVEN)),
)
_POINTS = 100 * ACCURACY_MARGIN


def same_accuracy(view: View, panel: Panel) -> Answer | None:
    """The verdict on every pair of frameworks, the most telling pair in numbers.

    None where no run has an accuracy.
    """
    seen = {
        view.looks[name].name: panel.of(name)["test_accuracy"].dropna() for name in panel.frameworks
    }
    means = [float(values.mean()) for values in seen.values() if len(values)]
    if not means:
        return None
    reached = f"Test accuracy{' (DEMO)' if view.demo else ''} is {spread(means, 3)}"
    majority = None if panel.voted else _majority(panel.ok)
    reached += f"; always naming the most common class gives {majority:.3f}." if majority else "."
    if len(panel.frameworks) < 2:
        return Answer("What accuracy?", "one framework", reached, "results")
    outcomes = _outcomes(panel)
    compared = [one for one in outcomes if not one.refusal and one.accuracy is not None]
    if not compared:
        why = outcomes[0].refusal if outcomes else "no seed has a finished run in both"
        told = f"Not compared: {why}. {reached}"
        return Answer(_QUESTION, "not compared", told, "results")
    verdicts: set[str] = {one.accuracy.verdict for one in compared if one.accuracy is not None}
    told, verdict = _judged(view, compared, verdicts)
    return Answer(
        _QUESTION, verdict, f"{told} {reached}", "outcome" if _shown(compared) else "results"
    )


def _outcomes(panel: Panel) -> list[Outcome]:
    """Pairs of frameworks by seed, without what is asked of single galaxies."""
    nothing = pd.DataFrame()
    runs = panel.runs[[name for name in _ASKED if name in panel.runs]]
    if len(panel.frameworks) <= _PAIRED:
        return between(runs, nothing, panel.frameworks, details=False)
    first, *others = panel.frameworks
    return [
        one for other in others for one in between(runs, nothing, [first, other], details=False)
    ]


def _judged(view: View, compared: list[Outcome], verdicts: set[str]) -> tuple[str, str]:
    """The sentence, and the verdict in a word."""
    widest = max(compared, key=_reach)
    if DIFFERENT in verdicts:
        unlike = [one for one in compared if one.accuracy and one.accuracy.verdict == DIFFERENT]
        widest = max(unlike, key=_reach)
        others = count(len(unlike), "pair of frameworks")
        return f"No, in {others} of {len(compared)}: {_numbers(view, widest)}.", "no"
    if verdicts == {EQUAL}:
        told = f"Yes, within {_POINTS:g} point: the widest difference is {_numbers(view, widest)}."
        return told, "yes"
    seeds = [one.accuracy.fewest for one in compared if one.accuracy and one.accuracy.fewest]
    have = min(len(one.seeds) for one in compared)
    needed = max([*seeds, FEWEST])
    told = f"Undecided: {_numbers(view, widest)}"
    if have < needed:
        guess = "at least " if have < FEWEST else "about "
        told += f". To settle it within {_POINTS:g} point takes {guess}{count(needed, 'seed')}"
    return f"{told}.", UNDECIDED


def _reach(one: Outcome) -> float:
    """Largest distance of the difference from 0, by its mean and its interval where it has one."""
    assert one.accuracy is not None
    ends = [abs(end) for end in (one.accuracy.mean, one.accuracy.low, one.accuracy.high)]
    return max(end for end in ends if end == end)


def _numbers(view: View, one: Outcome) -> str:
    """Sentence part: "PyTorch less JAX (Flax) is +0.40 points (90 % interval ...) over 2 seeds"."""
    assert one.accuracy is not None
    test = one.accuracy
    names = f"{view.looks[one.a].name} less {view.looks[one.b].name}"
    told = f"{names} is {number(100 * test.mean, 2)} points"
    if test.n > 1:
        told += f" (90 % interval {number(100 * test.low, 2)} to {number(100 * test.high, 2)})"
    return f"{told} over {count(test.n, 'seed')}"


def _shown(compared: list[Outcome]) -> bool:
    """True if the page has a section on the pairs."""
    return any(len(one.seeds) > 1 for one in compared)


def _majority(runs: pd.DataFrame) -> float | None:
    """Share of the most common class, by the class counts of the whole data set."""
    for counts in runs.get("class_counts", ()):
        if counts is not None and len(counts) and sum(counts) > 0:
            return max(counts) / sum(counts)
    return None
