"""Cells side by side: what is compared with what, which words are said, what the tables hold."""

import json
import math
from dataclasses import replace

import pandas as pd
import pytest

from report.section import Picture
from report.sections import benches as section
from report.sections.ratios import cell_table, noise, ratio_table, warnings
from results.stats.comparison import log_ratios
from results.stats.vocabulary import FASTER, UNDECIDED
from results.store import Store
from results.views import cells
from results.views.cells import Bench, Cell, benches
from results.views.views import Frames
from tests.helpers.factory import fill_speed, synthetic_run


def bench_of(tmp_path, **options) -> Bench:
    (bench,) = benches(Frames.load(fill_speed(Store(tmp_path), **options)))
    return bench


def test_every_tuning_is_a_cell_of_its_own_and_the_control_of_none(tmp_path) -> None:
    bench = bench_of(tmp_path)
    assert [(cell.framework, cell.tuning) for cell in bench.cells] == [
        (framework, tuning)
        for framework in ("keras", "torch", "jax")
        for tuning in ("idiomatic", "tuned")
    ]
    assert {len(cell.runs) for cell in bench.cells} == {6}
    (controlled,) = bench.controlled
    assert (controlled.framework, controlled.tuning) == ("keras", "idiomatic")
    assert len(controlled.control) == 6
    assert not set(controlled.control["execution_id"]) & set(controlled.runs["execution_id"])
    assert bench.telling


def test_only_what_differs_in_one_thing_is_compared(tmp_path) -> None:
    bench = bench_of(tmp_path, batch_sizes=(64, 128), precisions=("float32", "bfloat16"))
    pairs = list(bench.comparisons())
    assert len(pairs) == 4 * (2 * 3 + 3)
    for one, other, _ in pairs:
        same_framework = one.framework == other.framework
        assert (one.tuning == other.tuning) != same_framework
        assert (one.precision, one.batch_size) == (other.precision, other.batch_size)


def test_verdicts_are_those_of_the_invented_times(tmp_path) -> None:
    bench = bench_of(tmp_path)
    found = {
        (one.framework, one.tuning, other.framework, other.tuning): comparison
        for one, other, comparison in bench.comparisons()
    }
    assert 0 < bench.noise_floor < 0.1
    tuned = found["torch", "tuned", "torch", "idiomatic"]
    assert tuned.verdict == FASTER
    assert tuned.ratio.value == pytest.approx(0.8, rel=0.03)
    assert found["keras", "tuned", "jax", "tuned"].verdict == FASTER
    table = ratio_table(bench)
    assert table is not None
    verdicts = {row[0]: row[-1] for row in table.rows}
    assert verdicts["PyTorch: tuned / idiomatic"] == "tuned is faster"
    assert verdicts["PyTorch / JAX (Flax), tuned"] == "PyTorch is faster"


def test_equal_cells_are_told_as_such(tmp_path) -> None:
    bench = bench_of(tmp_path, frameworks=("torch", "other-1"))
    said = [found.verdict for one, _, found in bench.comparisons() if one.tuning == "idiomatic"]
    assert said  # two frameworks of unlike times
    (cell,) = [cell for cell in bench.cells if (cell.framework, cell.tuning) == ("torch", "tuned")]
    same = bench.compared(cell, cell)
    assert (same.verdict, same.ratio.value) == (UNDECIDED, 1.0)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"parity_checked": None}, "was not checked"),
        ({"parity_checked": False}, "did not pass the parity check"),
        ({"control": False}, "no A/A pair"),
        ({"processes": 4}, "4 against 4 processes cannot give p < 0.01"),
    ],
)
def test_the_words_are_not_said_where_they_may_not_be(tmp_path, options, reason) -> None:
    bench = bench_of(tmp_path, **options)
    table = ratio_table(bench)
    assert table is not None
    for row in table.rows:
        assert row[-1].startswith("not judged: ")
        assert reason in row[-1]


def test_a_failed_parity_check_is_a_warning_with_its_reason(tmp_path) -> None:
    extra = {"parity_failures": ["R2 gradient by tensor: 0.3 at conv1/kernel is beyond 1e-05"]}
    bench = bench_of(tmp_path, parity_checked=False, processes=2, extra=extra)
    notes = warnings(bench)
    assert len(notes) == 6
    assert "did NOT pass the parity check" in notes[0].text
    assert "conv1/kernel" in notes[0].text
    assert {row[-1] for row in cell_table(bench).rows} == {"FAILED"}


