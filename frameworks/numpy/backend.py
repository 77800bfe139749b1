"""The reference: the network and its training written out in NumPy, in float64.

What the backends are held against, so nothing here is automatic: every gradient is derived by hand
(`layers`), every optimizer is its formula (`optimizers`). It adds `kinks` to the methods of a
backend: the pattern of ReLUs and max-pools, with which the gradient can be taken on the piece that
another framework was on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from datasets.batches import Batch
from frameworks.backend import PIXEL_SCALE, Backend, EpochResult, Gradients, Runtime
from frameworks.numpy import layers, losses, optimizers, pools
from frameworks.numpy.activations import sides
from frameworks.spec import loss_scale
from frameworks.spec import weights as canonical
from frameworks.spec.defaults import fill_architecture
from frameworks.spec.frozen import still_norms
from frameworks.spec.graph import PICTURES
from frameworks.spec.layers import (
    JOINS,
    AdaptiveMaxPool,
    BatchNorm,
    GlobalMaxPool,
    MaxPool,
    applies,
)
from frameworks.spec.network import Network
from frameworks.spec.optimizers import of_weight
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import Recipe
from frameworks.spec.weights import Weights

Kinks = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Forward:
    """A forward pass: every layer as applied, by name, in order."""

    applied: dict[str, layers.Applied]

    @property
    def logits(self) -> np.ndarray:
        """(batch, classes)."""
        return list(self.applied.values())[-1].output


class NumpyReference(Backend):
    """NumPy, in the dtype of `runtime.precision`.

    stored: dtype that weights are rounded to after every step, as a framework rounds what it keeps
    in float32; None for none. What is computed of them stays as exact as `runtime.precision`, but
    for the projection on a maximum norm: its epsilon is below float32's resolution of the factor.

    Raises:
        SpecificationError: a device, precision or dropout that NumPy does not have, or a field of
            a batch norm or of the optimizer that is not stated.
    """

    every_loss = True
    layers_apart = True
    accumulates = True
    averages = True

    def build(self, *, draw: bool) -> None:
        network, recipe, runtime = self.network, self.recipe, self.runtime
        _check(network, recipe, runtime)
        self.stored: np.dtype | None = None
        self.dtype = np.dtype(runtime.precision)
        if draw:
            stated = Network(
                fill_architecture(network.architecture), network.input_shape, network.classes
            )
            self.set_weights(canonical.initial(stated, runtime.seed))
        self.learning_rate = recipe.optimizer.rate
        self._still = still_norms(network, recipe)
        self.step = self.batches = 0
        self.accumulated = {
            key: np.zeros(network.weight_shapes[key], self.dtype)
            for key in network.trainable_keys
            if recipe.accumulation > 1
        }
        self.average = {
            key: np.zeros(network.weight_shapes[key], self.dtype)
            for key in network.trainable_keys
            if recipe.average_weights is not None
        }
        scaled = recipe.loss_scale
        self.scale, self.finite_steps = (1.0 if scaled is None else scaled.initial or 1.0), 0
        self.slots = {
            key: optimizers.initial_slots(
                recipe.optimizer, np.zeros(network.weight_shapes[key], self.dtype)
            )
            for key in network.trainable_keys
        }

    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        return self._fit(epoch, np.full(len(epoch), self.learning_rate))

    def train_scheduled(self, epoch: Sequence[Batch], rates: np.ndarray) -> EpochResult:
        return self._fit(epoch, rates)

    def _fit(self, epoch: Sequence[Batch], rates: np.ndarray) -> EpochResult:
        loss, right, answers, images = 0.0, 0, 0, 0
        for batch, rate in zip(epoch, rates, strict=True):
            self.learning_rate = float(rate)
            forward = self._forward(batch.images, training=True, masks=batch.masks)
            result = self._backward(forward, batch.labels)
            self._take_running_statistics(forward)
            self.apply_gradients(result.gradients)
            loss += result.loss * len(batch)
            found = losses.right(self.recipe.trained_loss, result.logits, batch.labels)
            right, answers = right + int(found.sum()), answers + found.size
            images += len(batch)
        return EpochResult(loss / images, right / answers)

    def set_learning_rate(self, learning_rate: float) -> None:
        self.learning_rate = learning_rate

    def predict(self, images: np.ndarray) -> np.ndarray:
        size = self.recipe.batch_size
        return np.concatenate(
            [
                self._forward(images[start : start + size], training=False).logits
                for start in range(0, len(images), size)
            ]
        )

    def gradients(self, batch: Batch, kinks: Kinks | None = None) -> Gradients:
        """Gradients of a batch; with `kinks`, on the piece of the network that they say.

        kinks: as `kinks` gives them, of all piecewise linear layers or of some. They replace each
        ReLU and max-pool by the linear map that it was where they were recorded, forward and
        backward, so that a framework whose rounding put one activation on the other side of zero
        is compared with the gradient of the function that it did compute.
        """
        forward = self._forward(batch.images, training=True, masks=batch.masks, kinks=kinks)
        return self._backward(forward, batch.labels)

    def kinks(self, batch: Batch) -> dict[str, np.ndarray]:
        """The pattern of every ReLU and max-pool in training, by layer name.

        ReLU: bool of the layer's shape, True where it let through. Max-pool: int64 (batch, rows,
        columns, channels), row * size + column of the first maximum.
        """
        forward = self._forward(batch.images, training=True, masks=batch.masks)
        return {
            name: applied.kinks
            for name, applied in forward.applied.items()
            if applied.kinks is not None
        }

    def apply_gradients(self, gradients: Weights) -> None:
        own = {k: np.asarray(gradients[k], self.dtype) for k in self.network.trainable_keys}
        if self.recipe.loss_scale is not None and not self._scaled_on(own):
            return
        group, self.batches = self.recipe.accumulation, self.batches + 1
        if group > 1:
            own = {key: self.accumulated[key] + gradient for key, gradient in own.items()}
            stepping = self.batches == group
            self.accumulated = {k: one * (not stepping) for k, one in own.items()}
            own = {key: total / group for key, total in own.items()}
        stepped = self.batches == group
        if stepped:
            self._take_step(own)
        for key, limit in self.network.limited.items():
            kernel = self.weights[key].astype(self.stored or self.dtype)
            self.weights[key] = optimizers.project_max_norm(kernel, limit)
        for key in self.network.trainable_keys:
            self.weights[key] = self._as_stored(self.weights[key])
        for key, average in self.average.items():
            assert self.recipe.average_weights is not None
            share = self.recipe.average_weights.share(self.step) if stepped else 0.0
            self.average[key] = self._as_stored(average + share * (self.weights[key] - average))

    def _take_step(self, gradients: Weights) -> None:
        """The optimizer's step, without what follows every batch."""
        self.step, self.batches = self.step + 1, 0
        for key, gradient in optimizers.clipped(self.recipe.clipping, gradients).items():
            self.weights[key], self.slots[key] = optimizers.update(
                of_weight(self.recipe.optimizer, key),
                self.weights[key],
                gradient,
                self.slots[key],
                self.learning_rate * self.factors[key],
                self.step,
            )

    def activations(self, batch: Batch, *, training: bool) -> dict[str, np.ndarray]:
        forward = self._forward(batch.images, training=training, masks=batch.masks)
        return {name: applied.output for name, applied in forward.applied.items()}

    def get_weights(self) -> Weights:
        return {key: array.copy() for key, array in self.weights.items()}

    def set_weights(self, weights: Weights) -> None:
        canonical.check(weights, self.network)
        self.weights = {
            key: np.array(weights[key], dtype=self.dtype) for key in self.network.weight_shapes
        }

    def get_optimizer_state(self) -> dict[str, np.ndarray]:
        state = {
            "step": np.asarray(self.step, dtype=np.int64),
            "learning_rate": np.asarray(self.learning_rate, dtype=np.float64),
        }
        if self.recipe.loss_scale is not None:
            state["loss_scale"] = np.asarray(self.scale)
            state["finite_steps"] = np.asarray(self.finite_steps)
        for key, slots in self.slots.items():
            state |= {
                f"{slot}/{key}": array * self._factor(slot, key) for slot, array in slots.items()
            }
        if self.accumulated:
            state["batches"] = np.asarray(self.batches, dtype=np.int64)
            state |= {f"accumulated/{key}": one.copy() for key, one in self.accumulated.items()}
        return state | {f"average/{key}": one.copy() for key, one in self.average.items()}

    def set_optimizer_state(self, state: Mapping[str, np.ndarray]) -> None:
        self.step = int(state["step"])
        self.learning_rate = float(state["learning_rate"])
        if self.recipe.loss_scale is not None:
            self.scale, self.finite_steps = float(state["loss_scale"]), int(state["finite_steps"])
        for key, slots in self.slots.items():
            for slot in slots:
                given = np.array(state[f"{slot}/{key}"], dtype=self.dtype)
                slots[slot] = given / self._factor(slot, key)
        for key in self.accumulated:
            self.batches = int(state["batches"])
            self.accumulated[key] = np.array(state[f"accumulated/{key}"], dtype=self.dtype)
        for key in self.average:
            self.average[key] = np.array(state[f"average/{key}"], dtype=self.dtype)

    # ---- inside

    def _scaled_on(self, gradients: Weights) -> bool:
        """True where the step is taken: the scaled gradients are finite as they are stored. The
        scale of the next step follows."""
        assert self.recipe.loss_scale is not None
        kind = self.stored or self.dtype
        with np.errstate(over="ignore"):
            scaled = [(gradient * self.scale).astype(kind) for gradient in gradients.values()]
        finite = all(np.isfinite(one).all() for one in scaled)
        before = self.scale, self.finite_steps
        self.scale, self.finite_steps = loss_scale.after(
            self.recipe.loss_scale, *before, finite=finite
        )
        return finite

    def _factor(self, slot: str, key: str) -> float:
        rate = self.learning_rate * self.factors[key]
        return optimizers.slot_factor(self.recipe.optimizer, slot, rate)

    def _forward(
        self,
        images: np.ndarray,
        *,
        training: bool,
        masks: Mapping[str, np.ndarray] | None = None,
        kinks: Kinks | None = None,
    ) -> Forward:
        outputs = {PICTURES: _scaled(images, self.dtype)}
        applied = {}
        for layer in self.network.layers:
            first, *others = (outputs[name] for name in self.network.sources[layer.name])
            if isinstance(layer, JOINS):
                applied[layer.name] = layers.join(layer, first, *others)
            else:
                applied[layer.name] = layers.apply(
                    layer,
                    first,
                    self._parts(layer.name),
                    training=training and layer.name not in self._still,
                    mask=(masks or {}).get(layer.name),
                    kinks=(kinks or {}).get(layer.name),
                )
            outputs[layer.name] = applied[layer.name].output
        return Forward(applied)

    def _backward(self, forward: Forward, labels: np.ndarray) -> Gradients:
        """Loss and gradients: the recipe's loss of the logits, averaged over the batch, plus L2."""
        loss, slope = losses.mean(self.recipe, forward.logits, labels)
        gradients: Weights = {}
        slopes = {self.network.output: slope * self.scale}
        for name, applied in reversed(forward.applied.items()):
            if name not in slopes:
                continue  # ahead of all weights: nothing needs the gradient
            dy = slopes.pop(name)
            parts = applied.weight_gradients(dy)
            gradients |= {f"{name}/{part}": array for part, array in parts.items()}
            for source, back in zip(self.network.sources[name], applied.backwards, strict=True):
                if source in self._with_weights:
                    dx = back(dy)
                    slopes[source] = slopes[source] + dx if source in slopes else dx
        for key, l2 in self.network.penalised.items():
            loss += l2 * float(np.sum(self.weights[key] ** 2))
            gradients[key] = gradients[key] + 2 * l2 * self.weights[key] * self.scale
        ordered = {key: gradients[key] / self.scale for key in self.network.trainable_keys}
        return Gradients(loss, forward.logits, ordered)

    @cached_property
    def _with_weights(self) -> frozenset[str]:
        """Names of the layers with weights to train, and of those that read from such: a gradient
        is wanted of their outputs."""
        found: set[str] = set()
        own = {key.split("/")[0] for key in self.network.trainable_keys}
        for name, sources in self.network.sources.items():
            if name in own or found.intersection(sources):
                found.add(name)
        return frozenset(found)

    def _take_running_statistics(self, forward: Forward) -> None:
        for name, applied in forward.applied.items():
            for part, array in applied.running.items():
                self.weights[f"{name}/{part}"] = self._as_stored(array)

    def _as_stored(self, weight: np.ndarray) -> np.ndarray:
        return weight.astype(self.stored or self.dtype).astype(self.dtype)

    def _parts(self, name: str) -> Weights:
        """The weights of one layer by part."""
        prefix = f"{name}/"
        return {
            key.removeprefix(prefix): array
            for key, array in self.weights.items()
            if key.startswith(prefix)
        }


