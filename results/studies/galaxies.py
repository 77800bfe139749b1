"""Number of distinct galaxies behind a mean over images: copies of one are not independent."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from results.schema import COPY

PARTS = ("train", "validation", "test")
# The columns that `of_part` reads; a row of all of them takes long to make.
READ = (
    *("augmentation", "split_by", "test_copies", "class_counts"),
    *(f"{part}_images" for part in PARTS),
)


def of_part(run: pd.Series, part: str) -> float:
    """Galaxies in a part of a run's split, from the numbers in its row; NaN where it has none.

    Exact where the copies of a galaxy stay together. Where each is dealt by itself it is the
    number expected of N galaxies when a share p of all their copies is taken, N (1 - (1 - p)^c)
    with c copies of each (each copy in or out by itself).

    Args:
        run: a row of `runs`.
        part: train, validation or test.
    """
    images = _number(run, f"{part}_images")
    galaxies = _galaxies(run)
    if math.isnan(galaxies):
        return images
    by_copy, plain = _is(run, "split_by", "copy"), _is(run, "augmentation", "none")
    copies = sum(_number(run, f"{one}_images") for one in PARTS) / galaxies
    if plain and not copies > 1:  # nor oversampled
        return images
    all_copies = _is(run, "test_copies", "all")
    if by_copy and (plain or all_copies):
        return galaxies * (1 - (1 - images / (copies * galaxies)) ** copies)
    if all_copies:
        return images / copies
    if part != "train":  # their centres alone
        return images
    if by_copy:  # of so many copies as good as every galaxy has one there
        return galaxies
    return galaxies - _number(run, "validation_images") - _number(run, "test_images")


def distinct(predictions: pd.DataFrame) -> pd.Series:
    """Distinct galaxies among these rows of the store's predictions, by execution_id."""
    return (predictions["index"] % COPY).groupby(predictions["execution_id"]).nunique()


def _galaxies(run: pd.Series) -> float:
    counts = run.get("class_counts")
    return float(np.sum(counts)) or math.nan if counts is not None else math.nan


def _is(run: pd.Series, column: str, word: str) -> bool:
    return bool(run.get(column) == word)


def _number(run: pd.Series, column: str) -> float:
    value = run.get(column)
    return math.nan if value is None or pd.isna(value) else float(value)
