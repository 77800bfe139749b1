"""Which configurations are checked, and which check is whose."""

import msgspec
import numpy as np
import pytest

from benchmarks.config.plan import PlannedRun
from benchmarks.config.runconfig import RunConfig
from benchmarks.config.suite import Suite
from benchmarks.fidelity.cases import ladder
from benchmarks.fidelity.cases.case import Material
from benchmarks.fidelity.measure.__main__ import measure
from benchmarks.fidelity.measure.collect import Trace
from benchmarks.fidelity.parity import cases
from benchmarks.fidelity.parity import check as parity
from benchmarks.fidelity.parity.check import Checked, ParityChecks, key_of
from frameworks.backend import EpochResult
from frameworks.numpy.backend import NumpyReference
from frameworks.spec.defaults import fill_architecture, fill_recipe
from frameworks.spec.recipe import Recipe
from tests.helpers import planning


def plan(**fields: object) -> list[PlannedRun]:
    suite = Suite(**{"architectures": ("c1",), **fields})  # type: ignore[arg-type]
    return planning.plan(suite)


def config(**changes: object) -> RunConfig:
    return msgspec.structs.replace(plan()[0].config, **changes)


def test_the_questions_are_the_run_s_own_configuration() -> None:
    run = config(tuning="tuned", precision="float64", threads=1)
    asked = cases.asked(run)
    for case in asked.cases:
        assert case.architecture == run.architecture
        assert (case.tuning, case.precision, case.device, case.threads) == (
            *("tuned", "float64"),
            *("cpu", 1),
        )
    steady = msgspec.structs.replace(run.recipe.optimizer, epsilon=ladder.STEADY_EPSILON)
    assert asked.parts.recipe.optimizer == steady
    assert asked.parts.input_shape[0] < run.data.height
    assert {"structure", "forward", "gradients", "steps"} == set(asked.parts.measure)


def test_it_is_asked_in_the_calls_and_at_the_size_that_are_timed() -> None:
    """An epoch is measured staged, compiled and in one call (`measure._epoch`)."""
    asked = cases.asked(config())
    assert asked.epoch.measure == asked.whole.measure == ("epoch",)
    sizes = [len(rows) for rows in Material(asked.epoch).epoch(1).indices]
    assert len(sizes) > 3, sizes
    assert len(set(sizes[:-1])) == 1
    assert sizes[-1] < sizes[0]
    assert asked.whole.input_shape == (69, 69, 3)
    assert [len(rows) for rows in Material(asked.whole).epoch(1).indices] == [64]


class Recorder:
    """A backend that keeps the order of the calls it gets, and trains nothing."""

    def __init__(self, *_: object) -> None:
        self.calls: list[str] = []

    def stage(self, images, labels) -> None:
        self.calls.append("stage")
        self.staged = images

    def compile(self, epoch) -> None:
        self.calls.append(f"compile {len(epoch)} steps")

    def train_epoch(self, epoch) -> EpochResult:
        assert epoch.images is self.staged, "else it is streamed"
        self.calls.append(f"train {len(epoch)} steps")
        return EpochResult(0.0, 0.0)

    def get_weights(self) -> dict:
        return {}


def test_what_is_measured_of_an_epoch_is_staged_and_compiled_first(monkeypatch) -> None:
    made: list[Recorder] = []
    monkeypatch.setattr(
        "benchmarks.fidelity.measure.build.build",
        lambda *_: made.append(Recorder()) or made[-1],
    )
    measure(cases.asked(config()).epoch, Recorder)
    assert made[0].calls == ["stage", "compile 4 steps", "train 4 steps"]


@pytest.mark.parametrize(
    "change",
    [
        *({"tuning": "tuned"}, {"precision": "float64"}, {"framework": "jax"}, {"device": "cuda"}),
        {"parity": "native"},
        {"replicas": 2},
        {"recipe": fill_recipe(Recipe(batch_size=32))},
    ],
)
def test_what_was_found_is_of_one_configuration_alone(change) -> None:
    checks = ParityChecks({key_of(config()): Checked(False, ("R2",))})
    assert checks.of(config()) == Checked(False, ("R2",))
    assert checks.of(config(seed=3, repeat=2, control=True)) == Checked(False, ("R2",))
    assert checks.of(config(**change)) is None


