"""Softmax regression in NumPy: the smallest backend that passes the ladder.

It trains one network, flatten and one dense layer, with any optimizer of a recipe. The page
`docs/add-a-framework.md` walks through it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from datasets.batches import Batch
from frameworks.backend import PIXEL_SCALE, Backend, EpochResult, Gradients
from frameworks.numpy import losses, optimizers
from frameworks.spec import weights as canonical
from frameworks.spec.architecture import Dense, Flatten
from frameworks.spec.reading import SpecificationError
from frameworks.spec.weights import Weights


class Softmax(Backend):
    """Logits are pixels @ kernel + bias; the loss is the recipe's."""

    every_loss = True

    def build(self, *, draw: bool) -> None:
        match self.network.layers:
            case [Flatten(), Dense(l2=0, max_norm=None) as dense]:
                self.name = dense.name
            case _:
                raise SpecificationError("Softmax takes flatten and one dense layer without l2.")
        if self.runtime.device != "cpu" or self.runtime.precision not in ("float32", "float64"):
            raise SpecificationError("Softmax computes on cpu, in float32 or float64.")
        self.dtype = np.dtype(self.runtime.precision)
        self.step, self.learning_rate = 0, self.recipe.optimizer.rate
        self.slots = {
            key: optimizers.initial_slots(self.recipe.optimizer, np.zeros(shape, self.dtype))
            for key, shape in self.network.weight_shapes.items()
        }
        if draw:
            self.set_weights(canonical.initial(self.network, self.runtime.seed))

    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        loss = right = images = 0.0
        for batch in epoch:
            found = self.gradients(batch)
            self.apply_gradients(found.gradients)
            loss += found.loss * len(batch)
            answers = losses.right(self.recipe.loss, found.logits, batch.labels)
            right += float(answers.mean()) * len(batch)
            images += len(batch)
        return EpochResult(loss / images, right / images)

    def predict(self, images: np.ndarray) -> np.ndarray:
        kernel, bias = (self.weights[f"{self.name}/{part}"] for part in ("kernel", "bias"))
        return self._pixels(images) @ kernel + bias

    def set_learning_rate(self, learning_rate: float) -> None:
        self.learning_rate = learning_rate

    def get_weights(self) -> Weights:
        return {key: array.copy() for key, array in self.weights.items()}

    def set_weights(self, weights: Weights) -> None:
        canonical.check(weights, self.network)
        self.weights = {key: array.astype(self.dtype) for key, array in weights.items()}

    def get_optimizer_state(self) -> dict[str, np.ndarray]:
        slots = {f"{slot}/{key}": a for key, of in self.slots.items() for slot, a in of.items()}
        return {"step": np.array(self.step), "learning_rate": np.array(self.learning_rate), **slots}

    def set_optimizer_state(self, state: Mapping[str, np.ndarray]) -> None:
        self.step, self.learning_rate = int(state["step"]), float(state["learning_rate"])
        for key, of in self.slots.items():
            of.update({slot: state[f"{slot}/{key}"].astype(self.dtype) for slot in of})

    # ---- for the ladder, and used above

    def gradients(self, batch: Batch) -> Gradients:
        logits = self.predict(batch.images)
        loss, by_logits = losses.mean(self.recipe, logits, batch.labels)
        kernel = self._pixels(batch.images).T @ by_logits
        gradients = {f"{self.name}/kernel": kernel, f"{self.name}/bias": by_logits.sum(axis=0)}
        return Gradients(loss, logits, gradients)

    def apply_gradients(self, gradients: Weights) -> None:
        self.step += 1
        for key, weight in self.weights.items():
            self.weights[key], self.slots[key] = optimizers.update(
                *(self.recipe.optimizer, weight, gradients[key].astype(self.dtype)),
                *(self.slots[key], self.learning_rate, self.step),
            )

    def activations(self, batch: Batch, *, training: bool) -> dict[str, np.ndarray]:
        flat, dense = self.network.layers
        return {flat.name: self._pixels(batch.images), dense.name: self.predict(batch.images)}

    def _pixels(self, images: np.ndarray) -> np.ndarray:
        return images.reshape(len(images), -1).astype(self.dtype) * self.dtype.type(PIXEL_SCALE)
