"""Stores and names that no one would choose: a page that says so, never a traceback."""

from dataclasses import replace
from pathlib import Path

import pytest

from report import page
from report.__main__ import main
from report.console import summary
from report.figures import writing
from report.section import Section
from results.store import Store
from results.views.views import Frames
from tests.helpers.factory import synthetic_run
from tests.helpers.html import Text, content_of, data_of
from tests.helpers.refusals import refusal


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "</script><b>",
        "x[/red]y",
        "../../evil",
        "a" * 400,
        r"$\frac{a",
        "\x1b[31m\u202eb",
        "my/net",
        "'\"&",
    ],
)
def test_a_name_of_any_kind_is_shown_and_stays_a_name(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path / "runs")
    names = [name, "<b>&", "c"]
    changes = {"class_names": names, "classes": 3, "class_counts": [5, 5, 5]}
    for framework in ("keras", name):
        run, epochs, _ = synthetic_run(framework, name, epochs=2, dataset=name, **changes)
        rows = [{"split": "test", "index": i, "label": i % 3, "predicted": 0} for i in range(9)]
        store.append(run, epochs, rows)
    content = content_of(store)
    assert "<script>alert" not in content
    assert "<b>" not in content
    assert "\x1b" not in content
    assert content.count("</script>") == content.count("<script")
    runs = data_of(content, "runs")
    assert runs["columns"]["architecture"] == {"d": [name], "i": [0, 0]}


@pytest.mark.parametrize("name", ["../../evil", "a" * 400, r"$\frac{a"])
def test_figures_stay_in_their_directory_whatever_they_are_called(
    tmp_path: Path, name: str
) -> None:
    store = Store(tmp_path / "runs")
    store.append(*synthetic_run("keras", name, epochs=1, dataset=name))
    frames = Frames.load(store)
    (first, *_) = page.pictures(page.build(frames))
    written = writing.write([replace(first, name=name)], tmp_path / "out")
    assert {path.parent for path in written} == {tmp_path / "out"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "runs"]


def test_many_classes_and_frameworks(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    classes = [f"class {label}" for label in range(200)]
    changes = {"class_names": classes, "classes": 200, "class_counts": [3] * 200}
    rows = [{"split": "test", "index": i, "label": i, "predicted": i // 2} for i in range(200)]
    for number in range(50):
        run, epochs, _ = synthetic_run(f"third{number}", "c2", epochs=1, **changes)
        store.append(run, epochs, rows)
    text = Text(content_of(store)).text
    assert "200 classes make a table too wide for a page" in text
    assert "and 42 more on demo" in text


@pytest.mark.parametrize("names", [None, ["spiral"], [f"class {label}" for label in range(4)]])
def test_a_run_without_epochs_or_fitting_class_names(tmp_path: Path, names: list | None) -> None:
    store = Store(tmp_path / "runs")
    for framework in ("keras", "torch"):
        run, _, predictions = synthetic_run(framework, epochs=1, class_names=names)
        predictions[0]["label"] = 10**5
        store.append(run, [], predictions)
    text = Text(content_of(store)).text
    assert "2 of 2 runs finished" in text
    assert "class 3" in text
    assert "section failed" not in text


def test_a_section_that_fails_names_itself_and_the_rest_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(frames: Frames) -> Section | None:
        raise KeyError("no such column")

    store = Store(tmp_path / "runs")
    store.append(*synthetic_run(epochs=1))
    monkeypatch.setattr(page, "SECTIONS", (*page.SECTIONS, broken))
    text = Text(page.write(store, tmp_path / "out").page.read_text(encoding="utf-8")).text
    assert "A section failed: test_bad_input.broken" in text
    assert "KeyError" in text
    assert "How fast they trained" in text
    assert "test_bad_input.broken" in capsys.readouterr().err


def test_a_page_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "runs")
    store.append(*synthetic_run(epochs=1))
    first = page.write(store, tmp_path / "out").page
    before = first.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    store.append(*synthetic_run(seed=1, epochs=1))
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"cannot write the report to .*No space left"):
        page.write(store, tmp_path / "out")
    assert first.read_bytes() == before
    assert [path.name for path in first.parent.iterdir()] == ["index.html"]


def test_a_store_with_failures_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path / "runs")
    store.append(synthetic_run(status="error", reason="it <broke>", log="Traceback\nlast")[0])
    store.append(synthetic_run(seed=1, status="skipped", reason=None)[0])
    output = tmp_path / "out"
    assert main(["--store", str(store.path), "--output", str(output)]) == 0
    assert "No run finished" in capsys.readouterr().out
    text = Text((output / "index.html").read_text(encoding="utf-8")).text
    for words in ("No run finished", "it <broke>", "last", "no reason was recorded"):
        assert words in text


def test_a_run_with_hardly_anything_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every column that may be null is null: no figure, no traceback."""
    store = Store(tmp_path / "runs")
    store.append({"run_id": "a", "execution_id": "b", "status": "ok"})
    store.append({"run_id": "c", "execution_id": "d", "status": "error"})
    written = page.write(store, tmp_path / "out")
    assert written.page.exists()
    summary(Frames.of_runs(store.runs())).show()
    shown, told = capsys.readouterr()
    assert "error: " in shown
    assert "no reason was recorded" in shown
    assert "failed:" not in told, "a section of the page is left out"


def test_diverged_runs_are_in_no_mean(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    store.append(*synthetic_run(epochs=2))
    run, epochs, _ = synthetic_run(seed=1, epochs=2, status="diverged", reason="loss is NaN")
    store.append(run, [{**row, "loss": float("nan")} for row in epochs])
    text = Text(content_of(store)).text
    assert "1 of 2 runs finished" in text
    assert "loss is NaN" in text


def test_a_store_that_is_not_there_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "runs"
    assert main(["--store", str(store), "--output", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert f"no runs in the results store {store}" in captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_empty_store_has_a_page_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    assert main(["--store", str(tmp_path / "runs"), "--output", str(tmp_path / "out")]) == 0
    text = Text((tmp_path / "out" / "index.html").read_text(encoding="utf-8")).text
    assert "This store has no runs yet" in text
    assert "failed" not in text


def test_an_output_that_cannot_be_written_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "runs")
    store.append(synthetic_run(status="error", reason="x")[0])
    (tmp_path / "file").write_text("")
    words = ["--store", str(store.path), "--output", str(tmp_path / "file" / "out")]
    assert "out' cannot be written" in refusal(main, words, capsys, lines=2)


def test_a_damaged_file_is_named_and_the_rest_is_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "runs")
    store.append(synthetic_run(status="error", reason="x")[0])
    bad = store.append(synthetic_run(seed=1, status="error", reason="y")[0])
    bad.write_bytes(b"PAR1")
    assert main(["--store", str(store.path), "--output", str(tmp_path / "out")]) == 0
    assert bad.name in capsys.readouterr().err
