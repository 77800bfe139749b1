"""Runs as tables on a terminal."""

import json
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console

from results.names import in_line
from results.schema import DERIVED_COLUMNS, RUN_COLUMNS, USUAL
from results.table import Cell, Column, Table, width_of
from results.terminal import Terminal
from results.views.numbers import significant

if TYPE_CHECKING:
    import pandas as pd

_SETTINGS = (
    *("dataset", "labels", "channels", "parity", "tuning", "precision", "device", "machine_id"),
    *("threads", "epochs", "batch_size"),
)
# column of the frame, head, format ("": three figures), rank
_FIGURES = (
    ("test_accuracy", "test acc.", ".4f", 0),
    ("test_cross_entropy", "cross-entropy", ".4f", 5),
    ("test_rmse", "RMSE", ".4f", 5),
    ("test_auc", "AUC", ".4f", 5),
    ("epoch_seconds_median", "epoch s", "", 0),
    ("images_per_second", "img/s", ",.0f", 4),
    ("compile_seconds", "compile s", ".1f", 6),
    ("peak_memory_bytes", "peak MiB", ",.0f", 6),
)
_OF_SOME = ("test_rmse", "test_auc")  # that most heads have not


def runs_table(runs: "pd.DataFrame") -> Table:
    """A line per run, of which there is one at least; what is the same for all is the title."""
    same = [name for name in _SETTINGS if len(runs[name].unique()) <= 1]
    varying = [name for name in _SETTINGS if name not in same]
    varying += [name for name in ("repeat", "control") if any(runs[name].dropna())]
    usual_of = {**USUAL, "replicas": 1, "side_by_side": 1}
    varying += [name for name, usual in usual_of.items() if any(runs[name].dropna() != usual)]
    runs = runs.sort_values([*varying, "architecture", "framework", "seed"], kind="stable")
    names = ["framework", "architecture", "seed", *varying]
    ranks = {"framework": 0, "architecture": 0, "seed": 0}
    known = {name: runs[name].iloc[0] for name in same if not _missing(runs[name].iloc[0])}
    figures = [one for one in _FIGURES if one[0] not in _OF_SOME or runs[one[0]].notna().any()]
    table = Table(
        [
            Column("run", rank=3, key="run_id"),
            *(Column(name, rank=ranks.get(name, 2)) for name in names),
            *(Column(head, rank, right=True, key=name) for name, head, _, rank in figures),
            Column("status"),
            Column("why", prose=True, key="reason"),
        ],
        title="the same in all: " + ", ".join(f"{one} {value}" for one, value in known.items()),
        common={name: _plain(value) for name, value in known.items()},
    )
    shown = ["run_id", "status", "reason", *names, *(name for name, *_ in figures)]
    for run in runs[shown].to_dict("records"):
        style = "" if run["status"] == "ok" else "red"
        reason = "" if style == "" or _missing(run["reason"]) else str(run["reason"])
        table.add(
            Cell(str(run["run_id"])[:8], run["run_id"]),
            *(Cell("" if _missing(run[name]) else str(run[name]), run[name]) for name in names),
            *(_figure(run[name], name, form) for name, _, form, _ in figures),
            Cell(str(run["status"]), style=style),
            Cell(reason, style=style),
        )
    return table


def _figure(value: Any, name: str, form: str) -> Cell:
    if _missing(value):
        return Cell("", float("nan"))
    shown = value / 2**20 if name.endswith("_bytes") else value
    return Cell(format(shown, form) if form else significant(shown), value)


def _missing(value: Any) -> bool:
    """True if a scalar is null (None, NaN, NaT); False for a list or tuple."""
    import pandas as pd

    return bool(pd.isna(value)) if not isinstance(value, (list, tuple)) else False


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def run_table(run: "pd.Series") -> Table:
    """Every column of one run, as a table of one row, for programs."""
    columns = RUN_COLUMNS + DERIVED_COLUMNS
    table = Table([Column(column.name, key=column.name) for column in columns])
    values = (run[column.name] for column in columns)
    table.add(*(Cell("", None if _missing(value) else _plain(value)) for value in values))
    return table


def print_run(run: "pd.Series", console: Console | None = None) -> None:
    """Every column of one run with its meaning; JSON is spread over lines."""
    from rich.table import Table as Drawn
    from rich.text import Text

    drawn = Drawn(box=None, pad_edge=False, header_style="bold")
    for name in ("column", "value", "meaning"):
        drawn.add_column(name, overflow="fold")
    for column in RUN_COLUMNS + DERIVED_COLUMNS:
        value = run[column.name]
        if isinstance(value, tuple):
            shown = in_line(", ".join(map(str, value)))
        elif _missing(value):
            shown = ""
        elif column.json:
            shown = json.dumps(json.loads(value), indent=1)
        else:
            shown = in_line(value)
        drawn.add_row(column.name, Text(shown), column.meaning)
    (console or Terminal(width=width_of(sys.stdout))).print(drawn)
