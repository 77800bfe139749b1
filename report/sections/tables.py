"""The results as a table, and what did not finish."""

import pandas as pd

from report.cautions import busy, leaks, mixed_versions, resumed
from report.endings import ending
from report.section import Block, Heading, Note, Section, Table
from report.sections.speed import timed
from results.stats.intervals import Interval
from results.views.estimates import brackets, epoch_time, interval_words, mean_accuracy
from results.views.numbers import NONE, fixed, significant, spread, with_interval
from results.views.views import Frames, Panel, View
from results.words import count

_LOG_LINES = 12


def results(frames: Frames) -> Section | None:
    """A row for each network and framework; None when the store has no runs."""
    if frames.runs.empty:
        return None
    section = Section(
        "results",
        "The results",
        "Each row is one network trained in one framework, over all its seeds. The square brackets "
        "of an accuracy are its 95 % interval: repeated, such intervals would hold the true value "
        "about 19 times in 20. The brackets of a time are explained under each table.",
    )
    for view in frames.finished_views:
        section.blocks.append(Heading(view.title))
        section.blocks.extend(refusals(view))
        section.blocks.extend(unlike_seeds(view))
        section.blocks.extend(leaks(view))
        section.blocks.extend(mixed_versions(view))
        section.blocks.extend(busy(frames, view))
        section.blocks.extend(resumed(view))
        section.blocks.append(results_table(view, frames))
    if not section.blocks:
        section.blocks.append(
            Note(
                "No run finished, so there is nothing to compare. What failed is below.", "warning"
            )
        )
    return section


def refusals(view: View) -> list[Block]:
    """A warning for each panel whose frameworks must not be compared."""
    return [
        Note(
            f"{panel.name}: {panel.refusal}. The rows are shown, but they are not of one "
            "experiment.",
            "warning",
        )
        for panel in view.panels
        if panel.refusal
    ]


def unlike_seeds(view: View) -> list[Block]:
    """A warning for each panel in which the frameworks' means are over different seeds."""
    notes: list[Block] = []
    for panel in view.panels:
        seeds = {
            view.looks[name].name: ", ".join(str(seed) for seed in panel.of(name)["seed"])
            for name in panel.frameworks
        }
        if len(set(seeds.values())) > 1:
            words = "; ".join(f"{name} {value}" for name, value in seeds.items())
            notes.append(
                Note(
                    f"{panel.name}: not every framework finished the same seeds ({words}), so "
                    "part of a difference between their means is between seeds.",
                    "warning",
                )
            )
    return notes


def results_table(view: View, frames: Frames) -> Table:
    """The view's table: accuracy, loss, speed, memory."""
    epochs = timed(frames.epochs, view)
    cells = [(panel, name) for panel in view.panels for name in panel.frameworks]
    seconds = [epoch_time(panel.of(name), epochs) for panel, name in cells]
    rows = [
        _row(view, panel, name, time, frames.predictions)
        for (panel, name), time in zip(cells, seconds, strict=True)
    ]
    scores = _further_scores(view)
    rows = [
        [*row, *(fixed(float(panel.of(name)[column].mean()), 4) for column in scores)]
        for row, (panel, name) in zip(rows, cells, strict=True)
    ]
    endings = [ending(panel.of(name)) for panel, name in cells]
    if any(endings):
        rows = [[*row, end or NONE] for row, end in zip(rows, endings, strict=True)]
    kinds = sorted(set(view.runs["peak_memory_kind"].dropna()))
    demo = (
        "DEMO DATA: the galaxies are generated, so the accuracies say nothing about real ones. "
        if view.demo
        else ""
    )
    return Table(
        [
            "network",
            "framework",
            "test accuracy" + (" (DEMO)" if view.demo else ""),
            "epoch, s" + brackets(seconds),
            "runs",
            "parameters",
            "over seeds",
            "cross-entropy",
            "images/s",
            "compile, s",
            "peak, MiB",
            "GFLOP/s",
            *scores.values(),
            *(["training ended"] if any(endings) else []),
        ],
        rows,
        "llrrrrrrrrrr" + "r" * len(scores) + ("l" if any(endings) else ""),
        caption=f"{demo}Data: {view.data}; {view.settings}; {view.machine}. Test accuracy: mean "
        "over runs, with Wilson's interval for the number of distinct test galaxies; "
        "“over seeds” is the lowest and highest run. Cross-entropy (nats, without L2 terms): mean "
        "over runs. Epoch time: median of the processes' medians; "
        f"images/s follows from it. {interval_words(view)} Compile: median. Peak memory: "
        "highest of the runs"
        + (f" ({' / '.join(kinds)})" if kinds else "")
        + ". GFLOP/s: images/s times the operations of one training image, forward and backward."
        + "".join(_SCORES[column][1] for column in scores),
        grouped=True,
    )


