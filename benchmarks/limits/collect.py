"""Have every library measure, each in a process of its own: those installed here, and those of
the interpreters that runs are given."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks.limits.found import Limits, Sample
from benchmarks.process.environment import environment, limited_to
from benchmarks.system import machine
from frameworks.backend import framework
from results.vocabulary import Device

# The framework of the registry whose environment a library is given.
LIBRARIES = {"torch": "torch", "jax": "jax", "tensorflow": "keras"}
_LIBRARY_SECONDS = 300.0


def collect(
    precisions: Sequence[str],
    *,
    device: Device,
    threads: int,
    libraries: Sequence[str] = tuple(LIBRARIES),
    interpreters: Mapping[str, str] | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Limits:
    """Matrix products in each precision, and copying, by each library that is installed.

    A library that is not installed, or cannot use the device, is named in `missing`; what it had
    measured before it failed counts.

    Args:
        libraries: of this interpreter.
        interpreters: others, by the framework that runs in them: the library that it computes
            with is measured there, and kept apart as "torch of torch@2.12".
        tell: called with a line before each library.
    """
    wanted = [name for name in precisions if name != "tf32" or device == "cuda"]
    samples: list[Sample] = []
    missing: dict[str, str] = {}
    for library in libraries:
        if importlib.util.find_spec(library) is None:
            missing[library] = "not installed"
            continue
        tell(f"limits of the {device} by {library}: {', '.join(wanted)} products, copying")
        found, reason = _measured(library, wanted, device, threads, sys.executable)
        samples += found
        if reason:
            missing[library] = reason
    for name, python in (interpreters or {}).items():
        if not (library := library_of(name)):
            missing[name] = f"it computes with none of {', '.join(LIBRARIES)}"
            continue
        tell(f"limits of the {device} by {name}'s {library}: {', '.join(wanted)} products, copying")
        found, reason = _measured(library, wanted, device, threads, python)
        label = f"{library} of {name}"
        samples += [msgspec.structs.replace(one, library=label) for one in found]
        if reason:
            missing[label] = reason
    return Limits(device=device, threads=threads, samples=tuple(samples), missing=missing)


def library_of(name: str) -> str:
    """The library that a framework computes with; empty when it is none of `LIBRARIES`."""
    return next((library for library in LIBRARIES if library in framework(name).packages), "")


def _measured(
    library: str, precisions: Sequence[str], device: Device, threads: int, python: str
) -> tuple[list[Sample], str]:
    """A library's samples, and why there are not more."""
    with tempfile.TemporaryDirectory() as scratch, limited_to(threads):
        variables = environment(
            LIBRARIES[library], device=device, threads=threads, scratch=Path(scratch)
        )
        try:
            done = subprocess.run(
                [
                    *(python, "-m", "benchmarks.limits.measure"),
                    *(library, device, str(threads), *precisions),
                ],
                env=variables,
                cwd=machine.ROOT,
                capture_output=True,
                timeout=_LIBRARY_SECONDS,
                check=False,
            )
            output, reason = done.stdout, ""
            if done.returncode:
                last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
                reason = "".join(last) or f"status {done.returncode}"
        except subprocess.TimeoutExpired as expired:
            output, reason = expired.stdout or b"", f"not done after {_LIBRARY_SECONDS:.0f} s"
    lines = output.rpartition(b"\n")[0].splitlines()
    return [msgspec.json.decode(line, type=Sample) for line in lines], reason
