"""Loss scaling: small gradients of float16 kept above zero, as PyTorch's GradScaler, Keras'
LossScaleOptimizer and Flax' DynamicScale do it (Micikevicius et al. 2018, arXiv 1710.03740).

The loss is multiplied by a power of two ahead of the gradient, and the gradient divided by it
ahead of clipping. A step whose gradient is not finite is skipped: weights, the optimizer's state
and its count of steps stay. A schedule goes on, and so do running statistics, which the forward
pass has moved by then.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from frameworks.spec.reading import SpecificationError

if TYPE_CHECKING:
    from frameworks.spec.recipe import Recipe

GROWTH, BACK_OFF = 2.0, 0.5  # of all three frameworks; Keras has no other


class LossScale(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A scale that halves at each gradient that is not finite, and doubles after `interval` finite
    ones in a row. It begins at `initial`."""

    initial: float | None = None
    interval: int | None = None


def check(recipe: Recipe) -> None:
    """Raise SpecificationError for a number out of range, or what goes with no scale."""
    spec = recipe.loss_scale
    if spec is None:
        return
    if recipe.accumulation > 1 or recipe.average_weights is not None:
        raise SpecificationError(
            "recipe: a scaled loss (and so precision float16) goes with neither accumulation nor "
            "average_weights; leave one of them out."
        )
    initial, interval = spec.initial, spec.interval
    if initial is not None and not (2**-126 <= initial <= 2**127 and math.frexp(initial)[0] == 0.5):
        raise SpecificationError(
            f"recipe: loss_scale.initial is {initial:g}; must be a power of two up to 2**127, "
            "so that scaling rounds nothing."
        )
    if interval is not None and interval < 1:
        raise SpecificationError(
            f"recipe: loss_scale.interval is {interval}; must be at least 1 step."
        )


def check_replicas(recipe: Recipe, replicas: int) -> None:
    """Raise SpecificationError where a scaled loss is asked of several replicas."""
    if recipe.loss_scale is not None and replicas > 1:
        raise SpecificationError(
            "field 'replicas': a scaled loss (and so precision float16) trains on one replica; "
            "use --replicas 1."
        )


def of_precision(recipe: Recipe, precision: str) -> Recipe:
    """The recipe as it is trained in a precision: in float16 the loss is scaled."""
    if precision != "float16" or recipe.loss_scale is not None:
        return recipe
    return msgspec.structs.replace(recipe, loss_scale=LossScale())


def after(spec: LossScale, scale: float, finite_steps: int, *, finite: bool) -> tuple[float, int]:
    """The scale, and the number of finite steps in a row, after a step."""
    assert spec.interval is not None
    if not finite:
        return scale * BACK_OFF, 0
    if finite_steps + 1 == spec.interval:
        return scale * GROWTH, 0
    return scale, finite_steps + 1
