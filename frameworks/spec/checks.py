"""Checks of a layer list that its types cannot make: ranges, order, fields that belong together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from frameworks.spec.graph import inner
from frameworks.spec.layers import (
    BLOCKS,
    PARAMETER_OF,
    Activation,
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    AveragePool,
    BatchNorm,
    Concatenate,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    GroupNorm,
    Layer,
    MaxPool,
    Normalize,
    Scale,
    counts_classes,
    function_of,
    pair,
)
from frameworks.spec.reading import SpecificationError
from frameworks.spec.words import PART_OF_THE_LOSS
from results.words import count

_PICTURES = (Conv, MaxPool, AveragePool, AdaptiveAveragePool, AdaptiveMaxPool, GroupNorm, *BLOCKS)
MOST = 1_000_000  # filters, units, pixels of a kernel: beyond it the number is a slip
_COUNTS = ("filters", "kernel", "stride", "size", "units", "dilation", "groups")


def check_layers(layers: Sequence[Layer], origin: str) -> None:
    """Raise SpecificationError for the first layer that is out of range or out of place.

    Args:
        layers: named; the output layer is the last.
        origin: names the file in messages.
    """
    names: set[str] = set()
    flat = False
    for index, (place, layer, block) in enumerate(_each(layers)):
        fail = _Failure(layer, place, origin)
        full = block + layer.name
        if full in names:
            fail("name", f"'{layer.name}' is used twice; names must differ.")
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", layer.name):
            fail("name", f"'{layer.name}' must be letters, digits and '_' only.")
        names.add(full)
        _check_ranges(layer, fail)
        _check_parameters(layer, fail)
        flat = _check_order(layer, fail, flat, first=index == 0, inside=bool(block))
    _check_output(layers, origin)


class _Failure:
    """Raises for a field of one layer."""

    def __init__(self, layer: Layer, place: str, origin: str) -> None:
        kind = layer.__struct_config__.tag
        self.where = f"{origin}: layer {place} ({kind})"

    def __call__(self, field: str, problem: str) -> NoReturn:
        raise SpecificationError(f"{self.where}, field '{field}': {problem}")


def _each(
    layers: Sequence[Layer], place: str = "", block: str = ""
) -> Iterator[tuple[str, Layer, str]]:
    """(place in the file, layer, prefix of its name) of every layer, those of blocks after it."""
    for index, layer in enumerate(layers, start=1):
        here = f"{place}{index}"
        yield here, layer, block
        if isinstance(layer, BLOCKS):
            for one in inner(layer):
                yield from _each(one.layers, f"{here}.{one.place}.", f"{block}{layer.name}_")


def _check_ranges(layer: Layer, fail: _Failure) -> None:
    for field in _COUNTS:
        value = getattr(layer, field, None)
        numbers = value if isinstance(value, tuple) else (value,)
        if any(isinstance(number, int) and number < 1 for number in numbers):
            fail(field, f"is {_written(value)}; must be at least 1.")
        if any(isinstance(number, int) and number > MOST for number in numbers):
            fail(field, f"is {_written(value)}; must be at most {MOST:,}.")
    if isinstance(layer, Concatenate) and len(layer.branches) < 2:
        fail("branches", f"has {len(layer.branches)}; at least 2, of which one may be [], for x.")
    if isinstance(layer, Conv) and max(pair(layer.stride)) > 1 < max(pair(layer.dilation)):
        fail("dilation", "goes with stride = 1 alone: Keras has no strided dilated convolution.")
    padding = getattr(layer, "padding", "valid")
    if not isinstance(padding, str):
        sides = [n for side in _sides(padding) for n in side]
        if min(sides) < 0:
            fail("padding", f"is {_written(padding)}; must be at least 0.")
        if max(sides) > MOST:
            fail("padding", f"is {_written(padding)}; must be at most {MOST:,}.")
        if isinstance(layer, MaxPool | AveragePool):
            size = pair(layer.size)
            if any(max(s) > n // 2 for s, n in zip(_sides(padding), size, strict=True)):
                fail("padding", f"is {_written(padding)}; at most half the size of the window.")
    if isinstance(layer, Dropout) and not 0 <= layer.rate < 1:
        fail("rate", f"is {layer.rate}; must be in [0, 1).")
    if isinstance(layer, Conv | Dense) and not 0 <= layer.l2 < float("inf"):
        fail("l2", f"is {layer.l2}; must be finite and not negative.")
    for field in ("max_norm", "epsilon", "alpha", "kernel_deviation"):
        value = getattr(layer, field, None)
        if value is not None and not 0 < value < float("inf"):
            fail(field, f"is {value}; must be finite and positive.")
    if isinstance(layer, Scale) and not abs(layer.initial) < float("inf"):
        fail("initial", f"is {layer.initial}; must be finite.")
    slope = getattr(layer, "negative_slope", None)
    if slope is not None and not 0 < slope < 1:
        fail("negative_slope", f"is {slope}; must be between 0 and 1; with 0 it is relu.")
    momentum = getattr(layer, "momentum", None)
    if momentum is not None and not 0 <= momentum < 1:
        fail("momentum", f"is {momentum}; the weight on the old value, in [0, 1).")
    if isinstance(layer, Normalize):
        if len(layer.mean) != len(layer.deviation):
            fail(
                "deviation",
                f"has {count(len(layer.deviation), 'value')}, mean has {len(layer.mean)}.",
            )
        if any(not 0 < value < float("inf") for value in layer.deviation):
            fail("deviation", f"is {list(layer.deviation)}; must be finite and positive.")
        if any(not abs(value) < float("inf") for value in layer.mean):
            fail("mean", f"is {list(layer.mean)}; must be finite.")


def _check_parameters(layer: Layer, fail: _Failure) -> None:
    """A parameter of an activation function or initialiser stands beside that one alone."""
    if isinstance(layer, Conv | Dense):
        drawn, stated = layer.kernel_initializer, layer.kernel_deviation is not None
        if drawn == "normal" and not stated:
            fail("kernel_deviation", "is not stated; normal needs one, such as 0.01.")
        if stated and drawn not in ("normal", "truncated_normal"):
            fail("kernel_deviation", 'belongs to kernel_initializer = "normal" (or truncated).')
    for field, function in PARAMETER_OF.items():
        if getattr(layer, field, None) is not None and function_of(layer) != function:
            where = "function" if isinstance(layer, Activation) else "activation"
            fail(field, f'belongs to {where} = "{function}", not to "{function_of(layer)}".')


def _check_order(layer: Layer, fail: _Failure, flat: bool, *, first: bool, inside: bool) -> bool:
    """True if the output is flat; fails if a layer does not take the output before it."""
    if isinstance(layer, Normalize) and not first:
        fail("type", "normalises the pictures: it is the first layer or none.")
    if inside and counts_classes(layer):
        field = "units" if isinstance(layer, Dense) else "filters"
        fail(field, "'classes' belongs to the last layer alone.")
    if isinstance(layer, Flatten | GlobalAveragePool | GlobalMaxPool):
        if flat:
            second = "a second flatten; one is enough."
            flattens = isinstance(layer, Flatten)
            fail("type", second if flattens else "needs an image, but it was flattened before.")
        if inside:
            remedy = "flatten them after it, or average with adaptive_average_pool, size = 1"
            fail("type", f"a block ends in images; {remedy}.")
        return True
    if isinstance(layer, Dense) and not flat:
        fail("type", "a dense layer needs a flatten layer (or a global pool) before it.")
    if isinstance(layer, _PICTURES) and flat:
        fail("type", "needs an image, but a flatten layer came before it.")
    return flat


def _check_output(layers: Sequence[Layer], origin: str) -> None:
    """The network ends in a dense layer of the classes, or in a convolution of them that a global
    pool (or a flatten) ends; a batch norm and an activation function may stand between the two."""
    of_classes = [place for place, layer in enumerate(layers, start=1) if counts_classes(layer)]
    for place in of_classes[:-1]:
        field = "units" if isinstance(layers[place - 1], Dense) else "filters"
        fail = _Failure(layers[place - 1], str(place), origin)
        fail(field, "'classes' belongs to the last layer alone.")
    after = layers[of_classes[-1] :] if of_classes else ()
    output = layers[of_classes[-1] - 1] if of_classes else None
    ends = all(
        isinstance(one, GlobalAveragePool | GlobalMaxPool | Flatten)
        or (isinstance(output, Conv) and isinstance(one, BatchNorm | Activation))
        for one in after
    )
    place = len(layers)
    fail = _Failure(layers[-1], str(place), origin)
    if not of_classes or not ends:
        remedy = 'the last layer must be a dense layer with units = "classes"'
        if isinstance(layers[-1], Dense) and not of_classes:
            given = layers[-1].units
            fail("units", f"is {given}; {remedy}: the data set says how many there are.")
        fail("type", f'{remedy} (or a conv with filters = "classes", then a global pool).')
    if isinstance(output, Conv) and (not after or isinstance(layers[-1], BatchNorm | Activation)):
        fail = _Failure(output, str(of_classes[-1]), origin)
        fail("filters", "the classes are pictures; end with a global pool or a flatten.")
    if output is not None and function_of(output) != "linear":
        fail = _Failure(output, str(of_classes[-1]), origin)
        fail("activation", f"{PART_OF_THE_LOSS}.")


def _sides(padding: Any) -> list[tuple[int, int]]:
    both = padding if isinstance(padding, tuple) else (padding, padding)
    return [pair(side) for side in both]


def _written(value: object) -> str:
    """A value as TOML has it: lists in brackets."""
    if isinstance(value, tuple):
        return "[" + ", ".join(_written(one) for one in value) + "]"
    return str(value)
