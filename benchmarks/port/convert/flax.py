"""A network as a `flax.nnx.Module`."""

from __future__ import annotations

from benchmarks.port.convert.flow import (
    LackingError,
    Step,
    Text,
    call,
    steps,
)
from benchmarks.port.operation import Listing

NAME = "Net"
_FUNCTIONS = {
    **{name: f"nnx.{name}" for name in ("relu", "tanh", "sigmoid", "silu", "selu", "softplus")},
    **{name: f"nnx.{name}" for name in ("softmax", "log_softmax", "leaky_relu", "elu", "gelu")},
    **{"relu6": "jax.nn.relu6", "hardswish": "nnx.hard_swish", "hardsigmoid": "nnx.hard_sigmoid"},
}


def module(listing: Listing, title: str) -> tuple[list[str], list[str]]:
    """Lines of the imports, and of a class NAME that takes pictures (batch, h, w, channels).

    Raises:
        PortError: an operation has no plain form; it is named.
    """
    layers, lines = [], []
    argument = "x"
    for step in steps(listing, title):
        if step.read[0] == "pictures":
            argument = "pictures"
        with step.named(title, "flax"):
            layer = _layer(step)
            lines.append(f"        {step.into} = {_applied(step, bool(layer))}")
        if layer and step.first:
            layers.append(f"        self.{step.name} = {layer}")
    body = "\n".join(lines)
    imports = ["from flax import nnx"]
    imports = [*(["import jax"] if "jax." in body else []), *imports]
    imports = [*(["import jax.numpy as jnp"] if "jnp." in body else []), *imports]
    return sorted(imports, key=lambda line: "flax" in line), [
        f"class {NAME}(nnx.Module):",
        "    def __init__(self, rngs=None):",
        "        rngs = rngs or nnx.Rngs(0)",
        *layers,
        "",
        f"    def __call__(self, {argument}):",
        *lines,
        "        return x",
    ]


def _layer(step: Step) -> str:
    """The module of an operation; "" of a function."""
    c, channels = step.constants, step.given[-1]
    rngs = {"rngs": Text("rngs")}
    match step.one.kind:
        case "conv":
            named: dict = {"kernel_size": tuple(c["kernel"])}
            if not step.usual("stride"):
                named["strides"] = tuple(c["stride"])
            named |= {} if step.same() else {"padding": _around(step)}
            if not step.usual("dilation"):
                named["kernel_dilation"] = tuple(c["dilation"])
            if c["groups"] != 1:
                named["feature_group_count"] = c["groups"]
            return call("nnx.Conv", channels, c["filters"], **named, **_bias(c), **rngs)
        case "dense":
            return call("nnx.Linear", channels, c["units"], **_bias(c), **rngs)
        case "batch_norm" if c["momentum"] is not None:
            named = {"momentum": round(c["momentum"], 12), "epsilon": c["epsilon"]}
            return call("nnx.BatchNorm", channels, **named, **_affine(c), **rngs)
        case "layer_norm" if len(c["axes"]) == 1:
            return call("nnx.LayerNorm", channels, epsilon=c["epsilon"], **_affine(c), **rngs)
        case "group_norm":
            named = {"num_groups": c["groups"], "epsilon": c["epsilon"]}
            return call("nnx.GroupNorm", channels, **named, **_affine(c), **rngs)
        case "dropout":
            over = {
                "channel": tuple(range(1, step.rank + 1)),
                "picture": tuple(range(1, len(step.given) + 1)),
            }
            whole = {"broadcast_dims": over[c["per"]]} if c.get("per") in over else {}
            return call("nnx.Dropout", c["rate"], **whole, **rngs)
        case "batch_norm" | "layer_norm" | "prelu" | "rms_norm" | "conv_transpose":
            raise LackingError(step.one.kind.replace("_", " "))
    return ""


def _bias(c: dict) -> dict[str, bool]:
    return {} if c["bias"] else {"use_bias": False}


def _affine(c: dict) -> dict[str, bool]:
    words = {"scale": "use_scale", "center": "use_bias"}
    return {word: False for name, word in words.items() if not c.get(name, True)}


def _around(step: Step) -> str | tuple:
    return "VALID" if not step.padded else tuple(map(tuple, step.zeros()))


def _applied(step: Step, layer: bool) -> str:
    """The expression of an operation."""
    c, kind = step.constants, step.one.kind
    x = Text(step.read[0])
    wide, pixel = any(len(shape) > 1 for shape in step.shapes), f"[:{', None' * step.rank}, :]"
    read = [
        f"{name}{pixel}" if wide and len(shape) == 1 else name
        for name, shape in zip(step.read, step.shapes, strict=True)
    ]
    if kind == "conv" and step.flat:
        x = Text(f"{x}{pixel}")
    if step.flattens:
        x = Text(f"{x}.reshape({x}.shape[0], -1)")
    if layer:
        return f"self.{step.name}({x})"
    match kind:
        case "activation" if c["function"] in _FUNCTIONS:
            named: dict = {}
            if "slope" in c:
                named["negative_slope"] = c["slope"]
            if "alpha" in c:
                named["alpha"] = c["alpha"]
            if "approximate" in c:
                named["approximate"] = c["approximate"] in (True, "tanh")
            return call(_FUNCTIONS[c["function"]], x, **named)
        case "activation":
            raise LackingError(c["function"])
        case "max_pool" | "average_pool" if step.whole:
            axes = tuple(range(1, step.rank + 1))
            return f"{x}.{'max' if kind == 'max_pool' else 'mean'}(axis={axes})"
        case "max_pool" | "average_pool" if "dilation" not in c:
            named = {"strides": tuple(c["stride"])}
            if step.padded:
                named["padding"] = _around(step)
                if not c.get("count_padding", True):
                    named["count_include_pad"] = False
            short = "max" if kind == "max_pool" else "avg"
            return call(f"nnx.{short}_pool", x, tuple(c["size"]), **named)
        case "add" | "subtract" | "multiply":
            return {"add": " + ", "subtract": " - ", "multiply": " * "}[kind].join(read)
        case "concatenate" if c["axis"] == "C":
            return f"jnp.concatenate([{', '.join(read)}], axis=-1)"
        case "rescale" if not isinstance(c["scale"], list):
            return f"{x} * {c['scale']!r}" + (f" + {c['offset']!r}" if c["offset"] else "")
        case "pad":
            around = ((0, 0), *map(tuple, step.zeros()), (0, 0))
            value = {"constant_values": c["value"]} if c["value"] else {}
            return call("jnp.pad", x, around, **value)
    raise LackingError(kind.replace("_", " "))
