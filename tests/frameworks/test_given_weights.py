"""Weights out of a file: what of it fills a network, in every form, and what is said of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from benchmarks.fidelity.cases.vocabulary import VOCABULARY
from frameworks.backend import Runtime
from frameworks.spec import given_weights
from frameworks.spec import weights as canonical
from frameworks.spec.architecture import parse
from frameworks.spec.defaults import fill_architecture, fill_recipe
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import Recipe
from frameworks.torch.backend import TorchBackend
from tests.helpers.small_networks import random_weights

TEXT = """
layers = [
  {type = "conv", filters = 4, kernel = [3, 2], activation = "relu"},
  {type = "batch_norm"},
  {type = "flatten"},
  {type = "dense", units = 6, activation = "relu"},
  {type = "dense", units = "classes"},
]
"""
SHAPE = (6, 5, 3)


def network(classes: int = 4) -> Network:
    architecture = parse(TEXT, origin="given", default_name="given")
    return Network(fill_architecture(architecture), SHAPE, classes)


@pytest.fixture
def weights() -> canonical.Weights:
    """Of every key, running statistics included, other than those drawn."""
    drawn = canonical.initial(network(), 3)
    generator = np.random.default_rng(0)
    return {
        key: (array + generator.uniform(0.1, 0.2, array.shape)).astype(np.float32)
        for key, array in drawn.items()
    }


def equal(found: canonical.Weights, expected: canonical.Weights) -> None:
    assert set(found) == set(expected)
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array, err_msg=key)


def test_a_canonical_archive_fills_all(tmp_path: Path, weights) -> None:
    path = tmp_path / "weights.npz"
    canonical.save(path, weights)
    given = given_weights.read(path)
    filled = given_weights.fill(given, network())
    equal(filled.weights, weights)
    assert (filled.left, filled.unused) == ((), ())
    assert "10 of 10 arrays of given are filled from weights.npz" in filled.sentence(
        given, network()
    )


def test_so_does_what_pytorch_saved_of_ours(tmp_path: Path, weights) -> None:
    backend = TorchBackend(network(), fill_recipe(Recipe()), Runtime(), weights)
    filled = given_weights.fill(given_weights.read(backend.save(tmp_path)), network())
    equal(filled.weights, weights)


class Foreign(nn.Module):
    """The same network with names of its own, in PyTorch's layout."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, (3, 2)), nn.ReLU(), nn.BatchNorm2d(4))
        self.head = nn.Sequential(nn.Linear(4 * 4 * 4, 6), nn.ReLU(), nn.Linear(6, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x).flatten(1))


def test_what_pytorch_saved_behind_a_flatten_is_in_our_order(tmp_path: Path) -> None:
    text = (
        'layers = [{type = "conv", filters = 2, kernel = 3}, {type = "flatten"}, {type = "scale"}, '
        '{type = "batch_norm"}, {type = "dense", units = "classes"}]'
    )
    filled_in = fill_architecture(parse(text, origin="a", default_name="a"))
    network = Network(filled_in, (6, 5, 3), 4)
    given = random_weights(network)
    backend = TorchBackend(network, fill_recipe(Recipe()), Runtime(precision="float64"), given)
    found = given_weights.fill(given_weights.read(backend.save(tmp_path)), network)
    assert found.left == found.unused == ()
    for key, array in found.weights.items():
        np.testing.assert_array_equal(array, given[key].astype(np.float32), err_msg=key)


