"""What validation scores decide, against Keras' own callbacks."""

import json

import keras
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.worker.callbacks import Control
from frameworks.spec.callbacks import rises
from frameworks.spec.recipe import (
    MONITORS,
    SGD,
    EarlyStopping,
    KeepBest,
    Monitor,
    Recipe,
    ReduceOnPlateau,
    StopAt,
    StopWhenWorse,
)
from frameworks.spec.schedules import Step, rates

# TensorFlow's, when its variables are read
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RATE = 0.5
OPTIMIZER = SGD(learning_rate=RATE)
# Sixty-fourths: float32 holds every difference of them exactly, so that Keras sees what we see.
SCORES = st.lists(st.integers(0, 24).map(lambda n: n / 64), min_size=1, max_size=30)
DELTAS = st.integers(0, 4).map(lambda n: n / 64)
MODES = {name: "max" for name in MONITORS if rises(name)}

stoppings = st.builds(
    EarlyStopping,
    monitor=st.sampled_from(MONITORS),
    min_delta=DELTAS,
    patience=st.integers(0, 5),
    restore_best=st.booleans(),
    first_epoch=st.integers(1, 4),
)
plateaus = st.builds(
    ReduceOnPlateau,
    monitor=st.sampled_from(MONITORS),
    factor=st.sampled_from([0.1, 0.5, 0.7]),
    min_delta=DELTAS,
    patience=st.integers(0, 5),
    cooldown=st.integers(0, 4),
    min_learning_rate=st.sampled_from([0.0, 0.05, 0.125, 0.3]),
)

# Keras has no share of the best score.
either_way = st.builds(
    lambda plateau, relative: msgspec.structs.replace(plateau, relative=relative),
    plateaus,
    st.booleans(),
)


class Model:
    """What Keras' callbacks ask of a model; its weights are the epoch that made them."""

    def __init__(self) -> None:
        self.optimizer = keras.optimizers.SGD(RATE)
        self.stop_training = False
        self.epoch = 0
        self.saved = 0

    def get_weights(self) -> list[np.ndarray]:
        return [np.array(self.epoch)]

    def set_weights(self, weights: list[np.ndarray]) -> None:
        (epoch,) = weights
        self.epoch = int(epoch)

    def save(self, path: str, **_: object) -> None:
        self.saved = self.epoch


def judged(monitor: Monitor, score: float) -> dict[str, float]:
    """Scores of an epoch in which the monitor alone says something."""
    return dict.fromkeys(MONITORS, 0.75) | {monitor: score}


def in_keras(
    callback: keras.callbacks.Callback, scores: list[float], stops: bool = False
) -> tuple[list[float], Model]:
    """The learning rate after each epoch, and the model at the end."""
    model, rates = Model(), []
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, score in enumerate(scores):
        model.epoch = epoch + 1
        callback.on_epoch_end(epoch, {"score": score})
        rates.append(float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)))
        if stops and model.stop_training:
            break
    callback.on_train_end()
    return rates, model


def in_control(
    recipe: Recipe, monitor: Monitor, scores: list[float]
) -> tuple[list[float], Control]:
    """The learning rate after each epoch until it is stopped, and the control at the end."""
    control, rates = Control(recipe), []
    for epoch, score in enumerate(scores, start=1):
        control.scored(epoch, judged(monitor, score))
        rates.append(control.learning_rate)
        if control.stopped:
            break
    return rates, control


@settings(deadline=None, max_examples=150)
@given(stoppings, SCORES)
def test_stopping_is_keras(stopping: EarlyStopping, scores: list[float]) -> None:
    callback = keras.callbacks.EarlyStopping(
        monitor="score",
        mode=MODES.get(stopping.monitor, "min"),
        min_delta=stopping.min_delta,
        patience=stopping.patience,
        restore_best_weights=stopping.restore_best,
        start_from_epoch=stopping.first_epoch - 1,
    )
    rates, model = in_keras(callback, scores, stops=True)
    mine, control = in_control(
        Recipe(optimizer=OPTIMIZER, early_stopping=stopping), stopping.monitor, scores
    )
    assert len(mine) == len(rates)
    assert control.stopped == model.stop_training
    assert (control.best_epoch or len(mine)) == model.epoch


@settings(deadline=None, max_examples=150)
@given(plateaus, SCORES)
def test_plateau_is_keras(plateau: ReduceOnPlateau, scores: list[float]) -> None:
    """Rates to float32's rounding, which is what Keras keeps them in."""
    rates, _ = in_keras(_plateau(plateau), scores)
    recipe = Recipe(optimizer=OPTIMIZER, reduce_on_plateau=plateau)
    mine, control = in_control(recipe, plateau.monitor, scores)
    np.testing.assert_allclose(mine, rates, rtol=1e-5)
    assert not control.stopped


