"""Have every library measure, each in a process of its own: those installed here, and those of
the interpreters that runs are given."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence

import msgspec

from benchmarks.limits.found import Limits, Sample
from benchmarks.process.spawn import ask
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
        found, reason = _measured(library, wanted, device, threads)
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
    library: str, precisions: Sequence[str], device: Device, threads: int, python: str = ""
) -> tuple[list[Sample], str]:
    """A library's samples, and why there are not more."""
    found, reason = ask(
        "benchmarks.limits.measure",
        [library, device, str(threads), *precisions],
        LIBRARIES[library],
        limit=_LIBRARY_SECONDS,
        device=device,
        threads=threads,
        python=python,
        answer=Sample,
    )
    return found, reason
