"""Learning rates by step and epoch, held against the schedulers of the installed frameworks."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import optax
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from frameworks.spec import schedules
from frameworks.spec.defaults import NATIVE, PROJECT, fill_recipe
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import SGD, Recipe, from_table
from frameworks.spec.schedules import (
    SCHEDULES,
    SMALLEST,
    Cosine,
    CosineRestarts,
    Exponential,
    MultiStep,
    OneCycle,
    Polynomial,
    Schedule,
    Step,
    WarmUp,
)

BASE, PLACES = 0.1, 20


def made(schedule: Schedule | None = None, column: str = "", **fields: Any) -> Recipe:
    """A recipe of PLACES epochs, filled in as a framework or as the project has it."""
    recipe = Recipe(optimizer=SGD(learning_rate=BASE), epochs=PLACES, schedule=schedule, **fields)
    return fill_recipe(recipe, NATIVE[column] if column else PROJECT)


def ours(recipe: Recipe, places: int = PLACES) -> np.ndarray:
    return np.array([schedules.rates(recipe, 1, number + 1)[0] for number in range(places)])


def of_torch(make: Any, places: int = PLACES) -> np.ndarray:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE)
    schedule, found = make(optimizer), []
    for _ in range(places):
        found.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return np.array(found)


def close(mine: np.ndarray, theirs: Any, rtol: float = 1e-12) -> None:
    np.testing.assert_allclose(mine, theirs, rtol=rtol, atol=2 * BASE * SMALLEST)


TORCH: dict[str, tuple[Schedule | None, Any]] = {
    "StepLR": (Step(every=3), lambda o: lr_scheduler.StepLR(o, 3)),
    "MultiStepLR": (
        MultiStep(at=(4, 9), factor=0.5),
        lambda o: lr_scheduler.MultiStepLR(o, [4, 9], 0.5),
    ),
    "ExponentialLR": (Exponential(factor=0.8), lambda o: lr_scheduler.ExponentialLR(o, 0.8)),
    "CosineAnnealingLR": (
        Cosine(length=12, end_rate=0.01),
        lambda o: lr_scheduler.CosineAnnealingLR(o, 12, 0.01),
    ),
    "CosineAnnealingWarmRestarts": (
        CosineRestarts(length=3, length_factor=2.0),
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 3, 2),
    ),
    "restarts of one length": (
        CosineRestarts(length=3, end_rate=0.02),
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 3, eta_min=0.02),
    ),
    "PolynomialLR": (
        Polynomial(length=15, power=2.0),
        lambda o: lr_scheduler.PolynomialLR(o, 15, 2),
    ),
    "OneCycleLR": (
        OneCycle(per="epoch"),
        lambda o: lr_scheduler.OneCycleLR(o, BASE, PLACES, cycle_momentum=False),
    ),
}


@pytest.mark.parametrize("name", TORCH)
def test_a_schedule_is_pytorch_s(name: str) -> None:
    schedule, theirs = TORCH[name]
    places = PLACES - 1 if name == "OneCycleLR" else PLACES  # beyond its end PyTorch's raises
    close(ours(made(schedule, "torch"), places), of_torch(theirs, places), rtol=1e-9)


def test_warm_up_is_pytorch_s_and_comes_before_any_schedule() -> None:
    def theirs(optimizer: Any) -> Any:
        parts = [lr_scheduler.LinearLR(optimizer, total_iters=4)]
        parts.append(lr_scheduler.CosineAnnealingLR(optimizer, PLACES - 4))
        return lr_scheduler.SequentialLR(optimizer, parts, [4])

    close(ours(made(Cosine(), "torch", warm_up=WarmUp(length=4))), of_torch(theirs))
    alone = ours(made(warm_up=WarmUp(length=4)))
    close(alone, of_torch(lambda o: lr_scheduler.LinearLR(o, total_iters=4)))


OPTAX: dict[str, tuple[Schedule, Any]] = {
    "cosine_decay_schedule": (
        Cosine(length=12, end_rate=0.01),
        optax.cosine_decay_schedule(BASE, 12, alpha=0.1),
    ),
    "exponential_decay": (
        Exponential(factor=0.5, every=4),
        optax.exponential_decay(BASE, 4, 0.5),
    ),
    "staircase": (
        Step(every=4, factor=0.5),
        optax.exponential_decay(BASE, 4, 0.5, staircase=True),
    ),
    "piecewise_constant_schedule": (
        MultiStep(at=(4, 9), factor=0.5),
        optax.piecewise_constant_schedule(BASE, {4: 0.5, 9: 0.5}),
    ),
    "polynomial_schedule": (
        Polynomial(length=15, power=2.0, end_rate=0.01),
        optax.polynomial_schedule(BASE, 0.01, 2.0, 15),
    ),
}


@pytest.mark.parametrize("name", OPTAX)
def test_a_schedule_is_optax_s(name: str) -> None:
    schedule, theirs = OPTAX[name]
    close(ours(made(schedule, "flax")), [float(theirs(at)) for at in range(PLACES)], rtol=1e-5)


_KERAS = """
import keras
made = keras.optimizers.schedules
base = 0.1
for one in (
    made.CosineDecay(base, 12, alpha=0.1),
    made.CosineDecayRestarts(base, 3, m_mul=0.5, alpha=0.1),
    made.ExponentialDecay(base, 4, 0.5),
    made.ExponentialDecay(base, 4, 0.5, staircase=True),
    made.PolynomialDecay(base, 15, power=2.0),
    made.PiecewiseConstantDecay([3, 8], [base, base / 2, base / 4]),
):
    print(*(float(one(at)) for at in range(20)))
