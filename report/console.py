"""The results as a table on a terminal: what the main command ends with."""

import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from report.numbers import NONE, count, fixed, significant, spread, with_interval
from report.views import Frames, View
from results.statistics import Interval, median_of_medians, wilson

_FAILURES = 10


def summary_table(runs: pd.DataFrame) -> RenderableType:
    """A table for each view (data, parity, tuning, precision, device), failures below.

    Args:
        runs: rows of `Store.runs`; of several executions of one run the latest is taken.

    Returns:
        Something for `rich` to print.
    """
    frames = Frames.of_runs(runs)
    parts: list[RenderableType] = [_table(view) for view in frames.finished_views]
    for view in frames.finished_views:
        parts += [
            Text(f"{panel.name}: {panel.refusal}.", style="red")
            for panel in view.panels
            if panel.refusal
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


def _table(view: View) -> Table:
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
    accuracy = "test acc. (DEMO)" if view.demo else "test acc."
    for name in (
        *("runs", accuracy, "over seeds", "cross-entropy", "epoch s", "img/s"),
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
                with_interval(_accuracy(ok), 3),
                spread(accuracies, 3) if len(accuracies) > 1 else NONE,
                fixed(float(ok["test_cross_entropy"].mean()), 3),
                with_interval(median_of_medians([[x] for x in ok["epoch_seconds_median"]])),
                significant(float(ok["images_per_second"].median())),
                significant(float(ok["compile_seconds"].median())),
                NONE if pd.isna(memory) else fixed(memory / 2**20, 0),
                significant(float(ok["achieved_flops"].median()) / 1e9),
                end_section=framework == panel.frameworks[-1],
            )
    return table


def _accuracy(runs: pd.DataFrame) -> Interval:
    """The mean over runs, with Wilson's interval for the images of one test set."""
    accuracy, images = float(runs["test_accuracy"].mean()), runs["test_images"].max()
    if pd.isna(accuracy) or pd.isna(images):
        return wilson(0, 0)
    return wilson(accuracy * int(images), int(images))
