"""Meaning of Keras layers: a layer's operation, and how to set one of its constants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from benchmarks.port.axes import Axes, Axis, labelled, pictured, resized, spread
from benchmarks.port.operation import PortError
from benchmarks.port.readers.functions import function_of
from benchmarks.port.readers.keras_activations import Constants, layer_of
from benchmarks.port.readers.keras_pictures import AS_BEFORE, OF_PICTURES, dense, is_depthwise
from benchmarks.port.readers.keras_pictures import term as term
from benchmarks.port.readers.meaning import (
    Meaning,
    arithmetic,
    attention,
    by_channel,
    concatenated,
    cropped,
    flipped,
    moved,
    multiplied,
    over,
    padded,
    permuted,
    powered,
    stacked,
    turned,
)

NOTHING = {"Identity", "InputLayer", "ActivityRegularization"}
_SPATIAL = tuple(f"SpatialDropout{n}D" for n in (1, 2, 3))
DROPOUTS = ("Dropout", *_SPATIAL, "AlphaDropout")
_MOVED: tuple[str, ...] = (
    "Reshape",
    "ExpandDims",
    "Squeeze",
    "Ravel",
    "Flatten",
    "Permute",
    "Transpose",
    "Swapaxes",
    "Moveaxis",
)
_ARITHMETIC = {"Add": "add", "Subtract": "sub", "Multiply": "mul", "Divide": "div"}
_ARITHMETIC["TrueDivide"] = "div"
# Calls whose weights are tensors like any other, and not a layer's own.
WITH_WEIGHTS = (*_ARITHMETIC, *_MOVED, "Concatenate", "Maximum", "Minimum", "BroadcastTo")
WITH_WEIGHTS += ("Power", "Matmul", "Einsum")


def dropped_per(layer: Any, given: Sequence[int], axes: Axes) -> str:
    """Unit that a dropout drops: a value, a channel or a picture; "" where it is none of these."""
    noise = [
        m or n for m, n in zip(getattr(layer, "noise_shape", None) or given, given, strict=True)
    ]
    sizes, whole = spread(noise, axes)[1:], spread(given, axes)[1:]
    if type(layer).__name__ in _SPATIAL:
        return "channel"
    if sizes == whole:
        return "value"
    one = set(sizes) == {1}
    return "picture" if one else "channel" if set(sizes[:-1]) == {1} else ""


_MEANS = {name.title(): name for name in ("mean", "max", "min", "sum", "var", "std", "logsumexp")}
_MEANS |= {"Amax": "max", "Amin": "min", "Norm": "norm"}
for _rows in ("1D", "2D", "3D"):
    _MEANS |= {f"GlobalAveragePooling{_rows}": "mean", f"GlobalMaxPooling{_rows}": "max"}
MEANINGS = {*OF_PICTURES, *AS_BEFORE, *_MEANS, *_MOVED, *_ARITHMETIC, "Dense"}
MEANINGS |= {"LayerNormalization", "RMSNormalization", *DROPOUTS}


def is_read(name: str) -> bool:
    """True of a layer whose fused activation is an operation of its own."""
    return name in MEANINGS or name in ("Activation", "ReLU", "PReLU") or bool(function_of(name))


def _channel_count(x: Axes) -> int:
    return next((axis.size for axis in x if axis.label == "C"), 1)


def _first(layer: Any) -> bool:
    return getattr(layer, "data_format", None) == "channels_first"


def meaning(
    layer: Any,
    args: Sequence[Any],
    inputs: Sequence[Any],
    axes: list[Axes],
    given: Sequence[Sequence[int]],
    made: Sequence[int],
) -> Meaning:
    """Meaning of a call of a layer or an operation of Keras.

    Args:
        inputs: the arguments that came from the pictures, or are weights. axes: of each.
        given: their shapes. made: the shape of the output.

    Raises:
        PortError: a norm's channels are no axis of channels.
    """
    name, x = type(layer).__name__, axes[0] if axes else ()
    if name in OF_PICTURES:
        after = pictured(made, first=_first(layer))
        words = OF_PICTURES[name](layer, spread(given[0], x), spread(made, after))
        return Meaning(words[0], after, words[1], _kernels(layer, words[0], x))
    if name in AS_BEFORE:
        _channels(layer, x)
        words = AS_BEFORE[name](layer, spread(given[0], x), spread(made, x))
        return Meaning(words[0], x, words[1], _vectors(layer, words[0], x))
    if axes and (function := layer_of(layer, _channel_count(x))) is not None:
        if "axis" in function[1] and name != "Activation":
            axis = layer.axis
            function[1]["axis"] = x[axis].words if isinstance(axis, int) else list(axis)
        return Meaning(function[0], x, function[1], _vectors(layer, function[0], x))
    if name in _MOVED:
        return _move(layer, name, x, made)
    if name in _MEANS:
        dims = getattr(layer, "axis", None)
        if name.startswith("Global"):
            dims = list(range(2, len(x)) if _first(layer) else range(1, len(x) - 1))
        if name == "Norm" and getattr(layer, "ord", None) not in (None, 2, "fro"):
            return Meaning("unread:norm of its own kind", None)
        said = {"correction": 0} if name in ("Var", "Std") else {}
        return over(_MEANS[name], x, dims, kept=bool(getattr(layer, "keepdims", False)), **said)
    if name in _ARITHMETIC:
        return _arithmetic(layer, name, args, inputs, axes)
    match name:
        case "Dense":
            after = (*x[:-1], Axis((("C", int(made[-1])),)))
            words = dense(layer)
            return Meaning(words[0], after, words[1], _kernels(layer, "dense", x))
        case "LayerNormalization" | "RMSNormalization":
            return _whole_norm(layer, name, x)
        case _ if name in DROPOUTS:
            if not (per := dropped_per(layer, given[0], x)):
                return Meaning("unread:Dropout with a noise_shape", x)
            form = {"form": "alpha"} if name == "AlphaDropout" else {}
            return Meaning("dropout", x, {"rate": float(layer.rate), "per": per, **form})
        case "Normalization":
            return _normalization(layer, x)
        case "MultiHeadAttention":
            return _attention(layer, args, axes, made)
        case "Concatenate":
            return concatenated(axes, layer.axis, int(made[layer.axis]))
        case "Matmul" if len(axes) == 2:
            return multiplied(axes, "")
        case "Einsum" if len(axes) == 2:
            return multiplied(axes, layer.subscripts)
        case "Stack":
            return stacked(axes, layer.axis)
        case "Flip":
            return flipped(x, range(len(x)) if layer.axis is None else layer.axis)
        case "Rot90":
            return turned(x, layer.k, layer.axes)
        case "Maximum" | "Minimum":
            return Meaning(name.lower(), max(axes, key=len))
        case "BroadcastTo" if len(x) == len(made):
            return Meaning("expand", resized(x, made))
        case "GetItem" if args:
            return cropped(x, args[1], given[0], made)
        case "Pad":
            value = 0.0 if layer.mode == "constant" else layer.mode
            if any(isinstance(one, int | float) and one for one in args[1:]):
                value = float(args[1])
            return padded(x, layer.pad_width, value, made)
        case "Power":
            return powered(x, args[1] if len(axes) == 1 else None)
        case "Negative":
            return Meaning("rescale", x, {"scale": -1.0, "offset": 0.0})
    return Meaning(f"unread:{name}", x if axes and tuple(given[0]) == tuple(made) else None)


def _move(layer: Any, name: str, x: Axes, made: Sequence[int]) -> Meaning:
    count = len(x)
    match name:
        case "Permute":
            return permuted(x, (0, *layer.dims))
        case "Transpose":
            return permuted(x, layer.axes or range(count)[::-1])
        case "Swapaxes" | "Moveaxis":
            pair = (layer.axis1, layer.axis2) if name == "Swapaxes" else ()
            order = np.arange(count).reshape([1] * count + [count])[(0,) * count]
            moves = pair or (layer.source, layer.destination)
            turn = np.swapaxes if pair else np.moveaxis
            marked = turn(np.empty([n + 2 for n in order], np.bool_), *moves)
            return permuted(x, [int(n) - 2 for n in marked.shape])
        case "Flatten" if _first(layer) and count > 2:
            return moved(permuted(x, (0, *range(2, count), 1)).axes or x, made)
    return moved(x, made)


def _channels(layer: Any, x: Axes) -> None:
    """Refuse a norm whose channels are another axis."""
    axis = getattr(layer, "axis", None)
    if type(layer).__name__ in ("BatchNormalization", "GroupNormalization") and (
        not isinstance(axis, int) or x[axis].label != "C"
    ):
        raise PortError(
            f"layer '{layer.name}': {type(layer).__name__} over axis {axis}; only the axis of the "
            "channels is read",
            status=4,
        )


def _arithmetic(
    layer: Any, name: str, args: Sequence[Any], inputs: Sequence[Any], axes: list[Axes]
) -> Meaning:
    value, ahead = None, False
    if len(inputs) == 1 and len(args) == 2:
        ahead = args[1] is inputs[0]
        other = args[0] if ahead else args[1]
        if not isinstance(other, keras.Variable):
            value = by_channel(np.array(keras.ops.convert_to_numpy(other), np.float64), axes[0])
    return arithmetic(_ARITHMETIC[name], axes, value, ahead=ahead)


def _whole_norm(layer: Any, name: str, x: Axes) -> Meaning:
    axis = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    features = tuple(x[a] for a in axis)
    constants: Constants = {"epsilon": float(layer.epsilon), "scale": True}
    constants["axes"] = sorted(one.words for one in features)
    if name == "RMSNormalization":
        return Meaning("rms_norm", x, constants, {"gamma": (layer.scale, features)})
    constants |= {"scale": bool(layer.scale), "center": bool(layer.center)}
    parts = {"gamma": (layer.gamma, features), "beta": (layer.beta, features)}
    parts = {role: one for role, one in parts.items() if one[0] is not None}
    return Meaning("layer_norm", x, constants, parts)


def _normalization(layer: Any, x: Axes) -> Meaning:
    if layer.invert or len(layer.axis) != 1 or x[layer.axis[0]].label != "C":
        return Meaning("unread:Normalization", x)
    mean, variance = (
        np.array(keras.ops.convert_to_numpy(one)).reshape(-1)
        for one in (layer.mean, layer.variance)
    )
    scale = 1 / np.maximum(np.sqrt(variance), keras.config.epsilon())
    return Meaning("rescale", x, {"scale": scale.tolist(), "offset": (-mean * scale).tolist()})


def _attention(layer: Any, args: Sequence[Any], axes: list[Axes], made: Sequence[int]) -> Meaning:
    odd = [getattr(layer, n, None) for n in ("_use_gate", "_sliding_window")]
    if any(odd) or len(axes[0]) != 3 or type(layer).__module__.split(".")[0] != "keras":
        return Meaning("unread:attention of its own kind", axes[0])
    heads, size, last = layer._num_heads, layer._key_dim, layer._value_dim
    roles: dict[str, tuple[Any, ...]] = {}
    for role, read in zip(("query", "key", "value"), axes, strict=True):
        part = getattr(layer, f"_{role}_dense")
        wide = int(np.prod(part.kernel.shape[1:]))
        layout = (read[-1], Axis((("O", wide),)))
        roles[f"{role}_kernel"] = (part.kernel, layout, (part.kernel.shape[0], wide))
        roles[f"{role}_bias"] = (part.bias, _vector(wide), (wide,))
    part = layer._output_dense
    inner = labelled("IO", (heads * last, made[-1]))
    roles["output_kernel"] = (part.kernel, inner, (heads * last, int(made[-1])))
    roles["output_bias"] = (part.bias, _vector(int(made[-1])), (int(made[-1]),))
    roles = {role: one for role, one in roles.items() if one[0] is not None}
    said = {"attention_rate": float(layer._dropout) or None, "bias": bool(layer._use_bias)}
    return attention(axes[0], heads, (size, last, made[-1]), roles, **said)


def _vector(size: int) -> Axes:
    return (Axis((("C", int(size)),)),)


def _kernels(layer: Any, kind: str, x: Axes) -> dict[str, tuple[Any, ...]]:
    """The kernel and bias of a layer by role: variable, axes, and the shape that has these."""
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return {}
    sizes = tuple(kernel.shape)
    if is_depthwise(layer):
        sizes = (*sizes[:-2], 1, sizes[-2] * sizes[-1])
    layout: Axes = (x[-1], Axis((("O", sizes[-1]),)))
    if kind != "dense":
        layout = labelled(f"{'DHW'[5 - len(sizes) :]}IO", sizes)
    found: dict[str, tuple[Any, ...]] = {"kernel": (kernel, layout, sizes)}
    if layer.bias is not None:
        found["bias"] = (layer.bias, _vector(layer.bias.shape[0]))
    return found


_ROLES = {
    "batch_norm": ("gamma", "beta", "moving_mean", "moving_variance"),
    "group_norm": ("gamma", "beta"),
    "prelu": ("alpha",),
}


def _vectors(layer: Any, kind: str, x: Axes) -> dict[str, tuple[Any, ...]]:
    """The weights of a layer that has one number a channel."""
    found: dict[str, tuple[Any, ...]] = {}
    for role in _ROLES.get(kind, ()):
        if (variable := getattr(layer, role, None)) is not None:
            size = int(np.prod(variable.shape))
            found[role] = (variable, _vector(size), (size,))
    return found


# The argument behind each constant, where the program states it.
STATED = {
    **{"kernel": "kernel_size", "stride": "strides", "dilation": "dilation_rate"},
    **{"bias": "use_bias", "size": "pool_size", "slope": "negative_slope"},
    **{"function": "activation", "heads": "num_heads", "key_size": "key_dim"},
}
# The attribute behind each constant that can be set.
CHANGES = {
    ("batch_norm", "epsilon"): "epsilon",
    ("batch_norm", "momentum"): "momentum",
    ("layer_norm", "epsilon"): "epsilon",
    ("group_norm", "epsilon"): "epsilon",
    ("dropout", "rate"): "rate",
    ("conv", "stride"): "strides",
    ("max_pool", "size"): "pool_size",
    ("max_pool", "stride"): "strides",
    ("average_pool", "size"): "pool_size",
    ("average_pool", "stride"): "strides",
    ("activation", "slope"): "negative_slope",
    ("activation", "alpha"): "alpha",
}
