"""The command benchmarks.track: bad input, thresholds, and what it imports."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.system import machine
from benchmarks.track import main
from benchmarks.tracking import options
from benchmarks.tracking.metrics import GATED, METRICS, asked, metric
from results.store import Store
from tests.helpers.tracking_store import add_session, around, keep_sessions, verdict

HEAVY = ("pandas", "matplotlib", "scipy", "h5py", "rich", "jinja2", "pooch", "pyarrow", "numpy")


BAD = {
    "no store": (["gate", "--baseline", "x", "--store", "nowhere"], "nowhere has no runs"),
    "gate without a baseline": (["gate"], "gate needs --baseline NAME"),
    "unknown baseline": (["gate", "--baseline", "mian"], "did you mean 'main'"),
    "unknown field": (["compare", "comit=1", "latest"], "did you mean 'commit'"),
    "nothing fits": (["compare", "framework=jax", "latest"], "no run fits 'framework=jax'"),
    "unknown metric": (["history", "--metric", "epochtime"], "did you mean 'epoch-time'"),
    "no such metric measured": (["history", "--metric", "call-time"], "no finished run"),
    "threshold": (["gate", "--baseline", "main", "--threshold", "epoch-time=x"], "epoch-time=5%"),
    "across": (["compare", "latest", "latest", "--across", "machin"], "did you mean 'machine'"),
    "baseline name": (["baseline", "set", "../x"], "letters, digits"),
    "baseline named latest": (["baseline", "set", "latest"], "not 'latest'"),
    "ambiguous commit": (["compare", "commit=ab", "latest"], "begins several commits"),
    "missing file": (["import", "missing.json"], "missing.json: no such file"),
    "nothing to test": (["selftest"], "needs --simulate N"),
    "store is a file": (["history", "--store", "file"], "cannot read the results store file"),
    "damaged baseline": (["gate", "--baseline", "broken"], "broken.json: not a baseline"),
    "no checkout": (["gate", "--baseline-checkout", "nowhere"], "git worktree add"),
    "no interpreter": (["gate", "--baseline-python", "nowhere"], "no such interpreter"),
    "forbidden": (["gate", "--candidate-checkout", ".", "--baseline", "main"], "leave it out"),
    "asv to stdout": (["export", "--format", "asv"], "name it with --output"),
    "both directions": (
        ["export", "--format", "github", "--metric", "epoch-time", "accuracy"],
        "one direction per file",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_message_and_exit_status_2(store: Store, capsys, case: str) -> None:
    add_session(store, "zero", [5.0], commit="ab1" + "0" * 37)
    add_session(store, "zero", [5.0], commit="ab2" + "0" * 37, framework="keras")
    add_session(store, "one", around(5.0), day=1)
    assert main(["baseline", "set", "main"]) == 0
    Path("runs/baselines/broken.json").write_text("{}")
    Path("file").write_text("")
    if case == "forbidden":
        Path("benchmarks").mkdir()
        Path("benchmarks/run.py").write_text("")
    capsys.readouterr()
    arguments, message = BAD[case]
    status, out, errors = verdict(capsys, *arguments)
    assert status == 2
    assert out == ""
    assert errors.startswith("error: ")
    assert message in errors
    assert "Traceback" not in errors


def test_thresholds_are_shares_or_percent() -> None:
    (found,) = asked(["epoch-time"], ["epoch-time=20%,0.5"])
    assert (found.rule.relative, found.rule.absolute) == (0.2, 0.5)
    assert found.rule.excluded == 0.2
    assert asked(["epoch-time"], ["epoch-time=0.01"])[0].rule.excluded == 0.08
    assert metric("accuracy").larger_is_better
    assert set(options.METRICS) == set(METRICS)
    assert options.GATED == GATED


def test_help_is_quick_because_it_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom benchmarks.track import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print('LOADED', *sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=machine.ROOT, capture_output=True, text=True, check=True
    )
    assert "exit status of compare and gate" in done.stdout
    assert not set(done.stdout.partition("LOADED ")[2].split()) & set(HEAVY)


def test_judging_and_printing_do_without_pandas_and_scipy(store: Store) -> None:
    keep_sessions(store)
    add_session(store, "one", around(5.0))
    add_session(store, "two", around(5.0, seed=1), day=1)
    for arguments in (["gate", "--baseline", "session=one"], ["history", "--no-figure"]):
        code = (
            "import sys\nfrom benchmarks.track import main\nstatus = main(sys.argv[1:])\n"
            "print('LOADED', status, *sorted({name.split('.')[0] for name in sys.modules}))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments, "--store", str(store.path.absolute())],
            cwd=machine.ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        loaded = done.stdout.partition("LOADED ")[2].split()
        assert loaded[0] == "0"
        assert not set(loaded) & {"pandas", "scipy", "matplotlib"}
