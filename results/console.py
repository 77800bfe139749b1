"""Runs as tables on a terminal."""

import json
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from results.schema import DERIVED_COLUMNS, RUN_COLUMNS, USUAL

if TYPE_CHECKING:
    import pandas as pd


def print_runs(runs: "pd.DataFrame", console: Console | None = None) -> None:
    """A line per run; settings that are the same for all stand above the table, once.

    A terminal too narrow for the table gets it in full width, to be scrolled or piped.
    """
    import pandas as pd

    settings = ["dataset", "labels", "channels", "parity", "tuning", "precision", "device"]
    settings += ["machine_id", "threads", "epochs", "batch_size"]
    same = [name for name in settings if len(runs[name].unique()) == 1]
    varying = [name for name in settings if name not in same]
    varying += [name for name in ("repeat", "control") if any(runs[name].dropna())]
    varying += [name for name, usual in USUAL.items() if any(runs[name].dropna() != usual)]
    runs = runs.sort_values([*varying, "architecture", "framework", "seed"], kind="stable")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("run", no_wrap=True)
    names = ["framework", "architecture", "seed", *varying]
    for name in names:
        table.add_column(name, no_wrap=True)
    for name in ("test acc.", "cross-entropy", "epoch s", "img/s", "compile s", "peak MiB"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("status")

    def number(value: object, form: str) -> str:
        return "" if pd.isna(value) else format(value, form)  # type: ignore[call-overload]

    for _, run in runs.iterrows():
        ok = run["status"] == "ok"
        reason = "" if ok or pd.isna(run["reason"]) else f": {run['reason']}"
        table.add_row(
            run["run_id"][:8],
            *("" if pd.isna(run[name]) else str(run[name]) for name in names),
            number(run["test_accuracy"], ".4f"),
            number(run["test_cross_entropy"], ".4f"),
            number(run["epoch_seconds_median"], ".3g"),
            number(run["images_per_second"], ".0f"),
            number(run["compile_seconds"], ".1f"),
            number(run["peak_memory_bytes"] / 2**20, ".0f"),
            Text(f"{run['status']}{reason}", style="" if ok else "red"),
        )
    console = console or Console()
    first = runs.iloc[0]
    console.print(
        Text(", ".join(f"{name} {first[name]}" for name in same if not pd.isna(first[name]))),
        soft_wrap=True,
    )
    unbounded = console.options.update(width=10_000, max_width=10_000)
    width = console.measure(table, options=unbounded).maximum
    if width > console.width:
        console = Console(file=console.file, width=width)
    console.print(table)


def print_run(run: "pd.Series", console: Console | None = None) -> None:
    """Every column of one run with its meaning; JSON is spread over lines."""
    import pandas as pd

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("column", "value", "meaning"):
        table.add_column(name, overflow="fold")
    for column in RUN_COLUMNS + DERIVED_COLUMNS:
        value = run[column.name]
        if isinstance(value, tuple):
            shown = ", ".join(map(str, value))
        elif pd.isna(value):
            shown = ""
        elif column.json:
            shown = json.dumps(json.loads(value), indent=1)
        else:
            shown = str(value)
        table.add_row(column.name, Text(shown), column.meaning)
    (console or Console()).print(table)
