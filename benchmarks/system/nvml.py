"""NVIDIA GPUs as their driver tells of them: identity, clocks, throttling, memory, energy.

Through nvidia-ml-py, which is optional: without it, or without a driver, there is nothing to tell.
A value that a GPU does not have (energy before Volta, a MIG slice's clocks) is left out.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterator
from typing import Any

Ask = Callable[[Any, Any], dict[str, Any]]

# Of nvmlClocksEventReasons (nvml.h): what slows a GPU down for want of power or cooling.
_THROTTLING = {
    "power cap": "nvmlClocksThrottleReasonSwPowerCap",
    "hardware slowdown": "nvmlClocksThrottleReasonHwSlowdown",
    "software thermal": "nvmlClocksThrottleReasonSwThermalSlowdown",
    "hardware thermal": "nvmlClocksThrottleReasonHwThermalSlowdown",
    "power brake": "nvmlClocksThrottleReasonHwPowerBrakeSlowdown",
}


def ask_all(ask: Ask) -> list[dict[str, Any]]:
    """`ask(pynvml, handle)` of every GPU; empty without a driver or its Python binding."""
    with _Driver() as driver:
        if driver.nvml is None:
            return []
        try:
            count = driver.nvml.nvmlDeviceGetCount()
            handles = [driver.nvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
            return [ask(driver.nvml, handle) for handle in handles]
        except driver.nvml.NVMLError:
            return []


def identity(nvml: Any, handle: Any) -> dict[str, Any]:
    """Name, memory in GiB, compute capability and driver of a GPU."""
    return {
        "name": nvml.nvmlDeviceGetName(handle),
        "memory_gib": round(nvml.nvmlDeviceGetMemoryInfo(handle).total / 2**30),
        "compute_capability": list(nvml.nvmlDeviceGetCudaComputeCapability(handle)),
        "driver": nvml.nvmlSystemGetDriverVersion(),
    }


def state(nvml: Any, handle: Any) -> dict[str, Any]:
    """State of a GPU at this second: clocks, temperature, power, throttling, memory, use.

    Values that the GPU does not tell are left out.
    """

    def throttling() -> list[str]:
        found = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
        return [
            name for name, flag in _THROTTLING.items() if found & int(getattr(nvml, flag, 0) or 0)
        ]

    asked: dict[str, Callable[[], Any]] = {
        "sm_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
        "memory_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM),
        "celsius": lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
        "watts": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000,
        "throttling": throttling,
        "memory_used_bytes": lambda: int(nvml.nvmlDeviceGetMemoryInfo(handle).used),
        "utilization_percent": lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu,
    }
    return {name: value for name, ask in asked.items() if (value := _told(nvml, ask)) is not None}


class Meter:
    """The GPU that this process computes on: its energy counter and its state.

    The GPU is the first of CUDA_VISIBLE_DEVICES (a number in the order of the PCI bus, or an
    identifier); without a driver everything is None.
    """

    def __init__(self) -> None:
        self._driver = _Driver()
        self._nvml = self._driver.__enter__().nvml  # for the life of the process
        self._handle = None if self._nvml is None else _told(self._nvml, self._first)

    def joules(self) -> float | None:
        """Energy since the driver was loaded (nvmlDeviceGetTotalEnergyConsumption, Volta on).

        The driver updates the counter tens of times a second: differences are worth little below
        a second.
        """
        if self._handle is None:
            return None
        counted = _told(
            self._nvml, lambda: self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)
        )
        return None if counted is None else counted / 1000  # millijoules

    def state(self) -> dict[str, Any] | None:
        """`state` of the GPU."""
        return None if self._handle is None else state(self._nvml, self._handle)

    def _first(self) -> Any:
        name = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0] or "0"
        if name.isdigit():
            return self._nvml.nvmlDeviceGetHandleByIndex(int(name))
        return self._nvml.nvmlDeviceGetHandleByUUID(name)


class Training:
    """Energy and state of the GPU over the training epochs, by its own counters.

    Without a meter there are none.
    """

    def __init__(self, meter: Meter | None) -> None:
        self._meter = meter
        self._joules = 0.0
        self._states: dict[str, dict[str, Any]] = {}

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Add the energy of a block; keep the states before the first and after the last."""
        if self._meter is None:
            yield
            return
        if (state := self._meter.state()) is not None:
            self._states.setdefault("before", state)
        before = self._meter.joules()
        yield
        after = self._meter.joules()
        self._joules += math.nan if before is None or after is None else after - before
        if (state := self._meter.state()) is not None:
            self._states["after"] = state

    def facts(self) -> dict[str, Any]:
        """Columns of the run's row."""
        if "after" not in self._states:
            return {}
        facts: dict[str, Any] = {"extra": {"gpu": self._states}}
        if (used := self._states["after"].get("memory_used_bytes")) is not None:
            facts["device_memory_bytes"] = used
        if self._joules > 0:  # neither unknown nor a counter that never moved
            facts["train_joules"] = self._joules
        return facts


class _Driver:
    """NVML, initialised; `nvml` is None where it cannot be."""

    nvml: Any = None

    def __enter__(self) -> _Driver:
        try:
            import pynvml
        except ImportError:
            return self
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError:
            return self
        self.nvml = pynvml
        return self

    def __exit__(self, *_: object) -> None:
        if self.nvml is not None:
            self.nvml.nvmlShutdown()


def _told(nvml: Any, ask: Callable[[], Any]) -> Any:
    """The GPU's answer; None where it has none."""
    try:
        return ask()
    except nvml.NVMLError:
        return None
