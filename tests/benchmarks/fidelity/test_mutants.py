"""R8: the ladder must be able to fail. A few mutants of PyTorch always, all of them when slow."""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.fidelity.__main__ import main
from benchmarks.fidelity.faults import catalog, lifecycle, replicas, rewrites
from benchmarks.fidelity.faults.catalog import MUTANTS, mutated
from benchmarks.fidelity.faults.rewritten import MovedError, Rewrite
from benchmarks.fidelity.kills import float32, matrix
from benchmarks.fidelity.kills.float32 import Float32Kill
from benchmarks.fidelity.kills.matrix import Kill, kill_matrix, markdown
from benchmarks.fidelity.measure import collect as collecting
from benchmarks.fidelity.measure.__main__ import REFERENCE, measure
from benchmarks.fidelity.measure.collect import Trace
from benchmarks.fidelity.rungs import errors
from benchmarks.fidelity.rungs.finding import Finding
from frameworks.numpy.backend import NumpyReference
from frameworks.spec.layers import Activation
from frameworks.spec.reading import SpecificationError
from results.names import file_name

FEW = [
    "flatten_order",
    "loss_summed",
    "beta_2_of_099",
    "unbiased_variance",
    "batches_shifted",
    "rows_of_first_epoch_torch",
    "rows_of_first_epoch_torch_tuned",
    "last_batch_in_training_mode_torch",
    "decay_spares_norms_torch_tuned",
    "ties_shared_torch",
    *(name for name, one in rewrites.FAULTS.items() if one.framework == "torch"),
]
SECTION_6 = 20 + 40  # how many the project wants at least


def wrong(found):
    return [
        f"{k.mutant or 'no fault'} in {k.framework}: {k.status} at {k.rung} {k.where} "
        f"(expected {k.expected}); {k.cause}"
        for k in found
        if not k.as_it_should_be or (k.mutant and k.rung != k.expected)
    ]


def test_each_mutant_has_a_fault_and_each_fault_a_mutant():
    assert len(MUTANTS) >= SECTION_6
    used = {mutant.fault or mutant.name for mutant in MUTANTS.values()}
    shared = lifecycle.FAULTS.keys() | replicas.FAULTS.keys() | rewrites.FAULTS.keys()
    assert used >= shared
    for framework, module in catalog.FAULTS.items():
        source = Path(catalog.__file__).with_name(f"{module}.py").read_text()
        functions = {
            node.name
            for node in ast.parse(source).body
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
        }
        mine = {m.fault or m.name for m in MUTANTS.values() if m.framework == framework}
        assert functions == mine - shared


@pytest.mark.parametrize(
    "change", [change for one in rewrites.FAULTS.values() for change in one.changes], ids=str
)
def test_the_lines_that_a_fault_changes_stand_where_it_says(change):
    """Read, not imported: the other frameworks' files too."""
    module, _, name = change.place.partition(":")
    text = Path(*module.split(".")).with_suffix(".py").read_text()
    node = ast.parse(text)
    for part in name.split("."):
        node = next(one for one in node.body if getattr(one, "name", "") == part)
    assert ast.get_source_segment(text, node).count(change.old) == 1


@pytest.mark.parametrize(
    ("place", "old", "why"),
    [
        ("pools:max_pool", "no such line", "stands 0 times"),
        ("pools:max_pool", "rows", r"stands \d+ times"),
        ("pools:no_pool", "", "there is no"),
        ("no_module:max_pool", "", "there is no"),
        ("activations:SOFTPLUS_THRESHOLD", "", "is no function"),
    ],
)
def test_a_mutant_whose_code_has_moved_is_named(monkeypatch, place, old, why):
    change = Rewrite(f"frameworks.torch.{place}", old, "")
    fault = rewrites.FAULTS["relu6"]._replace(changes=(change,))
    monkeypatch.setitem(rewrites.FAULTS, "relu6", fault)
    with (
        pytest.raises(MovedError, match=f"'relu6' patches code that has moved: .*{why}"),
        mutated("relu6", "torch"),
    ):
        pass


