"""Flax and JAX by hand: the tutorial's jitted step, and the best loop, in JAX alone."""

from __future__ import annotations

from collections.abc import Callable
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
    POOL,
    RATE,
    Epoch,
    Named,
    Task,
    Weights,
    named,
    weighted,
)

ACTIVATIONS: dict[str | None, Callable] = {
    **{"tanh": jnp.tanh, "relu": nnx.relu, "silu": nnx.silu},
    None: lambda x: x,
}
PRECISIONS = {"float32": "highest", "tf32": "tensorfloat32", "bfloat16": None}


def configure(precision: str) -> Any:
    """Precision of float32 products, process-wide; the type that layers compute in."""
    jax.config.update("jax_default_matmul_precision", PRECISIONS[precision])
    return jnp.bfloat16 if precision == "bfloat16" else jnp.float32


class Layers(nnx.Module):
    """Layers as the tutorial writes them; the modules have the names of their weights."""

    def __init__(
        self, layers: Named, weights: Weights, dtype: Any, rngs: nnx.Rngs, *, dropout: bool
    ) -> None:
        self.steps = tuple(
            (key, layer[:1] if layer[0] == "block" else layer) for key, layer in layers
        )
        for key, layer in layers:
            kernel = weights.get(f"{key}/kernel", np.empty(0))
            options = {"dtype": dtype, "rngs": rngs}
            if layer[0] in ("conv", "plain"):
                _, _, size, stride, groups = (*layer, 1, 1)[:5]
                plain = layer[0] == "plain"
                made: Any = nnx.Conv(
                    *(kernel.shape[2] * groups, kernel.shape[3], kernel.shape[:2], stride),
                    padding=size // 2 if plain else "VALID",
                    feature_group_count=groups,
                    use_bias=not plain,
                    **options,
                )
            elif layer[0] == "norm":
                made = nnx.BatchNorm(
                    len(weights[f"{key}/gamma"]),
                    epsilon=layer[1],
                    momentum=layer[2],
                    use_fast_variance=False,  # the network of the other loops
                    **options,
                )
            elif layer[0] == "drop":
                made = nnx.Dropout(layer[1] if dropout else 0.0, rngs=rngs)
            elif layer[0] == "dense":
                made = nnx.Linear(*kernel.shape, **options)
            elif layer[0] == "block":
                body, side = (
                    Layers(one, weights, dtype, rngs, dropout=dropout) for one in layer[1:3]
                )
                made = Residual(body, side, ACTIVATIONS[layer[3]])
            else:
                continue
            setattr(self, key, made)
            if kernel.size:
                made.kernel[...] = jnp.array(kernel)
            if f"{key}/bias" in weights:
                made.bias[...] = jnp.array(weights[f"{key}/bias"])

    def __call__(self, x: Array) -> Array:
        for key, (kind, *rest) in self.steps:
            if kind == "pool":
                x = _max_pool(x, *rest)
            elif kind == "flatten":
                x = x.reshape(len(x), -1)
            elif kind == "mean":
                x = x.mean((1, 2))
            elif kind == "act":
                x = ACTIVATIONS[rest[0]](x)
            else:
                x = getattr(self, key)(x)
            if kind == "conv":
                x = nnx.relu(x)
            elif kind == "dense":
                x = ACTIVATIONS[rest[1]](x)
        return x


class Residual(nnx.Module):
    """activation(body(x) + shortcut(x))."""

    def __init__(self, body: Layers, shortcut: Layers, activation: Callable) -> None:
        self.body, self.shortcut, self.activation = body, shortcut, activation

    def __call__(self, x: Array) -> Array:
        return self.activation(self.body(x) + self.shortcut(x))


class Net(nnx.Module):
    """The network on pictures of bytes."""

    def __init__(self, name: str, weights: Weights, dtype: Any, *, dropout: bool) -> None:
        self.layers = Layers(named(name), weights, dtype, nnx.Rngs(0), dropout=dropout)

    def __call__(self, x: Array) -> Array:
        return self.layers(x.astype(jnp.float32) / 255).astype(jnp.float32)


def _max_pool(x: Array, size: int, stride: int, padding: int) -> Array:
    return nnx.max_pool(x, (size, size), (stride, stride), ((padding, padding),) * 2)


def penalty(name: str, of: Callable[[str], Array]) -> Array | float:
    """The L2 terms of all kernels but the last, each by the name of its layer."""
    l2 = NETWORKS[name]["l2"]
    keys = weighted(named(name))[:-1] if l2 else []
    return l2 * sum(jnp.sum(jnp.square(of(key))) for key in keys)


def tutorial(task: Task) -> Epoch:
    """A model, an optimizer and an `nnx.jit` step, as flax.readthedocs.io's MNIST tutorial."""
    model = Net(task.name, task.weights, configure(task.precision), dropout=task.dropout)
    optimizer = nnx.Optimizer(model, optax.adam(RATE, *BETAS, eps=EPSILON), wrt=nnx.Param)

    def loss_of(model: Net, x: Array, y: Array) -> Array:
        loss = optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()
        return loss + penalty(task.name, lambda key: getattr(model.layers, key).kernel[...])

    @nnx.jit
    def step(model: Net, optimizer: nnx.Optimizer, x: Array, y: Array) -> Array:
        loss, gradients = nnx.value_and_grad(loss_of)(model, x, y)
        optimizer.update(model, gradients)
        return loss

    def epoch(order: np.ndarray) -> float:
        model.train()
        parts = [order[start : start + task.batch] for start in range(0, len(order), task.batch)]
        losses = [step(model, optimizer, task.images[rows], task.labels[rows]) for rows in parts]
        return float(np.dot(jax.device_get(losses), [len(rows) for rows in parts])) / len(order)

    return epoch


