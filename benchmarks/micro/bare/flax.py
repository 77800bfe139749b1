"""Flax and JAX by hand: the tutorial's jitted step, and the best loop, in JAX alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array, lax

from benchmarks.micro.bare.networks import (
    BETAS,
    EPSILON,
    NETWORKS,
    NORM_EPSILON,
    NORM_MOMENTUM,
    RATE,
    named,
)

Weights = Mapping[str, np.ndarray]
Epoch = Callable[[np.ndarray], float]
ACTIVATIONS: dict[str | None, Callable] = {"tanh": jnp.tanh, "relu": nnx.relu, None: lambda x: x}
PRECISIONS = {"float32": "highest", "tf32": "tensorfloat32", "bfloat16": None}


def configure(precision: str) -> Any:
    """Precision of float32 products, process-wide; the type that layers compute in."""
    jax.config.update("jax_default_matmul_precision", PRECISIONS[precision])
    return jnp.bfloat16 if precision == "bfloat16" else jnp.float32


class Net(nnx.Module):
    """The network as the tutorial writes it."""

    def __init__(self, name: str, weights: Weights, dtype: Any, *, dropout: bool) -> None:
        rngs = nnx.Rngs(0)
        self.name = name
        self.layers: Any = nnx.Dict({})
        channels = 0
        for key, layer in named(name):
            if layer[0] == "conv":
                shape = weights[f"{key}/kernel"].shape
                made: Any = nnx.Conv(
                    shape[2], shape[3], shape[:2], padding="VALID", dtype=dtype, rngs=rngs
                )
            elif layer[0] == "norm":
                options: dict[str, Any] = {"momentum": NORM_MOMENTUM, "epsilon": NORM_EPSILON}
                made = nnx.BatchNorm(channels, **options, dtype=dtype, rngs=rngs)
            elif layer[0] == "drop":
                made = nnx.Dropout(layer[1] if dropout else 0.0, rngs=rngs)
            elif layer[0] == "dense":
                made = nnx.Linear(*weights[f"{key}/kernel"].shape, dtype=dtype, rngs=rngs)
            else:
                continue
            self.layers[key] = made
            if layer[0] in ("conv", "dense"):
                made.kernel[...] = jnp.array(weights[f"{key}/kernel"])
                made.bias[...] = jnp.array(weights[f"{key}/bias"])
                channels = weights[f"{key}/bias"].shape[0]

    def __call__(self, x: Array) -> Array:
        x = x.astype(jnp.float32) / 255
        for key, layer in named(self.name):
            if layer[0] == "pool":
                x = nnx.max_pool(x, (2, 2), strides=(2, 2))
            elif layer[0] == "flatten":
                x = x.reshape(len(x), -1)
            else:
                x = self.layers[key](x)
            if layer[0] == "conv":
                x = nnx.relu(x)
            elif layer[0] == "dense":
                x = ACTIVATIONS[layer[2]](x)
        return x.astype(jnp.float32)


def penalty(name: str, kernels: list[Array]) -> Array | float:
    """The L2 terms of all kernels but the last."""
    l2 = NETWORKS[name]["l2"]
    return l2 * sum(jnp.sum(jnp.square(kernel)) for kernel in kernels[:-1]) if l2 else 0.0


def _weighted(name: str) -> list[str]:
    return [key for key, layer in named(name) if layer[0] in ("conv", "dense")]


def tutorial(
    name: str,
    images: np.ndarray,
    labels: np.ndarray,
    batch: int,
    weights: Weights,
    *,
    dropout: bool = True,
    device: str = "cpu",
    precision: str = "float32",
) -> Epoch:
    """A model, an optimizer and an `nnx.jit` step, as flax.readthedocs.io's MNIST tutorial."""
    model = Net(name, weights, configure(precision), dropout=dropout)
    optimizer = nnx.Optimizer(model, optax.adam(RATE, *BETAS, eps=EPSILON), wrt=nnx.Param)

    def loss_of(model: Net, x: Array, y: Array) -> Array:
        loss = optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()
        return loss + penalty(name, [model.layers[key].kernel[...] for key in _weighted(name)])

    @nnx.jit
    def step(model: Net, optimizer: nnx.Optimizer, x: Array, y: Array) -> Array:
        loss, gradients = nnx.value_and_grad(loss_of)(model, x, y)
        optimizer.update(model, gradients)
        return loss

    def epoch(order: np.ndarray) -> float:
        model.train()
        parts = [order[start : start + batch] for start in range(0, len(order), batch)]
        losses = [step(model, optimizer, images[rows], labels[rows]) for rows in parts]
        return float(np.dot(jax.device_get(losses), [len(rows) for rows in parts])) / len(order)

    return epoch


