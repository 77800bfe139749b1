"""A Flax NNX module as operations, run eagerly with every call of the library seen as it happens."""

from __future__ import annotations

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from benchmarks.port.axes import Axes, canonical, labelled, native, spread, unknown
from benchmarks.port.operation import PICTURES, Listing, Operation, PortError
from benchmarks.port.readers import flax_calls as calls
from benchmarks.port.readers import optax_recipe
from benchmarks.port.readers.calls import CALLS
from benchmarks.port.readers.flax_watch import Watching, inside, install
from benchmarks.port.readers.meaning import Meaning
from benchmarks.port.readers.optax_recipe import Training
from benchmarks.port.readers.program import Arrays, Gradients, Outputs, Pass, Program

_MODES = ("train", "training", "is_training")  # arguments of a call that say the mode
_FLAGS = {  # the constant of a layer to its attribute
    **{("batch_norm", c): c for c in ("epsilon", "momentum")},
    ("layer_norm", "epsilon"): "epsilon",
    ("group_norm", "epsilon"): "epsilon",
    ("conv", "stride"): "strides",
    ("conv", "padding"): "padding",
    ("dropout", "rate"): "rate",
}
_ARGUMENTS = {
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
    **{"slope": "negative_slope", "groups": "feature_group_count", "dilation": "kernel_dilation"},
}


def prepare() -> None:
    """Before the user's file is imported: calls are watched, and who makes what is noted."""
    install()
    optax_recipe.install()
    CALLS.watch_new([nnx.Module])


