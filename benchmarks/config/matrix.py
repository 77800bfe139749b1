"""Every run of a suite, and the order of a session (`interleaved`)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.config.plan import PlannedRun, SplitSizes
from benchmarks.config.runconfig import DataView, RunConfig, SplitSettings
from benchmarks.config.suite import Suite, recipe
from datasets.batches import split_into_batches
from frameworks.backend import Framework, framework
from frameworks.spec import given_weights, loss_scale, own_augment
from frameworks.spec.architecture import Architecture, load
from frameworks.spec.callbacks import watching
from frameworks.spec.defaults import SHARED, fill_architecture, fill_recipe
from frameworks.spec.losses import outputs
from frameworks.spec.normalization import STAND_IN, Statistics, asks_galaxies, normalized_by
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import Recipe
from frameworks.spec.sampling import Sampling
from results import words
from results.vocabulary import Device, Parity, Precision

MOST_PARAMETERS = 2**31  # of a network: 8 GiB in float32, before gradients


def matrix(
    suite: Suite,
    data: DataView,
    sizes: SplitSizes,
    *,
    devices: dict[str, Device],
    threads: int,
    missing: Mapping[str, str] | None = None,
    interpreters: Mapping[str, str] | None = None,
    train_counts: Mapping[str, int] | None = None,
    statistics: Callable[[], Statistics] | None = None,
) -> list[PlannedRun]:
    """Every run of a suite, each once, frameworks and tunings interleaved block by block.

    Smaller batches come first: a size that does not fit in memory can then be told beside one that
    does. With `suite.control` a cell of each block is run twice, the next one in the next repeat.

    Args:
        suite: the lists to combine.
        data, sizes: what the galaxies turned out to be.
        devices: where each framework of the suite computes.
        threads: CPU threads given to each run.
        missing: frameworks that cannot be run here, with the reason; their runs are marked.
        interpreters: of frameworks that do not run in this one.
        train_counts: training images by the name of the class, for balanced class weights.
        statistics: gives mean and deviation of the training galaxies; asked only where a network
            normalises by them.

    Raises:
        SpecificationError: an unknown architecture, or one that does not fit the pictures; a loss
            or class weights that do not fit the labels; callbacks without a validation set.
        ValueError: a batch size larger than the training set.
    """
    outputs(suite.loss, data.classes, data.votes)
    architectures = [load(name) for name in suite.architectures]
    asking = statistics is not None and any(map(asks_galaxies, architectures))
    found = statistics() if statistics is not None and asking else STAND_IN
    backends = {name: framework(name) for name in suite.frameworks}
    made = recipes(
        suite,
        classes=data.classes,
        train_counts=train_counts or {},
        validation=sizes.validation,
    )
    for batch_size in suite.batch_size:
        of_pass = suite.sampling.draws if suite.sampling else None
        split_into_batches(np.arange(of_pass or sizes.train), batch_size)
    given_sha256 = ""
    if suite.initial_weights is not None:
        given_sha256 = given_weights.read(Path(suite.initial_weights)).sha256
    kinds = [
        _kind(
            suite,
            data,
            sizes,
            architecture=architecture,
            normalized=normalized_by(architecture, found),
            parity=parity,
            asked=loss_scale.of_precision(given, precision),
            precision=precision,
            backends=backends,
            devices=devices,
            threads=threads,
            missing=missing or {},
            interpreters=interpreters or {},
            initial_weights=given_sha256,
        )
        for architecture, parity, precision, given in product(
            architectures, suite.parity, suite.precision, made
        )
    ]
    blocks = []
    for repeat, (turn, seed), kind in product(
        range(suite.processes), enumerate(suite.seeds), kinds
    ):
        nudge = repeat if suite.nudge_repeats else 0
        block = [_of_seed(run, seed, repeat, nudge) for run in kind]
        if suite.control:
            _add_control(block, repeat * len(suite.seeds) + turn)
        blocks.append(_as_block(block))
    return list({run.run_id: run for run in interleaved(blocks, len(kinds))}.values())


def _kind(
    suite: Suite,
    data: DataView,
    sizes: SplitSizes,
    *,
    architecture: Architecture,
    normalized: Architecture,
    parity: Parity,
    asked: Recipe,
    precision: Precision,
    backends: Mapping[str, Framework],
    devices: Mapping[str, Device],
    threads: int,
    missing: Mapping[str, str],
    interpreters: Mapping[str, str],
    initial_weights: str,
) -> list[PlannedRun]:
    """Runs of one block, of no seed yet.

    Raises:
        SpecificationError: the network does not fit the pictures, or a framework the recipe.
    """
    split = SplitSettings(
        seed=suite.split_seed,
        test_fraction=suite.test_fraction,
        validation_fraction=suite.validation_fraction,
        by=suite.split_by,
        test_copies=suite.test_copies,
        taken_from=suite.split_from,
        fold=suite.fold,
    )
    sha256 = architecture.sha256()
    block = []
    for replicas, tuning, name in product(suite.replicas, suite.tuning, suite.frameworks):
        loss_scale.check_replicas(asked, replicas)
        own_augment.check(asked.augment, name, backends[name].defaults, parity, replicas)
        defaults = backends[name].native if parity == "native" else SHARED[suite.unstated]
        config = RunConfig(
            framework=name,
            architecture=_stripped(fill_architecture(normalized, defaults)),
            recipe=fill_recipe(asked, defaults),
            data=data,
            split=split,
            seed=0,
            device=devices.get(name, "cpu"),
            threads=threads,
            parity=parity,
            tuning=tuning,
            precision=precision,
            deterministic=suite.deterministic,
            feed=suite.feed,
            warmup_epochs=suite.warmup_epochs,
            initial_weights=initial_weights,
            replicas=replicas,
            side_by_side=suite.side_by_side,
        )
        skip, python = missing.get(name, ""), interpreters.get(name, "")
        block.append(PlannedRun(config, sizes, sha256, skip, python, asked=asked))
    _check_size(block[0].config)
    return block


def _of_seed(run: PlannedRun, seed: int, repeat: int, nudge_draw: int) -> PlannedRun:
    config = msgspec.structs.replace(run.config, seed=seed, repeat=repeat, nudge_draw=nudge_draw)
    return replace(run, config=config)


def _as_block(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """The runs under the name of their block, a hash of what they are."""
    content = "".join(sorted({run.run_id for run in runs}))
    name = hashlib.sha256(content.encode()).hexdigest()[:16]
    return [replace(run, block=name) for run in runs]


def _add_control(block: list[PlannedRun], turn: int) -> None:
    """Run one cell of the block twice, half a block apart: by turns, as each cell's noise is its
    own."""
    there = [place for place, run in enumerate(block) if not run.skip]
    if not there:
        return
    place = there[turn % len(there)]
    again = msgspec.structs.replace(block[place].config, control=True)
    half = (len(block) + 1) // 2
    where = place + half if place + half <= len(block) else place + 1 - half
    block.insert(where, replace(block[place], config=again))


def _check_size(config: RunConfig) -> None:
    """Raises SpecificationError when the pictures are too small; of crops it says which serve."""
    try:
        parameters = config.network().parameters()
        if parameters > MOST_PARAMETERS:
            raise SpecificationError(
                f"architecture '{config.architecture.name}' has "
                f"{words.count(parameters, 'parameter')} on these pictures; at most "
                f"{MOST_PARAMETERS:,}."
            )
    except SpecificationError as error:
        whole, crop = config.data.cropped_from, config.data.height
        if not whole:
            raise
        serves = next((s for s in range(crop + 1, whole - 1) if _fits(config, s)), None)
        field, instead = "crop_size", "augmentation dihedral crops nothing"
        if config.data.augmentation == "none":
            field, instead = "crop", "an augment without crop trains on the whole pictures"
        remedy = f"a {field} of {serves} or more serves" if serves else f"no {field} serves"
        raise SpecificationError(
            f"{error} These are crops of {crop} from {whole}x{whole} pixels: {remedy}; {instead}."
        ) from error


def _fits(config: RunConfig, side: int) -> bool:
    data = msgspec.structs.replace(config.data, height=side, width=side)
    try:
        msgspec.structs.replace(config, data=data).network()
    except SpecificationError:
        return False
    return True


def interleaved(blocks: Sequence[Sequence[PlannedRun]], kinds: int = 1) -> Iterator[PlannedRun]:
    """The runs block after block: K T J, J T K, T J K, K J T, ...

    The second block of a kind is the reverse of its first, the fourth of its third, so that a drift
    of the machine hits all alike, and each such pair starts one framework further on. Where the
    first starts is drawn from the hash of what is to be run: the same matrix has the same order.

    Args:
        kinds: of blocks, which take turns: block i is of the same kind as block i + kinds.
    """
    if not blocks:
        return
    content = "".join(run.run_id for block in blocks for run in block)
    start = int(hashlib.sha256(content.encode()).hexdigest(), 16)
    for number, block in enumerate(blocks):
        time = number // kinds
        turn = (start + time // 2) % max(len(block), 1)
        order = [*block[turn:], *block[:turn]]
        yield from reversed(order) if time % 2 else order


def _stripped(architecture: Architecture) -> Architecture:
    """Name and layers only: a title or a source does not change what is run."""
    return Architecture(name=architecture.name, layers=architecture.layers)


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
    deciding = watching(suite, "validation")
    if deciding and not validation:
        raise SpecificationError(
            f"field '{deciding[0]}' decides by validation scores, and there is no validation set; "
            "use a validation_fraction above 0."
        )
    weights = _class_weights(suite, classes, train_counts)
    if suite.sampling is not None and train_counts:
        _check_sampling(suite.sampling, classes, list(train_counts.values()))
    return [
        recipe(suite, batch_size=batch_size, class_weights=weights)
        for batch_size in sorted(suite.batch_size)
    ]


def rate_note(suite: Suite) -> str:
    """The learning rates of a suite that leaves the rate open; "" for one that states it."""
    field = f"{suite.optimizer.__struct_config__.tag}.learning_rate"
    if suite.optimizer.learning_rate is not None:
        return ""
    parts = []
    if "matched" in suite.parity:
        whose = "the project" if suite.unstated == "project" else suite.unstated
        rate = SHARED[suite.unstated][field]
        parts.append(f"{rate:g}, {whose}'s, in every framework (parity matched)")
    if "native" in suite.parity:
        own = [
            f"{name} {framework(name).native[field]:g}" for name in dict.fromkeys(suite.frameworks)
        ]
        parts.append(f"each framework's own (parity native): {', '.join(own)}")
    return f"learning rate of {field.partition('.')[0]} is left open: {'; '.join(parts)}"


def _check_sampling(sampling: Sampling, classes: int, counts: list[int]) -> None:
    if sampling.weights != "balanced" and len(sampling.weights) != classes:
        raise SpecificationError(
            f"field 'sampling': there are {words.count(len(sampling.weights), 'weight')}, and the "
            f"data set with these labels has {words.count(classes, 'class')}; give a number for "
            'each, or "balanced".'
        )
    sampling.sampler(np.repeat(np.arange(len(counts)), counts))


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
            f'has {words.count(classes, "class")}; give a number for each, or "balanced".'
        )
    return asked
