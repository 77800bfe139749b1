"""The results as tables on a terminal: what the main command ends with."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from report.endings import ending
from results.table import Cell, Column, Table
from results.views.estimates import brackets, epoch_time, mean_accuracy
from results.views.numbers import NONE, fixed, significant, spread, with_interval
from results.views.views import Frames, View
from results.words import count

_FAILURES = 10


@dataclass
class Summary:
    """A table for each view, and sentences below: (text, style of rich)."""

    tables: list[Table] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)

    def show(self) -> None:
        """Print tables and sentences on standard output."""
        import sys

        from rich.text import Text

        from results.names import in_line
        from results.table import show, width_of
        from results.terminal import Terminal

        console = Terminal(width=width_of(sys.stdout), highlight=False)
        show(*self.tables, console=console)
        for text, style in self.notes:
            console.print(Text(in_line(text), style=style))


def summary(frames: Frames) -> Summary:
    """A table for each view (data, parity, tuning, precision, device), failures below.

    Without epochs and predictions (`Frames.of_runs`) the numbers are the same but for the range of
    a single run's epochs and for test sets that differ between runs.
    """
    found = Summary([_table(view, frames) for view in frames.finished_views])
    for view in frames.finished_views:
        found.notes += [
            (f"{panel.name}: {panel.refusal}.", "red") for panel in view.panels if panel.refusal
        ]
        found.notes += [
            (f"{panel.name} {framework}: {words}.", "")
            for panel in view.panels
            for framework in panel.frameworks
            if (words := ending(panel.of(framework)))
        ]
    if not found.tables:
        found.notes.append(("No run finished.", "red"))
    found.notes += _failures(frames.runs[frames.runs["status"] != "ok"])
    return found


def _failures(failed: pd.DataFrame) -> Iterable[tuple[str, str]]:
    for _, run in failed.head(_FAILURES).iterrows():
        reason = "no reason was recorded" if pd.isna(run["reason"]) else run["reason"]
        name = f"{run['framework']} {run['architecture']} seed {run['seed']}"
        yield f"{run['status']}: {name}: {reason}", "red"
    if len(failed) > _FAILURES:
        more = count(len(failed) - _FAILURES, "failed run")
        yield f"and {more} more: python -m results show", "red"


def _table(view: View, frames: Frames) -> Table:
    seconds = {
        (panel.name, framework): epoch_time(panel.of(framework), frames.epochs)
        for panel in view.panels
        for framework in panel.frameworks
    }
    accuracy = "test acc. (DEMO)" if view.demo else "test acc."
    scores = {
        key: name
        for key, name in (("test_rmse", "RMSE"), ("test_auc", "AUC"))
        if key in view.runs and view.runs[key].notna().any()
    }
    table = Table(
        [
            Column("network"),
            Column("framework"),
            Column("runs", rank=3, right=True),
            Column(accuracy, right=True, key="test_accuracy"),
            Column("over seeds", rank=2, right=True),
            Column("cross-entropy", rank=4, right=True, key="test_cross_entropy"),
            *(Column(name, rank=4, right=True, key=key) for key, name in scores.items()),
            Column(f"epoch s{brackets(seconds.values())}", right=True, key="epoch_seconds"),
            Column("ratio", right=True, key="time_ratio"),
            Column("img/s", rank=1, right=True, key="images_per_second"),
            Column("compile s", rank=5, right=True, key="compile_seconds"),
            Column("peak MiB", rank=5, right=True, key="peak_memory_bytes"),
            Column("GFLOP/s", rank=6, right=True, key="achieved_flops"),
        ],
        title=f"{view.title}; {view.machine}",
        common={"view": view.title, "machine": view.machine},
    )
    for panel in view.panels:
        times = [seconds[panel.name, name].value for name in panel.frameworks]
        least = min((one for one in times if one > 0), default=float("nan"))
        for framework in panel.frameworks:
            ok = panel.of(framework)
            asked = int((panel.runs["framework"] == framework).sum())
            accuracies = ok["test_accuracy"].dropna().tolist()
            entropy = _known(ok["test_cross_entropy"].mean())
            memory = _known(ok["peak_memory_bytes"].max())
            reached = mean_accuracy(ok, frames.predictions)
            took = seconds[panel.name, framework]
            speed, compiling, flops = (
                _known(ok[name].median())
                for name in ("images_per_second", "compile_seconds", "achieved_flops")
            )
            table.add(
                panel.name,
                framework,
                Cell(str(len(ok)) if len(ok) == asked else f"{len(ok)} of {asked}", len(ok)),
                Cell(with_interval(reached, 3), reached.value, fixed(reached.value, 3)),
                spread(accuracies, 3) if len(accuracies) > 1 else NONE,
                Cell(fixed(entropy, 3), entropy),
                *(Cell(fixed(value, 4), value) for value in (_known(ok[s].mean()) for s in scores)),
                Cell(with_interval(took), took.value, significant(took.value)),
                Cell(fixed(took.value / least, 2), took.value / least),
                Cell(significant(speed), speed),
                Cell(significant(compiling), compiling),
                Cell(fixed(memory / 2**20, 0), memory),
                Cell(significant(flops / 1e9), flops),
            )
    return table


def _known(value: Any) -> float:
    """A number; NaN where pandas has its own null."""
    return float("nan") if pd.isna(value) else float(value)
