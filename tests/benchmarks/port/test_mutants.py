"""Drawn networks in two frameworks are equal; with one thing changed, that thing is named first."""

from pathlib import Path

import pytest

from benchmarks.port.compare import DIFFERENT, EQUAL
from tests.benchmarks.port.conftest import Compared
from tests.helpers import drawn_programs

SEEDS = range(20)


def _written(folder: Path, **texts: str) -> list[str]:
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text)
    return [f"{folder / name}.py:make" for name in texts]


@pytest.mark.slow
def test_unmutated_pairs_are_equal(compared: Compared, tmp_path: Path) -> None:
    alarms = {}
    for seed in SEEDS:
        layers = drawn_programs.network(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        one, other = drawn_programs.keras_program(layers), drawn_programs.torch_program(layers)
        found = compared(*_written(folder, one=one, other=other))
        if found.status != EQUAL:
            alarms[seed] = found.verdict, found.stopped
    assert not alarms


@pytest.mark.slow
def test_mutants_are_placed_at_their_layer_and_field(compared: Compared, tmp_path: Path) -> None:
    wrong, kinds = {}, set()
    for seed in SEEDS:
        layers = drawn_programs.network(seed)
        text, place, constant = drawn_programs.mutant(layers, seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        found = compared(*_written(folder, one=drawn_programs.keras_program(layers), other=text))
        kinds.add(constant)
        first = found.differences[0] if found.differences else None
        named = first is not None and (first.constant == constant and place in first.place)
        if found.status != DIFFERENT or not named:
            wrong[seed] = place, constant, found.verdict, found.stopped
    assert len(kinds) >= 7
    assert len(wrong) <= 1, wrong
