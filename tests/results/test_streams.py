"""Output that is closed, full or no longer read, and words that a terminal must not obey."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from results import cli
from results.output import say
from tests.conftest import ROOT

# Prints in both ways of the project, opens a file of its own, and has a child print.
_COMMAND = """
import subprocess, sys
from results import cli
from results.output import say
from results.table import Column, Table, show
def command():
    file = open(sys.argv[1], "w")
    for _ in range(int(sys.argv[2])):
        say("a line of say: é")
        show(Table([Column("a table")], [["é"] * 1]))
    subprocess.run(["echo", "a child's"], check=False)
    file.close()
    return 0
cli.parser("results", "For the tests.")
sys.exit(cli.run(command))
"""


def ended(shell: str, file: Path, count: int = 3, **variables: str) -> tuple[int, str, str]:
    """Status, output and errors of the command, started by a shell with redirections."""
    words = f'"{sys.executable}" -c "$COMMAND" "{file}" {count}'
    done = subprocess.run(
        ["bash", "-c", shell.replace("COMMAND", words, 1)],
        cwd=ROOT,
        env=os.environ | {"COMMAND": _COMMAND} | variables,
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_a_closed_stream_is_no_other_file(closed: str, tmp_path: Path) -> None:
    status, output, errors = ended(f"COMMAND {closed}", tmp_path / "own")
    assert (status, errors) == (cli.OK, "")
    assert (tmp_path / "own").read_bytes() == b""
    assert ("a line" in output) == (">&-" not in closed.replace("2>&-", ""))


def test_a_full_disk_is_told_once(tmp_path: Path) -> None:
    status, _, errors = ended("COMMAND >/dev/full", tmp_path / "own")
    assert (status, errors) == (cli.BAD_INPUT, "error: No space left on device\n")
    assert ended("COMMAND >/dev/full 2>/dev/full", tmp_path / "own")[0] == cli.BAD_INPUT


def test_a_reader_that_goes_is_no_fault(tmp_path: Path) -> None:
    shell = "COMMAND | head -1; exit ${PIPESTATUS[0]}"
    status, output, errors = ended(shell, tmp_path / "own", 5000)
    assert (status, output, errors) == (cli.OK, "a line of say: é\n", "")


def test_an_encoding_without_a_letter_shows_its_number(tmp_path: Path) -> None:
    status, output, errors = ended("COMMAND", tmp_path / "own", PYTHONIOENCODING="ascii")
    assert (status, errors) == (cli.OK, "")
    assert "a line of say: \\xe9\n" in output


def test_what_is_said_steers_no_terminal() -> None:
    out = io.StringIO()
    say("\x1b[31m\u202e[red]\udcff\r", to=out)
    assert out.getvalue() == "\\x1b[31m\\u202e[red]\\xff\\x0d\n"
