"""Order of differences: what a question states and frameworks take otherwise goes ahead.

Whoever states a value believes it settled; what is left open is open in every port. So what is
stated comes first, unless its effect is computed to be below a quarter: R7 found differences of
that size not beyond chance. What is a hundred times apart comes first too, stated or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from benchmarks.fidelity.explain.effect import Effect
from benchmarks.fidelity.explain.question import Placed, Question

_QUARTER, _HUNDRED = 1.25, 100.0


def first(effect: Effect, stated: bool) -> bool:
    """True of a difference to look at ahead of larger ones; an effect without words is unknown."""
    small = bool(effect.words) and effect.times < _QUARTER
    return (stated and not small) or effect.times >= _HUNDRED


def states(names: Sequence[str], question: Question, parts: Iterable[Placed | None]) -> bool:
    """True if the question states one of these fields, in one of these layers or (None) in the
    recipe or its optimizer."""
    recipe = question.recipe
    return any(
        f"{part.layer.name}.{name}" in question.stated
        if part
        else any(_is_stated(of, name) for of in (recipe, recipe.optimizer))
        for part in parts
        for name in names
    )


def _is_stated(of: msgspec.Struct, name: str) -> bool:
    """True if a recipe or an optimizer has this field, and not at its default."""
    defaults = {field.name: field.default for field in msgspec.structs.fields(of)}
    return name in defaults and getattr(of, name) != defaults[name]
