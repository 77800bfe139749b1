"""A slice of the bad inputs; the long run is `python -m tests.fuzz --seed S --count N`."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.__main__ import one
from tests.fuzz.readers import COMMANDS, NEED, READERS

_SETTINGS = settings(
    max_examples=12,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize("name", [*sorted({*READERS} - {*NEED}), *COMMANDS])
@_SETTINGS
@given(number=st.integers(0, 10**6))
def test_bad_input_is_refused_in_few_words(name: str, tmp_path: Path, number: int) -> None:
    assert one(name, 0, number, tmp_path) == ""
