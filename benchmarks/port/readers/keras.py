"""A Keras model as operations: its graph, layer by layer, with fused activations taken apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from benchmarks.port.masks import dropped, mask_shape
from benchmarks.port.operation import PICTURES, Listing, Operation, PortError
from benchmarks.port.readers import keras_layers as layers
from benchmarks.port.readers.calls import CALLS
from benchmarks.port.readers.keras_activations import activation
from benchmarks.port.readers.keras_engines import gradients_of, slope_of
from benchmarks.port.readers.keras_model import (
    augmented,
    exact_normalization,
    fixed_mode,
    functional,
    padded,
    separated,
    settings,
    unfolded,
)
from benchmarks.port.readers.keras_model import prepare as prepare
from benchmarks.port.readers.keras_recipe import Training
from benchmarks.port.readers.keras_run import Run, array, canonical, tensor
from benchmarks.port.readers.keras_steps import KerasSteps
from benchmarks.port.readers.program import Arrays, Gradients, Outputs, Pass, Program, roles_of


class KerasProgram(Program):
    """A functional or sequential model, or one that becomes functional when called once."""

    def __init__(self, model: keras.Model, size: list[int], training: Training) -> None:
        self.own, self.model = model, functional(model, size)
        exact_normalization(self.model)
        self.training = training
        self.changes: dict[str, dict[str, Any]] = {}
        self.variables: dict[str, tuple[Any, str]] = {}  # and the kind of a shape of its own
        self.recording = True  # not while an engine traces
        self._parts: dict[int, list[Any]] = {}  # of layers that are several operations
        self._graphs: dict[int, Any] = {}  # of layers that are models or the user's own
        self._layers: dict[str, Any] = {}  # by operation
        run, _ = self.run(np.random.default_rng(0).random((2, *size)), Pass())
        paths = {v.path: v for v in self.model.weights if "seed_generator" not in v.path}
        carried = {key for one in run.operations for key in one.parameters.values()}
        trained = {v.path for v in self.model.trainable_variables}
        engine = keras.backend.backend()
        self.listing = Listing(
            framework="keras" if engine == "tensorflow" else f"keras@{engine}",
            operations=run.operations,
            output=run.known[id(run.alive[-1])],
            input=size,
            parameters={k: list(v.shape) for k, v in self.weights().items()},
            fixed=sorted(set(self.variables) - trained),
            recipe=training.recipe(self.trainable(), roles_of(run.operations)),
            bare="inference",
            settings=settings(engine),
            notes=[
                f"{path}: no operation that is read uses it; it cannot be carried across"
                for path in sorted(paths)
                if path not in carried
            ],
        )

    # ---- running

    def run(self, pictures: Any, how: Pass) -> tuple[Run, Any]:
        """A batch through the graph; gives what was seen and the output."""
        run = Run(how)
        x = tensor(pictures) if isinstance(pictures, np.ndarray) else pictures
        run.keep(x, PICTURES)
        out = self._graph(self.model, [x], run)
        if len(out) != 1:
            raise PortError("the model has several outputs; give one that has the one to compare")
        run.alive.append(out[0])
        return run, out[0]

    def _graph(self, model: Any, inputs: list[Any], run: Run) -> list[Any]:
        model = getattr(model, "_functional", None) or model
        tensors = {id(k): value for k, value in zip(model.inputs, inputs, strict=True)}
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for node in model._nodes_by_depth[depth]:
                if not node.operation or node.is_input:
                    continue
                args, kwargs = node.arguments.fill_in(tensors)
                outs = self._called(node.operation, args, kwargs, run)
                for symbol, value in zip(node.outputs, outs, strict=True):
                    tensors[id(symbol)] = value
        return [tensors[id(k)] for k in model.outputs]

    def _called(self, layer: Any, args: Any, kwargs: Any, run: Run) -> list[Any]:
        inputs = [x for x in keras.tree.flatten([args, kwargs]) if id(x) in run.known]
        if id(layer) not in self._graphs:
            plain = isinstance(layer, keras.Sequential) or hasattr(layer, "_nodes_by_depth")
            own = layer if plain else unfolded(layer, args, kwargs, run.known)
            self._graphs[id(layer)] = own
        if self._graphs[id(layer)] is not None:
            return self._graph(self._graphs[id(layer)], inputs, run)
        name = type(layer).__name__
        if name == "Lambda":
            raise PortError(
                f"layer '{layer.name}' is a Lambda: what its function does cannot be read from a "
                "model; write it as layers, or as a layer of its own with a name",
                status=4,
            )
        activity = getattr(layer, "activity_regularizer", None)
        if name in ("Permute", "Transpose") and len(inputs[0].shape) == 4:
            raise PortError(
                f"layer '{layer.name}' is a {name}; leave it out, for a flattened picture is "
                "carried to the other program's order of channels as it is",
                status=4,
            )
        cast = name == "Cast" and "float" in str(layer.dtype)  # all is float64 here
        if (name in layers.NOTHING or cast) and len(inputs) == 1:
            run.penalties += [activity(inputs[0])] if activity is not None else []
            return [inputs[0]]
        if name == "SeparableConv2D":
            for part in self._parts.setdefault(id(layer), separated(layer)):
                inputs = self._called(part, inputs[:1], {}, run)
            return inputs
        number = str(len(run.operations))
        changes = self.changes.get(number, {})
        fused = getattr(layer, "activation", None) if name not in ("Activation",) else None
        if fused is not None and name in layers.MEANINGS:
            layer.activation = keras.activations.linear
        if activity is not None:
            layer.activity_regularizer = None
        try:
            out = self._made(layer, args, kwargs, inputs, run, number, changes)
        finally:
            if fused is not None:
                layer.activation = fused
            if activity is not None:
                layer.activity_regularizer = activity
        if activity is not None:
            run.operations[-1].constants["activity_regularizer"] = layers.term(activity)
        plain = fused is None or fused is keras.activations.linear
        if not plain and name in layers.MEANINGS:
            out = [self._activated(layer, fused, out[0], run)]
        run.penalties += [activity(x) for x in out] if activity is not None else []
        return out

    def _made(
        self,
        layer: Any,
        args: Any,
        kwargs: Any,
        inputs: list[Any],
        run: Run,
        number: str,
        changes: dict[str, Any],
    ) -> list[Any]:
        call = self._call(layer, args, kwargs, run.how, number, changes)
        if number in run.how.inputs and self.recording:
            self._by_itself(layer, call, inputs, run, number)
        outs = keras.tree.flatten(call({}))
        if type(layer).__name__ == "Split":
            axis = ("NHWC" if len(outs[0].shape) == 4 else "NC")[layer.axis % len(outs[0].shape)]
            sizes = [int(x.shape[layer.axis]) for x in outs]
            for place, x in enumerate(outs):
                part = {"part": place, "axis": axis, "sizes": sizes}
                self._record(layer, layer, [x], inputs, run, ("split", part))
            return outs
        self._record(layer, layer, outs, inputs, run, layers.by_arguments(layer, args, inputs))
        if (fixed := fixed_mode(layer, kwargs)) is not None:
            norm = type(layer).__name__ == "BatchNormalization"
            word = "by_running_statistics" if norm else "drops_in_inference"
            word = "by_batch_statistics" if norm and fixed else word
            run.operations[-1].constants[word] = True
        return outs

    def _activated(self, layer: Any, function: Any, x: Any, run: Run) -> Any:
        number = str(len(run.operations))
        other = self.changes.get(number, {}).get("function")
        call = keras.activations.get(other) if other else function
        if number in run.how.inputs and self.recording:
            given = tensor(run.how.inputs[number][0])
            if tuple(given.shape) == tuple(x.shape):
                run.alone[number] = array(call(given))
        out = call(x)
        self._record(layer, function, [out], [x], run)
        return out

    def _record(
        self,
        layer: Any,
        made: Any,
        outs: list[Any],
        inputs: list[Any],
        run: Run,
        meaning: tuple[str, dict[str, Any]] | None = None,
    ) -> None:
        number, name = str(len(run.operations)), type(layer).__name__
        given = tuple(inputs[0].shape) if inputs else ()
        if meaning is not None:
            kind, constants = meaning
        elif made is not layer:
            kind, constants = activation(made)
        elif name in layers.MEANINGS and len(outs) == 1:
            kind, constants = layers.MEANINGS[name](layer, given, tuple(outs[0].shape))
        else:
            kind, constants = f"unread:{name}", {}
        how = CALLS.of(layer)
        self._layers[number] = layer
        run.operations.append(
            Operation(
                id=number,
                kind=kind,
                name=layer.name,
                sources=[run.known[id(x)] for x in inputs],
                constants=constants,
                stated=[c for c in constants if layers.STATED.get(c, c) in how.stated],
                where=how.where,
                shape=[int(n) for n in outs[0].shape[1:]],
                parameters=self._weights(layer, kind) if made is layer else {},
            )
        )
        if self.recording:
            run.values[number] = array(outs[0])
        for x in outs:
            run.keep(x, number)

    def _weights(self, layer: Any, kind: str) -> dict[str, str]:
        found = {}
        depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        for role, part in layers.PARTS.get(kind, {}).items():
            variable = getattr(layer, part, None)
            if variable is not None:
                own = "depthwise" if depthwise and role == "kernel" else ""
                self.variables[variable.path] = (variable, "alpha" if role == "alpha" else own)
                found[role] = variable.path
        return found

    def _call(
        self, layer: Any, args: Any, kwargs: Any, how: Pass, number: str, changes: dict[str, Any]
    ) -> Any:
        dropout = type(layer).__name__ in layers.DROPOUTS
        fixed = fixed_mode(layer, kwargs)

        def call(swapped: dict[int, Any]) -> Any:
            given, named = keras.tree.map_structure(lambda x: swapped.get(id(x), x), (args, kwargs))
            training = how.training if fixed is None else fixed
            if dropout:
                return self._dropped(layer, given[0], how, number) if training else given[0] * 1.0
            if type(layer).__name__.startswith("Random"):
                return augmented(layer, given[0], training)
            if getattr(layer, "_call_has_training_arg", False):
                named = {**named, "training": training}
            if "padding" in changes:
                return padded(layer, given[0], changes["padding"], named)
            return layer(*given, **named)

        return call

    def _dropped(self, layer: Any, x: Any, how: Pass, number: str) -> Any:
        rate = float(layer.rate)
        uniforms = how.uniforms.get(number)
        if uniforms is None:
            shape = mask_shape(layers.dropped_per(layer, x.shape), x.shape[1:])
            uniforms = np.random.default_rng(int(number)).random((x.shape[0], *shape))
        keep = tensor((uniforms >= rate).astype(np.float64))
        return dropped(x, keep, rate, "alpha" * (type(layer).__name__ == "AlphaDropout"))

    def _by_itself(self, layer: Any, call: Any, inputs: list[Any], run: Run, number: str) -> None:
        given = run.how.inputs[number]
        same = [tuple(x.shape) == g.shape for x, g in zip(inputs, given, strict=False)]
        if len(given) != len(inputs) or not all(same):
            return
        before = [(v, array(v)) for v in getattr(layer, "non_trainable_variables", [])]
        swapped = {id(x): tensor(g) for x, g in zip(inputs, given, strict=True)}
        run.alone[number] = array(keras.tree.flatten(call(swapped))[0])
        for variable, value in before:
            variable.assign(value)

    # ---- what the other side asks

    def weights(self) -> Arrays:
        return {key: canonical(array(v), d) for key, (v, d) in self.variables.items()}

    def load(self, weights: Arrays) -> None:
        for key, value in weights.items():
            variable, own = self.variables[key]
            variable.assign(value.reshape(variable.shape) if own else value)

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
        gradients = {k: canonical(v, self.variables[k][1]) for k, v in found.items()}
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
                values = [tensor(given[v.path].reshape(v.shape)) for v in known]
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
        layer = self._layers[operation]
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
