"""What a session shows: lines of a log, time left, estimates. The clock is set by hand."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest

from benchmarks.config.plan import PlannedRun
from benchmarks.config.suite import Suite
from benchmarks.process.launch import Outcome
from benchmarks.runner import progress, session
from benchmarks.runner.estimate import ASSUMED_START_SECONDS, Estimator, assumed_flops
from benchmarks.runner.progress import PlainProgress, Tracker, clock, progress_for
from frameworks.spec.recipe import EarlyStopping
from tests.helpers.planning import plan


class Watch:
    """A clock that is set by hand."""

    now = 100.0


@pytest.fixture
def watch(monkeypatch) -> Watch:
    made = Watch()
    monkeypatch.setattr(progress.time, "perf_counter", lambda: made.now)
    return made


def runs(**changes: object) -> list[PlannedRun]:
    return plan(Suite(frameworks=("torch", "jax"), **changes))  # type: ignore[arg-type]


def epoch(number: int, seconds: float = 4.0) -> dict:
    train = {"epoch": number, "split": "train", "loss": 2.5, "accuracy": 0.25}
    validation = {"epoch": number, "split": "validation", "loss": 2.25, "accuracy": 0.5}
    rows = [{**train, "epoch_seconds": seconds}] if number else []
    return {"event": "epoch", "rows": [*rows, validation]}


def test_a_log_says_which_run_epoch_loss_speed_and_time_left(watch) -> None:
    planned = runs(epochs=3)
    estimator = Estimator()
    for run in planned:
        estimator.walls[run.cell_id].append(60.0)
    stream = io.StringIO()
    tracker = Tracker(planned, estimator)
    shown = PlainProgress(tracker, stream)
    tracker.start(1)
    shown.started()
    watch.now += 10
    for number in range(4):
        event = epoch(number)
        tracker.event(event)
        shown.event(event)
        watch.now += 5
    facts = {"test_accuracy": 0.5}
    shown.ended(Outcome(status="ok", facts=facts, wall_seconds=30.0))
    shown.ended(Outcome(status="timeout", reason="not finished", wall_seconds=30.0))
    name = planned[0].config.label()
    scores = "loss 2.500 acc 0.250 val loss 2.250 acc 0.500 | 160 img/s"
    assert stream.getvalue().splitlines() == [
        f"[1/2] {name} | started | about 02:00 left",
        f"[1/2] {name} | epoch 0/3 val loss 2.250 acc 0.500 | 01:50 left",
        f"[1/2] {name} | epoch 1/3 {scores} | 01:10 left",
        f"[1/2] {name} | epoch 2/3 {scores} | 01:05 left",
        f"[1/2] {name} | epoch 3/3 {scores} | 01:00 left",
        f"[1/2] {name} | ok in 30.0 s, test accuracy 0.500",
        f"[1/2] {name} | timeout in 30.0 s: not finished",
    ]


@pytest.mark.parametrize(
    ("trained", "tested", "words"),
    [
        (9, 9, ""),
        (4, 4, ", stopped after 4 of 9 epochs"),
        (9, 3, ", tested epoch 3"),
        (4, 2, ", stopped after 4 of 9 epochs, tested epoch 2"),
    ],
)
def test_the_last_line_says_where_training_ended(trained: int, tested: int, words: str) -> None:
    facts = {"test_accuracy": 0.5, "epochs_trained": trained, "tested_epoch": tested}
    outcome = Outcome(status="ok", facts=facts, wall_seconds=30.0)
    assert progress.ending(outcome, 9) == f"ok in 30.0 s, test accuracy 0.500{words}"


@pytest.mark.parametrize("done", [1, 100])
def test_the_time_left_of_a_resumed_run_is_by_the_epochs_of_this_process(watch, done: int) -> None:
    (run, _) = runs(epochs=200)
    tracker = Tracker([run], Estimator())
    tracker.start(1)
    watch.now += 30
    rows = [row for number in range(done + 1) for row in epoch(number)["rows"]]
    tracker.event({"event": "epoch", "rows": rows})
    watch.now += 5
    tracker.event(epoch(done + 1))
    assert tracker.seconds_left() == pytest.approx(5.0 * (199 - done))


def test_a_run_without_a_validation_set_has_no_rows_at_epoch_0(watch) -> None:
    (run, _) = runs(epochs=10)
    tracker = Tracker([run], Estimator())
    tracker.start(1)
    watch.now += 30
    tracker.event({"event": "epoch", "rows": []})
    watch.now += 5
    tracker.event({"event": "epoch", "rows": [{"epoch": 1, "split": "train"}]})
    assert tracker.seconds_left() == pytest.approx(5.0 * 9)


def test_a_long_run_does_not_flood_a_log(watch) -> None:
    stream = io.StringIO()
    tracker = Tracker(runs(epochs=200), Estimator())
    shown = PlainProgress(tracker, stream)
    tracker.start(1)
    for number in range(201):
        tracker.event(epoch(number))
        shown.event(epoch(number))
    lines = stream.getvalue().splitlines()
    assert 20 <= len(lines) <= 26
    assert "epoch 200/200" in lines[-1]


def test_clock() -> None:
    assert [clock(value) for value in (0, 59.6, 61, 3723)] == ["00:00", "01:00", "01:01", "1:02:03"]


def test_the_time_limit_is_far_beyond_the_estimate_and_never_short() -> None:
    (run,) = plan(Suite(frameworks=("torch",)))
    estimator = Estimator()
    estimator.observe(run, 10.0, 5.0)
    assert estimator.time_limit(run) == 1800.0
    estimator = Estimator()
    estimator.observe(run, 600.0, 590.0)
    assert estimator.time_limit(run) == 12000.0


def test_a_run_that_stopped_early_was_not_that_fast() -> None:
    (run,) = plan(Suite(frameworks=("torch",), early_stopping=EarlyStopping(patience=2)))
    whole, half = Estimator(), Estimator()
    whole.observe(run, 60.0, 50.0)
    half.observe(run, 60.0, 50.0, run.config.recipe.epochs // 2)
    (rate,) = (done for work in whole.work.values() for done, _ in work)
    (slower,) = (done for work in half.work.values() for done, _ in work)
    assert slower == pytest.approx(rate / 2, rel=0.05)
    assert "unless it stops early" in Estimator().estimate(run).basis


@pytest.mark.parametrize(("asked", "given"), [(None, 1800.0), (0.0, 0.0), (7.0, 7.0)])
def test_a_run_is_given_its_limit_unless_another_is_asked_for(
    monkeypatch, asked: float | None, given: float
) -> None:
    (run,) = plan(Suite(frameworks=("torch",)))
    estimator = Estimator()
    estimator.observe(run, 10.0, 5.0)
    used = []

    def launch(*_: object, timeout: float, **__: object) -> NoReturn:
        used.append(timeout)
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "launch", launch)
    tracker = Tracker([run], estimator)
    with pytest.raises(KeyboardInterrupt):
        session.execute(
            [run],
            galaxies=SimpleNamespace(directory=Path()),  # type: ignore[arg-type]
            store=None,  # type: ignore[arg-type]
            session=None,  # type: ignore[arg-type]
            scratch=Path(),
            timeout=asked,
            tracker=tracker,
            progress=progress_for(tracker),
            tally=session.Tally(),
        )
    assert used == [given]


def test_estimates_rest_on_the_most_telling_runs() -> None:
    first, second = runs(seeds=(0,))
    (other_seed, *_) = (
        run for run in runs(seeds=(1,)) if run.config.framework == first.config.framework
    )
    larger = next(run for run in runs(epochs=20) if run.config.framework == first.config.framework)
    estimator = Estimator()
    assumed = estimator.estimate(first)
    expected = ASSUMED_START_SECONDS + first.flops / assumed_flops(first.config)
    assert assumed.seconds == pytest.approx(expected)
    assert "assumed" in assumed.basis

    estimator.observe(first, 60.0, 54.0)
    assert estimator.estimate(other_seed).seconds == 60.0
    assert "1 earlier" in estimator.estimate(other_seed).basis
    assert estimator.estimate(larger).seconds == pytest.approx(
        6.0 + larger.flops / (first.flops / 54.0)
    )
    assert "assumed" in estimator.estimate(second).basis  # another framework


def test_a_run_of_a_few_images_says_little_of_larger_ones() -> None:
    tiny, other = (plan(Suite(frameworks=("torch",), seeds=(seed,)))[0] for seed in (0, 1))
    (large,) = plan(Suite(frameworks=("torch",), epochs=500))
    estimator = Estimator()
    estimator.observe(tiny, 10.0, 0.5)  # most of it was the start
    rate = tiny.flops / 0.5
    assert estimator.estimate(large).seconds == pytest.approx(9.5 + large.flops / rate)
    estimator.observe(large, 1000.0, 990.0)
    together = (tiny.flops + large.flops) / 990.5
    (larger,) = plan(Suite(frameworks=("torch",), epochs=600))
    expected = (9.5 + 10.0) / 2 + larger.flops / together
    assert estimator.estimate(larger).seconds == pytest.approx(expected)
    assert estimator.estimate(other).seconds == 10.0
