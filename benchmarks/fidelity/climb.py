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
from benchmarks.fidelity.case import Case
from benchmarks.fidelity.collect import collect
from benchmarks.fidelity.console import show
from benchmarks.fidelity.measure import REFERENCE
from benchmarks.fidelity.rungs import Finding, judge
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
    started = datetime.now(UTC)
    curves: list[noise.Curve] = []
    with tempfile.TemporaryDirectory(prefix="fidelity-") as scratch:
        shared = _shared(options, Path(scratch))
        cases = _cases(options, networks, shared)
        print(f"{len(cases)} cases for {', '.join(names)} and the reference", flush=True)
        traces = collect([REFERENCE, *names], cases, Path(scratch), timeout=options.timeout)
        findings = judge(traces, cases, names)
        if "R5c" in options.rungs:
            for network in networks:
                more, drawn = _against_own_noise(network, options, shared, Path(scratch))
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


def _network_of(case_name: str) -> dict[str, str]:
    return {"architecture": case_name.split("-")[0]}


def _shared(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """What all cases have in common: size, batch, threads, pictures."""
    shared: dict[str, Any] = {
        "size": options.size,
        "batch_size": options.batch_size,
        "threads": options.threads,
        "images": options.batch_size * 5,
        "classes": options.classes[0],
    }
    if options.pictures:
        from datasets import catalog

        data = catalog.load(options.pictures, image_size=options.size or None)
        path = scratch / "pictures.npz"
        np.savez(path, images=data.images, labels=data.labels)
        shared |= {"pictures": str(path), "size": data.images.shape[1]}
        shared |= {"images": len(data.labels), "classes": len(data.class_names)}
        options.classes = [len(data.class_names)]
    return shared


def _cases(
    options: argparse.Namespace, networks: list[Architecture], shared: dict[str, Any]
) -> list[Case]:
    """The cases of the rungs asked for, R5c apart."""
    optimizers = options.optimizers or ["adam"]
    if unknown := [name for name in optimizers if name not in ladder.DYADIC]:
        raise ValueError(f"unknown optimizer {unknown[0]}; known: {', '.join(ladder.DYADIC)}")
    training = shared | {
        "test_images": options.batch_size,
        "record_every": max(1, options.steps // 8),
    }
    cases: list[Case] = []
    if "R0-R2" in options.rungs:
        one = {key: value for key, value in shared.items() if key != "classes"}
        batches = ladder.one_batch(networks, options.precision, options.classes, **one)
        cases += [ladder.settled(case) for case in batches]
    if "R3" in options.rungs:
        cases += ladder.optimizers_alone(options.precision)
    if "R4" in options.rungs:
        steps = ladder.one_step(networks, options.precision, **shared)
        cases += [ladder.settled(case) for case in steps]
    if "R5a" in options.rungs and "float64" in options.precision:
        epsilon = options.adam_epsilon
        cases += ladder.trajectories(networks, optimizers, options.steps, epsilon, **training)
    if "R5b" in options.rungs and "float32" in options.precision:
        cases += ladder.smooth_trajectories(networks, optimizers, options.steps, **training)
    return [_of_tuning(case, options.tuning) for case in cases]


def _of_tuning(case: Case, tuning: str) -> Case:
    """The case for the backends of a tuning; the name of a tuned one says so."""
    if tuning == "idiomatic":
        return case
    return msgspec.structs.replace(case, name=f"{case.name}-{tuning}", tuning=tuning)


def _against_own_noise(
    network: Architecture, options: argparse.Namespace, shared: dict[str, Any], scratch: Path
) -> tuple[list[Finding], list[noise.Curve]]:
    """R5c for one network: measure the forward error, then every control it sets the size of."""
    names: list[str] = options.frameworks
    plain = ladder.make(network, "adam", "float32", label="noise", **shared)
    plain = _of_tuning(plain, options.tuning)
    forward = msgspec.structs.replace(plain, measure=("forward",))
    folder = scratch / f"noise-{network.name}"
    found = collect([REFERENCE, *names], [forward], folder / "forward", timeout=options.timeout)
    if unmeasured := [t for t in found.values() if t.path is None]:
        return [
            Finding(
                "R5c",
                plain.name,
                trace.framework,
                "itself",
                plain.precision,
                "",
                np.nan,
                np.nan,
                "not run",
                cause=trace.reason,
            )
            for trace in unmeasured
        ], []
    error = noise.forward_error(forward, found, names)
    training = msgspec.structs.replace(
        plain, measure=("steps",), steps=options.steps, record_every=options.steps
    )
    controls = [*noise.controls(training, error), noise.in_float64(training)]
    traces = collect(names, controls, folder, timeout=options.timeout)
    if failed := [trace for trace in traces.values() if trace.path is None]:
        return [
            Finding(
                "R5c",
                trace.case.name,
                trace.framework,
                "itself",
                trace.case.precision,
                "",
                np.nan,
                np.nan,
                "not run",
                cause=trace.reason,
            )
            for trace in failed
        ], []
    curves = noise.curves(training, traces, names)
    return noise.judge(training, curves), curves
