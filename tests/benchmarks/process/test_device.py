"""Where frameworks compute: the GPUs are pretended, the frameworks are the fakes."""

import pytest

from benchmarks.process.device import TRIED, DeviceError, check_precision, resolve
from tests.helpers import fake_backend

GPU = {"name": "H100", "memory_gib": 80, "compute_capability": [9, 0], "driver": "570.1"}


@pytest.fixture
def fakes(tmp_path, monkeypatch) -> None:
    fake_backend.install(tmp_path, monkeypatch)


def test_without_a_gpu_all_run_on_the_cpu() -> None:
    assert resolve("auto", ["torch", "jax"], gpus=[]) == ({"torch": "cpu", "jax": "cpu"}, [])
    with pytest.raises(DeviceError, match="no NVIDIA GPU is visible"):
        resolve("cuda", ["torch"], gpus=[])


@pytest.mark.usefixtures("fakes")
def test_a_framework_that_cannot_use_the_gpu_stays_on_the_cpu_and_it_is_told() -> None:
    devices, notes = resolve("auto", ["fake", "fake-cpu-only"], gpus=[GPU])
    assert devices == {"fake": "cuda", "fake-cpu-only": "cpu"}
    (note,) = notes
    assert "fake-cpu-only runs on the CPU" in note
    assert "this build has no CUDA" in note


@pytest.mark.usefixtures("fakes")
def test_a_gpu_that_is_insisted_on_must_be_usable_by_all() -> None:
    with pytest.raises(DeviceError, match="fake-cpu-only cannot use the GPU here"):
        resolve("cuda", ["fake", "fake-cpu-only"], gpus=[GPU])


@pytest.mark.usefixtures("fakes")
def test_a_framework_that_has_been_tried_is_not_tried_again(monkeypatch) -> None:
    monkeypatch.setenv(TRIED, "fake-cpu-only")
    devices, notes = resolve("cuda", ["fake-cpu-only"], gpus=[GPU])
    assert (devices, notes) == ({"fake-cpu-only": "cuda"}, [])


def test_a_gpu_is_left_alone_when_the_cpu_is_asked_for() -> None:
    assert resolve("cpu", ["torch"], gpus=[GPU]) == ({"torch": "cpu"}, [])


def test_tf32_needs_a_gpu_that_has_it() -> None:
    check_precision(["float32", "tf32"], {"torch": "cuda"}, [GPU])
    check_precision(["float32", "bfloat16", "float64"], {"torch": "cpu"}, [])
    with pytest.raises(DeviceError, match="no TF32 on a CPU, where jax would run"):
        check_precision(["tf32"], {"torch": "cuda", "jax": "cpu"}, [GPU])
    with pytest.raises(DeviceError, match="V100 has no TF32"):
        check_precision(
            ["tf32"], {"torch": "cuda"}, [{**GPU, "name": "V100", "compute_capability": [7, 0]}]
        )
