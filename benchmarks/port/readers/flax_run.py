"""One run of a Flax program: what each call that is watched means, and its outputs."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.port.axes import Axes, native, pictured, resized, unknown
from benchmarks.port.operation import PICTURES
from benchmarks.port.readers import flax_calls as calls
from benchmarks.port.readers import flax_layers as layers
from benchmarks.port.readers.calls import CALLS
from benchmarks.port.readers.flax_watch import inside
from benchmarks.port.readers.meaning import Meaning
from benchmarks.port.readers.program import Pass
from benchmarks.port.readers.run import Run

FLAGS = {  # the constant of a layer to its attribute
    **{("batch_norm", c): c for c in ("epsilon", "momentum")},
    ("layer_norm", "epsilon"): "epsilon",
    ("group_norm", "epsilon"): "epsilon",
    ("conv", "stride"): "strides",
    ("conv", "padding"): "padding",
    ("dropout", "rate"): "rate",
}
ARGUMENTS = {
    ("max_pool", "size"): "window_shape",
    ("max_pool", "stride"): "strides",
    ("max_pool", "padding"): "padding",
    ("average_pool", "size"): "window_shape",
    ("average_pool", "stride"): "strides",
    ("average_pool", "count_padding"): "count_include_pad",
    ("activation", "slope"): "negative_slope",
    ("activation", "alpha"): "alpha",
}
_STATED = {
    **{"kernel": "kernel_size", "stride": "strides", "filters": "out_features"},
    **{"units": "out_features", "bias": "use_bias", "size": "window_shape"},
    **{"heads": "num_heads", "key_size": "qkv_features"},
    **{"slope": "negative_slope", "groups": "feature_group_count", "dilation": "kernel_dilation"},
}


class FlaxRun(Run):
    """One batch on its way; `function` and `layer` are called for every call that is watched."""

    def __init__(self, program: Any, x: Any, axes: Axes, how: Pass) -> None:
        super().__init__(program, how)
        self.keep(x, PICTURES, axes)
        self.layouts: dict[str, Axes] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}  # of weights that have these axes in another
        self.clashes: set[str] = set()
        self.weights: dict[int, str] = {}  # by array or variable

    def function(self, name: str, original: Any, args: Any, kwargs: Any) -> Any:
        if name in calls.WITH_WEIGHTS:
            self._take_weights([*args, *kwargs.values()])
        inputs = self._inputs([*args, *kwargs.values()], name)
        if not inputs:
            with inside():
                return original(*args, **kwargs)
        number = self.next
        changes = self.program.changes.get(number, {})
        b = calls.bound(name, args, kwargs)

        def call(swapped: dict[int, Any]) -> Any:
            def own(v: Any) -> Any:
                if isinstance(v, list | tuple) and any(id(x) in swapped for x in v):
                    return type(v)(own(x) for x in v)
                return swapped.get(id(v), v)

            if "function" in changes:
                return getattr(jax.nn, changes["function"])(own(args[0]))
            named = {k: own(v) for k, v in kwargs.items()}
            rest = [own(v) for v in args]
            for constant, value in changes.items():
                argument = ARGUMENTS[self._kind(number), constant]
                names = calls.ARGUMENTS.get(name, ())
                if argument in names and names.index(argument) < len(rest):
                    rest = rest[: names.index(argument)]
                    named |= {n: b[n] for n in names[len(rest) :] if n in b and n not in named}
                named[argument] = tuple(map(tuple, value)) if constant == "padding" else value
            return original(*rest, **named)

        given, before = tuple(inputs[0].shape), [self.known[id(x)] for x in inputs]
        with inside():
            self._by_itself(number, call, inputs)
            out = call({})
        if name == "split" and len(inputs) == 1:
            return self._split(b, out, inputs)
        if name in calls.FUNCTIONS and not isinstance(out, list | tuple):
            meaning = calls.FUNCTIONS[name](b, [axes for _, axes in before], given, out)
        else:
            meaning = Meaning(f"unread:{name}", None)
        stated = [c for c in meaning.constants if _STATED.get(c, c) in b]
        return self._record(name, None, meaning, out, inputs, stated)

    def _split(self, b: dict[str, Any], outs: Any, inputs: list[Any]) -> Any:
        axes, place = self.known[id(inputs[0])][1], b.get("axis", 0)
        told = {"axis": axes[place].words, "sizes": [int(x.shape[place]) for x in outs]}
        for number, x in enumerate(outs):
            part = Meaning("split", resized(axes, x.shape), {"part": number, **told})
            self._record("split", None, part, x, inputs, [])
        return outs

    def layer(self, name: str, layer: Any, original: Any, args: Any, kwargs: Any) -> Any:
        inputs = self._inputs(args[:1], name)
        attends = name == "MultiHeadAttention"
        if attends:
            if layer.attention_fn in layers.EXACT:
                layer.attention_fn = layers.attended
            given = [*args[1:3], kwargs.get("inputs_k"), kwargs.get("inputs_v")]
            key = next((x for x in given if x is not None), args[0])
            value = next((x for x in given[::-1] if x is not None), key)
            inputs = [*inputs, *self._inputs([key, value], name)]
            kwargs = {
                **kwargs,
                "deterministic": True,
            }  # its masks cannot be given; its rate is read
        number = self.next
        for constant, value in self.program.changes.get(number, {}).items():
            padded = constant == "padding" and not isinstance(value, str)
            made = tuple(map(tuple, value)) if padded else value
            setattr(layer, FLAGS[self._kind(number), constant], made)

        def call(swapped: dict[int, Any]) -> Any:
            x, *others = (swapped.get(id(a), a) for a in args)
            if name == "Dropout":
                return self._dropped(number, layer, x, kwargs)
            named = {k: swapped.get(id(v), v) for k, v in kwargs.items()}
            return original(layer, x, *others, **named)

        before = [self.known[id(x)] for x in inputs]
        with inside():
            if number in self.how.inputs and name == "BatchNorm":
                kept = layer.mean.value, layer.var.value
                self._by_itself(number, call, inputs)
                layer.mean.value, layer.var.value = kept
            else:
                self._by_itself(number, call, inputs)
            out = call({})
        axes = [a for _, a in before]
        meaning = layers.LAYERS[name](layer, axes if attends else axes[0], args[0].shape, out)
        if attends and (len(inputs) != 3 or kwargs.get("mask") is not None):
            meaning = Meaning("unread:attention with a mask", axes[0])
        made = CALLS.of(layer)
        stated = [c for c in meaning.constants if _STATED.get(c, c) in made.stated]
        return self._record(name, layer, meaning, out, inputs, stated)

    def _take_weights(self, values: list[Any]) -> None:
        """Make an operation of each weight that is used as an array: a scale, a position."""
        flat: list[Any] = []
        for value in values:
            flat += value if isinstance(value, list | tuple) else [value]
        beside = [x for x in flat if id(x) in self.known]
        for x in flat:
            key = self.weights.get(id(x), "")
            if key and id(x) not in self.known:
                array = getattr(x, "value", x)
                self.add_weight(array, self.program.variables[key], key, beside)
                self.keep(x, *self.known[id(array)])

    def _kind(self, number: str) -> str:
        return self.program.listing.operations[int(number)].kind

    def _inputs(self, values: Any, name: str) -> list[Any]:
        flat: list[Any] = []
        for value in values:
            flat += value if isinstance(value, list | tuple) else [value]
        arrays = [x for x in flat if isinstance(x, jax.Array) or id(x) in self.known]
        arrays = [x for x in arrays if id(x) in self.known or id(x) not in self.weights]
        if arrays and not any(id(x) in self.known for x in arrays):
            if not any(x.ndim > 0 and x.shape[0] == self.alive[0].shape[0] for x in arrays):
                return []  # constants of the program
            for x in arrays:  # made by a call that is not watched
                last = str(len(self.operations) - 1) if self.operations else PICTURES
                self.unseen(x, last, name)
        return [x for x in arrays if id(x) in self.known]

    def unseen(self, x: Any, source: str, ahead_of: str, kind: str = "") -> None:
        axes = pictured(x.shape) if x.ndim in (2, 4) else unknown(x.shape)
        meaning = Meaning(f"unread:{kind or 'a call that is not watched'}", axes)
        self.add(meaning, x, [source], name=kind or f"ahead of {ahead_of}", where=CALLS.where())

    def _by_itself(self, number: str, call: Any, inputs: list[Any]) -> None:
        if (swapped := self.others(number, inputs)) is not None:
            self.alone[number] = np.array(call(swapped))

    def _dropped(self, number: str, layer: Any, x: Any, kwargs: dict[str, Any]) -> Any:
        still = kwargs.get("deterministic")
        still = layer.deterministic if still is None else still
        if still or not layer.rate:
            return x * 1.0
        axes = self.known[id(x)][1] if id(x) in self.known else None
        shape = list(x.shape)
        for place in layer.broadcast_dims:
            shape[place] = 1
        uniforms = self.how.uniforms.get(number)
        if uniforms is None:
            uniforms = np.random.default_rng(int(number)).random(shape)
        elif axes is not None:
            uniforms = native(uniforms, axes)
        return x * (jnp.asarray(uniforms) >= layer.rate) / (1 - layer.rate)

    def _record(
        self,
        name: str,
        layer: Any,
        meaning: Meaning,
        out: Any,
        inputs: list[Any],
        stated: list[str],
    ) -> Any:
        outs = list(out) if isinstance(out, list | tuple) else [out]
        sources = [self.known[id(x)][0] for x in inputs]
        if meaning.axes is None and outs[0].shape == inputs[0].shape:
            meaning.axes = self.known[id(inputs[0])][1]
        named = self.program.names.get(id(layer), "") or name
        where = CALLS.of(layer).where if layer is not None else ""
        where = where or CALLS.where()
        self.add(meaning, outs[0], sources, name=named, where=where, stated=stated)
        for place, x in enumerate(outs[1:], start=1):
            self.unseen(x, sources[0], name, f"{name} output {place}")
        return out

    def array(self, tensor: Any) -> np.ndarray:
        return np.array(tensor)

    def tensor(self, value: np.ndarray) -> Any:
        return jnp.asarray(value)

    def carried(self, meaning: Meaning) -> dict[str, str]:
        found = {}
        for role, (variable, axes, *sizes) in meaning.parameters.items():
            key = self.program.keys.get(id(variable)) if variable is not None else None
            if key is not None:
                found[role] = key
                if self.layouts.get(key, axes) != axes:
                    self.clashes.add(key)
                self.layouts[key] = axes
                self.shapes |= {key: sizes[0]} if sizes else {}
        return found
