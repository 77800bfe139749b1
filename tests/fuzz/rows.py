"""Rows of a store whose types are right and whose values no run has, read by whole commands."""

from __future__ import annotations

import contextlib
import copy
import io
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import track
from results import __main__ as results
from results.store import Store
from tests.fuzz import damage
from tests.helpers.factory import synthetic_run

_WORDS = ("", "x", "[red]", "x[/red]y", "\x1b[31m", "../../e", "$x^{2$", "<script>", "a" * 5000)
_WORDS += ("\u202e", "line\nbreak", "nan", "0", "ok", "timeout", "cuda", "native", "bfloat16")
_WHOLE = (0, -1, 1, 10**12, 2**62, 2**63 - 1, -(2**63))
_NUMBERS = (0.0, -1.0, 0.5, float("nan"), float("inf"), float("-inf"), 1e308, -1e308, 5e-324)
METRICS = ("epoch-time", "images-per-second", "compile-time", "peak-memory", "accuracy")


def run(path: Path) -> None:
    """A file of a store."""
    Store(path.parent).append(*synthetic_run("jax", epochs=2)).rename(path)


def odd(content: bytes, draw: random.Random) -> bytes:
    """Some columns of the file with other values of their types."""
    table = pq.read_table(io.BytesIO(content))
    for _ in range(draw.choice((1, 1, 2, 4))):
        place = draw.randrange(table.num_columns)
        field = table.schema.field(place)
        value = _odd(table[place][0].as_py(), field.type, draw)
        table = table.set_column(place, field, pa.array([value], field.type))
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def _odd(value: Any, kind: pa.DataType, draw: random.Random) -> Any:
    if draw.random() < 0.1:
        return None
    if isinstance(value, str) and value.startswith("{") and draw.random() < 0.9:
        return damage.of_json(value.encode(), draw).decode(errors="replace")
    if pa.types.is_list(kind):
        item = kind.value_type
        if pa.types.is_struct(item):
            rows = copy.deepcopy(value)[: draw.choice((0, 1, None, None, None))]
            field = item.field(draw.randrange(item.num_fields))
            for row in rows[: draw.choice((1, None))]:
                row[field.name] = _odd(row[field.name], field.type, draw)
            return rows
        one = _odd(None, item, draw)
        return [one] * draw.choice((0, 1, len(value or ()), 50))
    if pa.types.is_timestamp(kind):
        return draw.choice((0, 2**62 // 1000, -(2**60) // 1000))
    if pa.types.is_boolean(kind):
        return draw.choice((True, False))
    if pa.types.is_integer(kind):
        return draw.choice(_WHOLE)
    return draw.choice(_NUMBERS if pa.types.is_floating(kind) else _WORDS)


def shown(path: Path, *all_of_them: str) -> None:
    """The store as a table, with a sound run of another framework."""
    assert results.main(["show", *_beside(path), *all_of_them]) == 0


def exported(path: Path) -> None:
    """The store as CSV."""
    output = ["--output", str(path.parent / "runs.csv")]
    with contextlib.redirect_stderr(io.StringIO()):  # what is written, that none is left to judge
        assert results.main(["export", *_beside(path), *output]) == 0


def tracked(path: Path) -> None:
    """The history of every metric, and one of them as a figure."""
    drawn = list(METRICS)[path.stat().st_size % len(METRICS)]
    words = ["history", *_beside(path), "--json", "--metric"]
    with contextlib.redirect_stderr(io.StringIO()):
        assert track.main([*words, *METRICS, "--no-figure"]) in (0, 2)
        assert track.main([*words, drawn]) in (0, 2)


def _beside(path: Path) -> list[str]:
    with contextlib.suppress(ValueError):  # it is there from the input before
        Store(path.parent).append(*synthetic_run("torch", epochs=2))
    return ["--store", str(path.parent)]


READ = {
    "shown": shown,
    "shown whole": lambda path: shown(path, "--all"),
    "exported": exported,
    "tracked": tracked,
}
