"""Which cases a climb builds from the command line, and what it says of those it cannot."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import msgspec
import pytest

from benchmarks.fidelity import climb, plan
from benchmarks.fidelity.__main__ import main
from benchmarks.fidelity.cases import ladder, lifecycle
from benchmarks.fidelity.cases.case import Material
from benchmarks.fidelity.measure import collect
from benchmarks.fidelity.options import parser
from benchmarks.fidelity.rungs import bounds
from benchmarks.fidelity.rungs.finding import Finding
from benchmarks.process.spawn import Child
from frameworks.spec.architecture import load
from results.parquet import findings


def parts(*arguments: str, network: str = "unam"):
    """By name, each as a list of its cases."""
    options = parser().parse_args(["--architectures", network, *arguments])
    made = plan.parts(options, [load(network)], plan.shared(options, None))
    return {part.name: [*part.cases, *part.noise] for part in made}


def cases(*arguments: str, network: str = "unam"):
    """The network's, without what is climbed on small ones."""
    made = parts(*arguments, network=network)
    return [case for name, found in made.items() if name != "lifecycles" for case in found]


@pytest.mark.parametrize("rung", ["R0-R2", "R4", "R5a", "R5b", "R5c"])
def test_every_rung_climbs_with_every_head(rung):
    made = cases("--rungs", rung, "--classes", "10", "4", "--precision", "float64", "float32")
    assert {case.classes for case in made} == {10, 4}
    assert len({case.name for case in made}) == len(made)


@pytest.mark.parametrize("rung", ["R4", "R5a", "R5b", "R5c"])
def test_every_training_climbs_with_the_optimizers_asked_for(rung):
    asked = ["--rungs", rung, "--classes", "10", "--optimizers", "adam", "nesterov"]
    asked += ["--precision", "float64" if rung == "R5a" else "float32"]
    made = cases(*asked)
    assert len({case.name for case in made}) == 2
    optimizers = [case.recipe.optimizer for case in made]
    assert [type(one).__name__ for one in optimizers] == ["Adam", "SGD"]
    assert optimizers[1].nesterov


@pytest.mark.parametrize(("name", "taken_out"), [("vgg16_bn", 13), ("c2", 0)])
def test_lion_trains_without_the_biases_that_a_batch_norm_takes_out(name, taken_out):
    dead = {one: Material(ladder.make(name, one)).network.dead_biases for one in ("adam", "lion")}
    assert len(dead["adam"]) == taken_out
    assert not dead["lion"]


def test_by_default_only_what_the_precision_has_is_climbed():
    options = parser().parse_args(["--precision", "float32"])
    assert plan.rungs(options) == ["R0-R2", "R3", "R4", "R5d"]
    assert plan.rungs(parser().parse_args([])) == ["R0-R2", "R3", "R4", "R5a", "R5d"]


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


@pytest.mark.parametrize("rung", ["R0-R2", "R3", "R4", "R5b", "R5c"])
def test_every_rung_of_rounding_climbs_below_float32_on_a_gpu(rung):
    asked = ["--full", "--rungs", rung, "--classes", "10", "--device", "cuda"]
    made = cases(*asked, "--precision", "float32", "tf32", "float16", "bfloat16")
    assert {case.precision for case in made} == {"float32", "tf32", "float16", "bfloat16"}
    assert {case.device for case in made} == {"cuda"}
    assert all(case.name.endswith("-cuda") for case in made)
    assert len({case.name for case in made}) == len(made)


@pytest.mark.parametrize(
    "asked",
    [["--rate", "1"], ["--batch-size", "4"], ["--size", "40"], ["--adam-epsilon", "1e-7"]],
    ids=lambda asked: asked[0],
)
def test_what_is_climbed_otherwise_has_another_name(asked):
    rung = ["--rungs", "R5a", "--classes", "10"]
    usual, other = ({case.name for case in cases(*rung, *more)} for more in ([], asked))
    assert not usual & other
    usual, other = (parts("--rungs", "R5d", *more)["lifecycles"] for more in ([], asked))
    assert usual == other  # which none of these is asked of


def test_trainings_are_climbed_as_runs_call_them():
    made = parts("--rungs", "R5d")
    assert list(made) == ["lifecycles", "unam"]
    (own,) = made["unam"]
    sizes = {len(batch) for batch in Material(own).epoch(1)}
    assert min(sizes) < max(sizes)
    assert own.measure == ("lifecycle",)
    assert own.test_images % own.recipe.batch_size
    assert own.input_shape[0] != own.input_shape[1]


