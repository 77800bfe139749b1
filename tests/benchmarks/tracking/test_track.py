"""The command benchmarks.track on stored runs: history, baselines, verdicts, refusals."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.track import main
from benchmarks.tracking.compare import _blocks, compare, exit_status
from benchmarks.tracking.history import History
from benchmarks.tracking.metrics import METRICS, metric
from benchmarks.tracking.selection import select
from benchmarks.tracking.trend import trends
from results.stats.noise import NEEDED, drift_floor
from results.store import Store
from tests.helpers.factory import synthetic_run
from tests.helpers.tracking_store import add_session, around, keep_sessions, verdict


def test_a_gate_knows_all_verdicts_and_their_statuses(store: Store, capsys) -> None:
    keep_sessions(store)
    add_session(store, "monday", around(5.0), commit="1" * 40)
    assert main(["baseline", "set", "old"]) == 0
    assert "baseline 'old': 8 runs of latest" in capsys.readouterr().out

    def gate(*options: str) -> tuple[int, str, str]:
        return verdict(capsys, "gate", "--baseline", "old", *options)

    status, out, _ = gate()
    assert status == 3
    assert "the candidate has no run of this cell" in out
    add_session(store, "tuesday", around(5.0, seed=1), day=1, commit="2" * 40)
    status, out, _ = gate()
    assert (status, "unchanged" in out) == (0, True)
    add_session(store, "wednesday", around(5.6, seed=2), day=2, commit="3" * 40)
    status, out, _ = gate()
    assert (status, "regressed" in out) == (1, True)
    assert gate("--threshold", "epoch-time=20%")[0] == 0
    assert gate("--json", "verdicts.json")[0] == 1
    (row,) = json.loads(Path("verdicts.json").read_text())
    assert (row["verdict"], row["metric"], row["n_baseline"]) == ("regressed", "epoch-time", 8)
    assert row["low"] < row["ratio"] < row["high"]
    assert gate("--threshold", "epoch-time=3%,10")[0] == 0
    assert gate("--candidate", "3333")[0] == 1
    add_session(store, "thursday", around(3.5, seed=3), day=3, commit="4" * 40)
    status, out, _ = gate()
    assert (status, "improved" in out) == (0, True)
    # a jump that came and went may be the machine's: as large a one tells nothing any more
    assert gate("--candidate", "3333")[0] == 3
    add_session(store, "friday", [5.0], day=4, status="oom", reason="asked for 9 TiB")
    status, out, _ = gate()
    assert status == 4
    assert "1 of 1 run failed: asked for 9 TiB" in out
    add_session(store, "saturday", [9.0, 9.0], day=5)
    status, out, _ = gate()
    assert (status, "no-data" in out) == (3, True)


def test_throughput_turns_the_direction_round(store: Store, capsys) -> None:
    keep_sessions(store)
    add_session(store, "one", around(5.0))
    add_session(store, "two", around(6.0, seed=1), day=1)
    status, out, _ = verdict(
        capsys, "compare", "session=one", "session=two", "--metric", "images-per-second"
    )
    assert status == 1
    assert "images/s" in out


@pytest.mark.parametrize("name", ["epoch-time", "images-per-second"])
def test_runs_in_turns_are_compared_epoch_by_epoch(store: Store, name) -> None:
    """The machine changes its speed by a third between two epochs of a pair, and with it the
    median of one of the two runs: up in every other block, down in the others."""
    trained = len(synthetic_run()[1]) // 2
    draw = np.random.default_rng(5)
    before, after = [], []
    for block in range(12):
        for runs, seconds, changed in ((before, 5.0, trained // 2 + 1), (after, 5.5, trained // 2)):
            late = np.arange(trained) >= changed
            level = np.where(late if block % 2 else ~late, 1.0, 1.35)
            runs.append(seconds * level * np.exp(draw.normal(0, 0.01, trained)))
    executions = [set(add_session(store, "one", before)), set(add_session(store, "two", after))]
    history = History.read(store)
    names = history.values("execution_id", range(len(history)))
    sides = [np.flatnonzero([one in mine for one in names]) for mine in executions]
    (judged,) = compare(history, *sides, [metric(name)], store, interleaved=True)
    assert judged.verdict.verdict == "regressed"
    assert judged.verdict.floor < 0.02
    slower = judged.verdict.ratio if name == "epoch-time" else 1 / judged.verdict.ratio
    assert slower == pytest.approx(1.1, rel=0.01)
    (apart,) = compare(history, *sides, [metric(name)], store)
    assert apart.verdict.verdict == "no-data"


def test_a_cell_that_did_not_run_is_no_data_beside_one_that_did(store: Store, capsys) -> None:
    keep_sessions(store)
    add_session(store, "one", around(5.0))
    add_session(store, "one", around(7.0), framework="keras")
    add_session(store, "two", around(5.0, seed=1), day=1)
    status, out, _ = verdict(capsys, "compare", "session=one", "session=two")
    assert status == 3
    assert out.count("no-data") == 1
    assert out.count("unchanged") == 1


@pytest.mark.parametrize(
    ("changes", "field", "told"),
    [
        ({"machine_id": "elsewhere", "machine": {"cpu": "Other"}}, "machine", "Other (elsewher"),
        ({"cell_id": "x", "config": {"data": {"sha256": "d2"}}}, "data", "data.sha256 d1 -> d2"),
        (
            {"cell_id": "x", "config": {"data": {"sha256": "d1"}, "parity": "native"}},
            "parity",
            "parity matched -> native",
        ),
        (
            {
                "cell_id": "x",
                "config": {
                    "architecture": {"name": "c1"},
                    "data": {"sha256": "d1"},
                    "parity": "matched",
                },
            },
            "spec",
            "architecture.name c2 -> c1",
        ),
    ],
)
def test_what_differs_is_refused_by_name_unless_allowed(
    store: Store, capsys, changes, field, told
) -> None:
    changes = dict(changes)
    if "config" in changes:
        usual = {"framework": "torch", "architecture": {"name": "c2"}, "parity": "matched"}
        changes["config"] = usual | changes["config"]
    keep_sessions(store)
    add_session(store, "one", around(5.0))
    add_session(store, "two", around(5.0, seed=1), day=1, **changes)
    status, _, errors = verdict(capsys, "compare", "session=one", "session=two")
    assert status == 2
    assert "comparison refused" in errors
    assert f"differ in {field} (" in errors
    assert told in errors
    assert f"--across {field}" in errors
    status, out, _ = verdict(capsys, "compare", "session=one", "session=two", "--across", field)
    assert (status, "unchanged" in out) == (0, True)


def test_versions_of_one_session_are_compared_in_pairs(store: Store, capsys) -> None:
    drift = np.linspace(1, 1.4, 10)
    add_session(store, "one", (5.0 * drift).tolist())
    config = {"framework": "torch@2.12", "architecture": {"name": "c2"}, "data": {"sha256": "d1"}}
    slower = 5.5 * drift * np.exp(np.random.default_rng(0).normal(0, 0.002, 10))
    add_session(
        store,
        "one",
        slower.tolist(),
        framework="torch@2.12",
        config=config | {"parity": "matched"},
        versions={"python": "3.11", "torch": "2.12.1"},
    )
    arguments = ("compare", "framework=torch", "framework=torch@2.12")
    status, _, errors = verdict(capsys, *arguments)
    assert status == 2
    assert "framework torch -> torch@2.12" in errors
    status, out, _ = verdict(capsys, *arguments, "--across", "framework")
    assert status == 1
    assert "pairs" in out
    assert "1.100" in out


def test_history_prints_and_draws_series_and_steps(store: Store, capsys, tmp_path) -> None:
    for day in range(14):
        level, version = (5.0, "2.12.0") if day < 7 else (5.6, "2.13.0")
        add_session(
            store,
            f"s{day:02d}",
            around(level, 2, seed=day),
            day=day,
            commit=f"{day:02d}" * 20,
            versions={"python": "3.11", "torch": version},
        )
    assert main(["history", "--figure", "out"]) == 0
    out = capsys.readouterr().out
    assert "torch c2 demo" in out
    assert "worse: torch c2 demo" in out
    assert "first run s07-torch-0-7" in out
    assert "commit 0606060606 -> 0707070707, torch 2.12.0 -> 2.13.0" in out
    assert (tmp_path / "out" / "history-epoch-time.png").read_bytes().startswith(b"\x89PNG")
    assert main(["history", "--by", "version", "--no-figure"]) == 0
    out = capsys.readouterr().out
    assert "torch 2.12.0" in out
    assert "torch 2.13.0" in out
    assert main(["history", "--minimum-size", "0.5", "--no-figure"]) == 0
    assert "worse: " not in capsys.readouterr().out
    assert main(["history", "--no-figure", "--metric", "accuracy", "peak-memory"]) == 0
    assert "peak memory (MiB)" in capsys.readouterr().out


def test_points_are_medians_of_runs_with_one_commit_and_versions(store: Store) -> None:
    add_session(store, "one", [1.0, 3.0, 2.0], commit="1" * 40)
    add_session(store, "two", [4.0, 5.0], day=1, commit="1" * 40)
    add_session(store, "three", [7.0, 8.0], day=2, commit="2" * 40)  # an even number
    add_session(store, "four", [8.0], day=3, commit="1" * 40)
    add_session(store, "five", [9.0], day=4, commit="1" * 40, dirty=True)
    newer = {"dirty": True, "versions": {"torch": "9.9"}}
    add_session(store, "six", [9.5], day=5, commit="1" * 40, **newer)
    add_session(store, "seven", [50.0], day=6, commit="1" * 40, control=True, **newer)
    (trend,) = trends(History.read(store), METRICS["epoch-time"])
    assert [point.value for point in trend.points] == [3.0, 7.5, 8.0, 9.0, 9.5]
    commits = ["1" * 10, "2" * 10, "1" * 10, "1" * 10 + "+", "1" * 10 + "+"]
    assert [point.commit for point in trend.points] == commits


def test_cells_that_no_column_tells_apart_show_their_hash(store: Store) -> None:
    add_session(store, "one", [1.0], cell_id="a" * 16)
    add_session(store, "one", [2.0], cell_id="b" * 16, day=1)
    add_session(store, "one", [3.0], framework="keras")
    view = {"augmentation": "crops40", "fraction": 0.1, "experiment": "cavanagh_c2_4way"}
    add_session(store, "two", [4.0], framework="keras", cell_id="c" * 16, **view)
    labels = [series.label for series in History.read(store).series()]
    assert labels == [
        "keras c2 demo batch 64 2 threads",
        "keras c2 demo crops40 cavanagh_c2_4way batch 64 2 threads fraction 0.1",
        "torch c2 demo batch 64 2 threads [aaaaaaaa]",
        "torch c2 demo batch 64 2 threads [bbbbbbbb]",
    ]


def test_metrics_are_those_of_the_frames(store: Store) -> None:
    add_session(store, "one", [1.0, 3.0, 2.0])
    add_session(store, "two", [4.0], day=1, status="error", reason="broke")
    history, runs = History.read(store), store.runs()
    for name, column, scale in (
        ("epoch-time", "epoch_seconds_median", 1),
        ("images-per-second", "images_per_second", 1),
        ("compile-time", "compile_seconds", 1),
        ("peak-memory", "peak_memory_bytes", 2**-20),
        ("accuracy", "test_accuracy", 1),
    ):
        expected = runs[column].astype("float64").where(runs["status"] == "ok") * scale
        np.testing.assert_allclose(history.metric(METRICS[name]), expected)


def test_a_damaged_file_is_named_and_the_rest_is_judged(store: Store, capsys) -> None:
    keep_sessions(store)
    add_session(store, "one", around(5.0))
    add_session(store, "two", around(5.0, 9, seed=1), day=1)
    damaged = store.path / "run-two-torch-8-1.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-50])
    status, out, errors = verdict(capsys, "compare", "session=one", "session=two")
    assert status == 0
    assert "8/8" in out
    assert errors.startswith(f"warning: skipped {damaged}: ")
    assert len(errors.splitlines()) == 1


def test_a_baseline_names_executions_and_not_words(store: Store, capsys) -> None:
    first = add_session(store, "one", around(5.0))
    assert main(["baseline", "set", "main"]) == 0
    add_session(store, "two", around(9.0), day=1)
    store.compact()
    history = History.read(store)
    assert history.values("execution_id", select(history, "main", store)) == first
    assert main(["baseline", "list"]) == 0
    assert capsys.readouterr().out.endswith("main\n")


@pytest.mark.parametrize(("spread", "expected"), [(0.03, 3), (0.002, 1)])
def test_what_sessions_differed_by_before_is_part_of_the_noise_floor(
    store: Store, capsys, spread: float, expected: int
) -> None:
    levels = 5.0 * np.exp(np.random.default_rng(0).normal(0, spread, NEEDED))
    for day, level in enumerate(levels):
        add_session(store, f"s{day:02d}", around(level, 6, seed=day, spread=0.002), day=day)
    add_session(store, "now", around(levels[-1] * 1.06, 6, seed=99, spread=0.002), day=60)
    last = f"session=s{NEEDED - 1}"
    status, out, _ = verdict(capsys, "compare", last, "session=now")
    assert status == expected
    assert f"taken to differ as the {NEEDED} kept ones do" in out
    if expected == 3:
        assert "sessions differ by up to" in out
        assert "run both on the spot" in out


def test_a_stored_baseline_says_nothing_before_sessions_are_kept(store: Store, capsys) -> None:
    for day in range(NEEDED - 1):
        add_session(store, f"s{day:02d}", around(5.0, 6, seed=day), day=day)
    assert main(["baseline", "set", "main"]) == 0
    add_session(store, "now", around(5.0, 6, seed=90), day=90)
    status, out, _ = verdict(capsys, "gate", "--baseline", "main")
    assert status == 3
    assert f"and {NEEDED - 1} sessions of this cell in the store cannot tell" in out
    assert "gate --baseline-checkout DIR" in out
    assert main(["baseline", "set", "main"]) == 0
    for name, seconds, expected in (("same", 5.0, 0), ("slow", 7.0, 1)):
        add_session(store, name, around(seconds, 6, seed=91), day=91 + expected)
        capsys.readouterr()
        status, out, _ = verdict(capsys, "gate", "--baseline", "main")
        assert status == expected, out


def test_the_further_back_the_baseline_the_higher_the_noise_floor(store: Store, capsys) -> None:
    keep_sessions(store, 36)
    add_session(store, "now", around(5.0, seed=99))
    floors = []
    for session in ("kept35", "kept31", "kept00"):
        main(["compare", f"session={session}", "session=now", "--json", "out.json"])
        floors.append(np.log1p(json.loads(Path("out.json").read_text())[0]["floor"]))
    assert floors[1] == pytest.approx(floors[0] * 5**0.5)
    assert floors[2] == pytest.approx(floors[0] * 6)
    main(["compare", "session=now", "session=kept31", "--json", "out.json"])  # the other way round
    seconds = [around(5.0, 3, seed=100 + number) for number in range(36) if number != 31]
    medians = [np.median(times) for times in [*seconds, around(5.0, seed=99)]]
    found = json.loads(Path("out.json").read_text())[0]["floor"]
    assert found == pytest.approx(drift_floor(medians, 5))


def test_runs_of_one_session_need_no_other_session(store: Store, capsys) -> None:
    add_session(store, "one", around(5.0))
    config = {"framework": "torch@2.12", "architecture": {"name": "c2"}, "data": {"sha256": "d1"}}
    config |= {"parity": "matched"}
    slower = around(5.6, 7, seed=1)  # one run is missing: no pairs
    add_session(store, "one", slower, framework="torch@2.12", config=config)
    arguments = ("compare", "framework=torch", "framework=torch@2.12", "--across", "framework")
    status, out, _ = verdict(capsys, *arguments)
    assert (status, " 8/7\n" in out) == (1, True)  # not pairs


def test_a_pair_of_which_one_run_failed_is_left_out(store: Store) -> None:
    add_session(store, "before", [5.0, 5.1, 5.2])
    add_session(store, "before", [5.3], day=1, status="oom", reason="asked for 9 TiB")
    add_session(store, "after", [5.5, 5.6, 5.7, 5.8], day=2)
    history = History.read(store)
    rows = select(history, "session=before", store), select(history, "session=after", store)
    epoch_time = METRICS["epoch-time"]
    (found,) = compare(history, *rows, [epoch_time], store, interleaved=True)
    assert (found.verdict.paired, found.verdict.n_baseline) == (True, 3)


def test_runs_of_a_session_are_paired_by_their_seed_whatever_their_order() -> None:
    columns = {"session_id": ["one"] * 6, "seed": [0, 1, 2, 2, 0, 1], "repeat": [0] * 6}
    history = SimpleNamespace(values=lambda name, rows: [columns[name][row] for row in rows])
    pairs = _blocks(history, np.array([0, 1, 2]), np.array([3, 4, 5]))  # type: ignore[arg-type]
    assert pairs is not None
    assert pairs[1].tolist() == [4, 5, 3]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["unchanged", "error", "no-data", "regressed"], 1),
        (["no-data", "error", "improved"], 4),
        (["improved", "no-data"], 3),
        (["improved", "unchanged"], 0),
        ([], 3),
    ],
)
def test_the_status_of_a_gate_is_that_of_its_worst_verdict(words, status) -> None:
    judged = [SimpleNamespace(verdict=SimpleNamespace(verdict=word)) for word in words]
    assert exit_status(judged) == status