@settings(deadline=None, max_examples=100)
@given(plateaus, SCORES)
def test_plateau_in_float64_is_keras_to_the_bit(
    plateau: ReduceOnPlateau, scores: list[float]
) -> None:
    """Its rates; scores Keras compares in float32 even so."""
    # the least rate passes through float32, too
    plateau = msgspec.structs.replace(plateau, min_learning_rate=0.125)
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    try:
        rates, _ = in_keras(_plateau(plateau), scores)
    finally:
        keras.config.set_floatx(before)
    recipe = Recipe(optimizer=OPTIMIZER, reduce_on_plateau=plateau)
    assert in_control(recipe, plateau.monitor, scores)[0] == rates


def _plateau(plateau: ReduceOnPlateau) -> keras.callbacks.Callback:
    return keras.callbacks.ReduceLROnPlateau(
        monitor="score",
        mode=MODES.get(plateau.monitor, "min"),
        factor=plateau.factor,
        patience=plateau.patience,
        min_delta=plateau.min_delta,
        cooldown=plateau.cooldown,
        min_lr=plateau.min_learning_rate,
    )


@settings(deadline=None, max_examples=100)
@given(either_way, SCORES)
def test_the_line_that_aligns_pytorch_does(plateau: ReduceOnPlateau, scores: list[float]) -> None:
    """What `--explain` says of PyTorch's scheduler: one less of patience and of cooldown."""
    import torch

    optimizer = torch.optim.SGD([torch.zeros(1)], lr=RATE)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer,
        mode=MODES.get(plateau.monitor, "min"),  # type: ignore[arg-type]
        factor=plateau.factor,
        patience=max(plateau.patience - 1, 0),
        threshold=plateau.min_delta,
        threshold_mode="rel" if plateau.relative else "abs",
        cooldown=max(plateau.cooldown - 1, 0),
        min_lr=plateau.min_learning_rate,
        eps=0,
    )
    rates = []
    for score in scores:
        scheduler.step(score)
        rates.append(optimizer.param_groups[0]["lr"])
    recipe = Recipe(optimizer=OPTIMIZER, reduce_on_plateau=plateau)
    assert in_control(recipe, plateau.monitor, scores)[0] == pytest.approx(rates, rel=1e-12)


@settings(deadline=None, max_examples=10)
@given(either_way, st.integers(1, 4).map(lambda n: n / 64), SCORES)
def test_the_line_that_aligns_optax_does(
    plateau: ReduceOnPlateau, delta: float, scores: list[float]
) -> None:
    """What `--explain` says of optax' transformation; it knows lower scores only."""
    import optax

    transformation = optax.contrib.reduce_on_plateau(
        factor=plateau.factor,
        patience=max(plateau.patience, 1),
        rtol=delta * plateau.relative,
        atol=delta * (not plateau.relative),
        cooldown=max(plateau.cooldown - 1, 0),
        min_scale=plateau.min_learning_rate / RATE,
    )
    weights = np.zeros(1, np.float32)
    state = transformation.init(weights)
    sign = -1 if rises(plateau.monitor) else 1
    rates = []
    for score in scores:
        _, state = transformation.update(weights, state, value=sign * score)
        rates.append(RATE * float(state.scale))  # type: ignore[attr-defined]
    plateau = msgspec.structs.replace(plateau, min_delta=delta)
    recipe = Recipe(optimizer=OPTIMIZER, reduce_on_plateau=plateau)
    assert in_control(recipe, plateau.monitor, scores)[0] == pytest.approx(rates, rel=1e-5)


@settings(deadline=None, max_examples=100)
@given(stoppings, SCORES)
def test_the_line_that_aligns_flax_does(stopping: EarlyStopping, scores: list[float]) -> None:
    """What `--explain` says of Flax' helper: one less of patience. It knows lower scores only."""
    from flax.training.early_stopping import EarlyStopping as Helper

    helper = Helper(min_delta=stopping.min_delta, patience=max(stopping.patience - 1, 0))
    sign = -1 if rises(stopping.monitor) else 1
    trained = 0
    for score in scores:
        helper = helper.update(sign * score)
        trained += 1
        if helper.should_stop:
            break
    stopping = msgspec.structs.replace(stopping, first_epoch=1)  # the helper has none
    recipe = Recipe(optimizer=OPTIMIZER, early_stopping=stopping)
    assert len(in_control(recipe, stopping.monitor, scores)[0]) == trained


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(MONITORS), SCORES)
def test_keeping_the_best_is_keras(monitor: Monitor, scores: list[float]) -> None:
    callback = keras.callbacks.ModelCheckpoint(
        "unused.keras", monitor="score", mode=MODES.get(monitor, "min"), save_best_only=True
    )
    _, model = in_keras(callback, scores)
    _, control = in_control(
        Recipe(optimizer=OPTIMIZER, keep_best=KeepBest(monitor=monitor)), monitor, scores
    )
    assert control.best_epoch == model.saved
    best = max(scores) if rises(monitor) else min(scores)
    assert scores[control.best_epoch - 1] == best
    assert best not in scores[: control.best_epoch - 1], "the first of equals"


