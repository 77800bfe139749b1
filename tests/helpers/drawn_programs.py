"""Pairs of programs drawn over the vocabulary: one network as a Keras program and as a PyTorch
program, and mutants of the second with one constant or layer changed."""

from __future__ import annotations

import copy
import random
from typing import Any

from benchmarks.port.axes import same_padding

Layer = dict[str, Any]
SIZE, CLASSES = 12, 5
_KERAS_HEAD = """import keras
from keras import layers


def make():
    return keras.Sequential([keras.Input(({size}, {size}, 3)),
        {layers},
    ])


loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
optimizer = keras.optimizers.SGD(0.125, momentum=0.5)
"""
_TORCH_HEAD = """import collections

import torch
from torch import nn


def make():
    model = nn.Sequential(collections.OrderedDict([
        {layers},
    ]))
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model


loss = nn.CrossEntropyLoss(label_smoothing={smoothing})


def optimizer(parameters):
    return torch.optim.SGD(parameters, lr={rate}, momentum={momentum})
"""
_KERAS_ACTIVATIONS = {"leaky_relu": "LeakyReLU(negative_slope={slope}", "elu": "ELU(alpha={alpha}"}
_TORCH_ACTIVATIONS = {
    **{"relu": "nn.ReLU()", "tanh": "nn.Tanh()", "sigmoid": "nn.Sigmoid()", "silu": "nn.SiLU()"},
    **{"leaky_relu": "nn.LeakyReLU({slope})", "elu": "nn.ELU({alpha})"},
}


def network(seed: int) -> list[Layer]:
    """The layers of a drawn network, with a name each."""
    draw = random.Random(seed)
    found: list[Layer] = []
    for _ in range(2):
        found.append(
            {
                "kind": "conv",
                "filters": draw.randint(3, 6),
                "kernel": draw.choice([1, 3, 5]),
                "stride": draw.choice([1, 2]),
                "same": True,
                "bias": draw.random() < 0.7,
            }
        )
        if draw.random() < 0.6:
            momentum, epsilon = draw.choice([0.9, 0.99, 0.75]), draw.choice([1e-3, 1e-5])
            found.append({"kind": "batch_norm", "momentum": momentum, "epsilon": epsilon})
        found.append(_activation(draw))
    found.append({"kind": draw.choice(["max_pool", "average_pool"]), "size": 2})
    if draw.random() < 0.7:
        found.append({"kind": "dropout", "rate": draw.choice([0.25, 0.5])})
    found.append({"kind": draw.choice(["flatten", "global_pool"])})
    found.append({"kind": "dense", "units": draw.randint(6, 9), "bias": True})
    found.append(_activation(draw))
    found.append({"kind": "dense", "units": CLASSES, "bias": True})
    for number, layer in enumerate(found):
        layer["name"] = f"{layer['kind']}_{number}"
    return found


def _activation(draw: random.Random) -> Layer:
    function = draw.choice(sorted(_TORCH_ACTIVATIONS))
    return {"kind": "activation", "function": function, "slope": 0.2, "alpha": 0.5}


def keras_program(layers: list[Layer]) -> str:
    """The network as a Keras program."""
    return _KERAS_HEAD.format(size=SIZE, layers=",\n        ".join(map(_in_keras, layers)))


def _in_keras(layer: Layer) -> str:
    name = f'name="{layer["name"]}")'
    match layer["kind"]:
        case "conv":
            return (
                f"layers.Conv2D({layer['filters']}, {layer['kernel']}, strides={layer['stride']}, "
                f'padding="same", use_bias={layer["bias"]}, {name}'
            )
        case "batch_norm":
            constants = f"momentum={layer['momentum']}, epsilon={layer['epsilon']}"
            return f"layers.BatchNormalization({constants}, {name}"
        case "activation":
            if layer["function"] in _KERAS_ACTIVATIONS:
                call = _KERAS_ACTIVATIONS[layer["function"]].format(**layer)
                return f"layers.{call}, {name}"
            return f'layers.Activation("{layer["function"]}", {name}'
        case "max_pool":
            return f"layers.MaxPooling2D({layer['size']}, {name}"
        case "average_pool":
            return f"layers.AveragePooling2D({layer['size']}, {name}"
        case "dropout":
            return f"layers.Dropout({layer['rate']}, {name}"
        case "flatten":
            return f"layers.Flatten({name}"
        case "global_pool":
            return f"layers.GlobalAveragePooling2D({name}"
    return f"layers.Dense({layer['units']}, use_bias={layer['bias']}, {name}"


