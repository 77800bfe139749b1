"""Flax NNX: the tutorial's jitted step over NumPy batches (siblings: keras, torch)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jax.typing import ArrayLike

from datasets.batches import Batch, distinct_sizes
from frameworks.backend import MAX_NORM_EPSILON, Backend, EpochResult, Gradients
from frameworks.flax import optimizers, own_augment
from frameworks.flax.losses import BatchLoss
from frameworks.flax.model import (
    GalaxyNet,
    random_state,
    set_random_state,
    state_entry,
    variable_of,
)
from frameworks.jax.settings import configure
from frameworks.spec import weights as canonical
from frameworks.spec.frozen import still_norms
from frameworks.spec.losses import answers
from frameworks.spec.weights import Weights

Masks = Mapping[str, ArrayLike]
HALVES = ("float16", "bfloat16")  # the layers' own precision; norms and losses are in float32


class FlaxBackend(Backend):
    """Flax NNX and optax, jitted.

    A step is one dispatch and nothing is read back before the epoch's end. Layers keep their state
    in objects whose arrays JAX never changes in place, so a clone is a snapshot that costs nothing.
    """

    every_loss = True
    layers_apart = True
    accumulates = True
    averages = True

    def build(self, *, draw: bool) -> None:
        network, recipe, runtime = self.network, self.recipe, self.runtime
        self.device = configure(runtime)
        self.dtype = jnp.dtype("float64" if runtime.precision == "float64" else "float32")
        self.model = GalaxyNet(
            network,
            native_dropout=runtime.native_dropout,
            dtype=jnp.dtype(runtime.precision) if runtime.precision in HALVES else self.dtype,
            param_dtype=self.dtype,
            draw=draw,
            rngs=nnx.Rngs(runtime.seed),
            augment=recipe.drawn_by("framework"),
        )
        self.model.still = still_norms(network, recipe)
        rates = {key.split("/")[0]: factor for key, factor in self.factors.items()}
        made = optimizers.make(recipe.optimizer, recipe.clipping, rates, recipe.loss_scale)
        if recipe.accumulation > 1:
            made = optimizers.grouped(made, recipe.accumulation)
        wrt, average = self.model.trained, recipe.average_weights
        self.optimizer = nnx.Optimizer(self.model, made, wrt=wrt)
        if average is not None:
            kind = optimizers.AveragingOptimizer
            self.optimizer = kind(self.model, made, wrt=wrt, average=average)
        self.batch_loss = BatchLoss.of(recipe)

    def parameters(self) -> int:
        state = nnx.state(self.model, nnx.Any(nnx.Param, nnx.BatchStat))
        return sum(array.size for array in jax.tree.leaves(state))

    def device_name(self) -> str:
        return self.device.device_kind

    def compile(self, epoch: Sequence[Batch]) -> None:
        """One step per batch size and one prediction, on a clone, compile the functions."""
        model, optimizer = nnx.clone((self.model, self.optimizer))
        fit(model, optimizer, distinct_sizes(epoch), self.batch_loss)
        self.predict(epoch[0].images)

    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        return fit(self.model, self.optimizer, epoch, self.batch_loss)

    def train_scheduled(self, epoch: Sequence[Batch], rates: np.ndarray) -> EpochResult:
        one_by_one = zip(epoch, rates, strict=True)
        return fit(self.model, self.optimizer, self._at(one_by_one), self.batch_loss)

    def _at(self, steps: Iterable[tuple[Batch, float]]) -> Iterator[Batch]:
        """The batches, each once the rate is its own."""
        for batch, rate in steps:
            self.set_learning_rate(float(rate))
            yield batch

    def set_learning_rate(self, learning_rate: float) -> None:
        optimizers.set_learning_rate(self.optimizer, self.recipe.optimizer, learning_rate)

    def predict(self, images: np.ndarray) -> np.ndarray:
        self.model.eval()
        size = self.recipe.batch_size
        logits = []
        for start in range(0, len(images), size):
            batch = images[start : start + size]
            # the last batch is padded to the size of the others, so that one shape is compiled
            padding = np.zeros((size - len(batch), *batch.shape[1:]), batch.dtype)
            logits.append(predict_step(self.model, np.concatenate([batch, padding])))
        return np.concatenate(jax.device_get(logits))[: len(images)]

    def gradients(self, batch: Batch) -> Gradients:
        model = nnx.clone(self.model)
        model.train()
        (loss, logits), state = gradient_step(
            model, self.optimizer, batch.images, batch.labels, batch.masks, self.batch_loss
        )
        scale = self._loss_scale()
        gradients = {
            key: np.array(state_entry(self.network, state, key)[...]) / scale
            for key in self.network.trainable_keys
        }
        return Gradients(float(loss), np.array(logits), gradients)

    def apply_gradients(self, gradients: Weights) -> None:
        state = nnx.clone(nnx.state(self.model, self.model.trained))
        for key in self.network.trainable_keys:
            scaled = self._own(gradients[key]) * self._loss_scale()
            state_entry(self.network, state, key).set_value(scaled)
        apply_step(self.model, self.optimizer, state)

    def activations(self, batch: Batch, *, training: bool) -> dict[str, np.ndarray]:
        model = nnx.clone(self.model)
        model.train() if training else model.eval()
        record = record_step(model, batch.images, batch.masks)
        return {
            layer.name: np.asarray(record[layer.name], self.dtype) for layer in self.network.layers
        }

    def get_weights(self) -> Weights:
        return {
            key: np.array(variable_of(self.model, key)[...]) for key in self.network.weight_shapes
        }

    def set_weights(self, weights: Weights) -> None:
        canonical.check(weights, self.network)
        for key, array in weights.items():
            variable_of(self.model, key).set_value(self._own(array))

    def get_optimizer_state(self) -> dict[str, np.ndarray]:
        step, batches = optimizers.steps(self.optimizer)
        state: dict[str, np.ndarray] = {
            "step": np.asarray(step, dtype=np.int64),
            "learning_rate": np.array(optimizers.learning_rate(self.optimizer)[...]),
        }
        for name, slot, factor in self._slots(batches):
            for key in self.network.trainable_keys:
                own = np.array(state_entry(self.network, slot, key)[...])
                state[f"{name}/{key}"] = own if factor is None else own * factor
        if self.recipe.accumulation > 1:
            state["batches"] = np.asarray(batches, dtype=np.int64)
        if scaling := optimizers.scaling(self.optimizer):
            state["loss_scale"] = np.array(scaling.loss_scale[...])
            state["finite_steps"] = np.array(scaling.finite_steps[...])
        return state

    def set_optimizer_state(self, state: Mapping[str, np.ndarray]) -> None:
        group, batches = self.recipe.accumulation, int(state.get("batches", 0))
        optimizers.set_steps(self.optimizer, int(state["step"]), batches, group)
        rate = jnp.asarray(float(state["learning_rate"]), self.dtype)
        optimizers.learning_rate(self.optimizer).set_value(rate)
        for name, slot, factor in self._slots(batches):
            for key in self.network.trainable_keys:
                own = state[f"{name}/{key}"] / (factor or 1)
                state_entry(self.network, slot, key).set_value(self._own(own))
        if scaling := optimizers.scaling(self.optimizer):
            scaling.loss_scale.set_value(jnp.float32(float(state["loss_scale"])))
            scaling.finite_steps.set_value(jnp.int32(int(state["finite_steps"])))

    def _slots(self, batches: int) -> Iterator[tuple[str, nnx.State, int | None]]:
        """(canonical name, state, factor that makes it canonical) of every slot."""
        for name, field in optimizers.slots(self.recipe.optimizer).items():
            yield name, optimizers.slot(self.optimizer, field), None
        if self.recipe.accumulation > 1:  # optax keeps the mean
            yield "accumulated", optimizers.slot(self.optimizer, "acc_grads"), batches
        if isinstance(self.optimizer, optimizers.AveragingOptimizer):
            yield "average", self.optimizer.average, None

    def get_random_state(self) -> dict[str, np.ndarray]:
        return random_state(self.model)

    def set_random_state(self, state: Mapping[str, np.ndarray]) -> None:
        set_random_state(self.model, state)

    def save(self, directory: Path) -> Path:
        """Parameters and running statistics of the NNX state as safetensors, by their path."""
        from safetensors.flax import save as to_safetensors  # nothing else here needs it

        path = directory / "model.safetensors"
        state = nnx.state(self.model, nnx.Any(nnx.Param, nnx.BatchStat))
        arrays = {
            ".".join(map(str, place)): variable[...] for place, variable in nnx.to_flat_state(state)
        }
        path.write_bytes(to_safetensors(arrays))
        return path

    def _own(self, array: np.ndarray) -> Array:
        """An array of the caller's on the device: JAX may read it after this returns, or alias it,
        so it is given a copy that nobody else will change."""
        return jnp.asarray(np.array(array, self.dtype))

    def _loss_scale(self) -> np.ndarray:
        """The scale of the next step's loss; 1 without one."""
        scaling = optimizers.scaling(self.optimizer)
        return np.asarray(1.0 if scaling is None else scaling.loss_scale[...], self.dtype)

    def synchronize(self) -> None:
        jax.block_until_ready(nnx.state((self.model, self.optimizer)))

    def peak_memory(self) -> tuple[int, str]:
        statistics = self.device.memory_stats() or {}
        if "peak_bytes_in_use" in statistics:
            return statistics["peak_bytes_in_use"], "device allocator"
        return super().peak_memory()

    def settings(self) -> dict[str, str]:
        own = self.recipe.drawn_by("framework") is not None
        augmentation = {"augmentation": own_augment.NAME} if own else {}
        return {"layout": "channels last", "compiled": "nnx.jit"} | augmentation


