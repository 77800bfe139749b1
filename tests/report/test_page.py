"""The whole report: what is written, what it says, and how it refuses."""

import html.parser
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from report import page
from report.__main__ import main
from report.console import summary
from results.store import Store
from results.views.views import Frames
from tests.conftest import ROOT
from tests.helpers.factory import fill, save_synthetic_examples, synthetic_run


class Text(html.parser.HTMLParser):
    """The page's text and the addresses it mentions."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> page.Written:
    directory = tmp_path_factory.mktemp("page")
    store = fill(Store(directory / "runs"), architectures=["c2"], seeds=[0, 1], epochs=3)
    save_synthetic_examples(store)
    return page.write(store, directory / "out")


@pytest.fixture(scope="module")
def read(written: page.Written) -> Text:
    return Text(written.page.read_text(encoding="utf-8"))


def test_the_page_is_self_contained(written: page.Written, read: Text) -> None:
    assert read.addresses
    for address in read.addresses:
        assert address.startswith(("data:", "#")), address[:80]
    assert not {"script", "iframe", "object"} & set(read.tags)
    content = written.page.read_text(encoding="utf-8")
    assert "@import" not in content
    assert "url(" not in content
    for address in read.addresses:  # every link inside the page has a target
        if address.startswith("#"):
            assert f'id="{address[1:]}"' in content


def test_figures_are_png_of_200_dpi_and_pdf(written: page.Written) -> None:
    names = {path.stem.split("-")[0] for path in written.figures}
    expected = {"curves", "confusion", "recall", "speed", "phases", "examples", "outcome"}
    assert names == expected
    for path in written.figures:
        if path.suffix == ".pdf":
            assert path.read_bytes().startswith(b"%PDF")
        else:
            with Image.open(path) as image:
                assert image.info["dpi"][0] >= 200
                assert np.asarray(image.convert("L")).std() > 5, "an empty figure"


def test_the_page_says_what_a_reader_needs(read: Text) -> None:
    for words in (
        "This is demo data",
        "1 run of 6 did not end well",
        "no result after 600 s",
        "are equal in every framework that finished",
        "Synthetic CPU, 2 threads",
        "lowest validation loss",
        "0123456789ab",
        "Disk, Edge-on, Boxy Bulge",
        "How to read it.",
    ):
        assert words in read.text, words


def test_every_figure_says_data_machine_and_n(written: page.Written) -> None:
    content = written.page.read_text(encoding="utf-8")
    captions = re.findall(r"<figcaption>(.*?)<a", content, re.DOTALL)
    assert len(captions) == len(written.figures) // 2
    for caption in captions:
        assert "Data: DEMO" in caption
        if "First galaxy" not in caption and "first galaxy" not in caption:
            assert "n = " in caption
            assert "matched parity" in caption.lower()


def content_of(store: Store) -> str:
    """The page without pixels: the images of its figures are empty files."""
    frames = Frames.load(store)
    sections = page.build(frames)
    empty = store.path.parent / "empty.png", store.path.parent / "empty.pdf"
    for path in empty:
        path.write_bytes(b"")
    return page.render(frames, sections, {one.name: empty for one in page.pictures(sections)})


def test_drawing_twice_gives_the_same_files(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    store.append(synthetic_run(epochs=1)[0])
    first = {p.name: p.read_bytes() for p in page.write(store, tmp_path / "a").figures}
    second = {p.name: p.read_bytes() for p in page.write(store, tmp_path / "b").figures}
    assert len(first) == 2
    assert first == second


def test_names_are_escaped_in_page_and_figures(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    names = ["$x^", "<b>&", "c"]
    changes = {"class_names": names, "classes": 3, "class_counts": [5, 5, 5]}
    for framework in ("keras", "<script>alert(1)</script>"):
        run, epochs, _ = synthetic_run(
            framework, "a$b_$", epochs=2, dataset="<i>$d$</i>", **changes
        )
        rows = [{"split": "test", "index": i, "label": i % 3, "predicted": 0} for i in range(9)]
        store.append(run, epochs, rows)
    content = page.write(store, tmp_path / "out").page.read_text(encoding="utf-8")
    assert "<script" not in content
    assert "<i>" not in content
    assert "&lt;script&gt;" in content


def test_a_refused_comparison_is_said_in_words(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    store.append(*synthetic_run("keras", epochs=2))
    store.append(*synthetic_run("torch", epochs=2, split_hash="another"))
    text = Text(content_of(store)).text
    assert "comparison refused: the frameworks differ in split (seed 0)" in text
    assert "DIFFERENT: keras" in text


def test_parities_have_figures_of_their_own(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    for parity in ("matched", "native"):
        for framework in ("keras", "torch"):
            store.append(*synthetic_run(framework, epochs=2, parity=parity))
    frames = Frames.load(store)
    names = [picture.name for picture in page.pictures(page.build(frames))]
    assert len(set(names)) == len(names)
    assert sum("matched" in name for name in names) == 5
    assert sum("native" in name for name in names) == 5
    text = Text(content_of(store)).text
    assert "initial weights and dropout masks are each framework's own" in text


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


def test_a_run_with_hardly_anything_known(tmp_path: Path) -> None:
    """Every column that may be null is null: no figure, no traceback."""
    store = Store(tmp_path / "runs")
    store.append({"run_id": "a", "execution_id": "b", "status": "ok"})
    store.append({"run_id": "c", "execution_id": "d", "status": "error"})
    written = page.write(store, tmp_path / "out")
    assert written.page.exists()
    assert summary(Frames.of_runs(store.runs())).tables


def test_diverged_runs_are_in_no_mean(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    store.append(*synthetic_run(epochs=2))
    run, epochs, _ = synthetic_run(seed=1, epochs=2, status="diverged", reason="loss is NaN")
    store.append(run, [{**row, "loss": float("nan")} for row in epochs])
    text = Text(content_of(store)).text
    assert "1 of 2 runs finished" in text
    assert "loss is NaN" in text


@pytest.mark.parametrize("exists", [True, False])
def test_an_empty_store_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], exists: bool
) -> None:
    store = tmp_path / "runs"
    if exists:
        store.mkdir()
    assert main(["--store", str(store), "--output", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert f"no runs in the results store {store}" in captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "runs")
    store.append(synthetic_run(status="error", reason="x")[0])
    (tmp_path / "file").write_text("")
    assert main(["--store", str(store.path), "--output", str(tmp_path / "file" / "out")]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: cannot write the report to")
    assert captured.err.count("\n") == 1


def test_a_damaged_file_is_named_and_the_rest_is_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "runs")
    store.append(synthetic_run(status="error", reason="x")[0])
    bad = store.append(synthetic_run(seed=1, status="error", reason="y")[0])
    bad.write_bytes(b"PAR1")
    assert main(["--store", str(store.path), "--output", str(tmp_path / "out")]) == 0
    assert bad.name in capsys.readouterr().err


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from report.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'pandas', 'pyarrow', 'numpy', 'matplotlib', 'jinja2'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
