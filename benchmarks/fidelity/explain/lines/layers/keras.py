"""Layers of Keras (siblings: torch, flax)."""

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
from frameworks.spec.layers import Conv, MaxPool, deviation
from frameworks.spec.shapes import zeros_around
from frameworks.spec.weights import fans

_WEIGHTED = ("bias", "kernel_initializer", "bias_initializer", "l2", "max_norm")
_CONV = ("padding", "stride", "dilation")
_of = partial(call, "keras")
CALLS = {
    "conv": _of("conv", ("outputs", "kernel"), *_CONV, "groups", *_WEIGHTED),
    "depthwise": _of("depthwise", ("kernel",), *_CONV, "multiplier", "bias"),
    "dense": _of("dense", ("outputs",), *_WEIGHTED),
    "max_pool": _of("max_pool", ("size",), "stride", "padding"),
    "average_pool": _of("average_pool", ("size",), "stride", "padding"),
    "adaptive_average_pool": _of("adaptive_average_pool", ("size",)),
    "adaptive_max_pool": _of("adaptive_max_pool", ("size",)),
    "global_average_pool": _of("global_average_pool"),
    "batch_norm": _of("batch_norm", (), "epsilon", "momentum", "gamma_initializer"),
    "layer_norm": _of("layer_norm", (), "epsilon"),
    "group_norm": _of("group_norm", ("groups",), "epsilon"),
    "dropout": _of("dropout", ("rate",), "noise_shape"),
    "flatten": Call("keras.layers.Flatten"),
    "leaky_relu": Call("lambda x: keras.ops.where", ("above", "x", "below")),
    "elu": Call("lambda x: keras.activations.elu", ("x",), {"alpha": "alpha"}),
    "gelu": Call("lambda x: keras.activations.gelu", ("x",), {"approximate": "approximate"}),
}


def layer(placed: Placed, show: str = "") -> str:
    """A layer with its structure and constants, and the one further field to show."""
    spec, kind, values = placed.layer, placed.kind, told(placed, show)
    name = spec.name
    if kind == "global_max_pool":
        window = f"keras.layers.MaxPooling2D({placed.source[:2]})"
        return f"{name} = keras.Sequential([{window}, keras.layers.Flatten()])"
    if kind == "normalize":
        variance = ", ".join(f"{value!r}**2" for value in spec.deviation)
        mean = list(spec.mean)
        return f"{name} = keras.layers.Normalization(mean={mean}, variance=[{variance}])"
    if kind == "dropout":
        return _dropout(placed, values)
    before, after = _padded(placed, values)
    if kind == "conv" and show == "groups":
        after = f"""
{name}.build(x.shape)
{name}.kernel.assign(keras.ops.reshape(kernel, {name}.kernel.shape))  # kernel: of Conv2D"""
        values["multiplier"] = placed.target[-1] // placed.source[-1]
        kind = "depthwise"
    values |= {one: _argument(placed, one) for one in _WEIGHTED if one == show}
    if show == "variance" and spec.variance == "fast":
        after = "  # in two passes: Keras has no fast form"
    if show == "running_variance" and spec.running_variance == "unbiased":
        after = _unbiased(placed)
    return before + write(name, CALLS[kind], values) + after


def function(placed: Placed) -> str:
    """The activation function of a layer, with its parameter."""
    return _function(placed, CALLS)


def _padded(placed: Placed, values: dict[str, Any]) -> tuple[str, str]:
    """Lines before and after a layer whose padding is told; `values` get the word that is left."""
    spec = placed.layer
    if "padding" not in values:
        return "", ""
    sides, rows_and_columns = spec.padding, zeros_around(spec, placed.source)
    averages = "count_padding" in values
    if not isinstance(spec, Conv):
        values["stride"] = Code(values["stride"])  # told where it is 1, too: Keras' is the size
    if isinstance(sides, str) and not averages:
        return "", ""
    values["padding"] = "valid"
    if not any(map(any, rows_and_columns)):
        return "", ""
    if isinstance(spec, Conv):
        return f"x = keras.layers.ZeroPadding2D({rows_and_columns})(x)\n", ""
    pads = f"({(0, 0)}, {rows_and_columns[0]}, {rows_and_columns[1]}, {(0, 0)})"
    if isinstance(spec, MaxPool):
        return f"x = keras.ops.pad(x, {pads}, constant_values=-np.inf)\n", ""
    if spec.count_padding:
        return f"x = keras.ops.pad(x, {pads})\n", ""
    mean, share = (
        f"{spec.name}(keras.ops.pad({one}, sides))" for one in ("x", "keras.ops.ones_like(x)")
    )
    return "", f"\nsides = {pads}\ny = {mean} / {share}"


def _argument(placed: Placed, field: str) -> Any:
    """The value of a further field, as code."""
    spec, shape = placed.layer, kernel_shape(placed)
    if field == "l2":
        return Code(f"keras.regularizers.L2({spec.l2:g})")
    if field == "max_norm":
        axes = [0, 1, 2] if isinstance(spec, Conv) else 0
        return Code(f"keras.constraints.MaxNorm({spec.max_norm:g}, axis={axes})")
    word = getattr(spec, field)
    if field == "bias_initializer" and word == "torch_uniform":
        bound = fans(shape)["fan_in"] ** -0.5
        return Code(f"keras.initializers.RandomUniform(-{bound:.7g}, {bound:.7g})")
    if word in STATED:
        kind = {"normal": "RandomNormal", "truncated_normal": "TruncatedNormal"}[word]
        return Code(f"keras.initializers.{kind}(stddev={deviation(spec):g})")
    if field == "kernel_initializer" and not has_word(word):
        return Code(f"keras.initializers.VarianceScaling({scaling(word)})")
    return word


def _unbiased(placed: Placed) -> str:
    name, kept = placed.layer.name, f"{placed.layer.momentum:.10g}"
    return f"""
{name}.build(x.shape)
before = {name}.moving_variance + 0
y = {name}(x, training=True)  # in a training step
n = float(keras.ops.size(x) // x.shape[-1])
v = {name}.moving_variance
v.assign({kept} * before + (v - {kept} * before) * n / (n - 1))"""


def _dropout(placed: Placed, values: dict[str, Any]) -> str:
    spec, source = placed.layer, placed.source
    if spec.per == "channel" and len(source) == 3:
        return f"{spec.name} = keras.layers.SpatialDropout2D({spec.rate:g})"
    shape = spec.mask_shape(source)
    shared = {} if shape == source else {"noise_shape": (None, *shape)}
    return write(spec.name, CALLS["dropout"], values | shared)


def held(placed: Placed) -> str:
    """The norm of the incoming weights of a unit, held."""
    return layer(placed, "max_norm")


def l2(placed: Placed) -> str:
    """The layer's L2 term."""
    return layer(placed, "l2")
