"""The functions of PyTorch by name: their arguments, their spellings, and what is no operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_POOL = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")


def _ranked(name: str, *arguments: str) -> dict[str, tuple[str, ...]]:
    """The arguments of a function of spectra, pictures and cubes."""
    return {f"{name}{n}d": arguments for n in (1, 2, 3)}


# Names of the arguments by place, of those functions whose arguments matter.
ARGUMENTS: dict[str, tuple[str, ...]] = {
    **_ranked("conv", "input", "weight", "bias", "stride", "padding", "dilation", "groups"),
    **_ranked(
        *("conv_transpose", "input", "weight", "bias", "stride", "padding", "output_padding"),
        *("groups", "dilation"),
    ),
    "linear": ("input", "weight", "bias"),
    "batch_norm": (
        *("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
    ),
    "rms_norm": ("input", "normalized_shape", "weight", "eps"),
    "scaled_dot_product_attention": (
        *("query", "key", "value", "attn_mask", "dropout_p", "is_causal"),
    ),
    "multi_head_attention_forward": (
        *("query", "key", "value", "embed_dim_to_check", "num_heads", "in_proj_weight"),
        *("in_proj_bias", "bias_k", "bias_v", "add_zero_attn", "dropout_p", "out_proj_weight"),
        "out_proj_bias",
    ),
    "select": ("input", "dim", "index"),
    "channel_shuffle": ("input", "groups"),
    **dict.fromkeys(("max", "min", "amin"), ("input", "dim", "keepdim")),
    "layer_norm": ("input", "normalized_shape", "weight", "bias", "eps"),
    "group_norm": ("input", "num_groups", "weight", "bias", "eps"),
    "instance_norm": (
        *("input", "running_mean", "running_var", "weight", "bias", "use_input_stats"),
        *("momentum", "eps"),
    ),
    **_ranked("max_pool", *_POOL),
    "max_pool2d_with_indices": _POOL,
    **_ranked(
        *("avg_pool", "input", "kernel_size", "stride", "padding", "ceil_mode"),
        *("count_include_pad", "divisor_override"),
    ),
    **_ranked("adaptive_avg_pool", "input", "output_size"),
    **_ranked("adaptive_max_pool", "input", "output_size", "return_indices"),
    **_ranked("dropout", "input", "p", "training", "inplace"),
    "flip": ("input", "dims"),
    "rot90": ("input", "k", "dims"),
    "stack": ("tensors", "dim"),
    "norm": ("input", "p", "dim", "keepdim"),
    **dict.fromkeys(("sum", "logsumexp"), ("input", "dim", "keepdim")),
    **dict.fromkeys(("var", "std"), ("input", "dim", "unbiased", "keepdim")),
    "pixel_shuffle": ("input", "upscale_factor"),
    "dropout": ("input", "p", "training", "inplace"),
    "alpha_dropout": ("input", "p", "training", "inplace"),
    "leaky_relu": ("input", "negative_slope", "inplace"),
    **dict.fromkeys(("elu", "celu"), ("input", "alpha", "inplace")),
    **dict.fromkeys(("softshrink", "hardshrink"), ("input", "lambd")),
    "gelu": ("input",),
    "softmax": ("input", "dim"),
    "log_softmax": ("input", "dim"),
    "prelu": ("input", "weight"),
    "pad": ("input", "pad", "mode", "value"),
    "cat": ("tensors", "dim"),
    "flatten": ("input", "start_dim", "end_dim"),
    "permute": ("input", "dims"),
    "transpose": ("input", "dim0", "dim1"),
    "movedim": ("input", "source", "destination"),
    "mean": ("input", "dim", "keepdim"),
    "amax": ("input", "dim", "keepdim"),
    "interpolate": ("input", "size", "scale_factor", "mode", "align_corners"),
    "hardtanh": ("input", "min_val", "max_val", "inplace"),
    "softplus": ("input", "beta", "threshold"),
}
_NAMES = {
    **{f"__{form}{name}__": name for name in ("add", "mul", "sub") for form in ("", "i", "r")},
    **{"__rsub__": "rsub", "__neg__": "neg", "negative": "neg", "multiply": "mul"},
    **{"subtract": "sub", "divide": "div", "true_divide": "div", "__truediv__": "div"},
    **{"__itruediv__": "div", "concat": "cat", "concatenate": "cat", "moveaxis": "movedim"},
    **{"swapdims": "transpose", "swapaxes": "transpose", "feature_dropout": "dropout2d"},
    "native_channel_shuffle": "channel_shuffle",
    **{"__matmul__": "matmul", "bmm": "matmul", "__pow__": "pow"},
}
SAME = {"contiguous", "clone", "detach", "alias", "type_as", "identity", "positive"}
CASTS = {"cuda", "cpu", "to", "double", "float", "half", "bfloat16", "type"}
DATA = {"__bool__", "item", "tolist", "__int__", "__float__", "__index__", "numpy", "nonzero"}
QUESTIONS = {
    *(
        "size",
        "dim",
        "stride",
        "numel",
        "is_contiguous",
        "__len__",
        "is_floating_point",
        "ndimension",
    ),
    *(
        "requires_grad",
        "__repr__",
        "__hash__",
        "retain_grad",
        "__format__",
        "get_device",
        "register_hook",
    ),
    *("is_complex", "element_size", "untyped_storage", "data_ptr", "is_same_size", "has_names"),
}


def name_of(resolved: str) -> str:
    """The function's own name, one for all its spellings: "torch.Tensor.add_" is add."""
    short = resolved.removesuffix(".__get__").rpartition(".")[2]
    if not short.startswith("__"):
        short = short.removesuffix("_")  # of a call in place
    return _NAMES.get(short, short)


def bound(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments by name; those without a name by their place, "0", "1"."""
    names = ARGUMENTS.get(name, ())
    if name == "permute" and len(args) > 2:
        args = (args[0], tuple(args[1:]))
    if name in ("max", "min") and len(args) > 1 and not isinstance(args[1], int):
        names = ("input",)  # of two tensors
    found: dict[str, Any] = {}
    for place, value in enumerate(args):
        found[names[place] if place < len(names) else str(place)] = value
    for key, value in kwargs.items():
        found["input" if key in ("self", "x") else key] = value
    return found
