"""Every value of every field is reached by a case: what is not counts as unproven."""

from typing import Literal

import msgspec
import pytest

from benchmarks.fidelity import coverage
from benchmarks.fidelity.__main__ import main
from benchmarks.fidelity.options import parser
from frameworks.spec import architecture


@pytest.fixture
def options():
    """A climb of one network, as a user asks for it."""
    return parser().parse_args(["--coverage", "--architectures", "unam"])


def test_every_value_is_reached_or_said_to_be_asked_elsewhere(options) -> None:
    found = coverage.rows(options)
    assert [(row.field, row.value) for row in found if row.unproven] == []
    idle = {(row.field, row.value) for row in found if not row.elsewhere and not row.default}
    assert idle == {
        ("runtime.tuning", "tuned"),
        ("runtime.deterministic", "True"),
        ("runtime.replicas", "another"),
    }


def test_what_is_asked_elsewhere_is_a_value_that_there_is() -> None:
    known = coverage.known()
    fields = {field for field, _ in known}
    for field, value in coverage.ELSEWHERE:
        assert (field, value) in known if value else field in fields


class _Pool(msgspec.Struct, frozen=True, tag_field="type", tag="strided_pool"):
    """A layer of a later day."""

    name: str = ""
    mode: Literal["fast", "exact"] = "fast"


def test_a_later_layer_is_unproven_until_a_case_reaches_it(options, monkeypatch, capsys) -> None:
    monkeypatch.setitem(architecture.LAYER_TYPES, "strided_pool", _Pool)  # type: ignore[arg-type]
    found = {(row.field, row.value) for row in coverage.rows(options) if row.unproven}
    assert found == {("strided_pool.mode", "fast"), ("strided_pool.mode", "exact")}
    assert main(["--coverage", "--architectures", "unam"]) == 1
    assert "No case reaches strided_pool.mode" in capsys.readouterr().out
