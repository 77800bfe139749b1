"""Figures of a published run, as data: from an experiment's file, and kept with its runs."""

from __future__ import annotations

import json
from typing import Any, Literal, get_args

import msgspec

Metric = Literal[
    "test_accuracy",
    "test_loss",
    "train_accuracy",
    "train_loss",
    "validation_accuracy",
    "validation_loss",
    "best_validation_accuracy",
    "best_validation_epoch",
    "lowest_validation_loss",
    "lowest_validation_loss_epoch",
    "recall",
    "parameters",
    "epoch_seconds",
]
METRICS: tuple[str, ...] = get_args(Metric)
IN_EXTRA = "experiment"  # the key of a run's column `extra` that holds its `Declared`


# Those of a validation or test that are an epoch or a count, no mean over images.
_NO_MEAN = ("best_validation_epoch", "lowest_validation_loss_epoch", "parameters", "epoch_seconds")


def part_of(metric: str) -> Literal["train", "validation", "test"] | None:
    """The part of the split whose images a metric is a mean over; None where it is no mean."""
    if metric in _NO_MEAN:
        return None
    if metric.startswith("train"):
        return "train"
    return "validation" if "validation" in metric else "test"


class Reported(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One published figure.

    Attributes:
        value: as printed; accuracies and recalls as shares, losses in nats.
        framework: that the published run was trained in.
        source: notebook, script or slide that prints it.
        epoch: of a value read off a curve; None is the last one.
        label: the class of a recall, as the run's label view counts it.
        images: that the figure was taken over, where it is not the experiment's split.
        comparable, reason: whether ours can be the same quantity, and if not why.
        traps: keys of what is known to explain a difference.
    """

    metric: Metric
    value: float
    framework: str = ""
    source: str = ""
    note: str = ""
    epoch: int | None = None
    label: int | None = None
    images: int | None = None
    comparable: bool = True
    reason: str = ""
    traps: tuple[str, ...] = ()


class Sizes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Images that the published run trained, validated and tested on."""

    train: int
    validation: int
    test: int

    def behind(self, metric: str) -> int | None:
        """Images behind a metric; None for what is no mean over images."""
        part = part_of(metric)
        return None if part is None or metric == "recall" else int(getattr(self, part))


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment as it was when a run of it was made.

    Attributes:
        sha256: of the published file of galaxies; None where there is none.
        traps: their texts by key.
        changed: fields that options overrode: what they were, and what they were made.
        parity, precision: that its file asks for. The published runs were in float32; under matched
            parity what they left unstated is the project's.
    """

    name: str
    title: str
    source: str
    dataset: str
    sha256: str | None = None
    sizes: Sizes | None = None
    reported: tuple[Reported, ...] = ()
    traps: dict[str, str] = {}
    changed: dict[str, tuple[Any, Any]] = {}
    parity: tuple[str, ...] = ("matched",)
    precision: tuple[str, ...] = ("float32",)


def declared(extra: object) -> Declared | None:
    """The declaration in a run's column `extra`; None where there is none that can be read."""
    if not isinstance(extra, str):
        return None
    found = json.loads(extra)
    if not isinstance(found, dict) or IN_EXTRA not in found:
        return None
    try:
        return msgspec.convert(found[IN_EXTRA], Declared)
    except msgspec.ValidationError:  # written by another version of these classes
        return None
