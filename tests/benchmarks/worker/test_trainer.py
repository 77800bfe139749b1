"""A run's training with callbacks, in this process, by the NumPy reference."""

import gc
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from benchmarks.config.matrix import matrix
from benchmarks.config.plan import SplitSizes
from benchmarks.config.runconfig import DataView, RunConfig
from benchmarks.config.suite import Suite
from benchmarks.data.loader import Feed, Part
from benchmarks.data.staging import StagedData
from benchmarks.worker.callbacks import Control
from benchmarks.worker.evaluate import evaluate
from benchmarks.worker.timer import Clock
from benchmarks.worker.trainer import Training
from datasets.augment import copies_of
from datasets.splits import Split
from frameworks.numpy.backend import NumpyReference
from frameworks.spec import rounds
from frameworks.spec import weights as canonical
from frameworks.spec.averages import AverageWeights
from frameworks.spec.defaults import fill_recipe
from frameworks.spec.recipe import SGD, EarlyStopping, KeepBest, Recipe, ReduceOnPlateau
from frameworks.spec.rounds import Round
from frameworks.spec.schedules import Cosine, Exponential, MultiStep, Step, WarmUp

CLASSES, SIDE = 3, 6
EPOCHS = 12
VIEW = DataView(
    dataset="test",
    sha256="0" * 64,
    labels="native",
    channels="rgb",
    height=SIDE,
    width=SIDE,
    image_channels=3,
    classes=CLASSES,
)
LINEAR = 'layers = [{type = "flatten"}, {type = "dense", units = "classes"}]'
# Large enough that the validation loss goes up and down.
HASTY = SGD(learning_rate=0.5, velocity_form="rate_outside")


@pytest.fixture(autouse=True)
def unfrozen() -> Iterator[None]:
    """A training takes what there is out of the garbage collector's sight."""
    yield
    gc.unfreeze()


@pytest.fixture
def data() -> StagedData:
    random = np.random.default_rng(0)
    labels = np.arange(90, dtype=np.int64) % CLASSES
    images = random.integers(0, 200, (90, SIDE, SIDE, 3), dtype=np.uint8)
    images[..., 0] += (25 * labels[:, None, None]).astype(np.uint8)
    rows = np.arange(90)
    split = Split(rows[:50], rows[50:70], rows[70:])
    return StagedData(images, labels, split, rows, copies_of(SIDE, SIDE))


@pytest.fixture
def made(tmp_path, data):
    """A function that makes a training from changes to the recipe, and what it sent."""
    file = tmp_path / "linear.toml"
    file.write_text(LINEAR)

    def make(**changes: Any) -> tuple[Training, list[dict]]:
        suite = Suite(
            frameworks=("torch",),
            architectures=(str(file),),
            batch_size=(16,),
            precision=("float64",),
        )
        (run,) = matrix(suite, VIEW, SplitSizes(50, 20, 20), devices={}, threads=1)
        recipe = Recipe(**({"optimizer": HASTY, "epochs": EPOCHS, "batch_size": 16} | changes))
        config: RunConfig = msgspec.structs.replace(run.config, recipe=recipe)
        network = config.network()

        def build(recipe: Recipe, weights: canonical.Weights) -> NumpyReference:
            return NumpyReference(network, recipe, config.runtime(), weights)

        backend = build(rounds.of(recipe)[0], canonical.initial(network, 0))
        rows: list[dict] = []
        channel = SimpleNamespace(
            send=lambda event, **content: rows.extend(content.get("rows", []))
        )
        clock = Clock(channel)  # type: ignore[arg-type]
        validation = Part(data, data.split.validation, 16)
        feed = Feed(config, network, data)
        return Training(config, backend, feed, validation, clock, rebuild=build), rows

    return make


def trained(training: Training) -> list[canonical.Weights]:
    """Run it; the weights after each epoch."""
    seen: list[canonical.Weights] = []
    training.after_epoch = lambda now: seen.append(now.backend.get_weights())
    training.run()
    return seen


def losses(rows: list[dict]) -> list[float]:
    """Validation losses from epoch 1 on."""
    return [row["loss"] for row in rows if row["split"] == "validation" and row["epoch"]]


