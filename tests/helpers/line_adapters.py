"""How each framework's objects are driven, for the lines that `--explain` prints.

The adapters have the same methods. Arrays go in and come out in the canonical layout (height,
width, channels last).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.fidelity.explain.lines import flax as flax_lines
from benchmarks.fidelity.explain.lines import keras as keras_lines
from benchmarks.fidelity.explain.lines import torch as torch_lines
from benchmarks.fidelity.explain.question import Placed

Run = Callable[..., dict[str, Any]]


class Adapter:
    """A framework's objects, in a space of names that the lines may use. `given` puts a batch into
    the framework's layout, `output` brings it back."""

    kind: str

    def __init__(self, name: str) -> None:
        self.name = name
        self.modules: dict[str, Any] = {"np": np, "os": os}

    def run(self, code: str, **given: Any) -> dict[str, Any]:
        """The names after the code was run."""
        space = {**self.modules, **given}
        exec(compile(code, "a printed line", "exec"), space)
        return space

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


class Keras(Adapter):
    kind = "keras"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        import keras

        self.keras = keras
        keras.utils.set_random_seed(0)
        self.modules["keras"] = keras
        if name == "keras":
            import tensorflow as tf

            self.modules["tf"] = tf
        if name == "keras@torch":
            import torch

            self.modules["torch"] = torch
        if name == "keras@jax":
            import jax

            self.modules["jax"] = jax

    def given(self, x):
        return self.keras.ops.convert_to_tensor(x)

    vector = given

    def output(self, y):
        return self.keras.ops.convert_to_numpy(y)

    def weights(self, layer):
        parts = ("kernel", "bias") if layer.bias is not None else ("kernel",)
        return {part: self.output(getattr(layer, part)) for part in parts}

    def set_weights(self, layer, parts):
        layer.set_weights(
            [
                part.reshape(now.shape)
                for part, now in zip(parts.values(), layer.weights, strict=True)
            ]
        )

    def train(self, layer, x):
        return layer(x, training=True)

    def gamma(self, layer, x):
        layer.build(x.shape)
        return self.output(layer.gamma)

    def running(self, layer):
        return self.output(layer.moving_mean), self.output(layer.moving_variance)

    def made(self, place: Placed, parts, code):
        layer = self.run(code)[place.layer.name]
        layer.build((None, *place.source))
        self.set_weights(layer, parts)
        return layer

    def projected(self, made, code, name):
        return self.output(made.kernel_constraint(made.kernel))

    def l2(self, made, code, name):
        return self.output(sum(made.losses))

    def steps(self, run: Run, code, start, gradients, spec=None, new=None):
        made = run(keras_lines.optimizer(spec) if spec else code)["optimizer"]
        weight = self.keras.Variable(start.astype(np.float32))
        for number, gradient in enumerate(gradients):
            if new is not None and number == 6:
                run(code, optimizer=made, old=spec.rate, new=new)
            made.apply([self.given(gradient.astype(np.float32))], [weight])
        return self.output(weight)

    def gradient(self, function, x):
        if "torch" in self.modules:
            return Torch.gradient(self, function, x)
        if "jax" in self.modules:
            return Flax.gradient(self, function, x)
        tf = self.modules["tf"]
        given = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(given)
            total = tf.reduce_sum(function(given))
        return tape.gradient(total, given).numpy()

    def dropping(self):
        return self.keras.Sequential([self.keras.layers.Dropout(0.5)])

    def precision(self):
        if self.name == "keras@torch":
            return Torch.precision(self)
        if self.name == "keras@jax":
            return Flax.precision(self)
        return self.modules["tf"].config.experimental.tensor_float_32_execution_enabled()

    def exact(self, now):
        return now in (False, (False, False), "highest")

    def restore(self, before):
        if self.name == "keras@torch":
            Torch.restore(self, before)
        elif self.name == "keras@jax":
            Flax.restore(self, before)
        else:
            self.modules["tf"].config.experimental.enable_tensor_float_32_execution(before)

    def clipped(self, code):
        made = self.run(code)["optimizer"]
        weights = [self.keras.Variable(np.zeros(2, np.float32)) for _ in range(2)]
        made.apply([self.given(np.array([3.0, 4.0], np.float32))] * 2, weights)
        return np.linalg.norm([self.output(one) for one in weights]) / 0.1

    def some_optimizer(self):
        return self.keras.optimizers.SGD()

    def rates(self, code, base, epochs, steps):
        optimizer = self.keras.optimizers.SGD(base)
        space = self.run(code, optimizer=optimizer, steps_per_epoch=steps)
        weight = self.keras.Variable(np.zeros(1, np.float32))
        found = []
        for epoch in range(epochs):
            if "scheduler" in space:
                space["scheduler"].set_model(SimpleNamespace(optimizer=optimizer))
                space["scheduler"].on_epoch_begin(epoch)
            for _ in range(steps):
                weight.assign(np.zeros(1, np.float32))
                optimizer.apply([self.given(np.ones(1, np.float32))], [weight])
                found.append(-float(self.output(weight)[0]))
        return found


