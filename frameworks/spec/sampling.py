"""Galaxies of an epoch drawn by class, as a recipe states it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from frameworks.spec import losses
from frameworks.spec.reading import SpecificationError
from results.words import count

if TYPE_CHECKING:
    import numpy as np

    from datasets.batches import Plan, Sampler
    from frameworks.spec.recipe import Recipe


class Sampling(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A pass of `draws` galaxies (by default as many as train), each drawn by the weight of its
    class: PyTorch's WeightedRandomSampler.

    `weights` is a number for each class, or "balanced": 1 / galaxies of the class in training, so
    that each class is as likely. Without `replacement` a pass has no galaxy twice.
    """

    weights: tuple[float, ...] | Literal["balanced"] = "balanced"
    replacement: bool = True
    draws: int | None = None

    def sampler(self, labels: np.ndarray) -> Sampler:
        """The sampler of training galaxies of these classes, int (n,).

        Raises:
            SpecificationError: there are not enough galaxies to draw.
        """
        import numpy as np

        from datasets.batches import Sampler

        counts = np.maximum(np.bincount(labels), 1)
        of_class = 1 / counts if self.weights == "balanced" else np.array(self.weights)
        weights = of_class[labels]
        drawable, draws = np.count_nonzero(weights), self.draws or len(labels)
        if not drawable or (draws > drawable and not self.replacement):
            raise SpecificationError(
                f"field 'sampling': a pass draws {count(draws, 'galaxy')}, and {drawable} have a "
                "weight above 0; state fewer draws, other weights, or replacement = true."
            )
        return Sampler(weights, draws, self.replacement)


def plan(
    recipe: Recipe, rows: np.ndarray, labels: np.ndarray, seed: int, epoch: int, steps: int | None
) -> Plan:
    """The batches of an epoch (from 1) of a recipe.

    Args:
        rows: int (n,), of the training galaxies. labels: of every row of the data set.
        steps: of an epoch; None: an epoch is a pass.
    """
    from datasets.batches import planned

    drawn = recipe.sampling
    return planned(
        rows,
        seed,
        epoch,
        recipe.batch_size,
        keep_partial=recipe.partial_batch == "keep",
        steps=steps,
        window=recipe.shuffle_window,
        sampler=None if drawn is None else drawn.sampler(labels[rows]),
    )


def check(recipe: Recipe) -> None:
    """Raise SpecificationError for a sampling out of range, or that another field denies."""
    drawn = recipe.sampling
    if drawn is None:
        return
    weights = () if drawn.weights == "balanced" else drawn.weights
    if weights != () and not (
        all(0 <= weight < float("inf") for weight in weights) and any(weights)
    ):
        raise SpecificationError(
            "recipe: sampling.weights must be finite and not negative, and not all 0."
        )
    if drawn.draws is not None and drawn.draws < 1:
        raise SpecificationError(
            f"recipe: sampling.draws is {drawn.draws}; must be at least 1, or left out: as many as "
            "train."
        )
    if losses.targets_of(recipe.loss) == "votes":
        raise SpecificationError(
            "recipe: sampling is by class, and the loss is of votes; leave it out."
        )
    if recipe.shuffle_window is not None:
        raise SpecificationError(
            "recipe: sampling draws from all galaxies, and shuffle_window from some; leave one out."
        )
    if recipe.augment is not None and recipe.augment.mixed:
        raise SpecificationError(
            "recipe: augment mixes galaxies of a pass, and sampling draws one twice; leave one out."
        )