def fit(
    model: GalaxyNet,
    optimizer: nnx.Optimizer,
    epoch: Iterable[Batch],
    batch_loss: BatchLoss,
) -> EpochResult:
    """Train on the batches in order, in place; nothing is read back before the end."""
    model.train()
    results, counts = [], []
    for batch in epoch:
        data = batch.images, batch.labels, batch.masks
        results.append(train_step(model, optimizer, *data, batch_loss))
        counts.append(len(batch))
    losses, correct = np.asarray(jax.device_get(results), np.float64).T  # waits for the device
    images = sum(counts)
    each = answers(batch_loss.loss, model.network.classes)
    return EpochResult(float(losses @ counts) / images, float(correct.sum()) / (images * each))


def loss_function(
    model: GalaxyNet,
    images: ArrayLike,
    labels: ArrayLike,
    masks: Masks,
    batch_loss: BatchLoss,
) -> tuple[Array, Array]:
    """The recipe's loss of the batch plus the L2 terms, and the logits."""
    logits = model(images, masks)
    loss = batch_loss(logits, labels)
    for key, l2 in model.network.penalised.items():
        loss = loss + l2 * jnp.sum(jnp.square(variable_of(model, key)[...]))
    return loss, logits


def take_step(model: GalaxyNet, optimizer: nnx.Optimizer, gradients: nnx.State) -> None:
    """One step in place with the gradients of the scaled loss, and the max-norm projection."""
    project(model, optimizers.update(model, optimizer, gradients))


