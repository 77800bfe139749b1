"""The command: its options, several programs at once, a saved Keras model, and what it writes."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.port.__main__ import main
from benchmarks.port.compare import DIFFERENT, EQUAL
from benchmarks.port.operation import PortError
from benchmarks.port.session import Session
from tests.benchmarks.port.conftest import PROGRAMS, Compared

_SAVE = """
import sys
import keras
from keras import layers

keras.utils.set_random_seed(1)
model = keras.Sequential([
    keras.Input((8, 8, 3)), layers.Conv2D(4, 3, activation="relu", name="first"),
    layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="norm"), layers.Flatten(),
    layers.Dense(5, activation="softmax", name="head"),
])
optimizer = keras.optimizers.Adam(0.01, epsilon=1e-8, global_clipnorm=0.5)
model.compile(optimizer, "sparse_categorical_crossentropy")
model.save(sys.argv[1])
"""
_PORT = """
import torch
from torch import nn


class Net(nn.Sequential):
    def __init__(self):
        conv, norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=0.1)
        super().__init__(conv, nn.ReLU(), norm, nn.Flatten(), nn.Linear(144, 5))


loss = nn.CrossEntropyLoss()


def clip(parameters):
    torch.nn.utils.clip_grad_norm_(parameters, 0.5)


def loose(parameters):
    torch.nn.utils.clip_grad_norm_(parameters, 5.0)


def optimizer(parameters):
    return torch.optim.Adam(parameters, lr=0.01)
"""


def test_options_of_each_program_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    pair = [f"{PROGRAMS}/r03_keras.py:make", f"{PROGRAMS}/r03_torch.py:Net"]
    assert main([*pair, pair[1], "--frameworks", "keras", "torch"]) == 2
    assert "--frameworks: 2 given for 3 programs" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.extended
def test_a_saved_keras_model_has_its_own_recipe(compared: Compared, tmp_path: Path) -> None:
    saved, port = tmp_path / "saved.keras", tmp_path / "port.py"
    subprocess.run([sys.executable, "-c", _SAVE, saved], check=True, capture_output=True)
    port.write_text(_PORT)
    found = compared(str(saved), f"{port}:Net", given_weights=True)
    only = {d.constant for d in found.differences}
    assert found.status == DIFFERENT
    # of Adam, and of clip_grad_norm_, which no argument changes
    assert only == {"epsilon_form", "clipping_epsilon"}, found.verdict
    assert found.listings[0].recipe.optimizer["clipping_limit"] == 0.5
    parts = ({}, {"clip": "loose"})
    wrong = compared(str(saved), f"{port}:Net", parts, given_weights=True)
    limit = next(d for d in wrong.differences if d.constant == "clipping_limit")
    assert (limit.a, limit.b) == ("0.5", "5")


@pytest.mark.slow
@pytest.mark.extended
def test_three_programs_are_compared_with_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ports.py").write_text(_PORT + "\n\ndef wrong():\n    return 5\n")
    one, bad = f"{tmp_path}/ports.py:Net", f"{tmp_path}/ports.py:wrong"
    page = tmp_path / "answer.html"
    size = ["--input", "8", "8", "3"]
    assert main([one, bad, one, *size, "--json", "--page", str(page), "--given-weights"]) == 2
    first, second = json.loads(capsys.readouterr().out)["pairs"]
    assert "is a int, not a torch.nn.Module" in first["verdict"]
    assert second["status"] == EQUAL
    assert second["verdict"] in page.read_text()


@pytest.mark.parametrize(
    "size", [("--input", "100000", "100000", "3"), ("--input", "6", "--batch-size", "1000000000")]
)
def test_a_batch_has_a_size_that_memory_holds(size: tuple[str, ...], capsys) -> None:
    with contextlib.suppress(SystemExit):  # of the parser: a count too large by itself
        assert main(["a.py:Net", "b.py:Net", *size]) == 2
    assert "at most" in capsys.readouterr().err


def test_steps_have_a_number_that_memory_and_patience_hold(capsys: pytest.CaptureFixture) -> None:
    assert main(["a.py:Net", "b.py:Net", "--steps", "10001"]) == 2
    assert "--steps 10001: at most 10,000; --train EPOCHS" in capsys.readouterr().err
    session = Session.__new__(Session)
    session.masks = lambda: ({"a": np.zeros(2**20)}, {})  # type: ignore[method-assign]
    assert len(session.masks_of_steps(3)) == 3
    with pytest.raises(PortError, match=r"--steps 1000: .* give 128 steps"):
        session.masks_of_steps(1000)
