"""Public reports of ports that train otherwise, as pairs of programs: the cause is named first, and
the corrected pair is called equal."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from benchmarks.port.compare import DIFFERENT, EQUAL
from tests.benchmarks.port.conftest import Compared

Parts = tuple[dict[str, str], dict[str, str]]


@dataclass(frozen=True)
class Report:
    """a, b: the reported pair. cause: stage and constant. clean: the corrected pair's programs."""

    number: int
    a: str
    b: str
    cause: tuple[str, str]
    clean: tuple[str, str] = ("", "")
    parts: Parts = ({}, {})
    clean_parts: Parts = ({}, {})
    options: dict[str, Any] = field(default_factory=dict)
    frameworks: tuple[str, str] = ("", "")

    def __str__(self) -> str:
        return f"{self.number:02}"


_OPTIMIZER = ({}, {"optimizer": "aligned"})
REPORTS = [
    Report(
        1,
        "r01_keras.py:make",
        "r01_torch.py:make",
        ("optimizer", "learning_rate"),
        clean_parts=_OPTIMIZER,
    ),
    Report(
        2,
        "r02_torch.py:make",
        "r02_flax.py:Net",
        ("optimizer", "decay_form"),
        clean_parts=({"optimizer": "aligned"}, {}),
        options={"size": [4, 4, 3]},
    ),
    Report(
        3,
        "r03_keras.py:make",
        "r03_torch.py:Net",
        ("outputs", "padding"),
        clean=("", "r03_torch.py:aligned"),
    ),
    Report(
        4,
        "r04_keras.py:make",
        "r04_torch.py:make",
        ("own weights", "order of the flattened picture"),
        clean=("", "r04_torch.py:aligned"),
    ),
    Report(
        5,
        "r05_keras.py:make",
        "r05_torch.py:Net",
        ("outputs", "extra layer"),
        clean=("", "r05_torch.py:aligned"),
    ),
    Report(
        6,
        "r06_keras.py:make",
        "r06_torch.py:make",
        ("running statistics", "momentum"),
        clean=("", "r06_torch.py:aligned"),
    ),
    Report(
        7,
        "r07_keras.py:make",
        "r07_torch.py:make",
        ("a bare call", "mode"),
        clean=("", "r07_torch.py:aligned"),
        options={"seen": "outputs"},
    ),
    Report(
        8,
        "r08_keras.py:make",
        "r08_torch.py:make",
        ("optimizer", "weight_decay"),
        clean_parts=_OPTIMIZER,
    ),
    Report(
        9,
        "r09_torch.py:make",
        "r09_flax.py:Net",
        ("optimizer", "epsilon_in_root"),
        clean_parts=_OPTIMIZER,
        options={"size": [10, 10, 3]},
    ),
    Report(
        10,
        "r10_keras.py:make",
        "r10_torch.py:make",
        ("reported loss", "mean over batches"),
        clean_parts=({}, {"epoch_loss": "aligned"}),
    ),
    Report(
        11,
        "r11_torch.py:make",
        "r11_flax.py:Net",
        ("on a GPU", "precision"),
        clean=("r11_torch.py:aligned", "r11_flax.py:aligned"),
        options={"size": [8, 8, 3], "device": "cuda"},
    ),
    Report(
        12,
        "r12_keras.py:make",
        "r12_torch.py:make",
        ("optimizer", "clipping"),
        clean_parts=({}, {"clip": "aligned"}),
    ),
    Report(
        14,
        "r14_torch.py:Net",
        "r14_flax.py:Net",
        ("start", "initial kernels"),
        clean=("r14_torch.py:aligned", ""),
        options={"size": [8, 8, 1]},
    ),
    Report(
        15,
        "r15_keras.py:make",
        "r15_torch.py:make",
        ("optimizer", "decay_form"),
        clean_parts=({"optimizer": "aligned"}, {}),
    ),
    Report(
        16,
        "r16_keras.py:make",
        "r16_torch.py:make",
        ("pictures", "scale of the pixels"),
        clean=("r16_keras.py:scaled", ""),
        parts=({}, {"schedule": "constant"}),
        clean_parts=({}, {"schedule": "constant"}),
    ),
    Report(
        17,
        "r17_keras.py:make",
        "r17_keras.py:make",
        ("loss", "value far from zero"),
        clean=("r17_keras.py:aligned", "r17_keras.py:aligned"),
        clean_parts=({"loss": "of_logits"}, {"loss": "of_logits"}),
        frameworks=("keras", "keras@torch"),
    ),
]
QUICK = {3, 6, 8}  # those of the default tests


def _marked(quick: set[int]) -> list[Any]:
    marks = [pytest.mark.slow, pytest.mark.extended]
    return [pytest.param(r, marks=() if r.number in quick else marks, id=str(r)) for r in REPORTS]


@pytest.mark.parametrize("report", _marked(QUICK))
def test_the_cause_of_a_report_is_named_first(report: Report, compared: Compared) -> None:
    found = compared(report.a, report.b, report.parts, report.frameworks, **report.options)
    assert not found.stopped
    first = found.differences[0]
    assert (first.stage, first.constant) == report.cause, found.verdict
    assert found.status == DIFFERENT
    assert str(first) in found.verdict


@pytest.mark.parametrize("report", _marked({3, 8}))
def test_the_corrected_pair_is_equal(report: Report, compared: Compared) -> None:
    programs = [fixed or one for fixed, one in zip(report.clean, (report.a, report.b), strict=True)]
    found = compared(*programs, report.clean_parts, report.frameworks, **report.options)
    assert found.status == EQUAL, (found.verdict, found.stopped)
    assert max(found.measured.values()) < 1e-9


def test_every_report_but_that_of_memory_is_here() -> None:
    assert {report.number for report in REPORTS} == set(range(1, 18)) - {13}


@pytest.mark.slow
@pytest.mark.extended
def test_a_schedule_counted_in_epochs_is_named(compared: Compared) -> None:
    pair = "r16_keras.py:scaled", "r16_torch.py:make"
    wrong = compared(*pair, ({"optimizer": "in_epochs"}, {}))
    assert [d.stage for d in wrong.differences] == ["schedule"]
    assert compared(*pair, ({"optimizer": "in_steps"}, {})).status == EQUAL


@pytest.mark.slow
@pytest.mark.extended
def test_a_decay_in_the_loss_is_the_optimizers(compared: Compared) -> None:
    found = compared("r08_keras.py:regularized", "r08_torch.py:make")
    assert found.status == EQUAL, found.verdict
    assert any("the decay stands in the loss" in note for note in found.notes)
