"""Weights to start from, out of a file: what of it fills a network, and what does not.

A file is an archive of canonical weights (`.npz`), safetensors of a PyTorch `state_dict` or of
Flax, or a `.keras` model. Layers are found by their names; of a file that has none of them by their
kinds and shapes: as many of a shape as the network has are taken in the order of their names.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from frameworks.spec.flat_order import flat_order
from frameworks.spec.graph import is_list
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError
from frameworks.spec.weights import Weights
from results.door import hdf5, sizes
from results.door.arrays import archive_bytes
from results.door.documents import json_bytes
from results.door.refusal import FileError, content, reading
from results.words import count

ENDINGS = (".npz", ".safetensors", ".keras")
MOST = 16 << 30  # bytes of a file
_NAMED = 4  # that a sentence names
_NORM = {"weight": "gamma", "scale": "gamma", "gamma": "gamma", "bias": "beta", "beta": "beta"}
_KERNEL = {"weight": "kernel", "kernel": "kernel", "bias": "bias"}
_RUNNING = {
    **dict.fromkeys(("running_mean", "mean", "moving_mean"), "moving_mean"),
    **dict.fromkeys(("running_var", "var", "moving_variance"), "moving_variance"),
}
# Of Keras' layers, their variables in order.
_KERAS_PARTS = {
    "BatchNormalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "LayerNormalization": ("gamma", "beta"),
    "GroupNormalization": ("gamma", "beta"),
    "EinsumDense": ("gamma",),  # of `scale`, in the models that we export
}


@dataclass(frozen=True)
class Module:
    """A layer's arrays by part, as the file has them; `of_torch`: in PyTorch's layout."""

    name: str
    parts: Mapping[str, np.ndarray]
    of_torch: bool = False


@dataclass(frozen=True)
class Given:
    """A file of weights: its layers in order, and the hash of its bytes."""

    path: Path
    sha256: str
    modules: tuple[Module, ...] = field(repr=False)


@dataclass(frozen=True)
class Filled:
    """Weights of a network that a file fills.

    Attributes:
        weights: canonical, float32, of the keys that are filled.
        left: keys that are not filled; they are drawn as ever.
        unused: the file's layers that fill nothing, with the reason if it is known.
    """

    weights: Weights
    left: tuple[str, ...]
    unused: tuple[str, ...]

    def sentence(self, given: Given, network: Network) -> str:
        """The account, in a line."""
        total = len(network.weight_shapes)
        said = f"initial weights: {len(self.weights)} of {count(total, 'array')} of "
        said += f"{network.architecture.name} are filled from {given.path.name}"
        if self.left:
            said += f"; drawn as ever: {_some(self.left)}"
        return said + (f"; not used: {_some(self.unused)}" if self.unused else "")


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def read(path: Path) -> Given:
    """The weights in a file.

    Raises:
        SpecificationError: it is absent, of another kind, damaged, or has no weights.
    """
    try:
        return _read(path)
    except FileError as error:
        raise SpecificationError(f"initial_weights: {error}") from error


def _read(path: Path) -> Given:
    what = "a file of weights"
    if path.suffix not in ENDINGS:
        raise SpecificationError(
            f"initial_weights: {path}: takes {', '.join(ENDINGS)}; write a PyTorch state_dict with "
            "safetensors.torch.save_file (a pickled .pt or .pth is not opened), a Keras model with "
            "model.save('NAME.keras')."
        )
    found = content(path, what, most=MOST)
    if path.suffix == ".npz":
        modules = _by_layer(archive_bytes(found, path, what), "/")
    elif path.suffix == ".keras":
        modules = list(_of_keras(found, path))
    else:
        from safetensors.numpy import load  # nothing else here needs it

        with reading(path, "safetensors", "write it again"):
            modules = sorted(_by_layer(load(found), "."), key=lambda one: _natural(one.name))
    if not modules:
        raise SpecificationError(f"initial_weights: {path} has no weights of layers in it.")
    return Given(path, hashlib.sha256(found).hexdigest(), tuple(modules))


def _by_layer(arrays: Mapping[str, np.ndarray], separator: str) -> list[Module]:
    """Arrays by their layer, whose name is what stands ahead of the last separator."""
    grouped: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        layer, _, part = name.rpartition(separator)
        grouped.setdefault(layer, {})[part] = array
    made = []
    for layer, parts in grouped.items():
        first = next(
            (parts[one] for one in ("weight", "kernel", "scale", "gamma") if one in parts), None
        )
        if first is None:
            continue
        names = _RUNNING | (_NORM if first.ndim == 1 else _KERNEL)
        own = {names[part]: array for part, array in parts.items() if part in names}
        made.append(Module(layer, own, of_torch="weight" in parts))
    return made


def _natural(name: str) -> list[tuple[int, int | str]]:
    """A name to sort by, its numbers as such: safetensors keeps no order of definition."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts]


class _Named(msgspec.Struct):
    name: str


class _Layer(msgspec.Struct):
    class_name: str
    config: _Named


class _Layers(msgspec.Struct):
    layers: list[_Layer]


class _Model(msgspec.Struct):
    """Parts of a Keras model that are read of its configuration."""

    config: _Layers


