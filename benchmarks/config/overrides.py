"""Parts of a recipe as they are written on the command line: `sgd,momentum=0.9`, `patience=4`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import msgspec

from benchmarks.config.suite_file import readable
from datasets.drawn.settings import Augment
from datasets.drawn.text import from_text
from frameworks.spec.averages import AverageWeights
from frameworks.spec.clipping import CLIPPINGS, Clipping
from frameworks.spec.loss_scale import LossScale
from frameworks.spec.losses import LOSSES, Loss
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import (
    MONITORS,
    OPTIMIZERS,
    EarlyStopping,
    KeepBest,
    Optimizer,
    ReduceOnPlateau,
    StopAt,
    StopWhenWorse,
)
from frameworks.spec.rounds import Round
from frameworks.spec.sampling import Sampling
from frameworks.spec.schedules import SCHEDULES, Schedule, WarmUp
from frameworks.spec.words import here, unknown_part
from results import cli
from results.vocabulary import near_miss, unknown

OFF = "none"  # takes away what a suite states

_Part = TypeVar("_Part", bound=msgspec.Struct)


def optimizer(text: str) -> Optimizer:
    """`adam`, or with fields: `sgd,momentum=0.9,nesterov=true`.

    Raises:
        SpecificationError: an unknown optimizer or field, or a bad value.
    """
    name, *settings = _parts(text)
    if name not in OPTIMIZERS:
        raise SpecificationError(unknown_part("optimizer", name, OPTIMIZERS))
    return _with_fields(OPTIMIZERS[name], settings, f"optimizer '{name}'")  # type: ignore[return-value]


def loss(text: str) -> Loss:
    """`cross_entropy`, or with fields: `binary_cross_entropy,targets=votes`.

    Raises:
        SpecificationError: an unknown loss or field, or a bad value.
    """
    name, *settings = _parts(text) or [""]
    if name not in LOSSES:
        raise SpecificationError(f"--loss: {unknown_part('loss', name, LOSSES)}")
    return _with_fields(LOSSES[name], settings, f"loss '{name}'")  # type: ignore[return-value]


def schedule(text: str) -> Schedule | None:
    """`cosine`, or with fields: `multi_step,at=30 60,factor=0.1`; `none`.

    Raises:
        SpecificationError: an unknown schedule or field, or a bad value.
    """
    if text == OFF:
        return None
    name, *settings = _parts(text) or [""]
    if name not in SCHEDULES:
        raise SpecificationError(f"--schedule: {unknown_part('schedule', name, [*SCHEDULES, OFF])}")
    return _with_fields(SCHEDULES[name], settings, f"schedule '{name}'")  # type: ignore[return-value]


def warm_up(text: str) -> WarmUp | None:
    """`5` for five epochs, or fields: `length=500,per=step`; `none`.

    Raises:
        SpecificationError: an unknown field, or a bad value.
    """
    if text == OFF:
        return None
    settings = _parts(f"length={text}" if text.isascii() and text.isdigit() else text)
    return _with_fields(WarmUp, settings, "--warm-up")


def clipping(text: str) -> Clipping | None:
    """`global_norm,limit=1`; `none`.

    Raises:
        SpecificationError: an unknown way to clip or field, or a bad value.
    """
    if text == OFF:
        return None
    name, *settings = _parts(text) or [""]
    if name not in CLIPPINGS:
        raise SpecificationError(f"--clipping: {unknown_part('clipping', name, [*CLIPPINGS, OFF])}")
    return _with_fields(CLIPPINGS[name], settings, f"clipping '{name}'")  # type: ignore[return-value]


def average_weights(text: str) -> AverageWeights | None:
    """`0.999` for a decay, or fields: `decay=0.999,start=debiased`; `none`.

    Raises:
        SpecificationError: an unknown field, or a bad value.
    """
    if text == OFF:
        return None
    settings = _parts(text if "=" in text or not text else f"decay={text}")
    return _with_fields(AverageWeights, settings, "--average-weights")


def sampling(text: str) -> Sampling | None:
    """`balanced`, or fields: `weights=1:2:0.5,replacement=false`; `none`.

    Raises:
        SpecificationError: an unknown field, or a bad value.
    """
    if text == OFF:
        return None
    settings = _parts(text if "=" in text else f"weights={text}")
    return _with_fields(Sampling, settings, "--sampling")


def loss_scale(text: str) -> LossScale | None:
    """Fields, `initial=1024,interval=500`; nothing for all defaults; `none`.

    Raises:
        SpecificationError: an unknown field, or a bad value.
    """
    return None if text == OFF else _with_fields(LossScale, _parts(text), "--loss-scale")


def early_stopping(text: str) -> EarlyStopping | None:
    """`4` for a patience of 4, or fields: `patience=4,restore_best=true`; `none`.

    Raises:
        SpecificationError: an unknown field, or a bad value.
    """
    if text == OFF:
        return None
    if not text:
        raise SpecificationError("--early-stopping: says nothing; give a patience, as in 4.")
    settings = _parts(f"patience={text}" if text.isascii() and text.isdigit() else text)
    return _with_fields(EarlyStopping, settings, "--early-stopping")


def stop_at(text: str) -> StopAt | None:
    """`0.2` for a score of the validation loss, or fields: `monitor=training_loss,score=0.2`;
    `none`.

    Raises:
        SpecificationError: an unknown field, or a bad value.
    """
    if text == OFF:
        return None
    settings = _parts(text if "=" in text else f"score={text}")
    return _with_fields(StopAt, settings, "--stop-at")


def stop_when_worse(text: str) -> StopWhenWorse | None:
    """`2` for two epochs, or fields: `epochs=2,first_epoch=4`; nothing for one; `none`.

    Raises:
        SpecificationError: an unknown field, or a bad value.
    """
    if text == OFF:
        return None
    settings = _parts(f"epochs={text}" if text.isascii() and text.isdigit() else text)
    return _with_fields(StopWhenWorse, settings, "--stop-when-worse")


def reduce_on_plateau(text: str) -> ReduceOnPlateau | None:
    """Fields, `patience=4,factor=0.5`; nothing for all defaults; `none`.

    Raises:
        SpecificationError: an unknown field, or a bad value.
    """
    if text == OFF:
        return None
    return _with_fields(ReduceOnPlateau, _parts(text), "--reduce-on-plateau")


def keep_best(text: str) -> KeepBest | None:
    """A monitor, `validation_accuracy`; nothing for the loss; `none`.

    Raises:
        SpecificationError: an unknown monitor.
    """
    if text == OFF:
        return None
    if text and text not in MONITORS:
        raise SpecificationError(f"--keep-best: {unknown('monitor', text, [*MONITORS, OFF])}")
    return KeepBest(monitor=text) if text else KeepBest()


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
        "schedule": lambda text: schedule(text.replace(":", ",")),
        "layer_rates": lambda text: layer_rates(text.replace(":", " ").split()),
    }
    return [_with_fields(Round, _parts(word), "--rounds", within) for word in words]


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
    "optimizer": optimizer,
    "loss": loss,
    "schedule": schedule,
    "warm_up": warm_up,
    "clipping": clipping,
    "average_weights": average_weights,
    "loss_scale": loss_scale,
    "sampling": sampling,
    "early_stopping": early_stopping,
    "stop_at": stop_at,
    "stop_when_worse": stop_when_worse,
    "reduce_on_plateau": reduce_on_plateau,
    "keep_best": keep_best,
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
    within: Mapping[str, Callable[[str], Any]] | None = None,
) -> _Part:
    """A struct with the fields that `field=value` settings state.

    Args:
        within: readers of the fields that have fields of their own.
    """
    known = [field.name for field in msgspec.structs.fields(kind)]
    table: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise SpecificationError(
                f"{what}: '{setting}' is not field=value"
                f"{near_miss(key, known)}. Known fields: {', '.join(known)}."
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
        table[key] = members if listed else value
    try:
        return msgspec.convert(table, kind, strict=False)
    except msgspec.ValidationError as error:
        raise SpecificationError(f"{what}: {readable(str(error))}") from error