def test_a_changed_line_is_back_afterwards():
    from frameworks.torch.activations import function

    def of_7():
        return float(function(Activation(function="relu"))(torch.tensor(7.0)))

    with mutated("relu6", "torch"):
        assert of_7() == 6
    assert of_7() == 7


def test_mutants_say_how_long_they_take_and_take_no_word_for_a_file(capsys):
    assert main(["--mutants", "--frameworks", "torch", "--dry-run"]) == 0
    assert "mutants of torch: about" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["--mutants", "list"])
    assert "'list' is no Markdown file; give a name that ends in .md" in capsys.readouterr().err


def test_each_mutant_is_put_through_cases_of_a_default_climb():
    for mutant in MUTANTS.values():
        assert mutant.rung in matrix.RUNGS
        sound, faulty = matrix.cases(mutant), matrix.faulty(mutant)
        assert sound, mutant.name
        assert {case.tuning for case in sound} == {mutant.tuning}
        assert {case.mutant for case in faulty} == {mutant.name}
        assert ("--tuning tuned" in mutant.command) == (mutant.tuning == "tuned")


def test_no_fault_is_no_change_and_an_unknown_one_is_refused():
    with mutated("", "torch"):
        pass
    with (
        pytest.raises(SpecificationError, match=r"'flaten_order' \(did you mean 'flatten_order'"),
        mutated("flaten_order", "torch"),
    ):
        pass
    with (
        pytest.raises(SpecificationError, match="'flatten_order' is one of torch, not of jax"),
        mutated("flatten_order", "jax"),
    ):
        pass


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A few mutants of PyTorch and PyTorch without any."""
    return kill_matrix(tmp_path_factory.mktemp("mutants"), FEW)


def test_a_few_mutants_are_killed_by_the_rung_expected_and_no_fault_passes(few):
    assert not wrong(few)
    assert [kill.mutant for kill in few] == ["", *FEW]


def test_a_kill_names_the_place_and_the_cause(few):
    by_name = {kill.mutant: kill for kill in few}
    assert by_name["flatten_order"].where == "training/dense1"
    assert "flatten order" in by_name["flatten_order"].cause
    assert "unbiased" in by_name["unbiased_variance"].cause
    assert "rows" in by_name["rows_of_first_epoch_torch"].cause
    assert "training mode" in by_name["last_batch_in_training_mode_torch"].cause
    assert by_name["loss_summed"].value > 1e6 * by_name["loss_summed"].bound


def test_the_table_names_the_rungs(few):
    table = markdown(few).splitlines()
    assert table[0].startswith(f"{len(FEW)} of {len(FEW)} mutants found: {len(FEW)} killed")
    row = next(line for line in table if "`unbiased_variance`" in line)
    assert [cell.strip() for cell in row.strip("|").split("|")][3] == "R5d"
    row = next(line for line in table if "`rows_of_first_epoch`" in line)
    assert [cell.strip() for cell in row.strip("|").split("|")][2:] == ["R5d", "R5d", "run"]
    assert any(line.endswith("| run |") for line in table)


def sound(mutant, traces):
    """What is found of the mutant's cases without its fault."""
    cases = matrix.cases(mutant)
    return [matrix._findings(traces, "torch", case, case.name) for case in cases]


def test_a_mutant_that_cannot_run_without_its_fault_either_is_not_killed():
    """A framework that is missing kills nothing."""
    mutant, traces = MUTANTS["flatten_order"], {}
    for framework in (REFERENCE, "torch"):
        for case in [*matrix.cases(mutant), *matrix.faulty(mutant)]:
            traces[framework, case.name] = Trace(framework, case, None, "torch is missing")
    kill = matrix._kill(mutant, traces, sound(mutant, traces))
    assert kill.status == "not run"
    assert "missing" in kill.cause
    assert not kill.as_it_should_be
    assert "**not run**" in markdown([kill])


