"""Training and reading from Python; the frameworks are `tests.helpers.fake_backend`'s."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from galaxy_benchmark import Store, train
from tests.conftest import ROOT
from tests.helpers import factory, fake_backend
from tests.helpers.processes import ended


@pytest.fixture
def work(tmp_path, monkeypatch) -> Path:
    labels = np.arange(60) % 3
    images = np.random.default_rng(0).integers(0, 120, (60, 6, 6, 3)).astype(np.uint8)
    return fake_backend.working_directory(tmp_path, monkeypatch, images, labels)


GIVEN = {
    "architecture": "linear.toml",
    "dataset": "galaxies.h5",
    "epochs": 2,
    "batch_size": 16,
    "threads": 1,
    "optimizer": {"name": "sgd", "momentum": 0.5},
}


def test_a_training_gives_its_row_and_curves_and_no_other_run_s(work, capsys) -> None:
    first = train("fake", **GIVEN, verbose=False)
    assert not capsys.readouterr().out
    assert first.row["status"] == "ok"
    assert json.loads(first.row["recipe"])["optimizer"]["momentum"] == 0.5
    assert sorted(set(first.epochs["epoch"])) == [0, 1, 2]
    assert set(first.epochs["execution_id"]) == {first.row["execution_id"]}
    assert "linear" in repr(first)
    assert "linear" in first._repr_html_()

    both = train("fake", **GIVEN, seeds=[0, 1], resume=True)  # 0 is there already
    assert "[1/1] fake linear seed 1" in capsys.readouterr().out
    assert len(Store("runs").runs()) == 2
    assert first.row["execution_id"] in set(both.runs["execution_id"])
    assert sorted(both.runs["seed"]) == [0, 1]
    with pytest.raises(ValueError, match=r"2 runs; read \.runs"):
        _ = both.row


def test_a_failed_run_is_a_row_and_a_warning(work) -> None:
    with pytest.warns(UserWarning, match="1 of 1 run failed"):
        trained = train("fake-raises", **GIVEN, verbose=False)
    assert trained.row["status"] == "error"
    assert "RuntimeError" in trained.row["reason"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epoch": 3}, "unknown option '--epoch'"),
        ({"epochs": "many"}, "--epochs"),
        ({"parity": "mached"}, "did you mean 'matched'"),
        ({"framework": "troch"}, "did you mean 'torch'"),
        ({"architecture": "c22"}, "did you mean 'c2'"),
        ({"frameworks": ["torch"]}, "give framework and architecture"),
        ({"dry_run": True}, "nothing was run"),
    ],
)
def test_bad_arguments_are_answered_in_the_words_of_the_command(work, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        train(**{"framework": "fake", **GIVEN, "verbose": False} | options)


def test_an_interrupted_training_leaves_no_process(work, monkeypatch) -> None:
    before = set(psutil.Process().children(recursive=True))
    children: list[psutil.Process] = []

    class Interrupted(io.StringIO):
        def write(self, text: str) -> int:
            if "started" in text:
                children.extend(set(psutil.Process().children(recursive=True)) - before)
                raise KeyboardInterrupt
            return super().write(text)

    monkeypatch.setattr(sys, "stdout", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        train("fake-sleeps", **GIVEN)
    assert children
    assert ended(children)


def test_the_user_s_process_imports_nothing_else_of_ours(tmp_path) -> None:
    """Nor does a `datasets` of the user's give way to ours."""
    (tmp_path / "datasets.py").write_text("MINE = True")
    code = (
        "import sys, datasets, galaxy_benchmark as g; g.train, g.Store(), datasets.MINE; "
        "print(sorted({'benchmarks', 'frameworks', 'torch', 'keras', 'jax'} & set(sys.modules)))"
    )

    def python(code: str) -> subprocess.CompletedProcess[str]:
        # our folders are found by galaxy_benchmark alone
        link = tmp_path / "path"
        if not link.exists():
            link.mkdir()
            (link / "galaxy_benchmark").symlink_to(ROOT / "galaxy_benchmark")
        return subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(link)},
            capture_output=True,
            text=True,
            check=False,
        )

    done = python(code)
    assert (done.stdout, done.stderr) == ("[]\n", "")
    (tmp_path / "results.py").write_text("")
    refused = python("import results, galaxy_benchmark").stderr
    assert "needs its own package 'results'" in refused
    assert str(tmp_path / "results.py") in refused


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    """The last of the four runs, torch with seed 1, is a time-out."""
    made = Store(tmp_path_factory.mktemp("store"))
    factory.fill(made, frameworks=("keras", "torch"), architectures=("c2",), seeds=(0, 1))
    return made


