"""A recipe is how a network is trained, as data: optimizer, batch size, epochs.

A field that frameworks default differently is `None` until `frameworks.spec.defaults` fills it in.
The update formulas are written out in `frameworks.numpy.optimizers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from datasets.drawn.settings import Augment, DrawnBy
from frameworks.spec import averages, callbacks, frozen, loss_scale, losses, rounds, schedules
from frameworks.spec import clipping as clippings
from frameworks.spec import sampling as samplings
from frameworks.spec.averages import AverageWeights
from frameworks.spec.callbacks import CALLBACKS as CALLBACKS
from frameworks.spec.callbacks import MONITORS as MONITORS
from frameworks.spec.callbacks import EarlyStopping as EarlyStopping
from frameworks.spec.callbacks import KeepBest as KeepBest
from frameworks.spec.callbacks import Monitor as Monitor
from frameworks.spec.callbacks import ReduceOnPlateau as ReduceOnPlateau
from frameworks.spec.callbacks import StopAt as StopAt
from frameworks.spec.callbacks import StopWhenWorse as StopWhenWorse
from frameworks.spec.clipping import CLIPPINGS, Clipping
from frameworks.spec.loss_scale import LossScale
from frameworks.spec.losses import LOSSES, CrossEntropy, Loss
from frameworks.spec.optimizers import OPTIMIZERS as OPTIMIZERS
from frameworks.spec.optimizers import SGD as SGD
from frameworks.spec.optimizers import Adadelta as Adadelta
from frameworks.spec.optimizers import Adagrad as Adagrad
from frameworks.spec.optimizers import Adam as Adam
from frameworks.spec.optimizers import Adamax as Adamax
from frameworks.spec.optimizers import AdamW as AdamW
from frameworks.spec.optimizers import AmsgradForm as AmsgradForm
from frameworks.spec.optimizers import DecayForm as DecayForm
from frameworks.spec.optimizers import EpsilonForm as EpsilonForm
from frameworks.spec.optimizers import Lion as Lion
from frameworks.spec.optimizers import Optimizer as Optimizer
from frameworks.spec.optimizers import RMSprop as RMSprop
from frameworks.spec.optimizers import VelocityForm as VelocityForm
from frameworks.spec.optimizers import decay as decay
from frameworks.spec.optimizers import kept_slots as kept_slots
from frameworks.spec.optimizers import spares as spares
from frameworks.spec.optimizers import velocity_form as velocity_form
from frameworks.spec.reading import SpecificationError, check_fields
from frameworks.spec.rounds import Round
from frameworks.spec.sampling import Sampling
from frameworks.spec.schedules import SCHEDULES, Schedule, WarmUp
from frameworks.spec.words import unknown_part
from results.words import count

# The tables of a recipe that a file states by their fields, besides the optimizer.
TABLES: dict[str, type[msgspec.Struct]] = {
    **CALLBACKS,
    "augment": Augment,
    "average_weights": AverageWeights,
    "loss_scale": LossScale,
    "sampling": Sampling,
}


ClassWeightMean = Literal["images", "weights"]
FrozenNorm = Literal["inference", "training"]


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Training of a network. It minimises `loss`, averaged over the batch, plus `l2 * sum(w ** 2)`
    for every kernel whose layer states an `l2`.

    An epoch is a pass through the training images, or so many `steps_per_epoch`: then the passes,
    each in an order of its own, go on from epoch to epoch. `shuffle_window` is how many galaxies
    wait to be drawn from, in the order of the split, as in tf.data's shuffle: by default all.
    `partial_batch` keeps or drops the last, smaller batch of a pass. `class_weights`, one number
    per class, multiply the loss of the images of a class. `class_weight_mean` names the divisor of
    their sum: the number of images, as Keras has it, or the sum of the weights of the batch's
    images, as PyTorch has it (no number where all of these are 0).

    `frozen` names layers whose weights stay as they are: without gradient, weight decay, `l2` or
    `max_norm`. Their batch norms compute as in "inference", as Keras' do, or as in "training", with
    running statistics that go on, as PyTorch's do (`frozen_norm`). `layer_rates` are what the
    learning rate of a layer is multiplied by, decoupled decay with it. A block's name is of all
    layers in it.

    `accumulation` is the batches of a step: the optimizer steps with the mean of their gradients,
    in which every batch counts alike, whatever its images weigh. `clipping` is of that mean; batch
    norms and `max_norm` go by the batch, and schedules by the step. A group that the epoch's end
    breaks off goes on in the next epoch; the last one of the training steps no more.

    `schedule` and `warm_up` give the learning rate of each epoch or step (`schedules`). `clipping`
    holds the gradients of the loss within a limit, ahead of weight decay and optimizer.
    `average_weights` are evaluated in place of the weights, at every validation and at the end.
    `loss_scale` multiplies the loss ahead of the gradient (`loss_scale`). `sampling` draws the
    galaxies of a pass by class (`sampling`). `augment` is drawn for each galaxy in each epoch
    (`datasets.drawn`). `rounds` divide the epochs into trainings, each from the weights of the one
    before (`rounds`).
    """

    optimizer: Optimizer = Adam()
    loss: Loss = CrossEntropy()
    batch_size: int = 64
    accumulation: int = 1
    epochs: int = 10
    steps_per_epoch: int | None = None
    shuffle_window: int | None = None
    sampling: Sampling | None = None
    partial_batch: Literal["keep", "drop"] = "keep"
    frozen: tuple[str, ...] = ()
    frozen_norm: FrozenNorm = "inference"
    layer_rates: dict[str, float] | None = None
    class_weights: tuple[float, ...] | None = None
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
    augment: Augment | None = None
    rounds: tuple[Round, ...] = ()

    def __hash__(self) -> int:
        fields = msgspec.structs.astuple(self)
        return hash(tuple(frozenset(f.items()) if isinstance(f, dict) else f for f in fields))

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise SpecificationError(
                f"recipe: batch_size is {self.batch_size}; must be at least 1."
            )
        if self.epochs < 0:
            raise SpecificationError(f"recipe: epochs is {self.epochs}; must not be negative.")
        usual_counts = {"steps_per_epoch": "one pass", "shuffle_window": "all"}
        for field, usual in (usual_counts | {"accumulation": "one batch a step"}).items():
            number = getattr(self, field)
            if number is not None and number < 1:
                raise SpecificationError(
                    f"recipe: {field} is {number}; must be at least 1, or left out: {usual}."
                )
        _check(self.optimizer)
        losses.check_loss(self.loss)
        _check_class_weights(self)
        callbacks.check(self)
        frozen.check(self)
        schedules.check(self)
        clippings.check(self.clipping)
        averages.check(self)
        samplings.check(self)
        loss_scale.check(self)
        rounds.of(self)
        _check_mixed(self)

    @property
    def trained_loss(self) -> Loss:
        """The loss of the targets that training has: shares of classes where labels are mixed."""
        if self.augment is None or not self.augment.mixed:
            return self.loss
        return msgspec.structs.replace(self.loss, targets="votes")

    def drawn_by(self, who: DrawnBy) -> Augment | None:
        """Changes drawn for each galaxy in each epoch, if `who` draws them; else None."""
        return self.augment if self.augment is not None and self.augment.by == who else None

    def extras(self) -> list[str]:
        """Parts of the recipe besides optimizer, batches and epochs, in a word each."""
        words = {
            losses.name_of(self.loss): None if self.loss == CrossEntropy() else self.loss,
            f"{count(self.accumulation, 'batch')} a step": self.accumulation - 1 or None,
            f"{count(self.steps_per_epoch or 0, 'step')} an epoch": self.steps_per_epoch,
            f"shuffled within {self.shuffle_window}": self.shuffle_window,
            "sampled by class": self.sampling,
            "frozen": self.frozen or None,
            "layer rates": self.layer_rates,
            "weighted": self.class_weights,
            "stopping": self.early_stopping,
            "stops at": self.stop_at,
            "stops when worse": self.stop_when_worse,
            "plateau": self.reduce_on_plateau,
            "best": self.keep_best,
            "schedule": self.schedule,
            "warm-up": self.warm_up,
            "clipped": self.clipping,
            "averaged": self.average_weights,
            "loss scaled": self.loss_scale,
            "augmented": self.augment,
            f"{len(self.rounds) + 1} rounds": self.rounds or None,
        }
        return [word for word, part in words.items() if part is not None]


