"""Meaning of PyTorch calls: a call's operation, and how to set one of its constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.port.axes import Axes, Axis, each, labelled, pictured
from benchmarks.port.readers.functions import CONSTANTS, constants_of, function_of
from benchmarks.port.readers.meaning import (
    Meaning,
    arithmetic,
    attention,
    limited,
    multiplied,
    over,
    parted,
    powered,
    shifted,
)
from benchmarks.port.readers.torch_moves import MOVES, Read

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "silu": functional.silu,
    "gelu": functional.gelu,
    "softplus": functional.softplus,
    "selu": functional.selu,
    "elu": functional.elu,
    "relu6": functional.relu6,
    "hardswish": functional.hardswish,
    "hardsigmoid": functional.hardsigmoid,
    "mish": functional.mish,
    "softsign": functional.softsign,
    "exponential": torch.exp,
    "log_sigmoid": functional.logsigmoid,
    "leaky_relu": functional.leaky_relu,
    "softmax": lambda x: functional.softmax(x, 1),
    "linear": lambda x: x,
}


def _conv(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    weight, padding = b["weight"], b.get("padding", 0)
    kernel, count = tuple(weight.shape[2:]), weight.dim() - 2
    stride, dilation = (each(b.get(name, 1), count) for name in ("stride", "dilation"))
    if padding == "same":
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        pad = [[t // 2, t - t // 2] for t in total]
    else:
        pad = [[p, p] for p in each(0 if padding == "valid" else padding, count)]
    constants = {
        "filters": weight.shape[0],
        "kernel": list(kernel),
        "stride": stride,
        "padding": pad,
        "dilation": dilation,
        "groups": int(b.get("groups", 1)),
        "bias": b.get("bias") is not None,
    }
    parameters = {
        "kernel": (weight, _layout(weight)),
        "bias": (b.get("bias"), _one(weight.shape[0])),
    }
    return Meaning("conv", pictured(out.shape, first=True), constants, parameters)


def _layout(weight: Tensor) -> Axes:
    """The axes of a convolution's kernel."""
    return labelled(f"OI{'DHW'[5 - weight.dim() :]}", weight.shape)