def equal(one: canonical.Weights, other: canonical.Weights) -> bool:
    return all(np.array_equal(one[key], other[key]) for key in one)


def test_it_stops_where_the_scores_say(made) -> None:
    training, rows = made(early_stopping=EarlyStopping(patience=2))
    seen = trained(training)
    assert 3 <= len(seen) < EPOCHS
    assert training.done == len(seen) == max(row["epoch"] for row in rows)
    assert training.facts() == {"epochs_trained": len(seen), "tested_epoch": len(seen)}
    assert equal(training.backend.get_weights(), seen[-1])
    found = losses(rows)
    assert int(np.argmin(found)) == len(found) - 3, "two epochs without a better one"


def test_a_framework_that_asks_for_batches_in_another_order_ends_the_run(made) -> None:
    training, _ = made()
    whole = training.backend.train_epoch
    training.backend.train_epoch = lambda epoch: whole([epoch[step] for step in (1, 0, 2, 3)])
    with pytest.raises(RuntimeError, match=r"of the 4 of epoch 1, the last .* \[1, 0, 2, 3\]"):
        training.run()


def test_a_round_is_a_training_from_the_weights_of_the_one_before(made) -> None:
    fast = msgspec.structs.replace(HASTY, momentum=0.9)
    two = {"optimizer": fast, "rounds": (Round(after=5, learning_rate=0.125),)}
    training, rows = made(**two, schedule=Exponential(factor=0.5))
    seen = trained(training)
    first, second = rounds.of(training.config.recipe)
    assert (first.epochs, second.epochs) == (5, EPOCHS - 5)
    alone, _ = made(optimizer=fast)
    for recipe, numbers in ((first, range(1, 6)), (second, range(6, EPOCHS + 1))):
        alone.enter(0, 0, alone.backend.get_weights())  # a new optimizer
        for number in numbers:
            rate = recipe.optimizer.rate * 0.5 ** (number - numbers[0])
            alone.backend.set_learning_rate(rate)
            alone.backend.train_epoch(alone.feed.epoch(number))
            assert equal(alone.backend.get_weights(), seen[number - 1]), number
    of_training = [row["learning_rate"] for row in rows if row["split"] == "train"]
    assert of_training[4:7] == [0.5**5, 0.125, 0.0625]
    assert training.facts()["extra"] == {"round_began_after": 5}
    assert training.steps == 7 * 4  # as its optimizer counts


def test_averages_of_the_weights_are_validated_and_end_the_training(made) -> None:
    average = AverageWeights(decay=0.5, start="first")
    training, rows = made(average_weights=average, accumulation=3)
    seen = trained(training)
    alone, raw = made(accumulation=3)
    assert all(equal(*pair) for pair in zip(seen, trained(alone), strict=True))
    assert losses(rows)[0] == losses(raw)[0], "of one step, at which the average begins"
    assert not set(losses(rows)[1:]) & set(losses(raw))
    state = training.backend.get_optimizer_state()
    assert state["step"] == 4 * EPOCHS // 3
    ending = training.backend.get_weights()
    assert all(np.array_equal(ending[key], state[f"average/{key}"]) for key in ending)
    best, found = made(average_weights=average, keep_best=KeepBest())
    trained(best)
    assert int(np.argmin(losses(found))) + 1 == best.control.best_epoch < EPOCHS
    with best.backend.averaged():
        _, score = evaluate(best.backend, best.validation, best.clock)
        assert score.loss == losses(found)[-1]
    _, score = evaluate(best.backend, best.validation, best.clock)
    assert score.loss == min(losses(found))


def test_a_round_that_stops_leaves_the_next_one_all_its_epochs(made) -> None:
    stopping = EarlyStopping(patience=1, restore_best=True)
    later = Round(after=10, learning_rate=1e-3, patience=5)
    training, rows = made(early_stopping=stopping, rounds=(later,))
    seen = trained(training)
    began = training.facts()["extra"]["round_began_after"]
    assert began < 10
    assert training.done <= began + EPOCHS - 10
    found = losses(rows)
    best = int(np.argmin(found[:began]))
    assert best == began - 2
    same, _ = made(optimizer=msgspec.structs.replace(HASTY, learning_rate=1e-3))
    same.backend.set_weights(seen[best])
    same.backend.train_epoch(training.feed.epoch(began + 1))
    assert equal(same.backend.get_weights(), seen[began])


