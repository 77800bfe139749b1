"""One climb of the ladder: the cases asked for, measured, judged, printed and kept."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.fidelity.cases import ladder
from benchmarks.fidelity.cases.case import Case
from benchmarks.fidelity.console import show, tell
from benchmarks.fidelity.measure.__main__ import REFERENCE
from benchmarks.fidelity.measure.collect import collect
from benchmarks.fidelity.options import RUNGS, STEPS, parser
from benchmarks.fidelity.rungs import divergence as noise
from benchmarks.fidelity.rungs.divergence_run import against_own_noise
from benchmarks.fidelity.rungs.finding import Finding
from benchmarks.fidelity.rungs.judge import judge
from benchmarks.fidelity.rungs.settle import settled
from benchmarks.process import device, interpreters
from benchmarks.system import machine
from frameworks.backend import without_version
from frameworks.spec.architecture import Architecture, load
from results.parquet import findings as kept
from results.store import Store
from results.vocabulary import Precision, unknown
from results.writer import scratch_directory


@dataclass(frozen=True)
class Part:
    """The unit that is measured, judged and saved together: one network, or the optimizers alone.

    noise: the plain cases of R5c. left_out: what was asked for and cannot be run.
    """

    name: str
    cases: list[Case]
    noise: list[Case] = dataclasses.field(default_factory=list)
    left_out: list[Finding] = dataclasses.field(default_factory=list)


def climb(options: argparse.Namespace, command: Sequence[str]) -> int:
    """Status 0 when every rung held, 1 when one failed or could not be run.

    Every part is kept in the store as it is done, so that a climb broken off keeps the others.

    Raises:
        ValueError: something unknown, or a framework that is not installed.
        OSError: galaxies that cannot be read, a store that cannot be written.
    """
    names: list[str] = options.frameworks
    _check_installed(names)
    _check_device(options)
    networks = [load(name) for name in options.architectures]
    options.rungs = _asked(options)
    if options.steps == 1 and {"R5a", "R5b"} & set(options.rungs):
        raise ValueError("--steps 1 is one whole step: --rungs R4; R5a and R5b need two or more")
    Store(options.store).check_writable()
    keep = functools.partial(
        kept.append,
        options.store,
        climb_id=uuid.uuid4().hex,
        started_at=datetime.now(UTC),
        machine=json.dumps(machine.describe()),
        versions=json.dumps(machine.versions()),
        command=" ".join(command),
    )
    findings: list[Finding] = []
    with scratch_directory() as scratch:
        parts = _parts(options, networks, _shared(options, scratch))
        count = sum(len(part.cases) + len(part.noise) for part in parts)
        print(f"{count} cases for {', '.join(names)} and the reference", flush=True)
        for number, part in enumerate(parts, start=1):
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                found, curves = _climb_part(part, options, Path(folder))
            rows = [dataclasses.asdict(one) | _network_of(one.case) for one in found]
            drawn = [dataclasses.asdict(curve) | _network_of(curve.case) for curve in curves]
            path = keep(rows, curves=drawn)
            held = sum(one.status == "passed" for one in found)
            print(
                f"{number}/{len(parts)} {part.name}: {held} of {len(found)} comparisons hold; "
                f"kept in {path}",
                flush=True,
            )
            findings += found
    _say_what_needs_three(findings, names)
    show(findings, verbose=options.verbose)
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


def _climb_part(
    part: Part, options: argparse.Namespace, folder: Path
) -> tuple[list[Finding], list[noise.Curve]]:
    """Measured in all frameworks and judged."""
    names: list[str] = options.frameworks
    how = {"timeout": options.timeout, "parallel": options.parallel, "tell": tell}
    traces = collect([REFERENCE, *names], part.cases, folder, **how)
    findings = [*judge(traces, part.cases, names), *part.left_out]
    curves: list[noise.Curve] = []
    for classes, precision in product(options.classes, options.precision):
        plain = [
            case for case in part.noise if (case.classes, case.precision) == (classes, precision)
        ]
        if not plain:
            continue
        own = folder / f"{classes}-{precision}"
        more, drawn = against_own_noise(plain, names, _steps(options, "R5c"), own, **how)
        findings += more
        curves += drawn
    return findings, curves


def _say_what_needs_three(findings: Sequence[Finding], names: Sequence[str]) -> None:
    """The one comparison that fewer than three frameworks do not get."""
    if len(names) < 3 and any(f.rung == "R1" and f.precision != "float64" for f in findings):
        print(
            "errors of rounding beside the median framework's (R1) need three frameworks: left out"
        )


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


def _parts(
    options: argparse.Namespace, networks: Sequence[Architecture], shared: dict[str, Any]
) -> list[Part]:
    """The optimizers alone and an epoch as runs call it, if asked for, then every network; only
    what has something to do."""
    parts = [
        Part(
            network.name,
            _cases(options, network, shared),
            _noise_cases(options, network, shared),
            _left_out(options, network),
        )
        for network in networks
    ]
    small: dict[str, list[Case]] = {}
    if "R3" in options.rungs:
        small["optimizers"] = ladder.optimizers_alone(options.precision)
    if "R5a" in options.rungs and "float64" in options.precision:
        small["epochs"] = ladder.epochs()
    for name, made in reversed(small.items()):
        parts.insert(0, Part(name, [_computed_as_asked(case, options) for case in made]))
    return [part for part in parts if part.cases or part.noise or part.left_out]


def _cases(
    options: argparse.Namespace, network: Architecture, shared: dict[str, Any]
) -> list[Case]:
    """A network's cases of the rungs asked for, R5c apart."""
    optimizers = _optimizers(options)
    training: dict[str, Any] = shared | {"test_images": options.batch_size}
    networks = [network]
    cases: list[Case] = []
    if "R0-R2" in options.rungs:
        batches = ladder.one_batch(networks, options.precision, options.classes, **shared)
        cases += [settled(case) for case in batches]
    for classes in options.classes:
        if "R4" in options.rungs:
            each = options.precision, optimizers, options.rate
            whole = ladder.one_step(networks, *each, classes=classes, **shared)
            cases += [settled(case) for case in whole]
        if "R5a" in options.rungs and "float64" in options.precision:
            exact = optimizers, _steps(options, "R5a"), options.adam_epsilon, options.rate
            both = training | {"measure": ("steps", "epoch")}
            cases += ladder.trajectories(networks, *exact, classes=classes, **both)
        if "R5b" in options.rungs:
            for precision in _rounding(options):
                smooth = optimizers, _steps(options, "R5b"), options.rate, precision
                cases += ladder.smooth_trajectories(networks, *smooth, classes=classes, **training)
    return [_as_asked(case, options) for case in cases]


