"""The layers that have a difference which is not a field of `frameworks.spec.defaults`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.fidelity.explain.effects import EFFECTS
from benchmarks.fidelity.explain.lines.layers.call import depthwise
from benchmarks.fidelity.explain.question import Placed, Question
from frameworks.spec.layers import function_of, pair
from frameworks.spec.normalization import is_open


def _apart(asked: Question, part: Placed) -> bool:
    """Its zeros are not those of the frameworks' nearest word."""
    return EFFECTS["asymmetry"](asked, part, {}).times > 1


# Whether a layer has the difference, and what is said when none has.
HAS: Mapping[str, tuple[Callable[[Question, Placed], bool], str]] = {
    "conv.padding": (
        lambda asked, one: (
            max(one.layer.reach) > 1 and f"{one.layer.name}.padding" not in asked.stated
        ),
        "every layer states it, or its kernel is no wider than a pixel",
    ),
    "conv.odd_zero_of_same_at_stride_2": (
        lambda asked, one: (
            one.layer.padding == "same" and max(pair(one.layer.stride)) > 1 and _apart(asked, one)
        ),
        'no layer has "same" padding, a stride, and zeros that cannot be halved',
    ),
    "pool.same": (
        lambda asked, one: one.layer.padding == "same" and _apart(asked, one),
        'no pool has "same" padding and zeros that cannot be halved',
    ),
    "average_pool at the edge": (
        lambda asked, one: EFFECTS["copied_edge"](asked, one, {}).times > 1,
        'no average pool has "same" padding and zeros to put',
    ),
    "leaky_relu at zero": (
        lambda asked, one: function_of(one.layer) == "leaky_relu",
        "no layer has a leaky_relu",
    ),
    "padding in numbers": (
        lambda asked, one: not isinstance(one.layer.padding, str) and _apart(asked, one),
        'no layer pads by a number that differs from what "same" puts there',
    ),
    "max_pool.stride": (
        lambda asked, one: (
            max(pair(one.layer.size)) > 1 and f"{one.layer.name}.stride" not in asked.stated
        ),
        "there is no pool, or every pool states it",
    ),
    "adaptive_pool.parts": (
        lambda asked, one: EFFECTS["cut"](asked, one, {}).times > 1,
        "there is no such pool, or its parts are alike and any pool has them",
    ),
    "layer_norm.axis": (
        lambda asked, one: len(one.source) == 3,
        "no layer norm of pictures",
    ),
    "batch_norm.gamma_initializer": (
        lambda asked, one: one.layer.gamma_initializer == "zeros",
        "every gamma starts at 1, as in every framework",
    ),
    "conv.depthwise": (lambda asked, one: depthwise(one), "no layer convolves each channel alone"),
    "dropout.per": (
        lambda asked, one: one.layer.mask_shape(one.source) != one.source,
        "no dropout, or of single values",
    ),
    "normalize.deviation": (
        lambda asked, one: not is_open(asked.given(one.layer.name)),
        "no layer states mean and deviation",
    ),
    "normalize by the galaxies": (
        lambda asked, one: is_open(asked.given(one.layer.name)),
        "no layer leaves mean and deviation open",
    ),
    "flatten.order": (
        lambda asked, one: len(one.source) == 3 and 1 not in (one.source[2], max(one.source[:2])),
        "one pixel or one channel is flattened: every order is the same",
    ),
    "mode of a bare call": (
        lambda asked, one: getattr(one.layer, "rate", 1) > 0,
        "neither batch norm nor dropout",
    ),
    "frozen batch norm": (
        lambda asked, one: one.layer.name in asked.frozen,
        "no batch norm is frozen",
    ),
    "dropout masks": (lambda asked, one: one.layer.rate > 0, "nothing is dropped"),
    "max_norm": (lambda asked, one: one.layer.max_norm is not None, "no layer states one"),
    "l2": (lambda asked, one: one.layer.l2 > 0, "no layer states one"),
}
