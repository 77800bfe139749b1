"""One climb of the ladder: the cases asked for, measured, judged, printed and kept."""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks import machine
from benchmarks.fidelity import ladder, noise
from benchmarks.fidelity.__main__ import RUNGS, STEPS
from benchmarks.fidelity.case import Case
from benchmarks.fidelity.collect import collect
from benchmarks.fidelity.console import show
from benchmarks.fidelity.finding import Finding
from benchmarks.fidelity.measure import REFERENCE
from benchmarks.fidelity.noise_run import against_own_noise
from benchmarks.fidelity.rungs import judge
from frameworks.architecture import Architecture, load
from frameworks.backend import framework, without_version
from results import findings as kept


def climb(options: argparse.Namespace, command: Sequence[str]) -> int:
    """Status 0 when every rung held, 1 when one failed or could not be run.

    Raises:
        ValueError: something unknown, or a framework that is not installed.
        OSError: galaxies that cannot be read, a store that cannot be written.
    """
    names: list[str] = options.frameworks
    for name in names:
        if (base := without_version(name)) != name:
            raise ValueError(
                f"'{name}': the ladder runs in one interpreter; run it with that of the version, "
                f"as in old/bin/python -m benchmarks.fidelity --frameworks {base}"
            )
    if missing := {package for name in names for package in framework(name).missing_packages()}:
        listed = " ".join(sorted(missing))
        raise ValueError(
            f"not installed: {listed}. Install with: pip install -c constraints.txt {listed}"
        )
    networks = [load(name) for name in options.architectures]
    options.rungs = _asked(options)
    started = datetime.now(UTC)
    curves: list[noise.Curve] = []
    with tempfile.TemporaryDirectory(prefix="fidelity-") as scratch:
        shared = _shared(options, Path(scratch))
        cases = _cases(options, networks, shared)
        print(f"{len(cases)} cases for {', '.join(names)} and the reference", flush=True)
        traces = collect([REFERENCE, *names], cases, Path(scratch), timeout=options.timeout)
        findings = [*judge(traces, cases, names), *_left_out(options, networks)]
        _say_what_needs_three(findings, names)
        for plain in _noise_cases(options, networks, shared):
            folder = Path(scratch) / plain.name
            more, drawn = against_own_noise(
                plain, names, _steps(options, "R5c"), folder, timeout=options.timeout
            )
            findings += more
            curves += drawn
    show(findings, verbose=options.verbose)
    path = kept.append(
        options.store,
        [dataclasses.asdict(finding) | _network_of(finding.case) for finding in findings],
        curves=[dataclasses.asdict(curve) | _network_of(curve.case) for curve in curves],
        started_at=started,
        machine=json.dumps(machine.describe()),
        versions=json.dumps(machine.versions()),
        command=" ".join(command),
    )
    print(f"kept in {path}")
    return int(any(finding.status != "passed" for finding in findings))


def _say_what_needs_three(findings: Sequence[Finding], names: Sequence[str]) -> None:
    """The one comparison that fewer than three frameworks do not get."""
    if len(names) < 3 and any(f.rung == "R1" and f.precision == "float32" for f in findings):
        print("float32 errors beside the median framework's (R1) need three frameworks: left out")


def _network_of(case_name: str) -> dict[str, str]:
    return {"architecture": case_name.split("-")[0]}


def _shared(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """What all cases have in common: size, batch, threads, pictures."""
    shared: dict[str, Any] = {
        "size": options.size,
        "batch_size": options.batch_size,
        "threads": options.threads,
        "images": options.batch_size * 5,
    }
    if options.pictures:
        from datasets import catalog

        data = catalog.load(options.pictures, image_size=options.size or None)
        path = scratch / "pictures.npz"
        np.savez(path, images=data.images, labels=data.labels)
        shared |= {"pictures": str(path), "size": data.images.shape[1]}
        shared["images"] = len(data.labels)
        options.classes = [len(data.class_names)]
    return shared


def _cases(
    options: argparse.Namespace, networks: list[Architecture], shared: dict[str, Any]
) -> list[Case]:
    """The cases of the rungs asked for, R5c apart."""
    optimizers = options.optimizers or ["adam"]
    if unknown := [name for name in optimizers if name not in ladder.DYADIC]:
        raise ValueError(f"unknown optimizer {unknown[0]}; known: {', '.join(ladder.DYADIC)}")
    training: dict[str, Any] = shared | {"test_images": options.batch_size}
    cases: list[Case] = []
    if "R0-R2" in options.rungs:
        batches = ladder.one_batch(networks, options.precision, options.classes, **shared)
        cases += [ladder.settled(case) for case in batches]
    if "R3" in options.rungs:
        cases += ladder.optimizers_alone(options.precision)
    for classes in options.classes:
        if "R4" in options.rungs:
            whole = ladder.one_step(networks, options.precision, classes=classes, **shared)
            cases += [ladder.settled(case) for case in whole]
        if "R5a" in options.rungs and "float64" in options.precision:
            asked = optimizers, _steps(options, "R5a"), options.adam_epsilon, options.rate
            cases += ladder.trajectories(networks, *asked, classes=classes, **training)
        if "R5b" in options.rungs and "float32" in options.precision:
            smooth = optimizers, _steps(options, "R5b"), options.rate
            cases += ladder.smooth_trajectories(networks, *smooth, classes=classes, **training)
    return [_of_tuning(case, options.tuning) for case in cases]


def _noise_cases(
    options: argparse.Namespace, networks: list[Architecture], shared: dict[str, Any]
) -> list[Case]:
    """The plain float32 cases of R5c."""
    if "R5c" not in options.rungs or "float32" not in options.precision:
        return []
    return [
        _of_tuning(
            ladder.make(network, "adam", "float32", label="noise", classes=classes, **shared),
            options.tuning,
        )
        for network in networks
        for classes in options.classes
    ]


def _steps(options: argparse.Namespace, rung: str) -> int:
    steps: int = options.steps or STEPS[rung]
    return steps


_ONE_PRECISION = {"R5a": "float64", "R5b": "float32", "R5c": "float32"}


def _asked(options: argparse.Namespace) -> list[str]:
    """The rungs asked for; by default the first four that the precisions have."""
    return options.rungs or [
        rung
        for rung in RUNGS[:4]
        if _ONE_PRECISION.get(rung, options.precision[0]) in options.precision
    ]


def _left_out(options: argparse.Namespace, networks: list[Architecture]) -> list[Finding]:
    """A rung that was asked for but has nothing in the precisions asked for was not run."""
    return [
        Finding(
            rung,
            f"{network.name}-{precision}",
            framework,
            REFERENCE,
            precision,
            "",
            np.nan,
            np.nan,
            "not run",
            cause=f"{rung} is one of {precision}, which --precision leaves out",
        )
        for rung, precision in _ONE_PRECISION.items()
        if rung in options.rungs and precision not in options.precision
        for network in networks
        for framework in options.frameworks
    ]


def _of_tuning(case: Case, tuning: str) -> Case:
    """The case for the backends of a tuning; the name of a tuned one says so."""
    if tuning == "idiomatic":
        return case
    return msgspec.structs.replace(case, name=f"{case.name}-{tuning}", tuning=tuning)
