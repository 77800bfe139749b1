"""PyTorch's lines of learning-rate schedules (siblings: keras, flax)."""

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

_HOME = "torch.optim.lr_scheduler"


def schedule(recipe: Recipe) -> str:
    """The scheduler; its last line is called after each epoch or step."""
    when = "the steps of each epoch" if formula.per(recipe) == "epoch" else "each step"
    made = _whole(recipe)
    if not made:
        made = f"{formula.share(recipe)}\nscheduler = {_HOME}.LambdaLR(optimizer, share)"
    if "OneCycleLR" in made:
        more = f"if scheduler.last_epoch + 1 < {formula.length(recipe)}:  # after {when}"
        return f"{made}\n{more}\n    scheduler.step()"
    return f"{made}\nscheduler.step()  # after {when}"


def _whole(recipe: Recipe) -> str:
    """PyTorch's classes for the schedule with its warm-up; "" where it has none."""
    warm, after = recipe.warm_up, _after(recipe)
    if warm is None:
        return f"scheduler = {_HOME}.{after}" if after else ""
    # LinearLR refuses to start at 0; OneCycleLR changes the rate that the LinearLR begins from.
    if warm.start_factor == 0 or isinstance(recipe.schedule, OneCycle):
        return ""
    linear = f"LinearLR(optimizer, {float(warm.start_factor)!r}, total_iters={warm.length})"
    if recipe.schedule is None:
        return f"scheduler = {_HOME}.{linear}"
    if not after:
        return ""
    return f"""warm_up = {_HOME}.{linear}
after = {_HOME}.{after}
scheduler = {_HOME}.SequentialLR(optimizer, [warm_up, after], milestones=[{warm.length}])"""


def _after(recipe: Recipe) -> str:
    """PyTorch's class for the schedule alone; "" where it has none."""
    spec, long = recipe.schedule, formula.length(recipe)
    match spec:
        case Step():
            return f"StepLR(optimizer, {spec.every}, {spec.factor!r})"
        case MultiStep():
            return f"MultiStepLR(optimizer, {list(spec.at)}, {spec.factor!r})"
        case Exponential():
            root = "" if spec.every == 1 else f" ** (1 / {spec.every})"
            return f"ExponentialLR(optimizer, {spec.factor!r}{root})"
        case Cosine(after_end="rise"):
            return f"CosineAnnealingLR(optimizer, {long}, eta_min={spec.end_rate!r})"
        case CosineRestarts() if spec.rate_factor == 1 and spec.length_factor in range(1, 100):
            more = f"T_mult={int(spec.length_factor or 1)}, eta_min={spec.end_rate!r}"
            return f"CosineAnnealingWarmRestarts(optimizer, {long}, {more})"
        case Polynomial(end_rate=0.0):
            return f"PolynomialLR(optimizer, {long}, power={spec.power!r})"
        case OneCycle() if spec.rise * (spec.length or recipe.epochs) > 1:
            return (
                f"OneCycleLR(optimizer, {float(recipe.optimizer.rate)!r}, total_steps={long}, "
                f"pct_start={spec.rise!r}, div_factor={spec.start_divisor!r}, "
                f"final_div_factor={spec.end_divisor!r}, cycle_momentum=False)"
            )
        case _:
            return ""