def torch_program(layers: list[Layer], **recipe: float) -> str:
    """The same as a PyTorch program; `recipe` has smoothing, rate and momentum."""
    size, channels, lines = SIZE, 3, []
    flat = 0
    for layer in layers:
        made, name = "", layer["name"]
        match layer["kind"]:
            case "conv":
                before, after = same_padding(size, layer["kernel"], layer["stride"])
                if not layer["same"]:
                    before = after = layer["kernel"] // 2
                sides = (before, after, before, after)
                lines.append(f'("{name}_zeros", nn.ZeroPad2d({sides}))')
                size = -(-size // layer["stride"])
                numbers = f"{channels}, {layer['filters']}, {layer['kernel']}, {layer['stride']}"
                made, channels = f"nn.Conv2d({numbers}, bias={layer['bias']})", layer["filters"]
            case "batch_norm":
                constants = f"eps={layer['epsilon']}, momentum={1 - layer['momentum']}"
                made = f"nn.BatchNorm2d({channels}, {constants})"
            case "activation":
                made = _TORCH_ACTIVATIONS[layer["function"]].format(**layer)
            case "max_pool" | "average_pool":
                made = f"nn.{layer['kind'][:3].title()}Pool2d({layer['size']})".replace(
                    "Ave", "Avg"
                )
                size //= layer["size"]
            case "dropout":
                made = f"nn.Dropout({layer['rate']})"
            case "flatten":
                made, flat = "nn.Flatten()", channels * size * size
            case "global_pool":
                lines.append(f'("{name}_pool", nn.AdaptiveAvgPool2d(1))')
                made, flat = "nn.Flatten()", channels
            case "dense":
                made = f"nn.Linear({flat}, {layer['units']}, bias={layer['bias']})"
                flat = layer["units"]
        lines.append(f'("{name}", {made})')
    given = {"smoothing": 0.0, "rate": 0.125, "momentum": 0.5, **recipe}
    return _TORCH_HEAD.format(layers=",\n        ".join(lines), **given)


def mutant(layers: list[Layer], seed: int) -> tuple[str, str, str]:
    """A PyTorch program with one thing changed, and the place and constant that it is."""
    draw = random.Random(1000 + seed)
    ways: list[tuple[int, str, Any, str]] = []
    for place, layer in enumerate(layers):
        match layer["kind"]:
            case "batch_norm":
                ways.append((place, "momentum", 1 - layer["momentum"] + 0.03, "momentum"))
                ways.append((place, "epsilon", 1e-2, "epsilon"))
            case "activation":
                other = "tanh" if layer["function"] != "tanh" else "sigmoid"
                ways.append((place, "function", other, "function"))
                ways.append((place, "", None, "missing layer"))
                if layer["function"] == "leaky_relu":
                    ways.append((place, "slope", 0.01, "slope"))
                if layer["function"] == "elu":
                    ways.append((place, "alpha", 1.0, "alpha"))
            case "dropout":
                ways.append((place, "rate", 1 - layer["rate"] + 0.1, "rate"))
                ways.append((place, "", None, "missing layer"))
            case "max_pool":
                ways.append((place, "kind", "average_pool", "kind"))
            case "average_pool":
                ways.append((place, "kind", "max_pool", "kind"))
            case "conv":
                if layer["bias"]:
                    ways.append((place, "bias", False, "bias"))
                if layer["stride"] == 2 and layer["kernel"] > 1:
                    ways.append((place, "same", False, "padding"))
    number = draw.randrange(len(ways) + 3)
    if number >= len(ways):
        field, value, shown = (
            ("smoothing", 0.1, ("loss", "label_smoothing")),
            ("rate", 0.1, ("optimizer", "learning_rate")),
            ("momentum", 0.9, ("optimizer", "momentum")),
        )[number - len(ways)]
        return torch_program(layers, **{field: value}), *shown
    place, field, value, constant = ways[number]
    changed = copy.deepcopy(layers)
    if field:
        changed[place][field] = value
    else:
        del changed[place]
    return torch_program(changed), layers[place]["name"], constant