# ---- the best loop: parameters as a dictionary, every convolution Eigen's


# XLA then leaves unpadded convolutions to Eigen, several times as fast as its YNNPACK's on CPUs.
EIGEN = "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE"


LAYOUT = ("NHWC", "HWIO", "NHWC")


def _xlas(x: Array, kernel: Array) -> Array:
    return lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=LAYOUT)


@jax.custom_vjp
def conv(x: Array, kernel: Array) -> Array:
    """(batch, height, width, in) by (height, width, in, out), no padding; our gradients."""
    return _xlas(x, kernel)


def _plain(x: Array, kernel: Array, size: int, stride: int, groups: int, *, on_cpu: bool) -> Array:
    """Half a kernel's padding, a stride, groups."""
    around = ((size // 2, size // 2),) * 2
    if on_cpu and stride == groups == 1:
        return conv(jnp.pad(x, ((0, 0), *around, (0, 0))), kernel)
    if on_cpu and groups == x.shape[-1]:
        return _depthwise(jnp.pad(x, ((0, 0), *around, (0, 0))), kernel, stride)
    return lax.conv_general_dilated(
        *(x, kernel, (stride, stride), around),
        dimension_numbers=LAYOUT,
        feature_group_count=groups,
    )


def _depthwise(x: Array, kernel: Array, stride: int) -> Array:
    """Each channel by itself: shifted pictures, multiplied and added up; XLA's own computes it
    value by value."""
    rows, columns = ((side - len(kernel)) // stride + 1 for side in x.shape[1:3])
    parts = [
        x[:, row : row + stride * rows : stride, column : column + stride * columns : stride]
        * kernel[row, column, 0]
        for row in range(len(kernel))
        for column in range(len(kernel))
    ]
    return sum(parts[1:], start=parts[0])


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


def best(task: Task) -> Epoch:
    """Data on the device, the epoch in one dispatch, state donated, every convolution Eigen's."""
    on_cpu, dtype = task.device == "cpu", configure(task.precision)
    layers = named(task.name)
    parameters = {
        key: jnp.array(value) for key, value in task.weights.items() if "moving" not in key
    }
    running = {key: jnp.array(value) for key, value in task.weights.items() if "moving" in key}
    adam = optax.adam(RATE, *BETAS, eps=EPSILON)
    state = parameters, running, adam.init(parameters), jax.random.key(0)
    data = jax.device_put((task.images, task.labels.astype(np.int32)))

    def forward(p: Any, running: Any, x: Array, key: Array) -> tuple[Array, Any]:
        after: dict[str, Array] = {}
        cast = {label: array.astype(dtype) for label, array in p.items()}

        def run(x: Array, layers: Named) -> Array:
            for position, (label, layer) in enumerate(layers):
                following = layers[position + 1][1][0] if position + 1 < len(layers) else ""
                ahead = layers[position - 1][1]
                if layer[0] == "conv":
                    x = (conv if on_cpu else _xlas)(x, cast[f"{label}/kernel"])
                    x += cast[f"{label}/bias"]
                    if following != "pool":
                        x = nnx.relu(x)
                elif layer[0] == "plain":
                    x = _plain(x, cast[f"{label}/kernel"], *layer[2:], on_cpu=on_cpu)
                elif layer[0] == "norm":
                    x = x.astype(jnp.float32)
                    mean = x.mean((0, 1, 2))
                    variance = jnp.square(x - mean).mean((0, 1, 2))
                    scale = lax.rsqrt(variance + layer[1]) * p[f"{label}/gamma"]
                    x = ((x - mean) * scale + p[f"{label}/beta"]).astype(dtype)
                    for part, value in (("mean", mean), ("variance", variance)):
                        old = running[f"{label}/moving_{part}"]
                        after[f"{label}/moving_{part}"] = old + (value - old) * (1 - layer[2])
                elif layer[0] == "act":
                    if following != "pool":
                        x = ACTIVATIONS[layer[1]](x)
                elif layer[0] == "pool":
                    own = on_cpu and layer == POOL
                    x = pool(x) if own else _max_pool(x, *layer[1:])
                    if ahead[0] in ("conv", "act"):
                        x = nnx.relu(x)
                elif layer[0] == "drop":
                    if task.dropout:
                        drawn = jax.random.fold_in(key, position)
                        keep = jax.random.bernoulli(drawn, 1 - layer[1], x.shape)
                        x = jnp.where(keep, x / (1 - layer[1]), 0)
                elif layer[0] == "flatten":
                    x = x.reshape(len(x), -1)
                elif layer[0] == "mean":
                    x = x.mean((1, 2))
                elif layer[0] == "block":
                    x = ACTIVATIONS[layer[3]](run(x, layer[1]) + run(x, layer[2]))
                else:
                    x = x @ cast[f"{label}/kernel"] + cast[f"{label}/bias"]
                    x = ACTIVATIONS[layer[2]](x)
            return x

        x = run((x.astype(jnp.float32) * (1 / 255)).astype(dtype), layers)
        return x.astype(jnp.float32), after

    def loss_of(p: Any, running: Any, x: Array, y: Array, key: Array) -> Any:
        logits, after = forward(p, running, x, key)
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()
        return loss + penalty(task.name, lambda key: p[f"{key}/kernel"]), after

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
        whole = len(order) // task.batch * task.batch
        parts = [order[:whole].reshape(-1, task.batch), order[None, whole:]]
        found = []
        for rows in parts:
            if rows.size:
                state, losses = many(state, data, rows.astype(np.int32))
                found.append((losses, rows.shape[1]))
        return sum(float(losses.sum()) * size for losses, size in found) / len(order)

    return epoch
