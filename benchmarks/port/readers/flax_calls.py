"""Meaning of Flax and jax.numpy calls: their operations in words of all frameworks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from flax import nnx

from benchmarks.port.axes import Axes, each, pictured, resized
from benchmarks.port.readers.flax_layers import zeros
from benchmarks.port.readers.functions import CONSTANTS, constants_of, function_of
from benchmarks.port.readers.meaning import (
    Meaning,
    arithmetic,
    by_channel,
    concatenated,
    cropped,
    flipped,
    limited,
    moved,
    multiplied,
    over,
    padded,
    permuted,
    powered,
    shifted,
    stacked,
    turned,
)

_ACTIVATIONS = (
    *("relu", "tanh", "sigmoid", "silu", "gelu", "elu", "selu", "leaky_relu", "softplus", "relu6"),
    *("softmax", "log_softmax", "celu", "hard_swish", "hard_sigmoid", "mish", "log_sigmoid"),
    *("swish", "soft_sign", "squareplus", "exp", "abs", "absolute", "sqrt", "square", "log"),
    *("log2", "log10", "log1p", "expm1", "sign", "sin", "cos", "tan", "sinh", "cosh", "arcsinh"),
    *("arctan", "asinh", "atan", "floor", "ceil", "round", "reciprocal"),
)


def _pool(kind: str) -> Callable[..., Meaning]:
    def meaning(b: dict[str, Any], axes: list[Axes], given: Sequence[int], out: Any) -> Meaning:
        size = each(b["window_shape"], len(given) - 2)
        stride = each(b.get("strides"), len(size))
        padding = zeros(b.get("padding", "VALID"), given[1:-1], size, stride, [1] * len(size))
        constants: dict[str, Any] = {"size": size, "stride": stride, "padding": padding}
        if kind == "average_pool" and any(map(any, padding)):
            constants["count_padding"] = bool(b.get("count_include_pad", True))
        return Meaning(kind, pictured(out.shape), constants)

    return meaning


def _activation(name: str) -> Callable[..., Meaning]:
    def meaning(b: dict[str, Any], axes: list[Axes], given: Sequence[int], out: Any) -> Meaning:
        found = constants_of(function_of(name), "jax", b)
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
        said = {"correction": int(b.get("ddof", 0))} if kind in ("var", "std") else {}
        return over(kind, axes[0], b.get("axis"), kept=bool(b.get("keepdims")), **said)

    return meaning


def _arithmetic(kind: str, *, ahead: bool = False) -> Callable[..., Meaning]:
    def meaning(b: dict[str, Any], axes: list[Axes], given: Sequence[int], out: Any) -> Meaning:
        other = b.get("1")
        plain = other is not None and not isinstance(other, nnx.Variable) and len(axes) == 1
        value = by_channel(np.asarray(other, np.float64), axes[0]) if plain else None
        return arithmetic(kind, axes, value, ahead=ahead)

    return meaning


def _norm(b: dict[str, Any], axes: list[Axes], given: Sequence[int], out: Any) -> Meaning:
    if b.get("ord") not in (None, 2):
        return Meaning("unread:norm of its own kind", None)
    return over("norm", axes[0], b.get("axis"), kept=bool(b.get("keepdims")))


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
    factor = [m / n for n, m in zip(given[1:-1], out.shape[1:-1], strict=True)]
    word = {"linear": "bilinear", "cubic": "bicubic"}.get(str(b["method"]), str(b["method"]))
    constants: dict[str, Any] = {"factor": factor, "method": word}
    if word != "nearest":
        constants["align_corners"] = False
        if b.get("antialias", True) and any(one < 1 for one in factor):
            constants["antialias"] = True
    return Meaning("resize", pictured(out.shape), constants)


FUNCTIONS: dict[str, Callable[[dict[str, Any], list[Axes], Sequence[int], Any], Meaning]] = {
    **{name: _activation(name) for name in _ACTIVATIONS},
    "max_pool": _pool("max_pool"),
    "avg_pool": _pool("average_pool"),
    **dict.fromkeys(("reshape", "ravel", "squeeze", "expand_dims", "flatten"), _reshape),
    "transpose": _transpose,
    "swapaxes": _swapped,
    "moveaxis": _moved_axis,
    **dict.fromkeys(("broadcast_to", "tile"), _repeated),
    **{name: _over(name) for name in ("mean", "sum", "var", "std", "logsumexp")},
    "norm": _norm,
    "matmul": lambda b, axes, given, out: multiplied(axes, ""),
    "einsum": lambda b, axes, given, out: multiplied(axes, str(b["0"])),
    "stack": lambda b, axes, given, out: stacked(axes, b.get("axis", 0)),
    "flip": lambda b, axes, given, out: flipped(
        axes[0], range(len(given)) if b.get("axis") is None else b["axis"]
    ),
    "rot90": lambda b, axes, given, out: turned(axes[0], b.get("k", 1), b.get("axes", (0, 1))),
    **dict.fromkeys(("max", "amax"), _over("max")),
    **dict.fromkeys(("min", "amin"), _over("min")),
    **dict.fromkeys(("concatenate", "concat"), _concatenate),
    "pad": _pad,
    "getitem": _crop,
    "clip": _clip,
    "image_resize": _resize,
    "maximum": lambda b, axes, given, out: Meaning("maximum", axes[0]),
    "minimum": lambda b, axes, given, out: Meaning("minimum", axes[0]),
    "hard_tanh": lambda b, axes, given, out: Meaning("activation", axes[0], limited(-1.0, 1.0)),
    **{name: _arithmetic(name) for name in ("add", "mul", "sub", "div")},
    **dict.fromkeys(("pow", "power"), lambda b, axes, given, out: powered(axes[0], b.get("1"))),
    "rsub": _arithmetic("sub", ahead=True),
    "neg": lambda b, axes, given, out: Meaning("rescale", axes[0], shifted("mul", -1.0) or {}),
}
ARGUMENTS = {
    "max_pool": ("x", "window_shape", "strides", "padding"),
    "avg_pool": ("x", "window_shape", "strides", "padding", "count_include_pad"),
    **{name: ("x", one.jax) for name, one in CONSTANTS.items() if one.jax},
    "stack": ("arrays", "axis"),
    "flip": ("x", "axis"),
    "rot90": ("x", "k", "axes"),
    "norm": ("x", "ord", "axis", "keepdims"),
    "softmax": ("x", "axis"),
    "log_softmax": ("x", "axis"),
    **dict.fromkeys(
        ("mean", "max", "amax", "min", "amin", "sum", "var", "std", "logsumexp"), ("x", "axis")
    ),
    "swapaxes": ("x", "axis1", "axis2"),
    "moveaxis": ("x", "source", "destination"),
    **dict.fromkeys(("concatenate", "concat"), ("arrays", "axis")),
    "pad": ("x", "pad_width", "mode"),
    "clip": ("x", "min", "max"),
    "split": ("x", "sections", "axis"),
    "image_resize": ("image", "shape", "method"),
}
OPERATORS = {
    **{"__add__": "add", "__radd__": "add", "__mul__": "mul", "__rmul__": "mul"},
    **{"__sub__": "sub", "__truediv__": "div", "__rsub__": "rsub", "__neg__": "neg"},
}
# Names that are watched besides, and read by no one.
OTHERS = (*("dot", "where", "cumsum", "prod", "split", "repeat"),)
# Calls whose weights are arrays like any other, and not a layer's own.
WITH_WEIGHTS = (
    *("add", "sub", "rsub", "mul", "div", "concatenate", "concat", "maximum", "minimum"),
    *("reshape", "expand_dims", "broadcast_to", "tile", "transpose", "pow", "matmul", "einsum"),
)
UNREAD_OPERATORS = ("__rtruediv__", "__pow__", "__matmul__", "__getitem__")
METHODS: tuple[str, ...] = (
    "reshape",
    "ravel",
    "transpose",
    "mean",
    "max",
    "min",
    "sum",
    "squeeze",
    "flatten",
)
METHODS += ("swapaxes", "var", "std")
DATA = ("__bool__", "__int__", "__float__", "__index__", "item", "tolist")


def bound(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments by name; those without a name by their place."""
    names = ARGUMENTS.get(name, ())
    if name == "transpose" and len(args) > 1:
        first = args[1]
        return {"x": args[0], "axes": tuple(first if isinstance(first, list | tuple) else args[1:])}
    found = {names[i] if i < len(names) else str(i): v for i, v in enumerate(args)}
    return {**found, **kwargs}
