"""Seeds that keep every unit away from a kink."""

from __future__ import annotations

import math
from functools import cache

import msgspec

from benchmarks.fidelity.cases.case import Case
from benchmarks.fidelity.rungs.flips import under_rounding
from frameworks.numpy.backend import count_flips
from frameworks.spec.defaults import fill_recipe
from frameworks.spec.recipe import Recipe


def settled(case: Case, tries: int = 40) -> Case:
    """The case with the seed, of the first `tries`, whose batch lies furthest from a kink.

    In float32 a unit within rounding of zero may fall on either side, and its whole gradient with
    it. A seed is settled when perturbing the weights by a float32 forward error changes no ReLU
    and no max-pool in the float64 reference. A float64 case is settled as it is.
    """
    if case.precision == "float64":
        return case
    same = Recipe(batch_size=case.recipe.batch_size, partial_batch=case.recipe.partial_batch)
    batch = msgspec.structs.replace(
        case,
        name="",
        precision="float32",
        measure=(),
        steps=0,
        record_every=0,
        recipe=fill_recipe(same),
    )
    return msgspec.structs.replace(case, seed=_settled_seed(batch, tries))


@cache
def _settled_seed(case: Case, tries: int) -> int:
    """The first seed whose batch no rounding flips; else the one that it flips least.

    R0-R2 and R4 share the seed, for they ask for the same batch.
    """
    best, fewest = case.seed, math.inf
    for seed in range(case.seed, case.seed + tries):
        flips = _flips_under_rounding(msgspec.structs.replace(case, seed=seed), fewest)
        if flips < fewest:
            best, fewest = seed, flips
        if flips == 0:
            break
    return best


def _flips_under_rounding(case: Case, enough: float, error: float = 1e-6, draws: int = 3) -> int:
    """Counted until there are `enough`."""
    sides = under_rounding(case, error, draws)
    kinks, flips = next(sides), 0
    for perturbed in sides:
        flips += sum(count_flips(kinks, perturbed).values())
        if flips >= enough:
            break
    return flips
