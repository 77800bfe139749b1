"""One batch of a Keras program on its way through its graph: what each call means, and its
outputs."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from benchmarks.port.axes import Axes, canonical, native, resized, spread, unknown
from benchmarks.port.masks import dropped, mask_shape
from benchmarks.port.operation import PICTURES, PortError
from benchmarks.port.readers import keras_layers as layers
from benchmarks.port.readers.calls import CALLS
from benchmarks.port.readers.keras_activations import activation
from benchmarks.port.readers.keras_model import (
    augmented,
    fixed_mode,
    padded,
    separated,
    unfolded,
)
from benchmarks.port.readers.meaning import Meaning
from benchmarks.port.readers.program import Pass
from benchmarks.port.readers.run import Run


class KerasRun(Run):
    """One batch on its way; `graph` takes it through a model."""

    def __init__(self, program: Any, how: Pass) -> None:
        super().__init__(program, how)
        self.penalties: list[Any] = []  # of activity regularizers

    def of_pictures(self, pictures: Any, axes: Axes) -> Any:
        """The output for a batch in the layout that the model takes."""
        self.keep(pictures, PICTURES, axes)
        out = self.graph(self.program.model, [pictures])
        if len(out) != 1:
            raise PortError("the model has several outputs; give one that has the one to compare")
        self.alive.append(out[0])
        return out[0]

    def graph(self, model: Any, inputs: list[Any]) -> list[Any]:
        """The outputs of a model for its inputs, node by node."""
        model = getattr(model, "_functional", None) or model
        tensors = {id(k): value for k, value in zip(model.inputs, inputs, strict=True)}
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for node in model._nodes_by_depth[depth]:
                if not node.operation or node.is_input:
                    continue
                args, kwargs = node.arguments.fill_in(tensors)
                outs = self._called(node.operation, args, kwargs)
                for symbol, value in zip(node.outputs, outs, strict=True):
                    tensors[id(symbol)] = value
        return [tensors[id(k)] for k in model.outputs]

    def _inputs(self, args: Any, kwargs: Any) -> list[Any]:
        return [x for x in keras.tree.flatten([args, kwargs]) if id(x) in self.known]

    def _called(self, layer: Any, args: Any, kwargs: Any) -> list[Any]:
        inputs, graphs, name = self._inputs(args, kwargs), self.program.graphs, type(layer).__name__
        batch = inputs[0].shape[0] if inputs else 0
        if (id(layer), batch) not in graphs:
            plain = isinstance(layer, keras.Sequential) or hasattr(layer, "_nodes_by_depth")
            made = (layer, []) if plain else unfolded(layer, args, kwargs, self.known)
            graphs[id(layer), batch] = made
        if (graph := graphs[id(layer), batch]) is not None:
            return self.graph(graph[0], [*inputs, *graph[1]])
        if name == "Lambda":
            raise PortError(
                f"layer '{layer.name}' is a Lambda: what its function does cannot be read from a "
                "model; write it as layers, or as a layer of its own with a name",
                status=4,
            )
        activity = getattr(layer, "activity_regularizer", None)
        cast = name == "Cast" and "float" in str(layer.dtype)  # all is float64 here
        if (name in layers.NOTHING or cast) and len(inputs) == 1:
            self.penalties += [activity(inputs[0])] if activity is not None else []
            return [inputs[0]]
        if name in ("SeparableConv1D", "SeparableConv2D"):
            for part in self.program.pieces.setdefault(id(layer), separated(layer)):
                inputs = self._called(part, inputs[:1], {})
            return inputs
        if name in layers.WITH_WEIGHTS:
            self._take_weights(args, kwargs, inputs)
            inputs = self._inputs(args, kwargs)
        if name == "MultiHeadAttention":  # whose value stands ahead of its key
            query, value, *key = inputs
            inputs = [query, *(key or [value]), value]
        fused = getattr(layer, "activation", None) if name not in ("Activation",) else None
        if fused is not None and layers.is_read(name):
            layer.activation = keras.activations.linear
        if activity is not None:
            layer.activity_regularizer = None
        try:
            out = self._made(layer, args, kwargs, inputs)
        finally:
            if fused is not None:
                layer.activation = fused
            if activity is not None:
                layer.activity_regularizer = activity
        if activity is not None:
            self.operations[-1].constants["activity_regularizer"] = layers.term(activity)
        plain = fused is None or fused is keras.activations.linear
        if not plain and layers.is_read(name):
            out = [self._activated(layer, fused, out[0])]
        self.penalties += [activity(x) for x in out] if activity is not None else []
        return out

    def _take_weights(self, args: Any, kwargs: Any, beside: list[Any]) -> None:
        """Make an operation of each weight that is used as a tensor: a scale, a position."""
        for x in keras.tree.flatten([args, kwargs]):
            if not isinstance(x, keras.Variable) or id(x) in self.known:
                continue
            self.add_weight(x, x, x.name, beside)

    def _made(self, layer: Any, args: Any, kwargs: Any, inputs: list[Any]) -> list[Any]:
        number, name = self.next, type(layer).__name__
        call = self._call(layer, args, kwargs, number)
        if (swapped := self.others(number, inputs)) is not None:
            self._by_itself(layer, call, swapped, number)
        outs = keras.tree.flatten(call({}))
        alone = self.alone.pop(number, None)
        axes = [self.known[id(x)][1] for x in inputs]
        where = CALLS.of(layer).where
        if name == "Split":
            label = axes[0][layer.axis].words
            sizes = [int(x.shape[layer.axis]) for x in outs]
            if alone is not None:
                self.alone[number] = canonical(alone, resized(axes[0], alone.shape))
            for place, x in enumerate(outs):
                part = {"part": place, "axis": label, "sizes": sizes}
                made = Meaning("split", resized(axes[0], x.shape), part)
                self._record(layer, made, [x], inputs, where)
            return outs
        shapes = [tuple(x.shape) for x in inputs]
        meaning = layers.meaning(layer, args, inputs, axes, shapes, tuple(outs[0].shape))
        if len(outs) != 1:
            meaning = Meaning(f"unread:{name}", unknown(outs[0].shape))
        if (fixed := fixed_mode(layer, kwargs)) is not None:
            norm = name == "BatchNormalization"
            word = "by_running_statistics" if norm else "drops_in_inference"
            meaning.constants["by_batch_statistics" if norm and fixed else word] = True
        if alone is not None:
            self.alone[number] = canonical(alone, meaning.axes or unknown(alone.shape))
        self._record(layer, meaning, outs, inputs, where)
        return outs

    def _activated(self, layer: Any, function: Any, x: Any) -> Any:
        number, axes = self.next, self.known[id(x)][1]
        other = self.program.changes.get(number, {}).get("function")
        call = keras.activations.get(other) if other else function
        if (swapped := self.others(number, [x])) is not None:
            self.alone[number] = canonical(array(call(swapped[id(x)])), axes)
        out = call(x)
        kind, constants = activation(function)
        self._record(layer, Meaning(kind, axes, constants), [out], [x], CALLS.of(layer).where)
        return out

    def _record(
        self, layer: Any, meaning: Meaning, outs: list[Any], inputs: list[Any], where: str
    ) -> None:
        meaning.axes = axes = meaning.axes or unknown(outs[0].shape)
        self.program.made_by[self.next] = layer
        stated = CALLS.of(layer).stated
        number = self.add(
            meaning,
            outs[0],
            [self.known[id(x)][0] for x in inputs],
            name=layer.name,
            where=where,
            stated=[c for c in meaning.constants if layers.STATED.get(c, c) in stated],
        )
        for x in outs[1:]:
            self.keep(x, number, axes)

    def array(self, tensor: Any) -> np.ndarray:
        return array(tensor)

    def tensor(self, value: np.ndarray) -> Any:
        return tensor(value)

    def carried(self, meaning: Meaning) -> dict[str, str]:
        return {role: self.program.carry(*given) for role, given in meaning.parameters.items()}

    def _call(self, layer: Any, args: Any, kwargs: Any, number: str) -> Any:
        name, changes = type(layer).__name__, self.program.changes.get(number, {})
        fixed = fixed_mode(layer, kwargs)

        def call(swapped: dict[int, Any]) -> Any:
            given, named = keras.tree.map_structure(lambda x: swapped.get(id(x), x), (args, kwargs))
            training = self.how.training if fixed is None else fixed
            if name in layers.DROPOUTS:
                x, axes = given[0], self.known[id(args[0])][1]
                return self._dropped(layer, x, axes, number) if training else x * 1.0
            if name.startswith("Random"):
                return augmented(layer, given[0], training)
            if getattr(layer, "_call_has_training_arg", False):
                # the masks of attention cannot be given; its rate is read
                named = {**named, "training": training and name != "MultiHeadAttention"}
            if "padding" in changes:
                return padded(layer, given[0], changes["padding"], named)
            return layer(*given, **named)

        return call

    def _dropped(self, layer: Any, x: Any, axes: Axes, number: str) -> Any:
        rate, uniforms = float(layer.rate), self.how.uniforms.get(number)
        if uniforms is None:
            shape = spread(x.shape, axes)
            masked = mask_shape(layers.dropped_per(layer, x.shape, axes), shape[1:])
            uniforms = np.random.default_rng(int(number)).random((shape[0], *masked))
        keep = tensor(native((uniforms >= rate).astype(np.float64), axes))
        return dropped(x, keep, rate, "alpha" * (type(layer).__name__ == "AlphaDropout"))

    def _by_itself(self, layer: Any, call: Any, swapped: dict[int, Any], number: str) -> None:
        before = [(v, array(v)) for v in getattr(layer, "non_trainable_variables", [])]
        self.alone[number] = array(keras.tree.flatten(call(swapped))[0])
        for variable, value in before:
            variable.assign(value)


def array(tensor: Any) -> np.ndarray:
    """A tensor of any engine in NumPy."""
    return np.array(ops.convert_to_numpy(ops.stop_gradient(tensor)))


def tensor(value: Any) -> Any:
    """Numbers as a tensor of this engine, in the precision of all."""
    return ops.convert_to_tensor(value, keras.config.floatx())