"""


def test_schedules_are_keras_s(monkeypatch) -> None:
    """Of which a piecewise one changes a step later than its boundary says."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    done = subprocess.run(
        [sys.executable, "-c", _KERAS], capture_output=True, text=True, check=True
    )
    theirs = [[float(word) for word in line.split()] for line in done.stdout.splitlines()]
    mine: list[Schedule] = [
        Cosine(length=12, end_rate=0.01),
        CosineRestarts(length=3, rate_factor=0.5, end_rate=0.01),
        Exponential(factor=0.5, every=4),
        Step(every=4, factor=0.5),
        Polynomial(length=15, power=2.0),
        MultiStep(at=(4, 9), factor=0.5),
    ]
    for schedule, expected in zip(mine, theirs, strict=True):
        close(ours(made(schedule, "keras")), expected, rtol=1e-5)


def test_one_cycle_stays_at_its_end_and_holds_of_any_length() -> None:
    found = ours(made(OneCycle(per="epoch", length=10)))
    assert found.argmax() == 2
    assert found[2] == BASE
    assert len(set(found[9:])) == 1
    assert found[-1] == pytest.approx(BASE / 25 / 1e4)
    for length in (1, 2, 3):
        short = ours(made(OneCycle(per="epoch", length=length)))
        assert (short > 0).all()
        assert short.max() == BASE


@given(
    st.sampled_from(
        [
            Step(every=2),
            MultiStep(at=(1, 3)),
            Exponential(factor=0.5),
            Cosine(),
            Cosine(length=3, after_end="rise"),
            CosineRestarts(length=2),
            Polynomial(length=3),
            OneCycle(),
            None,
        ]
    ),
    st.integers(1, 7),
    st.integers(0, 4),
)
def test_a_rate_by_step_is_one_by_epoch_in_epochs_of_one_step(schedule, steps, warm) -> None:
    """Counting steps does not see the epochs; and no rate is 0."""
    by_step = None if schedule is None else msgspec.structs.replace(schedule, per="step")
    by_epoch = None if schedule is None else msgspec.structs.replace(schedule, per="epoch")
    warm_up = WarmUp(length=warm, per="step", start_factor=0.0) if warm else None
    whole = msgspec.structs.replace(made(by_step, warm_up=warm_up), epochs=4)
    parts = [schedules.rates(whole, steps, number) for number in range(1, 6)]
    slow = None if warm_up is None else msgspec.structs.replace(warm_up, per="epoch")
    flat = msgspec.structs.replace(made(by_epoch, warm_up=slow), epochs=4 * steps)
    assert np.concatenate(parts).tolist() == ours(flat, 5 * steps).tolist()
    assert min(np.concatenate(parts)) >= BASE * SMALLEST


def test_of_a_schedule_by_epoch_all_steps_of_an_epoch_have_one_rate() -> None:
    recipe = made(Exponential(factor=0.5))
    for number in (1, 2, 5):
        assert schedules.rates(recipe, 3, number).tolist() == [BASE * 0.5 ** (number - 1)] * 3
    assert not schedules.by_step(recipe)
    assert schedules.by_step(made(OneCycle()))