def _noise_cases(
    options: argparse.Namespace, network: Architecture, shared: dict[str, Any]
) -> list[Case]:
    """A network's plain cases of R5c, at the rates of R3."""
    if "R5c" not in options.rungs:
        return []
    label = f"noise-{options.steps}steps" if options.steps else "noise"
    return [
        _as_asked(
            ladder.make(network, optimizer, precision, label=label, classes=classes, **shared),
            options,
        )
        for classes in options.classes
        for precision in _rounding(options)
        for optimizer in _optimizers(options)
    ]


def _rounding(options: argparse.Namespace) -> list[Precision]:
    """Those asked for in which rounding decides how long two trainings stay together."""
    return [precision for precision in options.precision if precision != "float64"]


def _optimizers(options: argparse.Namespace) -> list[str]:
    """Those asked for; Adam by default."""
    names: list[str] = options.optimizers or ["adam"]
    for name in names:
        if name not in ladder.DYADIC:
            raise ValueError(unknown("optimizer", name, ladder.DYADIC))
    return names


def _steps(options: argparse.Namespace, rung: str) -> int:
    steps: int = options.steps or STEPS[rung]
    return steps


# Rungs of float64 (R5a) and of what is below it; the precision named where it is left out.
_ONE_PRECISION = {"R5a": "float64", "R5b": "float32", "R5c": "float32"}


def _has(options: argparse.Namespace, rung: str) -> bool:
    """Whether a rung has something to do in the precisions asked for."""
    if rung == "R5a":
        return "float64" in options.precision
    return rung not in _ONE_PRECISION or bool(_rounding(options))


def _asked(options: argparse.Namespace) -> list[str]:
    """The rungs asked for; by default the first four that the precisions have."""
    return options.rungs or [rung for rung in RUNGS[:4] if _has(options, rung)]


def _left_out(options: argparse.Namespace, network: Architecture) -> list[Finding]:
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
        if rung in options.rungs and not _has(options, rung)
        for framework in options.frameworks
    ]


def _as_asked(case: Case, options: argparse.Namespace) -> Case:
    """A network's case as the command asks for it; its name says what is not the default."""
    said = [Path(options.pictures).stem] if options.pictures else []
    if options.size:
        said.append(f"{options.size}px")
    if options.batch_size != _default("batch_size"):
        said.append(f"batch{options.batch_size}")
    if case.steps and options.rate is not None:
        said.append(f"rate{options.rate:g}")
    if case.steps > 1 and options.adam_epsilon != _default("adam_epsilon"):
        said.append(f"epsilon{options.adam_epsilon:g}")
    named = msgspec.structs.replace(case, name="-".join([case.name, *said]))
    return _computed_as_asked(named, options)


def _computed_as_asked(case: Case, options: argparse.Namespace) -> Case:
    """The case on the device and for the backends of the tuning asked for, and so named."""
    unusual = [one for one in (options.tuning, options.device) if one not in ("idiomatic", "cpu")]
    name = "-".join([case.name, *unusual])
    return msgspec.structs.replace(case, name=name, tuning=options.tuning, device=options.device)


def _default(option: str) -> Any:
    return parser().get_default(option)
