"""Loss scaling: the rule of the scale, what is refused, and a skipped step of the reference."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from benchmarks.fidelity.cases import recipes
from benchmarks.fidelity.cases.case import Material
from frameworks.backend import framework
from frameworks.numpy.backend import NumpyReference
from frameworks.runtime import Runtime
from frameworks.spec.defaults import NATIVE, fill_recipe
from frameworks.spec.loss_scale import LossScale, after, of_precision
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import Recipe

SCALED = next(case for case in recipes.lives() if "loss-scaled" in case.name)


def test_it_halves_at_an_overflow_and_doubles_after_finite_steps_in_a_row() -> None:
    spec, scale, count, seen = LossScale(initial=8.0, interval=2), 8.0, 0, []
    for finite in (True, True, True, False, True, True):
        scale, count = after(spec, scale, count, finite=finite)
        seen.append((scale, count))
    assert seen == [(8.0, 1), (16.0, 0), (16.0, 1), (8.0, 0), (8.0, 1), (16.0, 0)]


def test_float16_alone_brings_a_scale_and_native_parity_each_framework_s_own() -> None:
    assert of_precision(Recipe(), "bfloat16").loss_scale is None
    made = of_precision(Recipe(), "float16")
    starts = {name: fill_recipe(made, column).loss_scale for name, column in NATIVE.items()}
    assert {name: scale.initial for name, scale in starts.items() if scale} == {
        "keras": 2.0**15,
        "torch": 2.0**16,
        "flax": 2.0**16,
    }
    stated = Recipe(loss_scale=LossScale(initial=2.0))
    assert of_precision(stated, "float16") == stated


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"initial": 1000.0}, "loss_scale.initial is 1000; must be a power of two"),
        ({"initial": 2.0**128}, "loss_scale.initial is .*up to 2"),
        ({"interval": 0}, "loss_scale.interval is 0; must be at least 1"),
        ({"accumulation": 2}, "goes with neither accumulation"),
    ],
)
def test_a_scale_out_of_range_is_refused(fields: dict[str, Any], said: str) -> None:
    accumulation = fields.pop("accumulation", 1)
    with pytest.raises(SpecificationError, match=said):
        Recipe(loss_scale=LossScale(**fields), accumulation=accumulation)


def test_several_replicas_are_refused() -> None:
    material = Material(SCALED)
    with pytest.raises(SpecificationError, match="one replica; use --replicas 1"):
        NumpyReference(material.network, SCALED.recipe, Runtime(replicas=2), None)


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_a_scale_changes_no_weight_and_an_overflow_only_the_scale(name: str) -> None:
    """In float64, to the last rounding."""
    if name == "torch":
        pytest.importorskip("torch")
    made = NumpyReference if name == "numpy" else framework(name).backend()
    material = Material(SCALED)
    ends = []
    for recipe in (SCALED.recipe, msgspec.structs.replace(SCALED.recipe, loss_scale=None)):
        runtime = Runtime(precision="float64", threads=1)
        backend = made(material.network, recipe, runtime, material.weights)
        backend.train_epoch(material.epoch(1))
        before = backend.get_weights(), backend.get_optimizer_state()
        if recipe.loss_scale is not None:
            scale = float(before[1]["loss_scale"])
            assert scale == 2**11  # four steps, of which three double it
            bad = {key: array.copy() for key, array in before[0].items()}
            bad[material.network.trainable_keys[0]].flat[0] = np.inf
            backend.apply_gradients(bad)
            then = backend.get_weights(), backend.get_optimizer_state()
            assert all(np.array_equal(then[0][key], before[0][key]) for key in before[0])
            changed = {key for key in then[1] if not np.array_equal(then[1][key], before[1][key])}
            assert changed == {"loss_scale", "finite_steps"}
            assert float(then[1]["loss_scale"]) == scale / 2
        backend.train_epoch(material.epoch(2))
        ends.append(backend.get_weights())
    for key, array in ends[0].items():
        np.testing.assert_allclose(array, ends[1][key], rtol=0, atol=1e-12)