def test_what_tuned_runs_waited_for_data_is_a_share_of_their_training(tmp_path) -> None:
    one = bench_of(tmp_path, processes=2, extra={"host_wait_seconds": 3.0}, train_seconds=60.0)
    table = cell_table(one)
    column = table.header.index("data wait, %")
    assert {row[column] for row in table.rows} == {"5.0"}
    assert "are not counted" in table.caption
    plain = cell_table(bench_of(tmp_path / "plain", processes=2))
    assert "data wait, %" not in plain.header
    assert "Data wait" not in plain.caption


def test_a_tuned_backend_that_fell_back_is_a_warning_with_its_reason(tmp_path) -> None:
    told = "eager; torch.compile failed: InductorError: no C++ compiler found"
    extra = {"settings": {"compiled": told, "layout": "channels last"}}
    notes = warnings(bench_of(tmp_path, processes=2, extra=extra))
    assert len(notes) == 6
    assert all(note.text.endswith(f"fell back: {told}") for note in notes)


def test_a_gpu_that_was_slowed_down_is_a_warning(tmp_path) -> None:
    extra = {"gpu": {"before": {}, "after": {"throttling": ["power cap"]}}}
    notes = warnings(bench_of(tmp_path, processes=2, extra=extra))
    assert all("slowed down (power cap)" in note.text for note in notes)


def test_a_limit_that_is_exceeded_was_measured_wrongly(tmp_path) -> None:
    notes = warnings(bench_of(tmp_path, processes=2, roofline_seconds=10.0))
    assert any("above the measured limit" in note.text for note in notes)
    assert not warnings(bench_of(tmp_path / "good", processes=2))


def test_the_table_holds_the_shares_and_the_spread(tmp_path) -> None:
    bench = bench_of(tmp_path)
    table = cell_table(bench)
    assert {len(row) for row in table.rows} == {len(table.header)} == {len(table.align)}
    cell = bench.cells[0]
    shown = dict(zip(table.header, table.rows[0], strict=True))
    share = 100 * cell.images_per_second.value * 1.69e9 / 360e9
    assert float(shown["% of peak"]) == pytest.approx(share, rel=0.02)
    assert float(shown["% of roofline"]) == pytest.approx(1.05 * share, rel=0.02)
    assert float(shown["epoch, s: lowest"]) == pytest.approx(min(cell.seconds.values()), rel=0.01)
    assert "images/J" not in table.header
    measured = cell_table(bench_of(tmp_path / "energy", processes=2, train_joules=1393.0 * 3 / 4))
    assert {row[-2] for row in measured.rows} == {"4.00"}


def test_the_noise_floor_is_stated_or_its_absence(tmp_path) -> None:
    (note,) = noise(bench_of(tmp_path))
    assert "the noise floor is" in note.text
    (note,) = noise(bench_of(tmp_path / "none", control=False, processes=2))
    assert "no A/A pair was run" in note.text
    (note,) = noise(bench_of(tmp_path / "one", processes=1))
    assert "so there is no floor" in note.text


def test_a_comparison_has_the_larger_floor_of_its_two_cells(tmp_path) -> None:
    bench = bench_of(tmp_path, control=False)
    quiet, loud, unknown = (
        replace(cell, control=_again(cell, factors))
        for cell, factors in zip(
            bench.cells,
            ([1.0] * 6, [1.2, 0.9, 1.1, 0.8, 1.2, 1.1], [1.01]),
            strict=False,
        )
    )
    bench = replace(bench, cells=(quiet, loud, unknown))
    assert bench.floor_of(quiet, quiet) == pytest.approx(0, abs=1e-9)
    assert bench.floor_of(quiet, loud) == bench.floor_of(loud, quiet) > 0.08
    assert 0 < bench.noise_floor < bench.floor_of(quiet, loud)
    assert bench.floor_of(quiet, unknown) == bench.noise_floor, "one block shows no spread"


def _again(cell: Cell, factors: list[float]) -> pd.DataFrame:
    """Second runs of the first blocks, by so much slower."""
    runs = cell.runs.head(len(factors)).copy()
    runs["epoch_seconds_median"] *= factors
    return runs


