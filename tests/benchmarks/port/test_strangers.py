"""Pairs as strangers write them: equal ones are called equal, and of others the cause is named."""

import pytest

from benchmarks.port.compare import EQUAL
from benchmarks.port.operation import PortError
from tests.benchmarks.port.conftest import Compared

SIZE = [8, 8, 3]
EQUALS = ["Listed Listed", "computed Computed", "normed Normed", "excited Excited", "active Active"]
EQUALS += ["standardized Standardized", "separable Separable"]


def pair(names: str) -> tuple[str, str]:
    one, other = names.split()
    return f"strangers_keras.py:{one}", f"strangers_torch.py:{other}"


@pytest.mark.slow
@pytest.mark.parametrize("names", EQUALS)
def test_equal_programs_are_called_equal(names: str, compared: Compared) -> None:
    found = compared(*pair(names), size=SIZE)
    assert found.status == EQUAL, (found.verdict, found.stopped)
    assert not found.unread


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "parts", "cause"),
    [
        ("computed Exact", ("", ""), "approximate"),
        ("active Sloped", ("", ""), "slope"),
        ("standardized Redder", ("", ""), "offset"),
        ("flipped Unflipped", ("", ""), "missing layer"),
        ("computed Computed", ("accumulated", ""), "accumulation"),
        ("Listed Listed", ("decayed", "decayed_all"), "undecayed"),
        ("computed Computed", ("averaged", ""), "average_weights"),
    ],
)
def test_the_one_cause_is_named(
    names: str, parts: tuple[str, str], cause: str, compared: Compared
) -> None:
    own = tuple({"optimizer": one} if one else {} for one in parts)
    found = compared(*pair(names), own, size=SIZE)
    real = [one.constant for one in found.differences if one.stage != "start"]
    assert real[0] == cause, found.verdict
    assert set(real) <= {cause, "epsilon_form"}


@pytest.mark.slow
def test_decay_of_the_same_weights_is_the_same(compared: Compared) -> None:
    found = compared(*pair("Listed Listed"), ({"optimizer": "decayed"},) * 2, size=SIZE)
    assert found.status == EQUAL, found.verdict


@pytest.mark.slow
@pytest.mark.extended
def test_schedules_are_compared_as_schedules(compared: Compared) -> None:
    programs = pair("computed Computed")
    other = {"optimizer": "plain", "schedule": "short"}
    found = compared(*programs, ({"optimizer": "warm"}, other), size=SIZE)
    assert {one.stage for one in found.differences} == {"schedule"}, found.verdict
    with pytest.raises(PortError, match="a ReduceLROnPlateau, which follows a score"):
        compared(*programs, ({}, {"schedule": "plateau"}), size=SIZE)


@pytest.mark.slow
def test_float32_of_a_constant_is_the_constant(compared: Compared) -> None:
    """And a call with two outputs is read the same in both."""
    same = "strangers_torch.py:Gated"
    found = compared(same, same, ({}, {"optimizer": "rounded"}), size=SIZE, given_weights=True)
    assert found.status == EQUAL, found.verdict
    assert any("the same in float32" in note for note in found.notes)
