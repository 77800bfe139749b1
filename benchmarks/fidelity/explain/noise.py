"""Sizes of differences that are seen on noise, by the reference's layers (see `effects`)."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, cast

import msgspec
import numpy as np

from benchmarks.fidelity.explain.effect import Effect, Values, furthest
from benchmarks.fidelity.explain.question import Placed, Question
from frameworks.numpy import layers as reference
from frameworks.numpy.activations import activate
from frameworks.spec.layers import AveragePool, Conv, MaxPool, Pair, Zeros, function_of, pair
from frameworks.spec.shapes import same_padding, windows, zeros_around


def asymmetry(question: Question, part: Placed, values: Values) -> Effect:
    """The output on noise as it is padded, against the nearest that another framework has.

    Of "same" as many zeros on both sides, size // 2; of numbers "same".
    """
    layer, source = part.layer, part.source
    reach, steps = windows(layer)
    mine = zeros_around(layer, source)
    if layer.padding == "same":
        theirs = tuple((width // 2, width // 2) for width in reach)
    else:
        sides = zip(source[:2], reach, steps, strict=True)
        theirs = tuple(same_padding(*side) for side in sides)
    zeros = "; ".join(f"{before} before, {last} after" for before, last in mine)
    if mine == theirs or not any(map(any, mine)):
        return Effect(1.0, "")
    apart = _apart(layer, source[:2], mine, theirs)
    words = f"computed: on noise the output is apart by {100 * apart:.0f} %; zeros: {zeros}"
    return Effect(1 + apart, words)


@cache
def _apart(layer: Any, size: Pair, mine: Zeros, theirs: Zeros) -> float:
    """Distance that other zeros around a noisy picture move a layer's output."""
    generator, picture = np.random.default_rng(1), _noise(size)
    changes: dict[str, Any] = {}
    parts = {}
    if isinstance(layer, Conv):
        parts = {"kernel": generator.normal(size=(*layer.kernel_size, 1, 1))}
        changes = {"filters": 1, "groups": 1, "activation": "linear"}
    one, other = (
        reference.apply(
            msgspec.structs.replace(layer, padding=zeros, **changes), picture, parts, training=False
        ).output
        for zeros in (mine, theirs)
    )
    rows, columns = (min(two) for two in zip(one.shape[1:3], other.shape[1:3], strict=True))
    one, other = one[:, :rows, :columns], other[:, :rows, :columns]
    return float(np.linalg.norm(one - other) / np.linalg.norm(one))


def function(question: Question, part: Placed, values: Values) -> Effect:
    """An activation function on noise, its parameter as each framework has it."""
    field, noise = str(values["field"]), np.random.default_rng(0).normal(size=4096)
    told = {name: value for name, value in values.items() if name != "field"}
    given = {
        value: activate(msgspec.structs.replace(part.layer, **{field: value}), noise, None)[0]
        for value in set(told.values())
    }
    apart = furthest(list(given.values()))
    words = f"computed: on noise {function_of(part.layer)} is apart by {100 * apart:.2g} %"
    return Effect(1 + apart, words)


def copied_edge(question: Question, part: Placed, values: Values) -> Effect:
    """Means of noise whose edge is copied outwards, against means of what is within."""
    layer, size = part.layer, part.source[:2]
    zeros = zeros_around(layer, part.source)
    if layer.padding != "same" or not any(map(any, zeros)):
        return Effect()
    picture = _noise(size)
    around = np.pad(picture, ((0, 0), *zeros, (0, 0)), mode="edge")
    one, other = (
        reference.apply(
            msgspec.structs.replace(layer, padding=how, count_padding=False), x, {}, training=False
        ).output
        for how, x in (("same", picture), ("valid", around))
    )
    apart = furthest([one, other])
    return Effect(1 + apart, f"computed: on noise the output is apart by {100 * apart:.2g} %")


def _noise(size: tuple[int, ...]) -> np.ndarray:
    """Pictures of one channel, as many as give a steady mean."""
    pictures = max(1, 4096 // math.prod(size))
    return np.random.default_rng(0).normal(size=(pictures, *size, 1))


def counted(question: Question, part: Placed, values: Values) -> Effect:
    """A window at the border over all of its places, against those within the picture."""
    ones = np.ones((1, *part.source[:2], 1))
    whole = msgspec.structs.replace(part.layer, count_padding=True)
    least = float(reference.apply(whole, ones, {}, training=False).output.min())
    words = f"computed: at the border a mean is up to {1 / least:.3g} times as large"
    return Effect(1 / least, words)


def cut(question: Question, part: Placed, values: Values) -> Effect:
    """Parts of an axis against plain windows of n // size pixels, on noise."""
    size, source = pair(part.layer.size), part.source[:2]
    if not any(n % count for n, count in zip(source, size, strict=True)):
        return Effect()
    picture = _noise(source)
    kind = MaxPool if part.kind == "adaptive_max_pool" else AveragePool
    window = tuple(max(n // count, 1) for n, count in zip(source, size, strict=True))
    layers = part.layer, kind(size=cast("Pair", window))
    one, other = (reference.apply(one, picture, {}, training=False).output for one in layers)
    other = other[:, : size[0], : size[1]]
    if one.shape != other.shape:
        return Effect(float("inf"), "computed: another shape")
    apart = furthest([one, other])
    return Effect(1 + apart, f"computed: on noise the output is apart by {100 * apart:.0f} %")