# Scores of heads other than softmax: how they are named, and what is said of them.
_SCORES = {
    "test_rmse": (
        "RMSE",
        " RMSE: root mean squared error of the votes, mean over runs; the accuracy is the share of "
        "votes on the right side of one half.",
    ),
    "test_auc": ("AUC", " AUC: area under the ROC curve, mean over outputs and runs."),
}


def _further_scores(view: View) -> dict[str, str]:
    """The scores that a finished run of the view has, by column, as they are named."""
    return {
        column: name
        for column, (name, _) in _SCORES.items()
        if column in view.runs and view.runs[column].notna().any()
    }


def _row(
    view: View,
    panel: Panel,
    framework: str,
    seconds: Interval,
    predictions: pd.DataFrame,
) -> list[str]:
    runs = panel.of(framework)
    asked = int((panel.runs["framework"] == framework).sum())
    accuracies = runs["test_accuracy"].dropna().tolist()
    memory = runs["peak_memory_bytes"].max()
    return [
        panel.name,
        view.looks[framework].name,
        with_interval(mean_accuracy(runs, predictions), 3),
        with_interval(seconds),
        str(len(runs)) if asked == len(runs) else f"{len(runs)} of {asked}",
        fixed(float(runs["parameters"].iloc[0]), 0) if runs["parameters"].notna().all() else NONE,
        spread(accuracies, 3) if len(accuracies) > 1 else NONE,
        fixed(float(runs["test_cross_entropy"].mean()), 3),
        significant(float(runs["images_per_second"].median())),
        significant(float(runs["compile_seconds"].median())),
        NONE if pd.isna(memory) else fixed(memory / 2**20, 0),
        significant(float(runs["achieved_flops"].median()) / 1e9),
    ]


def failures(frames: Frames) -> Section | None:
    """Every run that did not end well, with its reason."""
    runs = pd.concat([frames.runs, frames.controls]) if len(frames.controls) else frames.runs
    failed = runs[runs["status"] != "ok"]
    if failed.empty:
        return None
    section = Section(
        "failures",
        "What did not finish",
        f"{count(len(failed), 'run')} of {len(runs)} did not end well. They are in no "
        "figure and in no mean.",
    )
    rows = [
        [
            str(run["status"]),
            frames.looks[run["framework"]].name,
            str(run["architecture"]),
            "" if pd.isna(run["seed"]) else str(run["seed"]),
            f"{run['dataset']}, {run['parity']}, {run['tuning']}, {run['precision']}, "
            f"{run['device']}",
            "no reason was recorded" if pd.isna(run["reason"]) else str(run["reason"]),
            str(run["run_id"])[:8],
        ]
        for _, run in failed.sort_values(["architecture", "framework", "seed"]).iterrows()
    ]
    section.blocks.append(
        Table(
            ["status", "framework", "network", "seed", "settings", "reason", "run"],
            rows,
            "lllrlll",
        )
    )
    logs = failed.dropna(subset=["log"]).drop_duplicates("log")
    for _, run in logs[logs["log"].str.strip() != ""].iterrows():
        tail = "\n".join(str(run["log"]).strip().splitlines()[-_LOG_LINES:])
        section.blocks.append(Note(f"{str(run['run_id'])[:8]}:\n{tail}", "log"))
    return section
