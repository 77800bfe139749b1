"""Keras 3 on any of its engines: `compile` and `fit` (siblings: torch, flax)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from datasets.batches import Batch, distinct_sizes
from frameworks.backend import Backend, EpochResult, Gradients
from frameworks.keras import engines, export, losses, optimizers, own_augment
from frameworks.keras.model import (
    IMAGES,
    GalaxyNet,
    StagedBatchNormalization,
    freeze,
    variable_of,
)
from frameworks.spec import weights as canonical
from frameworks.spec.frozen import still_norms
from frameworks.spec.losses import Loss, targets_of
from frameworks.spec.network import Network
from frameworks.spec.recipe import Recipe
from frameworks.spec.weights import Weights


class KerasBackend(Backend):
    """Keras, `fit`."""

    every_loss = True
    layers_apart = True
    accumulates = True
    averages = True

    def build(self, *, draw: bool) -> None:
        network, recipe, runtime = self.network, self.recipe, self.runtime
        engines.configure(runtime)
        self.engine = engines.engine()
        own = recipe.drawn_by("framework")
        self.model = GalaxyNet(network, native_dropout=runtime.native_dropout, augment=own)
        freeze(self.model, still_norms(network, recipe))
        trainer = self.model.trainer
        keys = {id(variable_of(self.model, key)): key for key in network.trainable_keys}
        self.trainable = [keys[id(variable)] for variable in trainer.trainable_variables]
        own = optimizers.make(recipe.optimizer, recipe.clipping, recipe.accumulation)
        rates = [self.factors[key] for key in self.trainable]
        own = optimizers.with_layer_rates(own, rates)
        variables = dict(zip(self.trainable, trainer.trainable_variables, strict=True))
        own = optimizers.with_spared(own, recipe.optimizer, variables)
        own = optimizers.with_average(own, recipe.average_weights)
        self.optimizer = optimizers.scaled(own, recipe.loss_scale)
        self.loss = losses.BatchLoss(recipe)
        trainer.compile(
            optimizer=self.optimizer,
            loss=losses.of(recipe.trained_loss),
            metrics=[losses.accuracy(recipe.trained_loss)],
            auto_scale_loss=False,  # the recipe says whether
        )
        self.optimizer.build(trainer.trainable_variables)
        if self.engine.first_fit_draws and runtime.native_dropout:
            with self._unchanged():
                self._fit([_blank(network, recipe.trained_loss)])

    def parameters(self) -> int:
        return self.model.predictor.count_params()

    def device_name(self) -> str:
        return self.engine.device_name()

    def compile(self, epoch: Sequence[Batch]) -> None:
        """One fit over each batch size and one prediction trace and compile the functions.

        Together too: TensorFlow traces once more for an epoch whose batches differ in size.
        """
        with self._unchanged():
            for batch in distinct_sizes(epoch):
                self._fit([batch])
            self._fit(distinct_sizes(epoch))
            self.predict(epoch[0].images)
        self.synchronize()

    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        return self._fit(epoch)

    def train_scheduled(self, epoch: Sequence[Batch], rates: np.ndarray) -> EpochResult:
        return self._fit(epoch, [Rates(self, rates)])

    def _fit(self, epoch: Sequence[Batch], callbacks: Sequence[Any] = ()) -> EpochResult:
        batches = self.engine.fed(_Batches(epoch, self.recipe))
        fit = self.model.trainer.fit
        history = fit(batches, shuffle=False, verbose=0, callbacks=list(callbacks)).history
        return EpochResult(float(history["loss"][0]), float(history["accuracy"][0]))

    def set_learning_rate(self, learning_rate: float) -> None:
        optimizers.set_learning_rate(self.optimizer, self.recipe.optimizer, learning_rate)

    def predict(self, images: np.ndarray) -> np.ndarray:
        # padded to whole batches, so that one shape is compiled
        size = self.recipe.batch_size
        padding = np.zeros((-len(images) % size, *images.shape[1:]), images.dtype)
        padded = np.concatenate([images, padding])
        pictures = self.engine.fed(_Pictures(padded.reshape(-1, size, *images.shape[1:])))
        logits = self.model.predictor.predict(pictures, verbose=0)
        return np.asarray(logits)[: len(images)]

    def gradients(self, batch: Batch) -> Gradients:
        scale = self._loss_scale()
        labels = tuple(map(keras.ops.convert_to_tensor, (batch.labels, scale)))
        with self._unchanged():
            loss, logits, gradients = self.engine.gradients(
                self.model.trainer, inputs_of(batch), labels, self._objective
            )
        arrays = dict(zip(self.trainable, map(engines.to_numpy, gradients), strict=True))
        ordered = {key: arrays[key] / scale for key in self.network.trainable_keys}
        return Gradients(float(engines.to_numpy(loss) / scale), engines.to_numpy(logits), ordered)

    def apply_gradients(self, gradients: Weights) -> None:
        variables, scale = self.model.trainer.trainable_variables, self._loss_scale()
        values = [
            keras.ops.convert_to_tensor(gradients[key] * scale, dtype=variable.dtype)
            for key, variable in zip(self.trainable, variables, strict=True)
        ]
        self.engine.apply(self.optimizer, values, variables)

    def activations(self, batch: Batch, *, training: bool) -> dict[str, np.ndarray]:
        inputs = inputs_of(batch) if training else {IMAGES: inputs_of(batch)[IMAGES]}
        with self._unchanged():
            outputs = self.engine.call(self.model.recorders[training], inputs, training)
        return {
            layer.name: engines.to_numpy(outputs[layer.name]).astype(keras.config.floatx())
            for layer in self.network.layers
        }

    def get_weights(self) -> Weights:
        return {
            key: engines.to_numpy(variable_of(self.model, key))
            for key in self.network.weight_shapes
        }

    def set_weights(self, weights: Weights) -> None:
        canonical.check(weights, self.network)
        for key, array in weights.items():
            _put(variable_of(self.model, key), array)

    def get_optimizer_state(self) -> dict[str, np.ndarray]:
        rate = engines.to_numpy(self.optimizer.learning_rate)
        state: dict[str, np.ndarray] = {
            "step": engines.to_numpy(self.optimizer.iterations).astype(np.int64),
            "learning_rate": rate,
        }
        if (group := self.recipe.accumulation) > 1:
            batches = engines.to_numpy(optimizers.inner(self.optimizer)._iterations)
            state["batches"] = batches.astype(np.int64) % group
        for slot, key, variable in self._slots():
            own = float(rate) * self.factors[key]
            factor = optimizers.slot_factor(self.recipe.optimizer, slot, own)
            state[f"{slot}/{key}"] = engines.to_numpy(variable) * factor
        scaling = optimizers.scale_variables(self.optimizer)
        return state | {name: engines.to_numpy(variable) for name, variable in scaling.items()}

    def set_optimizer_state(self, state: Mapping[str, np.ndarray]) -> None:
        batches = state["step"] * self.recipe.accumulation + state.get("batches", 0)
        _put(optimizers.inner(self.optimizer)._iterations, batches)
        _put(self.optimizer.learning_rate, state["learning_rate"])
        rate = float(state["learning_rate"])
        for slot, key, variable in self._slots():
            own = rate * self.factors[key]
            factor = optimizers.slot_factor(self.recipe.optimizer, slot, own)
            _put(variable, state[f"{slot}/{key}"] / factor)
        for name, variable in optimizers.scale_variables(self.optimizer).items():
            _put(variable, state[name])

    def get_random_state(self) -> dict[str, np.ndarray]:
        seeds = {key: engines.to_numpy(variable) for key, variable in self._seeds()}
        return seeds | self.engine.get_random_state()

    def set_random_state(self, state: Mapping[str, np.ndarray]) -> None:
        for key, variable in self._seeds():
            _put(variable, state[key])
        self.engine.set_random_state(state)

    def save(self, directory: Path) -> Path:
        """A `.keras` file of Keras' own layers (`keras.saving.load_model` with `safe_mode`)."""
        path = directory / "model.keras"
        export.model(self.network, self.get_weights()).save(path)
        return path

    def synchronize(self) -> None:
        self.engine.synchronize([*self.model.trainer.variables, *self.optimizer.variables])

    def peak_memory(self) -> tuple[int, str]:
        return self.engine.peak_memory()

    def settings(self) -> dict[str, str]:
        compiled = "XLA" if self.model.trainer.jit_compile else "graph"
        if keras.backend.backend() == "torch" and not self.model.trainer.jit_compile:
            compiled = "eager"
        found = {"compiled": compiled, "layout": keras.config.image_data_format()}
        layers = self.model.trainer.layers
        if any(isinstance(layer, keras.layers.BatchNormalization) for layer in layers):
            staged = any(isinstance(layer, StagedBatchNormalization) for layer in layers)
            found["batch_norm"] = "averaged axis by axis" if staged else "Keras'"
        if self.model.augment:
            found["augmentation"] = own_augment.name(self.model.augment)
        return found | self.engine.feed_settings()

    # ---- inside

    def _objective(self, given: Any, logits: Any, regularization: Sequence[Any]) -> Any:
        """The loss times the scale of the step; given: labels and scale."""
        labels, scale = given
        loss = self.loss(labels, logits) + sum(regularization)
        return loss * keras.ops.cast(scale, loss.dtype)

    def _loss_scale(self) -> np.ndarray:
        """The scale of the next step's loss; 1 without one."""
        found = optimizers.scale_variables(self.optimizer)
        own = engines.to_numpy(found["loss_scale"]) if found else np.ones(())
        return own.astype(keras.config.floatx())

    def _slots(self) -> Iterator[tuple[str, str, keras.Variable]]:
        """(canonical slot, key, variable) of the optimizer's state."""
        attributes = optimizers.slots(self.recipe.optimizer)
        if self.recipe.accumulation > 1:
            attributes = {**attributes, "accumulated": "_accumulated_gradients"}
        if self.recipe.average_weights is not None:
            attributes = {**attributes, "average": "averages"}
        for slot, attribute in attributes.items():
            variables = getattr(optimizers.inner(self.optimizer), attribute)
            for key, variable in zip(self.trainable, variables, strict=True):
                yield slot, key, variable

    def _seeds(self) -> Iterator[tuple[str, keras.Variable]]:
        """(key, variable) of the generators that dropout and augmentation draw from."""
        own = {f"augment{place}": layer for place, layer in enumerate(self.model.augment)}
        for name, layer in (self.model.layers | own).items():
            generator = getattr(layer, "seed_generator", getattr(layer, "generator", None))
            if generator is not None:
                yield f"{name}/seed", generator.state

    @contextmanager
    def _unchanged(self) -> Iterator[None]:
        """Restore weights, running statistics, optimizer state and random state on leaving."""
        variables = [*self.model.trainer.variables, *self.optimizer.variables]
        before = [engines.to_numpy(variable) for variable in variables]
        with self.engine.random_state_kept():
            yield
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