def project(model: GalaxyNet, taken: Array | bool) -> None:
    """Max-norm: w *= clip(norm, 0, max) / (epsilon + norm), norm over the incoming weights; only
    where the step was taken."""
    for key, limit in model.network.limited.items():
        kernel = variable_of(model, key)
        axes = tuple(range(kernel.ndim - 1))
        norm = jnp.sqrt(jnp.sum(jnp.square(kernel[...]), axis=axes, keepdims=True))
        factor = jnp.minimum(norm, limit) / (MAX_NORM_EPSILON + norm)
        kernel[...] = kernel[...] * jnp.where(taken, factor, 1)


def update(model: GalaxyNet, optimizer: nnx.Optimizer, gradients: nnx.State) -> None:
    """One step in place, with the max-norm projection and the averages of the weights."""
    project(model, optimizers.update(model, optimizer, gradients))
    if isinstance(optimizer, optimizers.AveragingOptimizer):
        optimizer.take_average(model)


def value_and_gradients(model: GalaxyNet, optimizer: nnx.Optimizer, *batch: Any) -> tuple:
    """(loss, logits) of `loss_function`, and the gradients of what is trained, times the scale of
    the loss."""
    trained, scaling = nnx.DiffState(0, model.trained), optimizers.scaling(optimizer)
    scale = 1 if scaling is None else scaling.loss_scale[...]

    def scaled(model: GalaxyNet, *batch: Any) -> tuple[Array, tuple[Array, Array]]:
        loss, logits = loss_function(model, *batch)
        return loss * jnp.asarray(scale, loss.dtype), (loss, logits)

    found, gradients = nnx.value_and_grad(scaled, argnums=trained, has_aux=True)(model, *batch)
    return found[1], gradients


@nnx.jit
def train_step(
    model: GalaxyNet,
    optimizer: nnx.Optimizer,
    images: ArrayLike,
    labels: ArrayLike,
    masks: Masks,
    batch_loss: BatchLoss,
) -> tuple[Array, Array]:
    """One step in place; the loss and the number of right answers stay on the device."""
    data = images, labels, masks, batch_loss
    (loss, logits), gradients = value_and_gradients(model, optimizer, *data)
    update(model, optimizer, gradients)
    return loss, batch_loss.right(logits, labels)


@nnx.jit
def apply_step(model: GalaxyNet, optimizer: nnx.Optimizer, gradients: nnx.State) -> None:
    """The second half of `train_step`."""
    update(model, optimizer, gradients)


@nnx.jit
def gradient_step(
    model: GalaxyNet,
    optimizer: nnx.Optimizer,
    images: ArrayLike,
    labels: ArrayLike,
    masks: Masks,
    batch_loss: BatchLoss,
) -> tuple:
    """The first half of `train_step`: (loss, logits), gradients."""
    return value_and_gradients(model, optimizer, images, labels, masks, batch_loss)


@nnx.jit
def predict_step(model: GalaxyNet, images: ArrayLike) -> Array:
    """Logits (batch, classes)."""
    return model(images)


@nnx.jit
def record_step(model: GalaxyNet, images: ArrayLike, masks: Masks) -> dict[str, Array]:
    """Output of every layer by name."""
    record: dict[str, Array] = {}
    model(images, masks, record)
    return record
