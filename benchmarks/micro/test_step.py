"""One training step of the bare loops and of the backends, side by side, by pytest-benchmark.

    MICRO_FRAMEWORK=jax python -m pytest benchmarks/micro/test_step.py

A framework a process: MICRO_FRAMEWORK is torch (the default), jax or keras; MICRO_DEVICE is cpu
(the default) or cuda; MICRO_BATCH_SIZE and MICRO_THREADS are 64 and 2. Not part of the default
test run, which looks in tests/ alone; `python -m benchmarks.micro` gives the ratios with intervals.
"""

import os

import pytest

from benchmarks.micro.contest import BARE, Contest, Settings

FRAMEWORK = os.environ.get("MICRO_FRAMEWORK", "torch")
CONTESTANTS = ("idiomatic", "tuned", "tutorial", "best")

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


@pytest.mark.parametrize("contestant", CONTESTANTS)
def test_one_step(benchmark, contest, contestant):
    settings = contest.settings
    benchmark.group = f"{FRAMEWORK} {settings.architecture} {settings.device}"
    loss = benchmark.pedantic(contest.call(contestant), rounds=5, warmup_rounds=2)
    assert 0 < loss < 100
