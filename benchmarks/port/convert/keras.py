"""A network as a functional Keras model."""

from __future__ import annotations

import re

from benchmarks.port.convert.flow import (
    LackingError,
    Step,
    Text,
    call,
    one_or_two,
    steps,
)
from benchmarks.port.operation import Listing

NAME = "make"
_PENALTY = re.compile(r"(L1|L2|L1L2|MaxNorm|NonNeg|UnitNorm)\((.*)\)")
_ACTIVATIONS = {
    **{name: name for name in ("relu", "tanh", "sigmoid", "silu", "selu", "softplus", "relu6")},
    **{"mish": "mish", "hardswish": "hard_silu", "hardsigmoid": "hard_sigmoid"},
    **{"softmax": "softmax", "log_softmax": "log_softmax"},
}


def module(listing: Listing, title: str) -> tuple[list[str], list[str]]:
    """Lines of the imports, and of a function NAME that makes the model.

    Raises:
        PortError: an operation has no plain form; it is named.
    """
    lines, shared = [], []
    inputs = "x = inputs"
    for step in steps(listing, title):
        if step.read[0] == "pictures":
            inputs = "pictures = inputs"
        with step.named(title, "keras"):
            before, layer = _layer(step)
            if step.flattens:
                before.append(f"x = layers.Flatten()({step.read[0]})")
        if step.again and step.one.parameters:
            if step.first:
                shared.append(f"    {step.name} = {layer}")
            layer = step.name
        lines += [f"    {line}" for line in before]
        x = step.read[0] if not before else "x"
        if len(step.read) > 1:
            x = f"[{', '.join(_read(step))}]"
        lines.append(f"    {step.into} = {layer}({x})")
    return ["import keras", "from keras import layers"], [
        f"def {NAME}():",
        *shared,
        f"    {inputs} = keras.Input({tuple(listing.input)})",
        *lines,
        "    return keras.Model(inputs, x)",
    ]


def _read(step: Step) -> list[str]:
    wide = any(len(shape) > 1 for shape in step.shapes)
    return [
        f"layers.Reshape(({'1, ' * step.rank}{shape[0]}))({name})"
        if wide and len(shape) == 1
        else name
        for name, shape in zip(step.read, step.shapes, strict=True)
    ]


def _layer(step: Step) -> tuple[list[str], str]:
    """Lines ahead of an operation, and the layer."""
    c, kind = step.constants, step.one.kind
    named = {"name": step.name} if step.one.parameters else {}
    match kind:
        case "conv" | "conv_transpose":
            return _conv(step, named)
        case "dense":
            return [], call("layers.Dense", c["units"], **_terms(c), **named)
        case "batch_norm" if c["momentum"] is not None:
            kept = {"momentum": round(c["momentum"], 12), "epsilon": c["epsilon"], **_affine(c)}
            return [], call("layers.BatchNormalization", **kept, **named)
        case "layer_norm":
            whole = {} if len(c["axes"]) == 1 else {"axis": [*range(1, step.rank + 2)]}
            kept = {**whole, "epsilon": c["epsilon"], **_affine(c)}
            return [], call("layers.LayerNormalization", **kept, **named)
        case "group_norm":
            kept = {"groups": c["groups"], "epsilon": c["epsilon"], **_affine(c)}
            return [], call("layers.GroupNormalization", **kept, **named)
        case "dropout":
            kind = f"SpatialDropout{step.rank}D" if c.get("per") == "channel" else "Dropout"
            shape = {"noise_shape": (None, *(1 for _ in step.given))}
            return [], call(
                f"layers.{kind}", c["rate"], **shape if c.get("per") == "picture" else {}
            )
        case "activation":
            return [], _activation(c)
        case "max_pool" | "average_pool":
            return _pool(step)
        case "add" | "subtract" | "multiply":
            return [], f"layers.{kind.title()}()"
        case "concatenate" if c["axis"] == "C":
            return [], "layers.Concatenate()"
        case "pad" if not c["value"]:
            return [], _zero_padding(step)
        case "rescale":
            return [], call("layers.Rescaling", c["scale"], c["offset"])
        case "resize" if not c.get("align_corners") and all(f == int(f) for f in c["factor"]):
            factor = one_or_two([int(f) for f in c["factor"]])
            method = {"interpolation": c["method"]} if step.rank == 2 else {}
            return [], call(f"layers.UpSampling{step.rank}D", factor, **method)
    raise LackingError(kind.replace("_", " "))


