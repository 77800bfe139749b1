"""An experiment of one's own: read by its path, scaled, or refused in one message."""

from __future__ import annotations

import msgspec
import pytest

from benchmarks.config.experiment import Experiment, changes, load, scaled
from benchmarks.config.suite import Suite
from frameworks.spec.reading import SpecificationError

GOOD = """
title = "Mine"
source = "a notebook"
[run]
architectures = "c2"
dataset = "galaxy10"
[[reported]]
metric = "test_accuracy"
value = 0.8
"""


def read(tmp_path, text: str) -> Experiment:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return load(str(path))


def test_an_experiment_of_ones_own_is_read_by_its_path(tmp_path) -> None:
    text = GOOD.replace('"galaxy10"', '"mine.h5"').replace('"c2"', '"net.toml"')
    found = read(tmp_path, text)
    assert found.name == "mine"
    assert found.run.dataset == str(tmp_path / "mine.h5")
    assert found.run.architectures == (str(tmp_path / "net.toml"),)
    assert found.figures()[0].source == "a notebook"


def test_what_the_file_says_of_all_figures_is_said_of_each(tmp_path) -> None:
    top = 'not_comparable = "other galaxies"\ntraps = ["leak"]\nframework = "torch"'
    text = top + GOOD + 'traps = ["no_seed"]\n[[reported]]\nmetric = "parameters"\nvalue = 3\n'
    first, second = read(tmp_path, text).figures()
    assert (first.comparable, first.reason) == (False, "other galaxies")
    assert first.traps == ("no_seed", "leak")
    assert first.framework == "torch"
    assert second.comparable, "a network has its parameters whatever it is trained on"


BAD = {
    "unknown field": (GOOD.replace("title", "titel"), "did you mean 'title'"),
    "unknown field of the run": (GOOD.replace("dataset", "datset"), "did you mean 'dataset'"),
    "unknown field of a figure": (GOOD.replace("value", "valeu"), "did you mean 'value'"),
    "unknown metric": (GOOD.replace("test_accuracy", "test_acuracy"), "did you mean 'test_accur"),
    "unknown trap": ('traps = ["leek"]\n' + GOOD, "did you mean 'leak'"),
    "no run": (GOOD.replace("[run]", "[suite]"), "unknown field 'suite'"),
    "a value that is no number": (GOOD.replace("0.8", '"0.8"'), "field 'reported[0].value'"),
    "not comparable, and no reason": (GOOD + "comparable = false\n", "say the reason"),
    "a figure that is a number": (
        "reported = [0.5]\n" + GOOD.partition("[[reported]]")[0],
        "reported 1: expected a table",
    ),
    "a recall of no class": (GOOD.replace("test_accuracy", "recall"), "has a label"),
    "a label of no recall": (GOOD + "label = 3\n", "has a label"),
    "not TOML": (GOOD + "value\n", "not valid TOML"),
    "no title": (GOOD.replace('title = "Mine"', ""), "title"),
    "nothing to run": ('title = "a"\nsource = "b"\n', "no [run] table"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_malformed_file_is_one_message(tmp_path, case: str) -> None:
    text, message = BAD[case]
    with pytest.raises(SpecificationError) as caught:
        read(tmp_path, text)
    assert message in str(caught.value)
    assert "mine.toml" in str(caught.value)


def test_an_unknown_name_has_its_near_miss() -> None:
    with pytest.raises(SpecificationError, match=r"did you mean 'phys449_c2_4way'"):
        load("phys449_c2_4wya")


def test_scaling_takes_galaxies_and_epochs_alike() -> None:
    run = load("unam").run
    small = scaled(run, 0.01)
    assert (small.fraction, small.epochs) == (0.01, 2)
    assert scaled(run, 0.001).epochs == 1
    assert scaled(run, 1.0) == run
    part = load("phys449_sdss_c1").run
    assert scaled(part, 0.1).fraction == pytest.approx(0.034427)
    kept = scaled(run, 0.01, but=frozenset({"epochs", "fraction"}))
    assert kept == run


@pytest.mark.parametrize("scale", [0, -0.1, 1.01, float("nan"), float("inf")])
def test_a_scale_out_of_range_is_refused(scale) -> None:
    with pytest.raises(SpecificationError, match="above 0, and at most 1"):
        scaled(Suite(), scale)


def test_what_is_free_to_choose_is_no_change() -> None:
    run = load("phys449_c2_4way").run
    mine = msgspec.structs.replace(run, seeds=(1, 2), frameworks=("jax",), device="cpu", threads=1)
    assert changes(run, mine) == {}
    other = msgspec.structs.replace(run, epochs=5, image_size=32)
    assert changes(run, other) == {"epochs": (20, 5), "image_size": (69, 32)}
    declared = load("phys449_c2_4way").declared(other, "abc")
    assert set(declared.changed) == {"epochs", "image_size"}
    assert set(declared.traps) == {key for one in declared.reported for key in one.traps}
