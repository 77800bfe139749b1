"""Which configurations are checked, and which check is whose."""

import msgspec
import pytest

from benchmarks import parity
from benchmarks.matrix import matrix
from benchmarks.parity import Checked, ParityChecks, _alike, _case, _key
from benchmarks.plan import DataView, PlannedRun, RunConfig, SplitSizes
from benchmarks.suite import Suite

VIEW = DataView(
    dataset="demo",
    sha256="0" * 64,
    labels="native",
    channels="rgb",
    height=69,
    width=69,
    image_channels=3,
    classes=10,
)


def plan(**fields: object) -> list[PlannedRun]:
    suite = Suite(**{"architectures": ("c1",), **fields})  # type: ignore[arg-type]
    return matrix(suite, VIEW, SplitSizes(640, 160, 200), devices={}, threads=2)


def config(**changes: object) -> RunConfig:
    return msgspec.structs.replace(plan()[0].config, **changes)


def test_the_case_is_the_run_s_own_configuration() -> None:
    run = config(tuning="tuned", precision="float64", threads=1)
    case = _case(run)
    assert case.architecture == run.architecture
    assert case.recipe.optimizer == run.recipe.optimizer
    assert (case.tuning, case.precision, case.device, case.threads) == (
        "tuned",
        "float64",
        "cpu",
        1,
    )
    assert case.input_shape[0] < run.data.height
    assert {"structure", "forward", "gradients", "steps"} == set(case.measure)


@pytest.mark.parametrize(
    "change",
    [{"tuning": "tuned"}, {"precision": "float64"}, {"framework": "jax"}, {"device": "cuda"}],
)
def test_what_was_found_is_of_one_configuration_alone(change) -> None:
    checks = ParityChecks({_key(config()): Checked(False, ("R2",))})
    assert checks.of(config()) == Checked(False, ("R2",))
    assert checks.of(config(seed=3, repeat=2, control=True)) == Checked(False, ("R2",))
    assert checks.of(config(**change)) is None


def test_what_has_no_bounds_or_does_not_run_is_not_checked(tmp_path, monkeypatch) -> None:
    def not_to_be_called(*_: object, **__: object) -> None:
        raise AssertionError("nothing is to be measured")

    monkeypatch.setattr("benchmarks.fidelity.collect._measure", not_to_be_called)
    runs = plan(precision=("bfloat16",), frameworks=("torch",))
    runs += plan(parity=("native",), frameworks=("torch",))
    (one,) = plan(frameworks=("torch",))
    skipped = PlannedRun(one.config, one.sizes, skip="not installed")
    checks = parity.check([*runs, skipped], tmp_path)
    assert [checks.of(run.config) for run in (*runs, skipped)] == [None] * 3


def test_frameworks_with_equal_cases_are_measured_together() -> None:
    runs = plan(tuning=("idiomatic", "tuned"), frameworks=("torch", "jax"))
    runs += [
        PlannedRun(msgspec.structs.replace(run.config, framework="keras", device="cuda"), run.sizes)
        for run in runs[:1]
    ]
    cases = {_key(run.config): _case(run.config) for run in runs}
    groups = [(sorted(names), len(mine)) for names, mine in _alike(cases)]
    assert groups == [(["jax", "torch"], 2), (["keras"], 1)]
