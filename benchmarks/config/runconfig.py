"""One run as data, whole, and its identity.

A `RunConfig` states everything that decides a result or a speed: the architecture and recipe with
every default spelled out, the data view, the split, the seed, the device. Its hash is the `run_id`.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

import msgspec

from frameworks.backend import Runtime
from frameworks.spec.architecture import Architecture
from frameworks.spec.frozen import bound
from frameworks.spec.losses import outputs
from frameworks.spec.network import Network
from frameworks.spec.recipe import Recipe
from results.task import WHICH_RUN
from results.vocabulary import (
    Augmentation,
    Device,
    Feed,
    Parity,
    Precision,
    SplitBy,
    TestCopies,
    Tuning,
)
from results.words import count

# What fields that may be left open now had for a default when the first runs were stored: left out
# of the hash as it was then.
_DEFAULT_ONCE = {
    "adam.learning_rate": 1e-3,
    "adamw.learning_rate": 1e-3,
    "adadelta.learning_rate": 1e-3,
    "adagrad.learning_rate": 1e-3,
    "sgd.learning_rate": 1e-2,
    "rmsprop.learning_rate": 1e-3,
    "recipe.class_weight_mean": "images",  # what all runs computed before it could be stated
}


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class DataView(_Part, frozen=True):
    """The galaxies as the network sees them. `sha256` is that of a published file, or of the
    pictures and labels as loaded (in runs stored earlier: of any file).

    label_map: which classes were grouped, where a user said it. twins: pictures of one galaxy were
    found, by their pixels or coordinates, and stay in one part of the split.
    fraction: of its galaxies, by class. augmentation: the copies made of each; where those are
    crops, cropped_from is the side of the pictures they are taken from, in pixels, else 0; scaled:
    what is drawn are parts scaled to one size, to which the tested pictures are scaled whole.
    oversample: copies of training galaxies that make the classes even, as the suite states it.
    votes: of a loss of votes, how many each galaxy has, else 0; votes_sha256 is theirs.
    """

    dataset: str
    sha256: str
    labels: str
    channels: str
    height: int
    width: int
    image_channels: int
    classes: int
    image_key: str = "images"
    label_key: str = "ans"
    label_map: str = ""
    twins: bool = False
    fraction: float = 1.0
    augmentation: Augmentation = "none"
    cropped_from: int = 0
    scaled: bool = False
    oversample: str = ""
    votes: int = 0
    votes_sha256: str = ""

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return (self.height, self.width, self.image_channels)


class SplitSettings(_Part, frozen=True):
    """Split of the galaxies: the test set is taken first, then validation from the rest.

    by: "copy" deals every augmented copy by itself, so copies of one galaxy are both trained and
    tested on. test_copies: the copies that validation and test look at. taken_from: where the file
    keeps a published split, "" for a split of ours. fold: "K/N", the test set is the K-th of N
    folds.
    """

    seed: int
    test_fraction: float
    validation_fraction: float
    by: SplitBy = "galaxy"
    test_copies: TestCopies = "centre"
    taken_from: str = ""
    fold: str = ""


class RunConfig(_Part, frozen=True):
    """One run, whole: what a worker needs to know, and what `run_id` is the hash of.

    `control` marks the second of an A/A pair: the same cell, run once more in the same block. Of
    the first `warmup_epochs` no time counts.

    A field added later must have the default that describes the runs made before it, and a default
    must never change: both keep the identity of stored runs. Name it in `results.task.ABSENT`.
    """

    framework: str
    architecture: Architecture
    recipe: Recipe
    data: DataView
    split: SplitSettings
    seed: int
    device: Device
    threads: int
    repeat: int = 0
    parity: Parity = "matched"
    tuning: Tuning = "idiomatic"
    precision: Precision = "float32"
    deterministic: bool = False
    nudge_draw: int = 0  # moves every weight to a neighbouring float32; 0: none is moved
    control: bool = False
    feed: Feed = "auto"
    warmup_epochs: int = 0
    initial_weights: str = ""  # SHA-256 of the file that they are filled from
    replicas: int = 1  # each has its slice of every batch; `threads` are theirs together
    side_by_side: int = 1  # blocks that may share its node

    @property
    def run_id(self) -> str:
        """Hash of everything, 16 hexadecimal digits."""
        return _hash(identity(self))

    @property
    def cell_id(self) -> str:
        """Hash of all but seed, repeat, nudge and control: what is averaged over, and tracked."""
        parts = identity(self)
        return _hash({key: parts[key] for key in parts if key not in WHICH_RUN})

    def network(self) -> Network:
        """The architecture bound to this view of the data, with the outputs that its loss needs.

        Raises:
            SpecificationError: the pictures are too small, the loss does not fit the labels, or a
                layer that the recipe names is not there.
        """
        count = outputs(self.recipe.loss, self.data.classes, self.data.votes)
        return bound(Network(self.architecture, self.data.input_shape, count), self.recipe)

    def runtime(self) -> Runtime:
        """The backend's settings: device, precision, threads, seed and the like."""
        return Runtime(
            device=self.device,
            precision=self.precision,
            tuning=self.tuning,
            native_dropout=self.parity == "native",
            seed=self.seed,
            threads=self.threads,
            deterministic=self.deterministic,
            feed=self.feed,
            replicas=self.replicas,
        )

    def label(self) -> str:
        """A short name for messages: framework, architecture, seed, and what is not usual."""
        unusual = [
            text
            for text, usual in (
                (self.parity, "matched"),
                (self.tuning, "idiomatic"),
                (self.precision, "float32"),
                (f"batch {self.recipe.batch_size}", "batch 64"),
                (f"repeat {self.repeat}", "repeat 0"),
                ("deterministic" if self.deterministic else "", ""),
                ("" if self.feed == "auto" else self.feed, ""),
                *((words, "") for words in self.recipe.extras()),
                ("given weights" if self.initial_weights else "", ""),
                (count(self.replicas, "replica"), "1 replica"),
                (f"{self.side_by_side} side by side", "1 side by side"),
                ("A/A control" if self.control else "", ""),
            )
            if text != usual
        ]
        return " ".join([self.framework, self.architecture.name, f"seed {self.seed}", *unusual])


def identity(part: msgspec.Struct) -> dict[str, Any]:
    """A struct as nested dictionaries, without the fields that have their default value.

    Leaving defaults out lets a field be added later without changing the hash of earlier runs.
    """
    tree: dict[str, Any] = {}
    tag = part.__struct_config__.tag
    if tag is not None:
        tree[str(part.__struct_config__.tag_field)] = tag
    for name, default in _defaults(type(part)):
        value = getattr(part, name)
        owner = tag or type(part).__name__.lower()
        if value == _DEFAULT_ONCE.get(f"{owner}.{name}", msgspec.UNSET):
            continue
        if default is msgspec.NODEFAULT or value != default:
            tree[name] = _builtin(value)
    return tree


@cache
def _defaults(kind: type[msgspec.Struct]) -> list[tuple[str, Any]]:
    return [(field.name, field.default) for field in msgspec.structs.fields(kind)]


def _builtin(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return identity(value)
    if isinstance(value, list | tuple):
        return [_builtin(item) for item in value]
    return value


def _hash(tree: dict[str, Any]) -> str:
    content = msgspec.json.encode(tree, order="deterministic")
    return hashlib.sha256(content).hexdigest()[:16]
