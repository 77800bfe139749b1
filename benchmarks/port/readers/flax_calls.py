"""Meaning of Flax and jax.numpy calls: their operations in words of all frameworks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from flax import nnx

from benchmarks.port.axes import Axes, Axis, cropping, labelled, reshaped, same_padding, unknown
from benchmarks.port.readers.meaning import Meaning, limited, shifted

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
        constants |= {"scale": layer.scale is not None, "center": layer.bias is not None}
        if kind == "group_norm":
            constants["groups"] = int(layer.num_groups)
        else:
            over = layer.reduction_axes
            over = [over] if isinstance(over, int) else list(over)
            constants["axes"] = sorted(axes[a].label for a in over)
        features: Axes = (axes[-1],)
        parameters = {"gamma": (layer.scale, features), "beta": (layer.bias, features)}
        return Meaning(kind, axes, constants, parameters)

    return meaning


def dropout(layer: Any, axes: Axes, given: Sequence[int], out: Any) -> Meaning:
    """nnx.Dropout; over channels where rows and columns are broadcast, over pictures where all."""
    over = tuple(d % len(given) for d in layer.broadcast_dims)
    words = {tuple(range(1, len(given))): "picture", (1, 2): "channel", (): "value"}
    if over not in words:
        return Meaning("unread:Dropout with broadcast_dims", axes)
    return Meaning("dropout", axes, {"rate": float(layer.rate), "per": words[over]})


LAYERS: dict[str, Callable[[Any, Axes, Sequence[int], Any], Meaning]] = {
    "Conv": conv,
    "Linear": linear,
    "BatchNorm": batch_norm,
    "LayerNorm": _norm("layer_norm"),
    "GroupNorm": _norm("group_norm"),
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
            found["axis"] = axes[0][b.get("axis", -1)].label or "C"
        return Meaning("activation", axes[0], found)

    return meaning


def _reshape(b: dict[str, Any], axes: list[Axes], given: Sequence[int], out: Any) -> Meaning:
    made = reshaped(axes[0], out.shape)
    if made is None:
        return Meaning("reshape", unknown(out.shape), {"shape": list(out.shape[1:])})
    large = [[a for a in axis.atoms if a[1] > 1] for axis in made]
    before = [[a for a in axis.atoms if a[1] > 1] for axis in axes[0]]
    merges = any(len(a) > 1 for a in large) and not any(len(a) > 1 for a in before)
    return Meaning("flatten" if merges else "squeeze", made)


def _transpose(b: dict[str, Any], axes: list[Axes], given: Sequence[int], out: Any) -> Meaning:
    places = b.get("axes") or tuple(reversed(range(len(given))))
    return Meaning("layout", tuple(axes[0][p] for p in places))


def _over(kind: str) -> Callable[..., Meaning]:
    def meaning(b: dict[str, Any], axes: list[Axes], given: Sequence[int], out: Any) -> Meaning:
        over = b.get("axis")
        over = (
            [over] if isinstance(over, int) else list(range(len(given)) if over is None else over)
        )
        places = {a % len(given) for a in over}
        kept = bool(b.get("keepdims"))
        left = tuple(
            Axis(((a.label or "?", 1),)) if i in places else a
            for i, a in enumerate(axes[0])
            if kept or i not in places
        )
        labels = sorted(axes[0][p].label for p in places)
        if labels == ["H", "W"]:
            by_label = {a.label: n for a, n in zip(axes[0], given, strict=True)}
            size = [int(by_label["H"]), int(by_label["W"])]
            return Meaning(kind, left, {"size": size, "stride": size, "padding": [[0, 0], [0, 0]]})
        return Meaning("mean" if kind == "average_pool" else "max", left, {"axes": labels})

    return meaning


def _constant(value: Any, given: Sequence[int]) -> np.ndarray | None:
    """A number of the program, or one for each channel; None of a weight."""
    if isinstance(value, nnx.Variable) or value is None:
        return None
    found = np.asarray(value, np.float64)
    by_channel = found.shape == (*(1,) * (found.ndim - 1), given[-1])
    return found.reshape(-1) if by_channel else found.reshape(()) if found.size == 1 else None


def _arithmetic(kind: str, *, ahead: bool = False) -> Callable[..., Meaning]:
    def meaning(b: dict[str, Any], axes: list[Axes], given: Sequence[int], out: Any) -> Meaning:
        if len(axes) > 1:
            longer = axes[0] if len(axes[0]) >= len(axes[1]) else axes[1]
            return Meaning({"mul": "multiply", "sub": "subtract"}.get(kind, kind), longer)
        value = _constant(b.get("1"), given)
        made = None if value is None else shifted(kind, value, ahead=ahead)
        if made is None:
            return Meaning(f"unread:{kind} with an array", axes[0])
        return Meaning("rescale", axes[0], made)

    return meaning


def _concatenate(b: dict[str, Any], axes: list[Axes], given: Sequence[int], out: Any) -> Meaning:
    place = b.get("axis", 0) % len(axes[0])
    label = axes[0][place].label
    if len(axes[0]) == 4 or all(a[place].label == "C" for a in axes):
        joined = Axis(((label or "?", int(out.shape[place])),))
    else:
        joined = Axis((), tuple(a[place] for a in axes))
    made = (*axes[0][:place], joined, *axes[0][place + 1 :])
    return Meaning("concatenate", made, {"axis": label or "C"})


def _pad(b: dict[str, Any], axes: list[Axes], given: Sequence[int], out: Any) -> Meaning:
    width: Any = b.get("pad_width")
    mode = b.get("mode", "constant")
    if (
        not isinstance(width, list | tuple)
        or len(given) != 4
        or any(map(any, (width[0], width[3])))
    ):
        return Meaning("unread:pad", labelled("NHWC", out.shape))
    value = float(b.get("constant_values", 0.0)) if mode == "constant" else mode
    constants = {"padding": [list(width[1]), list(width[2])], "value": value}
    return Meaning("pad", labelled("NHWC", out.shape), constants)


def _crop(b: dict[str, Any], axes: list[Axes], given: Sequence[int], out: Any) -> Meaning:
    cut = cropping(b["1"], given, [axis.label for axis in axes[0]])
    if cut is None:
        return Meaning("unread:an index", unknown(out.shape))
    resized = tuple(Axis(((a.label, n),)) for a, n in zip(axes[0], out.shape, strict=True))
    return Meaning("crop", resized, {"cropping": cut})


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
    "mean": _over("average_pool"),
    "max": _over("max_pool"),
    "concatenate": _concatenate,
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
    "mean": ("x", "axis"),
    "max": ("x", "axis"),
    "concatenate": ("arrays", "axis"),
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
    *("sum", "abs", "split", "stack", "repeat", "tile", "min", "var", "std"),
)
UNREAD_OPERATORS = ("__rtruediv__", "__pow__", "__matmul__", "__getitem__")
DATA = ("__bool__", "__int__", "__float__", "__index__", "item", "tolist")


def bound(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments by name; those without a name by their place."""
    names = ARGUMENTS.get(name, ())
    if name == "transpose" and len(args) > 1:
        first = args[1]
        return {"x": args[0], "axes": tuple(first if isinstance(first, list | tuple) else args[1:])}
    found = {names[i] if i < len(names) else str(i): v for i, v in enumerate(args)}
    return {**found, **kwargs}
