"""Did two frameworks train to the same result? Finished runs, paired by seed.

The runs handed in differ in framework, seed and repeat only. A pair is one seed: both frameworks
began with the same weights and saw the same batches, which their hashes must say. What two
frameworks scored is the mean over the repeats that both have of a seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from results.given import GIVEN
from results.stats.equivalence import (
    Equivalence,
    across_and_within,
    bootstrap_interval,
    brown_forsythe,
    churn_test,
    disagreement,
    equivalence,
    holm,
)
from results.stats.vocabulary import DIFFERENT, EQUAL, NOT_COMPARABLE, UNDECIDED
from results.words import nouns

ACCURACY_MARGIN = 0.01  # of 1: one point
CROSS_ENTROPY_MARGIN = 0.05  # nats
_SCORES = ["test_accuracy", "test_cross_entropy"]
_LARGEST = 1e100  # nats
# All that is asked of a run; frames of a hundred columns are slow to cut.
_USED = ["framework", "seed", "repeat", "status", "parity", "execution_id", "class_names", *_SCORES]
_USED += [given.column for given in GIVEN]
NO_CONTROL = "no control run: within-framework churn unknown"
SAME_BITS = (
    "the repeats of a seed predict the same throughout, so that they are no control of rounding: "
    "within-framework churn unknown"
)


@dataclass(frozen=True)
class Recall:
    """One class: images in the test set, mean recall of A less B, p of a paired t test, the same
    after Holm's correction over the classes."""

    name: str
    images: int
    difference: float
    p: float
    p_holm: float


@dataclass(frozen=True)
class Churn:
    """Shares of test images classified differently, means over `seeds` seeds.

    across: between A and B at the same seed. within: between repeats of one framework at one seed;
    NaN where unknown, and `note` says why. Where it is known, both are of the seeds with repeats
    alone. p: of `churn_test`, small where two frameworks part further than one from itself.
    """

    across: float
    within: float
    p: float
    note: str
    seeds: int


@dataclass(frozen=True)
class Outcome:
    """Two frameworks over paired seeds; every difference is A less B.

    Attributes:
        refusal: why they must not be compared, else empty; then all that follows is empty too.
        left_out: seeds without a finished run in both, with the reason.
        diverged_alone: seeds in which one of the two diverged and the other did not. The rest are
            no fair sample of either then, and no verdict is EQUAL.
        accuracy: of the share of test images classified rightly.
        cross_entropy: of the mean test cross-entropy, nats, without L2 terms; None of squared
            errors.
        accuracy_bootstrap, cross_entropy_bootstrap: 90 % BCa intervals, NaN below 5 pairs.
        variance_ratio, variance_p: Brown and Forsythe's, of the test accuracies; NaN below 5 pairs.
    """

    a: str
    b: str
    seeds: tuple[int, ...]
    refusal: str
    left_out: tuple[str, ...]
    diverged_alone: tuple[int, ...] = ()
    accuracy: Equivalence | None = None
    cross_entropy: Equivalence | None = None
    accuracy_bootstrap: tuple[float, float] = (float("nan"), float("nan"))
    cross_entropy_bootstrap: tuple[float, float] = (float("nan"), float("nan"))
    accuracy_differences: tuple[float, ...] = ()
    cross_entropy_differences: tuple[float, ...] = ()
    recalls: tuple[Recall, ...] = ()
    churn: Churn | None = None
    variance_ratio: float = float("nan")
    variance_p: float = float("nan")

    @property
    def verdict(self) -> str:
        """EQUAL where all measures are, DIFFERENT where one is, NOT_COMPARABLE, else UNDECIDED."""
        if self.accuracy is None:
            return NOT_COMPARABLE
        found = {test.verdict for test in (self.accuracy, self.cross_entropy) if test is not None}
        return DIFFERENT if DIFFERENT in found else UNDECIDED if UNDECIDED in found else EQUAL

    @property
    def beyond(self) -> bool:
        """True if a difference that was found is larger than its margin."""
        tests = [test for test in (self.accuracy, self.cross_entropy) if test is not None]
        return any(t.verdict == DIFFERENT and abs(t.mean) > t.margin for t in tests)


