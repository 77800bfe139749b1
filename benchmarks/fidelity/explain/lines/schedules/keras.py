"""Keras' lines of learning-rate schedules (siblings: torch, flax)."""

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

_HOME = "keras.optimizers.schedules"


def schedule(recipe: Recipe) -> str:
    """The rates of the recipe: by epoch a callback of fit, by step what the optimizer holds."""
    whole = _whole(recipe)
    rate = float(recipe.optimizer.rate)
    if formula.per(recipe) == "step":
        if whole:
            return f"optimizer.learning_rate = {whole}"
        return f"{_own_class(recipe, rate)}\noptimizer.learning_rate = Rate()"
    ahead = f"decay = {whole}" if whole else formula.share(recipe)
    called = "float(decay(epoch))" if whole else f"{rate!r} * share(epoch)"
    made = f"keras.callbacks.LearningRateScheduler(lambda epoch: {called})"
    return f"{ahead}\nscheduler = {made}  # in fit(callbacks=[scheduler])"


def _whole(recipe: Recipe) -> str:
    """Keras' class for the schedule with its warm-up; "" where it has none."""
    warm, rate = recipe.warm_up, float(recipe.optimizer.rate)
    if warm is None:
        return _after(recipe)
    start = f"{float(warm.start_factor)!r} * {rate!r}"
    if recipe.schedule is None:
        return f"{_HOME}.PolynomialDecay({start}, {warm.length}, end_learning_rate={rate!r})"
    if not isinstance(recipe.schedule, Cosine) or recipe.schedule.after_end == "rise":
        return ""
    more = f"warmup_target={rate!r}, warmup_steps={warm.length}"
    decay_steps = formula.length(recipe)
    return f"{_HOME}.CosineDecay({start}, {decay_steps}, alpha={formula.end(recipe)}, {more})"


def _after(recipe: Recipe) -> str:
    """Keras' class for the schedule alone; "" where it has none."""
    rate, spec, long = float(recipe.optimizer.rate), recipe.schedule, formula.length(recipe)
    end = f"alpha={formula.end(recipe)}"
    match spec:
        case Step():
            more = f"{spec.every}, {spec.factor!r}, staircase=True"
            return f"{_HOME}.ExponentialDecay({rate!r}, {more})"
        case MultiStep():
            boundaries = [at - 1 for at in spec.at]
            values = f"[{rate!r} * {spec.factor!r}**n for n in range({len(spec.at) + 1})]"
            return f"{_HOME}.PiecewiseConstantDecay({boundaries}, {values})"
        case Exponential():
            return f"{_HOME}.ExponentialDecay({rate!r}, {spec.every}, {spec.factor!r})"
        case Cosine(after_end="stay"):
            return f"{_HOME}.CosineDecay({rate!r}, {long}, {end})"
        # It finds a restart by logarithms in float32: of a growing length it may come a step late.
        case CosineRestarts(length_factor=1.0):
            more = f"t_mul={spec.length_factor!r}, m_mul={spec.rate_factor!r}"
            return f"{_HOME}.CosineDecayRestarts({rate!r}, {long}, {more}, {end})"
        case Polynomial():
            more = f"end_learning_rate={float(spec.end_rate or 0)!r}, power={spec.power!r}"
            return f"{_HOME}.PolynomialDecay({rate!r}, {long}, {more})"
        case Cosine() | CosineRestarts() | OneCycle() | None:
            return ""


def _own_class(recipe: Recipe, rate: float) -> str:
    """A class `Rate` for what Keras has none of: counted in steps."""
    after, warm = _after(recipe), recipe.warm_up
    rows = () if after else formula.curve(recipe, "keras.ops")
    curve = "\n    ".join(["import math\ndef curve(t):", *rows])
    ahead = f"decay = {after}\n" if after else f"{curve}\n"
    later = f"keras.ops.maximum(t - {warm.length}, 0.0)" if warm else "t"
    value = f"decay({later})" if after else f"{rate!r} * curve({later})"
    if warm is not None:
        value = f"keras.ops.where(t < {warm.length}, {rate!r} * ({formula.ramp(recipe)}), {value})"
    return f"""{ahead}class Rate({_HOME}.LearningRateSchedule):
    def __call__(self, step):
        t = keras.ops.cast(step, "float32")
        return {value}"""
