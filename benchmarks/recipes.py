"""The recipe of a suite's runs, as far as it depends on the galaxies."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.config.suite import Suite, recipe
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import CALLBACKS, Recipe


def recipes(
    suite: Suite, *, classes: int, train_counts: Mapping[str, int], validation: int
) -> list[Recipe]:
    """A recipe for each batch size, smallest first, with balanced class weights as numbers.

    Args:
        classes: number of classes.
        train_counts: training images by the name of the class; empty where they are not known.
        validation: validation images.

    Raises:
        SpecificationError: class weights that do not fit the classes; callbacks without a
            validation set.
    """
    deciding = [name for name in CALLBACKS if getattr(suite, name) is not None]
    if deciding and not validation:
        raise SpecificationError(
            f"field '{deciding[0]}' decides by validation scores, and there is no validation set; "
            "use a validation_fraction above 0."
        )
    weights = _class_weights(suite, classes, train_counts)
    return [
        recipe(suite, batch_size=batch_size, class_weights=weights)
        for batch_size in sorted(suite.batch_size)
    ]


def _class_weights(
    suite: Suite, classes: int, train_counts: Mapping[str, int]
) -> list[float] | None:
    """The class weights as numbers, (classes,): balanced ones from the training images."""
    asked = suite.class_weights
    if asked == "balanced":
        absent = [name for name, count in train_counts.items() if not count]
        if absent or len(train_counts) != classes:
            raise SpecificationError(
                "field 'class_weights': balanced weights need training images of every class; "
                f"there are none of {', '.join(absent) or 'any'}. Give the weights as numbers, "
                "or train on more galaxies."
            )
        total = sum(train_counts.values())
        return [total / (classes * count) for count in train_counts.values()]
    if asked is not None and len(asked) != classes:
        raise SpecificationError(
            f"field 'class_weights': there are {len(asked)}, and the data set with these labels "
            f'has {classes} classes; give a number for each, or "balanced".'
        )
    return asked
