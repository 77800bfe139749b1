"""What comes in from pytest-benchmark, and what goes out to other people's tools."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.system import machine
from benchmarks.track import main
from benchmarks.tracking.history import History
from benchmarks.tracking.metrics import METRICS
from benchmarks.tracking.trend import trends
from results.store import Store
from tests.helpers.tracking_store import add_session, around

BENCHMARK = """
import time
import pytest

@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_step(benchmark, backend):
    benchmark.extra_info["tuning"] = "tuned"
    benchmark.pedantic(time.sleep, args=(0.001,), rounds=5, iterations=2)
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest-benchmark itself writes."""
    directory = tmp_path_factory.mktemp("micro")
    (directory / "test_micro.py").write_text(BENCHMARK)
    variables = {key: os.environ[key] for key in os.environ if not key.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "test_micro.py", "--benchmark-json=micro.json"],
        cwd=directory,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return (directory / "micro.json").read_text()


@pytest.fixture
def measured(work: Path, written: str) -> Path:
    (work / "micro.json").write_text(written)
    return work / "micro.json"


def test_pytest_benchmarks_own_file_is_imported_once(measured: Path, capsys) -> None:
    assert main(["import", "micro.json"]) == 0
    assert "2 benchmarks imported, 0 were there already" in capsys.readouterr().out
    assert main(["import", "micro.json"]) == 0
    assert "0 benchmarks imported, 2 were there already" in capsys.readouterr().out
    found = trends(History.read(Store("runs")), METRICS["call-time"])
    assert [trend.series.label for trend in found] == [
        "jax test_step[jax] tuned",
        "torch test_step[torch] tuned",
    ]
    content = json.loads(measured.read_text())
    medians = {one["params"]["backend"]: one["stats"]["median"] for one in content["benchmarks"]}
    for trend in found:
        assert trend.points[0].value == pytest.approx(medians[trend.series.framework])
    assert main(["history", "--no-figure"]) == 0
    assert "time of one call (s)" in capsys.readouterr().out
    assert Store("runs").runs().empty, "the report of the runs must not see them"


def test_imports_stand_beside_the_harness_own_runs_and_are_judged(measured: Path, capsys) -> None:
    add_session(Store("runs"), "one", around(5.0))
    content = json.loads(measured.read_text())
    for number in range(40):  # each a session: 30 tell how much sessions differ
        content["datetime"] = f"2026-{2 + number // 20:02d}-{number % 20 + 1:02d}T10:00:00+00:00"
        content["commit_info"] = {"id": f"{number // 10}" * 40, "dirty": False}
        for one in content["benchmarks"]:
            slower = 1.2 if number >= 30 else 1.0
            one["stats"]["data"] = [0.001 * slower * (1 + number % 7 / 1000)]
        (Path.cwd() / f"{number}.json").write_text(json.dumps(content))
    assert main(["import", *(f"{number}.json" for number in range(40))]) == 0
    capsys.readouterr()
    assert main(["compare", "2222222", "3333333"]) == 1
    out = capsys.readouterr().out
    assert out.count("regressed") == 2
    assert "time of one call" in out
    assert main(["compare", "framework=torch,commit=aaaa", "latest"]) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("benchmarks"), "missing required field `benchmarks`"),
        (
            lambda content: content["benchmarks"][1].pop("stats"),
            "field 'benchmarks[1]': Object missing required field `stats`",
        ),
        (lambda content: content.update(datetime="soon"), "'datetime' of the file is 'soon'"),
        (lambda content: content.update(datetime="0001-01-01T00:00:00+23:59"), "'datetime' of"),
        (lambda content: content.update(machine_info=[1]), "field 'machine_info'"),
        (lambda content: content.update(commit_info="x"), "field 'commit_info'"),
        (
            lambda content: content["benchmarks"][0].update(extra_info=1),
            "field 'benchmarks[0].extra_info'",
        ),
        (
            lambda content: content["benchmarks"][0]["stats"].update(data=0.1),
            "field 'benchmarks[0].stats.data'",
        ),
        (
            lambda content: content["benchmarks"][0]["stats"].update(data=[-1.0]),
            "neither 'data' nor a 'median' above 0",
        ),
    ],
)
def test_a_file_of_another_kind_is_refused_by_name(measured, capsys, change, message) -> None:
    content = json.loads(measured.read_text())
    change(content)
    measured.write_text(json.dumps(content))
    assert main(["import", "micro.json"]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: micro.json: ")
    assert message in errors
    measured.write_text("{")
    assert main(["import", "micro.json"]) == 2
    assert "micro.json: not JSON" in capsys.readouterr().err


@pytest.fixture
def history(work: Path) -> Store:
    store = Store("runs")
    for framework, level in (("torch", 5.0), ("keras", 6.0)):
        add_session(store, "one", around(level), framework=framework, commit="abcd" * 10)
    return store


def test_github_action_benchmarks_format(history: Store, capsys) -> None:
    assert main(["export", "--format", "github", "--output", "out/bench.json"]) == 0
    assert "tool: customSmallerIsBetter" in capsys.readouterr().err
    content = json.loads(Path("out/bench.json").read_text())
    assert len(content) == 2
    for entry in content:
        assert set(entry) == {"name", "unit", "value", "range", "extra"}
        assert entry["unit"] == "s"
    assert sorted(round(entry["value"]) for entry in content) == [5, 6]
    assert len({entry["name"] for entry in content}) == 2
    assert main(["export", "--format", "github", "--metric", "images-per-second"]) == 0
    assert "tool: customBiggerIsBetter" in capsys.readouterr().err


def test_bencher_metric_format(history: Store, capsys) -> None:
    metrics = ["epoch-time", "images-per-second", "accuracy"]
    assert main(["export", "--format", "bencher", "--metric", *metrics]) == 0
    content = json.loads(capsys.readouterr().out)
    assert len(content) == 2
    for measures in content.values():
        assert set(measures) == set(metrics)
        for value in measures.values():
            assert value["lower_value"] <= value["value"] <= value["upper_value"]


def test_asvs_directory(history: Store, capsys) -> None:
    assert main(["export", "--format", "asv", "--output", "asv"]) == 0
    files = {
        path.relative_to("asv").as_posix(): json.loads(path.read_text())
        for path in Path("asv").rglob("*.json")
    }
    assert files["synthetic-machine/machine.json"]["version"] == 1
    benchmarks = files.pop("benchmarks.json")
    assert benchmarks.pop("version") == 2
    results = [one for one in files.values() if "results" in one]
    assert len(results) == 2
    for one in results:
        assert one["commit_hash"] == "abcd" * 10
        for name, values in one["results"].items():
            assert name in benchmarks
            row = dict(zip(one["result_columns"], values, strict=True))
            assert len(row["samples"][0]) == 8
            assert row["stats_q_25"][0] <= row["result"][0] <= row["stats_q_75"][0]


def test_tensorboards_curves_without_tensorflow(history: Store, capsys) -> None:
    pytest.importorskip("tensorboard")
    code = (
        "import sys\nfrom benchmarks.track import main\nstatus = main(sys.argv[1:])\n"
        "print(status, 'tensorflow' in sys.modules)"
    )
    arguments = ["export", "--format", "tensorboard", "--output", str(Path("tb").absolute())]
    arguments += ["--store", str(history.path.absolute())]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=machine.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["0", "False"], done.stderr
    from tensorboard.compat.proto.event_pb2 import Event

    files = sorted(Path("tb").rglob("events.out.tfevents.*"))
    assert len(files) == 16
    events = [Event.FromString(record) for record in _records(files[0].read_bytes())]
    assert events[0].file_version == "brain.Event:2"
    scalars = {
        (value.tag, event.step): value.simple_value
        for event in events[1:]
        for value in event.summary.value
    }
    execution = files[0].parent.name.partition("-c2-")[2]
    epochs = history.epochs()
    for row in epochs[epochs["execution_id"] == execution].to_dict("records"):
        expected = pytest.approx(row["accuracy"], rel=1e-6)
        assert scalars[f"accuracy/{row['split']}", row["epoch"]] == expected


def test_tensorboard_that_is_not_installed_is_one_message(
    history: Store, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert main(["export", "--format", "tensorboard", "--output", "tb"]) == 2
    assert "pip install -c constraints.txt tensorboard" in capsys.readouterr().err


def _records(content: bytes) -> list[bytes]:
    """The records of a TFRecord file: length, its checksum, data, its checksum."""
    found = []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        found.append(content[12 : 12 + length])
        content = content[16 + length :]
    return found
