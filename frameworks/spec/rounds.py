"""Rounds of a training, as a recipe states them: layers frozen first and trained later, say.

A round is a training of its own from the weights that the one before it left: the optimizer starts
anew, and so do schedule and warm-up, and what scores decide unless the round goes on with it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec

from frameworks.spec.reading import SpecificationError
from frameworks.spec.schedules import Schedule
from results.words import count

if TYPE_CHECKING:
    from frameworks.spec.recipe import Recipe


class Round(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """A round that begins once the epochs up to `after` are done, or those before it have stopped.

    Its `learning_rate`, `frozen` layers, `layer_rates`, `schedule` and the `patience` of its early
    stopping are the recipe's unless it states them. It has as many epochs whenever it begins.

    With `goes_on` the best score, the epochs since and the best weights are those of the rounds
    before, too: a training stops whose patience ends in any round, and it does not begin this one.
    """

    after: int
    learning_rate: float | None = None
    frozen: tuple[str, ...] | None = None
    layer_rates: dict[str, float] | None = None
    schedule: Schedule | None = None
    patience: int | None = None
    goes_on: bool = False

    def __hash__(self) -> int:
        return hash(msgspec.json.encode(self, order="deterministic"))


def of(recipe: Recipe) -> list[Recipe]:
    """The recipe of each round, without rounds, in order; their epochs add up to the recipe's.

    Raises:
        SpecificationError: a round that is out of order or out of range.
    """
    if not recipe.rounds:
        return [recipe]
    starts = [0, *(one.after for one in recipe.rounds), recipe.epochs]
    if any(later <= earlier for earlier, later in pairwise(starts)):
        raise SpecificationError(
            f"recipe: rounds begin after {', '.join(map(str, starts[1:-1]))} of "
            f"{count(recipe.epochs, 'epoch')}; give numbers that rise, from 1 to "
            f"{recipe.epochs - 1}."
        )
    found = [msgspec.structs.replace(recipe, rounds=(), epochs=starts[1])]
    for one, end in zip(recipe.rounds, starts[2:], strict=True):
        changed: dict[str, Any] = {"rounds": (), "epochs": end - one.after}
        if one.learning_rate is not None:
            rate = {"learning_rate": one.learning_rate}
            changed["optimizer"] = msgspec.structs.replace(recipe.optimizer, **rate)
        if one.frozen is not None:
            norm = recipe.frozen_norm if one.frozen else "inference"  # without one it says nothing
            changed |= {"frozen": one.frozen, "frozen_norm": norm}
        for field in ("layer_rates", "schedule"):
            if getattr(one, field) is not None:
                changed[field] = getattr(one, field)
        if one.patience is not None:
            stopping = recipe.early_stopping
            if stopping is None:
                raise SpecificationError(
                    "recipe: a round has a patience, and there is no early_stopping; state it, or "
                    "leave the patience out."
                )
            patient = msgspec.structs.replace(stopping, patience=one.patience)
            changed["early_stopping"] = patient
        found.append(msgspec.structs.replace(recipe, **changed))
    return found
