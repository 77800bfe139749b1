"""Lifecycle of a backend in a run, from its first call to its last, as one measurement.

A run compiles, trains epoch after epoch in one call each, changes the rate in between, predicts the
validation pictures by batches, puts the best weights back, and may go on in another process. Each
of these is a place where a backend can go wrong while a single batch is right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from benchmarks.fidelity.cases.case import Material
from benchmarks.fidelity.measure.build import Arrays, build, make_ready, optimizer_state
from benchmarks.fidelity.measure.build import train as train_epoch
from frameworks.backend import Backend
from frameworks.spec.weights import Weights

# The stages of a lifecycle that train, in order: `lifecycle/STAGE/...`
TRAINED = ("first", "second", "again", "sure", "resumed")
# Those that predict alone, from weights that a stage before left: by that stage.
_ALIGNMENT = 64  # bytes; XLA and oneDNN take memory as it is from here on
PUT_BACK = {"best": "first", "fresh": "second"}


def restored(material: Material, backend: Backend) -> Arrays:
    """`restored/...`: logits of weights that are put into a backend, by batches and a part of one.

    before: of the case's own weights; same: of `material.lived`, put into this backend; one: of a
    single picture; fresh: put into a new backend; again: of the case's own weights, put back.
    read: 1 where a backend gives back other weights than it was given, else 0.
    """
    images = material.data[0][: _two_batches_and_a_half(material)]
    arrays = {"before": backend.predict(images)}
    _put(backend.set_weights, material.lived)
    arrays |= {"same": backend.predict(images), "one": backend.predict(images[:1])}
    unequal = _unequal(backend.get_weights(), material.lived)
    fresh = build(material, type(backend), material.lived)
    arrays |= {"fresh": fresh.predict(images)}
    unequal |= _unequal(fresh.get_weights(), material.lived)
    _put(backend.set_weights, material.weights)
    arrays |= {"again": backend.predict(images), "read": np.asarray(float(unequal))}
    return {f"restored/{name}": array for name, array in arrays.items()}


def lifecycle(material: Material, backend: Backend) -> Arrays:
    """`lifecycle/STAGE/...`: what each stage of a training came to.

    start: the optimizer's state ahead of the first step. first: an epoch, data staged and compiled,
    its last batch smaller. second: the next epoch, at another rate. best: the weights after the
    first epoch, put back. again: a third epoch from these, with the optimizer as it was then. sure:
    a fourth epoch, from `material.lived`. Of a case that is `renewed`: fresh: the weights after the
    second epoch in a new backend; resumed: that one's third epoch.

    Of a case with a schedule the rates are the schedule's.

    The caller's arrays are spoilt once they have been put in: a backend has copies.

    Of those that train `loss`, `accuracy`, `weight/KEY` and `state/...` (`optimizer_state`); of all
    but `sure` `logits` of the test pictures, of which there is no whole number of batches.
    """
    case = material.case
    test = np.ascontiguousarray(material.data[0][len(material.train_indices) :])
    arrays = Arrays()
    slower = case.recipe.optimizer.rate * case.rate_factor  # a schedule has its own

    def keep(stage: str, found: Mapping[str, np.ndarray]) -> None:
        arrays.update({f"lifecycle/{stage}/{name}": array for name, array in found.items()})

    def train(stage: str, one: Backend, number: int) -> Weights:
        result = train_epoch(material, one, number)
        weights = one.get_weights()
        keep(stage, {"loss": np.asarray(result.loss), "accuracy": np.asarray(result.accuracy)})
        keep(stage, {f"weight/{key}": array for key, array in weights.items()})
        keep(stage, optimizer_state(one))
        return weights

    def predict(stage: str, one: Backend) -> None:
        with one.averaged():
            keep(stage, {"logits": one.predict(test)})

    make_ready(material, backend)
    keep("start", optimizer_state(backend))
    first = train("first", backend, 1)
    state = backend.get_optimizer_state()
    predict("first", backend)
    backend.set_learning_rate(slower)
    second = train("second", backend, 2)
    later = backend.get_optimizer_state()
    predict("second", backend)
    _put(backend.set_weights, first)
    predict("best", backend)
    _put(backend.set_optimizer_state, state)
    backend.set_learning_rate(slower)
    train("again", backend, 3)
    predict("again", backend)
    _put(backend.set_weights, material.lived)
    train("sure", backend, 4)

    if case.renewed:
        fresh = build(material, type(backend), second)
        predict("fresh", fresh)
        make_ready(material, fresh)
        _put(fresh.set_optimizer_state, later)
        train("resumed", fresh, 3)
        predict("resumed", fresh)
    return arrays


def own_masks(material: Material, backend: Backend) -> Arrays:
    """`own/STEP/...`: steps of one picture under dropout that the framework draws for itself.

    The network is dropout and dense, with a flatten layer ahead of either, under plain gradient
    descent: of one picture a row of the kernel stays as it was where its input was dropped, or is
    0. `mask` (1, ...), of the layer's shape, is read off that. Also `loss`, and `before/KEY` and
    `after/KEY` weights.

    At the end `own/logits` of all pictures, and `own/resumed`: 1 where the last step has another
    mask when the random state ahead of it is put back, the backend compiles and takes it again,
    else 0.
    """
    arrays = Arrays()
    kernel = f"{material.network.layers[-1].name}/kernel"
    (dropout,) = material.network.dropout_shapes
    epoch, last = material.epoch(1), material.case.steps - 1
    state = backend.get_random_state()

    def step_taken(step: int) -> Arrays:
        before = backend.get_weights()
        batch = epoch[step]
        loss = backend.train_epoch([batch]).loss
        after = backend.get_weights()
        moved = (after[kernel] != before[kernel]).any(axis=1)
        seen = batch.images.reshape(-1) > 0
        shape = (1, *material.network.dropout_shapes[dropout])
        if len(shape) == 2:
            mask = moved | ~seen
        else:  # shared by the places along an axis of one
            shared = tuple(axis for axis, size in enumerate(shape) if size == 1)
            mask = (moved & seen).reshape(batch.images.shape).any(axis=shared)
        found = {"mask": mask.astype(np.uint8).reshape(shape), "loss": np.asarray(loss)}
        found |= {f"before/{key}": array for key, array in before.items()}
        return found | {f"after/{key}": array for key, array in after.items()}

    for step in range(material.case.steps):
        if step == last:
            state = backend.get_random_state()
        found = step_taken(step)
        arrays |= {f"own/{step}/{name}": array for name, array in found.items()}
    arrays["own/logits"] = backend.predict(np.ascontiguousarray(material.data[0]))
    _put(backend.set_random_state, state)
    backend.compile([epoch[last]])
    changed = (step_taken(last)["mask"] != arrays[f"own/{last}/mask"]).any()
    return arrays | {"own/resumed": np.asarray(float(changed))}


def _put(into: Callable[[Weights], None], arrays: Mapping[str, np.ndarray]) -> None:
    """Put arrays into a backend, and spoil what it was given afterwards.

    They begin where JAX would rather keep the caller's memory than copy it.
    """
    given = {key: _aligned(array) for key, array in arrays.items()}
    into(given)
    for array in given.values():
        array[...] = np.nan if array.dtype.kind == "f" else ~array


def _aligned(array: np.ndarray) -> np.ndarray:
    """A copy that begins at a multiple of `_ALIGNMENT` bytes."""
    memory = np.empty(array.nbytes + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    made = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    made[...] = array
    return made


def _two_batches_and_a_half(material: Material) -> int:
    size = material.case.recipe.batch_size
    return min(len(material.data[1]), 2 * size + max(1, size // 2))


def _unequal(weights: Weights, given: Weights) -> bool:
    """True if weights that were read differ from those given, in the dtype that was read."""
    return any((weights[key] != given[key].astype(weights[key].dtype)).any() for key in given)
