"""The survey of public networks: its facts, what is found of them, and the table that is kept."""

from __future__ import annotations

import csv
from functools import cache

import pytest

from frameworks.spec import architecture
from tests.survey import __main__ as command
from tests.survey.judge import JUDGED, Judged, _stated, judged, rows

# What no layer list holds: attention (15, 49), softmaxes multiplied (42), pools together (46).
INEXACT = {15, 42, 46, 49}


@cache
def found() -> dict[int, Judged]:
    return {row.number: judged(row) for row in rows()}


def test_every_repository_is_there_once() -> None:
    assert [row.number for row in rows()] == list(range(1, 50))
    assert len({row.repository for row in rows()}) == 49
    assert all(row.architecture or row.no_network for row in rows())
    assert all(row.training or row.no_training for row in rows())


def test_every_public_network_belongs_to_a_row() -> None:
    text = " ".join(f"{row.architecture} {row.note}" for row in rows()).split()
    assert set(architecture.public()) <= set(text)


def test_the_layer_lists_are_exact_and_have_the_printed_counts() -> None:
    inexact = {number for number, one in found().items() if one.network}
    assert inexact == INEXACT
    for number in inexact:
        one = found()[number]
        assert one.network == list(one.row.no_network)
    assert sum(one.printed for one in found().values()) == 17


def test_a_wrong_count_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    row = next(row for row in rows() if row.number == 17)
    right = architecture.load(row.architecture)
    fewer = architecture.from_table(
        {"layers": [{"type": "flatten"}, {"type": "dense", "units": "classes"}]},
        origin="fewer",
        default_name="fewer",
    )
    monkeypatch.setattr(
        architecture,
        "load",
        lambda name: architecture.Architecture(
            name="x", layers=fewer.layers, published=right.published
        ),
    )
    assert judged(row).network == ["counts 142,840 parameters, not 685,386"]


def test_what_is_not_taken_is_named_by_its_field() -> None:
    table = {
        "optimizer": {"name": "sgd", "momentum": 0.9, "friction": 1.0},
        "epochs": 3,
        "batch_size": 0,
        "colour": "blue",
        "early_stopping": {"patience": 2, "mood": 1},
    }
    accepted, refused = _stated(table)
    assert refused == ["optimizer.friction", "batch_size", "colour", "early_stopping.mood"]
    assert accepted == {
        "optimizer": {"name": "sgd", "momentum": 0.9},
        "epochs": 3,
        "early_stopping": {"patience": 2},
    }
    assert _stated({"optimizer": {"name": "lion_tamer", "momentum": 0.9}})[1] == [
        "optimizer lion_tamer"
    ]


def test_the_whole_of_some_trainings_can_be_stated() -> None:
    whole = {number for number, one in found().items() if one.whole}
    assert whole >= {9, 17, 21}
    assert all(found()[number].recipe for number in whole)


def test_the_kept_table_claims_no_more_than_holds() -> None:
    """Less is well: what is stated since then is not in it until it is written anew."""
    with JUDGED.open(encoding="utf-8", newline="") as file:
        kept = list(csv.DictReader(file))
    now = list(csv.DictReader(command.as_csv(list(found().values())).splitlines()))
    assert len(kept) == len(now)
    for before, after in zip(kept, now, strict=True):
        for key in ("number", "repository", "architecture"):
            assert before[key] == after[key]
        for key in ("exact", "training", "augmentation", "files", "whole"):
            assert before[key] <= after[key], f"{before['repository']}: {key}"


def test_the_command_prints_a_row_each_and_the_counts(capsys: pytest.CaptureFixture[str]) -> None:
    command.main([])
    printed = capsys.readouterr().out
    exact = sum(not one.network for one in found().values())
    assert f"Networks exact: {exact} of 49" in printed
    assert "eleven softmaxes" in printed
    assert command.main(["--csv"]) == 0
    table = capsys.readouterr().out  # whole at any width, unlike the table
    assert table.count("\n") == 50
    assert all(row.file and row.repository in table for row in rows())
