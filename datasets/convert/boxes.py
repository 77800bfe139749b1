"""Arrays by name, as HDF5, `.npz` and `.npy` files hold them: which are pictures, which labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from datasets import advice
from datasets.convert.bad import Bad
from datasets.convert.fitting import Fit
from datasets.convert.form import Asked, Form, Rows, parts_of
from datasets.convert.pixels import Array, ArrayPictures, layout
from datasets.splits import PART_WORDS, part_in
from results.vocabulary import near_miss
from results.words import count as counted

_PICTURES = ("images", "image", "pictures", "x", "data", "imgs")
_LABELS = ("ans", "label", "labels", "y", "class", "classes", "target", "targets", "t")
_LEAST_SIDE = 4  # pixels of a picture: a table (n, 3, 3) is none
_SHOWN = 12


@dataclass(frozen=True)
class Box:
    """The arrays of a source.

    where: names it in messages. arrays: by name. values: all of an array. names: of the classes
    that go with an array of labels, None without. source: where it comes from, or "".
    """

    where: str
    arrays: Mapping[str, Array]
    values: Callable[[str], np.ndarray]
    names: Callable[[str], tuple[str, ...] | None] = lambda _: None
    source: str = ""


@dataclass(frozen=True)
class _Pair:
    """Pictures and their labels; part: the word in their names that tells a part, or ""."""

    pictures: str
    labels: str
    part: str = ""


def open_box(box: Box, asked: Asked) -> Form:
    """The form that the arrays are of.

    Raises:
        ValueError: no pictures or labels among them, or several that could be either.
    """
    pairs = _pairs(box, asked)
    bad = Bad()
    counts = [box.arrays[pair.pictures].shape[0] for pair in pairs]
    for pair, count in zip(pairs, counts, strict=True):
        labels = box.arrays[pair.labels].shape
        if _rows(box.arrays[pair.labels]) != count:
            raise ValueError(
                f"{box.where}: '{pair.pictures}' has {counted(count, 'picture')}, and "
                f"'{pair.labels}' the shape {labels}"
            )
    names = [f"row {row}" for row in range(sum(counts))]
    rows = Rows(names, _labels(box, pairs), source=box.source)
    rows.class_names = box.names(pairs[0].labels)
    if pairs[0].part:
        words = [pair.part for pair, count in zip(pairs, counts, strict=True) for _ in range(count)]
        rows.parts = parts_of(words, names, bad)
        told = ", ".join(f"'{pair.pictures}'" for pair in pairs)
        rows.done.append(f"{told} joined, the published split kept as 'split'")
    elif len(pairs) == 1:
        _columns(box, asked, rows, bad)
    arrays = [(pair.pictures, box.arrays[pair.pictures]) for pair in pairs]
    pictures = ArrayPictures(arrays, box.where, Fit(asked.crop, asked.size))
    return Form(box.where, rows, pictures, bad)


def _labels(box: Box, pairs: list[_Pair]) -> np.ndarray:
    found = [box.values(pair.labels) for pair in pairs]
    if len(found) == 1:
        return found[0]
    shapes = {values.shape[1:] for values in found}
    if len(shapes) > 1:
        raise ValueError(f"{box.where}: the labels of its parts have different shapes")
    return np.concatenate(found)


def _columns(box: Box, asked: Asked, rows: Rows, bad: Bad) -> None:
    """Add to rows the groups, the published parts and more columns (coordinates, type, redshift).

    Raises:
        ValueError: no such array, or an array of another shape or type.
    """
    count = len(rows.names)
    groups = asked.group_key or ("groups" if "groups" in box.arrays else "")
    if groups:
        rows.columns["groups"] = _groups(box, groups, count, rows)
    for name in ("ra", "dec", "t_type", "redshift"):
        if name in box.arrays and box.arrays[name].shape == (count,):
            rows.columns[name] = box.values(name)
    split = asked.split_from or ("split" if "split" in box.arrays else "")
    if split:
        _check_there(box, split, "split-from")
        words = box.values(split)
        if words.shape != (count,) or words.dtype.kind not in "SUO":
            raise ValueError(
                f"{box.where}: '{split}' is {words.dtype} {words.shape}; it must be the words "
                f"train, validation and test ({count},)"
            )
        texts = [
            one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one)
            for one in words.tolist()
        ]
        rows.parts = parts_of(texts, rows.names, bad)
        rows.done.append(f"the published split of '{split}' kept as 'split'")
    voted = asked.vote_keys[0] if asked.vote_keys else "votes"
    if asked.vote_keys:
        _check_there(box, voted, "vote-keys")
    if voted in box.arrays and len(box.arrays[voted].shape) == 2:
        found = box.values(voted)
        if found.dtype.kind == "f" and len(found) == count:
            rows.votes = found.astype(np.float32)
            rows.vote_names = tuple(f"vote {number}" for number in range(found.shape[1]))
            rows.done.append(f"votes of '{voted}' kept")


def _groups(box: Box, key: str, count: int, rows: Rows) -> np.ndarray:
    _check_there(box, key, "group-key")
    values = box.values(key)
    if values.shape != (count,):
        raise ValueError(f"{box.where}: '{key}' has shape {values.shape}, not ({count},)")
    if (found := advice.of_groups(values)) is not None:
        if found.conversion is None:
            raise ValueError(f"{box.where}: '{key}' {found.what}")
        rows.done.append(f"'{key}' by {found.conversion.code}")
        values = found.conversion.apply(values)
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _pairs(box: Box, asked: Asked) -> list[_Pair]:
    for key, option in ((asked.image_key, "image-key"), (asked.label_key, "label-key")):
        if key:
            _check_there(box, key, option)
    pictures = [asked.image_key] if asked.image_key else _pictures(box)
    if len(pictures) > 1:
        parts = {name: part_in(name) for name in pictures}
        told = [part for part in parts.values() if part]
        if len(told) < len(pictures) or len(set(told)) < len(told):
            raise _unsure(box, "pictures", pictures, "image-key")
        return [
            _Pair(name, _labels_of(box, name, part, asked), part) for name, part in parts.items()
        ]
    if not pictures:
        shown = _shown(box)
        raise ValueError(
            f"{box.where}: no array of pictures, (n, h, w) or (n, h, w, 3); it has {shown}"
        )
    return [_Pair(pictures[0], _labels_of(box, pictures[0], part_in(pictures[0]), asked))]


def _pictures(box: Box) -> list[str]:
    found = [name for name, array in box.arrays.items() if _may_be_pictures(array)]
    usual = [name for name in found if _last(name) in _PICTURES]
    return usual or found


def _may_be_pictures(array: Array) -> bool:
    found = layout(array.shape)
    if isinstance(found, str) or array.dtype.kind not in "uif":
        return False
    return min(found.height, found.width) >= _LEAST_SIDE


def _labels_of(box: Box, pictures: str, part: str, asked: Asked) -> str:
    """The labels of these pictures: of the same part, of as many rows."""
    if asked.label_key:
        return asked.label_key
    count = box.arrays[pictures].shape[0]
    found = []
    for name, array in box.arrays.items():
        if _rows(array) == count and name != pictures and part_in(name) == part:
            found.append(name)
    for wanted in _LABELS:
        if named := [name for name in found if _last(name) == wanted]:
            return named[0]
    whole = [name for name in found if box.arrays[name].dtype.kind in "uiSUOb"]
    if len(whole) == 1:
        return whole[0]
    if len(found) == 1:
        return found[0]
    raise _unsure(box, f"labels of '{pictures}'", found, "label-key")


def _rows(array: Array) -> int | None:
    """The number of rows of an array that may be labels; one line (1, n) counts as a column.

    None of an array of more than two axes, or of none.
    """
    if len(array.shape) > 2 or not array.shape:
        return None
    return array.shape[-1] if array.shape[0] == 1 else array.shape[0]


def _unsure(box: Box, what: str, found: list[str], option: str) -> ValueError:
    if not found:
        return ValueError(
            f"{box.where}: no {what}: name them with --{option}; it has {_shown(box)}"
        )
    which = ", ".join(f"'{name}'" for name in found[:_SHOWN])
    return ValueError(f"{box.where}: which are the {what}, {which}? Name them with --{option}")


def _shown(box: Box) -> str:
    told = [f"{name} {array.dtype} {array.shape}" for name, array in box.arrays.items()]
    return ", ".join(told[:_SHOWN]) or "none at all"


def _last(name: str) -> str:
    """A name without its groups, and without the word for a part."""
    words = re.split(r"[^a-z]+", name.lower().rpartition("/")[2])
    return "".join(word for word in words if word not in PART_WORDS)


def _check_there(box: Box, key: str, option: str) -> None:
    if key not in box.arrays:
        hint = near_miss(key, box.arrays)
        raise ValueError(f"{box.where}: no array '{key}' (--{option}){hint}; it has {_shown(box)}")
