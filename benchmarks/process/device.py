"""Device of each framework, asked of the machine and of the framework before any run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.process import threads
from benchmarks.process.spawn import ask
from benchmarks.system import machine
from results.vocabulary import Device

# Frameworks that have been tried on this GPU: a command that starts others need not pay for each.
TRIED = "BENCHMARK_TRIED_ON_GPU"
_PROBE_SECONDS = 180.0
_AMPERE = [8, 0]  # the first compute capability with TF32


class DeviceError(ValueError):
    """This machine cannot compute what was asked for; the message says what it can."""


def resolve(
    asked: str,
    frameworks: Iterable[str],
    *,
    gpus: list[dict[str, Any]],
    interpreters: Mapping[str, str] | None = None,
) -> tuple[dict[str, Device], list[str]]:
    """The device of each framework, and a sentence for each that "auto" leaves on the CPU.

    With a GPU at hand each framework is tried on it, in a process of its own: a CPU build of a
    framework cannot use it. Those that `TRIED` names have been.

    Args:
        asked: "auto", "cpu" or "cuda".
        gpus: `machine.gpus()`.
        interpreters: of frameworks that do not run in this one.

    Raises:
        DeviceError: "cuda" is asked for and cannot be had.
    """
    names = list(dict.fromkeys(frameworks))
    if asked == "cuda" and not gpus:
        raise DeviceError(
            "--device cuda: no NVIDIA GPU is visible on this machine; use --device cpu."
        )
    if asked == "cpu" or not gpus:
        return dict.fromkeys(names, "cpu"), []
    devices: dict[str, Device] = {}
    notes = []
    pythons = [(interpreters or {}).get(name, "") for name in names]
    with ThreadPoolExecutor(max(1, len(names))) as pool:  # importing one takes seconds
        probes = [pool.submit(_probe, *one) for one in zip(names, pythons, strict=True)]
        reasons = threads.results(probes)
    for name, reason in zip(names, reasons, strict=True):
        devices[name] = "cpu" if reason else "cuda"
        if reason and asked == "cuda":
            raise DeviceError(
                f"--device cuda: {name} cannot use the GPU here ({reason}); install its CUDA "
                "build, or use --device cpu."
            )
        if reason:
            notes.append(f"{name} runs on the CPU: it cannot use the GPU here ({reason})")
    return devices, notes


def check_precision(
    precisions: Iterable[str], devices: Mapping[str, Device], gpus: list[dict[str, Any]]
) -> None:
    """Raise DeviceError for a precision that a device does not have: TF32 is the GPU's alone."""
    if "tf32" not in precisions:
        return
    if on_cpu := [name for name, device in devices.items() if device == "cpu"]:
        raise DeviceError(
            f"--precision tf32: there is no TF32 on a CPU, where {', '.join(on_cpu)} would run; "
            "use float32, float16, bfloat16 or float64."
        )
    if gpus and gpus[0]["compute_capability"] < _AMPERE:
        raise DeviceError(
            f"--precision tf32: {gpus[0]['name']} has no TF32 (compute capability 8.0 or later); "
            "use float32."
        )


def _probe(name: str, python: str) -> str:
    """Why a framework cannot use the GPU; empty when it can."""
    if not python and name in os.environ.get(TRIED, "").split():
        return ""
    _, reason = ask(
        "benchmarks.process.probe",
        [name],
        name,
        limit=_PROBE_SECONDS,
        device="cuda",
        threads=len(machine.usable_cpus()),
        python=python,
    )
    return reason
