"""Meaning of the layers of Flax NNX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from benchmarks.port.axes import SPATIAL, Axes, Axis, each, labelled, pictured, same_padding
from benchmarks.port.readers.meaning import Meaning, attention


def zeros(
    padding: Any, given: Sequence[int], kernel: list[int], stride: list[int], d: list[int]
) -> Any:
    """Zeros before and after each axis of a picture, of any form of padding."""
    if padding == "VALID":
        return [[0, 0] for _ in kernel]
    if padding == "CAUSAL":
        return [[(k - 1) * one, 0] for k, one in zip(kernel, d, strict=True)]
    if padding == "SAME":
        sides = zip(given, kernel, stride, d, strict=True)
        return [list(same_padding(n, k, s, one)) for n, k, s, one in sides]
    if isinstance(padding, str):
        return f"unread: {padding}"
    pair = [padding] if isinstance(padding, int) else list(padding)
    pair *= len(kernel) if len(pair) == 1 else 1
    return [[p, p] if isinstance(p, int) else list(map(int, p)) for p in pair]


def _windows(layer: Any) -> list[list[int]]:
    """Kernel, stride, dilation and input dilation of a convolution, a number for each axis."""
    size = layer.kernel_size
    count = 1 if isinstance(size, int) else len(size)
    words = (size, layer.strides, layer.kernel_dilation, getattr(layer, "input_dilation", 1))
    return [each(one, count) for one in words]


def conv(layer: Any, axes: Axes, given: Sequence[int], out: Any) -> Meaning:
    """nnx.Conv over pictures."""
    kernel, stride, dilation, within = _windows(layer)
    constants = {
        "filters": int(layer.out_features),
        "kernel": kernel,
        "stride": stride,
        "padding": zeros(layer.padding, given[1:-1], kernel, stride, dilation),
        "dilation": dilation,
        "groups": int(layer.feature_group_count),
        "bias": layer.bias is not None,
    }
    if len(kernel) != len(given) - 2 or {*within} != {1} or layer.mask is not None:
        return Meaning("unread:Conv of its own kind", pictured(out.shape))
    layout = labelled(f"{'DHW'[3 - len(kernel) :]}IO", layer.kernel.value.shape)
    parameters = {"kernel": (layer.kernel, layout), "bias": (layer.bias, one(layer.out_features))}
    return Meaning("conv", pictured(out.shape), constants, parameters)


def conv_transpose(layer: Any, axes: Axes, given: Sequence[int], out: Any) -> Meaning:
    """nnx.ConvTranspose over pictures.

    Its kernel stands the other way round, rows, columns and channels, unless `transpose_kernel`.
    """
    kernel, stride, dilation, _ = _windows(layer)
    reach = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
    ahead = layer.padding
    if isinstance(ahead, str):  # of the output that is whole, and as jax.lax has it
        whole = zip(reach, stride, strict=True)
        added = {"SAME": [r + s - 1 for r, s in whole], "VALID": [2 * r for r in reach]}.get(ahead)
        if added is None:
            return Meaning("unread:ConvTranspose of its own kind", pictured(out.shape))
        if ahead == "VALID":
            added = [2 * r + max(s - 1 - r, 0) for r, s in zip(reach, stride, strict=True)]
        first = [
            r if ahead == "VALID" or s > r else -(-a // 2)
            for r, s, a in zip(reach, stride, added, strict=True)
        ]
        ahead = [[f, a - f] for f, a in zip(first, added, strict=True)]
    pairs = zeros(ahead, given[1:-1], kernel, stride, dilation)
    if len(kernel) != len(given) - 2 or layer.mask is not None:
        return Meaning("unread:ConvTranspose of its own kind", pictured(out.shape))
    turned = not layer.transpose_kernel
    labels = SPATIAL[3 - len(kernel) :] + ("OI" if turned else "IO")
    layout = tuple(
        Axis(((label, n),), flipped=turned and label in SPATIAL)
        for label, n in zip(labels, layer.kernel.value.shape, strict=True)
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
    return Meaning("conv_transpose", pictured(out.shape), constants, parameters)


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
        features: Axes = (axes[-1],)
        parameters = {"gamma": (layer.scale, features)}
        if kind != "rms_norm":
            constants["center"] = layer.bias is not None
            parameters["beta"] = (layer.bias, features)
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
    within = tuple(range(1, len(given) - 1))
    words = {within: "channel", (*within, len(given) - 1): "picture", (): "value"}
    if over not in words:
        return Meaning("unread:Dropout with broadcast_dims", axes)
    return Meaning("dropout", axes, {"rate": float(layer.rate), "per": words[over]})


def prelu(layer: Any, axes: Axes, given: Sequence[int], out: Any) -> Meaning:
    """nnx.PReLU, which has one slope for all."""
    per = {"per": "value" if given[-1] > 1 else "channel"}
    return Meaning("prelu", axes, per, {"alpha": (layer.negative_slope, one(1), (1,))})


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
    "PReLU": prelu,
}
