"""The machine that runs: a stable fingerprint, what changes by the minute, versions, the commit.

Nothing here imports a framework: versions are read from the installed distributions.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.system import nvml
from results.version import commit as commit
from results.version import version

ROOT = Path(__file__).resolve().parents[2]

# What makes one machine another. The rest of `describe` (driver, kernel, Python) is recorded, but a
# new version of it is a change on the same machine.
_STABLE = ("system", "processor_architecture", "cpu", "cpus", "memory_gib", "gpus")
# Instruction sets that decide how fast matrix products are.
_INSTRUCTIONS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "asimd", "sve")
PROJECT = "galaxy-training-benchmark"
_DISTRIBUTIONS = (
    PROJECT,
    *("numpy", "pandas", "pyarrow", "h5py"),
    *("tensorflow", "tensorflow-cpu", "keras", "torch", "jax", "jaxlib", "flax", "optax"),
)


# How a scheduler names the node, in the environment of its jobs; the first for any scheduler.
_NODE = ("BENCHMARK_NODE", "SLURMD_NODENAME")


def describe() -> dict[str, Any]:
    """Description of the machine: processor, memory in GiB, GPUs, system, Python."""
    import psutil

    cpuinfo = _cpuinfo()
    return {
        "system": platform.system(),
        "release": platform.release(),
        "processor_architecture": platform.machine(),
        "cpu": cpu_model(cpuinfo),
        "cpus": len(usable_cpus()),
        "cores": psutil.cpu_count(logical=False),
        "instructions": [name for name in _INSTRUCTIONS if name in _flags(cpuinfo)],
        "memory_gib": round(memory_bytes() / 2**30),
        "gpus": gpus(),
        "python": platform.python_version(),
    }


def node() -> str:
    """The name of this machine: the scheduler's where there is one, else the host's."""
    return next(filter(None, map(os.environ.get, _NODE)), "") or platform.node()


def machine_id(description: dict[str, Any]) -> str:
    """Hash of what makes this machine another than the next, 16 hexadecimal digits."""
    stable: dict[str, Any] = {name: description.get(name) for name in _STABLE}
    stable["gpus"] = [(gpu["name"], gpu["memory_gib"]) for gpu in description.get("gpus") or []]
    content = json.dumps(stable, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def load() -> dict[str, Any]:
    """Load of the machine at this minute: load averages, CPU clocks in MHz, states of the GPUs.

    Values that the machine does not tell are left out.
    """
    state: dict[str, Any] = {}
    if hasattr(os, "getloadavg"):
        state["load_average"] = [round(value, 2) for value in os.getloadavg()]
    if megahertz := _cpu_megahertz():
        state["cpu_mhz"] = megahertz
    if found := nvml.ask_all(nvml.state):
        state["gpus"] = found
    return state


def stolen_seconds() -> float:
    """Since the start of the machine, CPU time that its host gave to others; 0 where unknown."""
    import psutil

    return float(getattr(psutil.cpu_times(), "steal", 0.0))


def _cpu_megahertz() -> float | None:
    """The mean current clock of the CPUs; None where the system does not tell (often in a VM)."""
    import psutil

    try:
        found = psutil.cpu_freq()
    except (OSError, RuntimeError, AttributeError, NotImplementedError):
        return None
    return round(found.current) if found and found.current else None


def usable_cpus() -> list[int]:
    """CPUs that this process may use: its affinity, cut to the quota of its control group."""
    if hasattr(os, "sched_getaffinity"):
        cpus = sorted(os.sched_getaffinity(0))
    else:
        cpus = list(range(os.cpu_count() or 1))
    quota = _cgroup_cpus()
    return cpus if quota is None else cpus[: max(1, math.ceil(quota))]


def memory_bytes() -> int:
    """Memory that this process may use: the machine's, or its control group's limit."""
    import psutil

    limits = [int(psutil.virtual_memory().total)]
    for text in map(_read, _cgroup_files("memory", "memory.max", "memory.limit_in_bytes")):
        if text.isdigit():
            limits.append(int(text))
    return min(limits)


def _cgroup_files(controller: str, now: str, before: str) -> list[str]:
    """A file of the control group of this process and of each that it is in, up to the root.

    Args:
        now, before: its name in version 2 of control groups, and in version 1.
    """
    groups = {("", now): {"/"}, (f"/{controller}", before): {"/"}}
    for line in _read("/proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if number == "0" and not names:
            groups["", now].add(path)
        elif controller in names.split(","):
            groups[f"/{controller}", before].add(path)
    found: dict[str, None] = {}
    for (mount, name), paths in groups.items():
        for path in paths:
            for place in (Path(path), *Path(path).parents):
                found[str(Path(f"/sys/fs/cgroup{mount}{place}") / name)] = None
    return list(found)


def device_memory_bytes(device: str) -> int:
    """Memory that a run on this device has: of the first GPU, or of the machine."""
    found = gpus() if device == "cuda" else []
    return found[0]["memory_gib"] * 2**30 if found else memory_bytes()


def gpus() -> list[dict[str, Any]]:
    """The visible NVIDIA GPUs: name, memory in GiB, compute capability, driver; empty if none."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return []
    return nvml.ask_all(nvml.identity)


def versions(distributions: Iterable[str] = _DISTRIBUTIONS) -> dict[str, str]:
    """Versions of Python, this project and those distributions that this interpreter has."""
    found = {"python": platform.python_version()}
    for name in distributions:
        try:
            found[name] = version() if name == PROJECT else importlib.metadata.version(name)
        except (importlib.metadata.PackageNotFoundError, FileNotFoundError):
            continue
    return found


def killed_for_memory() -> int:
    """Number of processes that the kernel has killed for want of memory since it started.

    0 if unknown. A rise during a run that was killed tells an out-of-memory kill from another.
    """
    counts = [0]
    for path, key in (("/proc/vmstat", "oom_kill"), ("/sys/fs/cgroup/memory.events", "oom_kill")):
        for line in _read(path).splitlines():
            name, _, value = line.partition(" ")
            if name == key:
                counts.append(int(value))
    return sum(counts)


def cpu_model(cpuinfo: str | None = None) -> str:
    """The processor's model as the system names it."""
    for line in (_cpuinfo() if cpuinfo is None else cpuinfo).splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return " ".join(value.split())
    if sys.platform == "darwin":
        found = _output(["sysctl", "-n", "machdep.cpu.brand_string"])
        if found:
            return found
    return platform.processor() or platform.machine()


def _cpuinfo() -> str:
    return _read("/proc/cpuinfo")


def _flags(cpuinfo: str) -> set[str]:
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return set(value.split())
    return set()


def _cgroup_cpus() -> float | None:
    """CPUs' worth of time allowed by the control group (version 2, then 1); None if unlimited."""
    parts = _read("/sys/fs/cgroup/cpu.max").split()
    if not parts:
        parts = [
            _read(f"/sys/fs/cgroup/cpu/cpu.cfs_{name}_us").strip() for name in ("quota", "period")
        ]
    if len(parts) == 2 and parts[0].isdigit() and parts[1].isdigit():
        return int(parts[0]) / int(parts[1])
    return None


def _output(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
