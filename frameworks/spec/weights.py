"""Initial weights from a seed, in one canonical layout; save and load.

Weights are `dict[str, np.ndarray]` keyed `layer/part` as in `Network.weight_shapes`. NumPy draws
them, rounded to float32, so that every framework and every precision starts from the same numbers.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np

from frameworks.spec.layers import Conv, Dense, Scale, deviation
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError
from results.door.arrays import archive

Weights = dict[str, np.ndarray]
_STREAM = 3  # datasets.batches has 1 and 2
_NUDGE_STREAM = 77
_CUT = 0.87962566103423978  # standard deviation of a standard normal cut off at two of its own

# The initialisers of variance scale / fan: scale, and the fan ("fan_avg" is the mean of the two).
SCALED: dict[str, tuple[float, str]] = {
    "glorot_uniform": (1, "fan_avg"),
    "glorot_normal": (1, "fan_avg"),
    "he_uniform": (2, "fan_in"),
    "he_normal": (2, "fan_in"),
    "he_uniform_fan_out": (2, "fan_out"),
    "he_normal_fan_out": (2, "fan_out"),
    "lecun_uniform": (1, "fan_in"),
    "lecun_normal": (1, "fan_in"),
    "torch_uniform": (1 / 3, "fan_in"),
}


def initial(network: Network, seed: int) -> Weights:
    """Draw the initial weights of a network whose initialisers are stated.

    Each array has a stream of its own, Philox keyed by (seed, position), so that a layer's draw
    does not depend on the sizes of the others, and none is shared with `datasets.batches`.

    Returns:
        float32 arrays in the canonical layout.
    Raises:
        SpecificationError: an initialiser is not stated (`defaults.fill_architecture` states it).
    """
    layers = {layer.name: layer for layer in network.layers}
    weights: Weights = {}
    for position, (key, shape) in enumerate(network.weight_shapes.items()):
        name, part = key.split("/")
        layer = layers[name]
        generator = np.random.Generator(np.random.Philox(key=[seed, (_STREAM << 32) | position]))
        if part == "gamma" and getattr(layer, "gamma_initializer", "ones") == "zeros":
            value = np.zeros(shape)
        elif isinstance(layer, Scale):
            value = np.full(shape, layer.initial)
        elif part in ("gamma", "moving_variance"):
            value = np.ones(shape)
        elif part in ("beta", "moving_mean"):
            value = np.zeros(shape)
        else:
            assert isinstance(layer, Conv | Dense)
            initializer = getattr(layer, f"{part}_initializer")
            kernel_shape = network.weight_shapes[f"{name}/kernel"]
            value = draw(initializer, shape, kernel_shape, generator, deviation(layer))
        weights[key] = value.astype(np.float32)
    return weights


def nudged(network: Network, weights: Weights, number: int) -> Weights:
    """Every trainable weight moved to the next float32 below or above it, drawn by `number`.

    A control of what rounding does to a training; 0 leaves the weights as they are.
    """
    if not number:
        return weights
    random = np.random.Generator(np.random.Philox(key=[number, _NUDGE_STREAM]))
    moved = {}
    for key in network.trainable_keys:
        values = weights[key].astype(np.float32)
        down = random.random(values.shape) < 0.5
        towards = np.where(down, -np.inf, np.inf).astype(np.float32)
        moved[key] = np.nextafter(values, towards).astype(weights[key].dtype)
    return weights | moved


def draw(
    initializer: str | None,
    shape: tuple[int, ...],
    kernel_shape: tuple[int, ...],
    generator: np.random.Generator,
    deviation: float = 0.02,
) -> np.ndarray:
    """One array by a named initialiser; the fans are those of `kernel_shape` (..., in, out).

    glorot, he, lecun: of variance 2 / (fan_in + fan_out), 2 / fan_in, 1 / fan_in (he with
    `fan_out`: 2 / fan_out). `uniform` is U(+-sqrt(3 variance)); `normal` is cut off at two
    standard deviations and rescaled by 0.8796 (keras/src/initializers,
    jax/_src/nn/initializers.py; Glorot & Bengio 2010, He et al. 2015, LeCun et al. 1998).
    normal: of this `deviation`, as is truncated_normal before it is truncated at two of them.
    orthogonal: orthonormal columns, or rows where there are fewer (Saxe et al. 2014).
    torch_uniform: U(+-1 / sqrt(fan_in)), kernels and biases (torch/nn/modules/conv.py).
    """
    if initializer == "zeros":
        return np.zeros(shape)
    if initializer == "torch_uniform":
        limit = 1 / math.sqrt(fans(kernel_shape)["fan_in"])
        return generator.uniform(-limit, limit, shape)
    if initializer == "truncated_normal":
        return _truncated_normal(shape, generator) * deviation
    if initializer == "normal":
        return generator.standard_normal(shape) * deviation
    if initializer == "orthogonal":
        return _orthogonal(shape, generator)
    if initializer in SCALED:
        scale, mode = SCALED[initializer]
        fan = fans(kernel_shape)[mode]
        if "uniform" in initializer:
            limit = math.sqrt(3 * scale / fan)
            return generator.uniform(-limit, limit, shape)
        return _truncated_normal(shape, generator) * math.sqrt(scale / fan) / _CUT
    raise SpecificationError(f"unknown or unstated initialiser: {initializer!r}.")


def fans(kernel_shape: tuple[int, ...]) -> dict[str, float]:
    """Inputs and outputs of one unit, and their mean, by the name that frameworks give them.

    Args:
        kernel_shape: (..., in, out).
    """
    receptive = math.prod(kernel_shape[:-2])
    fan_in, fan_out = kernel_shape[-2] * receptive, kernel_shape[-1] * receptive
    return {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}


def variance(initializer: str, kernel_shape: tuple[int, ...], deviation: float = 0.02) -> float:
    """Variance of the kernels (..., in, out) that `draw` gives for a named initialiser."""
    if initializer in SCALED:
        scale, mode = SCALED[initializer]
        return scale / fans(kernel_shape)[mode]
    if initializer == "orthogonal":
        return 1 / max(math.prod(kernel_shape[:-1]), kernel_shape[-1])
    return (deviation * {"truncated_normal": _CUT, "normal": 1.0}[initializer]) ** 2


def _orthogonal(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """(..., out) whose flattened columns, or rows, are orthonormal."""
    rows, columns = math.prod(shape[:-1]), shape[-1]
    drawn = generator.standard_normal((max(rows, columns), min(rows, columns)))
    unitary, upper = np.linalg.qr(drawn)
    unitary = unitary * np.sign(np.diag(upper))  # else the signs are not evenly drawn
    return (unitary if rows >= columns else unitary.T).reshape(shape)


def _truncated_normal(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """Standard normal, redrawn until within two standard deviations."""
    values = generator.standard_normal(shape)
    while (outside := np.abs(values) > 2).any():
        values[outside] = generator.standard_normal(int(outside.sum()))
    return values


def check(weights: Weights, network: Network) -> None:
    """Raise SpecificationError unless `weights` has exactly the keys and shapes of `network`."""
    expected = network.weight_shapes
    if missing := [key for key in expected if key not in weights]:
        raise SpecificationError(f"weights lack {', '.join(missing)}.")
    if extra := [key for key in weights if key not in expected]:
        raise SpecificationError(f"weights have unknown {', '.join(extra)}.")
    for key, shape in expected.items():
        if weights[key].shape != shape:
            raise SpecificationError(f"weight {key} has shape {weights[key].shape}, not {shape}.")


def sha256(weights: Weights) -> str:
    """Hash of keys, dtypes, shapes and bytes, in key order."""
    digest = hashlib.sha256()
    for key in sorted(weights):
        array = np.ascontiguousarray(weights[key])
        digest.update(f"{key}:{array.dtype.str}:{array.shape};".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def save(path: str | Path, weights: Weights) -> None:
    """Write weights as an uncompressed .npz file."""
    with open(path, "wb") as file:
        np.savez(file, **weights)  # type: ignore[arg-type]


def load(path: str | Path) -> Weights:
    """Read weights written by `save`; nothing is unpickled.

    Raises:
        FileError: the file is absent or damaged; the message names it.
    """
    return archive(Path(path), "weights")
