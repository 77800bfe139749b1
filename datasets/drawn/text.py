"""Augmentation as it is written on a command line: `flip,rotation=180,zoom=0.9:1.1`."""

from __future__ import annotations

import msgspec

from datasets.drawn.settings import RANGES, Augment
from results.vocabulary import near_miss

_ALONE = {
    "flip": "both",
    "quarter_turns": "true",
    "crop_first": "true",
}  # what a field without a value is


def from_text(text: str) -> Augment:
    """Settings from `field=value` parts; `flip` alone is both, a yes or no alone is yes.

    Raises:
        ValueError: an unknown field, or a bad value; the message names it.
    """
    known = {field.name: field for field in msgspec.structs.fields(Augment)}
    table: dict[str, object] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        if name not in known or not (equals or name in _ALONE):
            raise ValueError(
                f"'{part}' is not field=value{near_miss(name, known)}. Known fields: "
                f"{', '.join(known)}."
            )
        if name in table:
            raise ValueError(f"field '{name}' is stated twice; state it once.")
        table[name] = value if equals else _ALONE[name]
        if name in RANGES:
            *_, (low, high) = RANGES[name]
            table[name] = value.split(":")
            if value.count(":") != 1:
                raise ValueError(
                    f"'{part}' is no two numbers; give the lowest and the highest, as in "
                    f"{name}={low:g}:{high:g}."
                )
    try:
        return msgspec.convert(table, Augment, strict=False)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at ")
        field = place.strip("`").removeprefix("$.").split("[")[0]
        raise ValueError(
            f"field '{field}': {reason}" if field != "$" and field else reason
        ) from error


def to_text(settings: Augment) -> str:
    """The fields that are stated, as `from_text` reads them."""

    def value(found: object) -> str:
        if isinstance(found, tuple):
            return ":".join(map(repr, found))
        return str(found).lower() if isinstance(found, bool) else str(found)

    stated = msgspec.to_builtins(settings, builtin_types=(tuple,))
    return ",".join(f"{name}={value(getattr(settings, name))}" for name in stated)
