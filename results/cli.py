"""Parts that all commands share: parser, number types, signals, exit status, error messages.

It stands in `results`, which imports no other part of the project, so that `benchmarks`, `report`
and `datasets` can use one implementation.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from results import interrupts
from results.names import in_line, printable
from results.output import give_up_output, open_streams, say, say_last
from results.parquet.files import damage_on_stderr
from results.store import DEFAULT_STORE
from results.vocabulary import near_miss

OK, BAD_INPUT = 0, 2  # exit statuses
_AGAIN_SECONDS = 0.05
INSTALLED = False  # set by the dispatcher: help then names `galaxy-benchmark run`


class Parser(argparse.ArgumentParser):
    """Short errors with the near miss of what is misspelt; no abbreviations of options."""

    def __init__(self, **settings: Any) -> None:
        if settings.get("epilog"):
            settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**{**settings, "allow_abbrev": False})
        # Python's own readers take `1_000`, `nan` and "": none of our options does.
        for kind, read in {int: whole, float: number, Path: path}.items():
            self.register("type", kind, read)

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"error: {printable(_short(message))}\nSee {self.prog} --help\n")

    def parse_args(self, args=None, namespace=None):
        if "_ARGCOMPLETE" in os.environ:  # the shell asks what could stand next
            import argcomplete

            argcomplete.autocomplete(self)
        return super().parse_args(args, namespace)

    def parse_known_args(self, args=None, namespace=None):
        words = list(sys.argv[1:] if args is None else args)
        has_commands = self._subparsers is not None
        rest = iter(words)
        for word in rest:  # first of all: a required option may be missing because it is misspelt
            if word == "--" or (has_commands and not word.startswith("-")):
                break
            option = self._option_string_actions.get(word.partition("=")[0])
            if option is None and word.startswith("--"):
                self._refuse(word)
            if option is not None and option.nargs is None and "=" not in word:
                next(rest, None)  # its value
        options, unknown = super().parse_known_args(words, namespace)
        # Python takes an argument that may be left out beside the others alone: not behind options
        for action in self._positionals._group_actions:
            left_out = action.nargs == "?" and getattr(options, action.dest) == action.default
            if unknown and left_out and not unknown[0].startswith("-"):
                setattr(options, action.dest, self._get_values(action, [unknown.pop(0)]))
        if unknown:
            self._refuse(unknown[0])
        return options, unknown

    def _refuse(self, word: str) -> NoReturn:
        name = word.partition("=")[0]
        known = self._option_string_actions if word.startswith("-") else ()
        what = "option" if word.startswith("-") else "argument"
        self.error(f"unknown {what} '{name}'{near_miss(name, known)}")

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        commands = isinstance(action, argparse._SubParsersAction)  # the rest is theirs to judge
        for text in arg_strings[:1] if commands else arg_strings:
            if not text.strip():
                raise argparse.ArgumentError(action, f"'{text}' names nothing; leave it out")
        if action.nargs == "+" and action.option_strings:
            for text in arg_strings:
                parts = [part.strip() for part in text.split(",")]
                if len(parts) > 1 and "=" not in text and not os.path.exists(text):
                    told = " ".join([action.option_strings[-1], *filter(None, parts)])
                    raise argparse.ArgumentError(action, f"use spaces, not commas: {told}")
        return super()._get_values(action, arg_strings)

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        try:
            return super()._get_value(action, arg_string)
        except OSError as error:  # a path that no file system takes
            told = f"'{in_line(arg_string)}' cannot be used: {error.strerror}"
            raise argparse.ArgumentError(action, told) from error

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            what = "command" if isinstance(action, argparse._SubParsersAction) else "value"
            hint = near_miss(str(value), known)
            one_of = f"unknown {what} '{value}'{hint}; one of {', '.join(known)}"
            raise argparse.ArgumentError(action, one_of)


def parser(module: str, description: str, **settings: Any) -> Parser:
    """The parser of the command `python -m MODULE`, with --version.

    On Windows it ends the command with a message: the harness needs what only POSIX has.
    """
    if sys.platform == "win32":
        say("error: Windows is not supported; use WSL (https://aka.ms/wsl)", error=True)
        raise SystemExit(BAD_INPUT)
    name = module.removeprefix("benchmarks.")
    program = f"galaxy-benchmark {name}" if INSTALLED else f"python -m {module}"
    open_streams()
    made = Parser(prog=program, description=description, **settings)
    made.add_argument("--version", action=_Version, nargs=0, help="print version and commit")
    return made


class _Version(argparse.Action):
    """Finds out version and commit when they are asked for, not for every --help."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from results.version import commit, version

        revision, dirty = commit()
        told = f"commit {revision or 'unknown'}{', changed since' if dirty else ''}"
        say(f"galaxy-training-benchmark {version()} ({told})")
        parser.exit(OK)