def trains_plainly(recipe: Recipe) -> bool:
    """True if every backend has the loss: the mean softmax cross-entropy, without smoothing.

    The mean is over the images.
    """
    return recipe.trained_loss == CrossEntropy() and recipe.class_weight_mean != "weights"


def from_table(table: Any, origin: str) -> Recipe:
    """Validate a [recipe] table, as TOML gives it; `origin` names it in messages.

    `optimizer`, `loss` and `schedule` are a name, or a table with the `name` and what is stated.

    Raises:
        SpecificationError: the message names `origin` and the field.
    """
    if not isinstance(table, dict):
        raise SpecificationError(f"{origin}: expected a table, got {type(table).__name__}.")
    given = {
        "optimizer": named_part("optimizer", table.get("optimizer", "adam"), OPTIMIZERS, origin)
    }
    for part, kinds in (("loss", LOSSES), ("schedule", SCHEDULES), ("clipping", CLIPPINGS)):
        if table.get(part) is not None:
            given[part] = named_part(part, table[part], kinds, origin)
    check_fields(table, Recipe, origin)
    for part, kind in TABLES.items():
        if isinstance(table.get(part), dict):
            check_fields(table[part], kind, f"{origin}, '{part}'")
    try:
        return msgspec.convert({**table, **given}, Recipe)
    except (msgspec.ValidationError, SpecificationError) as error:
        reason, _, place = str(error).removeprefix("recipe: ").partition(" - at ")
        field = f"field '{place.strip('`').removeprefix('$.')}': " if place else ""
        raise SpecificationError(f"{origin}: {field}{reason}") from error