class _Batches(keras.utils.PyDataset):
    """The batches of an epoch as Keras reads them; class weights as weights of the samples.

    Metrics stay unweighted.
    """

    def __init__(self, epoch: Sequence[Batch], recipe: Recipe) -> None:
        super().__init__()
        self.epoch, self.recipe = epoch, recipe

    def __len__(self) -> int:
        return len(self.epoch)

    def __getitem__(self, step: int) -> tuple[Any, ...]:
        batch = self.epoch[step]
        inputs = {IMAGES: batch.images, **batch.masks}
        weights = losses.sample_weights(self.recipe, batch.labels)
        return (inputs, batch.labels) if weights is None else (inputs, batch.labels, weights)


class Rates(keras.callbacks.Callback):
    """The learning rate of each step, set ahead of it."""

    def __init__(self, backend: KerasBackend, rates: np.ndarray) -> None:
        super().__init__()
        self.backend, self.rates = backend, rates

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if hasattr(self.model, "jax_state_sync"):  # where fit keeps the variables to itself
            self.model.jax_state_sync()
        self.backend.set_learning_rate(float(self.rates[batch]))


class _Pictures(keras.utils.PyDataset):
    """Whole batches of pictures, uint8 (batches, batch, height, width, channels)."""

    def __init__(self, batches: np.ndarray) -> None:
        super().__init__()
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, step: int) -> tuple[np.ndarray]:
        return (self.batches[step],)


def _put(variable: keras.Variable, array: np.ndarray) -> None:
    """Assign a copy of the caller's array: on JAX the variable is over the memory it is given."""
    variable.assign(np.array(array))


def _blank(network: Network, loss: Loss) -> Batch:
    """One black picture."""
    voted = targets_of(loss) == "votes"
    targets = np.zeros((1, network.classes), np.float32) if voted else np.zeros(1, np.int32)
    return Batch(np.zeros((1, *network.input_shape), np.uint8), targets)


def inputs_of(batch: Batch) -> dict[str, Any]:
    """Pictures and masks by the names of the model's inputs."""
    return {
        name: keras.ops.convert_to_tensor(array)
        for name, array in {IMAGES: batch.images, **batch.masks}.items()
    }
