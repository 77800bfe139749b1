"""Names of users in paths, on terminals, on pages and in figures."""

import doctest
import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from results import names
from results.names import beneath, file_name, for_figure, in_line, printable
from results.terminal import Terminal

BAD = [
    *("", ".", "..", "../../../evil", "/etc/passwd", "my/net", "a\\b", "C:\\x", "con", "NUL.txt"),
    *("x[/red]y", "[bold]y", "a" * 400, "é" * 300, "\x1b[31mred", "a\x00b", "-rf", ".hidden"),
    *("net.", "net ", "a\udcffb", "$x^{2$", "<script>", "\u202egpj.exe", "line\nbreak", "Net"),
]


@pytest.mark.parametrize("name", BAD)
def test_any_name_makes_a_file_inside_its_directory(name: str, tmp_path: Path) -> None:
    path = beneath(tmp_path, name, name, ending=".json")
    path.parent.mkdir(parents=True)
    path.write_text("x")
    assert path.resolve().is_relative_to(tmp_path.resolve())
    assert path.parent.parent == tmp_path
    assert [entry.name for entry in os.scandir(tmp_path)] == [file_name(name)]


def test_different_names_are_different_files_on_any_file_system() -> None:
    spelt = [*BAD, "net", "NET", "my_net", "my/Net", "a" * 401, "con", "CON"]
    assert len({file_name(name).lower() for name in spelt}) == len(set(spelt))


@given(st.text(max_size=300), st.sampled_from(["", ".png", ".parquet"]))
def test_a_file_name_is_portable(text: str, ending: str) -> None:
    made = file_name(text, ending)
    assert len(made.encode()) <= names.LONGEST + 1
    assert made.endswith(ending)
    assert set(made) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@+=,._-~"
    )
    assert made[0] not in ".-~"
    assert made[-1] != "."


def test_plain_names_stay_as_they_are() -> None:
    assert file_name("unam", ".png") == "unam.png"
    assert file_name("torch-c2-seed0-0a1b2c3d") == "torch-c2-seed0-0a1b2c3d"
    assert not doctest.testmod(names).failed


@given(st.text())
def test_what_is_printed_steers_no_terminal(text: str) -> None:
    shown = printable(text)
    assert all(one in "\n\t" or ord(one) >= 32 for one in shown)
    assert not set(shown) & {"\x7f", "\x9b", "\u202e", "\u2028"}
    shown.encode()  # no lone surrogates


def test_printable_shows_what_was_there() -> None:
    assert printable("a\x1b[31mb\udcff\u202ec\nd\té") == "a\\x1b[31mb\\xff\\u202ec\nd\té"
    assert in_line("a\r\nb\tc") == "a b c"
    assert for_figure("$x$") == r"\$x\$"
    cut = for_figure(f"short\nfirst{'a' * 400}last")
    assert [len(line) for line in cut.split("\n")] == [5, 80]
    assert cut.split("\n")[1][:6] == "firsta"
    assert "…" in cut
    assert cut.endswith("alast")


@pytest.mark.parametrize("name", ["x[/red]y", "[bold]y", ":smile:", "\x1b]0;title\x07"])
def test_the_terminal_takes_text_alone(name: str) -> None:
    out = io.StringIO()
    terminal = Terminal(file=out, width=200, force_terminal=True, color_system=None)
    table = Table(name, title=name, box=None)
    table.add_row(name)
    table.add_row(Text(name))
    terminal.print(table)
    terminal.print(name, style="red")
    shown = out.getvalue()
    assert shown.count(printable(name)) >= 4  # a Text is measured before it is made harmless
    assert printable(shown) == shown
