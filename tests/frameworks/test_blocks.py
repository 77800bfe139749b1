"""A residual block is a module of its own, and a file saved before it was one is read alike."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from frameworks.backend import Runtime
from frameworks.spec import given_weights
from frameworks.spec import weights as canonical
from frameworks.spec.architecture import parse
from frameworks.spec.defaults import fill_architecture, fill_recipe
from frameworks.spec.graph import name_at
from frameworks.spec.network import Network
from frameworks.spec.recipe import Recipe
from frameworks.torch.backend import TorchBackend
from frameworks.torch.model import GalaxyNet
from frameworks.torch.modules import Residual
from frameworks.torch.tuned_model import TunedGalaxyNet

# A ReLU in a block that takes what its shortcut takes, too, and one ahead of an overlapping pool.
TEXT = """
layers = [
  {type = "conv", filters = 3, kernel = 3},
  {type = "batch_norm"},
  {type = "activation", function = "relu"},
  {type = "max_pool", size = 3, stride = 2},
  {type = "residual", layers = [
    {type = "activation", function = "relu"},
    {type = "conv", filters = 3, kernel = 1, activation = "relu"},
  ]},
  {type = "residual", activation = "relu", layers = [
    {type = "residual", layers = [{type = "conv", filters = 3, kernel = 1}]},
    {type = "conv", filters = 5, kernel = 1},
    {type = "gate", layers = [
      {type = "activation", function = "relu"},
      {type = "adaptive_average_pool", size = 1},
      {type = "conv", filters = 5, kernel = 1, activation = "sigmoid"},
    ]},
  ], shortcut = [{type = "conv", filters = 5, kernel = 1}]},
  {type = "concatenate", branches = [
    [],
    [{type = "activation", function = "relu"}, {type = "conv", filters = 2, kernel = 1}],
    [{type = "batch_norm"}, {type = "activation", function = "relu"}],
  ]},
  {type = "activation", function = "relu"},
  {type = "conv", filters = 5, kernel = 1, activation = "relu"},
  {type = "max_pool", size = 2},
  {type = "flatten"},
  {type = "dense", units = "classes"},
]
"""
PLACES = {
    "conv1": "conv1",
    "residual1_conv1": "residual1 body conv1",
    "residual2_residual1_conv1": "residual2 body residual1 body conv1",
    "residual2_gate1_conv1": "residual2 body gate1 body conv1",
    "concatenate1_branch2_conv1": "concatenate1 branch2 branch2_conv1",
    "residual2_shortcut_conv1": "residual2 shortcut shortcut_conv1",
}


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(fill_architecture(parse(TEXT, origin="a", default_name="a")), (11, 11, 3), 4)


def test_every_layer_has_its_place_in_its_block(network: Network) -> None:
    assert {name: " ".join(network.places[name]) for name in PLACES} == PLACES
    for name, place in network.places.items():
        assert name_at((*place, "kernel")) == name_at(place) == name
    assert set(network.by_name) - set(network.places) == {
        *("residual1", "residual2", "residual2_residual1", "residual2_relu", "residual2_gate1"),
        "concatenate1",
    }


def test_a_block_is_a_module_in_pytorch(network: Network) -> None:
    model = GalaxyNet(network, native_dropout=True)
    block = model.layers.get_submodule("layer_residual2")
    assert isinstance(block, Residual)
    assert [type(part).__name__ for part in block.body] == ["Residual", "Conv2d", "Gate"]
    assert "layers.layer_residual2.shortcut.layer_shortcut_conv1.weight" in model.state_dict()
    assert "(shortcut): Identity()" in str(model)


def test_the_tuned_modules_give_what_each_layer_gives(network: Network) -> None:
    """ReLUs that work in place, and those that wait for a pool, change no layer's output."""
    plain = GalaxyNet(network, native_dropout=True)
    tuned = TunedGalaxyNet(network, native_dropout=True, channels_last=True, delayed_relu=True)
    tuned.load_state_dict(plain.state_dict())
    tuned.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    keys = list(dict(tuned.layers.named_children()))
    assert keys.index("layer_activation1") == keys.index("layer_max_pool1") + 1
    assert keys.index("relu_conv2") == keys.index("layer_max_pool2") + 1
    images = torch.randint(0, 256, (3, 11, 11, 3), dtype=torch.uint8)
    with plain.recording() as expected, torch.no_grad():
        plain(images)
    with tuned.recording() as found, torch.no_grad():
        tuned(images)
    assert expected.keys() == found.keys() == network.by_name.keys()
    for name, output in expected.items():
        np.testing.assert_allclose(found[name], output, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("flat", [False, True], ids=["blocks", "flat"])
def test_saved_weights_are_read_with_and_without_blocks(
    network: Network, tmp_path: Path, flat: bool
) -> None:
    weights = canonical.initial(network, 3)
    path = TorchBackend(network, fill_recipe(Recipe()), Runtime(), weights).save(tmp_path)
    if flat:  # as this project saved them before
        model = GalaxyNet(network, native_dropout=True)
        found = {place: name for place, name in model.outputs.items() if name in network.places}
        told = {f"{place}.": f"layers.layer_{name}." for place, name in found.items()}
        renamed = load_file(path)
        for place, name in told.items():
            renamed = {key.replace(place, name): value for key, value in renamed.items()}
        assert "layers.layer_residual2_shortcut_conv1.weight" in renamed
        save_file(renamed, path)
        model.load_state_dict(renamed)
    filled = given_weights.fill(given_weights.read(path), network)
    assert filled.left == filled.unused == ()
    for key, array in weights.items():
        np.testing.assert_array_equal(filled.weights[key], array, err_msg=key)