def _affine(c: dict) -> dict[str, bool]:
    return {name: False for name in ("scale", "center") if not c.get(name, True)}


def _terms(c: dict) -> dict:
    """Bias, regularizers and constraints."""
    found: dict = {} if c["bias"] else {"use_bias": False}
    for name, value in c.items():
        if name.endswith(("_regularizer", "_constraint")):
            if not _PENALTY.fullmatch(str(value)):
                raise LackingError(str(value))
            home = "regularizers" if name.endswith("regularizer") else "constraints"
            found[name] = Text(f"keras.{home}.{value}")
    return found


def _conv(step: Step, named: dict) -> tuple[list[str], str]:
    c = step.constants
    before: list[str] = []
    found: dict = {}
    if not step.usual("stride"):
        found["strides"] = one_or_two(c["stride"])
    if not step.usual("dilation"):
        found["dilation_rate"] = one_or_two(c["dilation"])
    if step.one.kind == "conv_transpose":
        if c["groups"] != 1:
            raise LackingError("a transposed convolution in groups")
        found |= _uncut(step)
        layer = f"layers.Conv{step.rank}DTranspose"
    else:
        if c["groups"] != 1:
            found["groups"] = c["groups"]
        before, padding = _zeros(step)
        found |= padding
        layer = f"layers.Conv{step.rank}D"
    return before, call(layer, c["filters"], one_or_two(c["kernel"]), **found, **_terms(c), **named)


def _uncut(step: Step) -> dict[str, str]:
    """Padding of a transposed convolution, as `keras_layers` reads it."""
    c = step.constants
    if not any(map(any, c["cut"])):
        return {}
    reach = [(k - 1) * d + 1 for k, d in zip(c["kernel"], c["dilation"], strict=True)]
    total = [max(r - s, 0) for r, s in zip(reach, c["stride"], strict=True)]
    if c["cut"] == [[n // 2, n - n // 2] for n in total]:
        return {"padding": "same"}
    raise LackingError(f"a transposed convolution that cuts {c['cut']}")


def _zeros(step: Step) -> tuple[list[str], dict[str, str]]:
    """Lines ahead of what reads a padded picture, and its own argument."""
    if not step.padded:
        return [], {}
    if step.same():
        return [], {"padding": "same"}
    return [f"x = {_zero_padding(step)}({step.read[0]})"], {}


def _zero_padding(step: Step) -> str:
    sides = step.zeros()
    return call(f"layers.ZeroPadding{step.rank}D", sides if step.rank > 1 else sides[0])


def _pool(step: Step) -> tuple[list[str], str]:
    c, kind = step.constants, step.one.kind
    word = "Max" if kind == "max_pool" else "Average"
    if step.whole:
        return [], f"layers.Global{word}Pooling{step.rank}D()"
    if "dilation" in c:
        raise LackingError("a dilated pool")
    before, padding = _zeros(step)
    if kind == "max_pool" and before and not step.positive:
        raise LackingError(f"max pool with padding {step.zeros()}")
    counted = c.get("count_padding", True)
    if kind == "average_pool" and step.padded and counted == bool(padding):
        raise LackingError(f"average pool with padding {step.zeros()}")
    stride = {} if c["stride"] == c["size"] else {"strides": one_or_two(c["stride"])}
    return before, call(
        f"layers.{word}Pooling{step.rank}D", one_or_two(c["size"]), **stride, **padding
    )


def _activation(c: dict) -> str:
    function = c["function"]
    if function == "leaky_relu":
        return call("layers.LeakyReLU", negative_slope=c["slope"])
    if function == "elu":
        return call("layers.ELU", alpha=c["alpha"])
    if function == "gelu" and c.get("approximate") not in (True, "tanh"):
        return 'layers.Activation("gelu")'
    if function not in _ACTIVATIONS:
        raise LackingError(function)
    return call("layers.Activation", _ACTIVATIONS[function])
