"""Steps of several batches, and averages of weights: the reference's, its state, refusals.

That every framework does as the reference is asked by the ladder (`recipes.lives`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from datasets.batches import Batch
from frameworks.backend import Runtime
from frameworks.numpy.backend import NumpyReference
from frameworks.spec import schedules, weights
from frameworks.spec.architecture import parse
from frameworks.spec.averages import AverageWeights
from frameworks.spec.clipping import ByGlobalNorm
from frameworks.spec.defaults import fill_architecture, fill_recipe
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import Adam, Recipe

TEXT = """
layers = [
  {type = "conv", filters = 3, kernel = 3, l2 = 0.5, activation = "tanh"},
  {type = "flatten"},
  {type = "dense", units = "classes"},
]
"""
NETWORK = Network(fill_architecture(parse(TEXT, origin="one", default_name="one")), (6, 5, 1), 3)
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 6, 5, 1), np.uint8)
LABELS = np.arange(12, dtype=np.int32) % 3
FIELDS: dict[str, Any] = {
    "optimizer": Adam(weight_decay=0.5),
    "clipping": ByGlobalNorm(limit=0.125),
}


def backend(**fields: Any) -> NumpyReference:
    recipe = fill_recipe(Recipe(**FIELDS, **fields))
    runtime = Runtime(device="cpu", precision="float64")
    return NumpyReference(NETWORK, recipe, runtime, weights.initial(NETWORK, 0))


def batches(size: int) -> list[Batch]:
    return [Batch(IMAGES[n : n + size], LABELS[n : n + size]) for n in range(0, 12, size)]


def test_batches_of_one_step_are_one_large_batch() -> None:
    small, large = backend(accumulation=3), backend()
    small.train_epoch(batches(4))
    large.train_epoch(batches(12))
    expected = large.get_weights()
    for key, weight in small.get_weights().items():
        np.testing.assert_allclose(weight, expected[key], rtol=1e-12)
    assert small.get_optimizer_state()["step"] == 1


def test_a_group_goes_on_in_the_next_epoch_and_in_a_new_backend() -> None:
    whole, resumed = backend(accumulation=2), backend(accumulation=2)
    whole.train_epoch(batches(4))
    state = whole.get_optimizer_state()
    assert (state["step"], state["batches"]) == (1, 1)
    resumed.set_weights(whole.get_weights())
    resumed.set_optimizer_state(state)
    for one in (whole, resumed):
        one.train_epoch(batches(4))
        assert one.get_optimizer_state()["batches"] == 0
    expected = whole.get_weights()
    for key, weight in resumed.get_weights().items():
        np.testing.assert_array_equal(weight, expected[key])


def test_a_schedule_by_step_counts_the_optimizer_s() -> None:
    schedule = schedules.Step(every=1, factor=0.5, per="step")
    recipe = fill_recipe(Recipe(accumulation=2, schedule=schedule, epochs=2))
    found = np.concatenate([schedules.rates(recipe, 3, number) for number in (1, 2)])
    np.testing.assert_array_equal(found, [1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4, 2.5e-4])
    line = fill_recipe(Recipe(accumulation=2, schedule=schedules.Cosine(per="step"), epochs=2))
    assert [round(one, 6) for one in schedules.rates(line, 3, 2)] == [0.00075, 0.00025, 0.00025]


def test_what_cannot_be_accumulated_is_refused(monkeypatch) -> None:
    with pytest.raises(SpecificationError, match="accumulation is 0; must be at least 1"):
        Recipe(accumulation=0)
    monkeypatch.setattr(NumpyReference, "accumulates", False)
    with pytest.raises(SpecificationError, match="has no accumulation"):
        backend(accumulation=2)
    monkeypatch.setattr(NumpyReference, "averages", False)
    with pytest.raises(SpecificationError, match="has no average of weights"):
        backend(average_weights=AverageWeights())


@pytest.mark.parametrize("start", ["first", "debiased"])
def test_an_average_is_the_sum_with_its_shares(start) -> None:
    """The shares of a debiased average are (1 - decay) decay^n, divided by their sum."""
    one = backend(average_weights=AverageWeights(decay=0.75, start=start))
    with one.averaged():
        initial = one.get_weights()
    seen = []
    for batch in batches(4):
        one.train_epoch([batch])
        seen.append(one.get_weights())
    shares = 0.25 * 0.75 ** np.array([2.0, 1.0, 0.0])
    if start == "first":
        shares[0] *= 4
    shares /= shares.sum()
    with one.averaged():
        found = one.get_weights()
    for key, weight in found.items():
        expected = sum(s * each[key] for s, each in zip(shares, seen, strict=True))
        np.testing.assert_allclose(weight, expected, rtol=1e-12)
        np.testing.assert_array_equal(one.get_weights()[key], seen[-1][key])
        np.testing.assert_array_equal(initial[key], weights.initial(NETWORK, 0)[key])