def test_a_store_s_curves_and_confusion(store) -> None:
    curves = store.curves(framework="keras", seed=1)
    assert len(curves) == 6 + 5  # validation, and training from epoch 1 on
    assert set(curves["framework"]) == {"keras"}
    confusion = store.confusion(framework="keras")
    assert tuple(confusion.index) == tuple(confusion.columns) == factory.CLASSES
    runs, predictions = store.runs(), store.predictions()
    keras = runs["execution_id"][runs["framework"] == "keras"]
    mine = predictions[predictions["execution_id"].isin(keras)]
    assert confusion.to_numpy().sum() == len(mine)
    cell = (mine["label"] == 7) & (mine["predicted"] == 8)
    assert confusion.loc[factory.CLASSES[7], factory.CLASSES[8]] == cell.sum() > 0
    with pytest.raises(ValueError, match="no column 'framwork'"):
        store.curves(framwork="torch")
    with pytest.raises(ValueError, match="no run with"):
        store.confusion(framework="jax@torch")


def test_a_store_shows_itself_and_draws(store) -> None:
    shown = store._repr_html_()
    assert "4 runs" in shown
    assert "timeout" in shown
    figures = store.figures("confusion")
    assert {name.partition("-")[0] for name in figures} == {"confusion", "recall"}
    assert {type(figure).__name__ for figure in figures.values()} == {"Figure"}
    with pytest.raises(ValueError, match=r"no section 'confused'; known: .*confusion"):
        store.figures("confused")
    with pytest.raises(FileNotFoundError, match="no runs"):
        Store("nowhere").figures("curves")
    assert "0 runs" in Store("nowhere")._repr_html_()


def test_verdicts_are_the_report_s(tmp_path) -> None:
    made = Store(tmp_path)
    factory.fill_speed(made, frameworks=("torch",))
    table = made.compare()
    assert list(table["framework"]) == list(table["other_framework"]) == ["torch"]
    assert (table["tuning"][0], table["other_tuning"][0]) == ("tuned", "idiomatic")
    assert table["verdict"][0] == "faster"
    assert table["processes"][0] == 6
    assert 0.75 < table["low"][0] <= table["ratio"][0] <= table["high"][0] < 0.85


@pytest.mark.slow
@pytest.mark.extended
def test_the_notebook(tmp_path) -> None:
    """Its cells in a fresh process, as `docs/python.ipynb` holds them: JSON needs no library."""
    notebook = json.loads((ROOT / "docs" / "python.ipynb").read_text(encoding="utf-8"))
    assert not any(cell.get("outputs") for cell in notebook["cells"])
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    code = (
        "import json, sys\nspace = {}\n"
        "for cell in json.load(sys.stdin):\n    exec(cell, space)\n"
        "assert not {'torch', 'jax', 'datasets', 'frameworks', 'benchmarks'} & set(sys.modules)\n"
        "assert sorted(space['trained'].runs['framework']) == ['jax', 'torch']\n"
        "assert set(space['trained'].runs['status']) == {'ok'}\n"
        "assert space['figures']\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(cells),
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "unknown option '--epoch'" in done.stdout
