"""A case is what every framework is asked to compute alike, as data: frozen, and sent as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import msgspec
import numpy as np

from benchmarks.fidelity.cases import starts
from benchmarks.fidelity.cases.starts import Start
from datasets import batches, demo
from datasets.augment import COUNTS, AugmentedImages, copies_of
from datasets.drawn.images import Drawing, DrawnImages
from frameworks.backend import Runtime
from frameworks.spec import sampling, schedules
from frameworks.spec import weights as canonical
from frameworks.spec.architecture import Architecture
from frameworks.spec.frozen import bound
from frameworks.spec.losses import outputs, targets_of
from frameworks.spec.network import Network
from frameworks.spec.recipe import Recipe
from results.vocabulary import Augmentation, Device, Feed, Precision, Tuning

Measurement = Literal[
    "structure",
    "forward",
    "gradients",
    "restored",
    "optimizer",
    "steps",
    "epoch",
    "lifecycle",
    "own_masks",
    "drawn",
    "compile",
    "replicas",
]
Pictures = Literal["demo", "noise", "two_levels"]  # or the path of a file
_PICTURES, _STREAM, _VOTES = 11, 12, 13  # random streams of their own, apart from order and masks


class Case(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One network and recipe on one set of pictures, with every field stated.

    pictures: "demo" for the middle of demo galaxies drawn from the seed, "noise" for uniform
    random bytes, "two_levels" for black and white pixels at random, or the path of an .npz file
    with `images` uint8 (n, height, width, channels) and `labels` (n,).
    augmentation: training and test pictures are a view of copies, made on demand.
    feed: as in Runtime; "staged" of a view or of drawn pictures stages each epoch's own.
    classes: of the labels; where the loss is of votes, how many of these each galaxy has, made up.
    start: the weights to begin with. "initial"; "lived" are those that `starts.lived` makes, as
    after a long training; "even" has a first kernel under which different patches tie.
    measure: what to compute. steps: training steps taken one by one; the learning rate is
    multiplied by `rate_factor` after `rate_change` of them (0: never).
    renewed: of a lifecycle, whether it ends in a new backend, which compiles once more.
    record_every: weights are kept after every so many steps and after the last (0: never).
    weight_noise: relative size of a random perturbation of the initial weights, drawn from
    `noise_seed`; `ulp`: the first weight of the first kernel is moved to the next float32
    (controls for R5c).
    replicas: of a training on several, how many.
    native: the framework draws its own initial weights and dropout masks.
    stored: the reference computes in `precision` and rounds weights to this after every step.
    """

    name: str
    architecture: Architecture
    input_shape: tuple[int, int, int]
    classes: int
    recipe: Recipe
    precision: Precision = "float32"
    device: Device = "cpu"
    tuning: Tuning = "idiomatic"
    threads: int = 1
    seed: int = 0
    images: int = 64
    pictures: str = "demo"
    augmentation: Augmentation = "none"
    start: Start = "initial"
    measure: tuple[Measurement, ...] = ("structure", "forward", "gradients")
    steps: int = 0
    rate_change: int = 0
    rate_factor: float = 1.0
    record_every: int = 1
    test_images: int = 0
    renewed: bool = False
    weight_noise: float = 0.0
    noise_seed: int = 0
    ulp: bool = False
    deterministic: bool = False
    feed: Feed = "auto"
    replicas: int = 1
    native: bool = False
    mutant: str = ""
    stored: Literal["", "float32"] = ""

    @property
    def runtime(self) -> Runtime:
        """The backend's settings: device, precision, threads, seed and the like."""
        return Runtime(
            device=self.device,
            precision=self.precision,
            tuning=self.tuning,
            native_dropout=self.native,
            seed=self.seed,
            threads=self.threads,
            deterministic=self.deterministic,
            feed=self.feed,
            replicas=self.replicas,
        )