@settings(deadline=None)
@given(stoppings, plateaus, st.sampled_from([None, *MONITORS]), SCORES, st.booleans())
def test_going_on_from_the_state_is_never_having_stopped(
    stopping: EarlyStopping,
    plateau: ReduceOnPlateau,
    keep: Monitor | None,
    scores: list[float],
    by_schedule: bool,
) -> None:
    """Broken off after every epoch, so that whatever a state leaves out is lost at once."""
    kept = None if keep is None or stopping.restore_best else KeepBest(monitor=keep)
    recipe = Recipe(
        optimizer=OPTIMIZER,
        early_stopping=stopping,
        reduce_on_plateau=plateau,
        keep_best=kept,
        stop_when_worse=StopWhenWorse(epochs=2),
        schedule=Step(every=2) if by_schedule else None,
    )
    whole, parts = Control(recipe), Control(recipe)
    for epoch, score in enumerate(scores, start=1):
        found = {name: 1 - score if rises(name) else score for name in MONITORS}
        whole.scored(epoch, found)
        state = json.loads(json.dumps(parts.state()))
        parts = Control(recipe)
        parts.restore(state)
        parts.scored(epoch, found)
        assert parts.state() == whole.state()


def test_three_callbacks_may_watch_three_scores() -> None:
    recipe = Recipe(
        optimizer=SGD(learning_rate=1.0),
        early_stopping=EarlyStopping(monitor="validation_loss", patience=2),
        reduce_on_plateau=ReduceOnPlateau(
            monitor="validation_cross_entropy", patience=1, factor=0.5, min_delta=0.0
        ),
        keep_best=KeepBest(monitor="validation_accuracy"),
    )
    control = Control(recipe)
    rows = [(3.0, 2.0, 0.1), (2.0, 2.0, 0.9), (2.0, 1.5, 0.8), (2.5, 1.6, 0.9)]
    found = []
    for epoch, (loss, cross_entropy, accuracy) in enumerate(rows, start=1):
        scores = {"validation_loss": loss, "validation_cross_entropy": cross_entropy}
        scores["validation_accuracy"] = accuracy
        control.scored(epoch, scores)
        found.append((control.learning_rate, control.stopped, control.best_epoch))
    assert found == [(1.0, False, 1), (0.5, False, 2), (0.5, False, 2), (0.25, True, 2)]


def test_scores_decide_where_a_callback_watches_them() -> None:
    assert not Control(Recipe(optimizer=OPTIMIZER)).decides
    assert Control(Recipe(optimizer=OPTIMIZER, keep_best=KeepBest())).decides
    by_training = Recipe(optimizer=OPTIMIZER, stop_at=StopAt(monitor="training_loss", score=0.2))
    assert Control(by_training).decides


@pytest.mark.parametrize("monitor", MONITORS)
def test_it_stops_once_the_score_is_better(monitor: Monitor) -> None:
    recipe = Recipe(optimizer=OPTIMIZER, stop_at=StopAt(monitor=monitor, score=0.5))
    scores = [0.25, 0.5, 0.75, 0.5] if rises(monitor) else [0.75, 0.5, 0.25, 0.5]
    assert len(in_control(recipe, monitor, scores)[0]) == 3


@settings(deadline=None, max_examples=100)
@given(SCORES, st.integers(1, 3), st.integers(1, 6))
def test_it_stops_when_worse_than_each_epoch_before(
    scores: list[float], epochs: int, first: int
) -> None:
    """As a loop writes it that keeps all scores: `loss > history[-2] and loss > history[-3]`."""
    rule = StopWhenWorse(epochs=epochs, first_epoch=first)
    mine = in_control(Recipe(optimizer=OPTIMIZER, stop_when_worse=rule), rule.monitor, scores)[0]
    ends = (
        epoch
        for epoch in range(1, len(scores) + 1)
        if epoch >= max(first, epochs + 1)
        and all(scores[epoch - 1] > scores[epoch - 1 - back] for back in range(1, epochs + 1))
    )
    assert len(mine) == next(ends, len(scores))


def test_a_plateau_beside_a_schedule_is_keras() -> None:
    """Keras' LearningRateScheduler is given the rate of the epoch before, which the plateau may
    have lowered."""
    plateau = ReduceOnPlateau(patience=1, factor=0.5, min_delta=0.0, min_learning_rate=0.1)
    recipe = Recipe(
        optimizer=OPTIMIZER, reduce_on_plateau=plateau, schedule=Step(every=3, factor=0.5)
    )
    control, mine = Control(recipe), []
    model, theirs = Model(), []
    lowering = _plateau(plateau)
    steps = keras.callbacks.LearningRateScheduler(
        lambda epoch, rate: rate * 0.5 if epoch and epoch % 3 == 0 else rate
    )
    for callback in (steps, lowering):
        callback.set_model(model)
        callback.on_train_begin()
    for epoch, score in enumerate([3.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 0.5]):
        steps.on_epoch_begin(epoch)
        theirs.append(float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)))
        lowering.on_epoch_end(epoch, {"score": score})
        control.learning_rate = rates(recipe, 1, epoch + 1)[0] * control.scale
        mine.append(control.learning_rate)
        control.scored(epoch + 1, judged("validation_loss", score))
    assert mine == pytest.approx(theirs, rel=1e-6)
    assert len(set(mine)) > 3
