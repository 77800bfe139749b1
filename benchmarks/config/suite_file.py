"""Suites as TOML files and tables: what is read, and what is refused."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec

from benchmarks.config.suite import Suite, recipe
from datasets.drawn import oversample
from datasets.folds import fold_of
from frameworks.spec import architecture, losses
from frameworks.spec.reading import SpecificationError, check_fields, read_table
from frameworks.spec.recipe import (
    MONITORS,
    TABLES,
    named_part,
)
from results import cli
from results.vocabulary import near_miss
from results.words import count

DIRECTORY = Path(__file__).parents[1] / "suites"
DEFAULT = "quick"
OWN_NETWORK = "demo"  # the default where a network is named
MOST_RUNS = 100_000  # of one matrix
_LISTS: tuple[str, ...] = ("frameworks", "architectures", "seeds", "batch_size", "replicas")
_LISTS += ("parity", "tuning", "precision")
# What a run, or the disk, can hold; beyond it the number is taken for a slip.
_MOST = {
    **dict.fromkeys(("epochs", "steps_per_epoch", "warmup_epochs", "demo_images"), cli.MOST),
    **dict.fromkeys(("batch_size", "accumulation"), cli.MOST),
    **{
        "processes": 10_000,
        "replicas": 1024,
        "side_by_side": 1024,
        "image_size": 16_384,
        "crop_size": 16_384,
    },
}
# Endings of networks and data sets that are paths, whatever else is in the name.
_FILES = (".toml", ".h5", ".hdf5", ".npz", ".npy", ".parquet", ".tfrecord", ".csv", ".tsv", ".zip")


def _words(kind: Any) -> Iterator[str]:
    """The words that a type names: a Literal's, and those of the types within."""
    for one in get_args(kind):
        if isinstance(one, str):
            yield one
        else:
            yield from _words(one)


def available() -> list[str]:
    """Names of the suites that ship with the project."""
    return sorted(path.stem for path in DIRECTORY.glob("*.toml"))


