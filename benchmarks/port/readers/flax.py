"""A Flax NNX module as operations, run eagerly, with every call of the library seen."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from benchmarks.port.axes import canonical, native, pictured
from benchmarks.port.operation import Listing, PortError
from benchmarks.port.readers import optax_recipe
from benchmarks.port.readers.calls import CALLS
from benchmarks.port.readers.flax_run import ARGUMENTS, FLAGS, FlaxRun
from benchmarks.port.readers.flax_steps import FlaxSteps
from benchmarks.port.readers.flax_watch import Watching, install, one_type
from benchmarks.port.readers.optax_recipe import Training
from benchmarks.port.readers.program import (
    Arrays,
    Gradients,
    Outputs,
    Pass,
    Program,
    clash,
    roles_of,
    same_way,
    uncarried,
)

# Arguments of a call that say the mode.
MODES = ("train", "training", "is_training", "deterministic")


def prepare(_: int, precision: str) -> None:
    """Before the user's file is imported: calls are watched, and who makes what is noted.

    Args:
        precision: float32 or float64.
    """
    jax.config.update("jax_enable_x64", precision == "float64")
    install()
    if precision == "float64":
        one_type()
    optax_recipe.install()
    CALLS.watch_new([nnx.Module])


class Mode(NamedTuple):
    """The argument of a module's call that says the mode, "" where its layers know it; and the mode
    without it: training, inference, "" where it has to be given, None where the layers say it."""

    name: str
    bare: str | None

    @classmethod
    def of(cls, model: Any) -> Mode:
        """The mode of a module of nnx or linen."""
        parameters = inspect.signature(type(model).__call__).parameters
        name = next((m for m in MODES if m in parameters), "")
        default = parameters[name].default if name else None
        if default is inspect.Parameter.empty:
            return cls(name, "")
        if default is None:
            return cls(name, None)
        return cls(name, "training" if default == (name != "deterministic") else "inference")

    def words(self, training: bool) -> dict[str, bool]:
        """The arguments of a call in this mode."""
        return {self.name: training != (self.name == "deterministic")} if self.name else {}


class FlaxProgram(Program):
    """An NNX module, read on pictures of one size."""

    def __init__(self, model: nnx.Module, size: list[int], training: Training, mode: Mode) -> None:
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
                        node.value = node.value.astype(float)
            elif isinstance(node, nnx.Module):
                self.names[id(node)] = name
                for kind in ("dtype", "param_dtype"):
                    _whole_type(node, kind)
        self.trained = [k for k, v in self.variables.items() if isinstance(v, nnx.Param)]
        self.mode = mode
        self.bare = self._bare() if mode.bare is None else mode.bare
        pictures = np.random.default_rng(0).random((2, *size))
        run, out = self._run(self.model, pictures, Pass())
        kept = self._kept()
        other, _ = self._run(self.model, pictures, Pass(training=True))
        self._back(kept)
        remedy = "write it as nnx.Dropout or another layer that knows its mode, or take it out"
        same_way(run.operations, other.operations, remedy)
        if id(out) not in run.known:
            run.unseen(out, str(len(run.operations) - 1), "the output")
        self.layouts, self.shapes = run.layouts, run.shapes
        carried = {key for one in run.operations for key in one.parameters.values()}
        precision = jax.config.values["jax_default_matmul_precision"]
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
            recipe=training.recipe(self.trained_values(), roles_of(run.operations)),
            bare=self.bare,
            settings={"products on a GPU": products, "convolutions on a GPU": products},
            notes=[
                *uncarried(key for key in self.trained if key not in carried),
                *(clash(key) for key in sorted(run.clashes)),
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

    def _run(self, model: Any, pictures: np.ndarray, how: Pass) -> tuple[FlaxRun, Any]:
        (model.train if how.training else model.eval)()
        axes = pictured(pictures.shape)
        x = jnp.asarray(pictures, float)
        run = FlaxRun(self, x, axes, how)
        for path, node in nnx.iter_graph(model):
            if isinstance(node, nnx.Param):
                name = ".".join(map(str, path))
                run.weights |= {id(node): name, id(node.value): name}
                run.alive.append(node.value)
        before, Watching.run = Watching.run, run
        try:
            out = model(x, **self.mode_words(how.training))
        finally:
            Watching.run = before
        if not isinstance(out, jax.Array):
            raise PortError(f"the model gives a {type(out).__name__}, not one array")
        return run, out

    def mode_words(self, training: bool) -> dict[str, bool]:
        """The arguments of a call that say the mode; none where the model's layers know it."""
        return self.mode.words(training)

    def trained_values(self) -> dict[str, Any]:
        """The trained weights as they are, by name."""
        return {k: self.variables[k].value for k in self.trained}

    def weights(self) -> Arrays:
        return {k: self._canonical(k, self.variables[k].value) for k in self.layouts}

    def _canonical(self, key: str, value: Any) -> np.ndarray:
        whole = np.array(value)
        return canonical(whole.reshape(self.shapes.get(key, whole.shape)), self.layouts[key])

    def _native(self, key: str, value: np.ndarray) -> Any:
        own = native(value, self.layouts[key])
        return jnp.asarray(own.reshape(self.variables[key].value.shape))

    def load(self, weights: Arrays) -> None:
        for key, value in weights.items():
            self.variables[key].value = self._native(key, value)

    def _kept(self) -> dict[str, Any]:
        return {key: v.value for key, v in self.variables.items()}

    def _back(self, kept: dict[str, Any]) -> None:
        for key, value in kept.items():
            self.variables[key].value = value

    def forward(self, pictures: np.ndarray, how: Pass) -> Outputs:
        kept = self._kept()
        run, out = self._run(self.model, pictures, how)
        if id(out) not in run.known:
            run.unseen(out, str(len(run.operations) - 1), "the output")
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
        mine = {k: self._canonical(k, found[k]) for k in self.layouts if k in found}
        return Gradients(loss, 0.0, mine, fixed)

    def loss_on(
        self, outputs: np.ndarray, labels: np.ndarray, through: str
    ) -> tuple[float, np.ndarray]:
        function = getattr(jax.nn, through) if through else lambda x: x

        def loss_of(x: Any) -> Any:
            return self.training.loss_of(function(x), labels)

        loss, slope = jax.value_and_grad(loss_of)(jnp.asarray(outputs, float))
        return float(loss), np.array(slope)

    def steps(self, gradients: list[Arrays]) -> list[Arrays]:
        kept, after = self._kept(), []
        stepper = self.training.fresh(self.trained_values())
        for given in gradients:
            made = {k: self._native(k, v) for k, v in given.items()}
            values = self.trained_values()
            whole = {k: made.get(k, jnp.zeros_like(v)) for k, v in values.items()}
            self._back(stepper(whole, values))
            now = self.weights()
            after.append({key: now[key] for key in given})
        self._back(kept)
        return after

    def train(
        self, pictures: np.ndarray, labels: np.ndarray, passes: Iterable[tuple[int, Pass]]
    ) -> tuple[list[float], Arrays]:
        kept, losses = self._kept(), []
        values = self.trained_values()
        stepper = self.training.fresh(values)
        for place, how in passes:
            loss, found = self._slope(pictures[place], labels[place], how)
            losses.append(loss)
            values = self.trained_values()
            self._back(stepper({k: found[k] for k in self.trained}, values))
        last = self.weights()
        self._back(kept)
        return losses, last

    def own_steps(self) -> FlaxSteps:
        return FlaxSteps(self)

    def change(self, operation: str, constant: str, value: Any) -> bool:
        one = self.listing.operations[int(operation)]
        if value == one.constants.get(constant) and operation in self.changes:
            self.changes[operation].pop(constant, None)
            return True
        if constant == "function" and not hasattr(jax.nn, value):
            return False
        known = {*FLAGS, *ARGUMENTS, ("activation", "function")}
        if (one.kind, constant) not in known:
            return False
        if one.kind in ("max_pool", "average_pool") and one.name not in ("max_pool", "avg_pool"):
            return False
        self.changes.setdefault(operation, {})[constant] = value
        return True

    def change_optimizer(self, constant: str, value: Any) -> bool:
        return self.training.change(constant, value)


def _whole_type(layer: Any, kind: str) -> None:
    """Have a layer that states its type compute in that of all."""
    stated = getattr(layer, kind, None)
    if stated is not None and jnp.issubdtype(stated, jnp.floating):
        CALLS.lowered(jnp.dtype(stated).name)
        setattr(layer, kind, jnp.result_type(float))


def _modules(model: Any) -> list[Any]:
    return [node for _, node in nnx.iter_graph(model) if isinstance(node, nnx.Module)]
