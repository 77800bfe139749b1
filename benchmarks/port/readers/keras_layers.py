"""Meaning of Keras layers: a layer's operation, and how to set one of its constants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from benchmarks.port.axes import cropping, same_padding
from benchmarks.port.operation import PortError
from benchmarks.port.readers.keras_activations import ACTIVATIONS, Constants, Meaning
from benchmarks.port.readers.meaning import parted, shifted

NOTHING = {"Identity", "InputLayer", "ActivityRegularization"}
DROPOUTS = ("Dropout", "SpatialDropout2D", "AlphaDropout")


def _pair(value: Any) -> list[int]:
    return [int(v) for v in value] if isinstance(value, list | tuple) else [int(value)] * 2


def _zeros(layer: Any, given: Sequence[int], kernel: list[int], dilation: list[int]) -> Any:
    if layer.padding == "valid":
        return [[0, 0], [0, 0]]
    if layer.padding != "same":
        return f"unread: {layer.padding}"
    strides = _pair(layer.strides)
    return [
        list(same_padding(n, k, s, d))
        for n, k, s, d in zip(given[1:3], kernel, strides, dilation, strict=True)
    ]


def term(one: Any) -> str:
    """A regularizer or constraint in words: L2(l2=0.01)."""
    config = {k: v for k, v in one.get_config().items() if v}
    return f"{type(one).__name__}({', '.join(f'{k}={v}' for k, v in sorted(config.items()))})"


def _kernel_terms(layer: Any, name: str = "kernel") -> Constants:
    """Regularizers, constraints and initialisers of a layer with weights."""
    found: Constants = {}
    for part in (name, "bias"):
        for word in ("regularizer", "constraint"):
            one = getattr(layer, f"{part}_{word}", None)
            if one is not None:
                found[f"{part}_{word}"] = term(one)
    return found


def _conv(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    kernel, dilation = _pair(layer.kernel_size), _pair(layer.dilation_rate)
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    constants = {
        "filters": int(made[-1]),
        "kernel": kernel,
        "stride": _pair(layer.strides),
        "padding": _zeros(layer, given, kernel, dilation),
        "dilation": dilation,
        "groups": int(given[-1]) if depthwise else int(layer.groups),
        "bias": bool(layer.use_bias),
        **_kernel_terms(layer, "depthwise" if depthwise else "kernel"),
    }
    return "conv", constants


def _conv_transpose(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    kernel, stride = _pair(layer.kernel_size), _pair(layer.strides)
    # What is cut from both ends of the whole output, (n - 1) * stride + kernel.
    whole = [(n - 1) * s + k for n, s, k in zip(given[1:3], stride, kernel, strict=True)]
    cut = [w - m for w, m in zip(whole, made[1:3], strict=True)]
    before = [max(c, 0) // 2 for c in cut]
    output = [max(2 * b - c, 0) for b, c in zip(before, cut, strict=True)]
    constants = {
        "filters": int(made[-1]),
        "kernel": kernel,
        "stride": stride,
        "padding": before,
        "output_padding": output,
        "dilation": _pair(layer.dilation_rate),
        "groups": 1,
        "bias": bool(layer.use_bias),
        **_kernel_terms(layer),
    }
    return "conv_transpose", constants


def _dense(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    return "dense", {
        "units": int(layer.units),
        "bias": bool(layer.use_bias),
        **_kernel_terms(layer),
    }


def _last(layer: Any, given: Sequence[int]) -> None:
    """Refuse a norm whose channels are not the last axis."""
    if layer.axis not in (-1, len(given) - 1):
        kind = type(layer).__name__
        raise PortError(
            f"layer '{layer.name}': {kind} over axis {layer.axis}; only the last one is read",
            status=4,
        )


def _batch_norm(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    _last(layer, given)
    return "batch_norm", {
        "epsilon": float(layer.epsilon),
        "momentum": float(layer.momentum),
        "scale": bool(layer.scale),
        "center": bool(layer.center),
        "running_variance": "biased",
    }


def _layer_norm(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    axis = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    labels = "NHWC" if len(given) == 4 else "NC"
    return "layer_norm", {
        "epsilon": float(layer.epsilon),
        "scale": bool(layer.scale),
        "center": bool(layer.center),
        "axes": sorted(labels[a] for a in axis) if len(given) in (2, 4) else list(axis),
    }


def _group_norm(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    _last(layer, given)
    return "group_norm", {
        "epsilon": float(layer.epsilon),
        "scale": bool(layer.scale),
        "center": bool(layer.center),
        "groups": int(layer.groups) if layer.groups != -1 else int(given[-1]),
    }


def _pool(kind: str) -> Meaning:
    def meaning(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
        size = _pair(layer.pool_size)
        padding = _zeros(layer, given, size, [1, 1])
        constants = {"size": size, "stride": _pair(layer.strides), "padding": padding}
        if kind == "average_pool" and any(map(any, padding)):
            constants["count_padding"] = False
        return kind, constants

    return meaning


def _whole(kind: str) -> Meaning:
    def meaning(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
        size = [int(n) for n in given[1:3]]
        return kind, {"size": size, "stride": size, "padding": [[0, 0], [0, 0]]}

    return meaning


def _dropout(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    if not (per := dropped_per(layer, given)):
        return "unread:Dropout with a noise_shape", {}
    form = {"form": "alpha"} if isinstance(layer, keras.layers.AlphaDropout) else {}
    return "dropout", {"rate": float(layer.rate), "per": per, **form}


def dropped_per(layer: Any, given: Sequence[int]) -> str:
    """Unit that a dropout drops: a value, a channel or a picture; "" where it is none of these."""
    noise = tuple(getattr(layer, "noise_shape", None) or given)[1:]
    sizes = [(one or whole) for one, whole in zip(noise, given[1:], strict=True)]
    if isinstance(layer, keras.layers.SpatialDropout2D):
        return "channel"
    if sizes == list(given[1:]):
        return "value"
    return "channel" if sizes == [1, 1, given[-1]] else "picture" if set(sizes) == {1} else ""


def _flatten(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    if len(made) == 2:
        return ("flatten" if sum(n > 1 for n in given[1:]) > 1 else "squeeze"), {}
    return "reshape", {"shape": [int(n) for n in made[1:]]}


def _pad(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    return "pad", {"padding": [list(p) for p in layer.padding], "value": 0.0}


def _pad_of_call(layer: Any, args: Sequence[Any]) -> tuple[str, Constants] | None:
    """`ops.pad` of rows and columns."""
    width = [list(map(int, pair)) for pair in layer.pad_width]
    if len(width) != 4 or any(map(any, (width[0], width[3]))):
        return None
    value = 0.0 if layer.mode == "constant" else layer.mode
    if any(isinstance(one, int | float) and one for one in args[1:]):
        value = float(args[1])
    return "pad", {"padding": width[1:3], "value": value}


def _adaptive(kind: str) -> Meaning:
    def meaning(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
        return parted(kind, given[1:3], made[1:3])

    return meaning


def _rescale(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    numbers = np.broadcast_arrays(layer.scale, layer.offset)
    scale, offset = (np.asarray(one, np.float64).tolist() for one in numbers)
    return "rescale", {"scale": scale, "offset": offset}


def _normalization(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    if layer.invert or tuple(layer.axis) not in ((-1,), (len(given) - 1,)):
        return "unread:Normalization", {}
    mean, variance = (
        np.array(keras.ops.convert_to_numpy(one)).reshape(-1)
        for one in (layer.mean, layer.variance)
    )
    scale = 1 / np.maximum(np.sqrt(variance), keras.config.epsilon())
    return "rescale", {"scale": scale.tolist(), "offset": (-mean * scale).tolist()}


def _crop(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    return "crop", {"cropping": [list(sides) for sides in layer.cropping]}


def _joined(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    axis = layer.axis % len(made)
    return "concatenate", {"axis": ("NHWC" if len(made) == 4 else "NC")[axis]}


def _resize(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    factor = [m / n for n, m in zip(given[1:3], made[1:3], strict=True)]
    constants: Constants = {"factor": factor, "method": layer.interpolation}
    if layer.interpolation != "nearest":
        constants["align_corners"] = False
    return "resize", constants


def _plain(kind: str) -> Meaning:
    return lambda layer, given, made: (kind, {})


def _over(kind: str) -> Meaning:
    """A mean or maximum over rows and columns."""

    def meaning(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
        axes = range(len(given)) if layer.axis is None else layer.axis
        if len(given) == 4 and sorted(axis % 4 for axis in axes) == [1, 2]:
            return _whole(kind)(layer, given, made)
        return f"unread:{type(layer).__name__}", {}

    return meaning


def by_arguments(
    layer: Any, args: Sequence[Any], inputs: Sequence[Any]
) -> tuple[str, Constants] | None:
    """Meaning of a call whose arguments decide it: arithmetic with a number or with one for each
    channel, a slice, zeros around a picture; None of anything else.

    Args:
        inputs: the arguments that the pictures went into.
    """
    name = type(layer).__name__
    if name == "GetItem" and len(args[0].shape) == 4:
        cut = cropping(args[1], args[0].shape, "NHWC")
        return None if cut is None else ("crop", {"cropping": cut})
    if name == "Pad":
        return _pad_of_call(layer, args)
    if name == "Negative":
        return "rescale", {"scale": -1.0, "offset": 0.0}
    if name not in _ARITHMETIC or len(inputs) != 1 or len(args) != 2:
        return None
    ahead = args[1] is inputs[0]
    value = _constant(args[0] if ahead else args[1], inputs[0].shape)
    if value is None:
        return f"unread:{name} with a weight or another tensor", {}
    made = shifted(_ARITHMETIC[name], value, ahead=ahead)
    return None if made is None else ("rescale", made)


def _constant(value: Any, shape: Sequence[int]) -> np.ndarray | None:
    """A number, or one for each channel; None of a weight and of anything else."""
    if isinstance(value, keras.Variable):
        return None
    found = np.array(keras.ops.convert_to_numpy(value), np.float64)
    by_channel = found.shape == (*(1,) * (found.ndim - 1), shape[-1])
    return found.reshape(-1) if by_channel else found.reshape(()) if found.size == 1 else None


_ARITHMETIC = {"Add": "add", "Subtract": "sub", "Multiply": "mul"}
_ARITHMETIC |= dict.fromkeys(("Divide", "TrueDivide"), "div")


MEANINGS: dict[str, Meaning] = {
    **ACTIVATIONS,
    "Conv2D": _conv,
    "DepthwiseConv2D": _conv,
    "Conv2DTranspose": _conv_transpose,
    "Dense": _dense,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "GroupNormalization": _group_norm,
    "MaxPooling2D": _pool("max_pool"),
    "AveragePooling2D": _pool("average_pool"),
    "AdaptiveAveragePooling2D": _adaptive("average_pool"),
    "AdaptiveMaxPooling2D": _adaptive("max_pool"),
    "GlobalAveragePooling2D": _whole("average_pool"),
    "GlobalMaxPooling2D": _whole("max_pool"),
    "Dropout": _dropout,
    "SpatialDropout2D": _dropout,
    "AlphaDropout": _dropout,
    "Flatten": _flatten,
    "Reshape": _flatten,
    "ZeroPadding2D": _pad,
    "Cropping2D": _crop,
    "Rescaling": _rescale,
    "Normalization": _normalization,
    "Add": _plain("add"),
    "Subtract": _plain("subtract"),
    "Multiply": _plain("multiply"),
    "Maximum": _plain("maximum"),
    "Minimum": _plain("minimum"),
    "Concatenate": _joined,
    "UpSampling2D": _resize,
    "Mean": _over("average_pool"),
    "Max": _over("max_pool"),
}
# role to the layer's attribute
PARTS = {
    "conv": {"kernel": "kernel", "bias": "bias"},
    "conv_transpose": {"kernel": "kernel", "bias": "bias"},
    "dense": {"kernel": "kernel", "bias": "bias"},
    "batch_norm": {
        **{"gamma": "gamma", "beta": "beta", "moving_mean": "moving_mean"},
        "moving_variance": "moving_variance",
    },
    "layer_norm": {"gamma": "gamma", "beta": "beta"},
    "group_norm": {"gamma": "gamma", "beta": "beta"},
    "prelu": {"alpha": "alpha"},
}
# The argument behind each constant, where the program states it.
STATED = {
    **{"kernel": "kernel_size", "stride": "strides", "dilation": "dilation_rate"},
    **{"bias": "use_bias", "size": "pool_size", "slope": "negative_slope"},
    "function": "activation",
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