@dataclass(frozen=True)
class Material:
    """Inputs of a case, the same in every process: network, weights, batches."""

    case: Case

    @cached_property
    def network(self) -> Network:
        """The architecture bound to the case's input."""
        case = self.case
        count = outputs(case.recipe.loss, case.classes, votes=case.classes)
        return bound(Network(case.architecture, case.input_shape, count), case.recipe)

    @cached_property
    def weights(self) -> canonical.Weights:
        """Weights to begin with: float32, perturbed as the case says (then float64 when it is)."""
        case = self.case
        weights = starts.of(self.network, case.seed, case.start, self._first_images)
        generator = np.random.Generator(np.random.Philox(key=[self.case.noise_seed, _STREAM]))
        if self.case.weight_noise:
            for key in self.network.trainable_keys:
                noise = generator.uniform(-1, 1, weights[key].shape) * self.case.weight_noise
                moved = weights[key].astype(np.float64) * (1 + noise)
                weights[key] = moved.astype(
                    np.float64 if self.case.precision == "float64" else np.float32
                )
        if self.case.ulp:
            key = self.network.trainable_keys[0]
            kernel = weights[key].astype(np.float32)
            kernel.flat[0] = np.nextafter(kernel.flat[0], np.float32(np.inf))
            weights[key] = kernel.astype(weights[key].dtype)
        return weights

    @cached_property
    def lived(self) -> canonical.Weights:
        """Weights that are put into a backend: as after a long training, float32."""
        return starts.lived(self.network, self.case.seed, self._first_images())

    def _first_images(self) -> np.ndarray:
        """The first images of the data, as many as a batch."""
        return self.data[0][: self.case.recipe.batch_size]

    @cached_property
    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """(images uint8 (n, height, width, channels), labels int64 (n,), or votes float32
        (n, classes)); with an augmentation the images are a view that makes copies."""
        case = self.case
        if case.augmentation == "none":
            images, labels = self._pictures(case.images, case.input_shape)
            return images, self._targets(labels)
        height, width, channels = case.input_shape
        spare = 2 if case.augmentation == "crops40" else 0
        count = COUNTS[case.augmentation]
        whole = (height + spare, width + spare, channels)
        images, labels = self._pictures(-(-case.images // count), whole)
        crop = height if spare else None
        copies = copies_of(*whole[:2], case.augmentation, crop)
        view = AugmentedImages(images, copies)
        return view, np.repeat(self._targets(labels), count, axis=0)  # type: ignore[return-value]

    def _targets(self, labels: np.ndarray) -> np.ndarray:
        """The labels, or where the loss is of votes the shares of 40 volunteers."""
        if targets_of(self.case.recipe.loss) != "votes":
            return labels
        generator = np.random.Generator(np.random.Philox(key=[self.case.seed, _VOTES]))
        votes = generator.integers(0, 41, (len(labels), self.case.classes)) / 40
        return votes.astype(np.float32)

    def _pictures(self, count: int, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Pictures of a shape, and their labels."""
        case = self.case
        if case.pictures == "demo":
            images, labels = demo.generate(count, case.seed)
            return _middle(images, shape), labels % case.classes
        if case.pictures not in get_args(Pictures):
            with np.load(Path(case.pictures), allow_pickle=False) as archive:
                return archive["images"], archive["labels"]
        generator = np.random.Generator(np.random.Philox(key=[case.seed, _PICTURES]))
        levels, step = (2, 255) if case.pictures == "two_levels" else (256, 1)
        images = generator.integers(0, levels, (count, *shape), dtype=np.uint8) * np.uint8(step)
        return images, np.arange(count) % case.classes

    @cached_property
    def train_indices(self) -> np.ndarray:
        """Rows trained on: all but the last `test_images`."""
        return np.arange(len(self.data[1]) - self.case.test_images)

    @cached_property
    def masks(self) -> batches.MaskSpec:
        """The dropout masks of the case's seed."""
        return batches.MaskSpec(
            self.network.dropout_shapes, self.network.dropout_rates, self.case.seed
        )

    def epoch(self, number: int) -> batches.Epoch:
        """The batches of one epoch, counted from 1; of drawn crops the pictures have the size."""
        pictures, labels = self.data
        images: batches.Images = pictures
        recipe = self.case.recipe
        asked = recipe, self.train_indices, labels
        plan = sampling.plan(*asked, self.case.seed, number, recipe.steps_per_epoch)
        masks = None if self.case.native else self.masks
        drawn = recipe.drawn_by("harness")
        augment = None if drawn is None else drawn.uncropped
        if augment is not None:
            numbers, pool = np.arange(len(labels)), self.train_indices
            drawing = Drawing(augment, self.case.seed, numbers, pool=pool)
            images = DrawnImages(images, drawing, number, plan.rows, plan.passes, plan.times)
            labels = drawing.targets(labels, self.network.classes, number, images.shape[1:3])
        epoch = batches.Epoch(images, labels, plan.rows, number, masks, runs=plan.runs)
        if self.case.feed == "staged" and not isinstance(images, np.ndarray):
            return batches.laid_out(epoch, len(plan.rows) * recipe.batch_size)
        return epoch

    def rates(self, number: int) -> np.ndarray:
        """The learning rate of each step of an epoch, by the recipe's schedule, float64."""
        return schedules.rates(self.case.recipe, len(self.epoch(1)), number)

    def step_batches(self) -> list[tuple[int, int]]:
        """(epoch, step in it) of each training step of the case."""
        per_epoch = len(self.epoch(1))
        return [(1 + step // per_epoch, step % per_epoch) for step in range(self.case.steps)]

    def gradient_stream(self, step: int) -> canonical.Weights:
        """Made-up gradients of one step, float32, of sizes from 1e-6 to 1, some exactly zero; with
        a loss scale each twelfth one and the next are not finite."""
        key = [self.case.seed, (_STREAM << 32) | (step + 1)]
        generator = np.random.Generator(np.random.Philox(key=key))
        gradients = {}
        for name in self.network.trainable_keys:
            shape = self.network.weight_shapes[name]
            size = 10.0 ** generator.uniform(-6, 0, shape)
            kept = generator.random(shape) >= 0.1
            gradients[name] = (generator.standard_normal(shape) * size * kept).astype(np.float32)
        if self.case.recipe.loss_scale is not None and step % 12 in (10, 11):
            gradients[name].flat[-1] = np.inf if step % 2 else np.nan
        return gradients


def _middle(images: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """The central part of pictures (n, height, width, channels), of `shape`; a picture that is too
    small is repeated side by side."""
    height, width, channels = shape
    repeats = (1, -(-height // images.shape[1]), -(-width // images.shape[2]), 1)
    images = np.tile(images, repeats)
    top, left = (images.shape[1] - height) // 2, (images.shape[2] - width) // 2
    return np.ascontiguousarray(images[:, top : top + height, left : left + width, :channels])
