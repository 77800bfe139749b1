"""Base class of backends.

A backend compiles a `Network` and a `Recipe` to one framework. Weights, gradients, optimizer state
and activations cross its door as NumPy arrays in the canonical layout (see `weights`), and are
converted there and nowhere else.
"""

# ruff: noqa: B027 - methods with an empty body are defaults, not forgotten
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import numpy as np

from datasets.batches import Batch
from frameworks.memory import process_peak_memory
from frameworks.runtime import EpochResult, Gradients, Runtime
from frameworks.spec import loss_scale
from frameworks.spec.frozen import bound, factors
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import Recipe, trains_plainly
from frameworks.spec.schedules import by_step
from frameworks.spec.weights import Weights

PIXEL_SCALE = 1 / 255  # pictures are multiplied by it, in the run's own dtype, in every framework
MAX_NORM_EPSILON = 1e-7  # keras/src/constraints: MaxNorm divides by epsilon + norm


class Backend(ABC):
    """One framework. Subclass it and write the abstract methods; the others have a default.

    A run needs the abstract methods and `build`; the ladder also needs `gradients`,
    `apply_gradients` and `activations`. `docs/add-a-framework.md` walks through an example.

    CHOICES: of a tuned backend, what it does for speed, in words by name. without: the choices left
    out, to see what each gains. every_loss: it trains with all of `frameworks.spec.losses`; else
    softmax cross-entropy without smoothing is all that it is asked. layers_apart: layers may be
    frozen (`network.frozen`) and have rates of their own (`factors`, by key). accumulates: a step
    may be of several batches (`recipe.accumulation`). averages: its optimizer's state has averages
    of the weights (`recipe.average_weights`) as slot "average". host_wait_seconds: what the host
    waited for data in training so far; None where nobody counts it. own_rate: the learning rate of
    the next step; None where it is what the harness set.
    """

    CHOICES: ClassVar[Mapping[str, str]] = {}
    every_loss: ClassVar[bool] = False
    layers_apart: ClassVar[bool] = False
    accumulates: ClassVar[bool] = False
    averages: ClassVar[bool] = False
    without: frozenset[str] = frozenset()
    host_wait_seconds: float | None = None
    own_rate: float | None = None

    def __init__(
        self, network: Network, recipe: Recipe, runtime: Runtime, weights: Weights | None
    ) -> None:
        """Build the network on the device, with these weights or with the framework's own.

        Raises:
            SpecificationError: the backend does not train with the recipe's loss.
        """
        if not (self.every_loss or trains_plainly(recipe)):
            raise self._lacks(f"loss but plain cross_entropy ({recipe.loss})", "the recipe")
        if recipe.rounds:
            raise SpecificationError(
                "a backend trains one round; frameworks.spec.rounds.of(recipe) gives each."
            )
        loss_scale.check_replicas(recipe, runtime.replicas)
        if (recipe.frozen or recipe.layer_rates) and not self.layers_apart:
            raise self._lacks("frozen layers or layer_rates", "the recipe")
        if recipe.accumulation > 1 and not self.accumulates:
            raise self._lacks("accumulation", "the recipe")
        if recipe.average_weights is not None and not self.averages:
            raise self._lacks("average of weights", "the recipe")
        self.network, self.recipe, self.runtime = bound(network, recipe), recipe, runtime
        self.factors = factors(self.network, recipe)
        self.build(draw=weights is None)
        if weights is not None:
            self.set_weights(weights)

    def build(self, *, draw: bool) -> None:
        """Make network and optimizer of `self.network` and `self.recipe`, as `self.runtime` says.

        draw: no weights will come; the framework draws its own, as is its way, from `runtime.seed`.
        """

    @abstractmethod
    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        """Train on the batches in order; returns when the device has finished."""

    @abstractmethod
    def predict(self, images: np.ndarray) -> np.ndarray:
        """Logits in inference mode, by batches of the recipe's size: uint8 (n, h, w, c) to
        (n, classes)."""

    @abstractmethod
    def set_learning_rate(self, learning_rate: float) -> None:
        """Change the learning rate from the next step on."""

    @abstractmethod
    def get_weights(self) -> Weights:
        """All weights, running statistics included, in the run's dtype; copies."""

    @abstractmethod
    def set_weights(self, weights: Weights) -> None:
        """Load weights of the network's keys and shapes."""

    @abstractmethod
    def get_optimizer_state(self) -> dict[str, np.ndarray]:
        """Optimizer state: "step", "learning_rate" and "slot/layer/part", canonical layout.

        Slots are those of `frameworks.numpy.optimizers`; velocity is without the learning rate.
        With `recipe.accumulation` above 1 also "batches" since the last step, and the sum of their
        gradients as slot "accumulated".
        Where the recipe scales the loss, "loss_scale" and "finite_steps" (in a row) too.
        """

    @abstractmethod
    def set_optimizer_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Load what `get_optimizer_state` gave."""

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Have the averages of `recipe.average_weights` as weights inside; without such, or before
        the first step, the weights stay."""
        state = {} if self.recipe.average_weights is None else self.get_optimizer_state()
        if not state or not state["step"]:
            yield
            return
        weights = self.get_weights()
        own = {key: state[f"average/{key}"] for key in self.network.trainable_keys}
        self.set_weights(weights | own)
        try:
            yield
        finally:
            self.set_weights(weights)

    def train_scheduled(self, epoch: Sequence[Batch], rates: np.ndarray) -> EpochResult:
        """The result of `train_epoch` with a learning rate for each step.

        rates: float64 (steps,); the last one holds afterwards.

        By default it is so many epochs of one batch. A subclass may do it in one go.
        """
        loss = right = images = 0.0
        for batch, rate in zip(epoch, rates, strict=True):
            self.set_learning_rate(float(rate))
            result = self.train_epoch([batch])
            loss += result.loss * len(batch)
            right += result.accuracy * len(batch)
            images += len(batch)
        return EpochResult(loss / images, right / images)

    def train_at(self, epoch: Sequence[Batch], rates: np.ndarray) -> EpochResult:
        """Train on the batches in order at the rates of the recipe's schedule, a rate a step."""
        if by_step(self.recipe):
            return self.train_scheduled(epoch, rates)
        self.set_learning_rate(float(rates[0]))
        return self.train_epoch(epoch)

    # ---- for the ladder

    def gradients(self, batch: Batch) -> Gradients:
        """Loss, logits and gradients of one batch in training mode; nothing changes."""
        raise self._lacks("gradients")

    def apply_gradients(self, gradients: Weights) -> None:
        """One optimizer step with the gradients given (and the max-norm projection); with
        `recipe.accumulation` they are a batch's, and the last of a group steps."""
        raise self._lacks("apply_gradients")

    def activations(self, batch: Batch, *, training: bool) -> dict[str, np.ndarray]:
        """Output of every layer by name, canonical layout; nothing changes."""
        raise self._lacks("activations")

    def _lacks(self, method: str, who: str = "the ladder") -> SpecificationError:
        return SpecificationError(f"{type(self).__name__} has no {method}; {who} needs it.")

    # ---- with a default

    def parameters(self) -> int:
        """Number of parameters the framework itself counts, running statistics included."""
        return sum(array.size for array in self.get_weights().values())

    def device_name(self) -> str:
        """The device computed on, as the framework names it."""
        return self.runtime.device

    def stage(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Put the data where training reads it: uint8 (n, height, width, channels), int (n,), or
        votes float32 (n, outputs).

        Called before training with the very array that its epochs are batches of, so that a
        backend may gather these itself, by `Epoch.indices`. Called ahead of every epoch, with
        arrays as large, where each has its own (feed "staged" of pictures drawn anew). Not called
        where an epoch's images are a view, of augmented copies, say: a batch of it is
        `epoch[step]`, and of data that were not staged it always is. By default batches are read
        from host memory.
        """

    def compile(self, epoch: Sequence[Batch]) -> None:
        """Compile and warm up for the batch shapes of `epoch` without changing the result.

        Afterwards weights, optimizer state and random state are what they were before.
        """

    def get_random_state(self) -> dict[str, np.ndarray]:
        """State of the framework's own random generators, as far as training draws from them;
        numbers only, so that a file can keep it. By default nothing is drawn."""
        return {}

    def set_random_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Draw from here on what the backend drew that gave this state."""

    def save(self, directory: Path) -> Path | None:
        """Write the network with its weights in the framework's own format; the file's path, or
        None where there is no such format.

        What is written can be read without unpickling anything and without this project.
        """
        return None

    def synchronize(self) -> None:
        """Return when all work given to the device is done."""

    def communication_share(self, epoch: Sequence[Batch]) -> float | None:
        """Share of the time in which a sum over the replicas is under way, traced while training
        on these batches; with waits for a slower replica, and what overlaps with computation.
        None of one replica, or where nothing can be traced."""
        return None

    def peak_memory(self) -> tuple[int, str]:
        """Peak bytes so far and what they count: the device's allocator, or the process."""
        return process_peak_memory()

    def settings(self) -> dict[str, str]:
        """Choices that the framework made by itself, once compiled: memory layout, compiler, ...

        Recorded with the run, for the reader.
        """
        return {}
