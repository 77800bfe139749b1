"""About how long a climb takes, told before it starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from benchmarks.fidelity.cases.case import Case, Material
from benchmarks.fidelity.measure.__main__ import REFERENCE
from benchmarks.fidelity.measure.collect import Process, dealt
from benchmarks.fidelity.measure.lifecycle import TRAINED

# CPU seconds on two cores of an AMD EPYC, of a climb with one thread a process: to start, to make
# a network ready and compile it for one shape, for one call of a step or an optimizer, and for
# 1e9 operations. A framework that is not named is taken for Keras.
_COSTS = {
    REFERENCE: (1.0, 0.01, 0.001, 0.065),
    "torch": (2.0, 0.02, 0.005, 0.07),
    "keras": (6.0, 0.28, 0.05, 0.10),
    "jax": (3.0, 0.75, 0.005, 0.15),
}
_APPLIED = 0.1  # of a call: what a step of the optimizer alone takes
_COMPILED = {"forward": 0.5, "gradients": 0.5, "restored": 1.0, "optimizer": 0.3, "steps": 2.5}
_COMPILED |= {"epoch": 4.5, "lifecycle": 4.5, "own_masks": 0.5, "replicas": 9.0}


def seconds(
    cases: Iterable[Case],
    names: Sequence[str],
    parallel: int,
    asked_of: Callable[[str, Case], bool],
) -> float:
    """Seconds of a climb with so many processes at a time, on as many free cores."""
    made = list(cases)
    jobs: dict[Process, list[Case]] = {}
    for name in (REFERENCE, *names):
        for case in made:
            if asked_of(name, case):
                alike = ("",) if name == REFERENCE else (case.precision, case.tuning)
                jobs.setdefault((name, *alike), []).append(case)
    hands = dealt(jobs, parallel, of_case)
    took = [
        (_cost(one[0])[0] + sum(of_case(one[0], case) for case in mine) / hands[one], hands[one])
        for one, mine in jobs.items()
    ]
    longest = max((one for one, _ in took), default=0.0)
    return max(longest, sum(one * count for one, count in took) / parallel)


def duration(seconds: float) -> str:
    """Seconds in words: "90 s", "12 min"."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def of_case(name: str, case: Case) -> float:
    """CPU seconds of one case in one framework, its start apart."""
    _, ready, call, operations = _cost(name)
    compiled = ready * (1 + sum(_COMPILED.get(what, 0.0) for what in case.measure))
    stepped = case.steps if "steps" in case.measure else 0
    applied = case.steps if "optimizer" in case.measure else 0
    material = Material(case)
    epoch = -(-(case.images - case.test_images) // case.recipe.batch_size)
    many = len(TRAINED) * epoch if "lifecycle" in case.measure else 0
    work = (stepped + many + 1) * material.network.flops(training=True) * case.recipe.batch_size
    calls = call * (stepped + _APPLIED * applied + 0.05 * many)
    return compiled + calls + operations * work / 1e9


def _cost(name: str) -> tuple[float, float, float, float]:
    return _COSTS.get(name, _COSTS["keras"])
