"""Schedules and warm-ups as formulas, for what a framework has no class of."""

from __future__ import annotations

from frameworks.spec.recipe import Recipe
from frameworks.spec.schedules import (
    Cosine,
    CosineRestarts,
    Exponential,
    MultiStep,
    OneCycle,
    Polynomial,
    Step,
)


def per(recipe: Recipe) -> str:
    """Unit that the recipe's schedule and warm-up count: "epoch" or "step"."""
    return next(part.per for part in (recipe.schedule, recipe.warm_up) if part is not None)


def length(recipe: Recipe) -> str:
    """The length of the schedule as code: as stated, or what the warm-up leaves of the training."""
    stated = getattr(recipe.schedule, "length", None)
    if stated is not None:
        return str(stated)
    warm = recipe.warm_up.length if recipe.warm_up else 0
    if per(recipe) == "epoch":
        return str(max(1, recipe.epochs - warm))
    whole = f"{recipe.epochs} * steps_per_epoch"
    return f"max(1, {whole} - {warm})" if warm else whole


def end(recipe: Recipe) -> str:
    """The rate at the schedule's end as a share of the optimizer's, as code."""
    rate = float(getattr(recipe.schedule, "end_rate", 0.0) or 0.0)
    return f"{rate!r} / {float(recipe.optimizer.rate)!r}" if rate else "0.0"


def share(recipe: Recipe) -> str:
    """A Python function `share(t)`: the rate over the optimizer's after t epochs or steps."""
    lines, warm = [], recipe.warm_up
    if warm is not None:
        lines += [f"if t < {warm.length}:", f"    return {ramp(recipe)}"]
    if warm is not None and recipe.schedule is not None:
        lines.append(f"t = t - {warm.length}")
    body = "\n    ".join([*lines, *_python(recipe)])
    ahead = "import math\n" if "math." in body else ""
    return f"{ahead}def share(t):\n    {body}"


def ramp(recipe: Recipe) -> str:
    """The warm-up's share of the rate at t, as code."""
    assert recipe.warm_up is not None
    start = float(recipe.warm_up.start_factor)
    return f"{start!r} + (1 - {start!r}) * t / {recipe.warm_up.length}"


def _python(recipe: Recipe) -> list[str]:
    """The statements that return the schedule's share at t."""
    schedule, long = recipe.schedule, length(recipe)
    match schedule:
        case None:
            return ["return 1.0"]
        case Step():
            return [f"return {schedule.factor!r} ** (t // {schedule.every})"]
        case MultiStep():
            return [f"return {schedule.factor!r} ** sum(t >= at for at in {list(schedule.at)})"]
        case Exponential():
            return [f"return {schedule.factor!r} ** (t / {schedule.every})"]
        case Cosine(after_end="stay"):
            return [
                f"end, length = {end(recipe)}, {long}",
                "return end + (1 - end) * (1 + math.cos(math.pi * min(t, length) / length)) / 2",
            ]
        case CosineRestarts():
            more = f"length * {schedule.length_factor!r}, height * {schedule.rate_factor!r}"
            return [
                f"end, length = {end(recipe)}, {long}",
                "height = 1 - end",
                "while t >= length:",
                f"    t, length, height = t - length, {more}",
                "return end + height * (1 + math.cos(math.pi * t / length)) / 2",
            ]
        case Polynomial():
            return [
                f"end, length = {end(recipe)}, {long}",
                f"return end + (1 - end) * (1 - min(t, length) / length) ** {schedule.power!r}",
            ]
        case Cosine() | OneCycle():
            return curve(recipe)


def curve(recipe: Recipe, library: str = "") -> list[str]:
    """Statements that return the share at t of a schedule that Keras and optax have not, or not
    exactly: a cosine that rises again, PyTorch's single cycle, restarts.

    library: what has `cos`, `minimum` and `where` of a tensor t; "" of a number.
    """
    schedule, long = recipe.schedule, length(recipe)
    cos = f"{library or 'math'}.cos"
    if isinstance(schedule, CosineRestarts):
        whole = f"{recipe.epochs}" + ("" if per(recipe) == "epoch" else " * steps_per_epoch")
        more = f"length * {schedule.length_factor!r}, height * {schedule.rate_factor!r}"
        return [
            f"end, length, begin, value = {end(recipe)}, {long}, 0, 1.0",
            "height = 1 - end",
            f"while begin < {whole}:",
            f"    cycle = end + height * (1 + {cos}(math.pi * (t - begin) / length)) / 2",
            f"    value = {library}.where(t >= begin, cycle, value)",
            f"    begin, length, height = begin + length, {more}",
            "return value",
        ]
    if not isinstance(schedule, OneCycle):
        return [
            f"end, length = {end(recipe)}, {long}",
            f"return end + (1 - end) * (1 + {cos}(math.pi * t / length)) / 2",
        ]
    least = f"{library}.minimum" if library else "min"
    start = f"1 / {schedule.start_divisor!r}"
    rows = [
        f"start, end = {start}, {start} / {schedule.end_divisor!r}",
        f"length = {long}",
        f"top, last = max({schedule.rise!r} * length - 1, 0), length - 1",
        f"up = start + (1 - start) * (1 - {cos}(math.pi * t / max(top, 1e-9))) / 2",
        f"past = {least}(1.0, (t - top) / max(last - top, 1e-9))",
        f"down = end + (1 - end) * (1 + {cos}(math.pi * past)) / 2 if last > top else 1.0",
    ]
    chosen = f"{library}.where(t < top, up, down)" if library else "up if t < top else down"
    return [*rows, f"return {chosen}"]
