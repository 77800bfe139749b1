"""The framework of a model is that of its definition, whatever else the file imports."""

from pathlib import Path

import pytest

from benchmarks.port.operation import PortError
from benchmarks.port.written import framework_of

BOTH = """
import jax, keras, torch
from flax import nnx
from torch import nn
import torch.nn.functional as F
from tensorflow.keras import layers

WIDE = 8

def keras_model():
    return keras.Sequential([keras.Input((8, 8, 3)), layers.Dense(WIDE)])

class Net(nn.Module):
    def forward(self, x):
        return F.relu(x)

if WIDE:
    class Flax(nnx.Module):
        pass

def block(x):
    return layers.Dense(3)(x)

def port():
    return build(Net)

def build(kind):
    return kind()

def head(x):
    return block(x)

later = port
made: object = Flax()
loaded = torch.jit.script(keras_model)
"""


@pytest.mark.parametrize(
    ("name", "framework"),
    [
        *[("keras_model", "keras"), ("Net", "torch"), ("Flax", "jax"), ("port", "torch")],
        *[("later", "torch"), ("made", "jax"), ("head", "keras")],
        *[("loaded", "torch"), ("absent", "jax")],  # what is nearest; the first import
    ],
)
def test_a_file_of_several(tmp_path: Path, name: str, framework: str) -> None:
    file = tmp_path / "both.py"
    file.write_text(BOTH)
    assert framework_of(file, name) == framework


@pytest.mark.parametrize(
    ("text", "message"),
    [("import numpy\n", "imports none of keras, torch and flax"), ("x = (", "not a program in Py")],
)
def test_no_framework_to_be_seen(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "none.py"
    file.write_text(text)
    with pytest.raises(PortError, match=message):
        framework_of(file, "model")
