"""Meaning of Keras layers: a layer's operation, and how to set one of its constants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from benchmarks.port.axes import cropping, same_padding
from benchmarks.port.operation import PortError
from benchmarks.port.readers.meaning import limited

Constants = dict[str, Any]
_Meaning = Callable[[Any, Sequence[int], Sequence[int]], tuple[str, Constants]]
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


def _batch_norm(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    if layer.axis not in (-1, len(given) - 1):
        raise PortError(
            f"layer '{layer.name}': batch norm over axis {layer.axis}; only the last one is read",
            status=4,
        )
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
    return "group_norm", {
        "epsilon": float(layer.epsilon),
        "scale": bool(layer.scale),
        "center": bool(layer.center),
        "groups": int(layer.groups) if layer.groups != -1 else int(given[-1]),
    }


def _pool(kind: str) -> _Meaning:
    def meaning(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
        size = _pair(layer.pool_size)
        padding = _zeros(layer, given, size, [1, 1])
        constants = {"size": size, "stride": _pair(layer.strides), "padding": padding}
        if kind == "average_pool" and any(map(any, padding)):
            constants["count_padding"] = False
        return kind, constants

    return meaning


def _whole(kind: str) -> _Meaning:
    def meaning(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
        size = [int(n) for n in given[1:3]]
        return kind, {"size": size, "stride": size, "padding": [[0, 0], [0, 0]]}

    return meaning


def _dropout(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    channel = isinstance(layer, keras.layers.SpatialDropout2D)
    if not channel and getattr(layer, "noise_shape", None) is not None:
        return "unread:Dropout with a noise_shape", {}
    form = {"form": "alpha"} if isinstance(layer, keras.layers.AlphaDropout) else {}
    return "dropout", {"rate": float(layer.rate), "per": "channel" if channel else "value", **form}


def _flatten(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    if len(made) == 2:
        return ("flatten" if sum(n > 1 for n in given[1:]) > 1 else "squeeze"), {}
    return "reshape", {"shape": [int(n) for n in made[1:]]}


_WORDS = {
    **{"swish": "silu", "hard_sigmoid": "hardsigmoid"},
    **{"hard_silu": "hardswish", "hard_swish": "hardswish"},
}


def activation(function: Any) -> tuple[str, Constants]:
    """Kind and constants of an activation function of Keras."""
    name = getattr(function, "__name__", type(function).__name__)
    if name == "<lambda>" or not getattr(function, "__module__", "").startswith("keras"):
        return f"unread:{name}", {}
    found: Constants = {"function": _WORDS.get(name, name)}
    defaults = {
        "leaky_relu": ("slope", 0.2),
        "elu": ("alpha", 1.0),
        "gelu": ("approximate", "none"),
    }
    if name in defaults:
        found[defaults[name][0]] = defaults[name][1]
    if name in ("softmax", "log_softmax"):
        found["axis"] = "C"
    return "activation", found


def _activation(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    return activation(layer.activation)


def _relu(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    if layer.threshold:
        return "unread:ReLU with a threshold", {}
    if layer.max_value is not None:
        six = layer.max_value == 6 and not layer.negative_slope
        return ("activation", {"function": "relu6"}) if six else ("unread:ReLU with a limit", {})
    if layer.negative_slope:
        return "activation", {"function": "leaky_relu", "slope": float(layer.negative_slope)}
    return "activation", {"function": "relu"}


def _leaky(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    return "activation", {"function": "leaky_relu", "slope": float(layer.negative_slope)}


def _elu(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    return "activation", {"function": "elu", "alpha": float(layer.alpha)}


def _softmax(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    return "activation", {"function": "softmax", "axis": "C" if layer.axis == -1 else layer.axis}


def _pad(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    return "pad", {"padding": [list(p) for p in layer.padding], "value": 0.0}


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


def _clip(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    return "activation", limited(layer.x_min, layer.x_max)


def _joined(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    axis = layer.axis % len(made)
    return "concatenate", {"axis": ("NHWC" if len(made) == 4 else "NC")[axis]}


def _resize(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    factor = [m / n for n, m in zip(given[1:3], made[1:3], strict=True)]
    constants: Constants = {"factor": factor, "method": layer.interpolation}
    if layer.interpolation != "nearest":
        constants["align_corners"] = False
    return "resize", constants


def _plain(kind: str) -> _Meaning:
    return lambda layer, given, made: (kind, {})


def _function(name: str) -> _Meaning:
    return lambda layer, given, made: ("activation", {"function": name})


def _gelu(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    form = "tanh" if layer.approximate else "none"
    return "activation", {"function": "gelu", "approximate": form}


def _over(kind: str) -> _Meaning:
    """A mean or maximum over rows and columns."""

    def meaning(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
        axes = range(len(given)) if layer.axis is None else layer.axis
        if len(given) == 4 and sorted(axis % 4 for axis in axes) == [1, 2]:
            return _whole(kind)(layer, given, made)
        return f"unread:{type(layer).__name__}", {}

    return meaning


def _prelu(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    shared = all(size == 1 for size in layer.alpha.shape[:-1])
    return ("prelu" if shared else "unread:PReLU of each pixel"), {}


def by_arguments(layer: Any, args: Sequence[Any]) -> tuple[str, Constants] | None:
    """Meaning of a call whose arguments decide it: arithmetic with one number, a slice; None of
    anything else."""
    name = type(layer).__name__
    if name == "GetItem" and len(args[0].shape) == 4:
        cut = cropping(args[1], args[0].shape, "NHWC")
        return None if cut is None else ("crop", {"cropping": cut})
    numbers = [one for one in args if isinstance(one, int | float)]
    if name not in _ARITHMETIC or len(numbers) != 1 or len(args) != 2:
        return None
    value, ahead = float(numbers[0]), args[0] is numbers[0]
    if name.endswith("Divide") and ahead:
        return None
    scale = {"Multiply": value, "Subtract": -1.0 if ahead else 1.0}.get(name, 1.0)
    if name.endswith("Divide"):
        scale = 1 / value
    offset = {"Add": value, "Subtract": value if ahead else -value}.get(name, 0.0)
    return "rescale", {"scale": scale, "offset": offset}


_ARITHMETIC = ("Add", "Subtract", "Multiply", "Divide", "TrueDivide")


MEANINGS: dict[str, _Meaning] = {
    "Conv2D": _conv,
    "DepthwiseConv2D": _conv,
    "Conv2DTranspose": _conv_transpose,
    "Dense": _dense,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "GroupNormalization": _group_norm,
    "MaxPooling2D": _pool("max_pool"),
    "AveragePooling2D": _pool("average_pool"),
    "GlobalAveragePooling2D": _whole("average_pool"),
    "GlobalMaxPooling2D": _whole("max_pool"),
    "Dropout": _dropout,
    "SpatialDropout2D": _dropout,
    "AlphaDropout": _dropout,
    "Flatten": _flatten,
    "Reshape": _flatten,
    "Activation": _activation,
    "ReLU": _relu,
    "LeakyReLU": _leaky,
    "ELU": _elu,
    "Softmax": _softmax,
    "ZeroPadding2D": _pad,
    "Cropping2D": _crop,
    "Clip": _clip,
    "Rescaling": _rescale,
    "Normalization": _normalization,
    "Add": _plain("add"),
    "Subtract": _plain("subtract"),
    "Multiply": _plain("multiply"),
    "Maximum": _plain("maximum"),
    "Minimum": _plain("minimum"),
    "Concatenate": _joined,
    "UpSampling2D": _resize,
    "PReLU": _prelu,
    "Gelu": _gelu,
    "Mean": _over("average_pool"),
    "Max": _over("max_pool"),
    "Relu": _function("relu"),
    "Tanh": _function("tanh"),
    "Sigmoid": _function("sigmoid"),
    "Silu": _function("silu"),
    "Relu6": _function("relu6"),
    "Exp": _function("exponential"),
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
