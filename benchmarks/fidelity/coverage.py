"""`--coverage`: how many cases of a climb reach each value of each field of what can be asked.

Fields and values are read off the types, so that a later layer, optimizer or form counts as
unproven until a case reaches it (`tests/benchmarks/fidelity/test_coverage.py`).
"""

from __future__ import annotations

import argparse
import dataclasses
import types
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from benchmarks.config.runconfig import DataView
from benchmarks.fidelity import plan
from benchmarks.fidelity.cases.case import Case
from datasets.drawn.settings import Augment
from frameworks.backend import Runtime
from frameworks.feed import CHUNK_STEPS
from frameworks.spec.architecture import LAYER_TYPES, BatchNorm, Conv, Dense, MaxPool, load
from frameworks.spec.averages import AverageWeights
from frameworks.spec.clipping import CLIPPINGS
from frameworks.spec.defaults import PROJECT
from frameworks.spec.graph import every_layer
from frameworks.spec.loss_scale import LossScale
from frameworks.spec.losses import LOSSES, targets_of
from frameworks.spec.recipe import OPTIMIZERS, Recipe
from frameworks.spec.schedules import SCHEDULES, WarmUp
from results.words import count

Reached = tuple[str, str]  # field, value
_PARTS: dict[str, type] = {
    **SCHEDULES,
    "warm_up": WarmUp,
    **CLIPPINGS,
    "loss_scale": LossScale,
    "augment": Augment,
    "average_weights": AverageWeights,
}  # of a recipe, besides its optimizer

_STATED = (
    *("optimizer", "loss", "schedule", "warm_up", "clipping", "loss_scale", "augment"),
    "average_weights",
)
_HARNESS = "the harness decides it, the same for every framework"
_GPU = "needs a GPU: --device cuda"
_OF_THE_DATA = (
    *("dataset", "sha256", "labels", "channels", "image_key", "label_key", "label_map", "twins"),
)
# What no climb on a CPU reaches, and where it is asked instead; "" is every value.
ELSEWHERE: dict[Reached, str] = {
    ("runtime.device", "cuda"): _GPU,
    ("runtime.precision", "tf32"): _GPU,
    ("runtime.precision", "bfloat16"): "--precision bfloat16",
    ("runtime.precision", "float16"): "--precision float16",
    ("runtime.threads", "0"): "rounding alone: R5c changes the threads",
    ("augment.crop", "another"): f"{_HARNESS}; a view of another size is crops40",
    ("augment.by", "framework"): "nothing equal to compare: tests/conformance/test_own_augment.py",
    ("recipe.epochs", ""): _HARNESS,
    ("recipe.early_stopping", ""): f"{_HARNESS}; weights put back are R1 and R5d",
    ("recipe.rounds", ""): f"{_HARNESS}: a backend for each; tests/conformance/test_resumed.py",
    ("recipe.shuffle_window", ""): _HARNESS,
    ("recipe.sampling", ""): _HARNESS,
    ("recipe.stop_at", ""): _HARNESS,
    ("recipe.stop_when_worse", ""): _HARNESS,
    ("recipe.keep_best", ""): f"{_HARNESS}; weights put back are R1 and R5d",
    ("recipe.reduce_on_plateau", ""): f"{_HARNESS}; a change of rate is R3, R5a and R5d",
    **{(f"view.{name}", ""): _HARNESS for name in _OF_THE_DATA},
    ("view.fraction", ""): _HARNESS,
    ("view.votes_sha256", ""): _HARNESS,
    ("view.scaled", "True"): _HARNESS,
    ("view.oversample", ""): _HARNESS,
}
_CHANNELS = (1, 2, 3, 4)


@dataclasses.dataclass(frozen=True)
class Row:
    """One value of one field: how many cases of the default and of the full climb reach it, and
    where it is asked instead, if no climb of this machine's can."""

    field: str
    value: str
    default: int
    full: int
    elsewhere: str

    @property
    def unproven(self) -> bool:
        """True when no case reaches the value and no reason is given."""
        return not (self.default or self.full or self.elsewhere)


