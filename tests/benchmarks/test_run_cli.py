"""The main command from outside: bad input, failed runs, kills, resuming.

The galaxies are a small HDF5 file, the frameworks the fakes of `tests.helpers.fake_backend`.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from benchmarks.config.request import requested
from benchmarks.run import main
from benchmarks.system import machine
from results.store import Store
from tests.helpers.fake_backend import command
from tests.helpers.processes import ended

_RUN = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("benchmarks.run", run_name="__main__")
"""


def in_process(
    arguments: list[str], work: Path, stderr: int = subprocess.STDOUT
) -> subprocess.Popen[str]:
    """The command in a process of its own, which Ctrl-C reaches also where the tests ignore it."""
    variables = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(machine.ROOT), os.environ["PYTHONPATH"]])
    }
    return subprocess.Popen(
        [sys.executable, "-c", _RUN, *arguments],
        cwd=work,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


def interrupted(started: subprocess.Popen[str], runs: Callable[[], bool]) -> None:
    """Ctrl-C for a command of `in_process` as soon as it `runs` something."""
    while not runs():
        time.sleep(0.05)
        assert started.poll() is None, started.communicate()[0]
    os.kill(started.pid, signal.SIGINT)
    out, _ = started.communicate()
    assert started.returncode == 130, out
    assert "--resume does the rest" in out


def test_a_session_ends_with_a_table_and_kept_rows(work, capsys) -> None:
    assert main(command("--seeds", "0", "1", "--parity", "matched", "native")) == 0
    out = capsys.readouterr().out
    assert "[4/4] fake linear seed 1" in out
    assert "galaxies: 90 galaxies of 6x6x3, 3 classes" in out
    runs = Store("runs").runs()
    assert len(runs) == 4
    assert set(runs["status"]) == {"ok"}
    assert runs["session_id"].nunique() == 1
    assert runs["split_hash"].nunique() == 1
    assert runs["order_hash"].nunique() == 2
    for column in ("machine_id", "device_name", "versions", "class_counts", "images_per_second"):
        assert runs[column].notna().all()
    assert runs["architecture_hash"].nunique() == 1
    assert "test acc." in out
    assert len(Store("runs").epochs()) == 4 * 5
    assert len(Store("runs").predictions()) == 4 * 18


def test_a_failed_run_is_a_row_and_the_others_go_on(work, capsys) -> None:
    names = ("fake", "fake-raises", "fake-diverges", "fake-killed", "fake-greedy", "fake-sleeps")
    assert main(command("--timeout", "20", frameworks=names)) == 1
    runs = Store("runs").runs().set_index("framework")
    assert runs["status"].drop(["fake-killed"]).to_dict() == {
        "fake": "ok",
        "fake-raises": "error",
        "fake-diverges": "diverged",
        "fake-greedy": "oom",
        "fake-sleeps": "timeout",
    }
    failed = runs.drop("fake")
    assert failed["reason"].notna().all()
    assert runs.loc["fake-raises", "log"].count("Traceback") == 1
    assert Store("runs").finished() == {runs.loc["fake", "run_id"]}
    output = capsys.readouterr()
    assert "error: fake-raises linear seed 0: RuntimeError during train" in output.out
    assert "5 of 6 runs failed" in output.err


def test_both_tunings_reach_the_backend_and_the_row(work) -> None:
    assert main(command("--tuning", "idiomatic", "tuned", frameworks=("fake-tuned",))) == 0
    runs = Store("runs").runs().set_index("tuning")
    assert set(runs.index) == {"idiomatic", "tuned"}
    for tuning, extra in runs["extra"].items():
        assert json.loads(extra)["settings"] == {"asked for": tuning}


def test_out_of_memory_says_what_was_asked_for_and_what_fits(work) -> None:
    sizes = ("--batch-size", "32", "16", "8")
    assert main(command(*sizes, frameworks=("fake-hungry", "fake"))) == 1
    runs = Store("runs").runs()
    assert (runs["status"] == "ok").sum() == 5
    (row,) = runs[runs["status"] == "oom"].to_dict("records")
    assert "batch 32 of 6x6x3" in row["reason"]
    assert "the largest batch known to fit here is 16" in row["reason"]
    assert json.loads(row["extra"])["memory"]["largest_known"] == 16
    assert main(command("--batch-size", "48", frameworks=("fake-hungry",))) == 1
    last = Store("runs").runs().iloc[-1]
    assert "known to fit here is 16" in last["reason"], "remembered from an earlier session"


def test_without_any_batch_that_fits_an_upper_bound_is_told(work) -> None:
    assert main(command("--batch-size", "32", frameworks=("fake-greedy",))) == 1
    (row,) = Store("runs").runs().to_dict("records")
    assert "no batch is known to fit here yet" in row["reason"]
    assert json.loads(row["extra"])["memory"]["at_most"] > 32


def test_a_suite_checks_parity_first_and_runs_an_a_a_pair(work, capsys) -> None:
    """The reference passes its own check; the other fake has no layers to look at."""
    (work / "mine.toml").write_text(
        'frameworks = ["fake-reference", "fake"]\ndataset = "galaxies.h5"\nbatch_size = 16\n'
        'architectures = ["linear.toml"]\nepochs = 2\nthreads = 1\nprecision = "float64"\n'
        "processes = 2\ncontrol = true\ncheck_parity = true\n"
    )
    assert main(["--suite", "mine.toml", "--report", "page"]) == 0
    out = capsys.readouterr().out
    assert "parity of fake-reference linear, idiomatic, float64, batch 16 (1 of 2)" in out
    assert "parity not shown: fake" in out
    runs = Store("runs").runs()
    assert runs.groupby("framework")["parity_checked"].unique().map(list).to_dict() == {
        "fake": [False],
        "fake-reference": [True],
    }
    assert runs["control"].sum() == 2
    assert set(runs.loc[runs["control"], "framework"]) == {"fake-reference", "fake"}
    assert runs["cell_id"].nunique() == 2
    assert (runs["own_seconds"] > 0).all()
    page = (work / "page" / "index.html").read_text()
    assert "did NOT pass the parity check" in page
    assert "Noise floor (A/A)" in page
    assert "not judged: " in page
    assert "is faster<" not in page
    assert "is slower<" not in page


def test_resume_does_only_what_is_missing(work, capsys) -> None:
    assert main(command("--seeds", "0")) == 0
    assert main(command("--seeds", "0", "1", "--resume")) == 0
    assert "already in the store: fake linear seed 0" in capsys.readouterr().out
    assert sorted(Store("runs").runs()["seed"]) == [0, 1]
    assert main(command("--seeds", "0", "1", "--resume")) == 0
    assert len(Store("runs").runs()) == 2
    assert main(command("--seeds", "0")) == 0
    assert len(Store("runs").runs()) == 3


def test_what_another_machine_has_timed_is_not_left_out(work, monkeypatch) -> None:
    assert main(command()) == 0
    monkeypatch.setattr(machine, "machine_id", lambda description: "another")
    assert main(command("--resume")) == 0
    assert main(command("--resume")) == 0
    runs = Store("runs").runs()
    assert runs["machine_id"].nunique() == len(runs) == 2
    assert runs["run_id"].nunique() == 1


def test_resumed_runs_are_compared_with_those_that_were_stored(work, capsys, monkeypatch) -> None:
    append = Store.append

    def altered(self: Store, run: dict, *rest: object) -> Path:
        changes = {"order_hash": "other"} if run["framework"] == "fake-probes" else {}
        return append(self, run | changes, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "append", altered)
    assert main(command()) == 0
    assert main(command("--resume", frameworks=("fake", "fake-gathers"))) == 0
    assert main(command(frameworks=("fake-probes",))) == 0
    assert "NOT COMPARABLE" not in capsys.readouterr().err
    assert main(command("--resume", frameworks=("fake", "fake-probes", "fake-slow"))) == 1
    assert "NOT COMPARABLE: linear seed 0: order_hash differs" in capsys.readouterr().err


def test_a_killed_harness_loses_nothing_and_leaves_nothing_running(work) -> None:
    arguments = command("--epochs", "16", "--seeds", "0", "1", frameworks=("fake", "fake-slow"))
    harness = in_process(arguments, work)
    workers = []
    deadline = time.monotonic() + 300
    while len(Store("runs").files()) < 2 or not workers:
        assert harness.poll() is None, harness.communicate()[0]
        assert time.monotonic() < deadline, "no run finished in five minutes"
        with contextlib.suppress(psutil.Error):
            workers = psutil.Process(harness.pid).children()
        time.sleep(0.02)
    harness.kill()
    harness.communicate()
    assert ended(workers)
    finished = Store("runs").finished()
    assert 2 <= len(finished) < 4
    assert list((work / "scratch").iterdir())

    assert main([*arguments, "--resume"]) == 0
    assert not list((work / "scratch").iterdir())
    runs = Store("runs").runs()
    assert len(runs) == runs["run_id"].nunique() == 4
    assert set(runs["status"]) == {"ok"}
    assert finished < set(runs["run_id"])


@pytest.mark.parametrize(
    ("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"]
)
def test_an_interrupt_ends_cleanly_and_keeps_what_is_finished(work, sent, status) -> None:
    harness = in_process(command("--epochs", "400", frameworks=("fake-slow",)), work)
    assert harness.stdout is not None
    lines = []
    for line in harness.stdout:
        lines.append(line)
        if "epoch 1/400" in line:
            break
    workers = psutil.Process(harness.pid).children()
    harness.send_signal(sent)
    rest, _ = harness.communicate(timeout=120)
    assert harness.returncode == status, "".join(lines) + rest
    assert "interrupted" in rest
    assert "Traceback" not in rest
    assert workers
    assert ended(workers)
    assert Store("runs").files() == []


def test_a_dry_run_prints_the_matrix_and_writes_nothing(work, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # so wide that no column is left out
    names = ("fake", "fake-slow")
    assert main(command("--dry-run", "--seeds", "0", "1", frameworks=names)) == 0
    out = capsys.readouterr().out
    assert out.count("a matrix product here") == 4
    assert "4 runs, about" in out
    assert not (work / "runs").exists()
    assert main(command(frameworks=names)) == 0
    assert main(command("--dry-run", frameworks=names)) == 0
    assert capsys.readouterr().out.count("1 earlier of the same") == 2


def test_a_reader_that_has_had_enough_gets_no_traceback(work) -> None:
    harness = in_process(command("--dry-run"), work, stderr=subprocess.PIPE)
    assert harness.stdout is not None
    assert harness.stderr is not None
    harness.stdout.close()  # before anything is written
    errors = harness.stderr.read()
    harness.stderr.close()
    harness.wait()
    assert errors == ""


def test_no_temporary_directory_is_one_message(work, capsys, monkeypatch) -> None:
    def none_usable() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/nowhere']")

    monkeypatch.setattr(tempfile, "gettempdir", none_usable)
    assert main(command()) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: cannot make a temporary directory: No usable")
    assert "set TMPDIR" in errors


def test_a_framework_of_the_suite_that_is_not_installed_is_skipped(work, capsys) -> None:
    (work / "mine.toml").write_text(
        'frameworks = ["fake", "fake-absent"]\ndataset = "galaxies.h5"\nbatch_size = 16\n'
        'architectures = ["linear.toml"]\nepochs = 1\nthreads = 1\n'
    )
    assert main(["--suite", "mine.toml", "--no-report"]) == 0
    runs = Store("runs").runs().set_index("framework")
    assert runs["status"].to_dict() == {"fake": "ok", "fake-absent": "skipped"}
    assert (
        "pip install -c constraints.txt no_such_package_anywhere"
        in runs.loc["fake-absent", "reason"]
    )


def test_a_store_that_fills_up_keeps_what_was_written(work, capsys, monkeypatch) -> None:
    append = Store.append

    def full(self: Store, run: dict, *rest: object) -> Path:
        if run["seed"] == 1:
            raise OSError(28, "cannot write to the results store runs: No space left on device")
        return append(self, run, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "append", full)
    assert main(command("--seeds", "0", "1")) == 2
    errors = capsys.readouterr().err
    assert "No space left on device" in errors
    assert "kept: 1 finished before" in errors
    assert Store("runs").runs()["seed"].tolist() == [0]


def test_the_quick_suite_is_for_the_demo_galaxies_alone():
    from benchmarks import run
    from benchmarks.config import suite_file
    from benchmarks.config.suite import Suite

    def asked(*arguments: str) -> Suite:
        return requested(run.parser().parse_args(arguments))

    assert asked() == suite_file.load("quick")
    assert asked("--dataset", "demo") == suite_file.load("quick")
    assert asked("--architectures", "c2").seeds == suite_file.load("demo").seeds == (0,)
    assert asked("--architectures", "c2", "--suite", "quick").check_network
    assert asked("--dataset", "my.h5").architectures == ("unam",)
    assert asked("--dataset", "my.h5").batch_size == Suite().batch_size == (64,)
    assert asked("--dataset", "my.h5", "--suite", "quick").batch_size == asked().batch_size