def test_a_framework_is_asked_the_forms_that_it_has():
    made = {case.name.split("-")[0]: case for case in lifecycle.lifecycles()}
    asked = {
        name: [one for one, case in made.items() if plan.asked_of(name, case)]
        for name in ("numpy", "keras", "torch", "jax", "docs.examples.softmax_numpy:Softmax")
    }
    assert asked["numpy"] == asked["jax"] == ["bait", "normed", "unbiased", "fast"]
    assert asked["keras"] == ["bait", "normed"]
    assert asked["torch"] == ["bait", "normed", "unbiased"]
    hat = ladder.make(ladder.SMALL, ladder.FORMS["adam_hat"])
    assert plan.asked_of("keras", hat)
    assert not plan.asked_of("docs.examples.softmax_numpy:Softmax", hat)


def test_a_full_climb_asks_of_both_tunings_and_heads():
    made = [case for found in parts("--full").values() for case in found]
    assert {case.tuning for case in made} == {"idiomatic", "tuned"}
    own = [case for case in made if not case.name.startswith("head-")]
    assert {case.classes for case in own} == {10, 4}
    assert len({case.name for case in made}) == len(made)
    assert any(case.deterministic for case in made)


def test_a_framework_named_twice_is_refused(tmp_path, capsys):
    arguments = ["--frameworks", "torch", "jax", "torch", "--store", str(tmp_path)]
    assert main(arguments) == 2
    assert "names 'torch' twice" in capsys.readouterr().err


def test_a_gpu_that_is_not_there_is_a_message(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(climb.machine, "gpus", list)
    arguments = ["--frameworks", "torch", "--architectures", "c1", "--store", str(tmp_path)]
    assert main([*arguments, "--device", "cuda"]) == 2
    assert "no NVIDIA GPU is visible" in capsys.readouterr().err
    assert main([*arguments, "--precision", "tf32"]) == 2
    assert "there is no TF32 on a CPU" in capsys.readouterr().err


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_bounds_below_float32_are_as_many_roundoffs_for_each(precision):
    """And none so wide that it would let everything pass."""
    network = ladder.make("c2", precision=precision)
    network = Material(network).network
    for rung, (plain, with_norm) in bounds._ROUNDOFFS.items():
        found = bounds.bound(rung, network, precision, ladder.DYADIC["adam"])
        assert found == with_norm * bounds.ROUNDOFF[precision] > plain * bounds.ROUNDOFF[precision]
        assert found < 0.2
    alone = bounds.bound("R3", network, precision, ladder.DYADIC["adam"])
    assert alone == bounds.ADAM_FLOAT32


def test_cases_are_dealt_to_as_many_processes_as_there_are_hands(monkeypatch, tmp_path):
    asked = []

    def measured(name, mine, directory, timeout, python, running, done):
        asked.append((name, [case.name for case in mine], directory.name))
        return {}

    monkeypatch.setattr(collect, "_measure", measured)
    five = [msgspec.structs.replace(ladder.make("c1"), name=str(number)) for number in range(5)]
    collect.collect(["a", "b"], five, tmp_path, parallel=4)
    assert sorted(names for who, names, _ in asked if who == "a") == [["0", "2", "4"], ["1", "3"]]
    assert len({where for _, _, where in asked}) == 4
    asked.clear()
    collect.collect(["a", "b"], five, tmp_path)
    assert [names for _, names, _ in asked] == [list("01234")] * 2


def test_a_process_that_would_outlast_the_others_is_dealt_to_several():
    alike = {("slow", "float64"): [ladder.make("c1")] * 6, ("fast", "float64"): []}
    alike["fast", "float64"] = alike["slow", "float64"]
    seconds = {"slow": 10.0, "fast": 1.0}
    found = collect.dealt(alike, 2, lambda name, case: seconds[name])
    assert found == {("slow", "float64"): 2, ("fast", "float64"): 1}
    assert set(collect.dealt(alike, 2, None).values()) == {1}
    assert set(collect.dealt(alike, 1, lambda name, case: seconds[name]).values()) == {1}


def test_schedules_alone_are_asked_in_float64_unless_the_climb_is_full():
    def asked(*options):
        names = [one.name for one in parts("--rungs", "R3", *options)["optimizers"]]
        return {name.split("-")[5] for name in names if "-alone-cosine-adam-" in name}

    assert asked() == {"float64"}
    assert asked("--full") == {"float64", "float32"}
    assert asked("--precision", "float32") == {"float32"}


def test_how_far_a_long_measurement_is_is_told(monkeypatch, tmp_path):
    heard = threading.Event()

    def measured(name, mine, directory, timeout, python, running, done):
        directory.mkdir()
        for file in ("0.npz", "1.error", "2.part", "log.txt"):
            (directory / file).touch()
        assert heard.wait(300)
        return {}

    def tell(line):
        if line.startswith("2 of 3 measured after "):
            heard.set()

    monkeypatch.setattr(collect, "_measure", measured)
    monkeypatch.setattr(collect, "TELL_EVERY", 0.01)
    three = [msgspec.structs.replace(ladder.make("c1"), name=str(number)) for number in range(3)]
    collect.collect(["a"], three, tmp_path, tell=tell)
    assert heard.is_set()


def test_a_process_is_given_up_when_it_does_no_further_case(tmp_path):
    hangs = tmp_path / "hangs.py"
    hangs.write_text("import time; time.sleep(600)")
    child = Child("hangs", [], os.environ | {"PYTHONPATH": str(tmp_path)})
    running = set()
    assert collect._ended(child, 1.0, running).startswith("no case done in 1 s")
    assert not running


def test_ctrl_c_while_a_job_is_handed_over_ends_that_job(tmp_path, monkeypatch):
    class Interrupted(ThreadPoolExecutor):
        def submit(self, *arguments):
            super().submit(*arguments)
            assert spawned.wait(60)
            raise KeyboardInterrupt

    def measured(name, mine, directory, timeout, python, running, done):
        child = Mock(kill=killed.set)
        running.add(child)
        spawned.set()
        assert killed.wait(60)
        running.remove(child)
        return {}

    spawned, killed = threading.Event(), threading.Event()
    monkeypatch.setattr(collect, "ThreadPoolExecutor", Interrupted)
    monkeypatch.setattr(collect, "_measure", measured)
    with pytest.raises(KeyboardInterrupt):
        collect.collect(["a"], [ladder.make("c1")], tmp_path)
    assert killed.is_set()


def test_each_training_rung_has_its_own_length_unless_one_is_given():
    rungs = ["--rungs", "R5a", "R5b", "--classes", "10"]
    assert [case.steps for case in cases(*rungs)] == [10, 200]
    assert [case.steps for case in cases(*rungs, "--full", "--tuning", "tuned")] == [64, 200]
    assert [case.steps for case in cases(*rungs, "--steps", "7")] == [7, 7]


def test_training_rungs_have_rates_of_their_own_over_r3_s_or_the_one_asked_for():
    optimizers = ("sgd", "nesterov", "adam")

    def shares(*arguments, network="unam"):
        asked = ["--classes", "10", "--optimizers", *optimizers, *arguments]
        made = cases(*asked, network=network)
        full = [ladder.DYADIC[name].learning_rate for name in optimizers]
        rates = [case.recipe.optimizer.learning_rate for case in made]
        return [rate / usual for rate, usual in zip(rates, full, strict=True)]

    for rung in ("R5a", "R5b"):
        assert shares("--rungs", rung) == [1, 1, 1 / 4]
        assert shares("--rungs", rung, network="c2") == [1 / 16] * 3
    assert shares("--rungs", "R4", "--precision", "float32") == [1, 16, 1]
    assert shares("--rungs", "R4", "--precision", "float32", "--rate", "4") == [4] * 3
    assert shares("--rungs", "R5a", "--rate", "1") == [1] * 3
    assert shares("--rungs", "R5b", "--rate", "0.5") == [0.5] * 3


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--steps", "0"),
        ("--batch-size", "-1"),
        ("--classes", "x"),
        ("--rate", "nan"),
        ("--seeds", "0"),
    ],
)
def test_a_number_that_is_none_is_named_with_its_option(capsys, option, value):
    with pytest.raises(SystemExit) as ended:
        main(["--frameworks", "torch", option, value])
    assert ended.value.code == 2
    assert f"argument {option}: '{value}' is not" in capsys.readouterr().err


