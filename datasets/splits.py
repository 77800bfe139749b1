"""Stratified train, validation and test splits: pure functions of the labels and a seed."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import partial

import numpy as np

from datasets.folds import fold_first, fold_of
from results.words import count

# Streams: no split shares random numbers with orders (1), masks (2), weights (3), or with a part.
_SPLIT, _PART = 4, 5
PARTS = ("train", "validation", "test")
# What people call the parts of a published split.
PART_WORDS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
}
_LEAST = 3  # of a class: one to train on, one to validate and one to test


def part_in(name: str) -> str:
    """The word in a name that tells a part of a published split, or "": "train" of train-00000."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((word for word in words if word in PART_WORDS), "")


@dataclass(frozen=True)
class Split:
    """Rows of the data set in each part: int64, ascending, disjoint."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def sha256(self) -> str:
        """Hash of the three parts: equal for equal splits on any machine."""
        digest = hashlib.sha256()
        for part in (self.train, self.validation, self.test):
            rows = np.ascontiguousarray(part, dtype="<i8")
            digest.update(len(rows).to_bytes(8, "little"))
            digest.update(rows.tobytes())
        return digest.hexdigest()

    def counts(self, labels: np.ndarray, classes: int) -> dict[str, np.ndarray]:
        """Images of each class in "train", "validation" and "test": int64 (classes,) each."""
        parts = self.parts().items()
        return {name: per_class_counts(labels[rows], classes) for name, rows in parts}

    def parts(self) -> dict[str, np.ndarray]:
        """The rows by the name of their part: "train", "validation", "test"."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def per_class_counts(labels: np.ndarray, classes: int) -> np.ndarray:
    """Images of each class: int64 (classes,), with zeros for the absent ones."""
    return np.bincount(labels, minlength=classes).astype(np.int64)


def stratified(
    labels: np.ndarray,
    *,
    test_fraction: float = 0.2,
    validation_fraction: float = 0.2,
    seed: int = 0,
    groups: np.ndarray | None = None,
    mixed: bool = False,
    fold: str = "",
) -> Split:
    """Split so that each class has its share in each part.

    The test set is ``test_fraction`` of all, the validation set ``validation_fraction`` of the
    rest; totals are rounded to the nearest whole number and dealt out to the classes by largest
    remainder, so each class is within one image of its exact share. Of a class of three or more,
    each part gets at least one (if its fraction is not 0); of two, one trains and the other tests
    (validates, if there is no test); one alone trains. Where many classes are that small, the
    totals give way.

    Args:
        labels: integers (n,), 0 or more.
        seed: 0..2**63-1.
        groups: integers (n,): images with one number (copies of one galaxy, say) stay together,
            and all of the above counts groups instead of images.
        mixed: a group may have images of several classes (one picture that is labelled twice); it
            counts for the class of its first image.
        fold: "K/N": the test set is the K-th of N, which together are all; ``test_fraction`` then
            counts for nothing. Each class is within one image of an N-th in each.

    Raises:
        ValueError: a fraction outside 0..1, a seed out of range, labels or groups of the wrong
            shape, a group with images of two classes, a part that would be empty, or a class of
            fewer images than folds.
    """
    labels = np.asarray(labels)
    _check(labels, test_fraction, validation_fraction, seed)
    unit_labels, unit_of_row = _units(labels, groups, mixed)
    sizes = np.bincount(unit_labels).astype(np.int64)
    rank = _ranks(unit_labels, sizes, seed, _SPLIT)
    if fold:
        rank, tested = fold_first(rank, unit_labels, sizes, *fold_of(fold))
        test_fraction = 1 / fold_of(fold)[1]
    else:
        tested = _shares(sizes, test_fraction, spare=2 if validation_fraction else 1)
    rest = sizes - tested
    validated = _shares(rest, validation_fraction, spare=1)

    # A class's first are tested, the next ones validated.
    in_test = (rank < tested[unit_labels])[unit_of_row]
    in_test_or_validation = (rank < (tested + validated)[unit_labels])[unit_of_row]
    split = Split(
        train=np.flatnonzero(~in_test_or_validation).astype(np.int64),
        validation=np.flatnonzero(in_test_or_validation & ~in_test).astype(np.int64),
        test=np.flatnonzero(in_test).astype(np.int64),
    )
    _check_parts(split, test_fraction, validation_fraction, sizes)
    return split