def test_a_round_begins_with_the_last_weights_though_the_best_are_kept(made) -> None:
    still = Round(after=8, learning_rate=1e-30)
    training, rows = made(keep_best=KeepBest(), rounds=(still,))
    seen = trained(training)
    assert int(np.argmin(losses(rows)[:8])) < 7
    assert equal(seen[8], seen[7])


def test_a_round_that_goes_on_keeps_the_best_so_far_and_its_patience(made) -> None:
    stopping = EarlyStopping(patience=3, restore_best=True)
    single, _ = made(early_stopping=stopping)
    seen = trained(single)
    best = single.control.best_epoch
    assert best + 3 == single.done < EPOCHS
    for after in (best + 1, best + 4):  # within its patience; the second would begin too late
        later = Round(after=after, learning_rate=1e-30, goes_on=True)
        training, _ = made(early_stopping=stopping, rounds=(later,))
        trained(training)
        assert (training.done, training.control.best_epoch) == (single.done, best)
        assert training.round == int(after < single.done)
        assert equal(training.backend.get_weights(), seen[best - 1])


def test_a_round_may_have_a_schedule_and_rates_of_layers_of_its_own(made) -> None:
    halved = Step(every=1, factor=0.5)
    later = Round(after=2, learning_rate=0.25, schedule=halved, layer_rates={"dense1": 0.125})
    training, rows = made(epochs=4, rounds=(later,))
    trained(training)
    rates = [row["learning_rate"] for row in rows if row["split"] == "train"]
    assert rates == [HASTY.rate, HASTY.rate, 0.25, 0.125]
    assert set(training.backend.factors.values()) == {0.125}
    cosine = Recipe(epochs=4, rounds=(Round(after=2, schedule=Cosine()),))
    assert fill_recipe(cosine).rounds[0].schedule == Cosine(after_end="stay")
    assert len({cosine, fill_recipe(cosine), msgspec.structs.replace(cosine, rounds=(later,))}) == 3


def test_a_phase_is_timed_with_the_device_idle_at_both_edges() -> None:
    told: list[str] = []
    channel = SimpleNamespace(send=lambda *_, **__: None)
    backend = SimpleNamespace(synchronize=lambda: told.append("idle"))
    with Clock(channel).measure("train", backend):  # type: ignore[arg-type]
        told.append("work")
    assert told == ["idle", "work", "idle"]


def test_the_time_of_warm_up_epochs_does_not_count_but_is_kept(made) -> None:
    training, rows = made(epochs=3)
    training.config = msgspec.structs.replace(training.config, warmup_epochs=2)
    training.run()
    seconds = [row["epoch_seconds"] for row in rows if row["split"] == "train"]
    assert seconds[:2] == [None, None]
    assert seconds[2] > 0
    kept = training.facts()["extra"]["warmup_epoch_seconds"]
    assert len(kept) == 2
    assert sum(kept) + seconds[2] == pytest.approx(training.clock.seconds["train"])


@pytest.mark.parametrize(
    "callbacks",
    [
        {"keep_best": KeepBest()},
        {"keep_best": KeepBest(monitor="validation_accuracy")},
        {"early_stopping": EarlyStopping(patience=3, restore_best=True)},
    ],
    ids=["keep best loss", "keep best accuracy", "restore best"],
)
def test_it_ends_with_the_weights_of_the_best_epoch(made, callbacks) -> None:
    training, rows = made(**callbacks)
    seen = trained(training)
    scores = [row for row in rows if row["split"] == "validation" and row["epoch"]]
    if "accuracy" in str(callbacks):
        best = 1 + int(np.argmax([row["accuracy"] for row in scores]))
    else:
        best = 1 + int(np.argmin([row["loss"] for row in scores]))
    assert best < len(seen)
    assert equal(training.backend.get_weights(), seen[best - 1])
    assert not equal(training.backend.get_weights(), seen[-1])
    assert training.facts() == {"epochs_trained": len(seen), "tested_epoch": best}


