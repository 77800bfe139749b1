"""Decisions by the scores after an epoch: learning rate, stopping, best weights.

Arithmetic on plain numbers, the same for every framework, that follows Keras' callbacks. It is
float64 throughout; Keras compares scores in float32 and keeps the rate in `floatx`, float32 unless
told. A score that is not finite never comes here: the run has diverged first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from frameworks.spec.callbacks import Monitor, rises, watching
from frameworks.spec.recipe import Recipe
from frameworks.spec.schedules import scheduled


@dataclass
class _Best:
    """The best score so far of one monitor, and how many epochs ago it was."""

    monitor: Monitor = "validation_loss"
    min_delta: float = 0.0
    value: float | None = None
    waited: int = 0
    relative: bool = False

    def improved(self, scores: Mapping[str, float]) -> bool:
        """True if the score is better by more than `min_delta`; it is then the best now."""
        score = scores[self.monitor]
        better = self.value is None or self._beats(score, self.value)
        if better:
            self.value = score
        return better

    def _beats(self, score: float, best: float) -> bool:
        sign = _sign(self.monitor)
        if self.relative:  # as PyTorch has it
            return sign * score > sign * best * (1 + sign * self.min_delta)
        # as Keras has it: the delta is taken off the score, not compared with the difference
        return sign * score - self.min_delta > sign * best


def _sign(monitor: Monitor) -> int:
    return 1 if rises(monitor) else -1


@dataclass
class Control:
    """The callbacks of a recipe, between two epochs.

    learning_rate: of the next epoch. stopped: training is over. best_epoch: the epoch whose weights
    are to be kept for the end, 0 while there is none or where the last ones are wanted. scale: what
    the rates of a schedule are multiplied by.
    """

    recipe: Recipe
    began: int = 0  # epochs done before this round
    learning_rate: float = field(init=False)
    stopped: bool = field(init=False, default=False)
    best_epoch: int = field(init=False, default=0)
    cooling: int = field(init=False, default=0)
    scale: float = field(init=False, default=1.0)
    _before: list[float] = field(init=False, default_factory=list)  # scores, the last one last
    _scores: dict[str, _Best] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        recipe = self.recipe
        self.learning_rate = recipe.optimizer.rate
        if (stopping := recipe.early_stopping) is not None:
            self._scores["stopping"] = _Best(stopping.monitor, stopping.min_delta)
        if (plateau := recipe.reduce_on_plateau) is not None:
            self._scores["plateau"] = _Best(
                plateau.monitor, plateau.min_delta, relative=plateau.relative
            )
        if (keep := recipe.keep_best) is not None:
            self._scores["keep"] = _Best(keep.monitor)

    @property
    def decides(self) -> bool:
        """True if scores decide anything."""
        return bool(watching(self.recipe))

    def scored(self, epoch: int, scores: Mapping[str, float]) -> None:
        """Take the scores of an epoch (from 1), by the name of their monitor.

        Afterwards `learning_rate`, `stopped` and `best_epoch` hold; the weights of this moment are
        the ones to keep where `best_epoch` is `epoch`.
        """
        if "keep" in self._scores and self._scores["keep"].improved(scores):
            self.best_epoch = epoch
        if "stopping" in self._scores:
            self._stop(epoch, scores)
        if "plateau" in self._scores:
            self._reduce(scores)
        if (target := self.recipe.stop_at) is not None:
            sign = _sign(target.monitor)
            self.stopped |= sign * scores[target.monitor] > sign * target.score
        self._stop_when_worse(epoch, scores)

    def state(self) -> dict[str, Any]:
        """All that changes, as plain values for a checkpoint."""
        return {
            "learning_rate": self.learning_rate,
            "stopped": self.stopped,
            "best_epoch": self.best_epoch,
            "cooling": self.cooling,
            "scale": self.scale,
            "before": self._before,
            "scores": {name: asdict(score) for name, score in self._scores.items()},
        }

    def go_on_from(self, before: Control) -> None:
        """Take over the scores of an earlier round; the rate is this one's."""
        kept = {"learning_rate": self.learning_rate, "scale": self.scale, "stopped": False}
        self.restore(before.state() | kept)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        for name in ("learning_rate", "stopped", "best_epoch", "cooling"):
            setattr(self, name, state[name])
        self.scale = state.get("scale", 1.0)  # of a checkpoint written before there was one
        self._before = list(state.get("before", []))
        self._scores = {name: _Best(**score) for name, score in state["scores"].items()}

    def _stop(self, epoch: int, scores: Mapping[str, float]) -> None:
        """keras/src/callbacks/early_stopping.py, `on_epoch_end`."""
        stopping, best = self.recipe.early_stopping, self._scores["stopping"]
        assert stopping is not None
        if epoch - self.began < stopping.first_epoch:
            return
        best.waited += 1
        if best.improved(scores):
            best.waited = 0
            if stopping.restore_best:
                self.best_epoch = epoch
        elif best.waited >= stopping.patience:
            self.stopped = True

    def _reduce(self, scores: Mapping[str, float]) -> None:
        """keras/src/callbacks/reduce_lr_on_plateau.py, `on_epoch_end`."""
        plateau, best = self.recipe.reduce_on_plateau, self._scores["plateau"]
        assert plateau is not None
        if self.cooling:
            self.cooling -= 1
        if best.improved(scores):
            best.waited = 0
        elif not self.cooling:
            best.waited += 1
            if best.waited >= plateau.patience and self.learning_rate > plateau.min_learning_rate:
                reduced = self.learning_rate * plateau.factor
                reduced = max(reduced, plateau.min_learning_rate)
                if scheduled(self.recipe):
                    self.scale *= reduced / self.learning_rate
                self.learning_rate = reduced
                self.cooling = plateau.cooldown
                best.waited = 0

    def _stop_when_worse(self, epoch: int, scores: Mapping[str, float]) -> None:
        rule = self.recipe.stop_when_worse
        if rule is None:
            return
        sign, score = _sign(rule.monitor), scores[rule.monitor]
        worse = [sign * score < sign * one for one in self._before]
        if epoch - self.began >= rule.first_epoch and len(worse) == rule.epochs and all(worse):
            self.stopped = True
        self._before = [*self._before, score][-rule.epochs :]
