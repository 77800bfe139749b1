"""Learning rates as a function of the step: computed here once and given to every framework.

A schedule counts in epochs or in steps (`per`), from 0, after the warm-up if there is one. In every
framework the first step has the rate of 0.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from frameworks.spec.reading import SpecificationError

if TYPE_CHECKING:
    import numpy as np

    from frameworks.spec.recipe import Recipe

Per = Literal["epoch", "step"]
AfterEnd = Literal["stay", "rise"]
T = TypeVar("T")
# A velocity may hold the rate (Keras'), and could not be carried over a rate of exactly 0.
SMALLEST = 2.0**-40  # of the optimizer's rate: no rate is less


class _Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="name"):
    """Base of the schedules: the unit that they count in."""

    per: Per = "epoch"


class Step(_Schedule, frozen=True, tag="step", kw_only=True):
    """The rate times `factor` after every so many epochs or steps (PyTorch's StepLR, Keras'
    ExponentialDecay with `staircase`)."""

    every: int
    factor: float = 0.1


class MultiStep(_Schedule, frozen=True, tag="multi_step", kw_only=True):
    """The rate times `factor` from each of these epochs or steps on (PyTorch's MultiStepLR, optax'
    piecewise_constant_schedule; Keras' PiecewiseConstantDecay changes one later)."""

    at: tuple[int, ...]
    factor: float = 0.1


class Exponential(_Schedule, frozen=True, tag="exponential", kw_only=True):
    """The rate times `factor` to the power of t / `every` (ExponentialLR, ExponentialDecay)."""

    factor: float
    every: int = 1


class Cosine(_Schedule, frozen=True, tag="cosine", kw_only=True):
    """Half a cosine from the rate to `end_rate` in `length`, by default the rest of the training
    (Loshchilov & Hutter 2017, without restarts; CosineAnnealingLR, CosineDecay).

    `after_end`: Keras and optax stay at the end, PyTorch's rises again.
    """

    length: int | None = None
    end_rate: float = 0.0
    after_end: AfterEnd | None = None


class CosineRestarts(_Schedule, frozen=True, tag="cosine_restarts", kw_only=True):
    """Cosines one after another (Loshchilov & Hutter 2017; CosineAnnealingWarmRestarts,
    CosineDecayRestarts).

    Each is `length_factor` times as long as the one before, and `rate_factor` times as high above
    `end_rate`.
    """

    length: int
    length_factor: float | None = None
    rate_factor: float = 1.0
    end_rate: float = 0.0


class Polynomial(_Schedule, frozen=True, tag="polynomial", kw_only=True):
    """A fall from the rate to `end_rate` as (1 - t / length) ** power; then `end_rate`.
    In PyTorch PolynomialLR, in Keras PolynomialDecay."""

    length: int | None = None
    power: float = 1.0
    end_rate: float | None = None


class OneCycle(_Schedule, frozen=True, tag="one_cycle", kw_only=True):
    """Half a cosine up from rate / `start_divisor` to the rate in the share `rise` of the length,
    and another down to rate / (`start_divisor` * `end_divisor`); there it stays.

    PyTorch's OneCycleLR, whose peak is at rise * length - 1 and end at length - 1, without its
    cycle of the momentum (`cycle_momentum=False`).
    """

    per: Per = "step"
    length: int | None = None
    rise: float = 0.3
    start_divisor: float = 25.0
    end_divisor: float = 1e4


Schedule = Step | MultiStep | Exponential | Cosine | CosineRestarts | Polynomial | OneCycle
SCHEDULES: dict[str, type[_Schedule]] = {
    "step": Step,
    "multi_step": MultiStep,
    "exponential": Exponential,
    "cosine": Cosine,
    "cosine_restarts": CosineRestarts,
    "polynomial": Polynomial,
    "one_cycle": OneCycle,
}


class WarmUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="warm_up"):
    """A straight line from `start_factor` times the rate to the rate in `length` epochs or steps,
    ahead of any schedule (PyTorch's LinearLR, whose default the third is; Keras and optax ask)."""

    length: int
    per: Per = "epoch"
    start_factor: float = 1 / 3


