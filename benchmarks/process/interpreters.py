"""Interpreters by framework: `--python torch@2.12=PATH` runs that label in another environment.

A label is a framework, or a framework and a version of it (`torch@2.12`), which is a row of its
own in every table. Wheels of several versions, or the CUDA wheels of several frameworks, do not
share one environment; a run has a process of its own anyway.

`python -m benchmarks.process.interpreters NAME`, run by the interpreter that is asked about, tells
what it has.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.process.channel import Channel
from benchmarks.process.spawn import ask
from benchmarks.system import machine
from frameworks.backend import Framework, framework, is_target, without_version
from frameworks.spec.reading import SpecificationError

_ANSWER_SECONDS = 60.0


class Answer(msgspec.Struct):
    """Packages and version of a framework in one interpreter (`describe`)."""

    missing: list[str]
    distribution: str
    version: str
    problem: str


class InterpreterError(ValueError):
    """An interpreter that cannot run what it is named for; the message says what to do."""


def parse(texts: Iterable[str], frameworks: Iterable[str]) -> dict[str, str]:
    """The interpreters of `NAME=PATH`, by framework label.

    Raises:
        InterpreterError: no equals sign, no such file, or a label that is not to be run.
        SpecificationError: an unknown framework.
    """
    labels = list(frameworks)
    found: dict[str, str] = {}
    for text in texts:
        label, equals, path = text.partition("=")
        if not (equals and label and path):
            raise InterpreterError(
                f"--python '{text}': expected NAME=PATH, as in torch@2.12=venv/bin/python"
            )
        framework(label)
        if label in found:
            raise InterpreterError(f"--python {label}=...: is stated twice; name one interpreter")
        if label not in labels:
            raise InterpreterError(
                f"--python {label}=...: {label} is not among the frameworks to run "
                f"({', '.join(labels)}); add it to --frameworks"
            )
        if not os.access(path, os.X_OK) or Path(path).is_dir():
            raise InterpreterError(
                f"--python {label}={path}: no such interpreter; give the path of a python that "
                "can be executed"
            )
        found[label] = os.path.abspath(path)  # not resolved: a venv's python is a link
    return found


def check(frameworks: Iterable[str], given: Mapping[str, str]) -> None:
    """Check that every label has an interpreter with its framework, in the version asked for.

    For a label `module:Class`, check that the class is there and is a backend.

    Args:
        frameworks: labels to run.
        given: interpreters by label; the others run in this one.

    Raises:
        InterpreterError: the message names label, interpreter, what it lacks and how to get it.
    """
    for label in dict.fromkeys(frameworks):
        base = without_version(label)
        if label not in given and base == label and not is_target(label):
            continue
        path = given.get(label, sys.executable)
        answer = _ask(path, label)
        if answer.problem:
            raise InterpreterError(answer.problem)
        if answer.missing:
            raise InterpreterError(
                f"{label}: {path} has no {', '.join(answer.missing)}. Install with: "
                f"{path} -m pip install {' '.join(answer.missing)}"
            )
        wanted = label.removeprefix(base).removeprefix("@")
        has = answer.version.partition("+")[0]
        if wanted and has != wanted and not has.startswith(f"{wanted}."):
            option = "" if label in given else f"; name one that does: --python {label}=PATH"
            raise InterpreterError(
                f"{label}: {path} has {answer.distribution} {has}, not {wanted}{option}"
            )


def missing(frameworks: Iterable[str]) -> dict[str, list[str]]:
    """The frameworks that this interpreter lacks, each with the distributions that it needs.

    Raises:
        SpecificationError: an unknown framework.
    """
    lacking = {name: framework(name).missing_packages() for name in frameworks}
    return {name: packages for name, packages in lacking.items() if packages}


def how_to_install(missing: Mapping[str, Sequence[str]]) -> str:
    """A sentence that names the frameworks not installed, and the command that installs them."""
    lacking = "; ".join(f"{name} needs {', '.join(missing[name])}" for name in missing)
    packages = dict.fromkeys(package for packages in missing.values() for package in packages)
    return (
        f"not installed: {lacking}. Install with: "
        f"python -m pip install -c constraints.txt {' '.join(packages)}"
    )


def check_here(frameworks: Iterable[str]) -> None:
    """Check that this interpreter can run all of the frameworks.

    Raises:
        InterpreterError: the message names what is missing and how to get it.
    """
    names = list(frameworks)
    if lacking := missing(names):
        raise InterpreterError(f"{how_to_install(lacking)}; or name others with --frameworks")
    check(names, {})


def describe(label: str) -> dict[str, Any]:
    """Packages and version of a framework in this interpreter.

    Returns:
        `missing` packages, `distribution`, `version`, and `problem`: why the class of a
        `module:Class` cannot be used, or "".
    """
    asked = framework(label)
    lacking = asked.missing_packages()
    distribution = next(iter(asked.packages.values()), "")
    answer = {"missing": lacking, "distribution": distribution, "version": "", "problem": ""}
    if distribution and not lacking:
        answer["version"] = machine.versions([distribution]).get(distribution, "")
    if is_target(label):
        answer["problem"] = _problem(asked)
    return answer


def _problem(asked: Framework) -> str:
    try:
        with contextlib.redirect_stdout(sys.stderr):  # the answer goes to stdout
            asked.backend()
    except SpecificationError as error:
        return str(error)
    except Exception as error:  # the user's module may raise anything
        last = traceback.extract_tb(error.__traceback__)[-1]
        return (
            f"{asked.name}: {type(error).__name__}: {error} ({last.filename}, line {last.lineno})"
        )
    return ""


def _ask(path: str, label: str) -> Answer:
    found, reason = ask(
        "benchmarks.process.interpreters",
        [label],
        label,
        limit=_ANSWER_SECONDS,
        python=path,
        answer=Answer,
    )
    if reason or not found:
        raise InterpreterError(
            f"{label}: {path} cannot run the harness ({reason or 'no answer'}). Install what it "
            f"needs with: {path} -m pip install -c constraints.txt -r requirements/core.txt"
        )
    return found[0]


if __name__ == "__main__":
    importlib.import_module("benchmarks.worker.__main__")  # what a run imports must be there
    Channel().send("facts", values=describe(sys.argv[1]))
