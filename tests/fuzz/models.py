"""Networks, and weights to start from in every form, to damage: built and filled, or refused."""

from __future__ import annotations

import io
import json
import random
import re
import zipfile
from pathlib import Path

import h5py
import numpy as np
from safetensors.numpy import save

from frameworks.spec import architecture, given_weights
from frameworks.spec.defaults import fill_architecture
from frameworks.spec.network import Network
from tests.fuzz import damage

_LAYERS = (
    '{type = "conv", filters = 2, kernel = [3, 3]}, {type = "batch_norm"}, {type = "flatten"},'
    '{type = "dense", units = "classes"}'
)
_CONV, _DENSE = np.ones((3, 3, 3, 2), np.float32), np.ones((32, 3), np.float32)
_ONES = np.ones(2, np.float32)


def _network() -> Network:
    given = architecture.parse(f"layers = [{_LAYERS}]", origin="given", default_name="given")
    return Network(fill_architecture(given), (6, 6, 3), 3)


def fill(path: Path) -> object:
    """What `--initial-weights` does with a file."""
    given = given_weights.read(path)
    network = _network()
    return given_weights.fill(given, network).sentence(given, network)


NETWORKS = [architecture.DIRECTORY / f"{name}.toml" for name in ("convnext_like", "googlenet")]
NETWORKS += [architecture.DIRECTORY / f"{name}.toml" for name in ("mobilenet_v3_small", "unam")]
_LAYER = '{type = "activation", function = "relu"}'
_VALUE = re.compile(r"= *([^\n,\[\]{}=]+)")


def odd_network(content: bytes, draw: random.Random) -> bytes:
    """A network, nested or not, with odd values anywhere, or its bytes damaged."""
    text = draw.choice(NETWORKS).read_text()
    match draw.randrange(5):
        case 0:
            return damage.of_bytes(text.encode(), draw)
        case 1:
            times = draw.choice((3, 30, 1_000, 5_000))
            kind = draw.choice(("residual", "gate", "concatenate"))
            start = f'{{type = "{kind}", ' + ("branches = [[" if kind[0] == "c" else "layers = [")
            end = "]]}" if kind[0] == "c" else "]}"
            layers = start * times + _LAYER + end * times
            return f'layers = [{layers}, {{type = "dense", units = "classes"}}]'.encode()
    for _ in range(draw.choice((1, 1, 3))):
        place = draw.choice([*_VALUE.finditer(text)])
        odd = draw.choice((*damage.TOML, "1000000000", "0.5"))
        text = text[: place.start(1)] + odd + text[place.end(1) :]
    return text.encode()


def build(path: Path) -> object:
    """The network of a file, with the shapes and the parameters of its layers."""
    found = fill_architecture(architecture.load(path))
    try:
        return Network(found, (69, 69, 3), 3).weight_shapes
    except ValueError as error:  # a network names itself and the layer; `load` the file
        raise ValueError(f"{path}: {error}") from error


def archive(path: Path) -> None:
    """Our own arrays by layer and part."""
    np.savez_compressed(path, **{"conv1/kernel": _CONV, "dense1/kernel": _DENSE})


def safetensors(path: Path) -> None:
    """A PyTorch `state_dict`."""
    arrays = {"features.0.weight": _CONV.T.copy(), "features.0.bias": _ONES}
    norm = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), _ONES)
    arrays |= {f"features.1.{name}": array for name, array in norm.items()}
    path.write_bytes(save(arrays | {"head.weight": _DENSE.T.copy()}))


def odd_safetensors(content: bytes, draw: random.Random) -> bytes:
    """Bytes damaged, or a value of the header an odd one, with the length that it then has."""
    if draw.random() < 0.4:
        return damage.of_bytes(content, draw)
    end = 8 + int.from_bytes(content[:8], "little")
    header = damage.of_json(content[8:end], draw)
    return len(header).to_bytes(8, "little") + header + content[end:]


_KERAS = {
    "Conv2D": ("conv2d", [_CONV, _ONES]),
    "BatchNormalization": ("batch_normalization", [_ONES] * 4),
    "Dense": ("dense", [_DENSE]),
}


def keras(path: Path) -> None:
    """A `.keras` file: a zip file of the configuration and the variables."""
    layers = [{"class_name": kind, "config": {"name": name}} for kind, (name, _) in _KERAS.items()]
    kept = io.BytesIO()
    with h5py.File(kept, "w") as file:
        for name, arrays in _KERAS.values():
            for number, array in enumerate(arrays):
                file[f"layers/{name}/vars/{number}"] = array
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("config.json", json.dumps({"config": {"layers": layers}}))
        made.writestr("model.weights.h5", kept.getvalue())


def odd_keras(content: bytes, draw: random.Random) -> bytes:
    """Bytes damaged of the zip file or of one in it; or a variable left out, or an odd one."""
    if draw.random() < 0.2:
        return damage.of_bytes(content, draw)
    with zipfile.ZipFile(io.BytesIO(content)) as old:
        config, variables = (old.read(name) for name in ("config.json", "model.weights.h5"))
    match draw.randrange(3):
        case 0:
            config = damage.of_json(config, draw)
        case 1:
            variables = damage.of_bytes(variables, draw)
        case _:
            memory = io.BytesIO(variables)
            with h5py.File(memory, "r+") as file:
                name, arrays = draw.choice([*_KERAS.values()])
                place = f"layers/{name}/vars/{draw.randrange(len(arrays))}"
                del file[place]
                odd: list[object] = ["x", ["a"], 1, np.ones((2, 2, 2)), np.ones(2, "c8")]
                odd += [np.full(2, np.nan), h5py.SoftLink("/x"), np.ones((1, 0)), np.ones(2, "?")]
                if draw.random() < 0.8:
                    file[place] = draw.choice(odd)
            variables = memory.getvalue()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as new:
        new.writestr("config.json", config)
        new.writestr("model.weights.h5", variables)
    return made.getvalue()
