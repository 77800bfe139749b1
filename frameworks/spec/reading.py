"""Reading files that users write, and what is said of those that cannot be used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from frameworks.spec.words import here
from results.door import documents
from results.door.refusal import FileError


class SpecificationError(ValueError):
    """An architecture, recipe, suite or experiment that cannot be used.

    The message names the file and the field.
    """


def read_table(path: Path, kind: str) -> dict[str, Any]:
    """The table of a TOML file; `kind` says in messages what it is of ("architecture").

    Raises:
        SpecificationError: the file cannot be read, or is not TOML.
    """
    try:
        return documents.toml_file(path, f"TOML ({kind})")
    except FileError as error:
        raise SpecificationError(str(error)) from error


def parse_table(content: str, origin: str) -> dict[str, Any]:
    """The table that a text in TOML holds; `origin` names it in messages.

    Raises:
        SpecificationError: not TOML.
    """
    try:
        return documents.toml_text(content, origin)
    except FileError as error:
        raise SpecificationError(str(error)) from error


def check_fields(table: Mapping[str, Any], kind: type[msgspec.Struct], where: str) -> None:
    """Raise SpecificationError, with the near miss, for a key that is no field of `kind`."""
    known = [field.name for field in msgspec.structs.fields(kind)]
    for key in table:
        if key not in known:
            raise SpecificationError(
                f"{where}: unknown field '{key}'{here(key, known)}. "
                f"Known fields: {', '.join(known)}."
            )