def _conv_transpose(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    weight, count = b["weight"], b["weight"].dim() - 2
    cut = zip(*(each(b.get(name, 0), count) for name in ("padding", "output_padding")), strict=True)
    constants = {
        "filters": out.shape[1],
        "kernel": list(weight.shape[2:]),
        "stride": each(b.get("stride", 1), count),
        "cut": [[p, p - more] for p, more in cut],
        "dilation": each(b.get("dilation", 1), count),
        "groups": int(b.get("groups", 1)),
        "bias": b.get("bias") is not None,
    }
    parameters = {"kernel": (weight, _layout(weight)), "bias": (b.get("bias"), _one(out.shape[1]))}
    return Meaning("conv_transpose", pictured(out.shape, first=True), constants, parameters)


def _one(size: int) -> Axes:
    return (Axis((("C", int(size)),)),)


def _dense(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    weight = b["weight"]
    units = weight.shape[0]
    layout = (Axis((("O", units),)), axes[0][-1])
    made = (*axes[0][:-1], Axis((("C", units),)))
    constants = {"units": units, "bias": b.get("bias") is not None}
    return Meaning(
        "dense",
        made,
        constants,
        {"kernel": (weight, layout), "bias": (b.get("bias"), _one(units))},
    )


def _batch_norm(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    momentum = b.get("momentum", 0.1)
    constants = {
        "epsilon": b.get("eps", 1e-5),
        "momentum": None if momentum is None else 1 - momentum,
        "scale": b.get("weight") is not None,
        "center": b.get("bias") is not None,
        "running_variance": "unbiased",
    }
    features: Axes = (axes[0][1],)
    parameters = {
        "gamma": (b.get("weight"), features),
        "beta": (b.get("bias"), features),
        "moving_mean": (b.get("running_mean"), features),
        "moving_variance": (b.get("running_var"), features),
    }
    return Meaning("batch_norm", axes[0], constants, parameters)


def _norm(kind: str) -> Read:
    def meaning(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
        constants: dict[str, Any] = {"epsilon": b.get("eps", 1e-5)}
        constants |= {"scale": b.get("weight") is not None, "center": b.get("bias") is not None}
        if kind == "group_norm":
            constants["groups"] = int(b["num_groups"])
            features = axes[0][1:2]
        else:
            count = len(tuple(b["normalized_shape"]))
            features = axes[0][-count:]
            constants["axes"] = sorted(axis.words for axis in features)
        parameters = {"gamma": (b.get("weight"), features)}
        if kind == "rms_norm":
            del constants["center"]
        else:
            parameters["beta"] = (b.get("bias"), features)
        return Meaning(kind, axes[0], constants, parameters)

    return meaning


def _instance_norm(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    """A group norm whose groups are single channels."""
    if not b.get("use_input_stats", True):
        return Meaning("unread:instance_norm by running statistics", axes[0])
    return _norm("group_norm")({**b, "num_groups": out.shape[1]}, axes, out)


def _pool(kind: str) -> Read:
    def meaning(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
        count = out.dim() - 2
        size, before = each(b["kernel_size"], count), each(b.get("padding", 0), count)
        stride = each(b["stride"], count) if b.get("stride") not in (None, (), []) else size
        pad = []
        for i in range(count):  # ceil_mode lets the last window reach over the end
            reach = (out.shape[2 + i] - 1) * stride[i] + size[i]
            after = reach - b["input"].shape[2 + i] - before[i]
            pad.append([before[i], max(after, before[i]) if b.get("ceil_mode") else before[i]])
        constants: dict[str, Any] = {"size": list(size), "stride": list(stride), "padding": pad}
        if kind == "average_pool" and any(map(any, pad)):
            counts = bool(b.get("count_include_pad", True))  # what ceil_mode adds never does
            constants["count_padding"] = counts and any(before)
        if kind == "max_pool" and {*(wide := each(b.get("dilation", 1), count))} != {1}:
            constants["dilation"] = wide
        return Meaning(kind, pictured(out.shape, first=True), constants)

    return meaning


def _adaptive(kind: str) -> Read:
    def meaning(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
        own, constants = parted(kind, b["input"].shape[2:], out.shape[2:])
        return Meaning(own, pictured(out.shape, first=True), constants)

    return meaning


def _over(kind: str) -> Read:
    """A mean, maximum or minimum over axes; max and min of two tensors take the larger or smaller
    numbers."""

    def meaning(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
        if len(axes) == 2:
            return Meaning(f"{kind}imum", max(axes, key=len))
        if b.get("p", b.get("ord")) not in (None, 2, "fro"):
            return Meaning(f"unread:{kind} of its own kind", None)
        kept = bool(b.get("keepdim", b.get("keepdims", False)))
        said = {}
        if kind in ("var", "std"):  # a mean over n - 1 by default
            unbiased = b.get("unbiased")
            said["correction"] = int(b.get("correction", 1) if unbiased is None else unbiased)
        return over(kind, axes[0], b.get("dim", b.get("axis")), kept=kept, **said)

    return meaning


def _attention(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    """`F.multi_head_attention_forward`, whose tensors have the batch as their second axis."""
    size, heads = int(b["embed_dim_to_check"]), int(b["num_heads"])
    whole, bias = b["in_proj_weight"], b["in_proj_bias"]
    odd = [n for n in ("bias_k", "bias_v", "add_zero_attn", "key_padding_mask") if _set(b.get(n))]
    if whole is None or odd or len(axes[0]) != 3:
        return Meaning("unread:attention of its own kind", None)
    rows = {"query": axes[0][-1], "key": axes[1][-1], "value": axes[-1][-1]}
    roles: dict[str, tuple[Any, Axes]] = {}
    for place, (name, read) in enumerate(rows.items()):
        layout = (Axis((("O", size),)), read)
        roles[f"{name}_kernel"] = ((whole, place), layout)
        roles[f"{name}_bias"] = (None if bias is None else (bias, place), _one(size))
    out_layout = (Axis((("O", size),)), Axis((("I", size),)))
    roles["output_kernel"] = (b["out_proj_weight"], out_layout)
    roles["output_bias"] = (b["out_proj_bias"], _one(size))
    said = {"attention_rate": float(b["dropout_p"]) or None, "bias": bias is not None}
    said["masked"] = bool(b.get("is_causal")) or b.get("attn_mask") is not None
    sizes = size // heads, size // heads, size
    return attention(axes[0], heads, sizes, roles, **said)


def _attend(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    """`F.scaled_dot_product_attention` of (batch, heads, positions, features)."""
    if len(axes) != 3 or len(axes[0]) != 4 or b.get("is_causal") or b.get("attn_mask") is not None:
        return Meaning("unread:attention with a mask", axes[0])
    scale = b.get("scale")
    size = axes[0][3].size
    said: dict[str, Any] = {"heads": axes[0][1].size, "size": size}
    said["scale"] = size**-0.5 if scale is None else float(scale)
    said |= {"rate": float(b["dropout_p"])} if b.get("dropout_p") else {}
    return Meaning("attend", (*axes[0][:3], axes[2][3]), said)


def _matmul(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    return multiplied(axes, "")


def _set(value: Any) -> bool:
    return value is not None and value is not False


def activation(name: str, b: dict[str, Any], axes: list[Axes]) -> Meaning:
    """Meaning of a function of single values, or of a softmax."""
    found = constants_of(name, "torch", b)
    if name in ("softmax", "log_softmax"):
        place = b.get("dim")
        place = 1 if place is None else place
        found["axis"] = axes[0][place].words or "C"
    return Meaning("activation", axes[0], found)


def _softplus(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    beta = float(b.get("beta", 1.0))
    sharp = {} if beta == 1 else {"beta": beta}  # Keras and JAX have none
    return Meaning("activation", axes[0], {"function": "softplus", **sharp})


def _limited(low: str, high: str, *usual: float | None) -> Read:
    def meaning(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
        sides = b.get(low, b.get("1", usual[0])), b.get(high, b.get("2", usual[1]))
        return Meaning("activation", axes[0], limited(*sides))

    return meaning


def _prelu(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
    weight = b["weight"]
    per = "value" if weight.numel() == 1 < out.shape[1] else "channel"
    return Meaning("prelu", axes[0], {"per": per}, {"alpha": (weight, _one(weight.shape[0]))})


def _dropout(per: str, **form: str) -> Read:
    return lambda b, axes, out: Meaning(
        "dropout", axes[0], {"rate": b.get("p", 0.5), "per": per, **form}
    )


def _arithmetic(kind: str, *, ahead: bool = False) -> Read:
    def meaning(b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning:
        alpha = float(b.pop("alpha", 1))
        numbers = [v for v in b.values() if isinstance(v, int | float)]
        value: Any = numbers[0] if len(numbers) == 1 else _by_channel(b.get("1"), axes[0])
        made = arithmetic(kind, axes, None if value is None else value * alpha, ahead=ahead)
        if len(axes) > 1 and alpha != 1:
            made.constants["second_factor"] = alpha
        return made

    return meaning


def _by_channel(value: Any, axes: Axes) -> np.ndarray | None:
    """The values of a constant tensor by channel; None of another one."""
    if not isinstance(value, Tensor) or value.requires_grad or value.dim() > len(axes):
        return None
    large = [place - value.dim() for place, n in enumerate(value.shape) if n > 1]
    if len(large) != 1 or axes[large[0]].label != "C":
        return None
    return np.array(value.detach().double().flatten())


_RANKS = (1, 2, 3)
DROPOUTS = {
    **{"dropout": _dropout("value"), "alpha_dropout": _dropout("value", form="alpha")},
    **{f"dropout{n}d": _dropout("channel") for n in _RANKS},
}
MEANINGS: dict[str, Read] = {
    **{f"conv{n}d": _conv for n in _RANKS},
    **{f"conv_transpose{n}d": _conv_transpose for n in _RANKS},
    "linear": _dense,
    "batch_norm": _batch_norm,
    "layer_norm": _norm("layer_norm"),
    "group_norm": _norm("group_norm"),
    "instance_norm": _instance_norm,
    **{f"max_pool{n}d": _pool("max_pool") for n in _RANKS},
    **{f"avg_pool{n}d": _pool("average_pool") for n in _RANKS},
    **{f"adaptive_avg_pool{n}d": _adaptive("average_pool") for n in _RANKS},
    **{f"adaptive_max_pool{n}d": _adaptive("max_pool") for n in _RANKS},
    "rms_norm": _norm("rms_norm"),
    "multi_head_attention_forward": _attention,
    "scaled_dot_product_attention": _attend,
    "matmul": _matmul,
    **{name: _over(name) for name in ("mean", "sum", "logsumexp", "norm", "var", "std")},
    **dict.fromkeys(("max", "amax", "maximum"), _over("max")),
    **dict.fromkeys(("min", "amin", "minimum"), _over("min")),
    "prelu": _prelu,
    **DROPOUTS,
    "softplus": _softplus,
    "hardtanh": _limited("min_val", "max_val", -1.0, 1.0),
    "clamp": _limited("min", "max", None, None),
    "clip": _limited("min", "max", None, None),
    **{name: _arithmetic(name) for name in ("add", "mul", "sub", "div")},
    "pow": lambda b, axes, out: powered(axes[0], b.get("exponent", b.get("1"))),
    "rsub": _arithmetic("sub", ahead=True),
    "neg": lambda b, axes, out: Meaning("rescale", axes[0], shifted("mul", -1.0) or {}),
    **MOVES,
}


def meaning_of(name: str, b: dict[str, Any], axes: list[Axes], out: Tensor) -> Meaning | None:
    """Meaning of a call by the function's name; None of one that no reader has words for."""
    if name in MEANINGS:
        return MEANINGS[name](b, axes, out)
    function = function_of(name)
    return activation(function, b, axes) if function and len(axes) == 1 else None


# The argument behind each constant, where the program states it.
STATED = {
    **{one.name: one.torch for one in CONSTANTS.values()},
    **{"epsilon": "eps", "momentum": "momentum", "rate": "p", "heads": "num_heads"},
    **{"size": "kernel_size", "count_padding": "count_include_pad"},
}
