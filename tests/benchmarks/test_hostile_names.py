"""A session of networks with names that no one would choose ends as any other, with its page."""

import json
from pathlib import Path

import pytest

from benchmarks.run import main
from results.__main__ import main as results
from results.store import Store
from tests.helpers.fake_backend import ARCHITECTURE

NAMES = ("../../../evil", "my/net", "a" * 400, "x[/red]y", "[bold]y\x1b[31m")


def test_a_session_of_hostile_names(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, _, layers = ARCHITECTURE.partition("[[layers]]")
    for number, name in enumerate(NAMES):
        text = f"name = {json.dumps(name)}\n[[layers]]{layers}"
        (work / f"{number}.toml").write_text(text)
    words = "--frameworks fake --dataset galaxies.h5 --batch-size 16 --epochs 1 --threads 1"
    kept = ["--save-models", "models", "--architectures", *(f"{n}.toml" for n in range(len(NAMES)))]
    before = {path.name for path in work.iterdir()}
    assert main([*words.split(), *kept]) == 0
    runs = Store("runs").runs()
    assert runs["architecture"].tolist() == [*NAMES]
    assert runs["status"].tolist() == ["ok"] * len(NAMES)
    assert (work / "report-out" / "index.html").exists()
    assert results(["show"]) == 0
    printed = "".join(capsys.readouterr())
    assert "\x1b" not in printed
    assert "x[/red]y" in printed
    made = {path.name for path in work.iterdir()} - before
    assert made <= {"runs", "models", "report-out"}
    assert not list(work.parent.glob("*evil*"))
