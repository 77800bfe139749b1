"""Optax' lines of learning-rate schedules (siblings: keras, torch)."""

from __future__ import annotations

from benchmarks.fidelity.explain.lines.schedules import formula
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


def schedule(recipe: Recipe) -> str:
    """The rate that an optimizer is made with: a function of the count of steps."""
    rate, warm = float(recipe.optimizer.rate), recipe.warm_up
    ahead, made = _after(recipe, rate)
    if warm is not None:
        start = f"{float(warm.start_factor)!r} * {rate!r}"
        linear = f"optax.linear_schedule({start}, {rate!r}, {warm.length})"
        made = linear
        if recipe.schedule is not None:
            ahead += f"after = {_after(recipe, rate)[1]}\n"
            made = f"optax.join_schedules([{linear}, after], [{warm.length}])"
    if formula.per(recipe) == "step":
        return f"{ahead}rate = {made}"
    return f"{ahead}by_epoch = {made}\nrate = lambda count: by_epoch(count // steps_per_epoch)"


def _after(recipe: Recipe, rate: float) -> tuple[str, str]:
    """The schedule alone: the lines ahead of it, and the expression."""
    spec, long, end = recipe.schedule, formula.length(recipe), formula.end(recipe)
    match spec:
        case Step() | Exponential():
            more = ", staircase=True" if isinstance(spec, Step) else ""
            return "", f"optax.exponential_decay({rate!r}, {spec.every}, {spec.factor!r}{more})"
        case MultiStep():
            scales = dict.fromkeys(spec.at, spec.factor)
            return "", f"optax.piecewise_constant_schedule({rate!r}, {scales})"
        case Cosine(after_end="stay"):
            return "", f"optax.cosine_decay_schedule({rate!r}, {long}, alpha={end})"
        case CosineRestarts():
            return _restarts(recipe, spec, rate), "optax.join_schedules(cycles, ends[:-1])"
        case Polynomial():
            last = float(spec.end_rate or 0)
            return "", f"optax.polynomial_schedule({rate!r}, {last!r}, {spec.power!r}, {long})"
        case Cosine() | OneCycle():
            rows = "\n    ".join(formula.curve(recipe, "jnp"))
            return f"import math\ndef curve(t):\n    {rows}\n", f"lambda t: {rate!r} * curve(t)"
        case None:
            return "", repr(rate)


def _restarts(recipe: Recipe, spec: CosineRestarts, rate: float) -> str:
    """The cycles of the training and where they end; optax has no endless row of them."""
    last, factor = float(spec.end_rate), f"{spec.rate_factor!r} ** len(cycles)"
    whole = "" if formula.per(recipe) == "epoch" else " * steps_per_epoch"
    return f"""cycles, ends, length = [], [], {spec.length}
while sum(ends[-1:]) < {recipe.epochs}{whole}:
    peak = {last!r} + ({rate!r} - {last!r}) * {factor}
    cycles.append(optax.cosine_decay_schedule(peak, length, alpha={last!r} / peak))
    ends.append(sum(ends[-1:]) + length)
    length = length * {spec.length_factor!r}
"""
