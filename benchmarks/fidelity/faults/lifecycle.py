"""Faults of what a run asks of a backend, the same for every framework and tuning.

Each is a function of a backend class that gives the methods a faulty one has instead: wrong orders,
modes, weights, rates, rows, masks and states, in calls that a single batch never makes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from datasets.batches import Batch, Epoch
from datasets.drawn.images import DrawnImages
from frameworks.backend import Backend, EpochResult
from frameworks.feed import CHUNK_STEPS
from frameworks.spec.graph import changed
from frameworks.spec.layers import BatchNorm, Layer
from frameworks.spec.network import Network
from frameworks.spec.recipe import Recipe
from frameworks.spec.weights import Weights

Methods = dict[str, Callable[..., Any]]
Fault = Callable[[type[Backend]], Methods]
_MEANS = ("loss", "accuracy")
_SURE = 30.0  # beyond it a clamped logit shows


# ---- predictions


def _predicting(change: Callable[[Any, np.ndarray, Callable], np.ndarray]) -> Fault:
    """predict(images) as `change(backend, images, right predict)`."""

    def methods(kind: type[Backend]) -> Methods:
        predict = kind.predict

        def predicting(self: Any, images: np.ndarray) -> np.ndarray:
            return change(self, images, lambda some: predict(self, np.ascontiguousarray(some)))

        return {"predict": predicting}

    return methods


def _later_reversed(backend: Any, images: np.ndarray, predict: Callable) -> np.ndarray:
    size = backend.recipe.batch_size
    return predict(np.concatenate([images[:size], images[size:][::-1]]))


def _last_in_training(backend: Any, images: np.ndarray, predict: Callable) -> np.ndarray:
    logits, size = predict(images), backend.recipe.batch_size
    start = (len(images) - 1) // size * size
    if not start:
        return logits
    last = np.ascontiguousarray(images[start:])
    shapes = backend.network.dropout_shapes
    masks = {name: np.ones((len(last), *shape), np.uint8) for name, shape in shapes.items()}
    batch = Batch(last, np.zeros(len(last), np.int32), masks)
    found = backend.activations(batch, training=True)[backend.network.layers[-1].name]
    return np.concatenate([logits[:start], found.astype(logits.dtype)])


def _bfloat16(backend: Any, images: np.ndarray, predict: Callable) -> np.ndarray:
    if backend.runtime.precision != "float32":
        return predict(images)
    weights = backend.get_weights()
    backend.set_weights({key: _rounded(array) for key, array in weights.items()})
    logits = predict(images)
    backend.set_weights(weights)
    return logits


def _rounded(array: np.ndarray) -> np.ndarray:
    """float32 cut to the 8 bits of a bfloat16."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
    return bits.view(np.float32)


def _clamped(backend: Any, images: np.ndarray, predict: Callable) -> np.ndarray:
    return np.clip(predict(images), -_SURE, _SURE)


def _transposed(backend: Any, images: np.ndarray, predict: Callable) -> np.ndarray:
    count, height, width, channels = images.shape
    if height == width:
        return predict(images)
    return predict(images.reshape(count, width, height, channels).swapaxes(1, 2))


def _channels_swapped(backend: Any, images: np.ndarray, predict: Callable) -> np.ndarray:
    return predict(images[..., ::-1] if images.shape[3] in (2, 4) else images)


def _of_two_batches(backend: Any, images: np.ndarray, predict: Callable) -> np.ndarray:
    """The part of a batch that is left is answered as the batch before it."""
    logits, size = predict(images), backend.recipe.batch_size
    left = len(images) % size
    if left and len(images) > size:
        logits[-left:] = logits[-left - size : len(images) - size]
    return logits


# ---- weights, rates and states


def _statistics_stay(kind: type[Backend]) -> Methods:
    put = kind.set_weights

    def putting(self: Any, weights: Weights) -> None:
        try:
            now = self.get_weights()
        except AttributeError:  # the reference has none before its first
            return put(self, weights)
        moving = {key: array for key, array in now.items() if "/moving_" in key}
        return put(self, {**weights, **moving})

    return {"set_weights": putting}


def _set_once(kind: type[Backend]) -> Methods:
    put = kind.set_weights

    def putting(self: Any, weights: Weights) -> None:
        if not vars(self).get("was_set"):
            self.was_set = True
            put(self, weights)

    return {"set_weights": putting}