def test_every_schedule_falls_but_where_it_is_to_rise() -> None:
    falling = [Step(every=3), MultiStep(at=(2,)), Exponential(factor=0.9), Cosine(), Polynomial()]
    for schedule in falling:
        assert all(after <= before for before, after in pairwise(ours(made(schedule))))


NOTES: list[tuple[Recipe, str]] = [
    (made(Cosine(length=10)), "schedule cosine: it ends after 10 of 20 epochs; then it stays at"),
    (made(Cosine(length=10), "torch"), "10 of 20 epochs; then it rises again, as PyTorch's does"),
    (made(Cosine(length=30)), "30 epochs with the warm-up, and the training has 20: it ends at a"),
    (made(Step(every=20)), "the training ends after 20 epochs, before the first change"),
    (
        made(MultiStep(at=(5, 25, 30))),
        "the training ends after 20 epochs, and never comes to 25, 3",
    ),
    (made(OneCycle(length=200)), "200 steps with the warm-up, and the training has 140"),
    (
        made(warm_up=WarmUp(length=20)),
        "warm_up: 20 epochs, and the training has 20: the rate rises",
    ),
]


@pytest.mark.parametrize(("recipe", "note"), NOTES, ids=[note[:40] for _, note in NOTES])
def test_a_schedule_that_ends_elsewhere_than_the_training_is_told(recipe, note) -> None:
    (told,) = schedules.notes(recipe, 7)
    assert note in told


def test_of_one_that_fits_there_is_nothing_to_tell() -> None:
    fitting = [
        made(),
        made(Cosine()),
        made(Cosine(length=20)),
        made(Cosine(length=15), warm_up=WarmUp(length=5)),
        made(OneCycle(length=140)),
        made(MultiStep(at=(5, 19))),
        made(CosineRestarts(length=3)),
    ]
    for recipe in fitting:
        assert schedules.notes(recipe, 7) == []


BAD: list[tuple[dict[str, Any], str]] = [
    ({"schedule": Step(every=0)}, "recipe: schedule.every is 0; must be at least 1"),
    ({"schedule": Exponential(factor=0.0)}, "schedule.factor is 0.0; must be finite and positive"),
    ({"schedule": MultiStep(at=(3, 2))}, r"schedule.at is \[3, 2\]; give rising numbers"),
    ({"schedule": MultiStep(at=())}, r"schedule.at is \[\]"),
    ({"schedule": Cosine(end_rate=-1.0)}, "schedule.end_rate is -1.0; must be finite and not neg"),
    ({"schedule": OneCycle(rise=1.5)}, r"schedule.rise is 1.5; must be in \[0, 1\]"),
    ({"warm_up": WarmUp(length=0)}, "warm_up.length is 0; must be at least 1"),
    (
        {"warm_up": WarmUp(length=3), "schedule": OneCycle()},
        "warm_up.per is 'epoch', and schedule.per",
    ),
]


@pytest.mark.parametrize(("fields", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_a_bad_schedule_names_the_field(fields, message) -> None:
    with pytest.raises(SpecificationError, match=message):
        Recipe(**fields)


def test_a_schedule_is_read_from_a_table_in_the_words_of_the_field() -> None:
    assert from_table({"schedule": "cosine"}, "x").schedule == Cosine()
    whole = {"schedule": {"name": "multi_step", "at": [3, 6]}, "warm_up": {"length": 2}}
    assert from_table(whole, "x").schedule == MultiStep(at=(3, 6))
    bad: list[tuple[Any, str]] = [
        ({"name": "cosin"}, "x: unknown schedule 'cosin' .did you mean 'cosine'"),
        ({"name": "step", "step_size": 3}, r"'step_size' is every here"),
        ({"name": "multi_step", "milestones": [3]}, r"'milestones' is at here"),
        ("StepLR", "'StepLR' is step here"),
        ("CosineAnnealingLR", "'CosineAnnealingLR' is cosine here"),
        ({"name": "step"}, "missing required field `every`"),
    ]
    for table, message in bad:
        with pytest.raises(SpecificationError, match=message):
            from_table({"schedule": table}, "x")


def test_every_schedule_is_named_as_it_is_tagged() -> None:
    assert {str(kind.__struct_config__.tag) for kind in SCHEDULES.values()} == set(SCHEDULES)
