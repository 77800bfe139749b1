"""The whole report: what is written, what it says, and how it refuses."""

import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from report import page, payload
from report.__main__ import main
from results.store import Store
from results.views.views import Frames
from tests.conftest import ROOT
from tests.helpers.factory import fill, save_synthetic_examples, synthetic_run
from tests.helpers.html import Text, content_of, data_of, value_of


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> page.Written:
    directory = tmp_path_factory.mktemp("page")
    store = fill(Store(directory / "runs"), architectures=["c2"], seeds=[0, 1], epochs=3)
    save_synthetic_examples(store)
    return page.write(store, directory / "out", figures=True)


@pytest.fixture(scope="module")
def read(written: page.Written) -> Text:
    return Text(written.page.read_text(encoding="utf-8"))


def test_the_page_is_self_contained(written: page.Written, read: Text) -> None:
    assert read.addresses
    for address in read.addresses:
        assert address.startswith(("data:", "#")), address[:80]
    assert not {"iframe", "object"} & set(read.tags)
    content = written.page.read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', content)
    assert policy is not None
    assert policy[1].startswith("default-src &#39;none&#39;; script-src &#39;sha256-")
    assert "@import" not in content
    assert "url(" not in content
    for address in read.addresses:  # every link inside the page has a target
        if address.startswith("#"):
            assert f'id="{address[1:]}"' in content


def test_the_page_holds_every_row_and_column(written: page.Written) -> None:
    content = written.page.read_text(encoding="utf-8")
    store = Store(written.page.parent.parent / "runs")
    runs = store.runs(latest=True)
    shown = data_of(content, "runs")
    details = data_of(content, "details")
    assert shown["n"] == len(runs) == 6
    assert {name for name, _ in details["meanings"]} == set(runs.columns)
    held = {**details["columns"], **shown["columns"]}
    assert set(runs.columns) <= set(held)
    for row, accuracy in enumerate(runs["test_accuracy"]):
        value = value_of(held["test_accuracy"], row)
        assert math.isnan(accuracy) if value is None else value == pytest.approx(accuracy)
    epochs = data_of(content, "epochs")
    assert epochs["starts"][-1] == len(epochs["loss"]) == len(store.epochs(latest=True))


@given(values=st.lists(st.none() | st.booleans() | st.integers() | st.floats(0, 1) | st.text()))
def test_packed_columns_give_their_values_back(values: list[Any]) -> None:
    if values:
        packed = payload.unpacked(payload.packed(payload.column(values)))
        found = [value_of(packed, row) for row in range(len(values))]
        shown = [
            one.encode("utf-8", "replace").decode() if isinstance(one, str) else one
            for one in values
        ]
        assert [(type(one), one) for one in found] == [(type(one), one) for one in shown]


def test_figures_for_papers_have_data_and_caption_beside_them(written: page.Written) -> None:
    names = {path.stem.split("-")[0] for path in written.figures}
    expected = {"curves", "confusion", "recall", "speed", "phases", "examples", "outcome"}
    assert names == expected
    for path in written.figures:
        match path.suffix:
            case ".pdf":
                assert path.read_bytes().startswith(b"%PDF")
            case ".png":
                with Image.open(path) as image:
                    assert image.info["dpi"][0] >= 200
                    assert np.asarray(image.convert("L")).std() > 5, "an empty figure"
            case ".csv":
                header, *rows = path.read_text(encoding="utf-8").splitlines()
                assert header == "panel,series,row,x,y,low,high,note,run"
                assert rows
            case ".txt":
                assert "Data: DEMO" in path.read_text(encoding="utf-8")


def test_the_page_says_what_a_reader_needs(read: Text) -> None:
    for words in (
        "This is demo data",
        "Same accuracy?",
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
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", content, re.DOTALL)
    assert len(captions) == len(written.figures) // 4
    for caption in captions:
        assert "Data: DEMO" in caption
        if "First galaxy" not in caption and "first galaxy" not in caption:
            assert "n = " in caption
            assert "matched parity" in caption.lower()


def test_every_chart_is_told_in_words_too(written: page.Written) -> None:
    content = written.page.read_text(encoding="utf-8")
    told = re.findall(r'<p class="alt">(.*?)</p>', content, re.DOTALL)
    assert len(told) == content.count('<div class="chart"></div>')
    assert all(re.search(r"\d", words) for words in told)


def test_drawing_twice_gives_the_same_files(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    store.append(synthetic_run(epochs=1)[0])
    both = [page.write(store, tmp_path / name, figures=True) for name in "ab"]
    first, second = ({p.name: p.read_bytes() for p in (*w.figures, w.page)} for w in both)
    assert len(first) == 5
    assert first == second


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


def test_a_figure_alone_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path / "runs")
    for framework in ("keras", "torch"):
        store.append(*synthetic_run(framework, epochs=2))
    options = ["figure", "--store", str(store.path), "--output", str(tmp_path / "out")]
    assert main(options) == 0
    names = capsys.readouterr().out.split()
    assert "phases-demo-matched-idiomatic-float32-cpu" in names
    assert main([*options, "curves", "--columns", "1"]) == 0
    written = [Path(line) for line in capsys.readouterr().out.split()]
    assert [path.suffix for path in written] == [".png", ".pdf", ".csv", ".txt"]
    with Image.open(written[0]) as image:
        assert image.width / image.info["dpi"][0] == pytest.approx(3.4, abs=0.02)
    assert main([*options, "curvs"]) == 2
    assert "unknown figure 'curvs' (did you mean 'curves'?)" in capsys.readouterr().err


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
