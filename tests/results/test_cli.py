"""What all commands share: how options are refused, how numbers are read, how a command ends."""

import argparse
import importlib
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from results import cli
from results.vocabulary import near_miss
from tests.fuzz.readers import COMMANDS


def made() -> cli.Parser:
    """A command with a subcommand that needs two things."""
    line = cli.parser("benchmarks.track", "For the tests.")
    line.add_argument("--size", type=cli.positive)
    commands = line.add_subparsers(metavar="COMMAND", required=True)
    export = commands.add_parser("export")
    export.add_argument("--format", choices=("csv", "markdown"), required=True)
    export.add_argument("--frameworks", nargs="+")
    export.add_argument("--limit", type=cli.natural)
    export.add_argument("rest", nargs="*")
    convert = commands.add_parser("convert")
    convert.add_argument("source", type=Path)
    convert.add_argument("made", type=Path, nargs="?")
    convert.add_argument("--limit", type=cli.natural)
    return line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--siz 3 export --format csv", "unknown option '--siz' (did you mean '--size'?)"),
        ("--size 3 --siz 4 export", "unknown option '--siz' (did you mean '--size'?)"),
        ("--size 3 exprt", "unknown command 'exprt' (did you mean 'export'?); one of export, con"),
        ("--size 0 export", "'0' is not a whole number, 1 or more"),
        ("export --fromat csv", "unknown option '--fromat' (did you mean '--format'?)"),
        ("export --format csv --limi 3", "unknown option '--limi' (did you mean '--limit'?)"),
        ("export --format=cvs", "unknown value 'cvs' (did you mean 'csv'?); one of csv, markdown"),
        ("export --format csv -x", "unknown option '-x'"),
        ("convert a --limit 3 b c", "unknown argument 'c'"),
        ("export --format csv --limit=-1", "'-1' is not a whole number, 0 or more"),
        ("export --format csv --frameworks torch,jax", "use spaces, not commas: --frameworks torc"),
        ("export --format csv --frameworks torch, jax", "use spaces, not commas: --frameworks t"),
    ],
)
def test_what_is_refused_and_how(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        made().parse_args(words.split())
    assert end.value.code == cli.BAD_INPUT
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert message in errors
    assert errors.splitlines()[1].startswith("See python -m benchmarks.track")


def test_what_may_be_left_out_may_stand_behind_an_option() -> None:
    for words in ("convert a b --limit 3", "convert a --limit 3 b", "convert --limit 3 a b"):
        found = made().parse_args(words.split())
        assert (found.source, found.made, found.limit) == (Path("a"), Path("b"), 3)
    assert made().parse_args(["convert", "a", "--limit", "3"]).made is None


def test_options_of_another_command_stand_after_two_dashes() -> None:
    words = ["export", "--format", "csv", "--", "--frameworks", "torch,jax"]
    assert made().parse_args(words).rest == ["--frameworks", "torch,jax"]


def test_a_comma_in_a_file_s_name_is_no_list(tmp_path) -> None:
    path = tmp_path / "a,b.toml"
    path.touch()
    options = made().parse_args(["export", "--format", "csv", "--frameworks", str(path)])
    assert options.frameworks == [str(path)]


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("gpu", ("auto", "cpu", "cuda"), "cuda"),
        ("cuda:0", ("cpu", "cuda"), "cuda"),
        ("TensorFlow", ("torch", "jax", "keras"), "keras"),
        ("pytorch", ("keras@torch", "torch"), "torch"),
        ("flax", ("keras", "jax"), "jax"),
        ("fp16", ("float64", "float32", "float16", "bfloat16"), "float16"),
        ("flaot32", ("float64", "float32"), "float32"),
    ],
)
def test_other_names_lead_to_ours(word: str, known: tuple[str, ...], meant: str) -> None:
    assert near_miss(word, known) == f" (did you mean '{meant}'?)"


def test_on_windows_there_is_one_message(monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SystemExit) as end:
        made()
    assert end.value.code == cli.BAD_INPUT
    assert capsys.readouterr().err.startswith("error: Windows is not supported; use WSL")


def test_a_stopped_command_says_what_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    def asked_to_end() -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        return 0

    assert cli.run(asked_to_end, "runs.json has the rest") == 143
    assert capsys.readouterr().err == "interrupted; runs.json has the rest\n"
    assert cli.run(asked_to_end) == 143
    assert capsys.readouterr().err == "interrupted\n"


def test_ctrl_c_is_status_130() -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    assert cli.run(interrupted) == 130