def named_part(
    what: str, given: Any, kinds: Mapping[str, type[msgspec.Struct]], origin: str
) -> dict[str, Any]:
    """The table of a part that has a name: of a name alone too.

    Raises:
        SpecificationError: an unknown name or field; the message says what it is called here.
    """
    table = {"name": given} if isinstance(given, str) else given
    if not isinstance(table, dict):
        raise SpecificationError(f"{origin}: field '{what}': expected a name or a table.")
    name = str(table.get("name", ""))
    if name not in kinds:
        raise SpecificationError(f"{origin}: {unknown_part(what, name, kinds)}")
    settings = {key: value for key, value in table.items() if key != "name"}
    check_fields(settings, kinds[name], f"{origin}, {what} '{name}'")
    return {**settings, "name": name}


def _check(optimizer: Optimizer) -> None:
    """Ranges of the stated fields."""
    below_one = ("beta_1", "beta_2", "rho", "momentum")
    for field in optimizer.__struct_fields__:
        value = getattr(optimizer, field)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if field in below_one:
            good, rule = 0 <= value < 1, "must be in [0, 1)"
        elif field == "learning_rate":
            good, rule = 0 < value < float("inf"), "must be finite and positive"
        else:
            good, rule = 0 <= value < float("inf"), "must be finite and not negative"
        if not good:
            raise SpecificationError(f"recipe: {field} is {value}; {rule}.")
    if spares(optimizer, "") and isinstance(optimizer, SGD | Adam) and not optimizer.weight_decay:
        raise SpecificationError(
            "recipe: decayed is kernels, and the optimizer has no weight_decay; state one."
        )
    if isinstance(optimizer, SGD) and optimizer.nesterov and not optimizer.momentum:
        raise SpecificationError("recipe: nesterov needs a momentum; state one, such as 0.9.")


def _check_mixed(recipe: Recipe) -> None:
    if recipe.augment is None or not recipe.augment.mixed:
        return
    for field in ("class_weights", "steps_per_epoch"):
        if getattr(recipe, field) is not None:
            raise SpecificationError(
                f"recipe: augment mixes galaxies, and {field} is stated; a target is then of two "
                "classes and of one pass. Take one of them out."
            )


def _check_class_weights(recipe: Recipe) -> None:
    weights = recipe.class_weights
    if weights is None:
        if recipe.class_weight_mean is not None:
            raise SpecificationError(
                "recipe: class_weight_mean says what weighted losses are divided by, and there are "
                'no class_weights; state them, as numbers or "balanced", or leave it out.'
            )
        return
    if losses.targets_of(recipe.loss) == "votes":
        raise SpecificationError(
            "recipe: class_weights are of classes, and the loss is of votes; leave them out."
        )
    if not all(0 <= weight < float("inf") for weight in weights) or not any(weights):
        raise SpecificationError(
            "recipe: class_weights must be finite and not negative, and not all 0."
        )