# ---- the best loop: parameters as a dictionary, every convolution Eigen's


# XLA then leaves unpadded convolutions to Eigen, several times as fast as its YNNPACK's on CPUs.
EIGEN = "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE"


def _xlas(x: Array, kernel: Array) -> Array:
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=layout)


@jax.custom_vjp
def conv(x: Array, kernel: Array) -> Array:
    """(batch, height, width, in) by (height, width, in, out), no padding; our gradients."""
    return _xlas(x, kernel)


def _conv_backward(kept: tuple[Array, Array], slope: Array) -> tuple[Array, Array]:
    x, kernel = kept
    around = ((len(kernel) - 1,) * 2,) * 2
    padded = jnp.pad(slope, ((0, 0), *around, (0, 0)))
    x_slope = _xlas(padded, kernel[::-1, ::-1].transpose(0, 1, 3, 2))
    groups = -(-len(x) // 8)  # of eight pictures, which become the channels
    size = -(-len(x) // groups)
    more = ((0, groups * size - len(x)), (0, 0), (0, 0), (0, 0))
    parts = [jnp.pad(one, more).reshape(groups, size, *one.shape[1:]) for one in (x, slope)]

    def add(total: Array, part: list[Array]) -> tuple[Array, None]:
        images, slopes = (one.astype(jnp.float32) for one in part)
        turned = images.transpose(3, 1, 2, 0), slopes.transpose(1, 2, 0, 3)
        return total + _xlas(*lax.optimization_barrier(turned)), None

    height, width, channels, filters = kernel.shape
    total, _ = lax.scan(add, jnp.zeros((channels, height, width, filters)), parts)
    return x_slope, total.transpose(1, 2, 0, 3).astype(kernel.dtype)


conv.defvjp(lambda x, kernel: (conv(x, kernel), (x, kernel)), _conv_backward)


@jax.custom_vjp
def pool(x: Array) -> Array:
    """Maximum over 2 x 2 windows; the gradient goes to the first."""
    return _pool_forward(x)[0]


def _pool_forward(x: Array) -> tuple[Array, tuple[Array, tuple[int, ...]]]:
    count, height, width, channels = x.shape
    rows, columns = height // 2, width // 2
    used = x[:, : 2 * rows, : 2 * columns].reshape(count, rows, 2, columns, 2, channels)
    highest = used[:, :, 0, :, 0]
    place = jnp.zeros(highest.shape, jnp.uint8)
    for number in (1, 2, 3):
        value = used[:, :, number // 2, :, number % 2]
        place = jnp.where(value > highest, jnp.uint8(number), place)
        highest = jnp.maximum(highest, value)
    return highest, (place, x.shape)


def _pool_backward(kept: tuple[Array, tuple[int, ...]], slope: Array) -> tuple[Array]:
    place, shape = kept
    count, rows, columns, channels = place.shape
    number = jnp.arange(4, dtype=jnp.uint8).reshape(1, 1, 2, 1, 2, 1)
    spread = jnp.where(number == place[:, :, None, :, None], slope[:, :, None, :, None], 0)
    spread = spread.reshape(count, 2 * rows, 2 * columns, channels)
    edges = [(0, whole - used) for whole, used in zip(shape, spread.shape, strict=True)]
    return (jnp.pad(spread, edges),)


pool.defvjp(_pool_forward, _pool_backward)


def best(
    name: str,
    images: np.ndarray,
    labels: np.ndarray,
    batch: int,
    weights: Weights,
    *,
    dropout: bool = True,
    device: str = "cpu",
    precision: str = "float32",
) -> Epoch:
    """Data on the device, the epoch in one dispatch, state donated, every convolution Eigen's."""
    on_cpu, dtype = device == "cpu", configure(precision)
    layers = named(name)
    parameters = {key: jnp.array(value) for key, value in weights.items() if "moving" not in key}
    running = {key: jnp.array(value) for key, value in weights.items() if "moving" in key}
    adam = optax.adam(RATE, *BETAS, eps=EPSILON)
    state = parameters, running, adam.init(parameters), jax.random.key(0)
    data = jax.device_put((images, labels.astype(np.int32)))

    def forward(p: Any, running: Any, x: Array, key: Array) -> tuple[Array, Any]:
        x, after = (x.astype(jnp.float32) * (1 / 255)).astype(dtype), {}
        cast = {label: array.astype(dtype) for label, array in p.items()}
        for position, (label, layer) in enumerate(layers):
            if layer[0] == "conv":
                x = (conv if on_cpu else _xlas)(x, cast[f"{label}/kernel"])
                x += cast[f"{label}/bias"]
                if layers[position + 1][1][0] != "pool":
                    x = nnx.relu(x)
            elif layer[0] == "norm":
                x = x.astype(jnp.float32)
                mean = x.mean((0, 1, 2))
                variance = jnp.square(x - mean).mean((0, 1, 2))
                scale = lax.rsqrt(variance + NORM_EPSILON) * p[f"{label}/gamma"]
                x = ((x - mean) * scale + p[f"{label}/beta"]).astype(dtype)
                for part, value in (("mean", mean), ("variance", variance)):
                    old = running[f"{label}/moving_{part}"]
                    after[f"{label}/moving_{part}"] = old + (value - old) * (1 - NORM_MOMENTUM)
            elif layer[0] == "pool":
                x = pool(x) if on_cpu else nnx.max_pool(x, (2, 2), strides=(2, 2))
                if layers[position - 1][1][0] == "conv":
                    x = nnx.relu(x)
            elif layer[0] == "drop":
                if dropout:
                    keep = jax.random.bernoulli(
                        jax.random.fold_in(key, position), 1 - layer[1], x.shape
                    )
                    x = jnp.where(keep, x / (1 - layer[1]), 0)
            elif layer[0] == "flatten":
                x = x.reshape(len(x), -1)
            else:
                x = x @ cast[f"{label}/kernel"] + cast[f"{label}/bias"]
                x = ACTIVATIONS[layer[2]](x)
        return x.astype(jnp.float32), after

    def loss_of(p: Any, running: Any, x: Array, y: Array, key: Array) -> Any:
        logits, after = forward(p, running, x, key)
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()
        return loss + penalty(name, [p[f"{label}/kernel"] for label in _weighted(name)]), after

    options = {"xla_cpu_experimental_ynn_fusion_type": EIGEN} if on_cpu else {}

    @partial(jax.jit, donate_argnums=0, compiler_options=options)
    def many(state: Any, data: Any, rows: Array) -> Any:
        def step(state: Any, part: Array) -> Any:
            p, running, slots, key = state
            key, drawn = jax.random.split(key)
            compute = jax.value_and_grad(loss_of, has_aux=True)
            (loss, running), slopes = compute(p, running, data[0][part], data[1][part], drawn)
            updates, slots = adam.update(slopes, slots)
            return (optax.apply_updates(p, updates), running, slots, key), loss

        return lax.scan(step, state, rows)

    def epoch(order: np.ndarray) -> float:
        nonlocal state
        whole = len(order) // batch * batch
        parts = [order[:whole].reshape(-1, batch), order[None, whole:]]
        found = []
        for rows in parts:
            if rows.size:
                state, losses = many(state, data, rows.astype(np.int32))
                found.append((losses, rows.shape[1]))
        return sum(float(losses.sum()) * size for losses, size in found) / len(order)

    return epoch
