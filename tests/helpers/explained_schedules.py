"""Runs the lines that `--explain` prints of schedules, and holds the rate of each step against the
project's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import numpy as np

from benchmarks.fidelity.explain.question import Question
from frameworks.spec import schedules
from frameworks.spec.defaults import fill_recipe
from frameworks.spec.recipe import SGD, Recipe
from frameworks.spec.schedules import (
    Cosine,
    CosineRestarts,
    Exponential,
    MultiStep,
    OneCycle,
    Per,
    Polynomial,
    Schedule,
    Step,
    WarmUp,
)
from tests.helpers.line_adapters import Adapter

_EPOCHS, _STEPS, _RATE = 8, 3, 0.5


def recipes() -> Iterator[Recipe]:
    """Every schedule by epoch and by step, one of the two behind a warm-up; and warm-ups alone."""
    for number, per in enumerate(get_args(Per)):
        warm = WarmUp(length=2, per=per, start_factor=0.25)
        for place, schedule in enumerate(_schedules(per)):
            yield _recipe(schedule, warm if (place + number) % 2 else None)
        yield _recipe(None, warm)
        yield _recipe(Cosine(per=per), WarmUp(length=3, per=per, start_factor=0.0))


def _schedules(per: Any) -> Iterator[Schedule]:
    yield Step(per=per, every=3, factor=0.3)
    yield MultiStep(per=per, at=(1, 5), factor=0.25)
    yield Exponential(per=per, factor=0.8)
    yield Exponential(per=per, factor=0.6, every=3)
    yield Cosine(per=per)
    yield Cosine(per=per, length=5, end_rate=0.01)
    yield Cosine(per=per, length=5, end_rate=0.01, after_end="rise")
    yield CosineRestarts(per=per, length=2, length_factor=2.0, end_rate=0.01)
    yield CosineRestarts(per=per, length=3, length_factor=1.0)
    yield CosineRestarts(per=per, length=2, length_factor=1.5, rate_factor=0.5, end_rate=0.01)
    yield Polynomial(per=per)
    yield Polynomial(per=per, length=5, power=2.0, end_rate=0.02)
    yield OneCycle(per=per)
    yield OneCycle(per=per, length=6, rise=0.5, start_divisor=5.0, end_divisor=10.0)
    yield OneCycle(per=per, length=6, rise=0.0)
    yield OneCycle(per=per, length=6, rise=1.0)


def _recipe(schedule: Schedule | None, warm_up: WarmUp | None) -> Recipe:
    optimizer = SGD(learning_rate=_RATE)
    return fill_recipe(
        Recipe(optimizer=optimizer, epochs=_EPOCHS, schedule=schedule, warm_up=warm_up)
    )


def check(adapter: Adapter, code: str, place: Any, question: Question) -> None:
    """The rates of all steps, in float32 where they are computed so; and of two epochs beyond the
    last, but where the row of restarts ends with the training."""
    recipe = question.filled
    ends = adapter.kind != "torch" and isinstance(recipe.schedule, CosineRestarts)
    epochs = _EPOCHS if ends else _EPOCHS + 2
    found = adapter.rates(code, recipe.optimizer.rate, epochs, _STEPS)
    rates = [schedules.rates(recipe, _STEPS, number) for number in range(1, epochs + 1)]
    rtol, atol = (1e-11, 1e-12) if adapter.kind == "torch" else (2e-6, 5e-8)
    np.testing.assert_allclose(found, np.concatenate(rates), rtol=rtol, atol=atol)