def rows(options: argparse.Namespace) -> list[Row]:
    """Every value of every field, counted over the climbs of the networks asked for."""
    counts = [Counter(_of_cases(_cases(options, full=full))) for full in (False, True)]
    return [
        Row(
            field, value, counts[0][field, value], counts[1][field, value], _elsewhere(field, value)
        )
        for field, value in known()
    ]


def known() -> list[Reached]:
    """Every field and each of its values, from the types."""
    found: list[Reached] = []
    for tag, kind in (LAYER_TYPES | OPTIMIZERS | LOSSES | _PARTS).items():
        hints = get_type_hints(kind)
        for field in msgspec.structs.fields(kind):
            if field.name != "name":
                name = f"{tag}.{field.name}"
                values = _values(hints[field.name], field.default, stated=name in PROJECT)
                found += [(name, value) for value in values]
    whole: dict[str, type] = {"recipe": Recipe, "runtime": Runtime, "view": DataView}
    for prefix, struct in whole.items():
        hints, defaults = get_type_hints(struct), _defaults(struct)
        for name, hint in hints.items():
            values = _values(hint, defaults.get(name, msgspec.NODEFAULT))
            found += [(f"{prefix}.{name}", value) for value in values]
    found = [one for one in found if one[0] not in ("view.height", "view.width")]
    found += [("view.shape", "square"), ("view.shape", "not square")]
    found = [one for one in found if one[0] != "view.image_channels"]
    return found + [("view.image_channels", str(number)) for number in _CHANNELS]


def _defaults(kind: type) -> dict[str, Any]:
    if dataclasses.is_dataclass(kind):
        return {field.name: field.default for field in dataclasses.fields(kind)}
    return {field.name: field.default for field in msgspec.structs.fields(kind)}


def _values(hint: Any, default: Any, *, stated: bool = False) -> list[str]:
    """The values that a type tells apart; stated: None is filled in before it is computed."""
    origin = get_origin(hint)
    if origin is Literal:
        return [str(value) for value in get_args(hint)]
    if origin in (Union, types.UnionType):
        parts = [part for part in get_args(hint) if not (stated and part is type(None))]
        nothing = msgspec.NODEFAULT
        return [value for part in parts for value in _values(part, nothing)]
    if hint is type(None):
        return ["None"]
    if hint is bool:
        return ["False", "True"]
    if origin is tuple:
        return ["several"]
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return [str(hint.__struct_config__.tag or "stated")]
    if hint in (int, float):
        told_apart = (hint is int and isinstance(default, int)) or default == 0
        return [str(int(default)), "another"] if told_apart else ["a number"]
    return ["a word"]


def _value(hint: Any, default: Any, value: Any, *, stated: bool = False) -> str:
    """The one of `_values` that a value is."""
    if isinstance(value, msgspec.Struct):
        return str(value.__struct_config__.tag or "stated")
    possible = _values(hint, default, stated=stated)
    text = str(int(value)) if isinstance(value, float) and value == 0 else str(value)
    if text in possible:
        return text
    if isinstance(value, tuple):
        return "several"
    return (
        "another" if "another" in possible else "a number" if "a number" in possible else "a word"
    )


def _of_cases(cases: Iterable[Case]) -> Iterator[Reached]:
    """The values that each case reaches, each once."""
    for case in cases:
        yield from set(_of_case(case))


def _of_case(case: Case) -> Iterator[Reached]:
    recipe = case.recipe
    parts = {name: getattr(recipe, name) for name in _STATED if getattr(recipe, name) is not None}
    layers = every_layer(case.architecture.layers)
    for name, part in (*(("", layer) for layer in layers), *parts.items()):
        tag, hints = part.__struct_config__.tag or name, get_type_hints(type(part))
        for field in msgspec.structs.fields(part):
            name = f"{tag}.{field.name}"
            value = getattr(part, field.name)
            yield name, _value(hints[field.name], field.default, value, stated=name in PROJECT)
    for prefix, one in (("recipe", case.recipe), ("runtime", case.runtime)):
        hints, defaults = get_type_hints(type(one)), _defaults(type(one))
        for name, hint in hints.items():
            yield f"{prefix}.{name}", _value(hint, defaults[name], getattr(one, name))
    height, width, channels = case.input_shape
    yield "view.shape", "square" if height == width else "not square"
    yield "view.image_channels", str(channels)
    yield "view.classes", "a number"
    yield "view.votes", "another" if targets_of(case.recipe.loss) == "votes" else "0"
    yield "view.augmentation", case.augmentation
    yield from (("situation", name) for name, holds in _SITUATIONS.items() if holds(case))
    yield "view.cropped_from", "another" if case.augmentation == "crops40" else "0"
    yield "view.scaled", "False"