def published(
    labels: np.ndarray,
    parts: np.ndarray,
    *,
    test_fraction: float = 0.2,
    validation_fraction: float = 0.2,
    seed: int = 0,
    groups: np.ndarray | None = None,
    mixed: bool = False,
) -> Split:
    """The split that came with the data. A part that it lacks is dealt from its training part.

    Copies of one galaxy that were published in two parts stay there.

    Args:
        parts: integers (n,), an index into `PARTS` for each image.
        labels, test_fraction, validation_fraction, seed, groups, mixed: as `stratified` takes them,
            of the training part.

    Raises:
        ValueError: nothing is for training; or as `stratified`.
    """
    rows = [np.flatnonzero(parts == number).astype(np.int64) for number in range(len(PARTS))]
    train, validation, test = rows
    if not len(train):
        raise ValueError("split_from: the published split has nothing for training")
    dealt = stratified(
        np.asarray(labels)[train],
        test_fraction=0 if len(test) else test_fraction,
        validation_fraction=0 if len(validation) else validation_fraction,
        seed=seed,
        groups=None if groups is None else np.asarray(groups)[train],
        mixed=mixed,
    )
    return Split(
        train=train[dealt.train],
        validation=validation if len(validation) else train[dealt.validation],
        test=test if len(test) else train[dealt.test],
    )


def of_copies(
    labels: np.ndarray,
    copies: int,
    *,
    by: str = "galaxy",
    test_copies: str = "centre",
    test_fraction: float = 0.2,
    validation_fraction: float = 0.2,
    seed: int = 0,
    groups: np.ndarray | None = None,
    mixed: bool = False,
    parts: np.ndarray | None = None,
    fold: str = "",
) -> Split:
    """Split a data set that has so many copies of each galaxy, by its rows (see `augment`).

    Args:
        labels, groups, mixed: of the galaxies, as `stratified` takes them.
        parts: the published split of the galaxies, as `published` takes it; by galaxy alone.
        fold: as `stratified` takes it, for a split that was not published.
        by: "galaxy" keeps all copies of a galaxy, and of a group, in one part. "copy" deals each
            copy by itself, by class and without regard to groups: what is tested was trained on
            in another crop or turned. Published accuracies were had that way; no other use is
            sound.
        test_copies: "centre" leaves the validation and test sets their copies 0, the others of
            those sets are not used; "all" leaves them all.

    Raises:
        ValueError: as `stratified`; or an unknown word for `by` or `test_copies`.
    """
    if by not in ("galaxy", "copy"):
        raise ValueError(f"split_by: unknown {by!r}; choose galaxy or copy")
    if test_copies not in ("centre", "all"):
        raise ValueError(f"test_copies: unknown {test_copies!r}; choose centre or all")
    deal = partial(
        stratified,
        test_fraction=test_fraction,
        validation_fraction=validation_fraction,
        seed=seed,
        fold=fold,
    )
    if by == "copy":
        # the centres have their share of each part, whatever is looked at of it
        turned = (np.arange(copies) > 0).astype(np.int64)
        split = deal((np.asarray(labels)[:, None] * 2 + turned).reshape(-1))
    else:
        if parts is None:
            split = deal(labels, groups=groups, mixed=mixed)
        else:
            split = published(
                labels,
                parts,
                test_fraction=test_fraction,
                validation_fraction=validation_fraction,
                seed=seed,
                groups=groups,
                mixed=mixed,
            )
        split = Split(*(_all_copies(rows, copies) for rows in split.parts().values()))
    if test_copies == "all" or copies == 1:
        return split
    tried = (rows[rows % copies == 0] for rows in (split.validation, split.test))
    split = Split(split.train, *tried)
    _check_parts(split, test_fraction, validation_fraction, per_class_counts(labels, 0))
    return split


def part_of(
    labels: np.ndarray,
    fraction: float,
    *,
    seed: int = 0,
    groups: np.ndarray | None = None,
    mixed: bool = False,
) -> np.ndarray:
    """Rows of a stratified part of a data set: int64, ascending.

    ``fraction`` of all, dealt out to the classes by largest remainder; but of each class at least
    three, so that every part of a split can have one, or all where there are no more.

    Args:
        labels, groups, mixed: as `stratified` takes them; a group is taken whole and counts as one.
        seed: 0..2**63-1; it alone orders each class, so that what a smaller share of a class
            holds, a larger one holds too.

    Raises:
        ValueError: a fraction that is not above 0 and at most 1; a seed, labels or groups as
            `stratified` refuses them.
    """
    labels = np.asarray(labels)
    _check(labels, 0.0, 0.0, seed)
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction: is {fraction}; give a number above 0, and at most 1")
    unit_labels, unit_of_row = _units(labels, groups, mixed)
    sizes = np.bincount(unit_labels).astype(np.int64)
    taken = np.maximum(_shares(sizes, fraction, spare=0), np.minimum(sizes, _LEAST))
    rank = _ranks(unit_labels, sizes, seed, _PART)
    return np.flatnonzero((rank < taken[unit_labels])[unit_of_row]).astype(np.int64)


def _all_copies(galaxies: np.ndarray, copies: int) -> np.ndarray:
    """Rows of all copies of these galaxies: int64."""
    return (galaxies[:, None] * copies + np.arange(copies)).reshape(-1)


