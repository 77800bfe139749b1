"""Augmentation that a framework draws for itself: what it does to pictures, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.config.suite import Suite
from datasets.drawn import draws
from datasets.drawn.moves import moves
from datasets.drawn.settings import Augment
from datasets.drawn.text import from_text
from frameworks.spec.own_augment import taken_from
from frameworks.spec.reading import SpecificationError
from tests.helpers.planning import plan

COUNT, SIDE = 300, 16
ALL = "flip,rotation=30,zoom=0.9:1.1,shift=0.1,shrink=0.9:1.1,contrast=0.2,brightness=0.2,noise=0.1"


def changed(framework: str, text: str, pictures: np.ndarray, seed: int = 0) -> np.ndarray:
    """The pictures, float32 (n, height, width, channels) of values from 0 to 1, as a framework
    draws them in training."""
    settings = from_text(f"{text},by=framework")
    if framework == "torch":
        import torch

        from frameworks.torch.own_augment import OwnAugment as OfTorch

        torch.manual_seed(seed)
        made = OfTorch(settings)(torch.from_numpy(pictures).permute(0, 3, 1, 2))
        assert made.is_contiguous(memory_format=torch.channels_last), "the layout that was given"
        return made.permute(0, 2, 3, 1).numpy()
    if framework == "jax":
        from flax import nnx

        from frameworks.flax.own_augment import OwnAugment

        module = OwnAugment(settings, nnx.Rngs(seed))
        made = np.asarray(nnx.jit(lambda module, x: module(x))(module, pictures))
        module.eval()
        np.testing.assert_array_equal(module(pictures), pictures)
        return made
    import keras

    from frameworks.keras import own_augment

    keras.utils.set_random_seed(seed)
    inputs = outputs = keras.Input(pictures.shape[1:])
    for layer in own_augment.layers(settings):
        outputs = layer(outputs)
    model = keras.Model(inputs, outputs)
    np.testing.assert_allclose(model(pictures, training=False), pictures, atol=1e-6)
    return np.asarray(model(pictures, training=True))


@pytest.fixture(params=["torch", "jax", "keras"])
def framework(request) -> str:
    return request.param


def test_each_picture_is_flipped_along_each_axis_half_of_the_time(framework) -> None:
    one = np.random.default_rng(0).random((1, 5, 6, 3), np.float32)
    made = changed(framework, "flip", np.repeat(one, COUNT, axis=0))
    ways = [one, one[:, ::-1], one[:, :, ::-1], one[:, ::-1, ::-1]]
    found = [np.isclose(made, way, atol=1e-6).all((1, 2, 3)).mean() for way in ways]
    assert sum(found) == pytest.approx(1)
    assert all(abs(share - 0.25) < 0.1 for share in found), found  # four deviations


def test_a_turned_disc_stays_and_a_shifted_one_moves_both_ways(framework) -> None:
    rows, columns = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    disc = np.clip(5 - np.hypot(rows, columns), 0, 1)[None, ..., None].astype(np.float32)
    turned = changed(framework, "rotation=180", np.repeat(disc, COUNT, axis=0))
    assert np.abs(turned.mean((1, 2, 3)) / disc.mean() - 1).max() < 0.03
    assert np.abs(turned - disc).max() < 0.3
    shifted = changed(framework, "shift=0.2,edge=constant", np.repeat(disc, COUNT, axis=0))
    middle = np.array([(shifted[..., 0] * way).sum((1, 2)) for way in (rows, columns)])
    middle /= shifted.sum((1, 2, 3))
    most = 0.2 * SIDE
    assert np.abs(middle).max() <= most + 0.1
    assert np.abs(middle.mean(1)).max() < 4 * most / np.sqrt(3 * COUNT)
    assert middle.std(1) == pytest.approx(most / np.sqrt(3), rel=0.2)  # uniform, either way
    zoomed = changed(framework, "zoom=1.5:1.5", disc)
    shrunk = changed(framework, "shrink=2:2,edge=constant", disc)
    assert zoomed.mean() == pytest.approx(2.25 * disc.mean(), rel=0.05)
    assert shrunk.mean() == pytest.approx(disc.mean() / 4, rel=0.05)


def test_values_change_within_their_range_and_by_the_seed(framework) -> None:
    pictures = np.random.default_rng(1).random((40, SIDE, SIDE, 3), np.float32)
    made = changed(framework, ALL, pictures)
    assert made.shape == pictures.shape
    assert made.dtype == np.float32
    assert np.isfinite(made).all()
    np.testing.assert_array_equal(changed(framework, ALL, pictures), made)
    assert (changed(framework, ALL, pictures, 1) != made).any((1, 2, 3)).all()
    grey = np.full((COUNT, 4, 4, 3), 0.5, np.float32)
    bright = changed(framework, "brightness=0.2", grey).mean((1, 2, 3))
    assert bright.mean() == pytest.approx(0.5, abs=0.03)
    assert 0.1 < np.ptp(bright) <= 0.4 + 1e-5
    np.testing.assert_allclose(changed(framework, "contrast=0.3", grey), grey, atol=1e-5)
    noisy = changed(framework, "noise=0.05", grey)
    assert (noisy - grey).std() == pytest.approx(0.05, rel=0.1)


def test_the_harness_and_the_frameworks_move_pictures_by_one_map() -> None:
    text = "shear=20,zoom=0.7:1.3,rotation=100,shift=0.2,shrink=0.8:1.2"
    settings, height, width = from_text(text), 9, 14
    drawn = draws.uniforms(3, 1, np.arange(8))
    names = ["zoom", "rotation", "shear", "shift_rows", "shift_columns"]
    order = iter([*names, "shrink_rows", "shrink_columns"])

    def uniform(low: float, high: float) -> np.ndarray:
        return low + (high - low) * drawn[:, draws.PLACES[next(order)]]

    a, b, c, d, e, f = taken_from(settings, np, uniform, height, width)
    found = moves(settings, drawn, height, width)
    np.testing.assert_allclose(np.stack([a, b, d, e], 1).reshape(-1, 2, 2), found.matrix)
    middle = (np.array([height, width]) - 1) / 2
    offset = found.offset + found.matrix @ middle - middle
    np.testing.assert_allclose(np.stack([c, f], 1), offset)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"parity": ("matched",)}, "and parity matched gives every framework the same pictures"),
        ({"augment": from_text("crop=60,by=framework")}, "keras has no crop of its own; take crop"),
        ({"augment": from_text("flip,hue=0.1,by=framework")}, "torch has no hue of its own"),
        ({"augment": from_text("mixup=0.2,by=framework")}, "keras has no mixup of its own"),
        ({"replicas": (2,)}, "it trains on one replica"),
    ],
)
def test_what_a_framework_cannot_draw_is_refused_by_name(fields, message) -> None:
    asked = {"parity": ("native",), "augment": Augment(flip="both", by="framework")} | fields
    with pytest.raises(SpecificationError, match=f"augment: by is 'framework', .*{message}"):
        plan(Suite(frameworks=("keras", "torch", "jax"), **asked))
    assert plan(Suite(frameworks=("torch",), augment=Augment(flip="both")))
