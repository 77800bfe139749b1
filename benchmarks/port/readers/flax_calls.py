"""Meaning of Flax and jax.numpy calls: their operations in words of all frameworks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from benchmarks.port.axes import Axes, Axis, labelled, resized, same_padding
from benchmarks.port.readers.meaning import (
    Meaning,
    arithmetic,
    attention,
    by_channel,
    concatenated,
    cropped,
    limited,
    moved,
    over,
    padded,
    permuted,
    shifted,
)

_ACTIVATIONS = (
    *("relu", "tanh", "sigmoid", "silu", "gelu", "elu", "selu", "leaky_relu", "softplus", "relu6"),
    *("softmax", "log_softmax", "celu", "hard_swish", "hard_sigmoid", "mish", "log_sigmoid"),
)
_WORDS = {
    "soft_sign": "softsign",
    "hard_swish": "hardswish",
    "hard_sigmoid": "hardsigmoid",
    "swish": "silu",
}
_PARAMETERS = {"leaky_relu": ("slope", "negative_slope", 0.01)}
_PARAMETERS |= dict.fromkeys(("elu", "celu"), ("alpha", "alpha", 1.0))


def two(value: Any) -> list[int]:
    """(rows, columns) of what Flax takes for both."""
    if value is None:
        return [1, 1]
    return [int(v) for v in value] if isinstance(value, list | tuple) else [int(value)] * 2


def zeros(
    padding: Any, given: Sequence[int], kernel: list[int], stride: list[int], d: list[int]
) -> Any:
    """Zeros before and after rows and columns, of any form of padding."""
    if padding == "VALID":
        return [[0, 0], [0, 0]]
    if padding == "SAME":
        sides = zip(given, kernel, stride, d, strict=True)
        return [list(same_padding(n, k, s, one)) for n, k, s, one in sides]
    if isinstance(padding, str):
        return f"unread: {padding}"
    pair = [padding] * 2 if isinstance(padding, int) else list(padding)
    return [[p, p] if isinstance(p, int) else list(map(int, p)) for p in pair]


def conv(layer: Any, axes: Axes, given: Sequence[int], out: Any) -> Meaning:
    """nnx.Conv over pictures."""
    kernel, stride = two(layer.kernel_size), two(layer.strides)
    dilation = two(layer.kernel_dilation)
    constants = {
        "filters": int(layer.out_features),
        "kernel": kernel,
        "stride": stride,
        "padding": zeros(layer.padding, given[1:3], kernel, stride, dilation),
        "dilation": dilation,
        "groups": int(layer.feature_group_count),
        "bias": layer.bias is not None,
    }
    if len(kernel) != 2 or two(layer.input_dilation) != [1, 1] or layer.mask is not None:
        return Meaning("unread:Conv of its own kind", labelled("NHWC", out.shape))
    layout = labelled("HWIO", layer.kernel.value.shape)
    parameters = {"kernel": (layer.kernel, layout), "bias": (layer.bias, one(layer.out_features))}
    return Meaning("conv", labelled("NHWC", out.shape), constants, parameters)


def conv_transpose(layer: Any, axes: Axes, given: Sequence[int], out: Any) -> Meaning:
    """nnx.ConvTranspose over pictures.

    Its kernel stands the other way round, rows, columns and channels, unless `transpose_kernel`.
    """
    kernel, stride, dilation = map(two, (layer.kernel_size, layer.strides, layer.kernel_dilation))
    reach = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
    ahead = layer.padding
    if isinstance(ahead, str):  # of the output that is whole, and as jax.lax has it
        whole = zip(reach, stride, strict=True)
        added = {"SAME": [r + s - 1 for r, s in whole], "VALID": [2 * r for r in reach]}.get(ahead)
        if added is None:
            return Meaning("unread:ConvTranspose of its own kind", labelled("NHWC", out.shape))
        if ahead == "VALID":
            added = [2 * r + max(s - 1 - r, 0) for r, s in zip(reach, stride, strict=True)]
        first = [
            r if ahead == "VALID" or s > r else -(-a // 2)
            for r, s, a in zip(reach, stride, added, strict=True)
        ]
        ahead = [[f, a - f] for f, a in zip(first, added, strict=True)]
    pairs = zeros(ahead, given[1:3], kernel, stride, dilation)
    if len(kernel) != 2 or layer.mask is not None:
        return Meaning("unread:ConvTranspose of its own kind", labelled("NHWC", out.shape))
    turned = not layer.transpose_kernel
    layout = tuple(
        Axis(((label, n),), flipped=turned and label in "HW")
        for label, n in zip("HWOI" if turned else "HWIO", layer.kernel.value.shape, strict=True)
    )
    constants = {
        "filters": int(layer.out_features),
        "kernel": kernel,
        "stride": stride,
        "cut": [[r - a, r - b] for r, (a, b) in zip(reach, pairs, strict=True)],
        "dilation": dilation,
        "groups": 1,
        "bias": layer.bias is not None,
    }
    parameters = {"kernel": (layer.kernel, layout), "bias": (layer.bias, one(layer.out_features))}
    return Meaning("conv_transpose", labelled("NHWC", out.shape), constants, parameters)


def attending(layer: Any, axes: list[Axes], given: Sequence[int], out: Any) -> Meaning:
    """nnx.MultiHeadAttention.

    Args:
        axes: of the query, of the key and of the value.
    """
    if layer.normalize_qk or len(given) != 3 or layer.attention_fn not in EXACT:
        return Meaning("unread:attention of its own kind", axes[0])
    wide, last = int(layer.qkv_features), int(out.shape[-1])
    roles: dict[str, tuple[Any, ...]] = {}
    for role, read in zip(("query", "key", "value"), axes, strict=True):
        part = getattr(layer, role)
        rows = int(part.kernel.value.shape[0])
        roles[f"{role}_kernel"] = (part.kernel, (read[-1], Axis((("O", wide),))), (rows, wide))
        roles[f"{role}_bias"] = (part.bias, one(wide), (wide,))
    roles["output_kernel"] = (layer.out.kernel, labelled("IO", (wide, last)), (wide, last))
    roles["output_bias"] = (layer.out.bias, one(last), (last,))
    said = {"attention_rate": float(layer.dropout_rate) or None, "bias": bool(layer.use_bias)}
    sizes = int(layer.head_dim), int(layer.head_dim), last
    return attention(axes[0], layer.num_heads, sizes, roles, **said)


def attended(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> Any:
    """nnx.dot_product_attention without masks, in the precision of its arrays."""
    scaled = query / np.sqrt(query.shape[-1])
    shares = jax.nn.softmax(jnp.einsum("btnh,bsnh->bnts", scaled, key))
    return jnp.einsum("bnts,bsnh->btnh", shares, value)


EXACT = (nnx.dot_product_attention, attended)


def one(size: int) -> Axes:
    """The axes of a vector over channels."""
    return (Axis((("C", int(size)),)),)


def linear(layer: Any, axes: Axes, given: Sequence[int], out: Any) -> Meaning:
    """nnx.Linear."""
    units = int(layer.out_features)
    layout = (axes[-1], Axis((("O", units),)))
    constants = {"units": units, "bias": layer.bias is not None}
    made = (*axes[:-1], Axis((("C", units),)))
    return Meaning(
        "dense",
        made,
        constants,
        {"kernel": (layer.kernel, layout), "bias": (layer.bias, one(units))},
    )


def batch_norm(layer: Any, axes: Axes, given: Sequence[int], out: Any) -> Meaning:
    """nnx.BatchNorm over the last axis."""
    if layer.axis not in (-1, len(given) - 1):
        return Meaning("unread:BatchNorm over another axis", axes)
    constants = {
        "epsilon": float(layer.epsilon),
        "momentum": float(layer.momentum),
        "scale": layer.scale is not None,
        "center": layer.bias is not None,
        "running_variance": "biased",
        "variance": "fast" if layer.use_fast_variance else "two_pass",
    }
    features: Axes = (axes[-1],)
    parameters = {
        "gamma": (layer.scale, features),
        "beta": (layer.bias, features),
        "moving_mean": (layer.mean, features),
        "moving_variance": (layer.var, features),
    }
    return Meaning("batch_norm", axes, constants, parameters)


def _norm(kind: str) -> Callable[..., Meaning]:
    def meaning(layer: Any, axes: Axes, given: Sequence[int], out: Any) -> Meaning:
        constants: dict[str, Any] = {"epsilon": float(layer.epsilon)}
        constants |= {"scale": layer.scale is not None}
        parameters = {"gamma": (layer.scale, (axes[-1],))}
        if kind != "rms_norm":
            constants["center"] = layer.bias is not None
            parameters["beta"] = (layer.bias, (axes[-1],))
        if kind == "group_norm":
            constants["groups"] = int(getattr(layer, "num_groups", given[-1]))  # or InstanceNorm
        else:
            over = layer.reduction_axes
            over = [over] if isinstance(over, int) else list(over)
            constants["axes"] = sorted(axes[a].words for a in over)
        return Meaning(kind, axes, constants, parameters)

    return meaning


def dropout(layer: Any, axes: Axes, given: Sequence[int], out: Any) -> Meaning:
    """nnx.Dropout; over channels where rows and columns are broadcast, over pictures where all."""
    over = tuple(d % len(given) for d in layer.broadcast_dims)
    words = {tuple(range(1, len(given))): "picture", (1, 2): "channel", (): "value"}
    if over not in words:
        return Meaning("unread:Dropout with broadcast_dims", axes)
    return Meaning("dropout", axes, {"rate": float(layer.rate), "per": words[over]})


LAYERS: dict[str, Callable[[Any, Any, Sequence[int], Any], Meaning]] = {
    "MultiHeadAttention": attending,  # with the axes of three arrays
    "Conv": conv,
    "Linear": linear,
    "BatchNorm": batch_norm,
    "LayerNorm": _norm("layer_norm"),
    "GroupNorm": _norm("group_norm"),
    "InstanceNorm": _norm("group_norm"),
    "RMSNorm": _norm("rms_norm"),
    "ConvTranspose": conv_transpose,
    "Dropout": dropout,
}


def _pool(kind: str) -> Callable[..., Meaning]:
    def meaning(b: dict[str, Any], axes: list[Axes], given: Sequence[int], out: Any) -> Meaning:
        size, stride = two(b["window_shape"]), two(b.get("strides"))
        padding = zeros(b.get("padding", "VALID"), given[1:3], size, stride, [1, 1])
        constants: dict[str, Any] = {"size": size, "stride": stride, "padding": padding}
        if kind == "average_pool" and any(map(any, padding)):
            constants["count_padding"] = bool(b.get("count_include_pad", True))
        return Meaning(kind, labelled("NHWC", out.shape), constants)

    return meaning


def _activation(name: str) -> Callable[..., Meaning]:
    def meaning(b: dict[str, Any], axes: list[Axes], given: Sequence[int], out: Any) -> Meaning:
        found: dict[str, Any] = {"function": _WORDS.get(name, name)}
        if name in _PARAMETERS:
            ours, theirs, default = _PARAMETERS[name]
            found[ours] = float(b.get(theirs, default))
        if name == "gelu":
            found["approximate"] = "tanh" if b.get("approximate", True) else "none"
        if name in ("softmax", "log_softmax"):
            found["axis"] = axes[0][b.get("axis", -1)].words or "C"
        return Meaning("activation", axes[0], found)

    return meaning


def _reshape(b: dict[str, Any], axes: list[Axes], given: Sequence[int], out: Any) -> Meaning:
    return moved(axes[0], out.shape)


def _transpose(b: dict[str, Any], axes: list[Axes], given: Sequence[int], out: Any) -> Meaning:
    return permuted(axes[0], b.get("axes") or range(len(given))[::-1])


def _swapped(b: dict[str, Any], axes: list[Axes], given: Sequence[int], out: Any) -> Meaning:
    places = list(range(len(given)))
    one, other = b["axis1"], b["axis2"]
    places[one], places[other] = places[other], places[one]
    return permuted(axes[0], places)


def _moved_axis(b: dict[str, Any], axes: list[Axes], given: Sequence[int], out: Any) -> Meaning:
    marked = np.moveaxis(np.empty(range(2, len(given) + 2), bool), b["source"], b["destination"])
    return permuted(axes[0], [n - 2 for n in marked.shape])


def _repeated(b: dict[str, Any], axes: list[Axes], given: Sequence[int], out: Any) -> Meaning:
    if len(given) != out.ndim:
        return Meaning("unread:broadcast_to", None)
    return Meaning("expand", resized(axes[0], out.shape))


def _over(kind: str) -> Callable[..., Meaning]:
    def meaning(b: dict[str, Any], axes: list[Axes], given: Sequence[int], out: Any) -> Meaning:
        return over(kind, axes[0], b.get("axis"), kept=bool(b.get("keepdims")))

    return meaning


def _arithmetic(kind: str, *, ahead: bool = False) -> Callable[..., Meaning]:
    def meaning(b: dict[str, Any], axes: list[Axes], given: Sequence[int], out: Any) -> Meaning:
        other = b.get("1")
        plain = other is not None and not isinstance(other, nnx.Variable) and len(axes) == 1
        value = by_channel(np.asarray(other, np.float64), axes[0]) if plain else None
        return arithmetic(kind, axes, value, ahead=ahead)

    return meaning


def _concatenate(b: dict[str, Any], axes: list[Axes], given: Sequence[int], out: Any) -> Meaning:
    place = b.get("axis", 0)
    return concatenated(axes, place, out.shape[place])


def _pad(b: dict[str, Any], axes: list[Axes], given: Sequence[int], out: Any) -> Meaning:
    width, mode = b.get("pad_width"), b.get("mode", "constant")
    if not isinstance(width, list | tuple) or isinstance(width[0], int):
        return Meaning("unread:pad", resized(axes[0], out.shape))
    value = float(b.get("constant_values", 0.0)) if mode == "constant" else mode
    return padded(axes[0], width, value, out.shape)


def _crop(b: dict[str, Any], axes: list[Axes], given: Sequence[int], out: Any) -> Meaning:
    return cropped(axes[0], b["1"], given, out.shape)


def _clip(b: dict[str, Any], axes: list[Axes], given: Sequence[int], out: Any) -> Meaning:
    low, high = b.get("min", b.get("a_min")), b.get("max", b.get("a_max"))
    return Meaning("activation", axes[0], limited(low, high))


def _resize(b: dict[str, Any], axes: list[Axes], given: Sequence[int], out: Any) -> Meaning:
    factor = [m / n for n, m in zip(given[1:3], out.shape[1:3], strict=True)]
    word = {"linear": "bilinear", "cubic": "bicubic"}.get(str(b["method"]), str(b["method"]))
    constants: dict[str, Any] = {"factor": factor, "method": word}
    if word != "nearest":
        constants["align_corners"] = False
    return Meaning("resize", labelled("NHWC", out.shape), constants)


FUNCTIONS: dict[str, Callable[[dict[str, Any], list[Axes], Sequence[int], Any], Meaning]] = {
    **{name: _activation(name) for name in _ACTIVATIONS},
    "swish": _activation("silu"),
    "soft_sign": _activation("soft_sign"),
    "max_pool": _pool("max_pool"),
    "avg_pool": _pool("average_pool"),
    **dict.fromkeys(("reshape", "ravel", "squeeze", "expand_dims", "flatten"), _reshape),
    "transpose": _transpose,
    "swapaxes": _swapped,
    "moveaxis": _moved_axis,
    **dict.fromkeys(("broadcast_to", "tile"), _repeated),
    "mean": _over("mean"),
    **dict.fromkeys(("max", "amax"), _over("max")),
    **dict.fromkeys(("min", "amin"), _over("min")),
    **dict.fromkeys(("concatenate", "concat"), _concatenate),
    "pad": _pad,
    "getitem": _crop,
    "clip": _clip,
    "image_resize": _resize,
    "maximum": lambda b, axes, given, out: Meaning("maximum", axes[0]),
    "minimum": lambda b, axes, given, out: Meaning("minimum", axes[0]),
    "exp": _activation("exponential"),
    "hard_tanh": lambda b, axes, given, out: Meaning("activation", axes[0], limited(-1.0, 1.0)),
    **{name: _arithmetic(name) for name in ("add", "mul", "sub", "div")},
    "rsub": _arithmetic("sub", ahead=True),
    "neg": lambda b, axes, given, out: Meaning("rescale", axes[0], shifted("mul", -1.0) or {}),
}
ARGUMENTS = {
    "max_pool": ("x", "window_shape", "strides", "padding"),
    "avg_pool": ("x", "window_shape", "strides", "padding", "count_include_pad"),
    "leaky_relu": ("x", "negative_slope"),
    **dict.fromkeys(("elu", "celu"), ("x", "alpha")),
    "gelu": ("x", "approximate"),
    "softmax": ("x", "axis"),
    "log_softmax": ("x", "axis"),
    **dict.fromkeys(("mean", "max", "amax", "min", "amin"), ("x", "axis")),
    "swapaxes": ("x", "axis1", "axis2"),
    "moveaxis": ("x", "source", "destination"),
    **dict.fromkeys(("concatenate", "concat"), ("arrays", "axis")),
    "pad": ("x", "pad_width", "mode"),
    "clip": ("x", "min", "max"),
    "image_resize": ("image", "shape", "method"),
}
OPERATORS = {
    **{"__add__": "add", "__radd__": "add", "__mul__": "mul", "__rmul__": "mul"},
    **{"__sub__": "sub", "__truediv__": "div", "__rsub__": "rsub", "__neg__": "neg"},
}
# Names that are watched besides, and read by no one.
OTHERS = (
    *("matmul", "dot", "einsum", "where", "log", "sqrt", "square"),
    *("sum", "abs", "split", "stack", "repeat", "var", "std"),
)
# Calls whose weights are arrays like any other, and not a layer's own.
WITH_WEIGHTS = (
    *("add", "sub", "rsub", "mul", "div", "concatenate", "concat", "maximum", "minimum"),
    *("reshape", "expand_dims", "broadcast_to", "tile", "transpose"),
)
UNREAD_OPERATORS = ("__rtruediv__", "__pow__", "__matmul__", "__getitem__")
METHODS = ("reshape", "ravel", "transpose", "mean", "max", "min", "squeeze", "flatten", "swapaxes")
DATA = ("__bool__", "__int__", "__float__", "__index__", "item", "tolist")


def bound(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments by name; those without a name by their place."""
    names = ARGUMENTS.get(name, ())
    if name == "transpose" and len(args) > 1:
        first = args[1]
        return {"x": args[0], "axes": tuple(first if isinstance(first, list | tuple) else args[1:])}
    found = {names[i] if i < len(names) else str(i): v for i, v in enumerate(args)}
    return {**found, **kwargs}