def scheduled(recipe: Recipe) -> bool:
    """True if the recipe states the learning rate of each epoch or step."""
    return recipe.schedule is not None or recipe.warm_up is not None


def by_step(recipe: Recipe) -> bool:
    """True if the learning rate may change within an epoch."""
    return any(part.per == "step" for part in (recipe.schedule, recipe.warm_up) if part is not None)


def rates(recipe: Recipe, steps_per_epoch: int, number: int) -> np.ndarray:
    """The learning rate of each batch of an epoch, float64 (steps_per_epoch,).

    Args:
        recipe: with every field stated; of one without a schedule all are the optimizer's.
        steps_per_epoch: batches; `recipe.accumulation` of them are a step of the schedule.
        number: the epoch, from 1. Beyond the recipe's last the schedule goes on as it is past its
            end.
    """
    import numpy as np  # `--help` reads this module and needs none

    first = (number - 1) * steps_per_epoch
    if by_step(recipe):
        group, total = recipe.accumulation, recipe.epochs * steps_per_epoch
        places = range(first, first + steps_per_epoch)
        return np.array([rate(recipe, place // group, total // group) for place in places])
    return np.full(steps_per_epoch, rate(recipe, number - 1, recipe.epochs))


def rate(recipe: Recipe, place: int, total: int) -> float:
    """The learning rate at a place.

    Args:
        place: epochs or steps so far, as the schedule counts.
        total: of the whole training.
    """
    base, warm_up = recipe.optimizer.rate, recipe.warm_up
    warm = warm_up.length if warm_up is not None else 0
    if warm_up is not None and place < warm:
        start = warm_up.start_factor
        found = base * (start + (1 - start) * place / warm)
    elif recipe.schedule is None:
        found = base
    else:
        found = _value(recipe.schedule, base, place - warm, max(1, total - warm))
    return max(found, base * SMALLEST)


def _value(schedule: Schedule, base: float, t: int, rest: int) -> float:
    """The rate t epochs or steps after the warm-up, of which the training has `rest`."""
    match schedule:
        case Step():
            return base * schedule.factor ** (t // schedule.every)
        case MultiStep():
            return base * schedule.factor ** sum(t >= place for place in schedule.at)
        case Exponential():
            return float(base * schedule.factor ** (t / schedule.every))
        case Cosine():
            length = schedule.length or rest
            stays = _stated(schedule.after_end, "cosine", "after_end") == "stay"
            share = min(t, length) / length if stays else t / length
            return _half_cosine(base, schedule.end_rate, share)
        case CosineRestarts():
            return _restarted(schedule, base, t)
        case Polynomial():
            length = schedule.length or rest
            end = _stated(schedule.end_rate, "polynomial", "end_rate")
            return float((base - end) * (1 - min(t, length) / length) ** schedule.power + end)
        case OneCycle():
            return _one_cycle(schedule, base, t, schedule.length or rest)


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _restarted(schedule: CosineRestarts, base: float, t: int) -> float:
    factor = _stated(schedule.length_factor, "cosine_restarts", "length_factor")
    length, left, height = float(schedule.length), float(t), base - schedule.end_rate
    while left >= length:
        left -= length
        length *= factor
        height *= schedule.rate_factor
    return schedule.end_rate + _half_cosine(height, 0.0, left / length)


def _one_cycle(schedule: OneCycle, base: float, t: int, length: int) -> float:
    """torch/optim/lr_scheduler.py, OneCycleLR, with `anneal_strategy="cos"`."""
    start = base / schedule.start_divisor
    top, last = schedule.rise * length - 1, length - 1
    if t <= top and top > 0:
        return _half_cosine(start, base, t / top)
    if last <= max(top, 0):
        return base
    share = min(1.0, (t - max(top, 0)) / (last - max(top, 0)))
    return _half_cosine(base, start / schedule.end_divisor, share)


def _stated(value: T | None, part: str, field: str) -> T:
    if value is None:
        raise SpecificationError(
            f"{part}: field '{field}' is left open; fill it in with "
            "frameworks.spec.defaults.fill_recipe."
        )
    return value


def notes(recipe: Recipe, steps_per_epoch: int) -> list[str]:
    """Notes on a schedule that does not end with the training, a sentence each.

    Args:
        recipe: with every field stated.
        steps_per_epoch: of the training.
    """
    schedule, warm_up = recipe.schedule, recipe.warm_up
    per = next((part.per for part in (schedule, warm_up) if part is not None), "epoch")
    total = recipe.epochs
    if per == "step":
        total = total * steps_per_epoch // recipe.accumulation
    warm = warm_up.length if warm_up is not None else 0
    if warm >= total > 0 and warm:
        return [f"warm_up: {warm} {per}s, and the training has {total}: the rate rises to its end"]
    if schedule is None or not total:
        return []
    name = str(schedule.__struct_config__.tag)
    if isinstance(schedule, MultiStep):
        late = [str(place) for place in schedule.at if warm + place >= total]
        before = f"{warm} of warm-up and " if warm else ""
        never = f"schedule {name}: the training ends after {total} {per}s, and never comes to "
        return [f"{never}{before}{', '.join(late)}"] if late else []
    if isinstance(schedule, Step):
        never = f"schedule {name}: the training ends after {total} {per}s, before the first change"
        return [never] if warm + schedule.every >= total else []
    length = getattr(schedule, "length", None)
    if length is None or isinstance(schedule, CosineRestarts) or warm + length == total:
        return []
    ends = rate(recipe, total - 1, total)
    if warm + length > total:
        return [
            f"schedule {name}: {warm + length} {per}s with the warm-up, and the training has "
            f"{total}: it ends at a rate of {ends:.3g}"
        ]
    rises = isinstance(schedule, Cosine) and schedule.after_end == "rise"
    after = "it rises again, as PyTorch's does" if rises else f"it stays at {ends:.3g}"
    return [f"schedule {name}: it ends after {warm + length} of {total} {per}s; then {after}"]


def check(recipe: Recipe) -> None:
    """Raise SpecificationError for a schedule out of range, or beside what it does not go with."""
    schedule, warm_up = recipe.schedule, recipe.warm_up
    for name, part in (("schedule", schedule), ("warm_up", warm_up)):
        for field in part.__struct_fields__ if part is not None else ():
            _check_field(f"{name}.{field}", field, getattr(part, field))
    if schedule is not None and warm_up is not None and schedule.per != warm_up.per:
        raise SpecificationError(
            f"recipe: warm_up.per is '{warm_up.per}', and schedule.per '{schedule.per}'; the "
            "schedule begins where the warm-up ends: count both in one unit."
        )
    if isinstance(schedule, MultiStep) and (
        not schedule.at or sorted(set(schedule.at)) != list(schedule.at)
    ):
        raise SpecificationError(
            f"recipe: schedule.at is {list(schedule.at)}; give rising numbers, each once."
        )


def _check_field(where: str, field: str, value: object) -> None:
    def require(holds: bool, rule: str) -> None:
        if not holds:
            raise SpecificationError(f"recipe: {where} is {value}; {rule}.")

    if isinstance(value, tuple):
        for one in value:
            require(one >= 1, "must be at least 1")
    elif field in ("every", "length") and isinstance(value, int):
        require(value >= 1, "must be at least 1")
    elif not isinstance(value, float):
        return
    elif field == "end_rate":
        require(0 <= value < math.inf, "must be finite and not negative")
    elif field in ("rise", "start_factor"):
        require(0 <= value <= 1, "must be in [0, 1]")
    elif field == "length_factor":
        require(1 <= value < math.inf, "must be finite and at least 1")
    else:
        require(0 < value < math.inf, "must be finite and positive")