# ---- numbers and paths, for `type=`: what is not one is told in their error

MOST = 10**6  # of what is counted: steps, processes, pixels
_LONG_WORD = re.compile(r"\S{1000,}")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def add_store(parser: argparse._ActionsContainer) -> None:
    """Add --store, the directory of the results."""
    parser.add_argument(
        "--store",
        type=Path,
        default=DEFAULT_STORE,
        metavar="DIR",
        help="directory of the results (default: %(default)s)",
    )


def natural(text: str) -> int:
    """0, 1, 2, ... of at most 64 bits"""
    return int(_number(text, 0, 2**63 - 1, "a whole number, 0 or more", _WHOLE))


def positive(text: str) -> int:
    """1, 2, 3, ... up to `MOST`"""
    return int(_number(text, 1, MOST, "a whole number, 1 or more", _WHOLE))


def whole(text: str) -> int:
    """A whole number of at most 64 bits"""
    return int(_number(text, -(2**63), 2**63 - 1, "a whole number", _WHOLE))


def number(text: str) -> float:
    """A finite number"""
    return float(_number(text, -_LARGEST, _LARGEST, "a number", _DECIMAL))


def as_number(text: str) -> int | float | str:
    """The number that a text is, if it is one, by the rules of `whole` and `number`."""
    if _WHOLE.fullmatch(text):
        return whole(text)
    return number(text) if _DECIMAL.fullmatch(text) else text


def seconds(text: str) -> float:
    """0 or more, finite"""
    return float(_number(text, 0, _LARGEST, "a number of seconds, 0 or more", _DECIMAL))


def share(text: str) -> float:
    """0 or more, finite"""
    return float(_number(text, 0, _LARGEST, "a number, 0 or more", _DECIMAL))


def path(text: str) -> Path:
    """A path that is not empty: an empty one would be the working directory"""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"'{in_line(text)}' names no file and no directory")
    return Path(text)


def output(text: str) -> Path:
    """A file to write, tried before any work is done for it"""
    file = path(text)
    if file.is_dir():
        raise argparse.ArgumentTypeError(f"'{in_line(text)}' is a directory; name a file")
    if file.is_fifo():
        _hold_pipe(file, text)
    if not file.exists() or file.is_file():  # a device or a pipe needs no directory
        _check_writable(Path(os.path.realpath(file)).parent, text)
    return file


def output_directory(text: str) -> Path:
    """A directory to write to, made if need be, tried before any work is done for it"""
    made = path(text)
    there = (one for one in (made, *made.absolute().parents) if _is_there(one))
    _check_writable(next(there), text)
    return made