class _Run:
    """One batch on its way; `function` and `layer` are called for every call that is watched."""

    def __init__(self, program: FlaxProgram, x: Any, axes: Axes, how: Pass) -> None:
        self.program, self.how = program, how
        self.known: dict[int, tuple[str, Axes]] = {id(x): (PICTURES, axes)}
        self.alive: list[Any] = [x]
        self.operations: list[Operation] = []
        self.values: Arrays = {}
        self.alone: Arrays = {}
        self.layouts: dict[str, Axes] = {}

    def function(self, name: str, original: Any, args: Any, kwargs: Any) -> Any:
        inputs = self._inputs([*args, *kwargs.values()], name)
        if not inputs:
            with inside():
                return original(*args, **kwargs)
        number = str(len(self.operations))
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
                argument = _ARGUMENTS[self._kind(number), constant]
                names = calls.ARGUMENTS.get(name, ())
                if argument in names and names.index(argument) < len(rest):
                    rest = rest[: names.index(argument)]
                    named |= {n: b[n] for n in names[len(rest) :] if n in b and n not in named}
                named[argument] = tuple(map(tuple, value)) if constant == "padding" else value
            return original(*rest, **named)

        given, before = tuple(inputs[0].shape), [self.known[id(x)] for x in inputs]
        with inside():
            self._by_itself(number, call, inputs, before)
            out = call({})
        if name in calls.FUNCTIONS and not isinstance(out, list | tuple):
            meaning = calls.FUNCTIONS[name](b, [axes for _, axes in before], given, out)
        else:
            meaning = Meaning(f"unread:{name}", None)
        stated = [c for c in meaning.constants if _STATED.get(c, c) in b]
        return self._record(name, None, meaning, out, inputs, stated)

    def layer(self, name: str, layer: Any, original: Any, args: Any, kwargs: Any) -> Any:
        inputs = self._inputs(args[:1], name)
        number = str(len(self.operations))
        for constant, value in self.program.changes.get(number, {}).items():
            padded = constant == "padding" and not isinstance(value, str)
            made = tuple(map(tuple, value)) if padded else value
            setattr(layer, _FLAGS[self._kind(number), constant], made)

        def call(swapped: dict[int, Any]) -> Any:
            x = swapped.get(id(args[0]), args[0])
            if name == "Dropout":
                return self._dropped(number, layer, x, kwargs)
            return original(layer, x, *args[1:], **kwargs)

        before = [self.known[id(x)] for x in inputs]
        with inside():
            if number in self.how.inputs and name == "BatchNorm":
                kept = layer.mean.value, layer.var.value
                self._by_itself(number, call, inputs, before)
                layer.mean.value, layer.var.value = kept
            else:
                self._by_itself(number, call, inputs, before)
            out = call({})
        meaning = calls.LAYERS[name](layer, before[0][1], args[0].shape, out)
        made = CALLS.of(layer)
        stated = [c for c in meaning.constants if _STATED.get(c, c) in made.stated]
        return self._record(name, layer, meaning, out, inputs, stated)

    def _kind(self, number: str) -> str:
        return self.program.listing.operations[int(number)].kind

    def _inputs(self, values: Any, name: str) -> list[Any]:
        flat: list[Any] = []
        for value in values:
            flat += value if isinstance(value, list | tuple) else [value]
        arrays = [x for x in flat if isinstance(x, jax.Array)]
        if arrays and not any(id(x) in self.known for x in arrays):
            if not any(x.ndim > 0 and x.shape[0] == self.alive[0].shape[0] for x in arrays):
                return []  # constants of the program
            for x in arrays:  # made by a call that is not watched
                last = str(len(self.operations) - 1) if self.operations else PICTURES
                self._unseen(x, last, name)
        return [x for x in arrays if id(x) in self.known]

    def _unseen(self, x: Any, source: str, ahead_of: str) -> None:
        number = str(len(self.operations))
        self.operations.append(
            Operation(
                id=number,
                kind="unread:a call that is not watched",
                name=f"ahead of {ahead_of}",
                sources=[source],
                where=CALLS.where(),
                shape=list(x.shape[1:]),
            )
        )
        labels = {4: "NHWC", 2: "NC"}.get(x.ndim)
        axes = labelled(labels, x.shape) if labels else unknown(x.shape)
        if self.program.recording:
            self.values[number] = np.array(x)
        self.known[id(x)] = (number, axes)
        self.alive.append(x)

    def _by_itself(self, number: str, call: Any, inputs: list[Any], before: Any) -> None:
        given = self.how.inputs.get(number)
        if given is None or not self.program.recording or len(given) != len(inputs):
            return
        swapped = {}
        for x, (_, axes), value in zip(inputs, before, given, strict=True):
            made = native(value, axes)
            if made.shape != x.shape:
                return
            swapped[id(x)] = jnp.asarray(made)
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
        number = str(len(self.operations))
        outs = list(out) if isinstance(out, list | tuple) else [out]
        if meaning.axes is None:
            same = outs[0].shape == inputs[0].shape
            meaning.axes = self.known[id(inputs[0])][1] if same else unknown(outs[0].shape)
        where = CALLS.of(layer).where if layer is not None else ""
        self.operations.append(
            Operation(
                id=number,
                kind=meaning.kind,
                name=self.program.names.get(id(layer), "") or name,
                sources=[self.known[id(x)][0] for x in inputs],
                constants=meaning.constants,
                stated=stated,
                where=where or CALLS.where(),
                shape=spread(outs[0].shape, meaning.axes)[1:],
                parameters=self._weights(meaning),
            )
        )
        if self.program.recording:
            self.values[number] = canonical(np.array(outs[0]), meaning.axes)
        for place, x in enumerate(outs):
            self.known[id(x)] = (number, meaning.axes if place == 0 else unknown(x.shape))
            self.alive.append(x)
        return out

    def _weights(self, meaning: Meaning) -> dict[str, str]:
        found = {}
        for role, (variable, axes) in meaning.parameters.items():
            key = self.program.keys.get(id(variable)) if variable is not None else None
            if key is not None:
                found[role] = key
                self.layouts[key] = axes
        return found