def test_the_section_draws_each_bench_with_what_was_measured(tmp_path) -> None:
    store = fill_speed(Store(tmp_path), processes=2, batch_sizes=(64, 256), train_joules=2000.0)
    frames = Frames.load(store)
    made = section.speeds(frames)
    assert made is not None
    names = [block.name for block in made.blocks if isinstance(block, Picture)]
    assert [name.split("-")[0] for name in names] == ["bench", "scaling", "energy"]


def test_a_single_process_of_each_framework_needs_no_section(tmp_path) -> None:
    store = Store(tmp_path)
    for framework in ("keras", "torch"):
        store.append(*synthetic_run(framework))
    assert section.speeds(Frames.load(store)) is None


def test_networks_and_machines_are_kept_apart(tmp_path) -> None:
    store = fill_speed(Store(tmp_path), processes=2, control=False)
    for changes in ({"architecture": "c2"}, {"machine_id": "another"}, {"dataset": "galaxy10"}):
        for tuning in ("idiomatic", "tuned"):
            run, epochs, predictions = synthetic_run("torch", **{"tuning": tuning, **changes})
            run["execution_id"] += tuning
            run["run_id"] += tuning + str(changes)
            run["execution_id"] += (
                json.dumps(changes).strip("{}").replace('"', "").replace(": ", "-")
            )
            run["cell_id"] += tuning
            store.append(run, epochs, predictions)
    found = benches(Frames.load(store))
    assert len(found) == 4
    assert sorted(len(bench.cells) for bench in found) == [2, 2, 2, 6]


def test_derived_columns_by_hand(tmp_path) -> None:
    store = Store(tmp_path)
    run, epochs, predictions = synthetic_run(
        epochs=3,
        peak_flops_per_second=2e11,
        roofline_seconds=0.5,
        train_joules=100.0,
        wall_seconds=100.0,
    )
    for row, seconds in zip(
        [r for r in epochs if r["epoch_seconds"]], (1.0, 2.0, 4.0), strict=True
    ):
        row["epoch_seconds"] = seconds
    store.append(run, epochs, predictions)
    (row,) = store.runs().to_dict("records")
    images = run["train_images"]
    assert row["images_per_second"] == images / 2
    assert row["peak_share"] == pytest.approx(images / 2 * 1.69e9 / 2e11)
    assert row["roofline_share"] == pytest.approx(images / 2 * 0.5 / 64)
    assert row["images_per_joule"] == pytest.approx(3 * images / 100)
    phases = ("import", "stage", "build", "compile", "train", "evaluate")
    own = 100 - sum(run[f"{phase}_seconds"] for phase in phases)
    assert row["own_seconds"] == pytest.approx(own)
    assert row["own_share"] == pytest.approx(own / 100)
    only = store.runs(columns=["own_share", "framework"])
    assert list(only.columns) == ["own_share", "framework"]
    assert only["own_share"].iloc[0] == row["own_share"]


def test_rows_from_before_the_limits_read_as_unknown(tmp_path) -> None:
    store = Store(tmp_path)
    store.append(*synthetic_run())
    row = store.runs().iloc[0]
    for column in ("peak_share", "roofline_share", "images_per_joule"):
        assert math.isnan(row[column])
    assert pd.isna(row["control"])


@pytest.mark.parametrize("column", ["session_id", "node", "block", "seed", "repeat"])
def test_a_ratio_pairs_runs_of_one_session_node_block_seed_and_repeat_alone(column) -> None:
    same = {"session_id": "a", "node": "n", "block": "b", "seed": 0, "repeat": 0}
    other = same | {column: 1}
    mine, theirs = (
        cells._by_block(pd.DataFrame([row | {"epoch_seconds_median": 2.0}]))
        for row in (same, other)
    )
    assert len(log_ratios(mine, mine)) == 1
    assert len(log_ratios(mine, theirs)) == 0


def test_a_control_that_failed_shows_no_noise(tmp_path) -> None:
    frames = Frames.load(fill_speed(Store(tmp_path), processes=2))
    failed = replace(frames, controls=frames.controls.assign(status="error"))
    for known, controlled in ((frames, 1), (failed, 0)):
        (bench,) = benches(known)
        assert len(bench.controlled) == controlled
