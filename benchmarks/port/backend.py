"""A user's program as a backend of the harness: it is trained by its own steps.

`python -m benchmarks.port A B --write net.toml` writes the classes that name the programs
(`benchmarks.port.harness`). The network in TOML gives the names of the weights, what the float64
reference predicts, and the loss of validation and test. Loss, optimizer, schedule, clipping and
preprocessing of training are the program's own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar

import msgspec
import numpy as np

from benchmarks.port import pictures
from benchmarks.port.normal import normal
from benchmarks.port.programs import Source
from datasets.batches import Batch, distinct_sizes
from frameworks.backend import Backend, EpochResult, framework
from frameworks.spec import weights as canonical
from frameworks.spec.callbacks import watching
from frameworks.spec.reading import SpecificationError
from frameworks.spec.schedules import scheduled
from frameworks.spec.weights import Weights
from results import words


class ProgramBackend(Backend):
    """A program behind the harness's door. A subclass names it.

    program: fields of `Source`. size: of its pictures. keys: weights of the network to the
    program's own names of them, in the program's order; a second model of one process may bear
    other names.
    """

    every_loss = averages = True
    program: ClassVar[Mapping[str, object]]
    size: ClassVar[Sequence[int]]
    keys: ClassVar[Mapping[str, str]]

    def build(self, *, draw: bool) -> None:
        size = list(self.network.input_shape)
        self._check(size)
        source = msgspec.convert(dict(self.program), Source)
        os.environ |= framework(source.framework).environment
        from benchmarks.port.opening import opened
        from benchmarks.port.readers.program import Pass

        runtime = self.runtime
        source.classes = self.network.classes
        self.own, self.parts = opened(source, size, seed=runtime.seed, precision=runtime.precision)
        listing = self.own.listing
        outputs = next(one.shape[-1] for one in listing.operations if one.id == listing.output)
        if outputs != self.network.classes:
            raise SpecificationError(
                f"{source.label} tells {words.count(outputs, 'class')} apart, the data set has "
                f"{self.network.classes}; name other data, or other --labels"
            )
        drops = [one.name for one in listing.operations if one.kind == "dropout"]
        if drops and not runtime.native_dropout:
            raise SpecificationError(
                f"{source.label} draws its own dropout masks ({drops[0]}); use --parity native"
            )
        self.names = dict(zip(self.keys, listing.parameters, strict=True))
        self.output, self.inference = normal(listing).output, Pass()
        self.steps, self.count = self.own.own_steps(), 0

    def _check(self, size: list[int]) -> None:
        """Refuse what a program cannot be told."""
        runtime, recipe = self.runtime, self.recipe
        if size != list(self.size):
            raise SpecificationError(
                f"{self.program['label']} takes pictures of {list(self.size)}, the data set has "
                f"{size}; name other data, or a smaller --image-size"
            )
        if runtime.device != "cpu" or runtime.precision not in ("float32", "float64"):
            raise SpecificationError("a program of your own trains on cpu, in float32 or float64.")
        if scheduled(recipe) or "reduce_on_plateau" in watching(recipe):
            raise SpecificationError(
                "a program of your own has its own schedule; leave schedule, warm_up and "
                "learning rates that follow a score out of the recipe."
            )

    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        loss = right = images = 0.0
        for batch in epoch:
            labels = batch.labels.astype(np.int64)
            found, answers = self.steps.step(self._given(batch.images), labels)
            loss += found * len(batch)
            right += answers
            images += len(batch)
            self.count += 1
        self.own_rate = self.steps.rate()
        self.steps.epoch_ends()
        return EpochResult(loss / images, right / images)

    def _given(self, images: np.ndarray) -> np.ndarray:
        """uint8 pictures as the program takes them, in the run's dtype."""
        made = pictures.given(self.parts.get("preprocess"), self.own.listing, images)
        return made.astype(self.runtime.precision)

    def predict(self, images: np.ndarray) -> np.ndarray:
        size, found = self.recipe.batch_size, []
        for start in range(0, len(images), size):
            batch = self._given(images[start : start + size])
            values = self.own.forward(batch, self.inference).values
            found.append(values[self.output].reshape(len(batch), -1))
        return np.concatenate(found)

    def compile(self, epoch: Sequence[Batch]) -> None:
        weights, state, count = self.get_weights(), self.steps.state(), self.count
        self.train_epoch(distinct_sizes(epoch))
        self.predict(epoch[0].images)
        self.set_weights(weights)
        self.steps.restore(state)
        self.count = count

    def set_learning_rate(self, learning_rate: float) -> None:
        raise SpecificationError("the program's own optimizer knows its rate.")

    def get_weights(self) -> Weights:
        own, shapes = self.own.weights(), self.network.weight_shapes
        return {key: own[name].reshape(shapes[key]) for key, name in self.names.items()}

    def set_weights(self, weights: Weights) -> None:
        canonical.check(weights, self.network)
        shapes = self.own.listing.parameters
        self.own.load(
            {name: weights[key].reshape(shapes[name]) for key, name in self.names.items()}
        )

    def get_optimizer_state(self) -> dict[str, np.ndarray]:
        told = {"step": np.array(self.count), "learning_rate": np.array(self.steps.rate())}
        return told | {f"own/{key}": value for key, value in self.steps.state().items()}

    def set_optimizer_state(self, state: Mapping[str, np.ndarray]) -> None:
        self.count = int(state["step"])
        own = {k.partition("/")[2]: v for k, v in state.items() if k.startswith("own/")}
        self.steps.restore(own)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        weights = self.get_weights()
        if not self.steps.put_averages():
            yield
            return
        try:
            yield
        finally:
            self.set_weights(weights)

    def settings(self) -> dict[str, str]:
        recipe = self.own.listing.recipe
        optimizer = ", ".join(f"{k} {v}" for k, v in recipe.optimizer.items())
        return {
            "program": str(self.program["label"]),
            "program_framework": self.own.listing.framework,
            "own_optimizer": optimizer,
            "own_loss": ", ".join(f"{k} {v}" for k, v in recipe.loss.items()),
            "predictions": "watched, layer by layer; their time is not the program's own",
        }
