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
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import msgspec

from frameworks.spec.reading import SpecificationError, check_fields, parse_table, read_table
from frameworks.spec.recipe import Recipe
from frameworks.spec.recipe import from_table as recipe_from_table
from results.vocabulary import near_miss

MOST = 1_000_000  # filters, units, pixels of a kernel: beyond it the number is a slip
MOST_LAYERS = 10_000
DIRECTORY = Path(__file__).parents[1] / "architectures"

ActivationName = Literal["linear", "relu", "tanh", "sigmoid", "silu"]
KernelInitializer = Literal["glorot_uniform", "he_normal", "lecun_normal", "torch_uniform"]
BiasInitializer = Literal["zeros", "torch_uniform"]


class _Layer(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="type",
    kw_only=True,
):
    """What every layer has. `name` is made from the type and its count when not given."""

    name: str = ""


class Conv(_Layer, frozen=True, tag="conv", kw_only=True):
    """2-D convolution with bias. `padding="same"` puts the odd pixel at the bottom and right."""

    filters: int
    kernel: int | tuple[int, int]
    stride: int = 1
    padding: Literal["valid", "same"] = "valid"
    activation: ActivationName = "linear"
    l2: float = 0.0
    max_norm: float | None = None
    kernel_initializer: KernelInitializer | None = None
    bias_initializer: BiasInitializer | None = None

    @property
    def kernel_size(self) -> tuple[int, int]:
        """(height, width) of the kernel."""
        return (self.kernel, self.kernel) if isinstance(self.kernel, int) else self.kernel


class Dense(_Layer, frozen=True, tag="dense", kw_only=True):
    """Fully connected layer with bias. `units = "classes"` is the output layer (logits)."""

    units: int | Literal["classes"]
    activation: ActivationName = "linear"
    l2: float = 0.0
    max_norm: float | None = None
    kernel_initializer: KernelInitializer | None = None
    bias_initializer: BiasInitializer | None = None


class MaxPool(_Layer, frozen=True, tag="max_pool", kw_only=True):
    """Maximum over size x size windows, no padding; stride = size unless stated."""

    size: int
    stride: int | None = None


class AveragePool(_Layer, frozen=True, tag="average_pool", kw_only=True):
    """Mean over size x size windows, no padding; stride = size unless stated."""

    size: int
    stride: int | None = None


class BatchNorm(_Layer, frozen=True, tag="batch_norm", kw_only=True):
    """Batch normalisation over all axes but channels.

    `momentum` is the weight on the old running value. `running_variance` says whether the running
    variance takes the biased (1/n) or unbiased (1/(n-1)) batch variance; `variance` whether the
    batch variance is computed in two passes or as E[x^2] - E[x]^2 ("fast").
    """

    epsilon: float | None = None
    momentum: float | None = None
    running_variance: Literal["biased", "unbiased"] | None = None
    variance: Literal["two_pass", "fast"] | None = None


class Dropout(_Layer, frozen=True, tag="dropout", kw_only=True):
    """Inverted dropout: `rate` is the share dropped, the rest is scaled by 1 / (1 - rate)."""

    rate: float


class Flatten(_Layer, frozen=True, tag="flatten", kw_only=True):
    """To one axis; the canonical order is row, column, channel."""


class Activation(_Layer, frozen=True, tag="activation", kw_only=True):
    """An elementwise function as a layer of its own."""

    function: ActivationName


Layer = Conv | Dense | MaxPool | AveragePool | BatchNorm | Dropout | Flatten | Activation
LAYER_TYPES: dict[str, type[_Layer]] = {
    "conv": Conv,
    "dense": Dense,
    "max_pool": MaxPool,
    "average_pool": AveragePool,
    "batch_norm": BatchNorm,
    "dropout": Dropout,
    "flatten": Flatten,
    "activation": Activation,
}


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
        # every field, stated or not: what msgspec omits depends on how a default was written
        rows = [
            {**msgspec.structs.asdict(layer), "name": None, "type": layer.__struct_config__.tag}
            for layer in self.layers
        ]
        return hashlib.sha256(msgspec.json.encode(rows, order="deterministic")).hexdigest()


def available() -> list[str]:
    """Names of the architectures that ship with the project."""
    return sorted(path.stem for path in DIRECTORY.glob("*.toml"))


def load(name_or_path: str | Path) -> Architecture:
    """Read and validate an architecture: a shipped name, or the path of a TOML file.

    Raises:
        SpecificationError: unknown name, unreadable file, malformed TOML, unknown or missing
            field, value out of range; the message names the file, the layer and the field.
    """
    return load_with_recipe(name_or_path)[0]


class Told(msgspec.Struct, frozen=True):
    """What a file states of how its network is trained: the recipe, and which of its fields."""

    recipe: Recipe = Recipe()
    fields: frozenset[str] = frozenset()


def load_with_recipe(name_or_path: str | Path) -> tuple[Architecture, Told]:
    """An architecture, and what the file's [recipe] table states of its training.

    Raises:
        SpecificationError: as `load`, or a bad recipe.
    """
    text = str(name_or_path)
    path = Path(text) if text.endswith(".toml") or "/" in text else DIRECTORY / f"{text}.toml"
    if path.parent == DIRECTORY and not path.exists():
        raise SpecificationError(
            f"unknown architecture '{text}'{near_miss(text, available())}. "
            f"Known: {', '.join(available())}; or give the path of a .toml file."
        )
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
        raise SpecificationError(f"{origin}: {len(layers):,} layers; at most {MOST_LAYERS:,}.")
    for index, layer in enumerate(layers):
        _check_layer_keys(layer, index, origin)
    check_fields(table, Architecture, origin)
    try:
        architecture = msgspec.convert({"name": default_name, **table}, Architecture)
    except msgspec.ValidationError as error:
        raise SpecificationError(f"{origin}: {_readable(str(error), layers)}") from error
    named = _with_names(architecture.layers)
    architecture = msgspec.structs.replace(architecture, layers=named)
    _check(architecture, origin)
    return architecture