def test_signals_are_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(cli.Interrupted), cli.signals_raise():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("--size is 0"), "error: --size is 0\n"),
        (
            PermissionError(13, "Permission denied", "out.csv"),
            "error: out.csv: Permission denied\n",
        ),
        (OSError(28, "cannot write to runs: no space"), "error: cannot write to runs: no space\n"),
        (FileNotFoundError("no models in x"), "error: no models in x\n"),
    ],
)
def test_bad_input_is_told_in_its_own_words(
    error: Exception, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> int:
        raise error

    assert cli.run(fails) == cli.BAD_INPUT
    assert capsys.readouterr().err == told


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (int, "1_000", "'1_000' is not a whole number"),
        (int, "٣", "is not a whole number"),
        (int, "９", "is not a whole number"),
        (int, "9223372036854775808", "is too large; at most 9,223,372,036,854,775,807"),
        (int, "9" * 5000, "...' is too large"),
        (cli.natural, "1" * 30, "is too large"),
        (cli.positive, "1000000000", "is too large; at most 1,000,000"),
        (float, "nan", "'nan' is not a number"),
        (float, "1e999", "is too large; at most a float holds"),
        (cli.seconds, "inf", "'inf' is not a number of seconds"),
        (float, "1e-400", "'1e-400' is too small; a float makes 0 of it"),
        (float, "1_0.5", "is not a number"),
        (cli.share, "\x1b[31m", "'\\x1b[31m' is not a number"),
        (Path, "", "'' names nothing; leave it out"),
        (str, " ", "' ' names nothing; leave it out"),
    ],
)
def test_numbers_and_paths_of_every_option(
    kind: type, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = cli.parser("benchmarks.track", "For the tests.")
    line.add_subparsers().add_parser("x").add_argument("--value", type=kind)
    with pytest.raises(SystemExit) as end:
        line.parse_args(["x", f"--value={text}"])
    errors = capsys.readouterr().err
    assert end.value.code == cli.BAD_INPUT
    assert message in errors
    assert len(errors) < 300


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (cli.output, "{0}", "is a directory; name a file"),
        (cli.output, "{0}/absent/x.json", "absent is not there; create it first"),
        (cli.output, "{0}/file/x.json", "file is no directory"),
        (cli.output_directory, "{0}/file", "file is no directory"),
        (cli.output_directory, "{0}/file/deep/deeper", "file is no directory"),
        (cli.output_directory, "", "names no file"),
        (cli.output, "{0}/gone", "not is not there"),
        (cli.output_directory, "{0}/gone", "gone is no directory"),
        (cli.output_directory, "{0}/loop", "loop is no directory"),
        (cli.output, "{0}/pipe", "is a pipe that nothing reads"),
    ],
)
def test_an_output_is_tried_before_the_work(kind, text: str, message: str, tmp_path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "gone").symlink_to("not/x")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(argparse.ArgumentTypeError, match=message):
        kind(text.format(tmp_path))
    assert kind(f"{tmp_path}/new") == tmp_path / "new"
    assert cli.output("/dev/stdout") == Path("/dev/stdout")


def test_a_path_that_no_file_system_takes(capsys: pytest.CaptureFixture[str]) -> None:
    line = cli.parser("results", "For the tests.")
    line.add_argument("--output", type=cli.output)
    line.add_argument("--directory", type=cli.output_directory)
    for option in ("--output", "--directory"):
        with pytest.raises(SystemExit) as end:
            line.parse_args([option, "a" * 300])
        assert end.value.code == cli.BAD_INPUT
        assert "cannot be used: File name too long" in capsys.readouterr().err


def test_a_word_that_no_line_has_room_for_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    line = cli.parser("results", "For the tests.")
    with pytest.raises(SystemExit):
        line.parse_args(["--" + "a" * 100_000])

    def fails() -> int:
        raise ValueError("no such suite: " + "b" * 100_000)

    assert cli.run(fails) == cli.BAD_INPUT
    told = capsys.readouterr().err
    assert "error: unknown option '--aaa" in told
    assert "error: no such suite: bbb" in told
    assert len(told) < 500


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_tries_its_outputs(name: str) -> None:
    module, made = COMMANDS[name]
    left = [getattr(importlib.import_module(module), made)()]
    while left:
        for action in left.pop()._actions:
            if isinstance(action, argparse._SubParsersAction):
                left += action.choices.values()
            elif re.search("output|page|write|report$|figure$", action.dest) and action.nargs != 0:
                # of `track export` the format says whether it is a file or a directory
                either = action.help.startswith("a file; of ")
                assert either or action.type in (cli.output, cli.output_directory), action
