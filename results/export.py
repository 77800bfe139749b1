"""A frame as CSV, Parquet, Markdown or LaTeX."""

import io
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("csv", "parquet", "markdown", "latex")

# By frame, what fits on a page; CSV and Parquet carry every column.
PAGE_COLUMNS = {
    "runs": (
        "framework",
        "architecture",
        "dataset",
        "labels",
        "seed",
        "parity",
        "tuning",
        "precision",
        "device",
        "status",
        "parameters",
        "test_accuracy",
        "test_cross_entropy",
        "compile_seconds",
        "epoch_seconds_median",
        "images_per_second",
    ),
    "epochs": ("run_id", "epoch", "split", "loss", "accuracy", "epoch_seconds"),
    "predictions": ("run_id", "index", "label", "predicted"),
    "findings": (
        "rung",
        "case",
        "framework",
        "against",
        "metric",
        "value",
        "bound",
        "status",
        "where",
        "flips",
    ),
    "curves": ("case", "kind", "framework", "label", "difference"),
    "attribution": (
        "architecture",
        "factor",
        "direction",
        "framework",
        "seed",
        "status",
        "accuracy",
        "cross_entropy",
    ),
}


def exported(frame: "pd.DataFrame", form: str) -> bytes:
    """The frame in one of `FORMATS`, UTF-8 where it is text.

    Lists become JSON in CSV; Markdown and LaTeX round to four significant figures.
    """
    match form:
        case "csv":
            return frame.apply(_lists_as_json).to_csv(index=False).encode()
        case "parquet":
            buffer = io.BytesIO()
            frame.to_parquet(buffer, index=False)
            return buffer.getvalue()
        case "markdown":
            return markdown(frame).encode()
        case "latex":
            shown = _shown(frame).map(_latex_escaped)
            shown.columns = [_latex_escaped(name) for name in shown.columns]
            aligned = "".join("r" if _is_number(frame[name]) else "l" for name in frame)
            return shown.to_latex(index=False, column_format=aligned).encode()
    raise ValueError(f"unknown format {form!r}; one of {', '.join(FORMATS)}")


def markdown(frame: "pd.DataFrame") -> str:
    """A pipe table, numbers to the right."""
    shown = _shown(frame)
    rule = ["--:" if _is_number(frame[name]) else ":--" for name in frame.columns]
    rows = [list(map(str, frame.columns)), rule]
    rows += [[_one_line(cell).replace("|", "\\|") for cell in row] for row in shown.to_numpy()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _is_number(series: "pd.Series") -> bool:
    return series.dtype.kind in "iuf"


def _shown(frame: "pd.DataFrame") -> "pd.DataFrame":
    return frame.astype(object).map(_cell)


def _cell(value: object) -> str:
    import numpy as np
    import pandas as pd

    if np.ndim(value):  # type: ignore[arg-type]
        return str(_list_as_json(value))
    if value is None or value is pd.NA or value is pd.NaT or value != value:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _latex_escaped(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {character: f"\\{character}" for character in "&%$#_{}"}
    return "".join(special.get(character, character) for character in _one_line(text))


def _lists_as_json(series: "pd.Series") -> "pd.Series":
    if series.dtype != object:
        return series
    return series.map(_list_as_json)


def _list_as_json(value: object) -> object:
    if hasattr(value, "tolist"):  # an array of probabilities
        value = value.tolist()
    return json.dumps(value) if isinstance(value, (tuple, list)) else value
