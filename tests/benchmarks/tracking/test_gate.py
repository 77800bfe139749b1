"""The gate that runs both sides itself: real harness processes, with fake frameworks."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import run
from benchmarks.process import turns
from benchmarks.system import machine
from benchmarks.track import main
from benchmarks.tracking import gate
from benchmarks.tracking.compare import json_text
from benchmarks.tracking.console import sentence
from benchmarks.tracking.gate import Side, interleave
from benchmarks.tracking.metrics import metric
from benchmarks.tracking.selftest import real, simulated
from benchmarks.tracking.sequential import Sequential
from results.stats.looks import looks
from results.stats.verdict import Verdict
from results.store import Store
from tests.helpers.fake_backend import command
from tests.helpers.tracking_store import add_session


def options(*more: str, frameworks: tuple[str, ...] = ("fake-slow",)) -> list[str]:
    return [one for one in command(*more, frameworks=frameworks) if one != "--no-report"]


def test_blocks_alternate_and_each_run_is_a_harness_of_its_own(work) -> None:
    sides = (Side("baseline"), Side("candidate", environment={"BENCHMARK_SLOWDOWN": "0.5"}))
    stores = (Store("before"), Store("after"))
    told: list[str] = []
    interleave(sides, stores, options("--epochs", "1"), 3, told.append)
    assert sum(line.endswith(" left") for line in told) == 2  # after each block but the last
    order = [line.split()[-3].rstrip(":") for line in told if not line.endswith(" left")]
    assert order == ["baseline", "candidate", "candidate", "baseline", "baseline", "candidate"]
    runs = [store.runs() for store in stores]
    assert [len(one) for one in runs] == [3, 3]
    assert runs[0]["session_id"].nunique() == 3
    assert runs[0]["cell_id"].iloc[0] == runs[1]["cell_id"].iloc[0]
    assert all("injected_slowdown" not in json.loads(text) for text in runs[0]["extra"])
    assert all(json.loads(text)["injected_slowdown"] == 0.5 for text in runs[1]["extra"])
    assert runs[1]["epoch_seconds_median"].min() >= 0.25 * 1.5  # an epoch sleeps for 0.25 s


def test_a_gate_on_the_spot_keeps_its_runs(work, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # so wide that no column is left out
    checkout = str(machine.ROOT)
    arguments = ["gate", "--baseline-checkout", checkout, "--processes", "2", "--"]
    status = main([*arguments, *options("--epochs", "1", frameworks=("fake",))])
    out = capsys.readouterr().out
    assert status == 3
    assert "2 and 2 processes cannot show a change" in out
    assert "2/2 pairs" in out
    assert out.startswith(
        "gate: at most 2 processes of fake on each of two sides, two at a time in turns"
    )
    last = out.splitlines()[-1]
    assert last.startswith("No verdict in 1 of 1 comparison: fake linear")
    assert last.endswith(" All 2 pairs were run.")
    assert len(Store("runs").runs()) == 4


def test_in_turns_the_rows_are_kept_and_nothing_is_tabled(work, monkeypatch, capsys) -> None:
    go, give = os.pipe()
    take, done = os.pipe()
    os.close(give)  # every turn is its own
    monkeypatch.setenv(turns.VARIABLE, f"{go},{done}")
    assert run.main(command("--store", "runs")) == 0
    for one in (go, take, done):
        os.close(one)
    assert len(Store("runs").runs()) == 1
    out = capsys.readouterr().out
    assert "preparing galaxies" in out
    assert "What accuracy?" not in out


def test_what_is_decided_is_not_run_again(work, monkeypatch) -> None:
    ran: list[str] = []

    def block(sides, stores, run_options, order) -> dict[int, float]:
        ran.append(run_options[-1])
        return dict.fromkeys(order, 1.0)

    monkeypatch.setattr(gate, "_block", block)
    told: list[str] = []
    interleave(
        (Side("baseline"), Side("candidate")),
        (None, None),
        options(frameworks=("fake", "fake-slow")),
        4,
        told.append,
        decided=lambda framework, blocks: framework == "fake" and blocks >= 2,
    )
    assert ran == ["fake", "fake-slow"] * 2 + ["fake-slow"] * 2
    assert "fake is decided after 2 of 4 pairs" in told
    assert sum(line.endswith(" left") for line in told) == 5


def test_the_first_verdict_that_settles_a_cell_stands(store, capsys) -> None:
    stores = Store("before"), Store("after")
    watched = Sequential(stores, Path("both"), [metric("epoch-time")], looks(12), 12)
    decided = []
    for pairs in range(1, 13):
        for which, one in enumerate(stores):
            for framework, slower in (("torch", 1.0), ("keras", 1.1)):
                seconds = 5.0 * slower**which * (1 + 0.004 * np.sin(7 * pairs + which))
                add_session(one, f"{which}", [seconds], framework=framework, day=pairs)
        decided.append([watched.decided(name, pairs) for name in ("torch", "keras")])
    assert decided == [[False, False]] * 6 + [[True, False], [True, True]] + [
        [pairs in (10, 12)] * 2 for pairs in range(9, 13)
    ]
    found = {one.label.split()[0]: one for one in watched.judged}
    assert {name: one.verdict.verdict for name, one in found.items()} == {
        "torch": "unchanged",
        "keras": "regressed",
    }
    assert {name: one.look.pairs for name, one in found.items()} == {"torch": 7, "keras": 8}
    assert sentence(watched.judged).endswith(" Decided after 7 to 8 of 12 pairs.")
    assert json.loads(json_text(watched.judged))[0]["planned_pairs"] == 12


def test_each_framework_has_its_own_interpreter(work) -> None:
    label = f"fake@{np.__version__}"  # the fakes' package is NumPy
    more = ("--epochs", "1", f"--python={label}={sys.executable}")
    stores = (Store("before"), Store("after"))
    run_options = options(*more, frameworks=("fake", label))
    interleave((Side("baseline"), Side("candidate")), stores, run_options, 1)
    for store in stores:
        assert sorted(store.runs()["framework"]) == ["fake", label]


def test_a_checkout_that_crashes_is_an_error_and_not_a_verdict(work, capsys) -> None:
    arguments = ["gate", "--candidate-python", gate.sys.executable, "--processes", "1", "--"]
    assert main([*arguments, *options(frameworks=("fake-raises",))]) == 4
    assert "1 of 1 run failed: RuntimeError during train" in capsys.readouterr().out
    for wrong, message in (
        (["--frameworks", "fkae"], "did you mean 'fake'"),
        (["--epochs", "2", "--resume"], "--resume makes no sense"),
    ):
        assert main([*arguments, *options(*wrong)]) == 2
        assert message in capsys.readouterr().err


def test_each_side_runs_its_own_checkout(work, capsys) -> None:
    """A checkout that says it is another, from a directory that holds a third."""
    other = work / "other"
    for name in ("benchmarks", "datasets", "frameworks", "results", "report"):
        shutil.copytree(machine.ROOT / name, other / name)
    (other / "tests" / "helpers").mkdir(parents=True)
    for name in ("__init__.py", "helpers/__init__.py", "helpers/fake_backend.py"):
        shutil.copy(machine.ROOT / "tests" / name, other / "tests" / name)
    source = other / "benchmarks" / "worker" / "__main__.py"
    text = source.read_text().replace("backend.settings()", '{"code": "other"}')
    source.write_text(text)
    sides = (Side("baseline"), Side("candidate", checkout=other))
    stores = (Store("before"), Store("after"))
    Path("benchmarks").mkdir()  # of the working directory: neither side's
    (Path("benchmarks") / "__init__.py").write_text("raise RuntimeError('the wrong checkout')")
    interleave(sides, stores, options("--epochs", "1", frameworks=("fake",)), 1)
    found = [json.loads(store.runs()["extra"].iloc[0])["settings"] for store in stores]
    assert found == [{}, {"code": "other"}]


@pytest.mark.slow
def test_the_table_with_real_runs(work, capsys) -> None:
    """In miniature: one comparison of each row, with an epoch that is a sleep and so is quiet."""
    arguments = ["selftest", "--real", "1", "--processes", "6", "--"]
    main([*arguments, *options("--epochs", "1")])
    out = capsys.readouterr().out
    assert "A/A: " in out
    assert "10 % slower: regressed" in out
    assert "5 % slower: regressed" in out


def test_the_simulated_table_is_printed_with_its_goals(work, capsys) -> None:
    assert main(["selftest", "--simulate", "20"]) == 0
    out = capsys.readouterr().out
    rows = [case for made in simulated.SIMULATED for case in made(12)]
    assert all(case.title in out for case in rows)
    assert len(re.findall(r"\bmet\b", out)) == sum(bool(case.goal) for case in rows) == 9
    assert main(["selftest", "--simulate", "20", "--processes", "4"]) == 1
    assert "missed" in capsys.readouterr().out


def test_comparisons_that_were_kept_are_not_run_again(tmp_path, capsys) -> None:
    file = tmp_path / "kept" / "real.jsonl"
    ran = []

    def tried() -> dict[str, Verdict]:
        ran.append(1)
        verdict = Verdict("no-data", "too few", ratio=1.0 + len(ran))  # most of it is NaN
        return dict.fromkeys(real.ROWS, verdict)

    first = real.Kept(file, "run --epochs 3", 12)
    assert [first.verdict("A/A", number, tried) for number in (0, 1, 0)] == ["no-data"] * 3
    first.verdict("5 % slower", 1, tried)
    assert len(ran) == 2  # a try has all rows
    with file.open("a") as open_file:
        open_file.write('{"case": "A/A", "proc')  # killed while it wrote
    again = real.Kept(file, "run --epochs 3", 12)
    assert str(again._found) == str(first._found)  # NaN is not equal to itself
    assert "line 7: left out" in capsys.readouterr().err
    again.verdict("A/A", 1, tried)
    assert len(ran) == 2
    real.Kept(file, "run --epochs 3", 6).verdict("A/A", 1, tried)
    assert len(ran) == 3  # other numbers of processes are another comparison
    assert len(real.Kept(file, "run --epochs 3", 12)._found) == 9
    with pytest.raises(ValueError, match="of 'run --epochs 3', not 'run'; name another file"):
        real.Kept(file, "run", 12)


def test_a_try_has_the_rows_of_the_table_with_their_processes() -> None:
    for case in simulated.cases(12):
        before, after = real.ROWS[case.title]
        assert 12 * len(before) == 12 * len(after) == case.processes
        assert {real._SLOWDOWNS[place] for place in before} == {0}
        assert {real._SLOWDOWNS[place] for place in after} == {case.slowdown}