def test_one_step_is_not_called_a_training(capsys, tmp_path):
    asked = ["--frameworks", "torch", "--rungs", "R5b", "--steps", "1", "--store", str(tmp_path)]
    assert main(asked) == 2
    assert "--rungs R4" in capsys.readouterr().err


def test_a_climb_broken_off_keeps_the_networks_that_were_finished(tmp_path, capsys, monkeypatch):
    def interrupted(group, options, folder, progress):
        if group[0].name == "c2":
            raise KeyboardInterrupt
        found = Finding(
            "R1", "unam-10-float64", "torch", "numpy", "float64", "", 0.0, 1.0, "passed"
        )
        return [([found], []) for _ in group]

    monkeypatch.setattr(climb, "_climb_group", interrupted)
    arguments = ["--frameworks", "torch", "--architectures", "unam", "c2", "--rungs", "R0-R2"]
    assert main([*arguments, "--store", str(tmp_path)]) == 130
    assert "unam: 1 of 1 comparison held" in capsys.readouterr().err
    assert findings.read(tmp_path)["architecture"].tolist() == ["unam"]


def test_a_store_that_cannot_be_written_is_told_of_before_anything_is_measured(tmp_path, capsys):
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    arguments = ["--frameworks", "torch", "--architectures", "unam", "--store", str(blocked)]
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert str(blocked) in said.err
    assert "cases of" not in said.err
