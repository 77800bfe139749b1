"""A suite: a named matrix of runs."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from datasets.drawn.settings import Augment
from frameworks.spec.averages import AverageWeights
from frameworks.spec.clipping import Clipping
from frameworks.spec.loss_scale import LossScale
from frameworks.spec.losses import CrossEntropy, Loss
from frameworks.spec.recipe import (
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
)
from frameworks.spec.rounds import Round
from frameworks.spec.sampling import Sampling
from frameworks.spec.schedules import Schedule, WarmUp
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
)


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
    - `split_by`: the copies of a galaxy stay in one part, or each is dealt by itself (a leak).
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
    - `side_by_side`: blocks that may share a node of a cluster at once.
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
    fold: str = ""
    validation_fraction: float = 0.2
    seeds: tuple[int, ...] = (0,)
    processes: int = 1
    nudge_repeats: bool = False
    deterministic: bool = False
    epochs: int = 10
    steps_per_epoch: int | None = None
    shuffle_window: int | None = None
    sampling: Sampling | None = None
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
    loss_scale: LossScale | None = None
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
    side_by_side: int = 1
    feed: Feed = "auto"
    warmup_epochs: int = 0
    timeout: float | None = None
    control: bool = False
    limits: bool = False
    check_parity: bool = False
    check_network: bool = False


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
