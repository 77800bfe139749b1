"""Dropout of values, channels and whole pictures: the masks' shapes, and what frameworks draw."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from frameworks.spec.layers import Dropout, Flatten
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError
from tests.frameworks.test_vocabulary import read
from tests.helpers.small_networks import network, random_batch, reference

RATE = 0.25
PER = ("value", "channel", "picture")
SHAPES = {"value": (4, 5, 3), "channel": (1, 1, 3), "picture": (1, 1, 1)}


def in_torch(layer: Dropout, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """In training and in inference, of pictures (batch, row, column, channel) or rows."""
    import torch

    from frameworks.torch.model import _dropout

    torch.manual_seed(3)
    axes, back = ((0, 3, 1, 2), (0, 2, 3, 1)) if x.ndim == 4 else ((0, 1), (0, 1))
    module, given = _dropout(layer, x.shape[1:]), torch.from_numpy(x.transpose(axes))
    trained = module.train()(given).numpy().transpose(back)
    return trained, module.eval()(given).numpy().transpose(back)


def in_keras(layer: Dropout, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import keras

    from frameworks.keras.model import _dropout

    keras.utils.set_random_seed(3)
    made = _dropout(layer, x.shape[1:])
    return np.array(made(x, training=True)), np.array(made(x, training=False))


def in_flax(layer: Dropout, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from flax import nnx

    from frameworks.flax.model import _module

    options = {"rngs": nnx.Rngs(3)}
    made = _module(layer, x.shape[1:], native_dropout=True, options=options, draw=True)
    assert isinstance(made, nnx.Module)
    trained = np.array(made(x))
    made.set_attributes(deterministic=True)
    return trained, np.array(made(x))


FRAMEWORKS: dict[str, Callable[[Dropout, np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "torch": in_torch,
    "keras": in_keras,
    "flax": in_flax,
}


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("per", PER)
def test_what_a_framework_draws_is_dropped_whole(per, framework) -> None:
    x = np.ones((500, *SHAPES["value"]), np.float32)
    layer = Dropout(name="drop", rate=RATE, per=per)
    trained, tested = FRAMEWORKS[framework](layer, x)
    np.testing.assert_array_equal(tested, x)
    kept = trained > 0
    np.testing.assert_allclose(trained[kept], 1 / (1 - RATE), rtol=1e-6)
    shape = SHAPES[per]
    first = kept[:, : shape[0], : shape[1], : shape[2]]
    np.testing.assert_array_equal(kept, np.broadcast_to(first, kept.shape))
    spread = np.sqrt(RATE * (1 - RATE) / first.size)
    assert abs(1 - first.mean() - RATE) < 5 * spread
    if per != "picture":  # of one picture some are dropped and some are not
        assert 0 < kept[:20].mean() < 1
        assert len({row.tobytes() for row in first[:20]}) > 2


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_of_rows_of_units_a_channel_is_a_value(framework) -> None:
    x = np.ones((300, 8), np.float32)
    by_channel, _ = FRAMEWORKS[framework](Dropout(name="drop", rate=RATE, per="channel"), x)
    assert 0 < (by_channel[0] > 0).mean() < 1 or 0 < (by_channel[1] > 0).mean() < 1
    by_row, _ = FRAMEWORKS[framework](Dropout(name="drop", rate=RATE, per="picture"), x)
    assert set((by_row > 0).mean(axis=1)) == {0.0, 1.0}


@pytest.mark.parametrize("per", PER)
def test_masks_have_the_shape_of_what_is_dropped(per) -> None:
    spec = network(Dropout(name="a", rate=RATE, per=per), Flatten(), input_shape=(4, 5, 3))
    assert spec.dropout_shapes == {"a": SHAPES[per]}
    rows = network(Flatten(), Dropout(name="a", rate=RATE, per=per), input_shape=(4, 5, 3))
    assert rows.dropout_shapes == {"a": (1,) if per == "picture" else (60,)}


def test_the_reference_drops_what_the_mask_says() -> None:
    spec = network(Dropout(name="a", rate=RATE, per="picture"), Flatten(), input_shape=(2, 2, 1))
    batch = random_batch(spec, 6)
    assert batch.masks["a"].shape == (6, 1, 1, 1)
    outputs = reference(spec).activations(batch, training=True)["a"]
    expected = batch.images / 255 * batch.masks["a"] / (1 - RATE)
    np.testing.assert_allclose(outputs, expected, rtol=1e-12)


def test_other_frameworks_words_for_it_are_told() -> None:
    for word in ("Dropout2d", "SpatialDropout2D", "stochastic_depth"):
        with pytest.raises(SpecificationError, match="is a dropout with per = "):
            read(f'{{type = "{word}"}}')
    network_of = Network(read('{type = "dropout", rate = 0.5, per = "channel"}'), (4, 4, 3), 2)
    assert network_of.dropout_shapes == {"dropout1": (1, 1, 3)}
