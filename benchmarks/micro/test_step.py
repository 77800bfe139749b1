"""One training step, one evaluation step and compilation, side by side, by pytest-benchmark.

    MICRO_FRAMEWORK=jax python -m pytest -n0 benchmarks/micro/test_step.py

A framework a process: MICRO_FRAMEWORK is torch (the default), jax, keras, keras@torch or keras@jax;
MICRO_DEVICE is cpu (the default) or cuda; MICRO_PRECISION is float32 (the default), tf32 or
bfloat16; MICRO_BATCH_SIZE and MICRO_THREADS are 64 and 2. Not part of the default test run, which
looks in tests/ alone; `python -m benchmarks.micro` gives the ratios with intervals.
"""

import os

import pytest

from benchmarks.micro.contest import BARE, Contest, Settings
from benchmarks.process.environment import limited_to
from benchmarks.system import machine
from frameworks.backend import framework

FRAMEWORK = os.environ.get("MICRO_FRAMEWORK", "torch")
THREADS = int(os.environ.get("MICRO_THREADS", "2"))
TUNINGS = ("idiomatic", "tuned")


@pytest.fixture(scope="module", autouse=True)
def limited():
    """The CPUs of the run, before any framework counts them: XLA goes by the affinity alone."""
    if FRAMEWORK not in BARE:
        pytest.exit(f"MICRO_FRAMEWORK is '{FRAMEWORK}'; known: {', '.join(BARE)}", 2)
    if missing := framework(FRAMEWORK).missing_packages():
        pytest.exit(f"MICRO_FRAMEWORK is '{FRAMEWORK}', which needs {', '.join(missing)}", 2)
    os.environ.update(framework(FRAMEWORK).environment)
    with limited_to(THREADS):
        yield


@pytest.fixture(scope="module", params=["unam", "c2"])
def contest(request, limited):
    settings = Settings(
        framework=FRAMEWORK,
        architecture=request.param,
        batch_size=int(os.environ.get("MICRO_BATCH_SIZE", "64")),
        steps=1,
        threads=THREADS,
        device=os.environ.get("MICRO_DEVICE", "cpu"),
        precision=os.environ.get("MICRO_PRECISION", "float32"),  # type: ignore[arg-type]
    )
    return Contest(settings)


def grouped(benchmark, contest, what, tuning):
    """Name the group, and tell the history what was timed."""
    settings = contest.settings
    benchmark.group = f"{FRAMEWORK} {settings.architecture} {settings.device} {what}"
    benchmark.extra_info |= {"framework": FRAMEWORK, "tuning": tuning, "device": settings.device}
    benchmark.extra_info |= {"cpus": len(machine.usable_cpus()), "precision": settings.precision}


@pytest.mark.parametrize("contestant", [*TUNINGS, *BARE.get(FRAMEWORK, ())])
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
