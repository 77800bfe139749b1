"""The results as a table on a terminal: what the main command ends with."""

import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from report.endings import ending
from results.views.estimates import brackets, epoch_time, mean_accuracy
from results.views.numbers import NONE, fixed, significant, spread, with_interval
from results.views.views import Frames, View
from results.views.words import count

_FAILURES = 10


def summary_table(
    runs: pd.DataFrame,
    epochs: pd.DataFrame | None = None,
    predictions: pd.DataFrame | None = None,
) -> RenderableType:
    """A table for each view (data, parity, tuning, precision, device), failures below.

    Args:
        runs: rows of `Store.runs`; of several executions of one run on one machine the latest
            that ended ok is taken.
        epochs, predictions: rows of the store's; without them the numbers are the same but for
            the range of a single run's epochs and for test sets that differ between runs.

    Returns:
        Something for `rich` to print.
    """
    frames = Frames.of_runs(runs)
    epochs = pd.DataFrame() if epochs is None else epochs
    predictions = pd.DataFrame() if predictions is None else predictions
    parts: list[RenderableType] = [
        _table(view, epochs, predictions) for view in frames.finished_views
    ]
    for view in frames.finished_views:
        parts += [
            Text(f"{panel.name}: {panel.refusal}.", style="red")
            for panel in view.panels
            if panel.refusal
        ]
        parts += [
            Text(f"{panel.name} {framework}: {words}.")
            for panel in view.panels
            for framework in panel.frameworks
            if (words := ending(panel.of(framework)))
        ]
    failed = frames.runs[frames.runs["status"] != "ok"]
    if not parts:
        parts.append(Text("No run finished.", style="red"))
    for _, run in failed.head(_FAILURES).iterrows():
        reason = "no reason was recorded" if pd.isna(run["reason"]) else run["reason"]
        name = f"{run['framework']} {run['architecture']} seed {run['seed']}"
        parts.append(Text(f"{run['status']}: {name}: {reason}", style="red"))
    if len(failed) > _FAILURES:
        more = count(len(failed) - _FAILURES, "failed run")
        parts.append(Text(f"and {more} more: python -m results show", style="red"))
    return Group(*parts)


def _table(view: View, epochs: pd.DataFrame, predictions: pd.DataFrame) -> Table:
    table = Table(
        title=f"{view.title}; {view.machine}",
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        header_style="dim",
    )
    for name in ("network", "framework"):
        table.add_column(name, no_wrap=True)
    seconds = {
        (panel.name, framework): epoch_time(panel.of(framework), epochs)
        for panel in view.panels
        for framework in panel.frameworks
    }
    accuracy = "test acc. (DEMO)" if view.demo else "test acc."
    for name in (
        *("runs", accuracy, "over seeds", "cross-entropy"),
        *(f"epoch s{brackets(seconds.values())}", "img/s"),
        *("compile s", "peak MiB", "GFLOP/s"),
    ):
        table.add_column(name, justify="right")
    for panel in view.panels:
        for framework in panel.frameworks:
            ok = panel.of(framework)
            asked = int((panel.runs["framework"] == framework).sum())
            accuracies = ok["test_accuracy"].dropna().tolist()
            memory = ok["peak_memory_bytes"].max()
            table.add_row(
                panel.name,
                framework,
                str(len(ok)) if len(ok) == asked else f"{len(ok)} of {asked}",
                with_interval(mean_accuracy(ok, predictions), 3),
                spread(accuracies, 3) if len(accuracies) > 1 else NONE,
                fixed(float(ok["test_cross_entropy"].mean()), 3),
                with_interval(seconds[panel.name, framework]),
                significant(float(ok["images_per_second"].median())),
                significant(float(ok["compile_seconds"].median())),
                NONE if pd.isna(memory) else fixed(memory / 2**20, 0),
                significant(float(ok["achieved_flops"].median()) / 1e9),
                end_section=framework == panel.frameworks[-1],
            )
    return table
