"""An outcome in plain sentences, for the terminal and the page alike."""

from collections.abc import Mapping
from math import isnan

from results.stats.equivalence import ALPHA, Equivalence
from results.stats.vocabulary import DIFFERENT, EQUAL, SURE
from results.studies.outcome import Outcome
from results.words import count, nouns, plural


def sentences(outcome: Outcome, names: Mapping[str, str]) -> list[str]:
    """Sentences on the outcome of a pair: differences found, and seeds that were left out.

    Args:
        names: of the frameworks, by their names in the store.
    """
    a, b = names[outcome.a], names[outcome.b]
    if outcome.refusal:
        return [f"{a} and {b} are not compared: {outcome.refusal}.", *_lost(outcome)]
    assert outcome.accuracy is not None
    found = [_measure(f"Test accuracy of {a} less {b}", outcome.accuracy, 100, 2, "point")]
    if outcome.cross_entropy is not None:
        what = f"Test cross-entropy of {a} less {b}"
        found.append(_measure(what, outcome.cross_entropy, 1, 4, "nat"))
    found += _recalls(outcome)
    if outcome.churn is not None:
        found.append(_churn(outcome))
    if not isnan(outcome.variance_p):
        found.append(
            f"Spread over seeds: the variance of the accuracy in {a} is "
            f"{outcome.variance_ratio:.2f} times that in {b} (Brown-Forsythe p = "
            f"{outcome.variance_p:.2g})."
        )
    return [*found, *_lost(outcome)]


def _lost(outcome: Outcome) -> list[str]:
    """Sentences on the seeds that are not compared."""
    found = []
    if outcome.diverged_alone:
        seeds = ", ".join(map(str, outcome.diverged_alone))
        found.append(
            f"One of the two diverged where the other did not (seeds {seeds}): the seeds that are "
            "left are no fair sample, and nothing is called equal by them."
        )
    if outcome.left_out:
        found.append(f"Not paired: {'; '.join(outcome.left_out)}.")
    return found


def number(value: float, decimals: int) -> str:
    """The value with its sign; never -0."""
    text = f"{value:+.{decimals}f}"
    return text.replace("-", "+") if float(text) == 0 else text


def _measure(what: str, test: Equivalence, scale: float, decimals: int, unit: str) -> str:
    pairs = count(test.n, "paired seed")
    units = plural(unit)
    text = f"{what}: {test.verdict}. Mean {number(scale * test.mean, decimals)} {units}"
    margin = f"{scale * test.margin:g} {nouns(scale * test.margin, unit)}"
    if test.needed is None:
        return f"{text} over {pairs}; at least 5 are needed, whatever their spread."
    low, high = (number(scale * value, decimals) for value in (test.low, test.high))
    text += f" (90 % interval {low} to {high}, margin ±{margin}) over {pairs}."
    assert test.fewest is not None
    if test.n < test.fewest:
        text += (
            f" With the spread seen so far ({scale * test.sd:.{decimals}f} {units}) it takes "
            f"{count(test.fewest, 'seed')} to decide"
        )
        if test.p_different < SURE:
            text += f", though a difference is seen already (p = {test.p_different:.1g})"
        return f"{text}."
    if test.verdict == EQUAL:
        text += (
            f" A difference as large as the margin is ruled out (p = {test.p_equal:.1g}), if seeds "
            "are independent and differences no more skewed than exponential ones."
        )
        if test.p_different < SURE:
            text += f" A smaller one is there (p = {test.p_different:.1g})."
    elif test.verdict == DIFFERENT:
        text += f" They differ (p = {test.p_different:.1g})."
    else:
        text += " Neither a difference nor equality within the margin is shown."
    return text


def _recalls(outcome: Outcome) -> list[str]:
    tested = [recall for recall in outcome.recalls if not isnan(recall.p_holm)]
    if not tested:
        return []
    unlike = [recall for recall in tested if recall.p_holm < ALPHA]
    if not unlike:
        largest = max(tested, key=lambda recall: abs(recall.difference))
        return [
            f"Recall by class: none of {count(len(tested), 'class')} is shown to differ (Holm's "
            f"correction), which with {count(len(outcome.seeds), 'seed')} does not show that they "
            f"are equal; the largest difference is {number(100 * largest.difference, 1)} points in "
            f"{largest.name} ({count(largest.images, 'test image')})."
        ]
    listed = "; ".join(
        f"{recall.name} {number(100 * recall.difference, 1)} points "
        f"({count(recall.images, 'test image')}, p = {recall.p_holm:.1g})"
        for recall in unlike
    )
    return [f"Recall by class differs (Holm's correction) in {listed}."]


def _churn(outcome: Outcome) -> str:
    churn = outcome.churn
    assert churn is not None
    text = f"Churn: {100 * churn.across:.1f} % of the test images are classified differently"
    if isnan(churn.within):
        return f"{text}; {churn.note}."
    return (
        f"{text}, against {100 * churn.within:.1f} % between repeats within one framework "
        f"({count(churn.seeds, 'seed')}; permutation test that it is no more: "
        f"p = {churn.p:.2g})."
    )
