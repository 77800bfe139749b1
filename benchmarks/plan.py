"""What is to be run: one frozen configuration per run, its identity, and the order of a session.

A `RunConfig` states everything that decides a result or a speed: the architecture and recipe with
every default spelled out, the data view, the split, the seed, the device. Its hash is the `run_id`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import product
from typing import Any, Literal

import msgspec
import numpy as np

from benchmarks.recipes import recipes
from benchmarks.suite import Augmentation, Parity, SplitBy, Suite, TestCopies, Tuning
from datasets.batches import split_into_batches
from frameworks.architecture import Architecture, SpecificationError, load
from frameworks.backend import Precision, Runtime, framework
from frameworks.defaults import NATIVE, PROJECT, fill_architecture, fill_recipe
from frameworks.network import Network
from frameworks.recipe import Recipe

Device = Literal["cpu", "cuda"]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class DataView(_Part, frozen=True):
    """The galaxies as the network sees them. `sha256` is that of the source.

    fraction: of its galaxies, by class. augmentation: the copies made of each; where those are
    crops, cropped_from is the side of the pictures they are taken from, in pixels, else 0.
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
    fraction: float = 1.0
    augmentation: Augmentation = "none"
    cropped_from: int = 0

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return (self.height, self.width, self.image_channels)


class SplitSettings(_Part, frozen=True):
    """How the galaxies are split: the test set first, then validation from what is left.

    by: "copy" deals every augmented copy by itself, so that copies of one galaxy are trained and
    tested on; test_copies: those that validation and test look at.
    """

    seed: int
    test_fraction: float
    validation_fraction: float
    by: SplitBy = "galaxy"
    test_copies: TestCopies = "centre"


