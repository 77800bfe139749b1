"""`python -m tests.helpers.reports`: what `--explain` says of reports, as tables.

The first table has public reports, the second our own (`kinds`), of kinds that are often posted. A
report is a network and a recipe in tests/data/reports, as far as they can be written, with what
was seen and the cause that was found. "May" is for a cause that depends on what is not stated.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.fidelity.explain.explain import Difference, explain
from benchmarks.fidelity.explain.question import Question, stated_fields
from frameworks.spec import architecture, recipe
from frameworks.spec.reading import read_table
from tests.conftest import ROOT

FOLDER = ROOT / "tests" / "data" / "reports"
OWN = FOLDER / "kinds"


@dataclass(frozen=True)
class Answer:
    """A report, and where its cause stands in what is said; `place` 1 is first, 0 is not there."""

    report: dict[str, Any]
    question: Question
    said: list[Difference]

    @property
    def cause(self) -> Difference | None:
        """The difference that was to blame, where it is said to matter."""
        return next((one for one in self.matters if one.field == self.report["cause"]), None)

    @property
    def matters(self) -> list[Difference]:
        """What is said to matter, or that it may."""
        return [one for one in self.said if one.matters != "no"]

    @property
    def place(self) -> int:
        """Where the cause stands among them."""
        return self.matters.index(self.cause) + 1 if self.cause else 0

    @property
    def lines(self) -> int:
        """Lines of code that align the cause."""
        return len(self.cause.lines) if self.cause else 0


def load(path: Path) -> Answer:
    """A report's file, explained."""
    table = read_table(path, "report")
    report, given = table.pop("report"), table.pop("recipe", {})
    network = architecture.from_table(dict(table), origin=str(path), default_name=path.stem)
    question = Question(
        network,
        recipe.from_table(given, str(path)),
        tuple(report["input"]),
        10,
        tuple(report["frameworks"]),
        report.get("seen", "training"),
        report.get("device", "cpu"),
        stated_fields(table, network),
    )
    return Answer(report, question, explain(question))


def answers(folder: Path = FOLDER) -> list[Answer]:
    """The reports of a folder, in their order."""
    return [load(path) for path in sorted(folder.glob("*.toml"))]


def table(found: list[Answer]) -> str:
    """A row a report, and the sums, in Markdown."""
    rows = [
        "| # | report | cause | can be written | named | place | lines |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in found:
        report = one.report
        named = {"yes": "yes", "sometimes": "may"}[one.cause.matters] if one.cause else "no"
        rows.append(
            f"| {report['number']} | {', '.join(report['sources'])} | {report['cause']} | "
            f"{'yes' if report['writable'] else 'no'} | {named} | {one.place or '-'} of "
            f"{len(one.matters)} | {one.lines} |"
        )
    for title, some in (
        ("can be written", [one for one in found if one.report["writable"]]),
        ("cannot", [one for one in found if not one.report["writable"]]),
    ):
        if not some:
            continue
        named = sum(one.cause is not None for one in some)
        first = sum(one.place == 1 for one in some)
        rows.append(f"\n{title}: {len(some)} reports, cause named in {named}, first in {first}")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table(answers()), table(answers(OWN)), sep="\n\n")
    sys.exit(0)
