"""Frozen layers and rates of single layers: names, what is refused, and the reference's steps.

That every framework does as the reference is asked by the ladder (`recipes.lives`).
"""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from datasets.batches import Batch
from frameworks.backend import Runtime
from frameworks.numpy.backend import NumpyReference
from frameworks.spec import frozen, weights
from frameworks.spec.architecture import load, parse
from frameworks.spec.defaults import fill_architecture, fill_recipe
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import SGD, AdamW, Recipe
from frameworks.spec.rounds import Round

TEXT = """
layers = [
  {type = "conv", filters = 3, kernel = 3, l2 = 0.5},
  {type = "batch_norm"},
  {type = "flatten"},
  {type = "dense", units = 4, max_norm = 0.1},
  {type = "dense", units = "classes"},
]
"""
NETWORK = Network(
    fill_architecture(parse(TEXT, origin="small", default_name="small")), (6, 5, 1), 3
)
BATCH = Batch(
    np.random.default_rng(0).integers(0, 256, (8, 6, 5, 1), np.uint8),
    np.arange(8, dtype=np.int32) % 3,
)


def trained(recipe: Recipe) -> tuple[weights.Weights, weights.Weights, NumpyReference]:
    """The weights before and after two steps, and the reference that took them."""
    before = weights.initial(NETWORK, 0)
    backend = NumpyReference(
        NETWORK, fill_recipe(recipe), Runtime(device="cpu", precision="float64"), before
    )
    before = backend.get_weights()
    backend.train_epoch([BATCH, BATCH])
    return before, backend.get_weights(), backend


def moved(recipe: Recipe) -> set[str]:
    before, after, _ = trained(recipe)
    return {key for key in before if not np.array_equal(before[key], after[key])}


def test_a_frozen_layer_does_not_move_and_has_no_state() -> None:
    recipe = Recipe(optimizer=AdamW(weight_decay=0.5), frozen=("conv1", "dense1"))
    still = {"conv1/kernel", "conv1/bias", "dense1/kernel", "dense1/bias"}
    assert moved(recipe) == set(NETWORK.weight_shapes) - still
    _, _, backend = trained(recipe)
    assert not [key for key in backend.get_optimizer_state() if "conv1" in key or "dense1" in key]
    assert backend.network.penalised == backend.network.limited == {}


@pytest.mark.parametrize("norm", ["inference", "training"])
def test_a_frozen_batch_norm_keeps_its_statistics_in_inference_alone(norm) -> None:
    found = moved(Recipe(frozen=("batch_norm1",), frozen_norm=norm))
    statistics = {"batch_norm1/moving_mean", "batch_norm1/moving_variance"}
    assert found & statistics == (statistics if norm == "training" else set())
    assert not {"batch_norm1/gamma", "batch_norm1/beta"} & found


def test_a_rate_of_a_layer_is_a_share_of_its_step() -> None:
    plain = Recipe(optimizer=SGD(learning_rate=0.5))
    slow = msgspec.structs.replace(plain, layer_rates={"dense2": 0.25})
    states = []
    for recipe in (plain, slow):
        before, _, backend = trained(recipe)
        backend.set_weights(before)
        backend.train_epoch([BATCH])
        states.append({key: backend.get_weights()[key] - before[key] for key in before})
    for key in NETWORK.trainable_keys:
        factor = 0.25 if key.startswith("dense2") else 1.0
        np.testing.assert_allclose(states[1][key], factor * states[0][key], rtol=1e-9, atol=1e-15)


def test_a_block_stands_for_every_layer_in_it() -> None:
    network = Network(load("resnet18"), (32, 32, 3), 10)
    bound = frozen.bound(network, Recipe(frozen=("conv1", "residual1")))
    assert "residual1_conv1" in bound.frozen
    assert all(name == "conv1" or name.startswith("residual1_") for name in bound.frozen)
    assert bound.flops(training=True) < network.flops(training=True)
    assert bound.flops() == network.flops()
    assert bound.parameters() == network.parameters()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"frozen": ("conv2",)}, r"frozen names 'conv2'.*no layer with weights.*did you mean"),
        ({"frozen": ("flatten1",)}, "no layer with weights"),
        ({"layer_rates": {"dens1": 0.5}}, r"layer_rates names 'dens1'.*'dense1'"),
        ({"frozen": ("conv1", "batch_norm1", "dense1", "dense2")}, "leave one out"),
    ],
)
def test_names_that_do_not_fit_the_network_are_refused(fields, message) -> None:
    with pytest.raises(SpecificationError, match=message):
        frozen.bound(NETWORK, Recipe(**fields))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"layer_rates": {"conv1": 0.0}}, "named in frozen"),
        ({"layer_rates": {"conv1": 0.5}, "frozen": ("conv1",)}, "take out one"),
        ({"frozen_norm": "training"}, "no layer is frozen"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(fields, message) -> None:
    with pytest.raises(SpecificationError, match=message):
        Recipe(**fields)


def test_a_round_s_layers_are_looked_for_too_and_a_backend_trains_one_round() -> None:
    recipe = Recipe(frozen=("conv1",), rounds=(Round(after=4, frozen=("conv9",)),))
    with pytest.raises(SpecificationError, match="frozen names 'conv9'"):
        frozen.bound(NETWORK, recipe)
    with pytest.raises(SpecificationError, match="a backend trains one round"):
        trained(Recipe(rounds=(Round(after=4),)))


def test_a_backend_that_trains_all_layers_alike_is_not_asked(monkeypatch) -> None:
    monkeypatch.setattr(NumpyReference, "layers_apart", False)
    with pytest.raises(SpecificationError, match="frozen layers"):
        trained(Recipe(frozen=("conv1",)))


def test_a_recipe_with_rates_by_layer_can_be_a_key():
    """The ladder keeps what it makes of a case by the case itself."""
    one = Recipe(layer_rates={"conv1": 0.5, "dense1": 2.0})
    other = Recipe(layer_rates={"dense1": 2.0, "conv1": 0.5})
    assert {one: 1}[other] == 1
    assert one != Recipe(layer_rates={"conv1": 0.5})
