"""Constants of Keras layers that have sizes of pictures, or as many channels as their input.

Sizes are in the order rows, columns, channels here, whatever the layer's own; a spectrum has
columns alone, a cube planes, rows and columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.port.axes import each, same_padding
from benchmarks.port.readers.keras_activations import Constants
from benchmarks.port.readers.meaning import parted

Words = Callable[[Any, Sequence[int], Sequence[int]], tuple[str, Constants]]


def _zeros(layer: Any, given: Sequence[int], kernel: list[int], dilation: list[int]) -> Any:
    match layer.padding:
        case "valid":
            return [[0, 0] for _ in kernel]
        case "causal":
            return [[(k - 1) * d, 0] for k, d in zip(kernel, dilation, strict=True)]
        case "same":
            strides = each(layer.strides, len(kernel))
            sides = zip(given[1:-1], kernel, strides, dilation, strict=True)
            return [list(same_padding(*side)) for side in sides]
    return f"unread: {layer.padding}"


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


def is_depthwise(layer: Any) -> bool:
    """True of a convolution that has kernels of its own for each channel."""
    return type(layer).__name__.startswith("Depthwise")


def _conv(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    count, depthwise = len(given) - 2, is_depthwise(layer)
    kernel, dilation = each(layer.kernel_size, count), each(layer.dilation_rate, count)
    constants = {
        "filters": int(made[-1]),
        "kernel": kernel,
        "stride": each(layer.strides, count),
        "padding": _zeros(layer, given, kernel, dilation),
        "dilation": dilation,
        "groups": int(given[-1]) if depthwise else int(layer.groups),
        "bias": bool(layer.use_bias),
        **_kernel_terms(layer, "depthwise" if depthwise else "kernel"),
    }
    return "conv", constants


def _conv_transpose(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    words = (layer.kernel_size, layer.strides, layer.dilation_rate)
    kernel, stride, dilation = (each(one, len(given) - 2) for one in words)
    # What is cut from both ends of the whole output, (n - 1) * stride + reach of the kernel.
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    whole = [(n - 1) * s + k for n, s, k in zip(given[1:-1], stride, reach, strict=True)]
    total = [w - m for w, m in zip(whole, made[1:-1], strict=True)]
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


def dense(layer: Any) -> tuple[str, Constants]:
    """Kind and constants of a dense layer."""
    words = {"units": int(layer.units), "bias": bool(layer.use_bias)}
    return "dense", words | _kernel_terms(layer)


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
        size = each(layer.pool_size, len(given) - 2)
        padding = _zeros(layer, given, size, [1] * len(size))
        stride = each(layer.strides, len(size))
        constants = {"size": size, "stride": stride, "padding": padding}
        if kind == "average_pool" and any(map(any, padding)):
            constants["count_padding"] = False
        return kind, constants

    return meaning


def _adaptive(kind: str) -> Words:
    return lambda layer, given, made: parted(kind, given[1:-1], made[1:-1])


def _rescale(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    numbers = np.broadcast_arrays(layer.scale, layer.offset)
    scale, offset = (np.asarray(one, np.float64).tolist() for one in numbers)
    return "rescale", {"scale": scale, "offset": offset}


def _sides(value: Any) -> list[list[int]]:
    """Before and after each axis; a spectrum's layers have one pair alone."""
    return [list(pair) for pair in (value if isinstance(value[0], list | tuple) else [value])]


def _crop(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    return "crop", {"cropping": _sides(layer.cropping)}


def _pad(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    return "pad", {"padding": _sides(layer.padding), "value": 0.0}


def _resize(layer: Any, given: Sequence[int], made: Sequence[int]) -> tuple[str, Constants]:
    factor = [m / n for n, m in zip(given[1:-1], made[1:-1], strict=True)]
    method = getattr(layer, "interpolation", "nearest")
    constants: Constants = {"factor": factor, "method": method}
    if method != "nearest":
        constants |= {"align_corners": False}
        constants |= {"antialias": True} if getattr(layer, "antialias", False) else {}
    return "resize", constants


# Layers of pictures, whose output has rows, columns and channels where its data_format has them.
_RANKS = (1, 2, 3)
OF_PICTURES: dict[str, Words] = {
    **{f"Conv{n}D": _conv for n in _RANKS},
    **{f"DepthwiseConv{n}D": _conv for n in _RANKS},
    **{f"Conv{n}DTranspose": _conv_transpose for n in _RANKS},
    **{f"MaxPooling{n}D": _pool("max_pool") for n in _RANKS},
    **{f"AveragePooling{n}D": _pool("average_pool") for n in _RANKS},
    **{f"AdaptiveAveragePooling{n}D": _adaptive("average_pool") for n in _RANKS},
    **{f"AdaptiveMaxPooling{n}D": _adaptive("max_pool") for n in _RANKS},
    **{f"ZeroPadding{n}D": _pad for n in _RANKS},
    **{f"Cropping{n}D": _crop for n in _RANKS},
    **{f"UpSampling{n}D": _resize for n in _RANKS},
    **dict.fromkeys(("Resizing", "Resize"), _resize),
}
# Layers whose output has the axes of their input.
AS_BEFORE: dict[str, Words] = {
    "BatchNormalization": _batch_norm,
    "GroupNormalization": _group_norm,
    "Rescaling": _rescale,
}