def _is_there(path: Path) -> bool:
    """True also of a link that leads nowhere; raises OSError for a path that cannot be."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _hold_pipe(file: Path, text: str) -> None:
    """Open a pipe, for good: writing to one that nothing reads would wait for ever, and a reader
    ends when the last writer closes it."""
    try:
        os.open(file, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        told = f"'{in_line(text)}' is a pipe that nothing reads"
        raise argparse.ArgumentTypeError(told) from error


def _check_writable(directory: Path, text: str) -> None:
    if not directory.is_dir():
        what = "is no directory" if _is_there(directory) else "is not there; create it first"
    elif not os.access(directory, os.W_OK | os.X_OK):
        what = "may not be written"
    else:
        return
    where = f"{in_line(directory)} {what}"
    raise argparse.ArgumentTypeError(f"'{in_line(text)}' cannot be written: {where}")


_LARGEST = sys.float_info.max


def _number(text: str, least: float, most: float, wanted: str, form: re.Pattern[str]) -> Any:
    """A number as people write it: `1_000` and the digits of other scripts are none."""
    shown = in_line(text if len(text) <= 40 else f"{text[:40]}...")
    if not form.fullmatch(text):
        raise argparse.ArgumentTypeError(f"'{shown}' is not {wanted}")
    if form is _WHOLE:
        value: float = int(text) if len(text) <= 40 else (least - 1 if text[0] == "-" else most + 1)
    else:
        value = float(text)
        if value == 0 and re.search("[1-9]", re.split("[eE]", text)[0]):
            raise argparse.ArgumentTypeError(f"'{shown}' is too small; a float makes 0 of it")
    if value < least:
        raise argparse.ArgumentTypeError(f"'{shown}' is not {wanted}")
    if value > most:
        limit = f"{most:,}" if form is _WHOLE else "a float holds"
        raise argparse.ArgumentTypeError(f"'{shown}' is too large; at most {limit}")
    return value


# ---- how a command ends


class Interrupted(KeyboardInterrupt):
    """The command was asked to end, by Ctrl-C or another signal.

    A class of its own: where a KeyboardInterrupt has passed through an `exec`, Python ends by the
    signal, whoever handled it, and not with the status.

    number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Stopping:
    """The signals of the command under way.

    number: of the first one so far, 0 without any.
    """

    number = 0


@contextmanager
def signals_raise() -> Iterator[Stopping]:
    """Inside, the first signal raises Interrupted; the second ends the process (`interrupts`).

    So what is under way is killed, scratch files are removed and what was finished is kept.
    """
    stopping = Stopping()
    if threading.current_thread() is not threading.main_thread():  # signals do not reach it
        yield stopping
        return

    def interrupt(number: int, _: object) -> NoReturn:
        stopping.number = number
        interrupts.handle(interrupts.end)
        raise Interrupted(number)

    def again(dropped: Any) -> None:
        """Python drops what is raised in a destructor, or in a callback of its import system."""
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            hook(dropped)
            return
        interrupts.handle(interrupt)
        thread = threading.get_ident()  # it may wait for something that only a signal interrupts
        arguments = [thread, stopping.number]
        threading.Timer(_AGAIN_SECONDS, signal.pthread_kill, arguments).start()

    hook, sys.unraisablehook = sys.unraisablehook, again
    before = interrupts.handle(interrupt)
    try:
        yield stopping
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def run(command: Callable[[], int | None], kept: str = "", unread: int = OK) -> int:
    """Run a command; returns its exit status, however it ends.

    Args:
        command: returns a status, None for 0. Its ValueError or OSError is bad input, printed as
            one message.
        kept: what to say of finished work after a signal; the status is 128 + signal.
        unread: the status when the reader of the output, such as `head`, has had enough.
    """
    stopping, status = Stopping(), OK
    try:
        with signals_raise() as stopping, damage_on_stderr():
            status = command() or OK
        sys.stdout.flush()
    except KeyboardInterrupt as interrupt:
        stopping.number = getattr(interrupt, "number", signal.SIGINT)
    except Exception as error:
        if not stopping.number:
            return _failed(error, unread)
        # a library has made another error of the signal
    if stopping.number:
        say_last("; ".join(filter(None, ["interrupted", kept])))
        return 128 + stopping.number
    return status


def _failed(error: Exception, unread: int) -> int:
    """The status after an error, which is told if it is one of the user's."""
    if isinstance(error, BrokenPipeError):
        give_up_output()
        return unread
    if isinstance(error, ValueError | OSError):
        say_last(f"error: {_short(message(error))}")
        return BAD_INPUT
    raise error


def _short(text: str) -> str:
    """A message without the middle of a word that no line has room for."""
    return _LONG_WORD.sub(lambda word: f"{word[0][:40]}...{word[0][-40:]}", text)


def message(error: Exception) -> str:
    """The words of an error, without the number of an OSError."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    return str(error)
