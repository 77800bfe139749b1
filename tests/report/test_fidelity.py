"""The ladder on the page: verdict, figure, failures in words. The findings here are invented."""

import io
import uuid
from datetime import UTC, datetime

import matplotlib.pyplot as plt
import pytest

from report import page
from report.figures.drawing import draw
from report.section import Note, Picture, Table
from report.sections import fidelity
from results.parquet import findings
from results.store import Store
from results.views.looks import looks
from results.views.views import Frames
from tests.helpers import factory

BASE = {
    "case": "unam-batch-10-float32",
    "architecture": "unam",
    "against": "numpy",
    "precision": "float32",
    "bound": 1e-5,
    "status": "passed",
    "where": "",
    "cause": "",
    "flips": 0,
}
SHARED = {"machine": '{"cpu": "invented"}', "versions": "{}", "command": "invented command"}


def finding(rung: str, framework: str, value: float, **changes: object) -> dict[str, object]:
    return {**BASE, "rung": rung, "framework": framework, "value": value, "metric": rung, **changes}


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "runs")
    store.append(*factory.synthetic_run("torch"))
    return store


def keep(store, rows, curves=(), day=1, **changes):
    started = datetime(2026, 1, day, tzinfo=UTC)
    shared = {**SHARED, **changes}
    climb = uuid.uuid4().hex
    findings.append(store.path, rows, climb_id=climb, started_at=started, curves=curves, **shared)


def blocks(store, kind):
    section = fidelity.ladder(Frames.load(store))
    return [block for block in section.blocks if isinstance(block, kind)]


def test_without_a_climb_there_is_no_section(store):
    assert fidelity.ladder(Frames.load(store)) is None


def test_what_held_is_drawn_and_counted(store):
    keep(store, [finding("R1", name, 2e-7) for name in ("keras", "torch", "jax")])
    assert blocks(store, Note)[0].text == "3 of 3 comparisons held."
    (picture,) = blocks(store, Picture)
    assert "invented command" in picture.caption
    (table,) = blocks(store, Table)
    assert [row[-1] for row in table.rows] == ["holds"] * 3


def test_a_climb_on_a_gpu_names_it_and_the_most_exact_precision_comes_first(store):
    precisions = ("bfloat16", "tf32", "float32", "float64")
    rows = [
        finding("R1", "torch", 2e-7, case=f"unam-batch-10-{one}-cuda", precision=one)
        for one in precisions
    ]
    keep(store, rows, machine='{"cpu": "invented", "gpus": [{"name": "an invented GPU"}]}')
    (picture,) = blocks(store, Picture)
    assert "an invented GPU" in picture.caption
    assert "invented." not in picture.caption  # the CPU, which computed none of it
    titles = [axes.get_title("left") for axes in draw(picture).axes if axes.get_title("left")]
    assert titles == ["float64", "float32", "tf32", "bfloat16"]


def test_what_failed_is_said_in_words_and_not_run_is_not_passed(store):
    bad = finding("R2", "jax", 1e-2, status="failed", where="conv1/kernel", cause="a reason")
    missing = finding("R3", "keras", float("nan"), status="not run", cause="not installed")
    keep(store, [finding("R1", "torch", 1e-7), bad, missing])
    notes = [note.text for note in blocks(store, Note)]
    assert "1 of 3 comparisons held. 1 could not be run" in notes[0]
    assert any("conv1/kernel" in text and "a reason" in text for text in notes)
    verdicts = {row[0][:2]: row[-1] for row in blocks(store, Table)[0].rows}
    assert verdicts == {"R1": "holds", "R2": "fails", "R3": "not run"}


def marks(store):
    """(panel, x, y, ringed) of every mark of the figure of errors."""
    (picture,) = [p for p in blocks(store, Picture) if p.name == "fidelity-ladder"]
    return [line for axes in draw(picture).axes for line in axes.get_lines()]


def test_a_failing_mark_is_ringed_even_below_the_loosest_bound(store):
    """The error beyond its bound is drawn, not the largest, which another network is allowed."""
    loose = finding("R4", "torch", 5e-4, bound=1e-3, metric="weights")
    tight = finding("R4", "torch", 2e-4, bound=1e-4, metric="weights", status="failed")
    keep(store, [loose, tight, finding("R4", "jax", 1e-6, bound=1e-4, metric="weights")])
    drawn = marks(store)
    ringed = [line for line in drawn if line.get_label() == "beyond its bound"]
    assert [float(x) for line in ringed for x in line.get_xdata()] == [2e-4]
    bars = [line for line in drawn if line.get_label() == "bound"]
    assert {float(x) for line in bars for x in line.get_xdata()} == {1e-3, 1e-4}


