"""What a climb says: a sentence for each pair, a line for each rung, and JSON."""

import json

import pytest

from benchmarks.fidelity import climb, console
from benchmarks.fidelity.__main__ import main
from benchmarks.fidelity.options import parser
from benchmarks.fidelity.rungs import verdict
from benchmarks.fidelity.rungs.finding import Finding

NAN = float("nan")


def finding(framework="keras", against="numpy", rung="R1", value=0.5, status="", cause=""):
    status = status or ("passed" if value <= 1 else "failed")
    name = "unam-batch-10-float64"
    metric = "largest error by layer"
    return Finding(rung, name, framework, against, "float64", metric, value, 1.0, status, "", cause)


SOUND = [finding(one, two) for one, two in (("keras", "numpy"), ("torch", "numpy"))]
SOUND += [finding("keras", "torch", "R5d", 0.9), finding("torch", "numpy", "R5d", 0.1)]


def test_one_sentence_says_that_two_train_the_same_network():
    (found,) = verdict.verdicts(SOUND, ["keras", "torch"])
    assert (found.word, found.held, found.asked) == ("the same", 4, 4)
    assert found.sentence == (
        "keras and torch train the same network, as far as asked: 4 of 4 comparisons held."
    )


def test_a_failure_is_named_with_its_cause_for_the_pairs_that_it_concerns():
    bad = finding("torch", "numpy", "R2", 3.0, cause="the loss")
    found = verdict.verdicts([*SOUND, finding("jax"), bad], ["keras", "torch", "jax"])
    assert [one.word for one in found] == ["not the same", "the same", "not the same"]
    said = found[0].sentence
    assert "keras and torch do not train the same network: 1 of 5 comparisons failed" in said
    assert "first R2, torch against the reference" in said
    assert said.endswith("Likely cause: the loss.")


def test_what_was_not_run_is_not_the_same_network():
    missing = finding("torch", "numpy", "R4", NAN, "not run", "torch: it left no result")
    (found,) = verdict.verdicts([*SOUND, missing], ["keras", "torch"])
    assert found.word == "not shown"
    assert "torch: it left no result" in found.sentence
    (alone,) = verdict.verdicts([missing], ["torch"])
    assert alone.other == "numpy"
    assert "torch and the float64 reference" in alone.sentence


def test_a_rung_names_what_came_nearest_to_its_bound():
    first, last = verdict.rungs([*reversed(SOUND), finding(value=2.0)])
    assert (first.name, first.held, first.asked) == ("R1", 2, 3)
    assert first.share == float("inf")
    assert (last.name, last.share) == ("R5d", 0.9)


@pytest.mark.parametrize("framework", ["keras", "a_backend_of_somebody_else:ItsOwnClass"])
def test_the_answer_fits_in_80_columns(capsys, framework):
    found = [*SOUND, finding(framework, "numpy", "R4", 7.0, cause="the optimizer")]
    found = [f for f in found if f.framework != "keras" or framework == "keras"]
    names = [framework, "torch"]
    failed = [f for f in found if f.status != "passed"] * 7
    console.answer(verdict.verdicts(found, names), verdict.rungs(found), "Not asked: R5c.", failed)
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    assert "do not train the same network" in " ".join(said.split())
    assert "2 more: --details" in said
    assert said.rstrip().endswith("Not asked: R5c.")


def test_json_has_no_number_that_json_has_not(capsys):
    options = parser().parse_args(["--json", "--frameworks", "keras", "torch"])
    climb._say([*SOUND, finding("torch", value=NAN)], options)
    said = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert [one["word"] for one in said["verdicts"]] == ["not the same"]
    assert said["findings"][-1]["value"] is None
    assert len(said["findings"]) == 5
    assert "tuned backends" in said["not_asked"]


def test_a_dry_run_tells_what_would_be_asked_and_measures_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(climb, "collect", pytest.fail)
    store = tmp_path / "runs"
    asked = ["--frameworks", "torch", "--architectures", "unam", "--store", str(store)]
    assert main([*asked, "--dry-run"]) == 0
    said = capsys.readouterr()
    assert "cases of R0-R2, R3, R4, R5a, R5d for torch and the reference: about " in said.err
    assert "Not asked (--full asks most of it): R5e; R5b; R5c;" in said.out
    assert not store.exists()
