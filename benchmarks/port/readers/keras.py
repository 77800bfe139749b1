"""A Keras model as operations: its graph, layer by layer, with fused activations taken apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from benchmarks.port.axes import Axes, canonical, native, pictured
from benchmarks.port.operation import Listing
from benchmarks.port.readers import keras_layers as layers
from benchmarks.port.readers.keras_engines import gradients_of, slope_of
from benchmarks.port.readers.keras_model import exact_normalization, functional, settings
from benchmarks.port.readers.keras_model import prepare as prepare
from benchmarks.port.readers.keras_recipe import Training
from benchmarks.port.readers.keras_run import KerasRun, array, tensor
from benchmarks.port.readers.keras_steps import KerasSteps
from benchmarks.port.readers.program import (
    Arrays,
    Gradients,
    Outputs,
    Pass,
    Program,
    clash,
    roles_of,
    uncarried,
)


class KerasProgram(Program):
    """A functional or sequential model, or one that becomes functional when called once."""

    def __init__(
        self, model: keras.Model, size: list[int], training: Training, *, first: bool = False
    ) -> None:
        """Read a model.

        Args:
            size: of a picture. first: its channels are the model's first axis.
        """
        self.first = first
        self.own = model
        self.model = functional(model, [size[-1], *size[:-1]] if first else size)
        exact_normalization(self.model)
        self.training = training
        self.changes: dict[str, dict[str, Any]] = {}
        # by path: a variable, and axes of the shape in which it is a weight
        self.variables: dict[str, tuple[Any, Axes, tuple[int, ...]]] = {}
        self.clashes: set[str] = set()
        self.recording = True  # not while an engine traces
        self.pieces: dict[int, list[Any]] = {}  # of layers that are several operations
        self.graphs: dict[int, Any] = {}  # of layers that are models or the user's own
        self.made_by: dict[str, Any] = {}  # the layer of each operation
        run, _ = self.run(np.random.default_rng(0).random((2, *size)), Pass())
        paths = {v.path: v for v in self.model.weights if "seed_generator" not in v.path}
        carried = {key for one in run.operations for key in one.parameters.values()}
        trained = {v.path for v in self.model.trainable_variables}
        engine, roles = keras.backend.backend(), roles_of(run.operations)
        self.listing = Listing(
            framework="keras" if engine == "tensorflow" else f"keras@{engine}",
            operations=run.operations,
            output=run.known[id(run.alive[-1])][0],
            input=size,
            parameters={k: list(v.shape) for k, v in self.weights().items()},
            fixed=sorted(set(self.variables) - trained),
            constants=[
                key
                for key, (variable, _, _) in self.variables.items()
                if not variable.trainable and not roles[key].startswith("moving_")
            ],
            recipe=training.recipe(self.trainable(), roles),
            bare="inference",
            settings=settings(engine),
            notes=[
                *uncarried(sorted(set(paths) - carried)),
                *(clash(path) for path in sorted(self.clashes)),
            ],
        )

    # ---- running

    def run(self, pictures: Any, how: Pass) -> tuple[KerasRun, Any]:
        """A batch through the graph; gives what was seen and the output."""
        run = KerasRun(self, how)
        if isinstance(pictures, np.ndarray):
            pictures = tensor(self.laid_out(pictures))
        return run, run.of_pictures(pictures, pictured(pictures.shape, first=self.first))

    def laid_out(self, pictures: np.ndarray) -> np.ndarray:
        """Pictures in the layout that the model takes."""
        return np.moveaxis(pictures, -1, 1) if self.first else pictures

    def carry(self, variable: Any, axes: Axes, sizes: tuple[int, ...] | None = None) -> str:
        """The name of a weight, which is carried from now on.

        Args:
            axes: of the variable. sizes: the shape that has them, where it is not its own.
        """
        before = self.variables.get(variable.path)
        if before is not None and before[1] != axes:
            self.clashes.add(variable.path)
        shape = tuple(sizes or variable.shape)
        self.variables[variable.path] = variable, axes, shape
        return str(variable.path)

    # ---- what the other side asks

    def weights(self) -> Arrays:
        return {key: self._canonical(key, array(v)) for key, (v, _, _) in self.variables.items()}

    def _canonical(self, key: str, value: np.ndarray) -> np.ndarray:
        _, axes, sizes = self.variables[key]
        return canonical(value.reshape(sizes), axes)

    def _native(self, key: str, value: np.ndarray) -> np.ndarray:
        variable, axes, _ = self.variables[key]
        return native(value, axes).reshape(variable.shape)

    def load(self, weights: Arrays) -> None:
        for key, value in weights.items():
            self.variables[key][0].assign(self._native(key, value))

    def forward(self, pictures: np.ndarray, how: Pass) -> Outputs:
        with _Kept(self):
            run, _ = self.run(pictures, how)
        return Outputs(run.values, run.alone)

    def call_bare(self, pictures: np.ndarray) -> np.ndarray:
        with _Kept(self):
            run, _ = self.run(pictures, Pass())
        return run.values[self.listing.output]

    def gradients(self, pictures: np.ndarray, labels: np.ndarray, how: Pass) -> Gradients:
        with _Kept(self):
            loss, extra, found = gradients_of(self, pictures, labels, how)
            fixed = {key: self.weights()[key] for key in self.listing.fixed}
        gradients = {k: self._canonical(k, v) for k, v in found.items()}
        return Gradients(loss, extra, gradients, fixed)

    def loss_on(
        self, outputs: np.ndarray, labels: np.ndarray, through: str
    ) -> tuple[float, np.ndarray]:
        return slope_of(self.training, outputs, labels, through)

    def trainable(self) -> list[Any]:
        """The trained variables, in the model's order."""
        return [v for v in self.model.trainable_variables if v.path in self.variables]

    def steps(self, gradients: list[Arrays]) -> list[Arrays]:
        after = []
        with _Kept(self):
            optimizer = self.training.fresh()
            variables = self.trainable()
            optimizer.build(variables)
            for given in gradients:
                known = [v for v in variables if v.path in given]
                values = [tensor(self._native(v.path, given[v.path])) for v in known]
                optimizer.apply(values, known)
                now = self.weights()
                after.append({key: now[key] for key in given})
        return after

    def train(
        self, pictures: np.ndarray, labels: np.ndarray, passes: Iterable[tuple[int, Pass]]
    ) -> tuple[list[float], Arrays]:
        losses = []
        with _Kept(self):
            optimizer = self.training.fresh()
            variables = self.trainable()
            optimizer.build(variables)
            for place, how in passes:
                loss, _, found = gradients_of(self, pictures[place], labels[place], how)
                losses.append(loss)
                values = [tensor(found[v.path]) for v in variables]
                optimizer.apply(values, variables)
            return losses, self.weights()

    def own_steps(self) -> KerasSteps:
        return KerasSteps(self)

    def change(self, operation: str, constant: str, value: Any) -> bool:
        one = self.listing.operations[int(operation)]
        if value == one.constants.get(constant) and operation in self.changes:
            self.changes[operation].pop(constant, None)
            return True
        if (one.kind, constant) in (("conv", "padding"), ("activation", "function")):
            softmax = one.constants.get("function") == "softmax"
            if constant == "function" and (softmax or not hasattr(keras.activations, value)):
                return False
            self.changes.setdefault(operation, {})[constant] = value
            return True
        attribute = layers.CHANGES.get((one.kind, constant))
        layer = self.made_by[operation]
        if attribute is None or not hasattr(layer, attribute):
            return False
        setattr(layer, attribute, tuple(value) if isinstance(value, list) else value)
        return True

    def change_optimizer(self, constant: str, value: Any) -> bool:
        return self.training.change(constant, value)


class _Kept:
    """Inside, weights and running statistics may change; they are put back."""

    def __init__(self, program: KerasProgram) -> None:
        self.model = program.model

    def __enter__(self) -> None:
        self.values = [array(v) for v in self.model.variables]

    def __exit__(self, *_: object) -> None:
        for variable, value in zip(self.model.variables, self.values, strict=True):
            variable.assign(value)