def between(
    runs: pd.DataFrame,
    predictions: pd.DataFrame,
    frameworks: Sequence[str],
    *,
    accuracy_margin: float = ACCURACY_MARGIN,
    cross_entropy_margin: float = CROSS_ENTROPY_MARGIN,
    details: bool = True,
    independent: bool = False,
) -> list[Outcome]:
    """Every pair of these frameworks, in their order.

    Args:
        runs: that differ in framework, seed and repeat only, one row for each of these.
        predictions: of the store; those of other runs are left alone. May be empty.
        details: with bootstrap intervals and the test of the variances, which take most of the
            time.
        independent: compare frameworks that draw their own weights, too; a pair is one seed's split
            and batches then.

    Raises:
        ValueError: a margin that is not above 0.
    """
    mine = runs.loc[runs["framework"].isin(frameworks), [name for name in _USED if name in runs]]
    if len(predictions):
        ids = set(mine["execution_id"])
        wanted = predictions["execution_id"].isin(ids) & (predictions["split"] == "test")
        wanted &= predictions["predicted"] >= 0  # of votes no class is named
        predictions = predictions[wanted]
    mine = mine.assign(
        seed=mine["seed"].fillna(0).astype("int64"), repeat=mine["repeat"].fillna(0).astype("int64")
    )
    return [
        _pair(mine, predictions, a, b, accuracy_margin, cross_entropy_margin, details, independent)
        for a, b in combinations(frameworks, 2)
    ]


def _pair(
    runs: pd.DataFrame,
    predictions: pd.DataFrame,
    a: str,
    b: str,
    accuracy_margin: float,
    cross_entropy_margin: float,
    details: bool,
    independent: bool,
) -> Outcome:
    scores = _SCORES
    mine = runs[runs["framework"].isin([a, b])]
    finished = mine[(mine["status"] == "ok") & mine[scores[0]].notna()]
    finished = finished[~(finished[scores[1]].abs() > _LARGEST)]  # no mean is of it
    if finished[scores[1]].notna().any():  # else a loss that is no entropy
        finished = finished[finished[scores[1]].notna()]
    one, other = (finished[finished["framework"] == name] for name in (a, b))
    both = one.merge(other, on=["seed", "repeat"], suffixes=("_a", "_b"))
    seeds = tuple(sorted(int(seed) for seed in both["seed"].unique()))
    left_out = _left_out(mine, finished, a, b, seeds)
    alone = _diverged_alone(mine, a, b)
    if refusal := _refusal(both, str(runs["parity"].iloc[0]), independent):
        return Outcome(a, b, seeds, refusal, left_out, alone)
    means = both.groupby("seed")[[f"{name}_{side}" for name in scores for side in "ab"]].mean()
    accuracy, cross_entropy = (
        (means[f"{name}_a"] - means[f"{name}_b"]).to_numpy(np.float64) for name in scores
    )
    nan = float("nan")
    ratio, ratio_p = (
        brown_forsythe(means["test_accuracy_a"], means["test_accuracy_b"])
        if details
        else (nan, nan)
    )
    by_accuracy = bootstrap_interval(accuracy) if details else (nan, nan)
    squares = bool(np.isnan(cross_entropy).all())
    by_entropy = bootstrap_interval(cross_entropy) if details and not squares else (nan, nan)
    given = both["execution_id_a"].tolist() + both["execution_id_b"].tolist()
    names = runs["class_names"].iloc[0] if "class_names" in runs else None
    # Controls are any finished repeats of a paired seed, also where the other has fewer.
    repeats = finished[finished["seed"].isin(seeds)]
    return Outcome(
        a,
        b,
        seeds,
        "",
        left_out,
        alone,
        _among(alone, equivalence(accuracy, accuracy_margin)),
        None if squares else _among(alone, equivalence(cross_entropy, cross_entropy_margin)),
        by_accuracy,
        by_entropy,
        tuple(accuracy.tolist()),
        () if squares else tuple(cross_entropy.tolist()),
        _recalls(finished[finished["execution_id"].isin(given)], predictions, a, names),
        _churn(repeats, predictions, a),
        ratio,
        ratio_p,
    )


def _left_out(
    runs: pd.DataFrame, finished: pd.DataFrame, a: str, b: str, seeds: Sequence[int]
) -> tuple[str, ...]:
    """Seeds that are not paired, since a framework that fails where another does not is a result
    too."""
    found = []
    for seed in sorted(set(runs.loc[runs["framework"].isin([a, b]), "seed"]) - set(seeds)):
        parts = []
        for name in (a, b):
            here = runs[(runs["seed"] == seed) & (runs["framework"] == name)]
            if not finished["execution_id"].isin(here["execution_id"]).any():
                states = sorted(set(here["status"].replace("ok", "no score").dropna()))
                parts.append(f"{name} {', '.join(states) or 'not run'}")
        found.append(f"seed {seed}: {'; '.join(parts) or 'no repeat in common'}")
    return tuple(found)


def _diverged_alone(runs: pd.DataFrame, a: str, b: str) -> tuple[int, ...]:
    """Seeds and repeats that both tried and one diverged in: their seeds."""
    tried = runs[runs["framework"].isin([a, b])]
    if not (tried["status"] == "diverged").any():
        return ()
    table = tried.assign(diverged=tried["status"] == "diverged").pivot_table(
        index=["seed", "repeat"], columns="framework", values="diverged", aggfunc="any"
    )
    if table.shape[1] < 2:
        return ()
    table = table.dropna().astype(bool)
    return tuple(sorted({int(seed) for seed, _ in table.index[table[a] != table[b]]}))


