"""Frozen layers of a network, and the learning rates of single layers, as a recipe states them.

A name is that of a layer in the file; a block's name stands for every layer in it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from frameworks.spec import rounds
from frameworks.spec.layers import BatchNorm
from frameworks.spec.reading import SpecificationError
from results.vocabulary import near_miss

if TYPE_CHECKING:
    from frameworks.spec.network import Network
    from frameworks.spec.recipe import Recipe


def check(recipe: Recipe) -> None:
    """Raise SpecificationError for fields out of range, or that say two things of one layer."""
    for name, factor in (recipe.layer_rates or {}).items():
        if not 0 < factor < float("inf"):
            raise SpecificationError(
                f"recipe: layer_rates of '{name}' is {factor}; must be finite and positive. A "
                "layer that is not to change is named in frozen."
            )
        if name in recipe.frozen:
            raise SpecificationError(
                f"recipe: '{name}' is in frozen and has a rate in layer_rates; take out one."
            )
    if recipe.frozen_norm != "inference" and not recipe.frozen:
        raise SpecificationError(
            "recipe: frozen_norm says how a frozen batch norm computes, and no layer is frozen; "
            "name some in frozen, or leave it out."
        )


def bound(network: Network, recipe: Recipe) -> Network:
    """The network with the frozen layers of the recipe.

    Raises:
        SpecificationError: a name that is no layer with weights, or nothing is left to train.
    """
    factors(network, recipe)
    for one in rounds.of(recipe)[1:]:
        bound(network, one)
    if not recipe.frozen:
        return network
    found = frozenset().union(*(_named(network, name, "frozen") for name in recipe.frozen))
    made = replace(network, frozen=found)
    if not made.trainable_keys:
        raise SpecificationError("recipe: frozen names every layer; leave one out to be trained.")
    return made


def factors(network: Network, recipe: Recipe) -> dict[str, float]:
    """Factor on the learning rate of each trainable weight, by key; 1.0 where none is stated.

    Raises:
        SpecificationError: a name that is no layer with weights.
    """
    of_layer: dict[str, float] = {}
    for name, factor in (recipe.layer_rates or {}).items():
        of_layer |= dict.fromkeys(_named(network, name, "layer_rates"), factor)
    return {key: of_layer.get(key.split("/")[0], 1.0) for key in network.trainable_keys}


def still_norms(network: Network, recipe: Recipe) -> frozenset[str]:
    """The batch norms that compute in training as in inference, and keep their statistics."""
    if recipe.frozen_norm == "training":
        return frozenset()
    norms = (layer.name for layer in network.layers if isinstance(layer, BatchNorm))
    return frozenset(norms) & network.frozen


def _named(network: Network, name: str, field: str) -> frozenset[str]:
    """The layers with weights that a name stands for."""
    weighted = list(dict.fromkeys(key.split("/")[0] for key in network.weight_shapes))
    if name in weighted:
        return frozenset([name])
    inside = frozenset(one for one in weighted if one.startswith(f"{name}_"))
    if not inside:
        known = [*weighted, *(layer.name for layer in network.architecture.layers)]
        raise SpecificationError(
            f"recipe: {field} names '{name}', and architecture '{network.architecture.name}' has "
            f"no layer with weights of that name{near_miss(name, known)}."
        )
    return inside
