"""Any backend with a fault of inference, of restoring or of order, as frameworks of a plain run.

`MUTANT` in the environment names the fault: one of `FAULTS`, which any backend can have, or a
mutant of the ladder's catalog, which patches its framework.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np

from datasets.batches import Batch
from frameworks import backend
from frameworks.backend import Backend, Framework, framework
from frameworks.spec.weights import Weights

_BUILT_IN = {one.name: one for one in backend._BUILT_IN}
MUTANT = "TESTS_MUTANT"  # the variable: "torch/second_batch_reversed"


def second_batch_reversed(kind: type[Backend]) -> dict[str, Any]:
    """Every picture after the first batch is answered in the wrong order."""

    def predict(self: Any, images: np.ndarray) -> np.ndarray:
        logits = kind.predict(self, images)
        size = self.recipe.batch_size
        return np.concatenate([logits[:size], logits[size:][::-1]])

    return {"predict": predict}


def last_batch_training(kind: type[Backend]) -> dict[str, Any]:
    """The last batch is predicted in training mode."""

    def predict(self: Any, images: np.ndarray) -> np.ndarray:
        logits = kind.predict(self, images).copy()
        start = (len(images) - 1) // self.recipe.batch_size * self.recipe.batch_size
        masks = {
            name: np.ones((len(images) - start, *shape), np.uint8)
            for name, shape in self.network.dropout_shapes.items()
        }
        batch = Batch(images[start:], np.zeros(len(images) - start, np.int32), masks)
        layers = self.activations(batch, training=True)
        logits[start:] = layers[self.network.layers[-1].name]
        return logits

    return {"predict": predict}


def rounded_in_predict(kind: type[Backend]) -> dict[str, Any]:
    """Weights of 8 bits, as bfloat16 has them, in inference alone."""

    def predict(self: Any, images: np.ndarray) -> np.ndarray:
        own = kind.get_weights(self)
        kind.set_weights(self, {key: _rounded(array) for key, array in own.items()})
        try:
            return kind.predict(self, images)
        finally:
            kind.set_weights(self, own)

    return {"predict": predict}


def statistics_not_restored(kind: type[Backend]) -> dict[str, Any]:
    """Loading weights leaves the running statistics at a new model's."""

    def set_weights(self: Any, weights: Weights) -> None:
        new = {key: np.ones_like(array) for key, array in weights.items() if "/moving_" in key}
        new |= {key: 0 * array for key, array in new.items() if key.endswith("mean")}
        kind.set_weights(self, {**weights, **new})

    return {"set_weights": set_weights}


def logits_clamped(kind: type[Backend]) -> dict[str, Any]:
    """Logits are cut off beyond half of the largest."""

    def predict(self: Any, images: np.ndarray) -> np.ndarray:
        logits = kind.predict(self, images)
        half = 0.5 * np.abs(logits).max()
        return np.clip(logits, -half, half)

    return {"predict": predict}


def stale_weights_read(kind: type[Backend]) -> dict[str, Any]:
    """Weights are read from before the last epoch."""

    def train_epoch(self: Any, epoch: Any) -> Any:
        self.before = kind.get_weights(self)
        return kind.train_epoch(self, epoch)

    def get_weights(self: Any) -> Weights:
        return getattr(self, "before", None) or kind.get_weights(self)

    return {"train_epoch": train_epoch, "get_weights": get_weights}


_LASTING = ExitStack()  # never left: for as long as the process lives
FAULTS: dict[str, Callable[[type[Backend]], dict[str, Any]]] = {
    fault.__name__: fault
    for fault in (
        second_batch_reversed,
        last_batch_training,
        rounded_in_predict,
        statistics_not_restored,
        logits_clamped,
        stale_weights_read,
    )
}


def with_fault(kind: type[Backend], fault: str) -> type[Backend]:
    """The backend class with the fault."""
    return type(f"{kind.__name__}With{fault}", (kind,), FAULTS[fault](kind))


def faulty(name: str) -> Framework:
    """The framework `torch-second-batch-reversed`, and so on, of a framework and a fault."""
    of, _, fault = name.partition("-")
    home = _BUILT_IN[of]  # not `framework`, which asks the entry points
    return replace(
        home,
        name=name,
        target="tests.helpers.faulty:Idiomatic",
        tuned="tests.helpers.faulty:Tuned",
        environment={**home.environment, MUTANT: f"{of}/{fault.replace('-', '_')}"},
    )


class _EntryPoints:
    """Any attribute is the framework of that name, as an entry point refers to it."""

    def __getattr__(self, name: str) -> Framework:
        return faulty(name.replace("_", "-"))


ENTRY_POINTS = _EntryPoints()


def entry_points(names: Iterable[str]) -> dict[str, str]:
    """What a distribution that registers these frameworks says, by name."""
    place = "tests.helpers.faulty:ENTRY_POINTS"
    return {name: f"{place}.{name.replace('-', '_')}" for name in names}


def _rounded(array: np.ndarray) -> np.ndarray:
    """To the nearest number of 8 significant bits."""
    mantissa, exponent = np.frexp(array)
    return np.ldexp(np.round(mantissa * 256) / 256, exponent).astype(array.dtype)


def _chosen() -> tuple[type[Backend], type[Backend]]:
    """The classes of the worker: of the framework that the variable names, with its fault."""
    of, _, fault = os.environ[MUTANT].partition("/")
    if fault not in FAULTS:
        from benchmarks.fidelity.faults.catalog import mutated

        _LASTING.enter_context(mutated(fault, of))
        return framework(of).backend("idiomatic"), framework(of).backend("tuned")
    idiomatic, tuned = (framework(of).backend(tuning) for tuning in ("idiomatic", "tuned"))
    return with_fault(idiomatic, fault), with_fault(tuned, fault)


if MUTANT in os.environ:
    Idiomatic, Tuned = _chosen()
