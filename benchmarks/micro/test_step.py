"""One training step, one evaluation step and compilation, side by side, by pytest-benchmark.

    MICRO_FRAMEWORK=jax python -m pytest -n0 benchmarks/micro/test_step.py

A framework a process: MICRO_FRAMEWORK is torch (the default), jax or keras; MICRO_DEVICE is cpu
(the default) or cuda; MICRO_BATCH_SIZE and MICRO_THREADS are 64 and 2. Not part of the default
test run, which looks in tests/ alone; `python -m benchmarks.micro` gives the ratios with intervals.
"""

import os

import pytest

from benchmarks.micro.contest import BARE, Contest, Settings

FRAMEWORK = os.environ.get("MICRO_FRAMEWORK", "torch")
TUNINGS = ("idiomatic", "tuned")

os.environ.setdefault("KERAS_BACKEND", "tensorflow")


@pytest.fixture(scope="module", params=["unam", "c2"])
def contest(request):
    if FRAMEWORK not in BARE:
        pytest.exit(f"MICRO_FRAMEWORK is '{FRAMEWORK}'; known: {', '.join(BARE)}", 2)
    settings = Settings(
        framework=FRAMEWORK,
        architecture=request.param,
        batch_size=int(os.environ.get("MICRO_BATCH_SIZE", "64")),
        steps=1,
        threads=int(os.environ.get("MICRO_THREADS", "2")),
        device=os.environ.get("MICRO_DEVICE", "cpu"),
    )
    return Contest(settings)


def grouped(benchmark, contest, what, tuning):
    """Name the group, and tell the history what was timed."""
    settings = contest.settings
    benchmark.group = f"{FRAMEWORK} {settings.architecture} {settings.device} {what}"
    benchmark.extra_info |= {"framework": FRAMEWORK, "tuning": tuning, "device": settings.device}


@pytest.mark.parametrize("contestant", [*TUNINGS, "tutorial", "best"])
def test_training_step(benchmark, contest, contestant):
    grouped(benchmark, contest, "training", contestant)
    loss = benchmark.pedantic(contest.call(contestant), rounds=5, warmup_rounds=2)
    assert 0 < loss < 100


@pytest.mark.parametrize("tuning", TUNINGS)
def test_evaluation_step(benchmark, contest, tuning):
    grouped(benchmark, contest, "evaluation", tuning)
    logits = benchmark.pedantic(contest.evaluation(tuning), rounds=5, warmup_rounds=2)
    assert logits.shape == (contest.settings.batch_size, 10)


@pytest.mark.parametrize("tuning", TUNINGS)
def test_compilation(benchmark, contest, tuning):
    grouped(benchmark, contest, "compilation", tuning)
    made = []

    def fresh():
        made.append(contest.compilation(tuning))
        return (made[-1],), {}

    benchmark.pedantic(lambda compile_it: compile_it(), setup=fresh, rounds=3)
    assert len(made) == 3
