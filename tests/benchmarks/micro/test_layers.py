"""Layer-by-layer kernels: the work counted is the network's, and the passes are the gradients."""

import json

import numpy as np
import pytest

from benchmarks.micro import layers
from benchmarks.system import machine
from frameworks.spec.architecture import load
from frameworks.spec.network import Network


@pytest.mark.parametrize("name", ["unam", "c2"])
def test_the_work_is_that_of_a_training_step(name):
    network = Network(load(name), (69, 69, 3), 10)
    found = layers.works(name, 69, 2)
    counted = sum(work.flops for work in found for _ in work.passes)
    assert counted == 2 * network.flops(training=True)
    kernels = {f"{work.name}/kernel": work.kernel_shape for work in found}
    own = [shape for key, shape in network.weight_shapes.items() if key.endswith("/kernel")]
    assert list(kernels.values()) == own


@pytest.mark.parametrize("framework", layers.FRAMEWORKS)
def test_each_framework_times_every_pass(framework, tmp_path):
    output = tmp_path / "layers.json"
    arguments = ["--frameworks", framework, "--architecture", "c2", "--blocks", "1"]
    arguments += ["--batch-size", "2", "--output", str(output)]
    assert layers.main(arguments) == 0
    content = json.loads(output.read_text())
    assert {"commit", "dirty", "machine", "versions", "command"} <= set(content)
    seconds = content["seconds"][framework]
    names = [f"{w.name} {p}" for w in layers.works("c2", 69, 2) for p in w.passes]
    assert set(seconds) == {"matrix product", *names}
    assert all(np.isfinite(times).all() for times in seconds.values())


def test_the_table_gives_shares_of_the_best_matrix_product():
    found = layers.works("unam", 69, 1)
    seconds = {f"{w.name} {p}": [w.flops / 1e9] for w in found for p in w.passes}
    seconds["matrix product"] = [2048.0]
    lines = layers.table(found, {"torch": seconds}, 2e9, int(2048e9))
    assert all(line.endswith("| 0.50 |") for line in lines[2:])


def test_a_gpu_that_is_not_there_is_a_message(monkeypatch, capsys):
    monkeypatch.setattr(machine, "gpus", list)
    assert layers.main(["--device", "cuda", "--threads", "1"]) == 2
    assert "no NVIDIA GPU is visible" in capsys.readouterr().err


def test_the_device_reaches_the_process_that_measures(monkeypatch):
    seen = []

    def run_inside(module, framework, arguments, *, device, threads):
        seen.append((device, arguments))

    monkeypatch.setattr(layers, "check", lambda *frameworks, **machine: None)
    monkeypatch.setattr(layers, "run_inside", run_inside)
    assert layers.main(["--frameworks", "torch", "--device", "cuda", "--threads", "1"]) == 1
    assert seen == [("cuda", ["--frameworks", "torch", "--device", "cuda", "--threads", "1"])]
