"""ReLUs and max-pools that changed side between two float32 traces, and what that came to."""

from __future__ import annotations

import numpy as np

from benchmarks.fidelity.case import Case
from benchmarks.fidelity.collect import Trace
from benchmarks.fidelity.finding import Pair
from frameworks.numpy_reference import NumpyReference, count_flips, recorded_kinks
from frameworks.weights import Weights


def count(pair: Pair) -> int:
    """ReLUs and max-pools on different sides in the two traces; none to count where a layer's
    shapes differ, which R1 fails."""
    mine, other = (_kinks(pair, trace) for trace in (pair.trace, pair.other))
    if any(mine[name].shape != other[name].shape for name in mine):
        return 0
    return sum(count_flips(mine, other).values())


def gradients_on_my_side(pair: Pair) -> Weights:
    """The other's gradients with every ReLU and max-pool on the side that `pair.trace` has it on.

    What the flips come to is the difference between the float64 reference's gradient on my kinks
    and on the other's, which is added; nothing else changes, so that R2's bound stays.
    """
    batch = pair.material.epoch(1)[0]
    mine, other = (
        _reference(pair).gradients(batch, _kinks(pair, trace)).gradients
        for trace in (pair.trace, pair.other)
    )
    return _moved(pair.other.group("gradient/"), mine, other)


def step_on_my_side(pair: Pair) -> tuple[Weights, dict[str, np.ndarray]]:
    """The other's (weights, optimizer state) after its first step, moved as its gradients are in
    `gradients_on_my_side`; running statistics, which no flip moves, as they are."""
    batch = pair.material.epoch(1)[0]
    after = []
    for trace in (pair.trace, pair.other):
        reference = _reference(pair)
        reference.apply_gradients(reference.gradients(batch, _kinks(pair, trace)).gradients)
        after.append((reference.get_weights(), reference.get_optimizer_state()))
    (mine, my_state), (other, other_state) = after
    weights = _moved(pair.other.group("step/1/"), mine, other)
    return weights, _moved(pair.other.group("state/"), my_state, other_state)


def _moved(
    arrays: dict[str, np.ndarray], to: dict[str, np.ndarray], origin: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    return {name: array + (to[name] - origin[name]) for name, array in arrays.items()}


def _kinks(pair: Pair, trace: Trace) -> dict[str, np.ndarray]:
    batch = pair.material.epoch(1)[0]
    return recorded_kinks(pair.material.network, batch.images, trace.group("training/"))


def _reference(pair: Pair) -> NumpyReference:
    material, case = pair.material, pair.case
    runtime = Case(
        name="",
        architecture=case.architecture,
        input_shape=case.input_shape,
        classes=case.classes,
        recipe=case.recipe,
        precision="float64",
    ).runtime
    return NumpyReference(material.network, case.recipe, runtime, material.weights)
