"""Cheap checks of a suite, before any galaxy is read: frameworks, devices, threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.config.matrix import rate_note
from benchmarks.config.suite import Suite
from benchmarks.process import device, interpreters
from benchmarks.process.slowdown import VARIABLE, injected
from benchmarks.runner import replicas
from benchmarks.system import machine
from frameworks.spec.architecture import load
from results.vocabulary import AskedDevice, Device


def _threads(asked: int) -> int:
    usable = len(machine.usable_cpus())
    if asked > usable:
        raise ValueError(f"--threads {asked}: this process may use {usable} CPUs; ask for fewer.")
    return asked or usable


def _device_of(asked: AskedDevice, nodes: Elsewhere) -> Device:
    if asked == "cuda" and not nodes.gpu:
        raise ValueError(
            "--device cuda: the nodes give no GPU; with Slurm add --executor-option gres=gpu:1, or "
            "what your cluster calls it."
        )
    return "cuda" if nodes.gpu and asked != "cpu" else "cpu"


@dataclass(frozen=True)
class Elsewhere:
    """The nodes that runs are made on, in place of this machine: CPUs of one, and whether it lends
    the runs a GPU."""

    cpus: int
    gpu: bool = False


@dataclass(frozen=True)
class Checked:
    """Devices and interpreters of a suite's frameworks.

    devices: by framework. missing: how to install each framework that is not installed.
    interpreters: those of frameworks that do not run in this one. notes: sentences for the user.
    """

    devices: dict[str, Device]
    threads: int
    missing: Mapping[str, str]
    interpreters: Mapping[str, str]
    notes: Sequence[str]


def check(
    suite: Suite,
    *,
    named: bool,
    python: Sequence[str] = (),
    elsewhere: Elsewhere | None = None,
) -> Checked:
    """Check that a suite can run, on this machine or elsewhere, without reading its galaxies.

    Args:
        named: the user named the frameworks, not the suite: all must be installed.
        python: `NAME=PATH`, interpreters of frameworks that do not run in this one.
        elsewhere: nodes, whose devices are not asked: each block does so on its own.

    Raises:
        ValueError: the suite cannot run here; the message says what to do.
    """
    for name in suite.architectures:
        load(name)
    pythons = interpreters.parse(python, suite.frameworks)
    interpreters.check(suite.frameworks, pythons)
    missing = interpreters.missing(name for name in suite.frameworks if name not in pythons)
    if missing and (named or len(missing) == len(set(suite.frameworks))):
        raise interpreters.InterpreterError(interpreters.how_to_install(missing))
    installed = [name for name in suite.frameworks if name not in missing]
    if elsewhere is None:
        threads, gpus = _threads(suite.threads), machine.gpus()
        devices, notes = device.resolve(suite.device, installed, gpus=gpus, interpreters=pythons)
    else:
        threads, gpus, notes = suite.threads or elsewhere.cpus, [], []
        devices = dict.fromkeys(installed, _device_of(suite.device, elsewhere))
    if share := injected():
        notes.append(f"{VARIABLE} is set: every epoch takes {share:.0%} longer, on purpose")
    if left_open := rate_note(suite):
        notes.append(left_open)
    device.check_precision(suite.precision, devices, gpus)
    for count in suite.replicas:
        if count > 1:
            replicas.check(count, suite, devices)
    install = {name: interpreters.how_to_install({name: missing[name]}) for name in missing}
    return Checked(devices, threads, install, pythons, notes)