def load(name_or_path: str) -> Suite:
    """Read and validate a suite: a shipped name, or the path of a TOML file.

    Paths of architectures and data sets inside a file of one's own are relative to that file.

    Raises:
        SpecificationError: unknown name, unreadable or malformed file, unknown field or bad value;
            the message names the file and the field.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml" and "/" not in name_or_path:
        path = DIRECTORY / f"{name_or_path}.toml"
        if not path.exists():
            raise SpecificationError(
                f"unknown suite '{name_or_path}'{near_miss(name_or_path, available())}. "
                f"Known: {', '.join(available())}; or give the path of a .toml file."
            )
    table = read_table(path, "suite")
    table.setdefault("name", path.stem)
    suite = convert(table, origin=str(path))
    if path.parent != DIRECTORY:
        suite = relative_to(path.parent, suite)
    return suite


def convert(table: dict[str, Any], *, origin: str) -> Suite:
    """Validate a table of a suite's fields; a single value stands for a list of one.

    Raises:
        SpecificationError: the message names `origin` and the field.
    """
    fields = {field.name: field for field in msgspec.structs.fields(Suite)}
    check_fields(table, Suite, origin)
    table = dict(table)
    for key, field in fields.items():
        if key in table and isinstance(field.default, tuple) and not isinstance(table[key], list):
            table[key] = [table[key]]
    if "loss" in table:
        table["loss"] = named_part("loss", table["loss"], losses.LOSSES, origin)
    try:
        suite = msgspec.convert(table, Suite)
    except (msgspec.ValidationError, SpecificationError) as error:
        raise SpecificationError(f"{origin}: {readable(str(error))}") from error
    check(suite, origin=origin)
    return suite


def check(suite: Suite, *, origin: str) -> None:
    """Ranges, which the types do not say. Raises SpecificationError naming the field."""

    def require(holds: bool, field: str, problem: str) -> None:
        if not holds:
            raise SpecificationError(f"{origin}: field '{field}': {problem}")

    for field in msgspec.structs.fields(Suite):
        value = getattr(suite, field.name)
        require(value != (), field.name, "is empty; name at least one.")
    for name, most in _MOST.items():
        value = getattr(suite, name)
        for one in value if isinstance(value, tuple) else (value,):
            require(one is None or one <= most, name, f"is {one}; at most {most:,}.")
    runs = math.prod(len(getattr(suite, name)) for name in _LISTS) * max(suite.processes, 0)
    require(runs <= MOST_RUNS, "processes", f"makes {count(runs, 'run')}; at most {MOST_RUNS:,}.")
    for batch_size in suite.batch_size:
        require(batch_size >= 1, "batch_size", f"is {batch_size}; must be at least 1.")
    for seed in suite.seeds:
        require(0 <= seed < 2**63, "seeds", f"has {seed}; a seed is in 0..2**63-1.")
    require(0 <= suite.split_seed < 2**63, "split_seed", "must be in 0..2**63-1.")
    require(suite.skip_bad >= 0, "skip_bad", f"is {suite.skip_bad}; must not be negative.")
    require(
        not (suite.split_from and suite.split_by == "copy"),
        "split_from",
        "is of galaxies, and split_by 'copy' deals copies; use split_by galaxy.",
    )
    require(0 < suite.fraction <= 1, "fraction", f"is {suite.fraction}; above 0, and at most 1.")
    crop, crops = suite.crop_size, suite.augmentation == "crops40"
    require(crop is None or crop >= 1, "crop_size", f"is {crop}; must be at least 1.")
    require(
        crop is None or crops,
        "crop_size",
        f"is {crop}, and nothing is cropped; use augmentation crops40, or image_size to resize.",
    )
    no_copies = suite.augmentation == "none"
    try:
        oversample.check(suite.oversample, suite.augmentation)
    except ValueError as error:
        require(False, "oversample", str(error))
    if suite.fold:
        try:
            fold_of(suite.fold)
        except ValueError as error:
            require(False, "fold", str(error).removeprefix("fold: "))
        ours = not suite.split_from
        require(ours, "fold", "deals a split of ours; leave it or split_from out.")
    require(
        not (no_copies and suite.test_copies == "all"),
        "test_copies",
        "is 'all', and there are no copies; use augmentation crops40 or dihedral.",
    )
    require(suite.epochs >= 0, "epochs", f"is {suite.epochs}; must not be negative.")
    require(suite.warmup_epochs >= 0, "warmup_epochs", "must not be negative.")
    require(
        suite.warmup_epochs < max(suite.epochs, 1),
        "warmup_epochs",
        f"is {suite.warmup_epochs}, of {count(suite.epochs, 'epoch')}; at least one must be left "
        "to time.",
    )
    own = suite.feed != "auto" and "idiomatic" in suite.tuning
    require(
        not own,
        "feed",
        f"is '{suite.feed}', and idiomatic runs are fed as their framework's users feed them; "
        "use tuning tuned alone.",
    )
    drawn = suite.augment
    require(
        no_copies or drawn is None or not drawn.crop,
        "augment",
        f"has a crop, and augmentation {suite.augmentation} makes copies; state one of them.",
    )
    require(
        not (suite.oversample and suite.sampling),
        "sampling",
        "draws galaxies by class, and oversample copies them until the classes are even; take out "
        "one of them.",
    )
    require(suite.processes >= 1, "processes", f"is {suite.processes}; must be at least 1.")
    smallest = min(suite.batch_size, default=1)
    for replicas in suite.replicas:
        require(replicas >= 1, "replicas", f"is {replicas}; must be at least 1.")
        require(
            replicas <= smallest,
            "replicas",
            f"is {replicas}, and a batch of {smallest} has no image for each of them; ask for "
            "fewer, or for a larger batch_size.",
        )
    together = suite.side_by_side
    require(together >= 1, "side_by_side", f"is {together}; must be at least 1.")
    require(
        together == 1 or not suite.limits,
        "side_by_side",
        f"is {together}, and limits are peaks of a machine that does nothing else; leave one out.",
    )
    require(suite.threads >= 0, "threads", f"is {suite.threads}; must not be negative.")
    nudged_natives = suite.nudge_repeats and "native" in suite.parity
    require(not nudged_natives, "nudge_repeats", "moves weights that the harness draws: matched.")
    limit = suite.timeout
    require(limit is None or limit >= 0, "timeout", f"is {limit}; must not be negative.")
    rate = suite.optimizer.learning_rate
    open_or_good = rate is None or 0 < rate < float("inf")
    require(open_or_good, "learning_rate", f"is {rate}; must be positive.")
    told = suite.class_weights is not None or suite.class_weight_mean is None
    require(
        told,
        "class_weight_mean",
        "says what weighted losses are divided by, and there are no class_weights; state them, as "
        'numbers or "balanced", or leave it out.',
    )
    balanced = suite.class_weights == "balanced" and losses.targets_of(suite.loss) == "votes"
    require(
        not balanced, "class_weights", "are of classes, and the loss is of votes; take them out."
    )
    try:
        recipe(suite, batch_size=1)
    except SpecificationError as error:
        raise SpecificationError(f"{origin}: {str(error).removeprefix('recipe: ')}") from error


def readable(message: str) -> str:
    """Turn msgspec's `Expected ... - at `$.epochs`` into `field 'epochs': Expected ...`."""
    reason, _, place = message.partition(" - at ")
    field = place.strip("`").removeprefix("$").removeprefix(".")
    if match := re.fullmatch(r"Invalid enum value '(.*)'", reason):
        words = [word for one in msgspec.structs.fields(Suite) for word in _words(one.type)]
        reason += near_miss(match.group(1), [*words, *MONITORS])
    elif (match := re.search(r"unknown field `(.*)`", reason)) and field in TABLES:
        known = [part.name for part in msgspec.structs.fields(TABLES[field])]
        reason += f"{near_miss(match.group(1), known)}; known: {', '.join(known)}"
    return f"field '{field}': {reason}" if field else reason


def relative_to(directory: Path, suite: Suite) -> Suite:
    """The suite with the paths of architectures and data sets as from `directory`; names stay."""

    def resolved(name: str) -> str:
        is_path = "/" in name or Path(name).suffix in _FILES
        return str(directory / name) if is_path else name

    given, shipped = suite.initial_weights, architecture.public()
    return msgspec.structs.replace(
        suite,
        initial_weights=given and str(directory / given),
        architectures=tuple(
            name if name in shipped else resolved(name) for name in suite.architectures
        ),
        dataset=resolved(suite.dataset),
    )