class FlaxProgram(Program):
    """An NNX module, read on pictures of one size."""

    def __init__(self, model: nnx.Module, size: list[int], training: Training) -> None:
        self.model, self.training = model, training
        self.changes: dict[str, dict[str, Any]] = {}
        self.recording = True
        self.names: dict[int, str] = {}
        self.keys: dict[int, str] = {}
        self.variables: dict[str, Any] = {}
        for path, node in nnx.iter_graph(model):
            name = ".".join(map(str, path))
            if isinstance(node, nnx.Variable):
                if isinstance(node, nnx.Param | nnx.BatchStat):
                    self.keys[id(node)], self.variables[name] = name, node
                    if jnp.issubdtype(node.value.dtype, jnp.floating):
                        node.value = node.value.astype(jnp.float64)
            else:
                self.names[id(node)] = name
        self.trained = [k for k, v in self.variables.items() if isinstance(v, nnx.Param)]
        parameters = inspect.signature(type(model).__call__).parameters
        self.mode = next((m for m in (*_MODES, "deterministic") if m in parameters), "")
        self.bare = self._bare()
        run, out = self._run(self.model, np.random.default_rng(0).random((2, *size)), Pass())
        if id(out) not in run.known:
            run._unseen(out, str(len(run.operations) - 1), "the output")
        self.layouts = run.layouts
        carried = {key for one in run.operations for key in one.parameters.values()}
        precision = jax.config.jax_default_matmul_precision
        products = {"highest": "float32", "float32": "float32"}.get(str(precision), "TF32")
        own = {str(getattr(m, "precision", None)) for m in _modules(model)} - {"None"}
        if own and all("HIGHEST" in p.upper() for p in own):
            products = "float32"
        self.listing = Listing(
            framework="jax",
            operations=run.operations,
            output=run.known[id(out)][0],
            input=size,
            parameters={k: list(v.shape) for k, v in self.weights().items()},
            fixed=[k for k in self.layouts if k not in self.trained],
            recipe=training.recipe(),
            bare=self.bare,
            settings={"products on a GPU": products, "convolutions on a GPU": products},
            notes=[
                f"{key}: no operation that is read uses it; it cannot be carried across"
                for key in self.trained
                if key not in carried
            ],
        )

    def _bare(self) -> str:
        flags = [
            bool(getattr(m, name))
            for m in _modules(self.model)
            for name in ("use_running_average", "deterministic")
            if getattr(m, name, None) is not None
        ]
        return "inference" if all(flags) else "training"

    def _run(self, model: Any, pictures: np.ndarray, how: Pass) -> tuple[_Run, Any]:
        (model.train if how.training else model.eval)()
        axes = labelled("NHWC" if pictures.ndim == 4 else "NC", pictures.shape)
        x = jnp.asarray(pictures, jnp.float64)
        named = {}
        if self.mode:
            named[self.mode] = how.training != (self.mode == "deterministic")
        run = _Run(self, x, axes, how)
        before, Watching.run = Watching.run, run
        try:
            out = model(x, **named)
        finally:
            Watching.run = before
        if not isinstance(out, jax.Array):
            raise PortError(f"the model gives a {type(out).__name__}, not one array")
        return run, out

    def weights(self) -> Arrays:
        return {
            k: _canonical(np.array(self.variables[k].value), a) for k, a in self.layouts.items()
        }

    def load(self, weights: Arrays) -> None:
        for key, value in weights.items():
            self.variables[key].value = jnp.asarray(_native(value, self.layouts[key]))

    def _kept(self) -> dict[str, Any]:
        return {key: v.value for key, v in self.variables.items()}

    def _back(self, kept: dict[str, Any]) -> None:
        for key, value in kept.items():
            self.variables[key].value = value

    def forward(self, pictures: np.ndarray, how: Pass) -> Outputs:
        kept = self._kept()
        run, out = self._run(self.model, pictures, how)
        if id(out) not in run.known:
            run._unseen(out, str(len(run.operations) - 1), "the output")
        self._back(kept)
        axes = dict(run.known.values())
        return Outputs(run.values, {k: canonical(v, axes[k]) for k, v in run.alone.items()})

    def call_bare(self, pictures: np.ndarray) -> np.ndarray:
        return self.forward(pictures, Pass(training=self.bare == "training")).values[
            self.listing.output
        ]

    def _slope(self, pictures: np.ndarray, labels: np.ndarray, how: Pass) -> tuple[float, Any]:
        """The loss, and the gradients by name; running statistics have moved afterwards."""

        def loss_of(model: Any) -> Any:
            _, out = self._run(model, pictures, how)
            return self.training.loss_of(out, labels)

        self.recording = False
        try:
            loss, found = nnx.value_and_grad(loss_of)(self.model)
        finally:
            self.recording = True
        flat = {".".join(map(str, k)): v for k, v in nnx.to_flat_state(found)}
        return float(loss), {k: getattr(v, "value", v) for k, v in flat.items()}

    def gradients(self, pictures: np.ndarray, labels: np.ndarray, how: Pass) -> Gradients:
        kept = self._kept()
        loss, found = self._slope(pictures, labels, how)
        fixed = {key: self.weights()[key] for key in self.listing.fixed}
        self._back(kept)
        mine = {k: _canonical(np.array(found[k]), a) for k, a in self.layouts.items() if k in found}
        return Gradients(loss, 0.0, mine, fixed)

    def loss_on(
        self, outputs: np.ndarray, labels: np.ndarray, through: str
    ) -> tuple[float, np.ndarray]:
        function = getattr(jax.nn, through) if through else lambda x: x

        def loss_of(x: Any) -> Any:
            return self.training.loss_of(function(x), labels)

        loss, slope = jax.value_and_grad(loss_of)(jnp.asarray(outputs, jnp.float64))
        return float(loss), np.array(slope)

    def steps(self, gradients: list[Arrays]) -> list[Arrays]:
        kept, after = self._kept(), []
        stepper = self.training.fresh({k: self.variables[k].value for k in self.trained})
        for given in gradients:
            made = {k: jnp.asarray(_native(v, self.layouts[k])) for k, v in given.items()}
            values = {k: self.variables[k].value for k in self.trained}
            whole = {k: made.get(k, jnp.zeros_like(v)) for k, v in values.items()}
            self._back(stepper(whole, values))
            now = self.weights()
            after.append({key: now[key] for key in given})
        self._back(kept)
        return after

    def train(
        self, pictures: np.ndarray, labels: np.ndarray, passes: list[Pass]
    ) -> tuple[list[float], Arrays]:
        kept, losses = self._kept(), []
        stepper = self.training.fresh({k: self.variables[k].value for k in self.trained})
        for number, how in enumerate(passes):
            place = number % len(pictures)
            loss, found = self._slope(pictures[place], labels[place], how)
            losses.append(loss)
            values = {k: self.variables[k].value for k in self.trained}
            self._back(stepper({k: found[k] for k in self.trained}, values))
        last = self.weights()
        self._back(kept)
        return losses, last

    def change(self, operation: str, constant: str, value: Any) -> bool:
        one = self.listing.operations[int(operation)]
        known = {*_FLAGS, *_ARGUMENTS, ("activation", "function")}
        if (one.kind, constant) not in known:
            return False
        if one.kind in ("max_pool", "average_pool") and one.name not in ("max_pool", "avg_pool"):
            return False
        self.changes.setdefault(operation, {})[constant] = value
        return True

    def change_optimizer(self, constant: str, value: Any) -> bool:
        return self.training.change(constant, value)


def _modules(model: Any) -> list[Any]:
    return [node for _, node in nnx.iter_graph(model) if isinstance(node, nnx.Module)]


def _orders(axes: Axes) -> list[tuple[int, np.ndarray]]:
    found = []
    for place, axis in enumerate(axes):
        own = axis.atoms[:1] and axis.atoms[0][0] in "OI"
        order = None if own or len(axes) == 4 else axis.order()
        if order is not None:
            found.append((place, order))
    return found


def _canonical(value: np.ndarray, axes: Axes) -> np.ndarray:
    for place, order in _orders(axes):
        value = np.take(value, order, axis=place)
    return value


def _native(value: np.ndarray, axes: Axes) -> np.ndarray:
    for place, order in _orders(axes):
        value = np.take(value, np.argsort(order), axis=place)
    return value
