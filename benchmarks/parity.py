"""Does a configuration compute what the reference computes? Asked before its speed is measured.

A small check through `benchmarks.fidelity`: the run's own layers, optimizer, tuning, precision,
device and threads on the smallest pictures that fit, eight at a time: structure, every layer's
output, the loss, every gradient and one whole step, against the float64 NumPy reference, within
the bounds written down there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.plan import PlannedRun, RunConfig

if TYPE_CHECKING:
    from benchmarks.fidelity.case import Case
    from benchmarks.fidelity.rungs import Finding

BATCH_SIZE = 8
IMAGES = 24
# Precisions that the bounds of `benchmarks.fidelity.bounds` are set for.
BOUNDED = ("float32", "float64")
_TIMEOUT = 1200.0

Key = tuple[str, str]  # framework, name of the case


@dataclass(frozen=True)
class Checked:
    """How one configuration fared: `failures` are the rungs that did not hold, in words."""

    passed: bool
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class ParityChecks:
    """The checks of a session, by framework and case."""

    results: Mapping[Key, Checked] = field(default_factory=dict)

    def of(self, config: RunConfig) -> Checked | None:
        """The check of a configuration; None when it was not checked."""
        return self.results.get(_key(config))


def can_be_checked(config: RunConfig) -> bool:
    """Under matched parity, in a precision that has bounds."""
    return config.parity == "matched" and config.precision in BOUNDED


def check(
    runs: Iterable[PlannedRun], scratch: Path, *, tell: Callable[[str], None] = lambda text: None
) -> ParityChecks:
    """Check every configuration of these runs once, a process for each framework and precision.

    One that cannot be measured has not passed. Runs that are skipped are not checked.

    Args:
        scratch: a directory for the arrays.
        tell: called with a line before each framework, and for each that failed.
    """
    from benchmarks.fidelity.collect import collect
    from benchmarks.fidelity.ladder import settled
    from benchmarks.fidelity.measure import REFERENCE
    from benchmarks.fidelity.rungs import judge

    configs = {
        _key(run.config): run.config for run in runs if not run.skip and can_be_checked(run.config)
    }
    settled_seeds: dict[str, int] = {}
    cases: dict[Key, Case] = {}
    for key, config in configs.items():
        case = _case(config)
        about = _without_runtime(case)
        if about not in settled_seeds:
            settled_seeds[about] = settled(case).seed
        cases[key] = msgspec.structs.replace(case, seed=settled_seeds[about])

    results: dict[Key, Checked] = {}
    for number, (frameworks, mine) in enumerate(_alike(cases)):
        tell(f"parity of {', '.join(frameworks)}: {len(mine)} configurations each")
        folder = scratch / f"group{number}"
        traces = collect([REFERENCE, *frameworks], mine, folder, timeout=_TIMEOUT)
        for framework in frameworks:
            findings = judge(traces, mine, [framework])
            for case in mine:
                failed = _failures(finding for finding in findings if finding.case == case.name)
                results[framework, case.name] = Checked(not failed, failed)
                for words in failed:
                    tell(f"parity not shown: {framework} {case.name}: {words}")
    return ParityChecks(results)


def _alike(cases: Mapping[Key, Case]) -> list[tuple[list[str], list[Case]]]:
    """Frameworks that are asked for the same cases on the same device: measured together."""
    asked: dict[tuple, dict[str, dict[str, Case]]] = {}
    for (framework, name), case in cases.items():
        place = asked.setdefault((case.device, case.threads), {})
        place.setdefault(framework, {})[name] = case
    groups: list[tuple[list[str], dict[str, Case]]] = []
    for place in asked.values():
        found: list[tuple[list[str], dict[str, Case]]] = []
        for framework, mine in place.items():
            same = [names for names, other in found if other == mine]
            if same:
                same[0].append(framework)
            else:
                found.append(([framework], mine))
        groups += found
    return [(names, list(mine.values())) for names, mine in groups]


def _failures(findings: Iterable[Finding]) -> tuple[str, ...]:
    """The rungs that did not hold, in words."""
    return tuple(
        f"{one.rung} {one.metric}: {one.value:.2g} at {one.where} is beyond {one.bound:.2g}"
        if one.status == "failed"
        else f"{one.rung} not run: {one.cause}"
        for one in findings
        if one.status != "passed"
    )


def _key(config: RunConfig) -> Key:
    return config.framework, _case(config).name


def _case(config: RunConfig) -> Case:
    """The configuration as a case of the ladder; its name tells apart all that is checked."""
    from benchmarks.fidelity.case import Case
    from benchmarks.fidelity.ladder import smallest_input

    one_epoch = {"epochs": 1, "early_stopping": None, "reduce_on_plateau": None, "keep_best": None}
    recipe = msgspec.structs.replace(config.recipe, batch_size=BATCH_SIZE, **one_epoch)
    case = Case(
        name="",
        architecture=config.architecture,
        input_shape=smallest_input(config.architecture, config.data.image_channels),
        classes=config.data.classes,
        recipe=recipe,
        precision=config.precision,
        device=config.device,
        tuning=config.tuning,
        deterministic=config.deterministic,
        threads=config.threads,
        images=IMAGES,
        measure=("structure", "forward", "gradients", "steps"),
        steps=1,
    )
    digest = hashlib.sha256(msgspec.json.encode(case)).hexdigest()[:8]
    name = f"{config.architecture.name}-{config.tuning}-{config.precision}-{digest}"
    return msgspec.structs.replace(case, name=name)


def _without_runtime(case: Case) -> str:
    """What the settled seed depends on, as text."""
    plain = msgspec.structs.replace(
        case, name="", precision="float32", device="cpu", tuning="idiomatic", threads=1
    )
    return msgspec.json.encode(plain).decode()
