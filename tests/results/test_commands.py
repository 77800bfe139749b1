"""python -m results: what it prints, what it writes, how it refuses."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from results.__main__ import main
from results.export import PAGE_COLUMNS, exported, markdown
from results.store import Store
from tests.conftest import ROOT
from tests.helpers.factory import fill, synthetic_run


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("COLUMNS", "220")  # a line holds all that is known of a run
    return fill(Store(tmp_path / "runs"), seeds=[0, 1])


def run(store: Store, *arguments: str) -> int:
    return main([*arguments, "--store", str(store.path)])


def table_of(printed: str) -> list[str]:
    """The lines below the answers."""
    answers, _, table = printed.partition("\n\n")
    assert answers.startswith("Same network?")
    return table.splitlines()


def test_show_has_a_line_for_each_run(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(store, "show") == 0
    lines = table_of(capsys.readouterr().out)
    assert "dataset demo" in lines[0]
    assert len(lines) == 2 + 12
    runs = store.runs()
    for _, row in runs.iterrows():
        line = next(line for line in lines if line.startswith(row["run_id"][:8]))
        assert row["status"] in line
        if row["status"] == "ok":
            assert f"{row['test_accuracy']:.4f}" in line
    assert any("no result after 600 s" in line for line in lines)


def test_show_latest_or_all(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.append(*synthetic_run(execution=1))
    run(store, "show")
    assert len(table_of(capsys.readouterr().out)) == 2 + 12
    run(store, "show", "--all")
    assert len(table_of(capsys.readouterr().out)) == 2 + 13


def test_settings_that_vary_become_columns(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    store.append(*synthetic_run(parity="native"))
    run(store, "show")
    lines = table_of(capsys.readouterr().out)
    assert "parity" not in lines[0]
    assert "parity" in lines[1]
    assert sum("native" in line for line in lines[2:]) == 1


@pytest.mark.parametrize("columns", ["80", "120", "200"])
def test_the_answer_survives_a_narrow_terminal(
    store: Store,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    columns: str,
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    store.append(*synthetic_run(architecture="n" * 400, class_names=["x\x1b[31m[/red]"] * 10))
    assert run(store, "show") == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= int(columns)
    for row in store.runs(latest=True).dropna(subset=["test_accuracy"]).to_dict("records"):
        assert f"{row['test_accuracy']:.4f}" in printed
        assert f"{row['epoch_seconds_median']:.3g}" in printed


@pytest.mark.parametrize("form", ["json", "csv"])
def test_show_for_programs_is_data_alone(
    store: Store, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    assert run(store, "show", f"--{form}") == 0
    printed = capsys.readouterr().out
    rows = json.loads(printed) if form == "json" else pd.read_csv(io.StringIO(printed))
    assert len(rows) == 12
    run_id = store.runs()["run_id"].iloc[0]
    assert run(store, "show", run_id, f"--{form}") == 0
    assert run_id in capsys.readouterr().out


def test_show_one_run(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = store.runs()["run_id"].iloc[0]
    assert run(store, "show", run_id[:10]) == 0
    printed = capsys.readouterr().out
    assert run_id in printed
    assert "Synthetic CPU" in printed
    assert run(store, "show", "nothing-like-it") == 2
    assert "no run in" in capsys.readouterr().err


def test_csv_has_every_column_and_reads_back(
    store: Store, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run(store, "export", "--format", "csv") == 0
    read = pd.read_csv(io.BytesIO(capsysbinary.readouterr().out))
    runs = store.runs(latest=True)
    assert list(read.columns) == list(runs.columns)
    assert len(read) == 12
    assert read["test_accuracy"].dropna().tolist() == runs["test_accuracy"].dropna().tolist()
    assert json.loads(read["class_names"][0]) == list(runs["class_names"][0])


@pytest.mark.parametrize("frame", ["runs", "epochs", "predictions"])
def test_parquet_of_each_frame(store: Store, tmp_path: Path, frame: str) -> None:
    output = tmp_path / "frame.parquet"
    arguments = ["export", "--format", "parquet", "--frame", frame, "--output", str(output)]
    assert run(store, *arguments) == 0
    read = pd.read_parquet(output)
    assert len(read) == len(getattr(store, frame)())


def test_predictions_as_csv_carry_probabilities(
    store: Store, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run(store, "export", "--frame", "predictions") == 0
    read = pd.read_csv(io.BytesIO(capsysbinary.readouterr().out))
    assert sum(json.loads(read["probabilities"][0])) == pytest.approx(1, abs=1e-5)


def test_markdown_and_latex_of_the_main_columns(
    store: Store, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run(store, "export", "--format", "markdown") == 0
    lines = capsysbinary.readouterr().out.decode().splitlines()
    assert len(lines) == 2 + 12
    assert {line.count("|") for line in lines} == {len(PAGE_COLUMNS["runs"]) + 1}
    assert run(store, "export", "--format", "latex", "--columns", "framework,test_accuracy") == 0
    printed = capsysbinary.readouterr().out.decode()
    assert r"framework & test\_accuracy \\" in printed
    assert printed.count(r"\\") == 13


def test_text_formats_escape_what_they_must() -> None:
    frame = pd.DataFrame({"a_b": ["x|y\nz", "50 % & $\\"], "n": [1.23456, None]})
    lines = markdown(frame).splitlines()
    assert lines[1] == "| :-- | --: |"
    assert lines[2] == r"| x\|y z | 1.235 |"
    assert lines[3].endswith("|  |")
    assert r"50 \% \& \$\textbackslash{}" in exported(frame, "latex").decode()
    with pytest.raises(ValueError, match="unknown format 'xml'"):
        exported(frame, "xml")


def test_merge_and_compact(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Store(tmp_path / "other")
    other.append(*synthetic_run(seed=9))
    assert run(store, "merge", str(other.path)) == 0
    assert "1 new execution" in capsys.readouterr().out
    assert run(store, "compact") == 0
    assert "now has 1" in capsys.readouterr().out
    assert len(store.runs()) == 13


def test_columns_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["columns"]) == 0
    assert "split_hash" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show"], "is not there"),
        (["export"], "is not there"),
        (["compact"], "is not there"),
        (["merge", "nowhere-at-all"], "no results store at nowhere-at-all"),
    ],
)
def test_refusals_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main([*arguments, "--store", str(tmp_path / "none")]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_wrong_column_and_unwritable_output(
    store: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(store, "export", "--columns", "frame_work") == 2
    assert "did you mean 'framework'" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        run(store, "export", "--output", str(tmp_path / "no" / "file.csv"))
    assert "cannot be written" in capsys.readouterr().err


def test_a_damaged_file_is_one_line_on_standard_error(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    path = store.files()[0]
    path.write_bytes(path.read_bytes()[:50])
    assert run(store, "show") == 0
    captured = capsys.readouterr()
    assert captured.err.startswith(f"warning: skipped {path}")
    assert captured.err.count("\n") == 1


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from results.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'pandas', 'pyarrow', 'numpy', 'matplotlib', 'scipy', 'rich'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_reader_that_stops_early_is_no_error(store: Store) -> None:
    command = f"{sys.executable} -m results export --frame epochs --store {store.path} | head -1"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("execution_id")
    assert done.stderr == ""
