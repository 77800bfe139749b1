"""Every text of a row is one that no one would choose: whatever writes or prints rows quotes it.

The columns come from the schema, and what is written is found on the disk: a new column, or a new
place where a text becomes a path, a page or a line of a terminal, is tried without a word here.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from results.schema import RUN_COLUMNS
from results.store import Store
from tests.helpers.factory import synthetic_run

BAD = "../../evil/x[/red]y<b>\x1b[31m$x^{2$\u202e"
# What is compared or looked up, and no one's words.
_OURS = {"status", "execution_id", "loss", "split_by", "test_copies", "augmentation", "parity"}
COMMANDS = (
    *("results.__main__ show", "results.__main__ show --all", "results.__main__ show RUN"),
    *(
        f"results.__main__ export --output made/runs.{one} --format {one}"
        for one in ("csv", "latex", "markdown", "parquet")
    ),
    "results.__main__ merge runs --store made/merged",
    "benchmarks.track history --figure made",
    "benchmarks.track baseline set main",
    "benchmarks.track compare latest latest",
    *(
        f"benchmarks.track export --output made/{one} --format {one}"
        for one in ("github", "bencher", "asv")
    ),
    "report.__main__ --output made/page --figures",
    "results.__main__ compact",
)


def hostile(value: Any) -> Any:
    """The value with every text in it a hostile one."""
    if isinstance(value, dict):
        return {key: hostile(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [hostile(one) for one in value]
    return f"{value}{BAD}" if isinstance(value, str) else value


def _append(store: Store, framework: str, seed: int) -> str:
    run, epochs, predictions = synthetic_run(framework, seed=seed, epochs=2)
    for column in RUN_COLUMNS:
        value = run.get(column.name)
        if column.name in _OURS:
            continue
        if column.json:
            value = json.loads(value) if isinstance(value, str) else value
            run[column.name] = hostile(value or {"a": "b"})
        elif "string" in column.type:
            run[column.name] = hostile(value) if value else BAD
    store.append(run, epochs, predictions)
    return str(run["run_id"])


def test_no_text_of_a_row_is_a_path_markup_or_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "a" / "b"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    (work / "made").mkdir()
    store = Store("runs")
    (run, *_) = [_append(store, name, seed) for name in ("torch", "jax") for seed in range(2)]
    for command in COMMANDS:
        module, *words = command.split()
        words = [run if word == "RUN" else word for word in words]
        status = importlib.import_module(module).main(words)
        out, errors = capsys.readouterr()
        assert status in (0, 3), (command, errors)
        assert not set(out + errors) & {"\x1b", "\u202e"}, command
        assert "[/red]" in out or "show" not in command, command  # as it is, not as markup
    assert {path.name for path in tmp_path.rglob("*") if "evil" in path.name} == {
        path.name for path in (work / "made").rglob("*") if "evil" in path.name
    }
    assert sorted(path.name for path in work.iterdir()) == ["made", "runs"]
    assert [path.name for path in (tmp_path, tmp_path / "a") for path in path.iterdir()] == list(
        "ab"
    )
    page = (work / "made" / "page" / "index.html").read_text(encoding="utf-8")
    assert "y<b>" not in page
    assert "\x1b" not in page