def _check_layer_keys(layer: object, index: int, origin: str) -> None:
    """Unknown types and fields, with the near miss, before msgspec sees the table."""
    where = f"{origin}: layer {index + 1}"
    if not isinstance(layer, dict):
        raise SpecificationError(f"{where}: expected a table, got {type(layer).__name__}.")
    kind = layer.get("type")
    if not isinstance(kind, str) or kind not in LAYER_TYPES:
        known = sorted(LAYER_TYPES)
        problem = f"is {kind!r}{near_miss(str(kind), known)}" if "type" in layer else "is missing"
        raise SpecificationError(
            f"{where}: field 'type' {problem}. Known types: {', '.join(known)}."
        )
    fields = {key: value for key, value in layer.items() if key != "type"}
    check_fields(fields, LAYER_TYPES[kind], f"{where} ({kind})")


def _readable(message: str, layers: list[dict[str, Any]]) -> str:
    """Turn msgspec's `$.layers[2].filters` into `layer 3 (conv), field 'filters'`."""
    reason, _, path = message.partition(" - at ")
    match = re.search(r"\$(?:\.(layers|published)\[(\d+)\])?(?:\.(\w+))?", path)
    if not match:
        return message
    group, index, field = match.groups()
    where = [f"{group.removesuffix('s')} {int(index) + 1}"] if group else []
    if group == "layers":
        kind = layers[int(index)]["type"]
        where[0] += f" ({kind})"
        reason += _choices(LAYER_TYPES[kind], field, layers[int(index)].get(field))
    if field:
        where.append(f"field '{field}'")
    return f"{', '.join(where)}: {reason}."


def _choices(struct: type[msgspec.Struct], field: str | None, value: object) -> str:
    """The words that a field may be, with the near miss, when a word is what it was given."""
    if field is None or not isinstance(value, str):
        return ""
    annotation = get_type_hints(struct)[field]
    alternatives = [annotation, *get_args(annotation)]
    known = [word for kind in alternatives for word in get_args(kind) if isinstance(word, str)]
    return f"{near_miss(value, known)}; known: {', '.join(known)}" if known else ""


def _with_names(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Name the nameless after their type and count: conv1, conv2, dense1."""
    counts: Counter[str] = Counter()
    named = []
    for layer in layers:
        kind = str(layer.__struct_config__.tag)
        counts[kind] += 1
        name = layer.name or f"{kind}{counts[kind]}"
        named.append(msgspec.structs.replace(layer, name=name))
    return tuple(named)


def _check(architecture: Architecture, origin: str) -> None:
    """Ranges and order: what the types alone cannot say."""

    def fail(index: int, field: str, problem: str) -> None:
        kind = architecture.layers[index].__struct_config__.tag
        raise SpecificationError(
            f"{origin}: layer {index + 1} ({kind}), field '{field}': {problem}"
        )

    seen: set[str] = set()
    flat = False
    for index, layer in enumerate(architecture.layers):
        if layer.name in seen:
            fail(index, "name", f"'{layer.name}' is used twice; names must differ.")
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", layer.name):
            fail(index, "name", f"'{layer.name}' must be letters, digits and '_' only.")
        seen.add(layer.name)
        for field in ("filters", "stride", "size", "units"):
            value = getattr(layer, field, None)
            if isinstance(value, int) and value < 1:
                fail(index, field, f"is {value}; must be at least 1.")
            if isinstance(value, int) and value > MOST:
                fail(index, field, f"is {value}; must be at most {MOST:,}.")
        if isinstance(layer, Conv) and min(layer.kernel_size) < 1:
            fail(index, "kernel", f"is {layer.kernel}; must be at least 1.")
        if isinstance(layer, Conv) and max(layer.kernel_size) > MOST:
            fail(index, "kernel", f"is {layer.kernel}; must be at most {MOST:,}.")
        if isinstance(layer, Dropout) and not 0 <= layer.rate < 1:
            fail(index, "rate", f"is {layer.rate}; must be in [0, 1).")
        if isinstance(layer, Conv | Dense) and not 0 <= layer.l2 < float("inf"):
            fail(index, "l2", f"is {layer.l2}; must be finite and not negative.")
        for field in ("max_norm", "epsilon"):
            value = getattr(layer, field, None)
            if value is not None and not 0 < value < float("inf"):
                fail(index, field, f"is {value}; must be finite and positive.")
        momentum = getattr(layer, "momentum", None)
        if momentum is not None and not 0 <= momentum < 1:
            fail(index, "momentum", f"is {momentum}; the weight on the old value, in [0, 1).")
        if isinstance(layer, Flatten):
            if flat:
                fail(index, "type", "a second flatten; one is enough.")
            flat = True
        elif isinstance(layer, Dense) and not flat:
            fail(index, "type", "a dense layer needs a flatten layer before it.")
        elif isinstance(layer, Conv | MaxPool | AveragePool) and flat:
            fail(index, "type", "needs an image, but a flatten layer came before it.")
        is_last = index == len(architecture.layers) - 1
        if isinstance(layer, Dense) and layer.units == "classes" and not is_last:
            fail(index, "units", "'classes' belongs to the last layer alone.")
    last = len(architecture.layers) - 1
    output = architecture.layers[last]
    if not (isinstance(output, Dense) and output.units == "classes"):
        fail(last, "type", 'the last layer must be a dense layer with units = "classes".')
    if isinstance(output, Dense) and output.activation != "linear":
        fail(last, "activation", "the output layer gives logits; the softmax is part of the loss.")
