"""One climb of the ladder: the cases asked for, measured, judged, told and kept."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import sys
import tempfile
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.fidelity import console, estimate, plan
from benchmarks.fidelity.measure.__main__ import REFERENCE
from benchmarks.fidelity.measure.collect import collect
from benchmarks.fidelity.options import CLASSES, FULL_STEPS, RUNGS
from benchmarks.fidelity.plan import SMALL, Part
from benchmarks.fidelity.rungs import divergence as noise
from benchmarks.fidelity.rungs import verdict
from benchmarks.fidelity.rungs.divergence_run import against_own_noise
from benchmarks.fidelity.rungs.finding import Finding
from benchmarks.fidelity.rungs.judge import judge
from benchmarks.process import device, interpreters
from benchmarks.system import machine
from frameworks.backend import without_version
from frameworks.spec.architecture import load
from results.forms import finite
from results.names import beneath
from results.output import say
from results.parquet import findings as kept
from results.store import Store
from results.words import count
from results.writer import scratch_directory, write

Climbed = tuple[list[Finding], list[noise.Curve]]


def climb(options: argparse.Namespace, command: Sequence[str]) -> int:
    """Status 0 when every rung held, 1 when one failed or could not be run.

    A network is kept in the store as it is done, so that a climb broken off keeps the others.

    Raises:
        ValueError: something unknown, or a framework that is not installed.
        OSError: galaxies that cannot be read, a store that cannot be written.
    """
    names: list[str] = options.frameworks
    _check_installed(names)
    _check_device(options)
    networks = [load(name) for name in options.architectures]
    if options.steps == 1 and {"R5a", "R5b"} & set(plan.rungs(options)):
        raise ValueError("--steps 1 is one whole step: --rungs R4; R5a and R5b need two or more")
    if not options.dry_run:
        Store(options.store).check_writable()
    findings: list[Finding] = []
    with scratch_directory() as scratch:
        parts = plan.parts(options, networks, plan.shared(options, scratch))
        total = _announce(parts, options)
        if options.dry_run:
            return 0
        keep = functools.partial(
            kept.append,
            options.store,
            climb_id=uuid.uuid4().hex,
            started_at=datetime.now(UTC),
            machine=json.dumps(machine.describe()),
            versions=json.dumps(machine.versions()),
            command=" ".join(command),
        )
        progress = console.Progress(total)
        for group in _groups(parts):
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                climbed = _climb_group(group, options, Path(folder), progress)
            for part, (found, curves) in zip(group, climbed, strict=True):
                rows = [dataclasses.asdict(one) | _network_of(one.case) for one in found]
                drawn = [dataclasses.asdict(curve) | _network_of(curve.case) for curve in curves]
                path = keep(rows, curves=drawn)
                held = sum(one.status == "passed" for one in found)
                console.tell(
                    f"{part.name}: {held} of {count(len(found), 'comparison')} held; in {path}"
                )
                findings += found
            if options.output:
                write(options.output, json.dumps(_told(findings, options), indent=1) + "\n")
    _say(findings, options)
    return int(any(finding.status != "passed" for finding in findings))


def _check_installed(names: Sequence[str]) -> None:
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise ValueError(f"--frameworks names '{twice}' twice: it would be compared with itself")
    for name in names:
        if (base := without_version(name)) != name:
            raise ValueError(
                f"'{name}': the ladder runs in one interpreter; run it with that of the version, "
                f"as in old/bin/python -m benchmarks.fidelity --frameworks {base}"
            )
    interpreters.check_here(names)


def _check_device(options: argparse.Namespace) -> None:
    """Raises DeviceError, a ValueError, for a device or a precision that cannot be had here."""
    gpus = machine.gpus()
    devices, _ = device.resolve(options.device, options.frameworks, gpus=gpus)
    device.check_precision(options.precision, devices, gpus)


def _groups(parts: Sequence[Part]) -> list[list[Part]]:
    """The parts that the same processes measure: a network, the first with all that is small."""
    small = [part for part in parts if part.name in SMALL]
    networks = [[part] for part in parts if part.name not in SMALL]
    first, *rest = networks or [[]]
    return [[*small, *first], *rest]


def _climb_group(
    group: Sequence[Part], options: argparse.Namespace, folder: Path, progress: console.Progress
) -> list[Climbed]:
    """Measured in all frameworks and judged, part by part."""
    names: list[str] = options.frameworks
    how = {"timeout": options.timeout, "parallel": options.parallel}
    cases = [case for part in group for case in part.cases]
    asked = {"asked_of": plan.asked_of, "done": progress.done, "seconds": estimate.of_case}
    traces = collect([REFERENCE, *names], cases, folder, **how, **asked)  # type: ignore[arg-type]
    climbed = []
    for part in group:
        findings = [*judge(traces, part.cases, names), *part.left_out]
        curves: list[noise.Curve] = []
        for classes, precision in product(plan.classes(options), options.precision):
            plain = [
                one for one in part.noise if (one.classes, one.precision) == (classes, precision)
            ]
            if plain:
                own = beneath(folder, f"{part.name}-{classes}-{precision}")
                steps = plan.steps(options, "R5c")
                more, drawn = against_own_noise(plain, names, steps, own, **how, tell=console.tell)
                findings += more
                curves += drawn
        climbed.append((findings, curves))
    return climbed


def _announce(parts: Sequence[Part], options: argparse.Namespace) -> int:
    """Say how much is asked, of whom, and about how long it takes; how many answers that are."""
    names: list[str] = options.frameworks
    cases = [case for part in parts for case in part.cases]
    total = sum(plan.asked_of(name, case) for name in (REFERENCE, *names) for case in cases)
    seconds = estimate.seconds(cases, names, options.parallel, plan.asked_of)
    noise = sum(len(part.noise) for part in parts)
    more = f", and {noise} of R5c, whose time is not estimated" if noise else ""
    console.tell(
        f"{count(len(cases), 'case')} of {', '.join(plan.rungs(options))} for {', '.join(names)} "
        f"and the reference: about {estimate.duration(seconds)} on "
        f"{count(options.parallel, 'free core')}{more}"
    )
    if options.dry_run:
        console.lines(
            [f"{part.name}: {count(len(part.cases) + len(part.noise), 'case')}" for part in parts]
            + [case.name for case in cases if options.details]
            + [_not_asked(options)]
        )
    return total


def _say(findings: Sequence[Finding], options: argparse.Namespace) -> None:
    """The answer, and what it does not cover."""
    names: list[str] = options.frameworks
    verdicts, rungs = verdict.verdicts(findings, names), verdict.rungs(findings)
    if options.json:
        json.dump(_told(findings, options), sys.stdout, indent=1)
        say()
        return
    if options.details or options.verbose:
        console.details(findings, verbose=options.verbose)
    failures = [one for one in findings if one.status != "passed"]
    console.answer(verdicts, rungs, _not_asked(options), failures)


def _told(findings: Sequence[Finding], options: argparse.Namespace) -> Any:
    """The answer and every finding, for programs."""
    verdicts = verdict.verdicts(findings, options.frameworks)
    said = {
        "verdicts": [dataclasses.asdict(one) for one in verdicts],
        "rungs": [dataclasses.asdict(one) for one in verdict.rungs(findings)],
        "not_asked": _not_asked(options),
        "findings": [dataclasses.asdict(one) for one in findings],
    }
    return finite(said)


def _not_asked(options: argparse.Namespace) -> str:
    """The rungs and options that a climb could have asked and did not."""
    left = [rung for rung in RUNGS if rung not in plan.rungs(options)]
    if heads := [n for n in CLASSES if not options.pictures and n not in plan.classes(options)]:
        left.append(f"heads of {' and '.join(map(str, heads))} classes")
    left += [
        f"{FULL_STEPS[rung]} steps of {rung} ({plan.steps(options, rung)})"
        for rung in plan.rungs(options)
        if rung in FULL_STEPS and plan.steps(options, rung) < FULL_STEPS[rung]
    ]
    if "R3" in plan.rungs(options):
        alone = plan.parts_alone(options)
        others = [one for one in options.precision if one not in alone]
        left += [f"R3 of schedules and clipping in {one}" for one in others]
    left += [
        f"{one} backends" for one in ("idiomatic", "tuned") if one not in plan.tunings(options)
    ]
    if len(options.frameworks) < 3:
        left.append("R1's errors beside the median framework's, which needs three")
    how = "" if options.full else " (--full asks most of it)"
    return f"Not asked{how}: {'; '.join(left)}." if left else ""


def _network_of(case_name: str) -> dict[str, str]:
    return {"architecture": case_name.split("-")[0]}