def test_a_foreign_state_dict_computes_the_same_network(tmp_path: Path) -> None:
    """By kinds and shapes in order; the dense layer behind the flatten layer is put in order."""
    torch.manual_seed(0)
    model = Foreign(4).eval()
    with torch.no_grad():
        norm = model.features[2]
        assert isinstance(norm, nn.BatchNorm2d)
        for buffer in (norm.running_mean, norm.running_var):
            assert buffer is not None
            buffer.uniform_(0.5, 1.5)
    norm.eps = 1e-3  # the project's
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    filled = given_weights.fill(given_weights.read(tmp_path / "model.safetensors"), network())
    assert (filled.left, filled.unused) == ((), ())
    backend = TorchBackend(network(), fill_recipe(Recipe()), Runtime(), filled.weights)
    images = np.random.default_rng(1).integers(0, 256, (5, *SHAPE), dtype=np.uint8)
    with torch.no_grad():
        expected = model(torch.from_numpy(images / np.float32(255)).permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(backend.predict(images), expected, rtol=1e-4, atol=1e-5)


def test_a_head_of_other_classes_is_drawn_as_ever_and_told(tmp_path: Path) -> None:
    save_file(Foreign(1000).state_dict(), tmp_path / "model.safetensors")
    given = given_weights.read(tmp_path / "model.safetensors")
    filled = given_weights.fill(given, network())
    assert filled.left == ("dense2/kernel", "dense2/bias")
    assert filled.unused == ("head.2",)
    sentence = filled.sentence(given, network())
    assert "8 of 10 arrays" in sentence
    assert "drawn as ever: dense2/kernel, dense2/bias; not used: head.2" in sentence


def test_of_our_own_with_another_head_the_shapes_are_told(tmp_path: Path, weights) -> None:
    canonical.save(tmp_path / "weights.npz", weights)
    filled = given_weights.fill(given_weights.read(tmp_path / "weights.npz"), network(7))
    assert set(filled.left) == {"dense2/kernel", "dense2/bias"}
    assert "dense2 kernel ((6, 4), the network's: (6, 7))" in filled.unused


_KERAS = """
import sys, keras, numpy as np
layers = keras.layers
model = keras.Sequential([
    keras.Input((6, 5, 3)), layers.Conv2D(4, (3, 2), activation="relu"),
    layers.BatchNormalization(), layers.Flatten(), layers.Dropout(0.5),
    layers.Dense(6, activation="relu"), layers.Dense(4),
])
model.get_layer(index=1).moving_mean.assign([0.1, 0.2, 0.3, 0.4])
model.save(sys.argv[1])
images = np.linspace(0, 1, 2 * 90, dtype="float32").reshape(2, 6, 5, 3)
np.save(sys.argv[2], model.predict(images, verbose=0))
"""


@pytest.mark.slow
def test_a_keras_file_computes_the_same_network(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    model, logits = tmp_path / "model.keras", tmp_path / "logits.npy"
    subprocess.run([sys.executable, "-c", _KERAS, str(model), str(logits)], check=True)
    filled = given_weights.fill(given_weights.read(model), network())
    assert (filled.left, filled.unused) == ((), ())
    np.testing.assert_allclose(
        filled.weights["batch_norm1/moving_mean"], [0.1, 0.2, 0.3, 0.4], rtol=1e-6
    )
    backend = TorchBackend(network(), fill_recipe(Recipe()), Runtime(), filled.weights)
    images = np.linspace(0, 1, 2 * 90, dtype=np.float32).reshape(2, *SHAPE)
    batch = torch.from_numpy(images * 255)
    with torch.no_grad():
        found = backend.model.eval()(batch).numpy()
    np.testing.assert_allclose(found, np.load(logits), rtol=1e-4, atol=1e-5)


_EXPORTED = """
import sys, keras, numpy as np
from benchmarks.fidelity.cases.vocabulary import VOCABULARY
from frameworks.keras import export
from frameworks.spec import weights
from frameworks.spec.defaults import fill_architecture
from frameworks.spec.network import Network
network = Network(fill_architecture(VOCABULARY["branches"]), (16, 18, 3), 4)
export.model(network, weights.load(sys.argv[1])).save(sys.argv[2])
images = np.random.default_rng(1).integers(0, 256, (5, 16, 18, 3), dtype=np.uint8)
np.save(sys.argv[3], keras.models.load_model(sys.argv[2]).predict(images, verbose=0))
"""


@pytest.mark.slow
def test_a_model_that_we_export_to_keras_computes_the_same_and_is_read_back(tmp_path: Path) -> None:
    """Branches, scales, gates of pictures that are not square, and every function of theirs."""
    network = Network(fill_architecture(VOCABULARY["branches"]), (16, 18, 3), 4)
    given = {key: one.astype(np.float32) for key, one in random_weights(network).items()}
    canonical.save(tmp_path / "given.npz", given)
    names = [str(tmp_path / name) for name in ("given.npz", "model.keras", "outputs.npy")]
    subprocess.run([sys.executable, "-c", _EXPORTED, *names], check=True)
    found = given_weights.fill(given_weights.read(tmp_path / "model.keras"), network)
    assert found.left == found.unused == ()
    equal(found.weights, given)
    backend = TorchBackend(network, fill_recipe(Recipe()), Runtime(precision="float64"), given)
    images = np.random.default_rng(1).integers(0, 256, (5, 16, 18, 3), dtype=np.uint8)
    outputs = np.load(tmp_path / "outputs.npy")
    np.testing.assert_allclose(outputs, backend.predict(images), rtol=1e-4, atol=1e-5)


def test_bad_files_are_told_in_one_line(tmp_path: Path, weights) -> None:
    pickled = tmp_path / "model.pt"
    pickled.write_bytes(b"x")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"x" * 40)
    empty = tmp_path / "empty.npz"
    np.savez(empty, a=np.zeros(3))
    for path, message in (
        (pickled, "a pickled .pt or .pth is not opened"),
        (broken, "broken.safetensors"),
        (empty, "has no weights of layers"),
        (tmp_path / "absent.npz", "absent.npz"),
    ):
        with pytest.raises(SpecificationError, match=message) as error:
            given_weights.read(path)
        assert "\n" not in str(error.value)
    strange = tmp_path / "strange.npz"
    np.savez(strange, **{"other/kernel": np.zeros((9, 9), np.float32)})
    with pytest.raises(SpecificationError, match=r"nothing in .* fills given"):
        given_weights.fill(given_weights.read(strange), network())
    weights["conv1/kernel"][0] = np.nan
    canonical.save(tmp_path / "nan.npz", weights)
    with pytest.raises(SpecificationError, match="conv1 kernel is not of finite numbers"):
        given_weights.fill(given_weights.read(tmp_path / "nan.npz"), network())
