"""Which cases a climb builds from the command line, and what it says of those it cannot."""

import pytest

from benchmarks.fidelity import climb
from benchmarks.fidelity.__main__ import main, parser
from frameworks.architecture import load


def cases(*arguments: str):
    options = parser().parse_args(["--architectures", "unam", *arguments])
    options.rungs = climb._asked(options)
    networks = [load("unam")]
    shared = climb._shared(options, None)
    return climb._cases(options, networks, shared) + climb._noise_cases(options, networks, shared)


@pytest.mark.parametrize("rung", ["R0-R2", "R4", "R5a", "R5b", "R5c"])
def test_every_rung_climbs_with_every_head(rung):
    made = cases("--rungs", rung, "--classes", "10", "4", "--precision", "float64", "float32")
    assert {case.classes for case in made} == {10, 4}
    assert len({case.name for case in made}) == len(made)


def test_by_default_only_what_the_precision_has_is_climbed():
    options = parser().parse_args(["--precision", "float32"])
    assert climb._asked(options) == ["R0-R2", "R3", "R4"]
    assert climb._asked(parser().parse_args([])) == ["R0-R2", "R3", "R4", "R5a"]


@pytest.mark.parametrize(
    ("rung", "precision"), [("R5a", "float32"), ("R5b", "float64"), ("R5c", "float64")]
)
def test_a_rung_that_builds_no_case_is_not_run_and_not_a_success(tmp_path, capsys, rung, precision):
    arguments = ["--frameworks", "torch", "--architectures", "unam", "--rungs", rung]
    arguments += ["--precision", precision, "--store", str(tmp_path)]
    assert main(arguments) == 1
    said = capsys.readouterr().out
    assert f"not run: {rung}" in said
    assert "which --precision leaves out" in said