def test_the_rate_of_the_control_is_the_backends(made) -> None:
    plateau = ReduceOnPlateau(patience=1, factor=0.5, min_learning_rate=0.05)
    training, rows = made(reduce_on_plateau=plateau)
    rates: list[float] = []
    training.after_epoch = lambda now: rates.append(now.backend.learning_rate)  # type: ignore[attr-defined]
    training.run()
    control = Control(training.config.recipe)
    told = {row["epoch"]: row["learning_rate"] for row in rows if row["split"] == "train"}
    for epoch in range(1, EPOCHS + 1):
        assert told[epoch] == control.learning_rate
        scores = next(r for r in rows if r["epoch"] == epoch and r["split"] == "validation")
        control.scored(epoch, {f"validation_{name}": scores[name] for name in scores})
        assert rates[epoch - 1] == control.learning_rate
    assert len(set(rates)) >= 3
    assert min(rates) >= 0.05


def test_without_callbacks_it_ends_with_the_last_weights(made) -> None:
    training, _ = made()
    seen = trained(training)
    assert len(seen) == EPOCHS
    assert training.best_weights is None
    assert training.facts() == {"epochs_trained": EPOCHS, "tested_epoch": EPOCHS}


def test_callbacks_without_a_validation_set_are_refused(made, data) -> None:
    training, _ = made(keep_best=KeepBest())
    arguments = (training.config, training.backend, training.feed)
    with pytest.raises(ValueError, match="use a validation_fraction above 0"):
        Training(*arguments, Part(data, data.split.validation[:0], 16), training.clock)


def test_the_loss_of_training_is_weighted_by_class_and_validation_is_not(made) -> None:
    """Twice the weight for all is twice the loss; a rate half as large takes the same way."""
    plain, rows = made(optimizer=msgspec.structs.replace(HASTY, learning_rate=0.02), epochs=2)
    doubled, others = made(
        optimizer=msgspec.structs.replace(HASTY, learning_rate=0.01),
        epochs=2,
        class_weights=(2.0,) * CLASSES,
    )
    trained(plain)
    trained(doubled)
    for row, other in zip(rows, others, strict=True):
        factor = 2 if row["split"] == "train" else 1
        assert other["loss"] == pytest.approx(factor * row["loss"], rel=1e-12)
        assert other["accuracy"] == row["accuracy"]


def test_the_rate_of_every_epoch_is_the_schedule_s_and_is_recorded(made) -> None:
    training, rows = made(schedule=Exponential(factor=0.5), warm_up=WarmUp(length=2))
    training.run()
    shared = [HASTY.rate * factor for factor in (1 / 3, 2 / 3, 1, 0.5, 0.25)]
    of_training = [row["learning_rate"] for row in rows if row["split"] == "train"]
    assert of_training[:5] == pytest.approx(shared)
    assert [row["learning_rate"] for row in rows if row["split"] == "validation"] == [
        of_training[0],
        *of_training,
    ]
    assert training.backend.learning_rate == of_training[-1]


def test_a_rate_by_step_is_recorded_as_it_was_at_the_end_of_the_epoch(made) -> None:
    """Four steps an epoch, of which the second halves the rate from the third on."""
    changed, rows = made(epochs=2, schedule=MultiStep(at=(2,), factor=0.5, per="step"))
    changed.run()
    assert [row["learning_rate"] for row in rows if row["epoch"]] == [HASTY.rate / 2] * 4
    assert rows[0]["learning_rate"] == HASTY.rate
    plain, _ = made(epochs=2)
    epoch = plain.feed.epoch(1)
    for batch, rate in zip(epoch, (1, 1, 0.5, 0.5), strict=True):
        plain.backend.set_learning_rate(HASTY.rate * rate)
        plain.backend.train_epoch([batch])
    plain.backend.train_epoch(plain.feed.epoch(2))
    for key, array in plain.backend.get_weights().items():
        np.testing.assert_array_equal(changed.backend.get_weights()[key], array)
