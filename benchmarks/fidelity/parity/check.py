"""Does a configuration compute what the reference computes? Asked before its speed is measured.

Three questions through `benchmarks.fidelity` (see `cases`), with the run's own layers,
optimizer, tuning, precision, device, threads and feed: every part of the network and one step on
the smallest pictures that fit; on these an epoch in the very calls that are timed (data staged,
compiled, several steps and a smaller last batch at once); and in the same calls a step of the run's
own picture and batch size, where faults show that depend on a size. They are held against the
float64 NumPy reference within the bounds written down there; a step that is too much for NumPy
against the framework's own idiomatic backend in float64.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.config.plan import PlannedRun
from benchmarks.config.runconfig import RunConfig
from results.words import count

if TYPE_CHECKING:
    from benchmarks.fidelity.cases.case import Case
    from benchmarks.fidelity.measure.collect import Trace, Traces
    from benchmarks.fidelity.parity.cases import Asked
    from benchmarks.fidelity.rungs.judge import Finding

_TIMEOUT = 1200.0

Key = tuple[str, str]  # framework, name of what it was asked


@dataclass(frozen=True)
class Checked:
    """Result of one configuration's check; `failures` are the rungs that did not hold, in words."""

    passed: bool
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class ParityChecks:
    """The checks of a session, by framework and what it was asked."""

    results: Mapping[Key, Checked] = field(default_factory=dict)

    def of(self, config: RunConfig) -> Checked | None:
        """The check of a configuration; None when it was not checked."""
        if not self.results or not can_be_checked(config):
            return None
        return self.results.get(key_of(config))


def can_be_checked(config: RunConfig) -> bool:
    """Under matched parity."""
    return config.parity == "matched"


def key_of(config: RunConfig) -> Key:
    """Key of a check: one check serves all configurations that share it."""
    from benchmarks.fidelity.parity.cases import asked

    return config.framework, asked(config).name


def check(
    runs: Iterable[PlannedRun], scratch: Path, *, tell: Callable[[str], None] = lambda text: None
) -> ParityChecks:
    """Check every configuration of these runs once, a process for each, in the run's interpreter.

    One that cannot be measured has not passed. Runs that are skipped are not checked.

    Args:
        scratch: a directory for the arrays.
        tell: called with a line before each configuration, for each that failed, and at the end.
    """
    first: dict[Key, PlannedRun] = {}
    for run in runs:
        if not run.skip and can_be_checked(run.config):
            first.setdefault(key_of(run.config), run)
    if not first:
        return ParityChecks()
    start = time.perf_counter()
    asked = _settled({key: run.config for key, run in first.items()})
    oracle = _Oracle(asked.values(), scratch / "reference", tell)
    results: dict[Key, Checked] = {}
    for number, (key, run) in enumerate(first.items()):
        tell(f"parity of {_words(run.config)} ({number + 1} of {len(first)})")
        failed = failures(_judged(asked[key], run, oracle, scratch / f"configuration{number}"))
        results[key] = Checked(not failed, failed)
        for words in failed:
            tell(f"parity not shown: {_words(run.config)}: {words}")
    tell(f"parity checked in {time.perf_counter() - start:.0f} s")
    return ParityChecks(results)


def _words(config: RunConfig) -> str:
    """The configuration in words: framework, network, tuning, precision, batch size."""
    return (
        f"{config.framework} {config.architecture.name}, {config.tuning}, {config.precision}, "
        f"batch {config.recipe.batch_size}"
    )


def _settled(configs: Mapping[Key, RunConfig]) -> dict[Key, Asked]:
    """Questions to each configuration; the seed of their parts keeps units far from any kink."""
    from benchmarks.fidelity.parity import cases as parity_cases
    from benchmarks.fidelity.rungs.settle import settled

    seeds: dict[str, int] = {}
    found = {}
    for key, config in configs.items():
        questions = parity_cases.asked(config)
        plain = parity_cases.for_the_oracle(questions.parts)
        if plain.name not in seeds:
            seeds[plain.name] = settled(msgspec.structs.replace(plain, precision="float32")).seed
        parts = msgspec.structs.replace(questions.parts, seed=seeds[plain.name])
        found[key] = replace(questions, parts=parts)
    return found


class _Oracle:
    """Results of the float64 NumPy reference, which computes each case once for all that ask it."""

    def __init__(
        self, asked: Iterable[Asked], directory: Path, tell: Callable[[str], None]
    ) -> None:
        from benchmarks.fidelity.measure.__main__ import REFERENCE
        from benchmarks.fidelity.measure.collect import collect
        from benchmarks.fidelity.parity.cases import for_the_oracle, within_the_oracle

        self._name = REFERENCE
        cases = {
            plain.name: plain
            for kind in zip(*(questions.cases for questions in asked), strict=True)
            for case in kind  # the large ones last, should the time not be enough
            if within_the_oracle(case)
            for plain in [for_the_oracle(case)]
        }
        tell(f"parity: the float64 NumPy reference computes {count(len(cases), 'case')} first")
        self._traces = collect([REFERENCE], list(cases.values()), directory, timeout=_TIMEOUT)

    def __getitem__(self, case: Case) -> Trace | None:
        """The trace of the case; None where it is too much for it."""
        from benchmarks.fidelity.parity.cases import for_the_oracle

        return self._traces.get((self._name, for_the_oracle(case).name))


def _judged(asked: Asked, run: PlannedRun, oracle: _Oracle, directory: Path) -> list[Finding]:
    """Every rung of one configuration, measured in a process of its own."""
    from benchmarks.fidelity.measure.__main__ import REFERENCE
    from benchmarks.fidelity.measure.collect import collect
    from benchmarks.fidelity.parity.cases import judge_timed, plain_float64
    from benchmarks.fidelity.rungs.judge import judge

    framework = run.config.framework
    interpreters = {framework: run.python} if run.python else {}

    def measured(cases: list[Case]) -> Traces:
        return collect([framework], cases, directory, timeout=_TIMEOUT, interpreters=interpreters)

    traces = measured(list(asked.cases))
    parts = oracle[asked.parts]
    assert parts is not None
    both = traces | {(REFERENCE, asked.parts.name): parts}
    findings = judge(both, [asked.parts], [framework])
    for case, words in asked.timed:
        reference = oracle[case]
        if reference is None:
            plain = plain_float64(case)
            reference = measured([plain])[framework, plain.name]
        findings += judge_timed(case, traces[framework, case.name], reference, words)
    return findings


def failures(findings: Iterable[Finding]) -> tuple[str, ...]:
    """The rungs that did not hold, in words; empty when all did."""
    return tuple(
        f"{one.rung} {one.metric}: {one.value:.2g} at {one.where} is beyond {one.bound:.2g}"
        if one.status == "failed"
        else f"{one.rung} not run: {one.cause}"
        for one in findings
        if one.status != "passed"
    )
