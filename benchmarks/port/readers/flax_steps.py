"""A Flax program's own training steps, each one compiled whole."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import optax
from flax import nnx
from flax.nnx import jit
from flax.training.dynamic_scale import DynamicScale

from benchmarks.port.operation import PortError
from benchmarks.port.readers.program import Arrays, targets
from benchmarks.port.readers.steps import Steps
from frameworks.flax.optimizers import scaled
from frameworks.spec.loss_scale import BACK_OFF, GROWTH, LossScale


def _scale(given: DynamicScale) -> LossScale:
    """A scale of the loss as the harness has it.

    Raises:
        PortError: it grows or falls by other factors.
    """
    factors = float(given.growth_factor), float(given.backoff_factor)
    if factors != (GROWTH, BACK_OFF):
        raise PortError(
            f"loss_scale grows by {factors[0]:g} and falls by {factors[1]:g}; only a scale with "
            f"{GROWTH:g} and {BACK_OFF:g} trains here",
            status=4,
        )
    return LossScale(initial=float(given.scale), interval=int(given.growth_interval))


class FlaxSteps(Steps):
    """Forward, loss, gradients and the update of optax in one `nnx.jit`."""

    def __init__(self, program: Any) -> None:
        self.program, self.training = program, program.training
        self.optimizer = self.training.made(scheduled=True)
        if self.training.scale is not None:
            self.optimizer = scaled(self.optimizer, _scale(self.training.scale))
        weights = nnx.state(program.model, nnx.Param)
        self.slots = self.optimizer.init(weights)
        self.average = self.training.average
        # state and value of the averages
        self.averages = None if self.average is None else (self.average.init(weights), weights)
        self.form, self.count = "", 0
        self._compiled = jit(self._step)  # not the one that the reader took out of nnx

    def step(self, pictures: np.ndarray, labels: np.ndarray) -> tuple[float, int]:
        model = self.program.model
        model.train()
        if not self.form:
            self.form = self._tried(pictures, labels)
        listing = self.program.listing
        last = next(one for one in listing.operations if one.id == listing.output)
        shape = (len(labels), *last.shape)
        truth = targets(labels, shape, self.form)
        before = self._taken()
        self.slots, loss, out = self._compiled(model, self.slots, pictures, truth)
        self.count += 1
        if self.averages is not None and self._taken() > before:
            weights = nnx.state(model, nnx.Param)
            self.averages = self.average.update(weights, self.averages[0])[::-1]
        return float(loss), int((np.asarray(out).argmax(1) == labels).sum())

    def _tried(self, pictures: np.ndarray, labels: np.ndarray) -> str:
        """The form of targets that the loss takes, seen on outputs of the untouched model."""
        out = nnx.clone(self.program.model)(pictures, **self.program.mode_words(True))
        return str(self.training.form_for(out, labels))

    def _step(self, model: Any, slots: Any, pictures: Any, truth: Any) -> tuple[Any, Any, Any]:
        def loss_of(model: Any) -> tuple[Any, Any]:
            out = model(pictures, **self.program.mode_words(True))
            loss = self.training.mean(out, truth)
            return loss * scale, (loss, out)

        scale = getattr(slots, "loss_scale", 1.0)
        (_, (loss, out)), found = nnx.value_and_grad(loss_of, has_aux=True)(model)
        weights = nnx.state(model, nnx.Param)
        updates, slots = self.optimizer.update(found, slots, weights)
        nnx.update(model, optax.apply_updates(weights, updates))
        return slots, loss, out

    def put_averages(self) -> bool:
        if self.averages is None or not self._taken():
            return False
        nnx.update(self.program.model, self.averages[1])
        return True

    def _taken(self) -> int:
        """Steps of the optimizer: of a group of batches there is one."""
        within = getattr(self.slots, "unscaled", self.slots)
        return int(getattr(within, "gradient_step", self.count))

    def rate(self) -> float:
        return float(self.training.rate(self._taken()))

    def _random(self) -> Any:
        return nnx.state(self.program.model, nnx.RngCount)

    def state(self) -> Arrays:
        leaves = jax.tree.leaves((self.slots, self._random(), self.averages))
        found = {str(place): np.array(leaf) for place, leaf in enumerate(leaves)}
        return found | {"count": np.array(self.count)}

    def restore(self, state: Arrays) -> None:
        whole = self.slots, self._random(), self.averages
        leaves = [state[str(place)] for place in range(len(jax.tree.leaves(whole)))]
        self.slots, random, self.averages = jax.tree.unflatten(jax.tree.structure(whole), leaves)
        nnx.update(self.program.model, random)
        self.count = int(state["count"])
