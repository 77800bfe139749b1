"""A suite: a named matrix of runs, read from TOML; the command line overrides its fields."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from datasets.drawn import oversample
from datasets.drawn.settings import Augment
from frameworks.spec import architecture, losses
from frameworks.spec.averages import AverageWeights
from frameworks.spec.clipping import Clipping
from frameworks.spec.losses import CrossEntropy, Loss
from frameworks.spec.reading import SpecificationError, check_fields, read_table
from frameworks.spec.recipe import (
    MONITORS,
    TABLES,
    Adam,
    ClassWeightMean,
    EarlyStopping,
    FrozenNorm,
    KeepBest,
    Optimizer,
    Recipe,
    ReduceOnPlateau,
    StopAt,
    StopWhenWorse,
    named_part,
)
from frameworks.spec.rounds import Round
from frameworks.spec.schedules import Schedule, WarmUp
from results import cli
from results.vocabulary import (
    AskedDevice,
    Augmentation,
    Feed,
    Labels,
    Parity,
    Precision,
    SplitBy,
    TestCopies,
    Tuning,
    Unstated,
    near_miss,
)

DIRECTORY = Path(__file__).parents[1] / "suites"
DEFAULT = "quick"
OWN_NETWORK = "demo"  # the default where a network is named
MOST_RUNS = 100_000  # of one matrix
_LISTS: tuple[str, ...] = ("frameworks", "architectures", "seeds", "batch_size", "replicas")
_LISTS += ("parity", "tuning", "precision")
# What a run, or the disk, can hold; beyond it the number is taken for a slip.
_MOST = {
    **dict.fromkeys(
        ("epochs", "steps_per_epoch", "warmup_epochs", "batch_size", "demo_images"), cli.MOST
    ),
    **{"processes": 10_000, "replicas": 1024, "image_size": 16_384, "crop_size": 16_384},
}
_WORDS = [
    word
    for words in (
        *(Parity, Unstated, Tuning, Feed, Precision, AskedDevice),
        *(Labels, Augmentation, SplitBy, TestCopies),
    )
    for word in get_args(words)
]
# Endings of networks and data sets that are paths, whatever else is in the name.
_FILES = (".toml", ".h5", ".hdf5", ".npz", ".npy", ".parquet", ".tfrecord", ".csv", ".tsv", ".zip")


class Suite(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of a set of runs. Lists are combined into a matrix.

    Galaxies:

    - `labels` 4way and 3way group classes; `label_map` says which (`datasets.catalog.load`).
    - `group_key`: the dataset that groups the pictures of one galaxy. None: "groups", if any.
    - `split_from`: the dataset of a published split; "" for a split of ours.
    - `skip_bad`: number of pictures of a source of another form that may be left out.
    - `image_size`: pictures are resized to so many pixels a side.
    - `fraction`: the part of the galaxies that is taken, by class.
    - `augmentation`: makes copies of each galaxy (`datasets.augment`).
    - `crop_size`: pixels a side of copies that are crops.
    - `oversample`: copies training galaxies until all classes are as large as the largest:
      "repeated", or changed once by fields of `augment`, as in "flip,rotation=20".
    - `split_by`: the copies of a galaxy stay in one part, or each is dealt by itself (a leak, as
      published).
    - `test_copies`: the copies that validation and test look at.
    - `augment`: changes of every training picture, drawn anew in each epoch (`datasets.drawn`).

    Training:

    - `loss`: the network's head: what its outputs are compared with, and how.
    - `frozen`, `frozen_norm`, `layer_rates`: layers that stay as they are, and what the learning
      rate of others is multiplied by.
    - `class_weights`: "balanced" is n / (classes * n of the class), as scikit-learn has it.
    - `rounds`: trainings one after another, as of layers that are frozen first and trained later.
    - `initial_weights`: a file that fills the weights it has (`frameworks.spec.given_weights`).

    Computing:

    - `unstated`: whose defaults fill what nobody states, under parity matched.
    - `threads`: 0 is all that the process may use.
    - `timeout`: seconds for each run; 0 is never, None follows the run's estimate
      (`Estimator.time_limit`).
    - `processes`: every run is repeated in so many processes.
    - `nudge_repeats`: each repeat starts with every weight moved to a neighbouring float32 (R6).
    - `deterministic`: sets the frameworks' flags for it (docs/method.md).
    - `replicas`: data-parallel replicas of its network that a run trains (`frameworks.replicas`).
    - `feed`: how tuned backends get their batches: "staged" by row from a data set on the device,
      "streamed" each from the host, "auto" staged where it fits.

    Timing and checks:

    - `warmup_epochs`: number of first epochs whose time does not count.
    - `control`: one cell of every block runs twice (A/A pairs, the noise floor).
    - `limits`: the machine's peaks are measured first.
    - `check_parity`: every configuration's parity with the reference is checked first.
    - `check_network`: a check of seconds: do the frameworks compute the same network in float64?
    """

    name: str = ""
    description: str = ""
    frameworks: tuple[str, ...] = ("keras", "torch", "jax")
    architectures: tuple[str, ...] = ("unam",)
    dataset: str = "demo"
    labels: Labels = "native"
    channels: str = "rgb"
    image_key: str = "images"
    label_key: str = "ans"
    group_key: str | None = None
    label_map: str = ""
    split_from: str = ""
    skip_bad: int = 0
    image_size: int | None = None
    demo_images: int | None = None
    fraction: float = 1.0
    augmentation: Augmentation = "none"
    crop_size: int | None = None
    oversample: str = ""
    split_seed: int = 0
    split_by: SplitBy = "galaxy"
    test_copies: TestCopies = "centre"
    test_fraction: float = 0.2
    validation_fraction: float = 0.2
    seeds: tuple[int, ...] = (0,)
    processes: int = 1
    nudge_repeats: bool = False
    deterministic: bool = False
    epochs: int = 10
    steps_per_epoch: int | None = None
    shuffle_window: int | None = None
    batch_size: tuple[int, ...] = (64,)
    accumulation: int = 1
    optimizer: Optimizer = Adam()
    loss: Loss = CrossEntropy()
    frozen: list[str] | None = None
    frozen_norm: FrozenNorm = "inference"
    layer_rates: dict[str, float] | None = None
    class_weights: list[float] | Literal["balanced"] | None = None
    class_weight_mean: ClassWeightMean | None = None
    early_stopping: EarlyStopping | None = None
    stop_at: StopAt | None = None
    stop_when_worse: StopWhenWorse | None = None
    reduce_on_plateau: ReduceOnPlateau | None = None
    keep_best: KeepBest | None = None
    schedule: Schedule | None = None
    warm_up: WarmUp | None = None
    clipping: Clipping | None = None
    average_weights: AverageWeights | None = None
    initial_weights: str | None = None
    augment: Augment | None = None
    rounds: list[Round] | None = None
    parity: tuple[Parity, ...] = ("matched",)
    unstated: Unstated = "project"
    tuning: tuple[Tuning, ...] = ("idiomatic",)
    precision: tuple[Precision, ...] = ("float32",)
    device: AskedDevice = "auto"
    threads: int = 0
    replicas: tuple[int, ...] = (1,)
    feed: Feed = "auto"
    warmup_epochs: int = 0
    timeout: float | None = None
    control: bool = False
    limits: bool = False
    check_parity: bool = False
    check_network: bool = False


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
    require(runs <= MOST_RUNS, "processes", f"makes {runs:,} runs; at most {MOST_RUNS:,}.")
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
        f"is {suite.warmup_epochs}, of {suite.epochs} epochs; at least one must be left to time.",
    )
    own = suite.feed != "auto" and "idiomatic" in suite.tuning
    require(
        not own,
        "feed",
        f"is '{suite.feed}', and idiomatic runs are fed as their framework's users feed them; "
        "use tuning tuned alone.",
    )
    require(
        suite.feed != "staged" or no_copies,
        "feed",
        f"is 'staged', and augmentation {suite.augmentation} makes its copies as they are asked "
        "for; use feed streamed.",
    )
    drawn = suite.augment
    require(
        suite.feed != "staged" or drawn is None,
        "feed",
        "is 'staged', and augment draws pictures as they are asked for; use feed streamed.",
    )
    require(
        no_copies or drawn is None or not drawn.crop,
        "augment",
        f"has a crop, and augmentation {suite.augmentation} makes copies; state one of them.",
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


def recipe(suite: Suite, *, batch_size: int, class_weights: list[float] | None = None) -> Recipe:
    """The recipe of a suite's runs; class weights in numbers, where the suite has none.

    Raises:
        SpecificationError: a value out of range; the message names the field.
    """
    if isinstance(suite.class_weights, list):
        class_weights = suite.class_weights
    alike = set(Recipe.__struct_fields__) & set(Suite.__struct_fields__)
    stated: dict[str, Any] = {name: getattr(suite, name) for name in alike}
    stated["batch_size"] = batch_size
    stated |= {name: tuple(getattr(suite, name) or ()) for name in ("frozen", "rounds")}
    stated["class_weights"] = None if class_weights is None else tuple(class_weights)
    if class_weights is None:
        stated["class_weight_mean"] = None
    return Recipe(**stated)


def readable(message: str) -> str:
    """Turn msgspec's `Expected ... - at `$.epochs`` into `field 'epochs': Expected ...`."""
    reason, _, place = message.partition(" - at ")
    field = place.strip("`").removeprefix("$").removeprefix(".")
    if match := re.fullmatch(r"Invalid enum value '(.*)'", reason):
        reason += near_miss(match.group(1), [*_WORDS, *MONITORS, "balanced"])
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