def _rate_of_compile(kind: type[Backend]) -> Methods:
    compile_, change = kind.compile, kind.set_learning_rate

    def compiling(self: Any, epoch: Sequence[Batch]) -> None:
        compile_(self, epoch)
        self.was_compiled = True

    def changing(self: Any, learning_rate: float) -> None:
        if not vars(self).get("was_compiled"):
            change(self, learning_rate)

    return {"compile": compiling, "set_learning_rate": changing}


def _moments_not_restored(kind: type[Backend]) -> Methods:
    put = kind.set_optimizer_state

    def putting(self: Any, state: Mapping[str, np.ndarray]) -> None:
        put(self, {**self.get_optimizer_state(), **_counts(state)})

    return {"set_optimizer_state": putting}


def _counts(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array for name, array in state.items() if "/" not in name}


def _stale_predictions(kind: type[Backend]) -> Methods:
    """Weights are a constant of the compiled prediction."""
    compile_, predict = kind.compile, kind.predict

    def compiling(self: Any, epoch: Sequence[Batch]) -> None:
        compile_(self, epoch)
        self.compiled_with = self.get_weights()

    def predicting(self: Any, images: np.ndarray) -> np.ndarray:
        constant = vars(self).get("compiled_with")
        if constant is None:
            return predict(self, images)
        now = self.get_weights()
        self.set_weights(constant)
        logits = predict(self, images)
        self.set_weights(now)
        return logits

    return {"compile": compiling, "predict": predicting}


# ---- epochs


def _training(change: Callable[[Any, Epoch, int], Sequence[Batch]]) -> Fault:
    """train_epoch(epoch) of `change(backend, epoch, how many there were before)` instead."""

    def methods(kind: type[Backend]) -> Methods:
        train = kind.train_epoch

        def training(self: Any, epoch: Sequence[Batch]) -> EpochResult:
            if not isinstance(epoch, Epoch):  # steps one by one
                return train(self, epoch)
            before = vars(self).get("epochs_before", 0)
            self.epochs_before = before + 1
            return train(self, change(self, epoch, before))

        return {"train_epoch": training}

    return methods


def _first_rows(backend: Any, epoch: Epoch, before: int) -> Epoch:
    if not before:
        backend.first_rows = epoch.indices
    return replace(epoch, indices=backend.first_rows)


def _first_masks(backend: Any, epoch: Epoch, before: int) -> Epoch:
    return replace(epoch, number=1)


def _moments_lost(backend: Any, epoch: Epoch, before: int) -> Epoch:
    state = backend.get_optimizer_state()
    if not before:
        backend.first_state = state
    backend.set_optimizer_state({**backend.first_state, **_counts(state)})
    return epoch


def _step_lost(backend: Any, epoch: Epoch, before: int) -> Epoch:
    kept = [rows for step, rows in enumerate(epoch.indices) if not step or step % CHUNK_STEPS]
    return replace(epoch, indices=kept)


def _part_dropped(backend: Any, epoch: Epoch, before: int) -> Epoch:
    size = backend.recipe.batch_size
    return replace(epoch, indices=[rows for rows in epoch.indices if len(rows) == size])


def _streamed_reversed(backend: Any, epoch: Epoch, before: int) -> Epoch:
    streamed = backend.runtime.feed == "streamed"
    return replace(epoch, indices=epoch.indices[::-1]) if streamed else epoch


def _large_cut(backend: Any, epoch: Epoch, before: int) -> Epoch:
    return replace(epoch, indices=[rows[:32] for rows in epoch.indices])