@pytest.mark.parametrize(
    ("raised", "status"), [(True, "crashes"), (False, "not run")], ids=["error", "dead process"]
)
def test_an_error_that_a_fault_raises_finds_it_and_a_dead_process_does_not(
    tmp_path, raised, status
):
    mutant, traces = MUTANTS["ties_shared_torch"], {}
    for case in matrix.cases(mutant):
        path = tmp_path / f"{case.name}.npz"
        np.savez(path, **measure(case, NumpyReference))
        for framework in (REFERENCE, "torch"):
            traces[framework, case.name] = Trace(framework, case, path)
    for case in matrix.faulty(mutant):
        traces["torch", case.name] = Trace("torch", case, None, "RuntimeError: shapes", raised)
    kill = matrix._kill(mutant, traces, sound(mutant, traces))
    assert (kill.status, kill.as_it_should_be) == (status, raised), kill
    assert "shapes" in kill.cause
    found = "1 of 1 mutant found: 0 killed by a rung, 1 by an error"
    assert (found in markdown([kill])) == raised


def test_memory_that_ran_out_is_no_error_of_a_fault(tmp_path):
    case = matrix.faulty(MUTANTS["ties_shared_torch"])[0]
    for text, raised in (("RuntimeError: shapes", True), ("RuntimeError: out of memory", False)):
        (tmp_path / f"{file_name(case.name)}.error").write_text(text)
        assert collecting._read("torch", case, tmp_path, "").raised == raised
    assert not collecting._read("torch", case, tmp_path / "none", "killed").raised


def test_a_mutant_that_changes_no_number_or_whose_code_has_moved_is_an_error(tmp_path):
    mutant = MUTANTS["maximum_among_zeros"]
    (case,), (other,) = matrix.cases(mutant), matrix.faulty(mutant)
    path = tmp_path / "same.npz"
    np.savez(path, **measure(case, NumpyReference))
    traces = {(name, case.name): Trace(name, case, path) for name in (REFERENCE, "torch")}
    unused = matrix._kill(mutant, traces | {("torch", other.name): Trace("torch", other, path)}, [])
    moved = Trace("torch", other, None, "MovedError: mutant 'maximum_among_zeros' patches")
    gone = matrix._kill(mutant, traces | {("torch", other.name): moved}, [])
    for kill in (unused, gone):
        assert kill.status == "moved"
        assert "'maximum_among_zeros'" in kill.cause
        assert not kill.as_it_should_be


def test_the_table_of_float32_says_who_survived():
    def finding(rung, value):
        status = "passed" if value <= 1 else "failed"
        return Finding(rung, "", "torch", "keras", "float32", "m", value, 1.0, status)

    caught = Float32Kill(
        "a", "torch", (finding("R5b", 3), finding("R5b", 0.1), finding("R5c", 1.5))
    )
    slept = Float32Kill("b", "torch", (finding("R5b", 3), finding("R5c", 0.5)))
    assert caught.as_it_should_be
    assert not slept.as_it_should_be  # by R5b alone
    assert not Float32Kill("", "torch", (finding("R5b", 3), finding("R5c", 0.5))).as_it_should_be
    rows = float32.markdown([caught, slept]).splitlines()[2:]
    assert [row.split(" | ")[3] for row in rows] == ["killed", "killed", "killed", "survived"]


@pytest.mark.slow
def test_float32_rungs_bite(tmp_path):
    assert all(kill.as_it_should_be for kill in float32.float32_kills(tmp_path))


def test_a_survivor_is_not_as_it_should_be():
    assert not Kill("m", "torch", status="survived").as_it_should_be
    assert not Kill("", "torch", status="failed").as_it_should_be


def test_arrays_of_unequal_shapes_are_infinitely_apart():
    """A pool of another stride must fail a rung, not stop the ladder."""
    for error in (errors.largest, errors.relative_l2):
        assert error(np.ones((2, 1)), np.ones((2, 3))) == float("inf")
        assert error(np.ones((2, 3)), np.ones((2, 3))) == 0


@pytest.mark.slow
def test_every_mutant_is_killed_by_the_rung_expected(tmp_path):
    assert not wrong(kill_matrix(tmp_path))