class RunConfig(_Part, frozen=True):
    """One run, whole: what a worker needs to know, and what `run_id` is the hash of.

    `control` marks the second of an A/A pair: the same cell, run once more in the same block.

    A field added later must have the default that describes the runs made before it, and a default
    must never change: both keep the identity of stored runs.
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
    nudge: int = 0  # float32 units in the last place by which the first weight is moved
    control: bool = False

    @property
    def run_id(self) -> str:
        """Hash of everything, 16 hexadecimal digits."""
        return _hash(identity(self))

    @property
    def cell_id(self) -> str:
        """Hash of all but seed, repeat, nudge and control: what is averaged over, and tracked."""
        parts = identity(self)
        left_out = ("seed", "repeat", "nudge", "control")
        return _hash({key: parts[key] for key in parts if key not in left_out})

    def network(self) -> Network:
        """The architecture bound to this view of the data."""
        return Network(self.architecture, self.data.input_shape, self.data.classes)

    def runtime(self) -> Runtime:
        """What the backend is told of where and how to compute."""
        return Runtime(
            device=self.device,
            precision=self.precision,
            tuning=self.tuning,
            native_dropout=self.parity == "native",
            seed=self.seed,
            threads=self.threads,
            deterministic=self.deterministic,
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
                *((words, "") for words in self.recipe.extras()),
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
    if part.__struct_config__.tag is not None:
        tree[str(part.__struct_config__.tag_field)] = part.__struct_config__.tag
    for name, default in _defaults(type(part)):
        value = getattr(part, name)
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


@dataclass(frozen=True)
class SplitSizes:
    """Images of each part of the split."""

    train: int
    validation: int
    test: int


@dataclass(frozen=True)
class PartOf:
    """The published experiment that a run belongs to.

    scale: the share of its data and epochs; declared: what was reported of it, as plain data.
    """

    name: str
    scale: float = 1.0
    declared: Mapping[str, Any] = field(default_factory=dict)

    def label(self) -> str:
        """The name, and the scale where it is not all of it."""
        return self.name if self.scale == 1 else f"{self.name} SCALED x{self.scale:g}"


@dataclass(frozen=True)
class PlannedRun:
    """A run and what it amounts to.

    architecture_hash: of the layers as given, before defaults were filled in, which under native
    parity differ between frameworks; skip: why it cannot be run here, when it cannot; python: the
    interpreter that runs it, by default this one; part_of: its experiment, if it is of one.
    """

    config: RunConfig
    sizes: SplitSizes
    architecture_hash: str = ""
    skip: str = ""
    python: str = ""
    part_of: PartOf | None = None

    def label(self) -> str:
        """A short name for messages."""
        own = self.config.label()
        return f"{self.part_of.label()}: {own}" if self.part_of else own

    @cached_property
    def run_id(self) -> str:
        """Hash of the configuration."""
        return self.config.run_id

    @cached_property
    def cell_id(self) -> str:
        """Hash of the configuration without seed and repeat."""
        return self.config.cell_id

    @cached_property
    def network(self) -> Network:
        """The network that is trained."""
        return self.config.network()

    @cached_property
    def images_per_epoch(self) -> int:
        """Images trained on in one epoch: fewer than there are when partial batches are dropped."""
        batch_size = self.config.recipe.batch_size
        dropped = self.config.recipe.partial_batch == "drop"
        return self.sizes.train // batch_size * batch_size if dropped else self.sizes.train

    @cached_property
    def steps(self) -> int:
        """Optimizer steps in all."""
        per_epoch = -(-self.images_per_epoch // self.config.recipe.batch_size)
        return per_epoch * self.config.recipe.epochs

    @cached_property
    def flops(self) -> int:
        """Operations of all training, validation and test, as the network's formulas count them;
        a run that may stop early is counted as if it did not."""
        return self.flops_of(self.config.recipe.epochs)

    def flops_of(self, epochs: int | None) -> int:
        """The same when it trains so many epochs; None is all."""
        epochs = self.config.recipe.epochs if epochs is None else epochs
        trained = epochs * self.images_per_epoch * self.network.flops(training=True)
        looked_at = (epochs + 1) * self.sizes.validation + self.sizes.test
        return trained + looked_at * self.network.flops()


def matrix(
    suite: Suite,
    data: DataView,
    sizes: SplitSizes,
    *,
    devices: dict[str, Device],
    threads: int,
    missing: dict[str, str] | None = None,
    interpreters: Mapping[str, str] | None = None,
    train_counts: Mapping[str, int] | None = None,
) -> list[PlannedRun]:
    """Every run of a suite, each once, frameworks and tunings interleaved block by block.

    Smaller batches come first: a size that does not fit in memory can then be told beside one that
    does. With `suite.control` the first framework of each block, in its first tuning, is run twice.

    Args:
        suite: the lists to combine.
        data, sizes: what the galaxies turned out to be.
        devices: where each framework of the suite computes.
        threads: CPU threads given to each run.
        missing: frameworks that cannot be run here, with the reason; their runs are marked.
        interpreters: of frameworks that do not run in this one.
        train_counts: training images by the name of the class, for balanced class weights.

    Raises:
        SpecificationError: an unknown architecture, or one that does not fit the pictures; class
            weights that do not fit the classes; callbacks without a validation set.
        ValueError: a batch size larger than the training set.
    """
    architectures = [load(name) for name in suite.architectures]
    natives = {name: NATIVE[framework(name).defaults] for name in suite.frameworks}
    made = recipes(
        suite,
        classes=data.classes,
        train_counts=train_counts or {},
        validation=sizes.validation,
    )
    for batch_size in suite.batch_size:
        split_into_batches(np.arange(sizes.train), batch_size)
    blocks = []
    for repeat, seed, architecture, parity, precision, recipe in product(
        range(suite.processes),
        suite.seeds,
        architectures,
        suite.parity,
        suite.precision,
        made,
    ):
        block = []
        for tuning, name in product(suite.tuning, suite.frameworks):
            defaults = natives[name] if parity == "native" else PROJECT
            config = RunConfig(
                framework=name,
                architecture=_stripped(fill_architecture(architecture, defaults)),
                recipe=fill_recipe(recipe, defaults),
                data=data,
                split=SplitSettings(
                    seed=suite.split_seed,
                    test_fraction=suite.test_fraction,
                    validation_fraction=suite.validation_fraction,
                    by=suite.split_by,
                    test_copies=suite.test_copies,
                ),
                seed=seed,
                device=devices.get(name, "cpu"),
                threads=threads,
                repeat=repeat,
                parity=parity,
                tuning=tuning,
                precision=precision,
                deterministic=suite.deterministic,
                nudge=repeat if suite.nudge_repeats else 0,
            )
            skip = (missing or {}).get(name, "")
            python = (interpreters or {}).get(name, "")
            block.append(PlannedRun(config, sizes, architecture.sha256(), skip, python))
        if suite.control and (there := [run for run in block if not run.skip]):
            again = msgspec.structs.replace(there[0].config, control=True)
            # half a block away, as far as any two cells that are compared can be
            block.insert((len(block) + 1) // 2, replace(there[0], config=again))
        _check_size(block[0].config)
        blocks.append(block)
    return list({run.run_id: run for run in interleaved(blocks)}.values())


def _check_size(config: RunConfig) -> None:
    """Raises SpecificationError when the pictures are too small; of crops it says which serve."""
    try:
        config.network()
    except SpecificationError as error:
        whole, crop = config.data.cropped_from, config.data.height
        if not whole:
            raise
        serves = next((s for s in range(crop + 1, whole - 1) if _fits(config, s)), None)
        remedy = f"a crop_size of {serves} or more serves" if serves else "no crop_size serves"
        raise SpecificationError(
            f"{error} These are crops of {crop} from {whole}x{whole} pixels: {remedy}; "
            "augmentation dihedral crops nothing."
        ) from error


def _fits(config: RunConfig, side: int) -> bool:
    data = msgspec.structs.replace(config.data, height=side, width=side)
    try:
        msgspec.structs.replace(config, data=data).network()
    except SpecificationError:
        return False
    return True


def interleaved(blocks: Sequence[Sequence[PlannedRun]]) -> Iterator[PlannedRun]:
    """The runs block after block: K T J, J T K, T J K, K J T, ...

    Every second block is the reverse of the one before it, so that a drift of the machine hits all
    alike, and each pair starts one framework further on. Where the first starts is drawn from the
    hash of what is to be run: the same matrix has the same order.
    """
    if not blocks:
        return
    content = "".join(run.run_id for block in blocks for run in block)
    start = int(hashlib.sha256(content.encode()).hexdigest(), 16)
    for number, block in enumerate(blocks):
        turn = (start + number // 2) % max(len(block), 1)
        order = [*block[turn:], *block[:turn]]
        yield from reversed(order) if number % 2 else order


def _stripped(architecture: Architecture) -> Architecture:
    """Name and layers only: a title or a source does not change what is run."""
    return Architecture(name=architecture.name, layers=architecture.layers)
