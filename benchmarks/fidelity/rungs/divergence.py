"""R5c: the real network in float32 (or TF32, or bfloat16), judged against its own noise.

A network with ReLUs and max-pools cannot stay within a fixed tolerance in float32: one changed
rounding puts one unit on the other side of zero, and the paths part. So the divergence between two
frameworks is set beside the divergence of each from *itself* under changes of the size of rounding:
one weight moved by one unit in the last place, weights perturbed by the forward error that was
measured for this network in this precision, another number of threads (on a GPU, kernels that are
deterministic), and the other tuning, which is another layout and compilation of the same network.

Two frameworks that are one in float64 (R5a) are never further apart than the sum of what each is
from its own float64: that distance is no control of a pair, or no pair could fail. It is held to a
limit itself, which the *other* frameworks' controls set, so that a fault which only the lower
precision has neither hides in it nor sets its own limit. So are the controls that compute the same
training otherwise, to that of the perturbed ones: a wrong one would excuse whatever its framework
does.

A difference of meaning can be smaller than that noise and yet be the same in every run, where noise
has either sign: so the signed gap of the first steps is tested over runs perturbed alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import msgspec
import numpy as np

from benchmarks.fidelity.cases.case import Case, Material
from benchmarks.fidelity.measure.__main__ import REFERENCE
from benchmarks.fidelity.measure.collect import Trace, Traces
from benchmarks.fidelity.rungs import bounds, errors
from benchmarks.fidelity.rungs.finding import Finding
from results.stats.means import t_quantile
from results.words import count

PERTURBED = 6  # runs with perturbed weights, of 9 controls of a framework
# Beyond the largest control times this a pair fails. Differences double in less than a step or two
# once they part, so a factor of 2 is less than one step sooner: it forgives chance, not a cause.
MARGIN = 2.0
EARLY_STEPS = 10  # of the signed gap: before chaos drowns what is the same in every run
GAP_LEVEL = 0.01  # of the t-tests of a case together, two-sided: Bonferroni over its pairs
GAP = 1e-5  # R5b's bound on losses: a mean gap below it is nobody's difference
FLOAT64 = "float64"
_PERTURBED = ("ulp", "noise")  # what the labels of the controls from other weights begin with
_CHECKPOINTS = (2, 5, 10, 20, 50, 100, 200)  # steps; those within the run are judged


@dataclass(frozen=True)
class Curve:
    """Relative difference of the training loss, step by step: float64 (steps,).

    kind: "cross" between two frameworks, "control" within one; `label` says which.
    """

    case: str
    kind: str
    framework: str
    label: str
    difference: np.ndarray


def controls(case: Case, forward_error: float) -> list[Case]:
    """The plain case, and those of its controls that start from other weights.

    forward_error: relative error of the network's logits, which sets the perturbation.
    """
    one_ulp = msgspec.structs.replace(case, name=f"{case.name}-ulp", ulp=True)
    noisy = [
        msgspec.structs.replace(
            case, name=f"{case.name}-noise{number}", weight_noise=forward_error, noise_seed=number
        )
        for number in range(1, PERTURBED + 1)
    ]
    return [case, one_ulp, *noisy]


def computed_otherwise(case: Case) -> list[Case]:
    """Controls of a case: its training from the same weights, computed otherwise.

    One is in float64, one with another number of threads or, on a GPU, with deterministic kernels,
    and one in the other tuning. Each needs a process of its own.
    """
    tuning = "tuned" if case.tuning == "idiomatic" else "idiomatic"
    threads = 1 if case.threads > 1 else 2
    kernels: dict[str, Any] = {f"threads{threads}": {"threads": threads}}
    if case.device == "cuda":  # which a number of CPU threads does not touch
        kernels = {"deterministic": {"deterministic": True}}
    changes = {FLOAT64: {"precision": "float64"}, **kernels, tuning: {"tuning": tuning}}
    return [
        msgspec.structs.replace(case, name=f"{case.name}-{name}", **change)
        for name, change in changes.items()
    ]


def forward_error(case: Case, traces: Traces, frameworks: Iterable[str]) -> float:
    """The median framework's error of the logits against the reference, of two the smaller, and no
    more than R1 allows: one that computes something else does not set the size of the noise."""
    reference = traces[REFERENCE, case.name]["logits"]
    found = [
        errors.relative_l2(traces[name, case.name]["logits"], reference) for name in frameworks
    ]
    network = Material(case).network
    allowed = bounds.bound("R1", network, case.precision, case.recipe.optimizer)
    return min(float(np.quantile(found, 0.5, method="lower")), allowed)


def curves(case: Case, traces: Traces, frameworks: Sequence[str]) -> list[Curve]:
    """Every pair of frameworks, and every control of each framework."""
    plain = {name: traces[name, case.name]["losses"] for name in frameworks}
    found = [
        Curve(case.name, "cross", a, b, _difference(plain[a], plain[b]))
        for a, b in combinations(frameworks, 2)
    ]
    for name in frameworks:
        for (framework, other), trace in traces.items():
            if framework == name and other.startswith(f"{case.name}-") and trace.path is not None:
                label = other.removeprefix(f"{case.name}-")
                difference = _difference(trace["losses"], plain[name])
                found.append(Curve(case.name, "control", name, label, difference))
    return found


def judge(case: Case, traces: Traces, found: Sequence[Curve]) -> list[Finding]:
    """Each pair of frameworks against the controls of both, the signed gap of its first steps, and
    each framework's distance from itself computed otherwise: in float64 against the controls of the
    others, with other threads or tuning against the perturbed ones of the others.

    At each checkpoint the largest difference so far must not exceed `limit` of the controls' own.
    """
    crosses = [curve for curve in found if curve.kind == "cross"]
    own = [curve for curve in found if curve.kind == "control"]
    noise = [curve for curve in own if curve.label != FLOAT64]
    findings = []
    for cross in crosses:
        both = (cross.framework, cross.label)
        of_both = [curve for curve in noise if curve.framework in both]
        cause = "the two part sooner than either parts from itself: a semantic difference"
        findings += _held(case, cross, "loss difference", of_both, cause)
        gaps = signed_gaps(case, traces, *both)
        steps = min(EARLY_STEPS, case.steps)
        findings.append(
            _finding(
                case,
                cross,
                f"signed loss difference of steps 1-{steps}, mean of "
                f"{count(len(gaps), 'paired run')}",
                abs(float(np.mean(gaps))),
                largest_gap_of_chance(gaps, tests=len(crosses)),
                f"steps 1-{steps}",
                "the same gap in every perturbed run: a semantic difference, not chaos",
            )
        )
    perturbed = [curve for curve in noise if curve.label.startswith(_PERTURBED)]
    for curve in (curve for curve in own if not curve.label.startswith(_PERTURBED)):
        fault = case.precision if curve.label == FLOAT64 else curve.label
        controls = noise if curve.label == FLOAT64 else perturbed
        others = [one for one in controls if one.framework != curve.framework]
        what = f"loss difference from {curve.label}"
        cause = f"further from its own {curve.label} than rounding explains: a fault of {fault}"
        findings += _held(case, curve, what, others, cause)
    return findings


def _held(
    case: Case, curve: Curve, what: str, controls: Sequence[Curve], cause: str
) -> list[Finding]:
    """A finding for every checkpoint within the run, and for its end."""
    return [
        _finding(
            case,
            curve,
            f"{what} by step {step}, against {len(controls)} controls",
            _largest_so_far(curve, step),
            limit([_largest_so_far(control, step) for control in controls]),
            f"step {step}",
            cause,
        )
        for step in (*(step for step in _CHECKPOINTS if step < case.steps), case.steps)
    ]


def _finding(
    case: Case, curve: Curve, metric: str, value: float, bound: float, where: str, cause: str
) -> Finding:
    status = "passed" if value <= bound < np.inf else "failed"
    if not np.isfinite(bound):
        cause = "a loss of a control is not finite"
    return Finding(
        "R5c",
        case.name,
        curve.framework,
        curve.label,
        case.precision,
        metric,
        value,
        bound,
        status,
        where,
        cause if status == "failed" else "",
    )


def limit(controls: Sequence[float]) -> float:
    """The largest of the controls times MARGIN; float32's resolution where none parted at all.

    Never falling from step to step, since the largest so far never does. No probability is claimed:
    a control has other weights at the start and then rounds alike, a pair rounds otherwise at every
    step.
    """
    return MARGIN * max(float(np.max(controls)), float(np.finfo(np.float32).eps / 2))


def signed_gaps(case: Case, traces: Traces, framework: str, other: str) -> np.ndarray:
    """Mean signed relative loss difference of the first steps, one per run that both did alike
    (plain, one ulp, the same perturbed weights): float64 (runs,)."""
    alike = [case.name, *(one.name for one in controls(case, 0.0)[1:])]
    return np.asarray([_gap(traces[framework, name], traces[other, name]) for name in alike])


def _gap(one: Trace, other: Trace) -> float:
    early = slice(0, EARLY_STEPS)
    return float(np.mean(one["losses"][early] / other["losses"][early] - 1))


def largest_gap_of_chance(gaps: np.ndarray, tests: int) -> float:
    """The |mean| up to which the gaps pass: GAP, or that at which their one-sample t-test has
    p = GAP_LEVEL over the number of tests, whichever is larger."""
    if not np.isfinite(gaps).all():
        return GAP
    spread = float(np.std(gaps, ddof=1)) / np.sqrt(len(gaps))
    return max(GAP, t_quantile(len(gaps) - 1, 1 - GAP_LEVEL / tests) * spread)


def _difference(losses: np.ndarray, others: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # what is not finite fails
        return np.abs(losses / others - 1)


def _largest_so_far(curve: Curve, step: int) -> float:
    return float(np.max(curve.difference[:step]))
