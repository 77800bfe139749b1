"""Parts of a recipe as they are written on the command line: `sgd,momentum=0.9`, `patience=4`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import msgspec

from benchmarks.config.suite_file import readable
from datasets.drawn.settings import Augment
from datasets.drawn.text import from_text
from frameworks.spec.averages import AverageWeights
from frameworks.spec.clipping import CLIPPINGS
from frameworks.spec.loss_scale import LossScale
from frameworks.spec.losses import LOSSES
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import (
    MONITORS,
    OPTIMIZERS,
    EarlyStopping,
    KeepBest,
    ReduceOnPlateau,
    StopAt,
    StopWhenWorse,
)
from frameworks.spec.rounds import Round
from frameworks.spec.sampling import Sampling
from frameworks.spec.schedules import SCHEDULES, WarmUp
from frameworks.spec.words import here, unknown_part
from results import cli
from results.vocabulary import near_miss

OFF = "none"  # takes away what a suite states

_Part = TypeVar("_Part", bound=msgspec.Struct)


def _named(option: str, kinds: Mapping[str, type[Any]], *others: str) -> Callable[[str], Any]:
    """Reader of one part of several kinds: `cosine`, or with fields: `sgd,momentum=0.9`.

    `others` are words in place of a kind: `none`, where the part may be left out. The reader raises
    a `SpecificationError` for an unknown kind or field, or a bad value.
    """
    what = option.strip("-")

    def read(text: str) -> Any:
        if text in others:
            return None
        name, *settings = _parts(text) or [""]
        if name not in kinds:
            raise SpecificationError(f"{option}: {unknown_part(what, name, [*kinds, *others])}")
        return _with_fields(kinds[name], settings, f"{what} '{name}'")

    return read


def _fields(
    option: str, kind: type[Any], alone: str = "", words: Sequence[str] = (), empty: str = ""
) -> Callable[[str], Any]:
    """Reader of the fields of a part, `patience=4,factor=0.5`; nothing for all defaults; `none`.

    The reader raises a `SpecificationError` for an unknown field or a bad value.

    Args:
        alone: the field of a number, or of one of `words`, that is written without a field.
        empty: the message for no fields, of a part that says nothing with all defaults.
    """

    def read(text: str) -> Any:
        if text == OFF:
            return None
        if empty and not text:
            raise SpecificationError(f"{option}: {empty}")
        if alone and (text in words or re.match(r"[\d.]", text)):
            text = f"{alone}={text}"
        return _with_fields(kind, _parts(text), option, words)

    return read


def augment(text: str) -> Augment | None:
    """Fields, `rotation=180,flip,zoom=0.9:1.1`; `flip` alone is both, `quarter_turns` true; `none`.

    Raises:
        SpecificationError: an unknown field, or a bad value.
    """
    if text == OFF:
        return None
    try:
        return from_text(text)
    except ValueError as error:
        raise SpecificationError(f"--augment: {error}") from error


def layer_rates(words: Sequence[str]) -> dict[str, float] | None:
    """`residual7=0.1 residual8=0.1`: a factor for each layer; `none`.

    Raises:
        SpecificationError: something else.
    """
    if list(words) == [OFF]:
        return None
    found = {}
    for word in words:
        name, _, factor = word.partition("=")
        if name in found:
            raise SpecificationError(f"--layer-rates: '{name}' is stated twice; state it once.")
        try:
            found[name] = cli.number(factor)
        except argparse.ArgumentTypeError:
            raise SpecificationError(
                f"--layer-rates: '{word}' is not LAYER=FACTOR, as in residual8=0.1."
            ) from None
    return found


def frozen(words: Sequence[str]) -> list[str] | None:
    """Names of layers; `none`."""
    return None if list(words) == [OFF] else list(words)


def rounds(words: Sequence[str]) -> list[Round] | None:
    """`after=10,learning_rate=1e-4,frozen=conv1 conv2` each; `frozen=none`; `none`.

    Within a schedule, and between layers, a colon stands for the comma: `schedule=step:every=5`,
    `layer_rates=conv1=0.1:conv2=0.3`.

    Raises:
        SpecificationError: an unknown field, or a bad value.
    """
    if list(words) == [OFF]:
        return None
    within = {
        "schedule": lambda text: READERS["schedule"](text.replace(":", ",")),
        "layer_rates": lambda text: layer_rates(text.replace(":", " ").split()),
    }
    return [_with_fields(Round, _parts(word), "--rounds", within=within) for word in words]


def class_weights(words: Sequence[str]) -> list[float] | Literal["balanced"] | None:
    """`balanced`, a number for each class, or `none`.

    Raises:
        SpecificationError: something else.
    """
    if list(words) == [OFF]:
        return None
    if list(words) == ["balanced"]:
        return "balanced"
    numbers = []
    for word in words:
        try:
            numbers.append(cli.number(word))
        except argparse.ArgumentTypeError:
            raise SpecificationError(
                f"--class-weights: '{word}' is not a number{near_miss(word, ['balanced', OFF])}; "
                "give one for each class, or balanced."
            ) from None
    return numbers


# What is written for a field of the suite, and how it is read.
READERS: dict[str, Callable[[Any], Any]] = {
    "optimizer": _named("--optimizer", OPTIMIZERS),
    "loss": _named("--loss", LOSSES),
    "schedule": _named("--schedule", SCHEDULES, OFF),
    "warm_up": _fields("--warm-up", WarmUp, alone="length"),
    "clipping": _named("--clipping", CLIPPINGS, OFF),
    "average_weights": _fields("--average-weights", AverageWeights, alone="decay"),
    "loss_scale": _fields("--loss-scale", LossScale),
    "sampling": _fields("--sampling", Sampling, alone="weights", words=["balanced"]),
    "early_stopping": _fields(
        "--early-stopping",
        EarlyStopping,
        alone="patience",
        empty="says nothing; give a patience, as in 4.",
    ),
    "stop_at": _fields("--stop-at", StopAt, alone="score"),
    "stop_when_worse": _fields("--stop-when-worse", StopWhenWorse, alone="epochs"),
    "reduce_on_plateau": _fields("--reduce-on-plateau", ReduceOnPlateau),
    "keep_best": _fields("--keep-best", KeepBest, alone="monitor", words=MONITORS),
    "augment": augment,
    "class_weights": class_weights,
    "frozen": frozen,
    "layer_rates": layer_rates,
    "rounds": rounds,
}


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")] if text else []


def _with_fields(
    kind: type[_Part],
    settings: Sequence[str],
    what: str,
    words: Sequence[str] = (),
    within: Mapping[str, Callable[[str], Any]] | None = None,
) -> _Part:
    """A struct with the fields that `field=value` settings state.

    Args:
        words: what may stand alone.
        within: readers of the fields that have fields of their own.
    """
    known = [field.name for field in msgspec.structs.fields(kind)]
    table: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise SpecificationError(
                f"{what}: '{setting}' is not field=value"
                f"{near_miss(key, [*known, *words])}. Known fields: {', '.join(known)}"
                f"{'; or write alone ' + ' or '.join(words) if words else ''}."
            )
        if key not in known:
            raise SpecificationError(
                f"{what}: unknown field '{key}'{here(key, known)}. "
                f"Known fields: {', '.join(known)}."
            )
        if key in table:
            raise SpecificationError(f"{what}: field '{key}' is stated twice; state it once.")
        if within and key in within:
            table[key] = msgspec.to_builtins(within[key](value))
            continue
        # members of a list are apart by blanks or colons: commas separate fields
        members = [] if value == OFF else value.replace(":", " ").split()
        listed = key in ("at", "frozen") or (key == "weights" and value != "balanced")
        try:
            table[key] = [*map(cli.as_number, members)] if listed else cli.as_number(value)
        except argparse.ArgumentTypeError as error:
            raise SpecificationError(f"{what}: field '{key}': {error}") from error
    try:
        return msgspec.convert(table, kind, strict=False)
    except msgspec.ValidationError as error:
        raise SpecificationError(f"{what}: {readable(str(error))}") from error
