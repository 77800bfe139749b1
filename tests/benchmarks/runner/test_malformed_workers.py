"""A session of workers that tell what no worker of ours tells: each is a row, none ends it."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.process import launch
from benchmarks.process.spawn import Child
from benchmarks.run import main
from results.store import Store
from tests.helpers import fake_backend

FACTS = {"parameters": 111, "split_hash": "s", "order_hash": "o", "weights_hash": "w"}
# What a worker sends ahead of its end, what its file of predictions holds, and the reason expected.
CASES: dict[str, tuple[list[object], bytes | None, str | None]] = {
    "all is well": ([FACTS], None, None),
    "no facts": ([], None, "it ended without telling parameters, split_hash"),
    "another run's id": ([{**FACTS, "run_id": "x", "seed": 77, "status": "oom"}], None, None),
    "seconds that are no number": ([{**FACTS, "train_seconds": float("nan")}], None, None),
    "damaged predictions": ([FACTS], b"PK\x03\x04damaged", "its predictions cannot be read"),
    "predictions of another file": ([FACTS], b"text", "its predictions cannot be read"),
    "no extra": ([{**FACTS, "extra": None}], None, "it sent a malformed event"),
    "a warning of a number": (
        [{**FACTS, "extra": {"model_error": 5}}],
        None,
        "it sent a malformed event",
    ),
    "damage that is no list": (
        [{**FACTS, "extra": {"checkpoint_damage": 5}}],
        None,
        "it sent a malformed event",
    ),
    "a number beyond any column": (
        [{**FACTS, "parameters": 2**70}],
        None,
        "it sent what cannot be stored",
    ),
    "versions that are no JSON": (
        [{**FACTS, "versions": "{"}],
        None,
        "it sent what cannot be stored",
    ),
    "a word": (["noise"], None, "it sent what is no event: b'\"noise\"'"),
}
_WORKER = """
import json, os, sys
from pathlib import Path
config, _, _, output = sys.argv[1:]
read = lambda path: json.loads(Path(path).read_text())
told, predictions = read("cases.json")[read(config)["seed"]]
events = [{"event": "facts", "values": one} if isinstance(one, dict) else one for one in told]
events.append({"event": "end", "status": "ok", "reason": None})
if predictions is not None:
    Path(output, "predictions.npz").write_bytes(predictions.encode("latin-1"))
for event in events:
    os.write(int(os.environ["BENCHMARK_EVENTS"]), json.dumps(event).encode() + b"\\n")
"""


def test_a_malformed_worker_is_a_row_and_the_session_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = np.arange(90) % 3
    images = np.random.default_rng(0).integers(0, 120, (90, 6, 6, 3)).astype(np.uint8)
    work = fake_backend.working_directory(tmp_path, monkeypatch, images, labels)
    (work / "malformed_worker.py").write_text(_WORKER)
    files = [(told, data and data.decode("latin-1")) for told, data, _ in CASES.values()]
    (work / "cases.json").write_text(json.dumps(files))
    monkeypatch.setattr(
        launch, "Child", lambda _, *rest, **more: Child("malformed_worker", *rest, **more)
    )
    usual = "--dataset galaxies.h5 --architectures linear.toml --batch-size 16 --threads 1"
    seeds = map(str, range(len(CASES)))
    assert main([*usual.split(), "--no-report", "--frameworks", "fake", "--seeds", *seeds]) == 1
    assert "Traceback" not in capsys.readouterr().err
    runs = Store("runs").runs().set_index("seed")
    assert len(runs) == len(CASES)
    assert runs["run_id"].is_unique
    for seed, (name, (*_, reason)) in enumerate(CASES.items()):
        row = runs.loc[seed]
        assert row["status"] == ("error" if reason else "ok"), name
        assert not reason or row["reason"].startswith(reason), (name, row["reason"])