def _of_keras(found: bytes, path: Path) -> Iterator[Module]:
    """The layers of a `.keras` file: a ZIP of its configuration and an HDF5 of its variables, which
    are by the class of the layer and its number among these."""
    what, again = "a .keras file", "save the model again"
    with reading(path, what, again), zipfile.ZipFile(io.BytesIO(found)) as members:
        sizes.check_members(members, len(found))
        config, variables = (members.read(name) for name in ("config.json", "model.weights.h5"))
    model = json_bytes(config, _Model, path, what, again)
    numbers: Counter[str] = Counter()
    with hdf5.opened_bytes(variables, path) as opened:
        for kind, name in ((one.class_name, one.config.name) for one in model.config.layers):
            word = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", kind)  # as Keras names them
            word = re.sub(r"([a-z])([A-Z])", r"\1_\2", word).lower()
            place = f"layers/{word}" + (f"_{numbers[word]}" if numbers[word] else "")
            numbers[word] += 1
            own: dict[str, np.ndarray] = {}
            for number, part in enumerate(_KERAS_PARTS.get(kind, ("kernel", "bias"))):
                kept = hdf5.dataset(opened, f"{place}/vars/{number}", path)
                if kept is not None:
                    own[part] = hdf5.values(kept, path)
            if own and (kind in _KERAS_PARTS or np.ndim(own.get("kernel", 0)) in (2, 4)):
                yield Module(name, own)


def fill(given: Given, network: Network) -> Filled:
    """Fill the network from the file.

    Returns:
        The filled weights, and the names of those left and unused.

    Raises:
        SpecificationError: the file fills nothing, or an array has a number that is not finite.
    """
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    for key, shape in network.weight_shapes.items():
        layer, part = key.split("/")
        shapes.setdefault(layer, {})[part] = tuple(shape)
    pairs = _pairs(given, network, shapes)
    weights: Weights = {}
    unused: list[str] = []
    taken = {module.name for _, module in pairs}
    for layer, module in pairs:
        arrays = _canonical(module, network, layer)
        for part, array in arrays.items():
            if shapes[layer].get(part) == array.shape:
                weights[f"{layer}/{part}"] = _sound(array, f"{module.name} {part}", given)
            else:
                wanted = shapes[layer].get(part, "none")
                unused.append(f"{module.name} {part} ({array.shape}, the network's: {wanted})")
    unused += [module.name for module in given.modules if module.name not in taken]
    if not weights:
        names = _some(tuple(module.name for module in given.modules))
        raise SpecificationError(
            f"initial_weights: nothing in {given.path} fills {network.architecture.name}: its "
            f"layers are {names}, the network's {_some(tuple(shapes))}. Names have to fit, or "
            "kinds and shapes."
        )
    left = tuple(key for key in network.weight_shapes if key not in weights)
    return Filled(weights, left, tuple(unused))


def _pairs(
    given: Given, network: Network, shapes: Mapping[str, Mapping[str, tuple[int, ...]]]
) -> list[tuple[str, Module]]:
    """(layer, module) by name; where no name is known, by kind and shape."""
    named = {_plain(module.name): module for module in given.modules}
    by_name = [(layer, named[layer]) for layer in shapes if layer in named]
    if by_name:
        return by_name
    mine: dict[str, list[str]] = {}
    for layer, parts in shapes.items():
        mine.setdefault(str(sorted(parts.items())), []).append(layer)
    theirs: dict[str, list[Module]] = {}
    for module in given.modules:
        laid_out = sorted((part, array.shape) for part, array in _laid_out(module).items())
        theirs.setdefault(str(laid_out), []).append(module)
    return [
        pair
        for kind, layers in mine.items()
        if len(layers) == len(theirs.get(kind, ()))
        for pair in zip(layers, theirs[kind], strict=True)
    ]


def _plain(name: str) -> str:
    """A layer's name; of this project's own modules without what they put around it."""
    if name.startswith("layers."):
        place = [part.removeprefix("layer_") for part in name.split(".")[1:]]
        name = ".".join(place[::2] if all(map(is_list, place[1::2])) else place)
    return name.replace(".", "_").replace("/", "_")


def _laid_out(module: Module) -> dict[str, np.ndarray]:
    """The arrays in the canonical layout, but for the order behind a flatten layer."""
    found = dict(module.parts)
    kernel = found.get("kernel")
    if module.of_torch and kernel is not None:
        found["kernel"] = kernel.transpose(2, 3, 1, 0) if kernel.ndim == 4 else kernel.T
    return found


def _canonical(module: Module, network: Network, layer: str) -> dict[str, np.ndarray]:
    found = _laid_out(module)
    for part, array in found.items() if module.of_torch else ():
        order = flat_order(network, f"{layer}/{part}")
        if order is not None and len(order) == len(array):
            found[part] = array[order]
    return found


def _sound(array: np.ndarray, name: str, given: Given) -> np.ndarray:
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise SpecificationError(
            f"initial_weights: {given.path}: {name} is not of finite numbers; write it again."
        )
    return np.ascontiguousarray(array, np.float32)
