"""R5c: the real network in float32, judged against its own noise.

A network with ReLUs and max-pools cannot stay within a fixed tolerance in float32: one changed
rounding puts one unit on the other side of zero, and the paths part. So the divergence between two
frameworks is set beside the divergence of each from *itself* under changes of the size of rounding:
its own float64 run, one weight moved by one unit in the last place, and weights perturbed by the
float32 forward error that was measured for this network.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import msgspec
import numpy as np
from scipy import stats

from benchmarks.fidelity import errors
from benchmarks.fidelity.case import Case
from benchmarks.fidelity.collect import Traces
from benchmarks.fidelity.measure import REFERENCE
from benchmarks.fidelity.rungs import Finding

PERTURBED = 6  # runs with perturbed weights; with float64 and one ulp, 8 controls a framework
LEVEL = 0.95
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
    """The plain float32 case and its controls, without the float64 one.

    forward_error: relative error of the network's float32 logits, which sets the perturbation.
    """
    one_ulp = msgspec.structs.replace(case, name=f"{case.name}-ulp", ulp=True)
    noisy = [
        msgspec.structs.replace(
            case, name=f"{case.name}-noise{number}", weight_noise=forward_error, noise_seed=number
        )
        for number in range(1, PERTURBED + 1)
    ]
    return [case, one_ulp, *noisy]


def in_float64(case: Case) -> Case:
    """The same training in float64."""
    return msgspec.structs.replace(case, name=f"{case.name}-float64", precision="float64")


def forward_error(case: Case, traces: Traces, frameworks: Iterable[str]) -> float:
    """The median framework's error of the float32 logits against the reference."""
    reference = traces[REFERENCE, case.name]["logits"]
    return float(
        np.median(
            [
                errors.relative_l2(traces[name, case.name]["logits"], reference)
                for name in frameworks
            ]
        )
    )


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


def judge(case: Case, found: Sequence[Curve]) -> list[Finding]:
    """Each pair of frameworks against the controls of both.

    At each checkpoint the largest difference so far, on a log scale, must lie below the upper end
    of the controls' 95 % prediction interval: mean + t * s * sqrt(1 + 1/n).
    """
    findings = []
    for cross in (curve for curve in found if curve.kind == "cross"):
        own = [
            curve
            for curve in found
            if curve.kind == "control" and curve.framework in (cross.framework, cross.label)
        ]
        for step in (step for step in _CHECKPOINTS if step <= case.steps):
            value = _largest_so_far(cross, step)
            limit = upper_limit([_largest_so_far(curve, step) for curve in own])
            status = "passed" if value <= limit else "failed"
            cause = (
                ""
                if status == "passed"
                else ("the two part sooner than either parts from itself: a semantic difference")
            )
            findings.append(
                Finding(
                    "R5c",
                    case.name,
                    cross.framework,
                    cross.label,
                    case.precision,
                    f"loss difference by step {step}, against {len(own)} controls",
                    value,
                    limit,
                    status,
                    f"step {step}",
                    cause,
                )
            )
    return findings


def upper_limit(values: Sequence[float]) -> float:
    """Upper end of the one-sided 95 % prediction interval of the next value, on a log scale.

    Zeros (a control that did not part at all) count as float32's resolution.
    """
    logs = np.log10(np.maximum(values, np.finfo(np.float32).eps / 2))
    spread = np.std(logs, ddof=1) * np.sqrt(1 + 1 / len(logs))
    return float(10 ** (np.mean(logs) + stats.t.ppf(LEVEL, len(logs) - 1) * spread))


def _difference(losses: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.abs(losses / others - 1)


def _largest_so_far(curve: Curve, step: int) -> float:
    return float(np.max(curve.difference[:step]))
