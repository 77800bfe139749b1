"""A call of PyTorch with one of its constants set to another value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.nn import functional

from benchmarks.port.readers.torch_calls import FUNCTIONS


def _padded(name: str) -> Callable[[dict[str, Any], Any], None]:
    def change(b: dict[str, Any], value: Any) -> None:
        if all(one == other >= 0 for one, other in value):
            b["padding"] = tuple(one for one, _ in value)
            return
        fill = float("-inf") if name == "max_pool" else 0.0
        sides = [side for pair in value[::-1] for side in pair]
        b["input"] = functional.pad(b["input"], sides, value=fill)
        b["padding"] = 0

    return change


def _set(argument: str) -> Callable[[dict[str, Any], Any], None]:
    def change(b: dict[str, Any], value: Any) -> None:
        b[argument] = tuple(value) if isinstance(value, list) else value

    return change


def _momentum(b: dict[str, Any], value: Any) -> None:
    b["momentum"] = 1 - value


CHANGES: dict[tuple[str, str], Callable[[dict[str, Any], Any], None]] = {
    ("conv", "stride"): _set("stride"),
    ("conv", "dilation"): _set("dilation"),
    ("conv", "padding"): _padded("conv"),
    ("max_pool", "size"): _set("kernel_size"),
    ("max_pool", "stride"): _set("stride"),
    ("max_pool", "padding"): _padded("max_pool"),
    ("average_pool", "size"): _set("kernel_size"),
    ("average_pool", "stride"): _set("stride"),
    ("average_pool", "count_padding"): _set("count_include_pad"),
    ("batch_norm", "epsilon"): _set("eps"),
    ("batch_norm", "momentum"): _momentum,
    ("layer_norm", "epsilon"): _set("eps"),
    ("group_norm", "epsilon"): _set("eps"),
    ("group_norm", "groups"): _set("num_groups"),
    ("dropout", "rate"): _set("p"),
    ("activation", "slope"): _set("negative_slope"),
    ("activation", "alpha"): _set("alpha"),
    ("activation", "approximate"): _set("approximate"),
    ("activation", "function"): _set("function"),
}
_KINDS = {
    **{
        f"{theirs}{n}d": ours
        for theirs, ours in (
            *(("conv", "conv"), ("max_pool", "max_pool"), ("avg_pool", "average_pool")),
            ("dropout", "dropout"),
        )
        for n in (1, 2, 3)
    },
    **{name: name for name in ("batch_norm", "layer_norm", "group_norm", "dropout")},
    "instance_norm": "group_norm",
}


def changed(
    name: str, func: Any, args: Any, kwargs: Any, arguments: dict[str, Any], changes: dict[str, Any]
) -> Callable[[dict[int, Tensor]], Any]:
    """The call, ready to be made on its own tensors or on others in their place.

    Args:
        arguments: `args` and `kwargs` by name.
        changes: constants to set.
    """
    kind = _KINDS.get(name, "activation")

    def call(swapped: dict[int, Tensor]) -> Any:
        def own(value: Any) -> Any:
            if isinstance(value, Tensor):
                return swapped.get(id(value), value)
            if isinstance(value, list | tuple) and any(isinstance(v, Tensor) for v in value):
                return type(value)(own(v) for v in value)
            return value

        if swapped and name == "batch_norm":  # by itself it must not move the running statistics
            moved = {**arguments, "input": own(arguments["input"])}
            for part in ("running_mean", "running_var"):
                if isinstance(moved.get(part), Tensor):
                    moved[part] = moved[part].clone()
            return _made(func, kind, moved, changes)
        if changes:
            return _made(func, kind, {k: own(v) for k, v in arguments.items()}, changes)
        return func(*map(own, args), **{k: own(v) for k, v in kwargs.items()})

    return call


def _made(func: Any, kind: str, arguments: dict[str, Any], changes: dict[str, Any]) -> Any:
    b = dict(arguments)
    if func is functional.instance_norm:
        given = {"num_groups": b["input"].shape[1], "eps": b.get("eps", 1e-5)}
        func, b = functional.group_norm, given | {k: b[k] for k in ("input", "weight", "bias")}
    for constant, value in changes.items():
        CHANGES[kind, constant](b, value)
    if "function" in b:
        function = FUNCTIONS[b.pop("function")]
        return function(b["input"] if "input" in b else b["0"])
    return func(**b) if all(not key.isdigit() for key in b) else func(*b.values())
