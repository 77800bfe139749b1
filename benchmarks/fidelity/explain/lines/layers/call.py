"""A layer's fields, and a call with them, as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import msgspec

from benchmarks.fidelity.explain.question import Placed
from frameworks.spec.calls import NAMES, argument
from frameworks.spec.layers import Activation, Conv, applies, function_of, pair
from frameworks.spec.shapes import zeros_around
from frameworks.spec.weights import SCALED

# Keras' and Flax' initialisers of a stated deviation.
STATED = ("normal", "truncated_normal")
# Fields that only a line about them shows.
_FURTHER = {
    *("kernel_initializer", "bias_initializer", "gamma_initializer"),
    *("l2", "max_norm", "variance"),
}
# Left out where they are so: every framework's own when told nothing.
_SILENT = {
    **{"stride": 1, "dilation": 1, "groups": 1, "bias": True, "padding": 0},
    "gamma_initializer": "ones",
}


class Code(str):
    """A value that is code already."""


@dataclass(frozen=True)
class Call:
    """A framework's name of a layer, the fields that it takes by place, and others by its name."""

    name: str
    places: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)


def call(framework: str, kind: str, places: tuple[str, ...] = (), *fields: str) -> Call:
    """The call of a framework's layer.

    Args:
        places: the fields that it takes by place. fields: others.
    """
    own = {field: argument(framework, kind, field) for field in fields}
    return Call(NAMES[framework][kind], places, own)


def told(placed: Placed, show: str = "") -> dict[str, Any]:
    """A layer's fields under the specification's names, and `inputs` and `outputs`, channels or
    units; of the `_FURTHER` fields only the one to show."""
    layer = placed.layer
    found = msgspec.structs.asdict(layer) | {
        "inputs": placed.source[-1],
        "outputs": placed.target[-1],
    }
    if "stride" in found:
        found["stride"] = layer.steps if found["stride"] is None else found["stride"]
    for name in ("kernel", "stride", "dilation", "size"):
        if name in found:
            found[name] = short(pair(found[name]))
    return {
        name: value
        for name, value in found.items()
        if name == show or (name not in _FURTHER and applies(layer, name))
    }


def write(name: str, call: Call, values: Mapping[str, Any]) -> str:
    """`name = call(...)`; fields that are as in every framework when told nothing are left out."""
    given = [_text(values[one]) for one in call.places]
    given += [
        f"{argument}={_text(values[one])}"
        for one, argument in call.names.items()
        if one in values and values[one] != _SILENT.get(one)
    ]
    return f"{name} = {call.name}({', '.join(given)})"


def function(placed: Placed, calls: Mapping[str, Call], **more: Any) -> str:
    """The activation function of a layer by itself, with its parameter.

    `above` and `below` are the two sides of leaky_relu, for frameworks that do not agree at 0.
    """
    layer, values = placed.layer, {**told(placed), "x": Code("x"), "above": Code("x > 0")}
    if "negative_slope" in values:
        values["below"] = Code(f"{values['negative_slope']:.10g} * x")
    name = layer.name if isinstance(layer, Activation) else f"{layer.name}_activation"
    return write(name, calls[function_of(layer)], values | more)


def short(sides: tuple[Any, Any]) -> Any:
    """One value for two that are alike."""
    return sides[0] if sides[0] == sides[1] else sides


def padding(placed: Placed) -> Any:
    """Zeros of rows and of columns where both sides have as many, shortened; None elsewhere."""
    rows, columns = zeros_around(placed.layer, placed.source)
    if rows[0] != rows[1] or columns[0] != columns[1]:
        return None
    return short((rows[0], columns[0]))


def kernel_shape(placed: Placed) -> tuple[int, ...]:
    """(..., in, out) of a layer's kernel."""
    layer = placed.layer
    if isinstance(layer, Conv):
        return (*layer.kernel_size, placed.source[-1] // layer.group_count, placed.target[-1])
    return (placed.source[-1], placed.target[-1])


def has_word(initializer: str) -> bool:
    """Keras and Flax know an initialiser by the name that it has here."""
    return not initializer.endswith("fan_out") and initializer != "torch_uniform"


def scaling(initializer: str) -> str:
    """Arguments of Keras' and Flax' initialiser by scale, fan and distribution."""
    scale, fan = SCALED[initializer]
    form = "uniform" if "uniform" in initializer else "truncated_normal"
    return f'{Fraction(scale).limit_denominator(9)}, "{fan}", "{form}"'


def depthwise(placed: Placed) -> bool:
    """Each channel is convolved by itself."""
    layer = placed.layer
    return isinstance(layer, Conv) and layer.group_count == placed.source[-1] > 1


def _text(value: Any) -> str:
    if isinstance(value, Code):
        return value
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, float):
        return f"{value:.10g}"
    return repr(value)
