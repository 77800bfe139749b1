"""Constants of Keras layers that have sizes of pictures, or as many channels as their input.

Sizes are in the order rows, columns, channels here, whatever the layer's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from benchmarks.port.axes import same_padding
from benchmarks.port.readers.keras_activations import ACTIVATIONS, Constants, Words
from benchmarks.port.readers.meaning import parted


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
    dilation = _pair(layer.dilation_rate)
    # What is cut from both ends of the whole output, (n - 1) * stride + reach of the kernel.
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    whole = [(n - 1) * s + k for n, s, k in zip(given[1:3], stride, reach, strict=True)]
    total = [w - m for w, m in zip(whole, made[1:3], strict=True)]
    constants = {
        "filters": int(made[-1]),
        "kernel": kernel,
        "stride": stride,
        "cut": [[max(n, 0) // 2, n - max(n, 0) // 2] for n in total],
        "dilation": dilation,
        "groups": 1,
        "bias": bool(layer.use_bias),
        **_kernel_terms(layer),
    }
    return "conv_transpose", constants


def dense(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    return "dense", {
        "units": int(layer.units),
        "bias": bool(layer.use_bias),
        **_kernel_terms(layer),
    }


def _batch_norm(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    return "batch_norm", {
        "epsilon": float(layer.epsilon),
        "momentum": float(layer.momentum),
        "scale": bool(layer.scale),
        "center": bool(layer.center),
        "running_variance": "biased",
    }


def _group_norm(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    return "group_norm", {
        "epsilon": float(layer.epsilon),
        "scale": bool(layer.scale),
        "center": bool(layer.center),
        "groups": int(layer.groups) if layer.groups != -1 else int(given[-1]),
    }


def _pool(kind: str) -> Words:
    def meaning(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
        size = _pair(layer.pool_size)
        padding = _zeros(layer, given, size, [1, 1])
        constants = {"size": size, "stride": _pair(layer.strides), "padding": padding}
        if kind == "average_pool" and any(map(any, padding)):
            constants["count_padding"] = False
        return kind, constants

    return meaning


def _adaptive(kind: str) -> Words:
    def meaning(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
        return parted(kind, given[1:3], made[1:3])

    return meaning


def _rescale(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    numbers = np.broadcast_arrays(layer.scale, layer.offset)
    scale, offset = (np.asarray(one, np.float64).tolist() for one in numbers)
    return "rescale", {"scale": scale, "offset": offset}


def _crop(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    return "crop", {"cropping": [list(sides) for sides in layer.cropping]}


def _pad(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    return "pad", {"padding": [list(p) for p in layer.padding], "value": 0.0}


def _resize(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    factor = [m / n for n, m in zip(given[1:3], made[1:3], strict=True)]
    constants: Constants = {"factor": factor, "method": layer.interpolation}
    if layer.interpolation != "nearest":
        constants["align_corners"] = False
    return "resize", constants


# Layers of pictures, whose output has rows, columns and channels where its data_format has them.
OF_PICTURES: dict[str, Words] = {
    "Conv2D": _conv,
    "DepthwiseConv2D": _conv,
    "Conv2DTranspose": _conv_transpose,
    "MaxPooling2D": _pool("max_pool"),
    "AveragePooling2D": _pool("average_pool"),
    "AdaptiveAveragePooling2D": _adaptive("average_pool"),
    "AdaptiveMaxPooling2D": _adaptive("max_pool"),
    "ZeroPadding2D": _pad,
    "Cropping2D": _crop,
    "UpSampling2D": _resize,
}
# Layers whose output has the axes of their input.
AS_BEFORE: dict[str, Words] = {
    **ACTIVATIONS,
    "BatchNormalization": _batch_norm,
    "GroupNormalization": _group_norm,
    "Rescaling": _rescale,
}
