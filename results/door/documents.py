"""TOML and JSON: read whole, typed to the last level."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from results.door.refusal import FileError, content, reading, reason

MOST_TOML = 1 << 20  # bytes; the largest that ships has some 6,000
MOST_JSON = 1 << 30
_MOST_LOOSE = 1 << 24  # of JSON that only Python takes, and of which it makes many times as much
# A key of a hundred parts; each part is tried once, wherever the search begins.
_TOO_DEEP = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){100}""")

_T = TypeVar("_T")


def toml_file(path: Path, what: str) -> dict[str, Any]:
    """The table of a TOML file.

    Args:
        what: the file is to be, with its article: "an architecture".

    Raises:
        FileError: it cannot be read, or is not TOML.
    """
    found = content(path, what, most=MOST_TOML)
    with reading(path, what):
        text = found.decode("utf-8")
    return toml_text(text, str(path))


def toml_text(text: str, origin: str) -> dict[str, Any]:
    """The table that a text in TOML holds; `origin` names it in messages.

    Raises:
        FileError: not TOML, or a whole number beyond 64 bits, which could not be stored.
    """
    if _TOO_DEEP.search(text):  # it would take the square of their number
        raise FileError(f"{origin}: not valid TOML: a key of so many parts is a slip")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FileError(f"{origin}: not valid TOML: {error}") from error
    except ValueError as error:  # a whole number of thousands of digits
        raise FileError(f"{origin}: not valid TOML: a number is too long to be read") from error
    except RecursionError as error:
        raise FileError(f"{origin}: not valid TOML: it is nested too deeply") from error
    for field, value in _numbers(table):
        if not -(2**63) <= value < 2**63:
            raise FileError(f"{origin}: field '{field}': a whole number of more than 64 bits")
    return table


def json_file(path: Path, kind: type[_T], what: str, remedy: str = "") -> _T:
    """A JSON file as `kind`, a type that msgspec knows.

    Raises:
        FileError: it cannot be read, is not JSON, or a value in it is of another type; the message
            names the field.
    """
    return json_bytes(content(path, what, remedy, most=MOST_JSON), kind, path, what, remedy)


def json_bytes(found: bytes, kind: type[_T], path: object, what: str, remedy: str = "") -> _T:
    """JSON in bytes as `kind`, a type that msgspec knows; `path` names them in the message.

    Raises:
        FileError: they are not JSON, or a value is of another type; the message names the field.
    """
    end = f"; {remedy}" if remedy else ""
    with reading(str(path), what, remedy):
        try:
            return _decoded(found, kind)
        except msgspec.ValidationError as error:
            raise FileError(f"{path}: not {what}: {place(error)}{end}") from error
        except (json.JSONDecodeError, msgspec.DecodeError) as error:
            raise FileError(f"{path}: not JSON: {error}{end}") from error


def _decoded(found: bytes, kind: type[_T]) -> _T:
    """JSON as `kind`: another type is refused before what it has would be made."""
    try:
        return msgspec.json.decode(found, type=kind)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        if len(found) > _MOST_LOOSE:
            raise
    return msgspec.convert(json.loads(found), kind)  # takes NaN, which Python's own writers write


def check_json(text: str, where: str) -> None:
    """Raise FileError where a text is no object in JSON, as a row of a store holds it."""
    try:
        msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        return
    except (msgspec.DecodeError, RecursionError):
        pass  # NaN is one reason, and no fault: it is looked at more closely
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{where}: not JSON: {reason(error)}") from error
    if not isinstance(value, dict):
        raise FileError(f"{where}: is JSON, and no object")


def place(error: msgspec.ValidationError) -> str:
    """msgspec's `Expected ... - at `$.epochs`` as `field 'epochs': expected ...`."""
    text, _, where = str(error).partition(" - at ")
    field = where.strip("`").removeprefix("$").removeprefix(".")
    return f"field '{field}': {text}" if field else text


def _numbers(table: Any) -> Iterator[tuple[str, int]]:
    """Every whole number with the place where it stands."""
    left: list[tuple[str, Any]] = [("", table)]
    while left:  # tables can be nested more deeply than calls
        name, value = left.pop()
        if isinstance(value, dict):
            left += [(f"{name}.{key}" if name else key, item) for key, item in value.items()]
        elif isinstance(value, list):
            left += [(f"{name}[{number}]", item) for number, item in enumerate(value)]
        elif isinstance(value, int):
            yield name, value