class Torch(Adapter):
    kind = "torch"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        import torch
        from torch import nn

        torch.manual_seed(0)
        self.torch = torch
        self.modules |= {"torch": torch, "nn": nn, "F": nn.functional}

    def given(self, x):
        x = np.ascontiguousarray(x.transpose(0, 3, 1, 2) if x.ndim == 4 else x)
        return self.torch.from_numpy(x)

    def vector(self, x):
        return self.torch.from_numpy(x)

    def output(self, y):
        found = y.detach().numpy()
        return found.transpose(0, 2, 3, 1) if found.ndim == 4 else found

    def weights(self, layer):
        bias = {} if layer.bias is None else {"bias": layer.bias.detach().numpy().copy()}
        return {"kernel": self._kernel(layer.weight), **bias}

    def _kernel(self, weight):
        found = weight.detach().numpy()
        return (found.transpose(2, 3, 1, 0) if found.ndim == 4 else found.T).copy()

    def set_weights(self, layer, parts):
        kernel = parts["kernel"]
        kernel = kernel.transpose(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T
        layer.weight.data = self.torch.from_numpy(np.ascontiguousarray(kernel))
        if "bias" in parts:
            layer.bias.data = self.torch.from_numpy(parts["bias"].copy())

    def train(self, layer, x):
        return layer(x)

    def gamma(self, layer, x):
        return layer.weight.detach().numpy()

    def running(self, layer):
        return layer.running_mean.numpy(), layer.running_var.numpy()

    def made(self, place: Placed, parts, code):
        x = self.given(np.zeros((1, *place.source), np.float32))
        layer = self.run(torch_lines.layer(place), x=x)[place.layer.name]
        self.set_weights(layer, parts)
        return layer

    def projected(self, made, code, name):
        self.run(code, **{name: made})
        return self._kernel(made.weight)

    def l2(self, made, code, name):
        return self.run(code, **{name: made, "loss": 0.0})["loss"].item()

    def steps(self, run: Run, code, start, gradients, spec=None, new=None):
        weight = self.torch.nn.Parameter(self.torch.tensor(start, dtype=self.torch.float32))
        model = SimpleNamespace(parameters=lambda: [weight])
        made = run(torch_lines.optimizer(spec) if spec else code, model=model)["optimizer"]
        for number, gradient in enumerate(gradients):
            if new is not None and number == 6:
                run(code, optimizer=made, old=spec.rate, new=new)
            weight.grad = self.torch.tensor(gradient, dtype=self.torch.float32)
            made.step()
        return weight.detach().numpy()

    def gradient(self, function, x):
        given = self.given(x).requires_grad_()
        function(given).sum().backward()
        return self.output(given.grad)

    def dropping(self):
        return self.torch.nn.Sequential(self.torch.nn.Dropout(0.5))

    def precision(self):
        backends = self.modules["torch"].backends
        return backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32

    def exact(self, now):
        return now == (False, False)

    def restore(self, before):
        backends = self.modules["torch"].backends
        backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32 = before

    def clipped(self, code):
        model = self.torch.nn.Linear(2, 2)
        for parameter in model.parameters():
            parameter.grad = self.torch.full_like(parameter, 9.0)
        self.run(code, model=model)
        return np.linalg.norm([p.grad.norm().item() for p in model.parameters()])

    def some_optimizer(self):
        return self.torch.optim.SGD([self.torch.nn.Parameter(self.torch.zeros(1))])

    def rates(self, code, base, epochs, steps):
        weight = self.torch.nn.Parameter(self.torch.zeros(1, dtype=self.torch.float64))
        weight.grad = self.torch.ones_like(weight)
        optimizer = self.torch.optim.SGD([weight], lr=base)
        # The lines that are called after each epoch or step come last.
        made, last = code.rsplit("\nif " if "\nif " in code else "\n", 1)
        called = f"if {last}" if "\nif " in code else last
        space = self.run(made, optimizer=optimizer, steps_per_epoch=steps)
        found = []
        for number in range(epochs * steps):
            weight.data.zero_()
            optimizer.step()
            found.append(-weight.item())
            if "each step" in called or (number + 1) % steps == 0:
                exec(called, space)
        return found


class Flax(Adapter):
    kind = "flax"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        import flax.training.early_stopping
        import jax
        import jax.numpy as jnp
        import optax.contrib
        from flax import nnx

        self.jax, self.nnx, self.optax = jax, nnx, optax
        self.modules |= {"jax": jax, "jnp": jnp, "optax": optax, "nnx": nnx, "flax": flax}
        self.modules["rngs"] = nnx.Rngs(0)

    def given(self, x):
        return self.jax.numpy.asarray(x)

    vector = given

    def output(self, y):
        return np.asarray(y)

    def weights(self, layer):
        parts = ("kernel", "bias") if layer.bias is not None else ("kernel",)
        return {part: np.array(getattr(layer, part)[...]) for part in parts}

    def set_weights(self, layer, parts):
        for part, value in parts.items():
            getattr(layer, part)[...] = self.given(value)

    def train(self, layer, x):
        return layer(x)

    def gamma(self, layer, x):
        return np.array(layer.scale[...])

    def running(self, layer):
        return np.array(layer.mean[...]), np.array(layer.var[...])

    def made(self, place: Placed, parts, code):
        layer = self.run(flax_lines.layer(place))[place.layer.name]
        self.set_weights(layer, parts)
        return layer

    def projected(self, made, code, name):
        self.run(code, **{name: made})
        return np.array(made.kernel[...])

    def l2(self, made, code, name):
        return float(self.run(code, **{name: made, "loss": 0.0})["loss"])

    def steps(self, run: Run, code, start, gradients, spec=None, new=None):
        weight = self.given(start.astype(np.float32))
        given = {"parameters": weight, "old": spec.rate, "new": new} if spec else {}
        build, change = code.rsplit("\n", 1) if spec else (code, "")
        space = run(build, **given)
        made = space["optimizer"]
        state = space["state"] if spec else made.init(weight)
        update = self.jax.jit(made.update)
        for number, gradient in enumerate(gradients):
            if new is not None and number == 6:
                state = run(change, state=state, new=new)["state"]
            updates, state = update(self.given(gradient.astype(np.float32)), state, weight)
            weight = self.optax.apply_updates(weight, updates)
        return np.asarray(weight)

    def gradient(self, function, x):
        made = self.modules["jax"].grad(lambda one: function(one).sum())
        return np.asarray(made(self.given(x)))

    def dropping(self):
        return self.nnx.Sequential(self.nnx.Dropout(0.5, rngs=self.nnx.Rngs(0)))

    def precision(self):
        return self.modules["jax"].config.jax_default_matmul_precision

    def exact(self, now):
        return now == "highest"

    def restore(self, before):
        self.modules["jax"].config.update("jax_default_matmul_precision", before)

    def clipped(self, code):
        made = self.run(code)["optimizer"]
        gradients = [self.given(np.array([3.0, 4.0], np.float32))] * 2
        updates, _ = made.update(gradients, made.init(gradients))
        return np.linalg.norm([np.asarray(one) for one in updates]) / 0.1

    def some_optimizer(self):
        return self.optax.sgd(0.1)

    def rates(self, code, base, epochs, steps):
        made = self.optax.sgd(self.run(code, steps_per_epoch=steps)["rate"])
        one = self.given(np.ones(1, np.float32))
        state, update, found = made.init(one), self.jax.jit(made.update), []
        for _ in range(epochs * steps):
            change, state = update(one, state)
            found.append(-float(change[0]))
        return found


ADAPTERS: dict[str, type[Adapter]] = {"keras": Keras, "torch": Torch, "flax": Flax}