@pytest.mark.parametrize(
    ("value", "bound"), [(float("inf"), 1e-4), (float("nan"), 1e-4), (1.0, 0.0)]
)
def test_an_error_without_a_place_on_the_axis_is_an_arrow_at_its_edge(store, value, bound):
    bad = finding("R4", "torch", value, bound=bound, metric="weights", status="failed")
    keep(store, [bad, finding("R1", "torch", 1e-7)])
    drawn = marks(store)
    edge = [line for line in drawn if len(line.get_xdata()) and line.get_xdata()[0] == 0.98]
    assert sorted(str(line.get_marker()) for line in edge) == [">", "o"], "an arrow, ringed"
    verdicts = {row[0][:2]: (row[-2], row[-1]) for row in blocks(store, Table)[0].rows}
    assert verdicts["R4"] == ("inf", "fails")
    drawn[0].figure.savefig(io.BytesIO())


def test_a_climb_of_pairs_alone_has_no_figure_of_errors(store):
    keep(store, [finding("R5c", "torch", 1e-7, against="jax")])
    assert not blocks(store, Picture)


def test_divergence_curves_stand_beside_their_controls(store):
    def curve(kind: str, label: str, size: float) -> dict[str, object]:
        return {
            "case": "unam-noise",
            "architecture": "unam",
            "kind": kind,
            "framework": "torch",
            "label": label,
            "difference": [0.0, size, 2 * size],
        }

    drawn = [curve("cross", "jax", 1e-6), *(curve("control", f"noise{n}", 2e-6) for n in range(8))]
    drawn.append(curve("control", "float64", 1e-3))  # a line of its own, no control
    keep(store, [finding("R5c", "torch", 2e-6, case="unam-noise")], drawn)
    pictures = {picture.name: picture for picture in blocks(store, Picture)}
    assert "8 controls" in pictures["fidelity-divergence"].caption
    axes = draw(pictures["fidelity-divergence"]).axes[0]
    assert axes.collections[0].get_datalim(axes.transData).y1 == pytest.approx(4e-6)
    own = [line for line in axes.lines if "its own float64" in str(line.get_label())]
    assert [line.get_linestyle() for line in own] == ["--"]
    colours = {line.get_color() for line in axes.lines if line not in own}
    assert {look.colour for look in looks(["torch", "jax"]).values()} <= colours


def test_the_page_holds_the_section(store, tmp_path):
    keep(store, [finding("R1", "torch", 1e-7)])
    written = page.write(store, tmp_path / "out")
    assert "Do they compute the same thing?" in written.page.read_text(encoding="utf-8")
    assert not plt.get_fignums()


def test_a_ladder_climbed_in_pieces_is_shown_whole_and_each_piece_as_it_was_last(store):
    keep(store, [finding("R1", "torch", 2e-7), finding("R2", "torch", 2e-7)])
    keep(store, [finding("R2", "torch", 1.0, status="failed")], day=2)
    keep(store, [finding("R1", "jax", 2e-7)], day=3)
    assert blocks(store, Note)[0].text == "2 of 3 comparisons held."


def test_a_climb_of_one_framework_leaves_the_others_failures_in_sight(store):
    bad = finding("R1", "torch", 1.0, status="failed", against="jax")
    keep(store, [bad, finding("R1", "torch", 2e-7)])
    keep(store, [finding("R1", "torch", 2e-7)], day=2)
    assert blocks(store, Note)[0].text == "1 of 2 comparisons held."


def test_climbs_of_other_versions_or_machines_are_not_mixed_in(store):
    keep(store, [finding("R1", "torch", 2e-7)], versions='{"torch": "1.0"}')
    keep(store, [finding("R1", "jax", 2e-7)], day=2, machine='{"cpu": "another"}')
    keep(store, [finding("R1", "keras", 2e-7)], day=3)
    assert blocks(store, Note)[0].text == "1 of 1 comparison held."
