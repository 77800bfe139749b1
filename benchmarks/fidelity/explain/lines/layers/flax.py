"""Layers of Flax NNX (siblings: torch, keras)."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.fidelity.explain.lines.layers.call import (
    STATED,
    Call,
    Code,
    call,
    has_word,
    kernel_shape,
    scaling,
    told,
    write,
)
from benchmarks.fidelity.explain.lines.layers.call import function as _function
from benchmarks.fidelity.explain.question import Placed
from frameworks.spec.calls import NAMES, argument
from frameworks.spec.layers import Conv, deviation, pair
from frameworks.spec.shapes import parts, zeros_around
from frameworks.spec.weights import fans

_STARTED = ("kernel_initializer", "bias_initializer", "rngs")
_NORM = ("epsilon", "variance", "rngs")
_POOL = {one: argument("flax", "max_pool", one) for one in ("stride", "padding", "count_padding")}
_of = partial(call, "flax")
CALLS = {
    "conv": _of(
        *("conv", ("inputs", "outputs", "kernel"), "padding", "stride", "dilation", "groups"),
        *("bias", *_STARTED),
    ),
    "dense": _of("dense", ("inputs", "outputs"), "bias", *_STARTED),
    "max_pool": Call(f"lambda x: {NAMES['flax']['max_pool']}", ("x", "size"), _POOL),
    "average_pool": Call(f"lambda x: {NAMES['flax']['average_pool']}", ("x", "size"), _POOL),
    "batch_norm": _of("batch_norm", ("inputs",), "momentum", "gamma_initializer", *_NORM),
    "layer_norm": _of("layer_norm", ("inputs",), *_NORM),
    "group_norm": _of("group_norm", ("inputs",), "groups", *_NORM),
    "dropout": _of("dropout", ("rate",), "broadcast_dims", "rngs"),
    "leaky_relu": Call("lambda x: jnp.where", ("above", "x", "below")),
    "elu": Call("lambda x: nnx.elu", ("x",), {"alpha": "alpha"}),
    "gelu": Call("lambda x: nnx.gelu", ("x",), {"approximate": "approximate"}),
}
_WHOLE = {
    "flatten": "x.reshape(len(x), -1)",
    "global_average_pool": "x.mean(axis=(1, 2))",
    "global_max_pool": "nnx.max_pool(x, x.shape[1:3])[:, 0, 0]",
}


def layer(placed: Placed, show: str = "") -> str:
    """A layer with its structure and constants, and the one further field to show."""
    spec, kind = placed.layer, placed.kind
    name, values = spec.name, told(placed, show) | {"rngs": Code("rngs"), "x": Code("x")}
    if kind in _WHOLE:
        return f"{name} = lambda x: {_WHOLE[kind]}"
    if kind == "normalize":
        mean, deviation = (f"jnp.array({list(values[one])})" for one in ("mean", "deviation"))
        return f"{name} = lambda x: (x - {mean}) / {deviation}"
    if kind.startswith("adaptive"):
        return _adaptive(placed)
    if kind == "dropout":
        shapes = zip(spec.mask_shape(placed.source), placed.source, strict=True)
        shared = tuple(axis for axis, (one, all_) in enumerate(shapes, start=1) if one < all_)
        values |= {"broadcast_dims": shared} if shared else {}
    for one in ("kernel", "size", *(["stride"] if kind.endswith("pool") else [])):
        if one in values:
            values[one] = pair(values[one])
    if "padding" in values:
        values["padding"] = _padding(placed)
    if kind.endswith("pool") and values["padding"] == "VALID":
        del values["padding"]
    values |= {
        one: _argument(placed, one) for one in (*_STARTED, "gamma_initializer") if one == show
    }
    if show == "variance":
        values["variance"] = spec.variance == "fast"
    made = write(name, CALLS[kind], values)
    if show != "running_variance" or spec.running_variance == "biased":
        return made
    return f"""{made}
before = {name}.var[...]
y = {name}(x)  # in a training step
n = x.size // x.shape[-1]
v, kept = {name}.var, {spec.momentum:.10g} * before
v[...] = kept + (v[...] - kept) * n / (n - 1)"""


def function(placed: Placed) -> str:
    """The activation function of a layer, with its parameter."""
    return _function(placed, CALLS)


def _padding(placed: Placed) -> Any:
    """A word, or the zeros of rows and columns."""
    spec, zeros = placed.layer, zeros_around(placed.layer, placed.source)
    if isinstance(spec.padding, str):
        return spec.padding.upper()
    return zeros if any(map(any, zeros)) else "VALID"


def _argument(placed: Placed, field: str) -> Code:
    """The value of an initialiser, as code."""
    word = getattr(placed.layer, field)
    if field == "bias_initializer" and word == "torch_uniform":
        bound = fans(kernel_shape(placed))["fan_in"] ** -0.5
        draw = f"jax.random.uniform(key, shape, dtype, -{bound:.7g}, {bound:.7g})"
        return Code(f"lambda key, shape, dtype, **_: {draw}")
    if word in ("zeros", "ones"):
        return Code(f"nnx.initializers.{word}")
    if word in STATED:
        return Code(f"nnx.initializers.{word}(stddev={deviation(placed.layer):g})")
    made = f"{word}()" if has_word(word) else f"variance_scaling({scaling(word)})"
    return Code(f"nnx.initializers.{made}")


def _adaptive(placed: Placed) -> str:
    """A pool of its own: Flax has none. Where the parts are alike it is a plain one."""
    spec, name = placed.layer, placed.layer.name
    size, largest = pair(spec.size), placed.kind == "adaptive_max_pool"
    if not any(n % count for n, count in zip(placed.source[:2], size, strict=True)):
        window = tuple(n // count for n, count in zip(placed.source[:2], size, strict=True))
        call = CALLS["max_pool" if largest else "average_pool"]
        return write(name, call, {"x": Code("x"), "size": window, "stride": window})
    rows, columns = (
        [(part.start, part.stop) for part in parts(n, count)]
        for n, count in zip(placed.source[:2], size, strict=True)
    )
    taken = f"x[:, a:b, c:d].{'max' if largest else 'mean'}((1, 2)) for c, d in {columns}"
    line = f"jnp.stack([{taken}], 1)"
    return f"{name} = lambda x: jnp.stack([{line} for a, b in {rows}], 1)"


def held(placed: Placed) -> str:
    """The norm of the incoming weights of a unit, held."""
    name, limit = placed.layer.name, placed.layer.max_norm
    axes = "(0, 1, 2)" if isinstance(placed.layer, Conv) else "0"
    return f"""w = {name}.kernel[...]  # after each step
norm = jnp.sqrt(jnp.sum(w**2, axis={axes}, keepdims=True))
{name}.kernel[...] = w * jnp.minimum(norm, {limit:g}) / (1e-7 + norm)"""


def l2(placed: Placed) -> str:
    """The layer's L2 term."""
    return f"loss = loss + {placed.layer.l2:g} * jnp.sum({placed.layer.name}.kernel[...] ** 2)"
