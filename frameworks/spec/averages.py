"""Averages of weights over the steps of a training, which are evaluated in the weights' place."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import msgspec

from frameworks.spec.reading import SpecificationError

if TYPE_CHECKING:
    from frameworks.spec.recipe import Recipe

AverageStart = Literal["first", "debiased"]


class AverageWeights(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="average_weights"
):
    """An exponential moving average of every trained weight, after every step of the optimizer and
    its `max_norm`; running statistics are not averaged.

    a += s (w - a). `start` "first": s is 1 at the first step, then 1 - `decay` (Keras' use_ema,
    PyTorch's AveragedModel); "debiased": an average that begins at zero, divided by 1 - decay^t
    (optax.ema), which is s = (1 - decay) / (1 - decay^t).
    """

    decay: float | None = None
    start: AverageStart | None = None

    @property
    def rate(self) -> float:
        """The decay.

        Raises:
            SpecificationError: it is left open; `frameworks.spec.defaults.fill_recipe` fills it in.
        """
        if self.decay is None or self.start is None:
            raise SpecificationError(
                "average_weights: decay or start is left open; fill it in with "
                "frameworks.spec.defaults.fill_recipe."
            )
        return self.decay

    def share(self, step: int) -> float:
        """The share s of the weights at a step of the optimizer, from 1."""
        if step == 1:
            return 1.0
        whole = 1.0 if self.start == "first" else -math.expm1(step * math.log(self.rate))
        return (1 - self.rate) / whole


def check(recipe: Recipe) -> None:
    """Raise SpecificationError for a decay out of range."""
    average = recipe.average_weights
    if average is not None and average.decay is not None and not 0 < average.decay < 1:
        raise SpecificationError(
            f"recipe: average_weights.decay is {average.decay}; must be above 0 and below 1."
        )
