"""The training of a run, epoch by epoch: train, validate, decide how to go on."""

from __future__ import annotations

import contextlib
import gc
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.config.runconfig import RunConfig
from benchmarks.data.loader import Feed, Part
from benchmarks.process.failures import DivergedError
from benchmarks.process.slowdown import slow_down
from benchmarks.process.turns import Turns
from benchmarks.system import nvml
from benchmarks.worker.callbacks import Control
from benchmarks.worker.evaluate import evaluate
from benchmarks.worker.selfcheck import arrived
from benchmarks.worker.timer import Clock
from datasets.batches import Epoch
from datasets.drawn.images import DrawnImages
from frameworks.backend import Backend
from frameworks.metrics import macro_f1, predicted
from frameworks.spec import rounds
from frameworks.spec.callbacks import watching
from frameworks.spec.recipe import Recipe
from frameworks.spec.schedules import rates, scheduled
from frameworks.spec.weights import Weights


@dataclass
class Training:
    """A run's training, and where it stands.

    done: epochs finished. control: what the validation scores have decided so far. best_weights:
    those to end with, where the recipe asks for them. rows: of all epochs so far. after_epoch:
    called at the end of every epoch, outside all timed windows. warmup_seconds: of this process's
    warm-up epochs, whose rows have no time. drawn_wait_seconds: what the framework waited for
    pictures as drawn, where it asks for them itself or each epoch's are staged. turns: before every
    epoch, others may have theirs. rebuild: makes the backend of a later round of the recipe. round:
    the one under way, from 0; began: the epochs done before it.
    """

    config: RunConfig
    backend: Backend
    feed: Feed
    validation: Part
    clock: Clock
    meter: nvml.Meter | None = None
    after_epoch: Callable[[Training], None] = lambda training: None
    done: int = 0
    best_weights: Weights | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    control: Control = field(init=False)
    rebuild: Callable[[Recipe, Weights], Backend] | None = None
    round: int = 0
    began: int = 0
    warmup_seconds: list[float] = field(default_factory=list)
    turns: Turns = field(default_factory=Turns)
    _batches: int = field(init=False, default=0)  # of an epoch
    _scores: dict[str, Any] = field(init=False, default_factory=dict)  # of the last validation
    drawn_wait_seconds: float = 0.0

    def __post_init__(self) -> None:
        recipe = self.config.recipe
        self._rounds = rounds.of(recipe)
        self.control = self._control()
        self._watched = {getattr(recipe, name).monitor for name in watching(recipe)}
        by_validation = watching(recipe, "validation")
        if by_validation and not len(self.validation):
            raise ValueError(
                f"the recipe decides by validation scores ({', '.join(by_validation)}) and there "
                "is no validation set; use a validation_fraction above 0"
            )

    def run(self) -> None:
        """Validate, then train and validate each epoch that is left, sending every epoch's rows.

        The GPU's counters are read outside the timed windows, with the device idle.

        Raises:
            DivergedError: a loss is not finite; epochs up to that one have been sent.
            SelfCheckError: the best epoch's weights could not be put back.
        """
        gpu = nvml.Training(self.meter)
        if not self.done:
            self._tell(self._validated(0))
        gc.collect()
        gc.freeze()  # what importing and compiling left is for good: not to be gone through again
        while not self.over:
            if self._round_over:
                self._next_round()
            self.turns.next()
            rows = [self._trained(self.done + 1, gpu), *self._validated(self.done + 1)]
            self._tell(rows)
            self.done += 1
            self._decide(rows)
            self.after_epoch(self)
        self._end_round()
        if facts := gpu.facts():
            self.clock.channel.send("facts", values=facts)

    def resume(
        self,
        done: int,
        rows: list[dict[str, Any]],
        control: Mapping[str, Any],
        best: Weights | None,
    ) -> None:
        """Stand where an earlier process stood after epoch `done`; its rows are sent once more.

        Weights, optimizer and random state are the backend's, which its caller puts back, after
        `enter` where there are rounds.
        """
        self.done, self.best_weights = done, best
        self.control.restore(control)
        self._tell(rows)

    def enter(self, number: int, began: int, weights: Weights) -> None:
        """Begin a round, counted from 0, after so many epochs, with a backend of its own."""
        assert self.rebuild is not None
        before, self.round, self.began = self.control, number, began
        self.control = self._control()
        if self._goes_on(number):
            self.control.go_on_from(before)
        else:
            self.best_weights = None
        del self.backend  # its memory, before there is another
        self.backend = self.rebuild(self.recipe, weights)

    @property
    def recipe(self) -> Recipe:
        """The recipe of the round under way."""
        return self._rounds[self.round]

    @property
    def over(self) -> bool:
        """True after the last epoch of the last round, or where a stop is that of the rounds to
        come."""
        last = self.round == len(self._rounds) - 1
        ended = self.control.stopped and not last and self._goes_on(self.round + 1)
        return self._round_over and (last or ended)

    def _goes_on(self, number: int) -> bool:
        """True of a round that goes on with what the scores of those before it decided."""
        return number > 0 and self.config.recipe.rounds[number - 1].goes_on

    @property
    def _round_over(self) -> bool:
        return self.done - self.began >= self.recipe.epochs or self.control.stopped

    def _next_round(self) -> None:
        """Go on from the weights of this round: the best where it stops with these, else the
        last, or their average. One that goes on begins with the last."""
        if self._goes_on(self.round + 1):
            self.enter(self.round + 1, self.done, self.backend.get_weights())
            return
        stopping = self.recipe.early_stopping
        if stopping is None or not stopping.restore_best:
            self.best_weights = None
        self._end_round()
        self.enter(self.round + 1, self.done, self.backend.get_weights())

    def _end_round(self) -> None:
        """Put the best epoch's weights back, or the averages in the weights' place."""
        ending, what = self.best_weights, "best epoch's weights"
        if ending is None and self.recipe.average_weights is not None:
            ending, what = self._evaluated(), "averages of the weights"
        if ending is not None:
            self.backend.set_weights(ending)
            arrived(ending, self.backend.get_weights(), what)

    def _evaluated(self) -> Weights:
        """The weights that validation looks at."""
        with self.backend.averaged():
            return self.backend.get_weights()

    def _control(self) -> Control:
        made = Control(self.recipe, self.began)
        if scheduled(self.recipe):
            made.learning_rate = float(rates(self.recipe, len(self.feed.epoch(1)), 1)[0])
        return made

    def epochs(self) -> dict[str, int]:
        """End of training: the epochs trained, and the epoch whose weights are tested."""
        return {
            "epochs_trained": self.done,
            "tested_epoch": self.control.best_epoch or self.done,
        }

    @property
    def steps(self) -> int:
        """Batches of the round under way; 0 where this process trained no epoch."""
        return (self.done - self.began) * self._batches

    def facts(self) -> dict[str, Any]:
        """`epochs`, and in `extra` the times that are of no epoch."""
        extra: dict[str, Any] = {}
        if self.config.warmup_epochs:
            extra["warmup_epoch_seconds"] = self.warmup_seconds
        if self.turns.waited_seconds:
            extra["waited_for_turn_seconds"] = self.turns.waited_seconds
        if self.round:
            extra["round_began_after"] = self.began
        return self.epochs() | ({"extra": extra} if extra else {})

    def _trained(self, number: int, gpu: nvml.Training) -> dict[str, Any]:
        """Train one epoch; its row."""
        epoch, clock = self.feed.epoch(number), self.clock
        by_step = None
        if scheduled(self.recipe):
            by_step = rates(self.recipe, len(epoch), number - self.began) * self.control.scale
        gc.collect()  # so that no earlier phase's garbage is collected on this epoch's time
        before = clock.seconds.get("train", 0.0)
        self.backend.synchronize()
        warming_up = number <= self.config.warmup_epochs
        counted = contextlib.nullcontext() if warming_up else gpu.counted()
        with counted, clock.measure("train", self.backend):
            start = time.perf_counter()
            if self.feed.by_epoch:
                epoch = self._staged(number)
            if by_step is None:
                result = self.backend.train_epoch(epoch)
            else:
                result = self.backend.train_at(epoch, by_step)
            slow_down(time.perf_counter() - start)
        if by_step is not None:
            self.control.learning_rate = float(by_step[-1])
        _check_order(epoch)
        self._batches = len(epoch)
        if isinstance(epoch.images, DrawnImages):
            self.drawn_wait_seconds += epoch.images.waited_seconds
        seconds = clock.seconds["train"] - before
        if warming_up:
            self.warmup_seconds.append(seconds)
        return {
            "epoch": number,
            "split": "train",
            "loss": float(result.loss),
            "accuracy": float(result.accuracy),
            "epoch_seconds": None if warming_up else seconds,
            "learning_rate": self._rate(),
        }

    def _staged(self, number: int) -> Epoch:
        """The epoch, with its pictures made and on the device."""
        start = time.perf_counter()
        epoch = self.feed.laid_out(number)
        self.drawn_wait_seconds += time.perf_counter() - start
        self.backend.stage(epoch.images, epoch.labels)  # type: ignore[arg-type]
        return epoch

    def _validated(self, number: int) -> list[dict[str, Any]]:
        """Try the network on the validation set; its row, none where there is no such set."""
        if not len(self.validation):
            return []
        with self.backend.averaged():
            logits, score = evaluate(self.backend, self.validation, self.clock)
        self._scores = {
            "validation_loss": score.loss,
            "validation_cross_entropy": score.cross_entropy,
            "validation_accuracy": score.accuracy,
        }
        if "validation_f1" in self._watched:
            said = predicted(self.config.recipe.loss, logits)
            self._scores["validation_f1"] = macro_f1(self.validation.labels, said)
        row = {
            "epoch": number,
            "split": "validation",
            "loss": score.loss,
            "cross_entropy": score.cross_entropy,
            "accuracy": score.accuracy,
            "rmse": score.rmse,
            "auc": score.auc,
            "learning_rate": self._rate(),
        }
        return [row]

    def _rate(self) -> float:
        own = self.backend.own_rate
        return self.control.learning_rate if own is None else own

    def _tell(self, rows: list[dict[str, Any]]) -> None:
        self.clock.channel.send("epoch", rows=rows)
        self.rows += rows
        for row in rows:
            _stop_if_diverged(row)

    def _decide(self, rows: list[dict[str, Any]]) -> None:
        """Have the scores of the epoch just done decide on rate, stopping and best weights."""
        if not self.control.decides:
            return
        before = self.control.learning_rate
        of_training = {f"training_{name}": rows[0][name] for name in ("loss", "accuracy")}
        self.control.scored(self.done, self._scores | of_training)
        if self.control.best_epoch == self.done:
            self.best_weights = self._evaluated()
        if self.control.learning_rate != before:
            self.backend.set_learning_rate(self.control.learning_rate)


def _check_order(epoch: Epoch) -> None:
    """Check that the framework asked for every batch of the epoch in order, as `order_hash` plans.

    Requests before the last round (Keras probes the first batches) are not trained on. A backend
    that gathers by `epoch.indices` itself asks for none, and is taken at its word.

    Raises:
        RuntimeError: it asked for others, or in another order.
    """
    steps = list(range(len(epoch)))
    if epoch.served and epoch.served[-len(steps) :] != steps:
        raise RuntimeError(
            f"batches were served in another order: of the {len(steps)} of epoch {epoch.number}, "
            f"the last asked for were {epoch.served[-len(steps) :][:8]}..."
        )


def _stop_if_diverged(row: dict[str, Any]) -> None:
    if not math.isfinite(row["loss"]):
        name = "training" if row["split"] == "train" else "validation"
        raise DivergedError(f"the {name} loss is {row['loss']} in epoch {row['epoch']}")