def _has(case: Case, kind: type, **fields: Any) -> bool:
    """True when the network has a layer of this kind that states every field named."""
    return any(
        isinstance(layer, kind) and all(getattr(layer, name) is not None for name in fields)
        for layer in every_layer(case.architecture.layers)
    )


def _lives(case: Case) -> bool:
    return "lifecycle" in case.measure


def _predicts(case: Case) -> bool:
    return _lives(case) or "restored" in case.measure


def _trains(case: Case) -> bool:
    return _lives(case) or "steps" in case.measure


def _epoch_steps(case: Case) -> int:
    return -(-(case.images - case.test_images) // case.recipe.batch_size)


# What no single field says, and where backends have been wrong while a single batch was right.
_SITUATIONS: dict[str, Callable[[Case], bool]] = {
    "predictions of several batches and a part of one": _predicts,
    "the same with batch norm": lambda case: _predicts(case) and _has(case, BatchNorm),
    "the same in float32": lambda case: _predicts(case) and case.precision == "float32",
    "a second epoch, at another rate than was compiled": _lives,
    "more steps than a chunk": lambda case: _lives(case) and _epoch_steps(case) > CHUNK_STEPS,
    "weights put into a backend that had others": _predicts,
    "weights put into a new backend": lambda case: case.renewed or "restored" in case.measure,
    "training resumed in a new backend": lambda case: case.renewed,
    "drawn pictures, staged epoch by epoch": lambda case: (
        _lives(case) and case.feed == "staged" and case.recipe.augment is not None
    ),
    "logits beyond 30": lambda case: _predicts(case) or case.start == "lived",
    "ties of a max-pool": lambda case: case.start == "even" and _has(case, MaxPool),
    "batches above 16": lambda case: _trains(case) and case.recipe.batch_size > 16,
    "class weights with batch norm": lambda case: bool(
        _trains(case) and case.recipe.class_weights and _has(case, BatchNorm)
    ),
    "max-norm of a convolution": lambda case: _trains(case) and _has(case, Conv, max_norm=...),
    "max-norm of a dense layer": lambda case: _trains(case) and _has(case, Dense, max_norm=...),
    **{
        f"{name} with batch norm": lambda case, name=name: (  # type: ignore[misc]
            _trains(case)
            and case.recipe.optimizer.__struct_config__.tag == name
            and _has(case, BatchNorm)
        )
        for name in OPTIMIZERS
    },
}


def _cases(options: argparse.Namespace, *, full: bool) -> list[Case]:
    asked = argparse.Namespace(**(vars(options) | {"full": full}))
    networks = [load(name) for name in options.architectures]
    made = plan.parts(asked, networks, plan.shared(asked, None))
    return [case for part in made for case in part.cases]


def _elsewhere(field: str, value: str) -> str:
    return ELSEWHERE.get((field, value)) or ELSEWHERE.get((field, ""), "")


def show(options: argparse.Namespace) -> int:
    """Print the counts; status 1 where a value is unproven."""
    from results import table

    found = rows(options)
    unproven = [row for row in found if row.unproven]
    counted = [row for row in found if not row.elsewhere]
    named = ", ".join(f"{row.field} = {row.value}" for row in unproven)
    said = f"No case reaches {named}." if unproven else "Every value is reached."
    counts = [table.Column(name, right=True) for name in ("default", "full")]
    words = table.Column("asked elsewhere", prose=True)
    shown = table.Table([table.Column("field"), table.Column("value"), *counts, words])
    shown.title = f"{count(len(counted), 'value of fields')} are asked of a climb. {said}"
    for row in found:
        shown.add(row.field, row.value, str(row.default), str(row.full), row.elsewhere)
    table.show(shown)
    return int(bool(unproven))
