"""Copies of training galaxies that make the classes even, as a suite states them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from datasets.drawn.settings import Augment
from datasets.drawn.text import from_text, to_text

_CLASSES = "classes="
REPEATED = "repeated"  # copies that are as the galaxies themselves


@dataclass(frozen=True)
class Oversample:
    """Copies of the galaxies of `classes`, all where it is empty.

    settings: what is drawn for each copy; None where it is as its galaxy.
    """

    settings: Augment | None = None
    classes: tuple[int, ...] = ()


def read(text: str) -> Oversample:
    """Copies as a suite states them: `repeated` or fields of `Augment`, and `classes=3:4`.

    Raises:
        ValueError: fields as `from_text` refuses them, a crop (copies have the galaxies' size), or
            mixes (a copy has one label).
    """
    stated = [part.strip() for part in text.split(",")]
    named = [part.removeprefix(_CLASSES) for part in stated if part.startswith(_CLASSES)]
    rest = [part for part in stated if not part.startswith(_CLASSES)]
    if len(named) > 1 or not all(re.fullmatch(r"[0-9]{1,9}(:[0-9]{1,9})*", one) for one in named):
        raise ValueError("classes: numbers of classes, as in classes=3:4")
    classes = tuple(sorted({int(number) for one in named for number in one.split(":")}))
    if rest in ([], [REPEATED]):
        return Oversample(None, classes)
    settings = from_text(",".join(rest))
    if settings.mixed:
        raise ValueError("mixup, cutmix: a copy has one galaxy's label; state them in augment")
    if settings.by != "harness":
        raise ValueError("by: copies are made by the harness; state it in augment")
    if settings.crop:
        raise ValueError("crop: copies have the size of the pictures; state it in augment")
    return Oversample(settings, classes)


def written(text: str) -> str:
    """The one spelling of these copies; "" is "".

    Raises:
        ValueError: as `read`.
    """
    if not text:
        return ""
    found = read(text)
    words = [REPEATED if found.settings is None else to_text(found.settings)]
    return ",".join(words + [_CLASSES + ":".join(map(str, found.classes))] * bool(found.classes))


def check(text: str, augmentation: str) -> None:
    """Check that copies can be made so.

    Raises:
        ValueError: as `read`, or beside the copies of an augmentation.
    """
    if not text:
        return
    read(text)
    if augmentation != "none":
        raise ValueError(
            f"makes copies, and so does augmentation {augmentation}; state one of them"
        )