def recorded_kinks(
    network: Network, images: np.ndarray, activations: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The pattern of every ReLU and max-pool behind activations that any backend recorded.

    Args:
        images: uint8 (batch, height, width, channels), for a max-pool that comes first.
        activations: of `Backend.activations(batch, training=True)`.
    Returns:
        What `NumpyReference.kinks` gives, by layer name.
    """
    kinks = {}
    for layer in network.layers:
        if (found := sides(layer, activations[layer.name])) is not None:
            kinks[layer.name] = found
        elif isinstance(layer, MaxPool | AdaptiveMaxPool | GlobalMaxPool):
            (source,) = network.sources[layer.name]
            pictures = source == PICTURES
            x = _scaled(images, np.dtype(np.float64)) if pictures else activations[source]
            kinks[layer.name] = pools.first_maxima(layer, x)
    return kinks


def count_flips(kinks: Kinks, others: Kinks) -> dict[str, int]:
    """Elements of each layer where two patterns differ, by layer name; layers without are 0."""
    return {name: int((pattern != others[name]).sum()) for name, pattern in kinks.items()}


def _scaled(images: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return images.astype(dtype) * dtype.type(PIXEL_SCALE)


def _check(network: Network, recipe: Recipe, runtime: Runtime) -> None:
    if runtime.device != "cpu":
        raise SpecificationError(f"the NumPy reference runs on cpu, not on {runtime.device}.")
    if runtime.precision not in ("float64", "float32"):
        raise SpecificationError(
            f"the NumPy reference computes in float64 or float32, not in {runtime.precision}."
        )
    if runtime.native_dropout:
        raise SpecificationError(
            "the NumPy reference draws no dropout masks of its own; use native_dropout=False."
        )
    for layer in network.layers:
        if isinstance(layer, BatchNorm):
            for field in layer.__struct_fields__:
                if getattr(layer, field) is None and applies(layer, field):
                    raise SpecificationError(
                        f"layer '{layer.name}': field '{field}' is not stated; "
                        "fill it in with frameworks.spec.defaults.fill_architecture."
                    )
    optimizers.require_stated(recipe.optimizer)
