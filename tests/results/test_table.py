"""One renderer: the answer survives at 80 columns, everything is there at 160."""

import csv
import io
import json
import sys

import pytest
from rich.cells import cell_len
from rich.console import Console

from results.forms import data_alone, write_rows
from results.names import in_line
from results.table import Cell, Column, Table, elided, lines, show


def made(network: str = "unam", rows: int = 3) -> Table:
    table = Table(
        [
            Column("network"),
            Column("framework"),
            Column("test acc.", right=True),
            Column("epoch s", right=True),
            Column("ratio", right=True),
            Column("cross-entropy", rank=2, right=True),
            Column("peak MiB", rank=3, right=True),
            Column("GFLOP/s", rank=4, right=True),
            Column("why", prose=True),
        ],
        title="demo, matched",
    )
    for number in range(rows):
        table.add(
            network,
            f"framework-{number}",
            Cell("0.478 [0.445, 0.511]", 0.478, short="0.478"),
            Cell("12.73 (12.51 to 13.02)", 12.73, short="12.7"),
            Cell(f"1.{number}", 1 + number / 10),
            Cell("1.234567", float("nan")),
            "1,024",
            "123,456",
            Cell("loss is NaN " * 6 if number == 1 else "", style="red"),
        )
    return table


def text(table: Table, width: int) -> list[str]:
    return [line.plain for line in lines(table, width)]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 160, 200])
@pytest.mark.parametrize(
    "network",
    ["unam", "a" * 400, "銀河" * 50, "[bold]x[/red]\x1b[31m\n"],
    ids=["plain", "long", "wide", "markup"],
)
def test_no_line_is_wider_than_the_terminal(width: int, network: str) -> None:
    found = text(made(network), width)
    assert max(map(cell_len, found)) <= width
    assert not any(set(line) & set("\x1b\n\r\t\x07") for line in found)


@pytest.mark.parametrize("width", [40, 60, 80, 120, 160, 200])
def test_the_answer_survives_at_every_width(width: int) -> None:
    printed = "\n".join(text(made("a" * 400), width))
    for answer in ("0.478", "12.7", "1.0", "1.1", "1.2"):
        assert answer in printed


def test_what_is_left_out_goes_by_rank_and_is_named() -> None:
    found = text(made(), 80)
    assert found[-1] == "not shown at 80 columns: cross-entropy, peak MiB, GFLOP/s"
    assert "0.478 [0.445, 0.511]" in found[2]  # no figure is cut while columns can go
    assert "not shown" not in "\n".join(text(made(), 160))
    assert "GFLOP/s" in text(made(), 160)[1]


def test_sentences_stand_below_their_row() -> None:
    found = text(made(), 100)
    row = next(number for number, line in enumerate(found) if "framework-1" in line)
    assert found[row + 1].startswith("    loss is NaN")
    assert "framework-2" not in found[row + 1]


def test_an_empty_table_is_its_header() -> None:
    assert len(text(made(rows=0), 160)) == 2


def test_a_row_has_a_cell_for_each_column() -> None:
    with pytest.raises(ValueError, match="1 cell for 9 columns"):
        made().add("unam")


def test_markup_is_printed_and_not_obeyed() -> None:
    target = io.StringIO()
    console = Console(file=target, width=80, highlight=False, force_terminal=True)
    show(made("x[/red]y[bold]z"), console=console)
    assert "x[/red]y[bold]z" in target.getvalue()


def test_elided_names_keep_both_ends() -> None:
    assert elided("a" * 10 + "z" * 10, 9) == "aaaa…zzzz"
    assert elided("short", 9) == "short"
    assert in_line("a\x1b[31m\u202eb\n c") == "a\\x1b[31m\\u202eb c"


def test_programs_read_values_and_not_text() -> None:
    out = io.StringIO()
    write_rows([made()], "json", out)
    rows = json.loads(out.getvalue())
    assert rows[0]["test_acc"] == 0.478
    assert rows[0]["cross-entropy"] is None  # NaN is no JSON
    out = io.StringIO()
    write_rows([made(), made(rows=1)], "csv", out)
    found = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert len(found) == 4
    assert found[0]["epoch_s"] == "12.73"


@pytest.mark.parametrize("form", ["json", "csv"])
def test_data_are_utf_8_whatever_the_terminals_encoding(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(kept, "ascii", "backslashreplace"))
    with data_alone(form) as out:
        write_rows([Table([Column("name")], [["é"]])], form, out)
        out.flush()
    assert "é" in kept.getvalue().decode()


def test_the_data_are_alone_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with data_alone("json") as out:
        print("progress")
        write_rows([made()], "json", out)
    captured = capsys.readouterr()
    assert json.loads(captured.out)
    assert captured.err == "progress\n"
    with data_alone("") as out:
        assert out is sys.stdout
