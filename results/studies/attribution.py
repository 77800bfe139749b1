"""Attribution: each default's share of a difference, as pure functions of the trainings' scores.

For one seed let A be the accuracy with the origin's defaults, B with the target's, A+k with default
k of the target switched on in the origin, B-k with it switched off in the target. The worth of k
is the mean of (A+k) - A and B - (B-k): its share of B - A where it comes first, and where it comes
last (the two ends of Shapley's average over all orders; Shapley 1953). The rest, B - A less the
sum of these, is what the defaults do only together. Differences are taken within a seed; intervals
are Student's over the seeds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from results.stats.equivalence import holm
from results.stats.intervals import LEVEL
from results.stats.means import Mean, independent, paired
from results.words import count

EARLY_STEPS = 20  # training in float32 is chaotic soon after; what a default does shows before


@dataclass(frozen=True)
class Factor:
    """Worth of one default.

    Attributes:
        worth: mean over both ways of switching.
        on: switched on first.
        off: switched off last.
        early: mean relative change of the loss over the first steps, mean of on and off.
    """

    name: str
    worth: Mean
    on: Mean
    off: Mean
    early: float


@dataclass(frozen=True)
class Attribution:
    """B less A, split up; accuracies in [0, 1].

    Attributes:
        total: B - A inside one framework.
        factors: by the size of their worth, largest first.
        together: total less the sum of the factors.
        own: the target framework's own native runs less the origin's; None where not run.
        unexplained: `own` less `total`; None where not run.
        left_out: what could not be run, with the reason.
        untold: defaults that were switched with the others, but of which no training by itself
            finished: what they are worth is in `together`.
    """

    seeds: tuple[int, ...]
    total: Mean
    factors: tuple[Factor, ...]
    together: Mean
    own: Mean | None
    unexplained: Mean | None
    left_out: tuple[str, ...]
    untold: tuple[str, ...] = ()

    @property
    def rest(self) -> str:
        """Label of `together`, with the defaults that could not be told apart."""
        untold = f", or by {' and '.join(self.untold)} (not told apart)" if self.untold else ""
        return f"only together{untold}"


def attribute(trainings: pd.DataFrame, measure: str = "accuracy") -> Attribution:
    """Split up the difference of one measure.

    Args:
        trainings: of one network between one pair of defaults, a row per variant and seed: factor,
            direction, framework, seed, status, reason, early_difference and the measure. `own` rows
            of the origin come before those of the target.

    Raises:
        ValueError: no seed has both ends.
    """
    ok = trainings[trainings["status"] == "ok"]
    ends = {end: _by_seed(ok, "", end, measure) for end in ("origin", "target")}
    seeds = sorted(set(ends["origin"].index) & set(ends["target"].index))
    names = list(dict.fromkeys(trainings.loc[trainings["factor"] != "", "factor"]))
    switched = {
        (name, way): _by_seed(ok, name, way, measure) for name in names for way in ("on", "off")
    }
    known = [name for name in names if all(len(switched[name, way]) for way in ("on", "off"))]
    for name in known:
        for way in ("on", "off"):
            seeds = sorted(set(seeds) & set(switched[name, way].index))
    if not seeds:
        raise ValueError("no seed has a finished training of every variant")
    origin, target = (ends[end].loc[seeds].to_numpy(float) for end in ("origin", "target"))
    ons = {name: switched[name, "on"].loc[seeds].to_numpy(float) - origin for name in known}
    offs = {name: target - switched[name, "off"].loc[seeds].to_numpy(float) for name in known}
    means = {name: (ons[name] + offs[name]) / 2 for name in known}
    worths = {name: paired(means[name]) for name in known}
    adjusted = dict(zip(known, holm([worths[name].p for name in known]), strict=True))
    found = [
        Factor(
            name,
            replace(worths[name], p_holm=adjusted[name]),
            paired(ons[name]),
            paired(offs[name]),
            float(ok.loc[ok["factor"] == name, "early_difference"].mean()),
        )
        for name in known
    ]
    found.sort(key=lambda factor: -abs(factor.worth.mean))
    total = target - origin
    own, unexplained = _own(trainings, total, measure)
    return Attribution(
        tuple(int(seed) for seed in seeds),
        paired(total),
        tuple(found),
        paired(total - sum(means.values())),
        own,
        unexplained,
        _left_out(trainings),
        tuple(_untold(trainings, set(names) - set(known))),
    )


def _untold(trainings: pd.DataFrame, unknown: set[str]) -> list[str]:
    """Defaults that were switched but have no worth; those never switched have no form here."""
    tried = trainings[trainings["factor"].isin(unknown) & (trainings["direction"] == "off")]
    return sorted(set(tried["factor"]))


def _by_seed(ok: pd.DataFrame, factor: str, direction: str, measure: str) -> pd.Series:
    rows = ok[(ok["factor"] == factor) & (ok["direction"] == direction)]
    return rows.set_index("seed")[measure]


def _own(
    trainings: pd.DataFrame, total: npt.NDArray[np.float64], measure: str
) -> tuple[Mean | None, Mean | None]:
    """The frameworks' own gap, the later less the earlier in the table, and what the switches leave
    of it.

    Their random draws have nothing in common, nor with the switches': all are independent.
    """
    native = trainings[trainings["direction"] == "own"]
    frameworks = list(dict.fromkeys(native["framework"]))
    rows = native[native["status"] == "ok"]
    if len(frameworks) != 2 or rows["framework"].nunique() != 2:
        return None, None
    one, other = (
        rows.loc[rows["framework"] == name, measure].to_numpy(np.float64) for name in frameworks
    )
    return independent([one, other], [-1, 1]), independent([one, other, total], [-1, 1, -1])


def _left_out(trainings: pd.DataFrame) -> tuple[str, ...]:
    bad = trainings[trainings["status"] != "ok"].to_dict("records")
    return tuple(
        f"{row['factor'] or 'all'} ({row['direction']}), {row['framework']}, seed {row['seed']}: "
        f"{row['status']}: {row['reason']}"
        for row in bad
    )


def sentences(found: Attribution, origin: str, target: str, inside: str) -> list[str]:
    """The result in words, accuracies in points."""
    parts = "".join(f"{factor.name} {_points(factor.worth)}, " for factor in found.factors)
    text = [
        f"From {origin} to {target} defaults, all inside {inside}: {_points(found.total)} points "
        f"of test accuracy over {count(len(found.seeds), 'seed')}. Of these: {parts}what they do "
        f"{found.rest} {_points(found.together)}."
    ]
    if found.own is not None and found.unexplained is not None:
        text.append(
            f"{target} less {origin}, each by its own native run: {_points(found.own)} points; "
            f"not explained by these defaults: {_points(found.unexplained)}."
        )
    told = "of those told apart" if found.untold else "of them"
    sure = [factor.name for factor in found.factors if factor.worth.p_holm < 1 - LEVEL]
    text.append(
        f"Beyond chance (Holm, 5 %): {', '.join(sure)}."
        if sure
        else f"None {told} is beyond chance with {count(len(found.seeds), 'seed')} (Holm, 5 %)."
    )
    if found.left_out:
        text.append(f"Not counted: {'; '.join(found.left_out)}.")
    return text


def _points(worth: Mean) -> str:
    """`+1.40 ± 0.30`, in points."""
    mean = f"{100 * worth.mean:+.2f}"
    half = (worth.high - worth.low) / 2
    return mean if np.isnan(half) else f"{mean} ± {100 * half:.2f}"
