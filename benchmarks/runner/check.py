"""Cheap checks of a suite, before any galaxy is read: frameworks, devices, threads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.config.suite import Suite
from benchmarks.process import device
from benchmarks.process.interpreters import check as check_interpreters
from benchmarks.process.interpreters import parse as parse_interpreters
from benchmarks.process.slowdown import VARIABLE, injected
from benchmarks.system import machine
from frameworks.backend import framework
from frameworks.spec.architecture import load
from results.vocabulary import Device


class ModuleError(ValueError):
    """A framework is not installed; the message says how to install it."""


def missing_frameworks(names: Iterable[str]) -> dict[str, list[str]]:
    """The frameworks that are not installed, each with the distributions it lacks.

    Raises:
        SpecificationError: an unknown framework.
    """
    lacking = {name: framework(name).missing_packages() for name in names}
    return {name: packages for name, packages in lacking.items() if packages}


def _how_to_install(missing: dict[str, list[str]]) -> str:
    lacking = "; ".join(f"{name} needs {', '.join(missing[name])}" for name in missing)
    packages = dict.fromkeys(package for packages in missing.values() for package in packages)
    return (
        f"not installed: {lacking}. Install with: "
        f"python -m pip install -c constraints.txt {' '.join(packages)}"
    )


def _threads(asked: int) -> int:
    usable = len(machine.usable_cpus())
    if asked > usable:
        raise ValueError(f"--threads {asked}: this process may use {usable} CPUs; ask for fewer.")
    return asked or usable


@dataclass(frozen=True)
class Checked:
    """Where a suite's frameworks can run.

    devices: by framework. missing: frameworks that are not installed, each with how to install it.
    interpreters: of frameworks that do not run in this one. notes: sentences for the user.
    """

    devices: dict[str, Device]
    threads: int
    missing: Mapping[str, str]
    interpreters: Mapping[str, str]
    notes: Sequence[str]


def check(suite: Suite, *, named: bool, python: Sequence[str] = ()) -> Checked:
    """Check that a suite can run on this machine, without reading its galaxies.

    Args:
        named: the user named the frameworks, not the suite: all must be installed.
        python: `NAME=PATH`, interpreters of frameworks that do not run in this one.

    Raises:
        ValueError: the suite cannot run here; the message says what to do.
    """
    for name in suite.architectures:
        load(name)
    interpreters = parse_interpreters(python, suite.frameworks)
    check_interpreters(suite.frameworks, interpreters)
    missing = missing_frameworks(name for name in suite.frameworks if name not in interpreters)
    if missing and (named or len(missing) == len(set(suite.frameworks))):
        raise ModuleError(_how_to_install(missing))
    threads = _threads(suite.threads)
    installed = [name for name in suite.frameworks if name not in missing]
    gpus = machine.gpus()
    devices, notes = device.resolve(suite.device, installed, gpus=gpus, interpreters=interpreters)
    if share := injected():
        notes.append(f"{VARIABLE} is set: every epoch takes {share:.0%} longer, on purpose")
    device.check_precision(suite.precision, devices, gpus)
    install = {name: _how_to_install({name: missing[name]}) for name in missing}
    return Checked(devices, threads, install, interpreters, notes)
