"""An architecture is a list of layers, as data: load it from TOML and validate it.

A field that frameworks default differently (initialiser, batch-norm epsilon, ...) is `None` here
when the file does not state it; `frameworks.spec.defaults` fills it in, from the project's table or
from a framework's own. What the network computes for a given input is in
`frameworks.spec.network`.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from frameworks.spec.checks import check_layers
from frameworks.spec.layers import (
    BLOCKS,
    LAYER_TYPES,
    Activation,
    ActivationName,
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    AveragePool,
    BatchNorm,
    BiasInitializer,
    Concatenate,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Gate,
    GlobalAveragePool,
    GlobalMaxPool,
    GroupNorm,
    KernelInitializer,
    Layer,
    LayerNorm,
    MaxPool,
    Normalize,
    Residual,
)
from frameworks.spec.reading import SpecificationError, check_fields, parse_table, read_table
from frameworks.spec.recipe import Recipe
from frameworks.spec.recipe import from_table as recipe_from_table
from frameworks.spec.words import here, known_words
from results.vocabulary import near_miss
from results.words import count

__all__ = [
    "DIRECTORY",
    "LAYER_TYPES",
    "Activation",
    "ActivationName",
    "AdaptiveAveragePool",
    "AdaptiveMaxPool",
    "Architecture",
    "AveragePool",
    "BatchNorm",
    "BiasInitializer",
    "Conv",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "GroupNorm",
    "KernelInitializer",
    "Layer",
    "LayerNorm",
    "MaxPool",
    "Normalize",
    "Published",
    "Residual",
    "available",
    "from_table",
    "load",
    "parse",
    "path_of",
    "public",
]

MOST_LAYERS = 10_000
MOST_DEPTH = 16  # blocks within blocks
DIRECTORY = Path(__file__).parents[1] / "architectures"
_LISTS = ("layers", "shortcut")  # fields that are a layer list
PUBLIC = "public/"  # ahead of the name, and the folder


class Published(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A published parameter count: `input` is (height, width, channels)."""

    input: tuple[int, int, int]
    classes: int
    parameters: int
    trainable: int | None = None
    source: str