def _among(diverged_alone: tuple[int, ...], test: Equivalence) -> Equivalence:
    """The test, which shows nothing equal where seeds are lost by what it is to judge."""
    if diverged_alone and test.verdict == EQUAL:
        return replace(test, verdict=UNDECIDED)
    return test


def _refusal(both: pd.DataFrame, parity: str, independent: bool) -> str:
    if parity != "matched" and not independent:
        return (
            f"{parity} parity: each framework draws its own weights, so that equal seeds are no "
            "pairs"
        )
    if both.empty:
        return "no seed has a finished run in both"
    parts = []
    seeds = both["seed"].tolist()
    for given in GIVEN:
        if given.matched and parity != "matched":
            continue
        sides = (both[f"{given.column}_{side}"] for side in "ab")
        one, other = (values.astype(object).where(values.notna(), None) for values in sides)
        rows = list(zip(seeds, one, other, strict=True))
        unknown = [seed for seed, *both_sides in rows if None in both_sides]
        if given.there_is_always and unknown:
            parts.append(f"{given.what} not recorded ({_seeds(unknown)})")
        unequal = [
            seed
            for seed, mine, its in rows
            if mine != its and not (given.there_is_always and (mine is None or its is None))
        ]
        if unequal:
            parts.append(f"{given.what} not the same ({_seeds(unequal)})")
    return "; ".join(parts)


def _seeds(seeds: Sequence[int]) -> str:
    distinct = sorted({int(seed) for seed in seeds})
    return f"{nouns(len(distinct), 'seed')} {', '.join(map(str, distinct))}"


def _recalls(
    runs: pd.DataFrame, predictions: pd.DataFrame, a: str, names: Sequence[str] | None
) -> tuple[Recall, ...]:
    """Recall of each class: by run, a mean over the repeats of a seed, differences over seeds."""
    if not len(predictions):
        return ()
    rows = predictions.merge(runs[["execution_id", "framework", "seed"]], on="execution_id")
    if rows.empty:
        return ()
    rows = rows.assign(right=rows["predicted"] == rows["label"], first=rows["framework"] == a)
    by_seed = rows.pivot_table(index=["label", "seed"], columns="first", values="right")
    images = rows.drop_duplicates("index").groupby("label").size()
    # The margin plays no part in the two-sided test.
    tests = {
        label: equivalence((part[True] - part[False]).dropna(), 1.0)
        for label in images.index
        for part in [by_seed.loc[label]]
        if {True, False} <= set(part.columns)
    }
    adjusted = holm([test.p_different for test in tests.values()])
    return tuple(
        Recall(
            str(names[label]) if names and 0 <= label < len(names) else f"class {label}",
            int(images[label]),
            test.mean,
            test.p_different,
            p_holm,
        )
        for (label, test), p_holm in zip(tests.items(), adjusted, strict=True)
    )


def _in_common(
    answers: Sequence[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]],
) -> npt.NDArray[np.int64]:
    """(runs, images): what each run predicts of the images that all of them were asked about."""
    if not answers:
        return np.zeros((0, 0), np.int64)
    common = answers[0][0]
    for index, _ in answers[1:]:
        if not np.array_equal(index, common):
            common = np.intersect1d(common, index)
    return np.stack(
        [
            predicted
            if np.array_equal(index, common)
            else predicted[np.argsort(index)[np.searchsorted(np.sort(index), common)]]
            for index, predicted in answers
        ]
    )


def _churn(runs: pd.DataFrame, predictions: pd.DataFrame, a: str) -> Churn | None:
    """None where a seed has no image that all its runs predicted."""
    if not len(predictions):
        return None
    rows = predictions[predictions["execution_id"].isin(runs["execution_id"])]
    answers = {
        str(name): (images["index"].to_numpy(), images["predicted"].to_numpy(np.int64))
        for name, images in rows.groupby("execution_id", observed=True)[["index", "predicted"]]
    }
    blocks = []
    for _, group in runs.sort_values(["framework", "repeat"]).groupby("seed"):
        known = group[group["execution_id"].isin(answers)]
        predicted = _in_common([answers[name] for name in known["execution_id"]])
        of_a = np.flatnonzero(known["framework"] == a).tolist()
        if not of_a or len(of_a) == len(known) or not predicted.shape[1]:
            return None
        blocks.append((disagreement(predicted), of_a))
    controlled = [block for block in blocks if len(block[0]) > 2]
    seeds = controlled or blocks
    shares = np.array([across_and_within(*block) for block in seeds])
    across, within = map(float, shares.mean(axis=0))
    if not controlled:
        return Churn(across, float("nan"), float("nan"), NO_CONTROL, len(seeds))
    if within == 0:
        return Churn(across, float("nan"), float("nan"), SAME_BITS, len(seeds))
    return Churn(across, within, churn_test(controlled), "", len(seeds))
