"""A few kills of the campaign; `python -m tests.kills --seed 0 --count 200` makes the rest."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import kills


@pytest.mark.parametrize(
    ("count", "kinds"),
    [
        (2, ("export", "worker")),
        pytest.param(18, kills.TURNS, marks=(pytest.mark.slow, pytest.mark.extended)),
    ],
)
def test_after_a_kill_nothing_is_lost_and_nothing_is_left(
    tmp_path: Path, count: int, kinds: Sequence[str]
) -> None:
    made = list(kills.campaign(tmp_path, seed=0, count=count, kinds=kinds))
    assert [kill for kill in made if kill.wrong] == []
    assert any(kill.during for kill in made)