def _one_copy(backend: Any, epoch: Epoch, before: int) -> Epoch:
    images = epoch.images.base if isinstance(epoch.images, DrawnImages) else epoch.images
    copies = getattr(images, "copies", None)
    if copies is None:
        return epoch
    return replace(epoch, indices=[rows // copies.count * copies.count for rows in epoch.indices])


def _drawn_once(backend: Any, epoch: Epoch, before: int) -> Epoch:
    if not isinstance(epoch.images, DrawnImages):
        return epoch
    return replace(epoch, images=DrawnImages(epoch.images.base, epoch.images.drawing, 1))


def _not_drawn(backend: Any, epoch: Epoch, before: int) -> Epoch:
    return replace(epoch, images=getattr(epoch.images, "base", epoch.images))


def _shifted(backend: Any, epoch: Epoch, before: int) -> Epoch:
    return replace(epoch, indices=[*epoch.indices[1:], epoch.indices[0]])


def _unweighted_mean(kind: type[Backend]) -> Methods:
    """The epoch's loss as the mean of its batches' means."""
    train = kind.train_epoch

    def training(self: Any, epoch: Sequence[Batch]) -> EpochResult:
        results = [train(self, [batch]) for batch in epoch]
        loss, accuracy = ([getattr(one, name) for one in results] for name in _MEANS)
        return EpochResult(float(np.mean(loss)), float(np.mean(accuracy)))

    return {"train_epoch": training}


def _masks_again(kind: type[Backend]) -> Methods:
    """The framework's own masks: its generator is seeded anew for every call."""
    train = kind.train_epoch

    def training(self: Any, epoch: Sequence[Batch]) -> EpochResult:
        if not vars(self).get("random_start"):
            self.random_start = self.get_random_state()
        self.set_random_state(self.random_start)
        return train(self, epoch)

    return {"train_epoch": training}


# ---- what is asked for


def _asked(change: Callable[[Network, Recipe], tuple[Network, Recipe]]) -> Fault:
    """Built of another network or recipe than was asked for."""

    def methods(kind: type[Backend]) -> Methods:
        build = kind.build

        def building(self: Any, *, draw: bool) -> None:
            self.network, self.recipe = change(self.network, self.recipe)
            build(self, draw=draw)

        return {"build": building}

    return methods


def _unweighted(network: Network, recipe: Recipe) -> tuple[Network, Recipe]:
    if any(isinstance(layer, BatchNorm) for layer in network.layers):
        recipe = msgspec.structs.replace(recipe, class_weights=None, class_weight_mean=None)
    return network, recipe


def _optimizer_form(field: str, value: Any) -> Fault:
    def change(network: Network, recipe: Recipe) -> tuple[Network, Recipe]:
        if hasattr(recipe.optimizer, field):
            spec = msgspec.structs.replace(recipe.optimizer, **{field: value})
            recipe = msgspec.structs.replace(recipe, optimizer=spec)
        return network, recipe

    return _asked(change)


def _layers(**fields: Any) -> Fault:
    """Fault that sets `fields` of every layer that states them."""

    def change(network: Network, recipe: Recipe) -> tuple[Network, Recipe]:
        def mine(layer: Layer) -> Layer:
            stated = {name: value for name, value in fields.items() if getattr(layer, name, None)}
            return msgspec.structs.replace(layer, **stated)

        layers = changed(network.architecture.layers, mine)
        architecture = msgspec.structs.replace(network.architecture, layers=layers)
        return Network(architecture, network.input_shape, network.classes), recipe

    return _asked(change)


FAULTS: dict[str, Fault] = {
    "later_batches_reversed": _predicting(_later_reversed),
    "last_batch_in_training_mode": _predicting(_last_in_training),
    "bfloat16_in_predict": _predicting(_bfloat16),
    "logits_clamped": _predicting(_clamped),
    "not_square_read_by_columns": _predicting(_transposed),
    "channels_swapped": _predicting(_channels_swapped),
    "part_answered_as_before": _predicting(_of_two_batches),
    "stale_predictions": _stale_predictions,
    "statistics_not_restored": _statistics_stay,
    "weights_set_once": _set_once,
    "rate_of_compile": _rate_of_compile,
    "moments_not_restored": _moments_not_restored,
    "rows_of_first_epoch": _training(_first_rows),
    "masks_of_first_epoch": _training(_first_masks),
    "moments_lost_between_epochs": _training(_moments_lost),
    "step_lost_at_chunk": _training(_step_lost),
    "part_of_a_batch_dropped": _training(_part_dropped),
    "batches_shifted": _training(_shifted),
    "partial_batch_unweighted": _unweighted_mean,
    "streamed_in_reverse": _training(_streamed_reversed),
    "large_batches_cut": _training(_large_cut),
    "one_copy_of_each": _training(_one_copy),
    "drawn_once": _training(_drawn_once),
    "not_drawn": _training(_not_drawn),
    "own_masks_again": _masks_again,
    "class_weights_lost_with_norm": _asked(_unweighted),
    "hat_taken_for_paper": _optimizer_form("epsilon_form", "paper"),
    "rate_left_outside": _optimizer_form("velocity_form", "rate_outside"),
    "biased_taken_for_unbiased": _layers(running_variance="biased"),
}