def test_what_is_not_matched_or_does_not_run_is_not_checked(tmp_path, monkeypatch) -> None:
    def not_to_be_called(*_: object, **__: object) -> None:
        raise AssertionError("nothing is to be measured")

    monkeypatch.setattr("benchmarks.fidelity.measure.collect._measure", not_to_be_called)
    runs = plan(parity=("native",), frameworks=("torch",))
    (one,) = plan(frameworks=("torch",))
    skipped = PlannedRun(one.config, one.sizes, skip="not installed")
    checks = parity.check([*runs, skipped], tmp_path)
    assert [checks.of(run.config) for run in (*runs, skipped)] == [None] * 2


def test_the_reference_computes_once_what_differs_in_how_alone() -> None:
    runs = plan(tuning=("idiomatic", "tuned"), frameworks=("torch", "jax"))
    asked = [cases.asked(run.config) for run in runs]
    assert len({one.name for one in asked}) == 2, "by tuning"
    names = {cases.for_the_oracle(case).name for one in asked for case in one.cases}
    assert len(names) == 3


def test_what_is_timed_is_asked_of_the_replicas_and_held_against_one() -> None:
    asked = cases.asked(config(replicas=2))
    assert [case.replicas for case in asked.cases] == [1, 2, 2]
    held_against = [(cases.for_the_oracle(c), cases.plain_float64(c)) for c in asked.cases]
    assert {case.replicas for both in held_against for case in both} == {1}


def test_a_step_too_much_for_numpy_is_held_against_the_framework_s_own_float64() -> None:
    small = cases.asked(config()).whole
    big = msgspec.structs.replace(small, recipe=Recipe(batch_size=2**20))
    assert cases.within_the_oracle(small)
    assert not cases.within_the_oracle(big)
    plain = cases.plain_float64(msgspec.structs.replace(big, tuning="tuned"))
    assert (plain.precision, plain.tuning, plain.device) == ("float64", "idiomatic", big.device)
    assert cases.within_the_oracle(plain), "float64 has nothing else to be held against"
    parts = cases.asked(config()).parts
    large = msgspec.structs.replace(parts, recipe=Recipe(batch_size=2**20))
    assert cases.within_the_oracle(large), "nor have layers and gradients"


class Stuck(NumpyReference):
    """Several steps in one call all take the first batch."""

    def train_epoch(self, epoch):
        return super().train_epoch([epoch[0]] * len(epoch))


class WrongAtSize(NumpyReference):
    """Computes well what is small: a kernel that fails at one size."""

    def train_epoch(self, epoch):
        if epoch[0].images.shape[1] > 60:
            self.set_learning_rate(self.learning_rate * 1.5)
        return super().train_epoch(epoch)


@pytest.mark.parametrize("precision", ["float64", "float32", "tf32", "float16", "bfloat16"])
@pytest.mark.parametrize(
    ("kind", "network", "failing"),
    [
        (NumpyReference, ladder.SMALL, []),
        (Stuck, ladder.SMALL, ["epoch"]),
        (WrongAtSize, ladder.SMALL, ["whole"]),
        (Stuck, ladder.EVERYTHING, ["epoch"]),  # with batch norm
    ],
)
def test_faults_of_one_call_and_of_one_size_are_found(
    kind, network, failing, precision, tmp_path
) -> None:
    recipe = msgspec.structs.replace(config().recipe, batch_size=10)
    network = fill_architecture(network)
    run = config(recipe=recipe, architecture=network, precision=precision)
    asked = cases.asked(run)
    failed = []
    for name in ("epoch", "whole"):
        case = cases.for_the_oracle(getattr(asked, name))
        traces = []
        for backend in (kind, NumpyReference):
            path = tmp_path / f"{name}{len(traces)}.npz"
            np.savez(path, **measure(case, backend))
            traces.append(Trace("numpy", case, path))
        judged = cases.judge_timed(getattr(asked, name), *traces, name)
        failed += [name] if any(one.status == "failed" for one in judged) else []
    assert failed == failing