class Architecture(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """A named layer list. Input size and number of classes come from the data set."""

    name: str
    title: str = ""
    source: str = ""
    layers: tuple[Layer, ...]
    published: tuple[Published, ...] = ()

    def sha256(self) -> str:
        """Hash of what the layers compute: names, titles and sources do not count."""
        rows = [_hashed(layer) for layer in self.layers]
        return hashlib.sha256(msgspec.json.encode(rows, order="deterministic")).hexdigest()


# Fields that joined a layer after the first runs were stored: hashed where they are not the
# default, so that the networks of earlier runs keep their hashes.
_JOINED_LATER = frozenset(
    {
        *("negative_slope", "alpha", "approximate", "bias", "dilation", "groups"),
        *("count_padding", "gamma_initializer", "per", "kernel_deviation"),
    }
)


def _hashed(layer: Layer) -> dict[str, Any]:
    """Every field of a layer, stated or not (what msgspec omits depends on how a default was
    written), without its name and with its type."""
    row: dict[str, Any] = {"name": None, "type": layer.__struct_config__.tag}
    for field in msgspec.structs.fields(layer):
        value = getattr(layer, field.name)
        later = field.name in _JOINED_LATER or (
            field.name == "padding" and not isinstance(layer, Conv)
        )
        if field.name == "name" or (later and value == field.default):
            continue
        if isinstance(layer, BLOCKS) and isinstance(value, tuple):
            value = _hashed_all(value)
        row[field.name] = value
    return row


def _hashed_all(layers: tuple[Any, ...]) -> list[Any]:
    """The rows of a layer list, or of each of several."""
    return [_hashed_all(one) if isinstance(one, tuple) else _hashed(one) for one in layers]


def available() -> list[str]:
    """Names of the architectures that ship with the project, but those of `public`."""
    return sorted(path.stem for path in DIRECTORY.glob("*.toml"))


def public() -> list[str]:
    """Names of the shipped architectures that are those of public repositories: `public/NAME`."""
    return sorted(f"{PUBLIC}{path.stem}" for path in (DIRECTORY / PUBLIC).glob("*.toml"))


def path_of(name_or_path: str | Path) -> Path:
    """The file of a shipped name, or the path itself.

    Raises:
        SpecificationError: there is no such name.
    """
    text = str(name_or_path)
    if text.endswith(".toml") or ("/" in text and not text.startswith(PUBLIC)):
        return Path(text)
    path = DIRECTORY / f"{text}.toml"
    if not path.exists():
        known = [*available(), *public()]
        raise SpecificationError(
            f"unknown architecture '{text}'{near_miss(text, known)}. "
            f"Known: {', '.join(available())}, {PUBLIC}... (benchmarks.run --list networks); or "
            "give the path of a .toml file."
        )
    return path


def load(name_or_path: str | Path) -> Architecture:
    """Read and validate an architecture: a shipped name, or the path of a TOML file.

    Raises:
        SpecificationError: unknown name, unreadable file, malformed TOML, unknown or missing
            field, value out of range; the message names the file, the layer and the field.
    """
    return load_with_recipe(name_or_path)[0]


class Told(msgspec.Struct, frozen=True):
    """Training that a file states for its network: the recipe, and names of the stated fields."""

    recipe: Recipe = Recipe()
    fields: frozenset[str] = frozenset()


def load_with_recipe(name_or_path: str | Path) -> tuple[Architecture, Told]:
    """An architecture, and what the file's [recipe] table states of its training.

    Raises:
        SpecificationError: as `load`, or a bad recipe.
    """
    path = path_of(name_or_path)
    table = read_table(path, "architecture")
    given = table.pop("recipe", {})
    architecture = from_table(table, origin=str(path), default_name=path.stem)
    return architecture, Told(recipe_from_table(given, f"{path}: [recipe]"), frozenset(given))


def parse(content: str, *, origin: str, default_name: str) -> Architecture:
    """Validate the text of an architecture file; `origin` names it in messages."""
    table = parse_table(content, origin)
    return from_table(table, origin=origin, default_name=default_name)


def from_table(table: dict[str, Any], *, origin: str, default_name: str) -> Architecture:
    """Validate the table of an architecture, as TOML gives it; `origin` names it in messages."""
    layers = table.get("layers")
    if not isinstance(layers, list) or not layers:
        raise SpecificationError(f"{origin}: no layers; write one [[layers]] table per layer.")
    if len(layers) > MOST_LAYERS:
        raise SpecificationError(
            f"{origin}: {count(len(layers), 'layer')}; at most {MOST_LAYERS:,}."
        )
    layers = [
        _checked_keys(layer, str(place), origin) for place, layer in enumerate(layers, start=1)
    ]
    table = {**table, "layers": layers}
    check_fields(table, Architecture, origin)
    try:
        architecture = msgspec.convert({"name": default_name, **table}, Architecture)
    except msgspec.ValidationError as error:
        raise SpecificationError(f"{origin}: {_readable(str(error), layers)}") from error
    named = _with_names(architecture.layers)
    architecture = msgspec.structs.replace(architecture, layers=named)
    check_layers(architecture.layers, origin)
    return architecture


def _checked_keys(layer: object, place: str, origin: str) -> dict[str, Any]:
    """The table of a layer, in our words, after its type and fields are checked: unknown ones are
    named with the near miss, before msgspec sees the table."""
    where = f"{origin}: layer {place}"
    if len(re.findall("[a-z]+", place)) > MOST_DEPTH:
        raise SpecificationError(f"{where}: blocks within blocks, at most {MOST_DEPTH} deep.")
    if not isinstance(layer, dict):
        raise SpecificationError(f"{where}: expected a table, got {type(layer).__name__}.")
    kind = layer.get("type")
    if not isinstance(kind, str) or kind not in LAYER_TYPES:
        known = sorted(LAYER_TYPES)
        problem = f"is {kind!r}{here(str(kind), known)}" if "type" in layer else "is missing"
        raise SpecificationError(
            f"{where}: field 'type' {problem}. Known types: {', '.join(known)}."
        )
    fields = {key: value for key, value in layer.items() if key != "type"}
    check_fields(fields, LAYER_TYPES[kind], f"{where} ({kind})")
    return {key: _checked_value(key, value, place, origin) for key, value in layer.items()}


def _checked_value(key: str, value: Any, place: str, origin: str) -> Any:
    """A field's value; within a block the tables of its layers are checked, too."""
    if key in _LISTS and isinstance(value, list):
        return _checked_list(value, f"{place}.{key}", origin)
    if key == "branches" and isinstance(value, list):
        return [
            _checked_list(one, f"{place}.{key}.{number}", origin)
            for number, one in enumerate(value, start=1)
        ]
    return value


def _checked_list(value: object, place: str, origin: str) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise SpecificationError(
            f"{origin}: layer {place}: expected a list of layers, got {type(value).__name__}."
        )
    return [
        _checked_keys(one, f"{place}.{index}", origin) for index, one in enumerate(value, start=1)
    ]


def _readable(message: str, layers: list[dict[str, Any]]) -> str:
    """Turn msgspec's `$.layers[2].filters` into `layer 3 (conv), field 'filters'`."""
    reason, _, path = message.partition(" - at ")
    if match := re.search(r"\$\.published\[(\d+)\](?:\.(\w+))?", path):
        field = f", field '{match[2]}'" if match[2] else ""
        return f"published {int(match[1]) + 1}{field}: {reason}."
    steps = re.findall(r"\.(layers|shortcut|branches)((?:\[\d+\])+)", path)
    if not steps:
        match = re.search(r"\$\.(\w+)", path)
        return f"field '{match[1]}': {reason}." if match else message
    place: list[str] = []
    table: Any = {"layers": layers}
    for key, indices in steps:
        numbers = [int(number) for number in re.findall(r"\d+", indices)]
        place += [*([key] if place else []), *(str(number + 1) for number in numbers)]
        table = reduce(getitem, numbers, table[key])
    kind = table["type"]
    where = f"layer {'.'.join(place)} ({kind})"
    found = re.search(r"\.(\w+)(?:\[(?:\d+|\.\.\.)\])*$", path.rstrip("`"))
    field_name = found[1] if found and found[1] not in _LISTS else None
    reason += _choices(LAYER_TYPES[kind], field_name, table.get(field_name or ""))
    return f"{where}, field '{field_name}': {reason}." if field_name else f"{where}: {reason}."


def _choices(struct: type[msgspec.Struct], field: str | None, value: object) -> str:
    """The words that a field may be, with a remedy, when a word is what it was given."""
    if field is None or not isinstance(value, str):
        return ""
    annotation = get_type_hints(struct)[field]
    alternatives = [annotation, *get_args(annotation)]
    known = [word for kind in alternatives for word in get_args(kind) if isinstance(word, str)]
    return known_words(field, value, known) if known else ""


def _with_names(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Name the nameless after their type and count: conv1, conv2, dense1; also within blocks."""
    counts: Counter[str] = Counter()
    named = []
    for layer in layers:
        kind = str(layer.__struct_config__.tag)
        counts[kind] += 1
        changes: dict[str, Any] = {"name": layer.name or f"{kind}{counts[kind]}"}
        if isinstance(layer, Concatenate):
            changes["branches"] = tuple(
                _of_branch(f"branch{number}_", branch)
                for number, branch in enumerate(layer.branches, start=1)
            )
        if isinstance(layer, Residual | Gate):
            changes["layers"] = _with_names(layer.layers)
        if isinstance(layer, Residual):
            sides = _with_names(layer.shortcut)
            taken = {inner.name for inner in changes["layers"]}
            changes["shortcut"] = tuple(
                msgspec.structs.replace(one, name=f"shortcut_{one.name}")
                if one.name in taken
                else one
                for one in sides
            )
        named.append(msgspec.structs.replace(layer, **changes))
    return tuple(named)


def _of_branch(prefix: str, layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers of a branch, named; names that were made get the prefix."""
    return tuple(
        made if given.name else msgspec.structs.replace(made, name=prefix + made.name)
        for given, made in zip(layers, _with_names(layers), strict=True)
    )
