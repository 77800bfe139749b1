"""Question to `--explain`: a network, its training, the frameworks, and the symptom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from benchmarks.fidelity.cases.ladder import smallest_input
from frameworks.backend import framework
from frameworks.spec.architecture import Architecture, Told, load_with_recipe, path_of
from frameworks.spec.defaults import fill_architecture, fill_recipe
from frameworks.spec.frozen import bound
from frameworks.spec.graph import inner, nodes
from frameworks.spec.layers import BLOCKS, Layer, NetworkLayer
from frameworks.spec.losses import is_single
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError, read_table
from frameworks.spec.recipe import OPTIMIZERS, Optimizer, Recipe
from frameworks.spec.shapes import Shape
from results.vocabulary import Device, unknown

# What was seen to differ: scores of networks trained anew; outputs with the same weights in both;
# the loss that is reported; the memory taken.
Symptom = Literal["training", "outputs", "loss", "memory"]
SYMPTOMS: tuple[Symptom, ...] = get_args(Symptom)
FRAMEWORKS = ("keras", "torch", "jax", "keras@torch", "keras@jax")


@dataclass(frozen=True)
class Placed:
    """A layer, and the shapes that go in and come out, without the batch."""

    layer: Any
    source: Shape
    target: Shape

    @property
    def kind(self) -> str:
        """The type of the layer."""
        return str(self.layer.__struct_config__.tag)


@dataclass(frozen=True)
class Question:
    """A network, its training, the frameworks to compare, and the symptom to explain.

    Attributes:
        architecture, recipe: as they are stated; None is left open.
        input_shape: (height, width, channels) of a picture.
        frameworks: names of the registry, at least two.
        stated: `layer.field` of fields with a default that the file states all the same.
    """

    architecture: Architecture
    recipe: Recipe
    input_shape: tuple[int, int, int]
    classes: int = 10
    frameworks: tuple[str, ...] = ("keras", "torch", "jax")
    symptom: Symptom = "training"
    device: Device = "cpu"
    stated: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for name in self.frameworks:
            if name not in FRAMEWORKS:
                raise SpecificationError(f"--explain: {unknown('framework', name, FRAMEWORKS)}")
        if len(set(self.frameworks)) < 2:
            raise SpecificationError(
                "--explain compares frameworks: give --frameworks two of them or more, each once."
            )

    def kind(self, name: str) -> str:
        """The column of `frameworks.spec.defaults` that a framework has: keras, torch or flax."""
        return self._kinds[name]

    @cached_property
    def _kinds(self) -> dict[str, str]:
        return {name: framework(name).defaults for name in self.frameworks}

    @cached_property
    def network(self) -> Network:
        """The network for these pictures, every field filled in with the project's default."""
        outputs = 1 if is_single(self.recipe.loss) else self.classes
        return Network(fill_architecture(self.architecture), self.input_shape, outputs)

    @cached_property
    def filled(self) -> Recipe:
        """The recipe, every field filled in with the project's default."""
        return fill_recipe(self.recipe)

    @cached_property
    def frozen(self) -> frozenset[str]:
        """The names of the layers that the recipe freezes."""
        return bound(self.network, self.recipe).frozen

    def placed(self, *kinds: str) -> list[Placed]:
        """The layers of these types, filled in."""
        inputs, outputs = self.network.input_shapes, self.network.output_shapes
        made = [Placed(one, inputs[one.name], outputs[one.name]) for one in self.network.layers]
        return [one for one in made if one.kind in kinds]

    def given(self, name: str) -> NetworkLayer:
        """A layer as it is stated."""
        return self._given[name]

    @cached_property
    def _given(self) -> dict[str, NetworkLayer]:
        return {node.layer.name: node.layer for node in nodes(self.architecture.layers)}


def ask(
    name_or_path: str | Path,
    *,
    frameworks: Sequence[str] = ("keras", "torch", "jax"),
    optimizer: str | None = None,
    learning_rate: float | None = None,
    batch_size: int | None = None,
    size: int = 0,
    channels: int = 3,
    classes: int = 10,
    symptom: Symptom = "training",
    device: Device = "cpu",
) -> Question:
    """The question on an architecture, shipped or from a file; options go before its [recipe].

    Args:
        optimizer: a name; it takes the place of the file's, with what that states.
        size: side of the pictures in pixels; 0 is the smallest that fit.

    Raises:
        SpecificationError: as `frameworks.spec.architecture.load`; an unknown framework or
            optimizer, or a bad recipe.
    """
    architecture, told = load_with_recipe(name_or_path)
    return Question(
        architecture,
        _recipe(told, optimizer, learning_rate, batch_size),
        (size, size, channels) if size else smallest_input(architecture, channels),
        classes,
        tuple(frameworks),
        symptom,
        device,
        stated_fields(read_table(path_of(name_or_path), "architecture"), architecture),
    )


def stated_fields(table: dict[str, Any], architecture: Architecture) -> frozenset[str]:
    """`layer.field` of every field that the table of an architecture states."""
    return frozenset(_stated(table["layers"], architecture.layers, ""))


def _stated(
    rows: Iterable[Mapping[str, Any]], layers: Iterable[Layer], prefix: str
) -> Iterator[str]:
    for row, layer in zip(rows, layers, strict=True):
        name = prefix + layer.name
        yield from (f"{name}.{field}" for field in row)
        if isinstance(layer, BLOCKS):
            lists = row.get("branches") or [row["layers"], row.get("shortcut", [])]
            for tables, one in zip(lists, inner(layer), strict=False):  # a gate has no shortcut
                yield from _stated(tables, one.layers, f"{name}_")


def _recipe(told: Told, optimizer: str | None, rate: float | None, batch: int | None) -> Recipe:
    changes: dict[str, Any] = {}
    if optimizer is not None:
        if optimizer not in OPTIMIZERS:
            raise SpecificationError(unknown("optimizer", optimizer, OPTIMIZERS))
        changes["optimizer"] = msgspec.convert({"name": optimizer}, Optimizer)
    if rate is not None:
        used = changes.get("optimizer", told.recipe.optimizer)
        changes["optimizer"] = msgspec.structs.replace(used, learning_rate=rate)
    if batch is not None:
        changes["batch_size"] = batch
    return msgspec.structs.replace(told.recipe, **changes)
