"""Files of users are opened, and their names quoted, in one place each: what else does is found."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("benchmarks", "datasets", "frameworks", "report", "results", "galaxy_benchmark")

# What opens a file of another program: results/door does.
OPENS = re.compile(
    r"np\.load\(|pq\.(ParquetFile|read_table)\(|h5py\.File\(|tomllib|safe_open\(|json\.load\(|"
    r"(json|toml)\.(loads|decode)\([^)]*read_(text|bytes)"
)
# What our own processes pass to one another in a scratch directory, what ships, what is written.
OURS = {
    "benchmarks/cluster/ray_door.py",
    "benchmarks/data/staging.py",
    "benchmarks/data/statistics.py",
    "benchmarks/fidelity/cases/case.py",
    "benchmarks/fidelity/defaults/live.py",
    "benchmarks/fidelity/measure/__main__.py",
    "benchmarks/fidelity/measure/collect.py",
    "benchmarks/models/feature_maps.py",
    "benchmarks/models/maps_worker.py",
    "benchmarks/runner/row.py",
    "benchmarks/worker/__main__.py",
    "benchmarks/worker/predictions.py",
    "datasets/convert/made.py",
    "report/feature_maps.py",
}
# Where a path is made of a name or number that is ours, or that a rule beside it checks (a
# baseline's, an execution's), or that is looked for and not written (a shipped suite's), or of the
# user's own file beside it.
NAMED_IN = {
    "benchmarks/config/experiment.py",
    "benchmarks/config/suite_file.py",
    "benchmarks/data/staging.py",
    "benchmarks/fidelity/explain/question.py",
    "benchmarks/fidelity/kills/float32.py",
    "benchmarks/fidelity/parity/check.py",
    "benchmarks/models/feature_maps.py",
    "benchmarks/port/__main__.py",
    "benchmarks/port/convert/convert.py",
    "benchmarks/port/side.py",
    "benchmarks/port/wire.py",
    "benchmarks/track.py",
    "benchmarks/tracking/selection.py",
    "datasets/download.py",
    "frameworks/spec/architecture.py",
    "results/parquet/findings.py",
    "results/parquet/pack.py",
    "results/store.py",
    "results/writer.py",
}


def modules() -> Iterator[tuple[str, str]]:
    """The path of each module, and its text."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def test_files_are_opened_at_the_door() -> None:
    found = {name for name, text in modules() if OPENS.search(text)}
    assert {name for name in found if not name.startswith("results/door/")} <= OURS
    assert {name for name in found if name.startswith("results/door/")}


def test_a_terminal_is_made_in_one_place() -> None:
    made = {name for name, text in modules() if re.search(r"(?<!\w)Console\(", text)}
    assert made <= {"results/terminal.py"}


def paths_from_names(text: str) -> list[str]:
    """The f-strings that become a part of a path: `folder / f"{name}.json"`."""
    return [
        ast.unparse(node.right)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Div)
        and isinstance(node.right, ast.JoinedStr)
    ]


def test_no_name_becomes_a_path_unquoted() -> None:
    assert {name for name, text in modules() if paths_from_names(text)} <= NAMED_IN


@pytest.mark.parametrize(
    ("text", "caught"),
    [
        ('a / f"{name}.json"', True),
        ('beneath(a, name, ending=".json")', False),
        ("a / name", False),
    ],
)
def test_the_search_finds_what_it_is_for(text: str, caught: bool) -> None:
    assert bool(paths_from_names(text)) == caught
