"""NVIDIA GPUs through a pretended driver binding: there need be none here."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from benchmarks.system import machine, nvml


class NVMLError(Exception):
    pass


class Driver(ModuleType):
    """As much of `pynvml` as is used; `joules` grows by 50 at each reading."""

    NVMLError = NVMLError
    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0
    nvmlClocksThrottleReasonSwPowerCap = 0x4  # noqa: N815
    nvmlClocksThrottleReasonHwThermalSlowdown = 0x40  # noqa: N815
    lacking: tuple[str, ...] = ()
    throttled = 0
    energy = 1_000_000
    asked_for: Any = None

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("nvml") or name.startswith("nvmlClocks"):
            raise AttributeError(name)

        def call(*arguments: Any) -> Any:
            if name in self.lacking:
                raise NVMLError(f"{name}: not supported")
            return self.answer(name, *arguments)

        return call

    def answer(self, name: str, *arguments: Any) -> Any:
        if name.startswith("nvmlDeviceGetHandle"):
            self.asked_for = arguments[0]
        if name == "nvmlDeviceGetTotalEnergyConsumption":
            self.energy += 50_000
            return self.energy
        return {
            "nvmlDeviceGetCount": 1,
            "nvmlDeviceGetName": "Pretended",
            "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=80 * 2**30, used=3 * 2**30),
            "nvmlDeviceGetCudaComputeCapability": (9, 0),
            "nvmlSystemGetDriverVersion": "570.1",
            "nvmlDeviceGetClockInfo": 1980,
            "nvmlDeviceGetTemperature": 41,
            "nvmlDeviceGetPowerUsage": 350_500,
            "nvmlDeviceGetCurrentClocksThrottleReasons": self.throttled,
            "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=97),
        }.get(name, "handle")


@pytest.fixture
def driver(monkeypatch) -> Driver:
    made = Driver("pynvml")
    monkeypatch.setitem(sys.modules, "pynvml", made)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return made


def test_identity_and_state(driver) -> None:
    (gpu,) = machine.gpus()
    assert gpu == {
        "name": "Pretended",
        "memory_gib": 80,
        "compute_capability": [9, 0],
        "driver": "570.1",
    }
    driver.throttled = 0x44
    (state,) = machine.load()["gpus"]
    assert state["throttling"] == ["power cap", "hardware thermal"]
    assert (state["sm_mhz"], state["celsius"], state["watts"]) == (1980, 41, 350.5)
    assert machine.device_memory_bytes("cuda") == 80 * 2**30


def test_what_a_gpu_does_not_tell_is_left_out(driver) -> None:
    driver.lacking = ("nvmlDeviceGetClockInfo", "nvmlDeviceGetTotalEnergyConsumption")
    (state,) = machine.load()["gpus"]
    assert "sm_mhz" not in state
    assert state["celsius"] == 41
    training = nvml.Training(nvml.Meter())
    with training.counted():
        pass
    facts = training.facts()
    assert "train_joules" not in facts
    assert facts["device_memory_bytes"] == 3 * 2**30


def test_energy_is_counted_over_the_epochs_alone(driver) -> None:
    meter = nvml.Meter()
    training = nvml.Training(meter)
    for _ in range(3):
        meter.joules()  # what is used between the epochs
        with training.counted():
            driver.energy += 7_000
    facts = training.facts()
    assert facts["train_joules"] == pytest.approx(3 * (50 + 7))
    assert set(facts["extra"]["gpu"]) == {"before", "after"}


@pytest.mark.parametrize(("visible", "asked"), [("2,3", 2), ("GPU-4fe1", "GPU-4fe1"), ("0", 0)])
def test_the_gpu_that_is_computed_on_is_asked(driver, monkeypatch, visible, asked) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    nvml.Meter()
    assert driver.asked_for == asked


def test_without_a_driver_there_is_nothing_to_tell(driver) -> None:
    driver.lacking = ("nvmlInit",)
    assert machine.gpus() == []
    meter = nvml.Meter()
    assert (meter.joules(), meter.state()) == (None, None)
    training = nvml.Training(meter)
    with training.counted():
        pass
    assert training.facts() == {}


def test_without_the_binding_there_is_nothing_to_tell(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert machine.gpus() == []
    assert nvml.Meter().state() is None