def _shares(sizes: np.ndarray, fraction: float, *, spare: int) -> np.ndarray:
    """Number of things of each class that make up ``fraction``: int64 (classes,).

    Largest remainder (Hamilton's method), but at least one of each class that has two, and
    leaving ``spare`` of each class that has more than that.

    Args:
        sizes: (classes,) number of things of each class.
    """
    if fraction == 0:
        return np.zeros_like(sizes)
    exact = np.round(sizes * fraction, 9)  # 0.29 * 100 is 29, not a hair less
    least = (sizes >= 2).astype(np.int64)
    most = np.maximum(sizes - spare, least)
    shares = np.clip(np.floor(exact).astype(np.int64), least, most)
    ceiling = np.clip(np.ceil(exact).astype(np.int64), least, most)
    missing = int(np.floor(sizes.sum() * fraction + 0.5)) - int(shares.sum())
    by_remainder = np.argsort(shares - exact, kind="stable")
    open_classes = by_remainder[(ceiling > shares)[by_remainder]]
    shares[open_classes[: max(missing, 0)]] += 1
    return shares


def _ranks(unit_labels: np.ndarray, sizes: np.ndarray, seed: int, stream: int) -> np.ndarray:
    """The place of each unit among those of its class, in an order that is drawn: int64."""
    key = np.array([seed, stream], dtype=np.uint64)
    tickets = np.random.Generator(np.random.Philox(key=key)).random(len(unit_labels))
    drawn = np.lexsort((tickets, unit_labels))
    first_of_class = np.cumsum(sizes) - sizes
    rank = np.empty(len(drawn), dtype=np.int64)
    rank[drawn] = np.arange(len(drawn)) - first_of_class[unit_labels[drawn]]
    return rank


def check_groups(labels: np.ndarray, groups: np.ndarray | None) -> None:
    """Raise ValueError where a group of images (n,) has labels (n,) of two classes."""
    _units(labels, groups, mixed=False)


def crossing(groups: np.ndarray, parts: np.ndarray) -> int:
    """Number of pictures whose group has pictures in several parts.

    Args:
        groups: (n,) group of each picture.
        parts: (n,) part of each picture, an index into `PARTS`.
    """
    _, of_row = np.unique(groups, return_inverse=True)
    low, high = np.full(of_row.max() + 1, len(PARTS)), np.full(of_row.max() + 1, -1)
    np.minimum.at(low, of_row, parts)
    np.maximum.at(high, of_row, parts)
    return int((low < high)[of_row].sum())


def _units(
    labels: np.ndarray, groups: np.ndarray | None, mixed: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The label of each group, and each row's group as 0..groups-1; without groups, of each row."""
    if groups is None:
        return labels.astype(np.int64), np.arange(len(labels))
    groups = np.asarray(groups)
    if groups.shape != labels.shape:
        raise ValueError(
            f"split: {count(len(labels), 'label')} but groups of shape {groups.shape}; give one "
            "per image"
        )
    numbers, first_row, unit_of_row = np.unique(groups, return_index=True, return_inverse=True)
    unit_labels = labels[first_row].astype(np.int64)
    others = np.flatnonzero(unit_labels[unit_of_row] != labels)
    if len(others) and not mixed:
        row = int(others[0])
        unit = unit_of_row[row]
        raise ValueError(
            f"split: group {numbers[unit]} has images of class {unit_labels[unit]} and of class "
            f"{labels[row]} (row {row}); images of one group are of one galaxy, so of one class"
        )
    return unit_labels, unit_of_row


def _check(labels: np.ndarray, test_fraction: float, validation_fraction: float, seed: int) -> None:
    for name, fraction in (
        ("test_fraction", test_fraction),
        ("validation_fraction", validation_fraction),
    ):
        if not 0 <= fraction < 1:
            raise ValueError(f"split: {name} is {fraction}; give a number from 0 to below 1")
    if not 0 <= seed < 2**63:
        raise ValueError(f"split: seed {seed} is not in 0..2**63-1")
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"split: labels must be integers (n,), got {labels.dtype} {labels.shape}")
    if len(labels) and labels.min() < 0:
        raise ValueError(f"split: label {labels.min()} is negative")


def _check_parts(
    split: Split, test_fraction: float, validation_fraction: float, sizes: np.ndarray
) -> None:
    wanted = {"train": 1.0, "validation": validation_fraction, "test": test_fraction}
    for name, fraction in wanted.items():
        if fraction and not len(getattr(split, name)):
            present = sizes[sizes > 0]
            raise ValueError(
                f"split: nothing is left for the {name} part of {count(sizes.sum(), 'image')} in "
                f"{count(len(present), 'class')}; give more images (three of a class serve every "
                f"part) or set the fraction to 0"
            )
