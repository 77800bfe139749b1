"""Small networks, batches and references to test on, and a hypothesis strategy of networks."""

from __future__ import annotations

import msgspec
import numpy as np
from hypothesis import strategies as st

from datasets.batches import Batch, MaskSpec
from frameworks.backend import Runtime
from frameworks.numpy.backend import NumpyReference
from frameworks.spec.architecture import (
    Activation,
    Architecture,
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Layer,
    MaxPool,
)
from frameworks.spec.defaults import fill_architecture, fill_recipe
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import SGD, Optimizer, Recipe

DOUBLE = Runtime(precision="float64")
FUNCTIONS = ("linear", "relu", "tanh", "sigmoid", "silu")


def network(
    *layers: Layer, input_shape: tuple[int, int, int] = (6, 6, 2), classes: int = 3
) -> Network:
    """A network of these layers and an output layer; the nameless are named l0, l1, ..."""
    everything = (*layers, Dense(units="classes"))
    named = tuple(
        msgspec.structs.replace(layer, name=layer.name or f"l{position}")
        for position, layer in enumerate(everything)
    )
    architecture = fill_architecture(Architecture(name="small", layers=named))
    return Network(architecture, input_shape, classes)


def random_weights(network: Network, seed: int = 0) -> dict[str, np.ndarray]:
    """float64 weights none of which is special: biases, gammas and statistics vary too."""
    generator = np.random.default_rng(seed)
    weights = {}
    for key, shape in network.weight_shapes.items():
        fan_in = np.prod(shape[:-1]) if len(shape) > 1 else 4
        value = generator.normal(0, 1 / np.sqrt(fan_in), shape)
        weights[key] = 1 + 0.3 * np.tanh(value) if key.endswith(("gamma", "variance")) else value
    return weights


def random_batch(network: Network, size: int = 4, seed: int = 0) -> Batch:
    """Noise pictures, labels and dropout masks for a network."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (size, *network.input_shape), dtype=np.uint8)
    labels = generator.integers(0, network.classes, size).astype(np.int32)
    masks = MaskSpec(network.dropout_shapes, network.dropout_rates, seed)
    return Batch(images, labels, masks.draw(size, epoch=0, step=0))


def reference(
    network: Network,
    optimizer: Optimizer | None = None,
    runtime: Runtime = DOUBLE,
    batch_size: int = 4,
) -> NumpyReference:
    """The reference with random weights; plain SGD unless told."""
    recipe = fill_recipe(Recipe(optimizer=optimizer or SGD(), batch_size=batch_size))
    return NumpyReference(network, recipe, runtime, random_weights(network))


def _conv() -> st.SearchStrategy[Conv]:
    return st.builds(
        Conv,
        filters=st.integers(1, 3),
        kernel=st.one_of(st.integers(1, 4), st.tuples(st.integers(1, 3), st.integers(1, 3))),
        stride=st.integers(1, 3),
        padding=st.sampled_from(("valid", "same")),
        activation=st.sampled_from(FUNCTIONS),
        l2=st.sampled_from((0.0, 0.01)),
    )


def _dense() -> st.SearchStrategy[Dense]:
    return st.builds(
        Dense,
        units=st.integers(1, 4),
        activation=st.sampled_from(FUNCTIONS),
        l2=st.sampled_from((0.0, 0.01)),
    )


def _anywhere() -> st.SearchStrategy[Layer]:
    return st.one_of(
        st.builds(
            BatchNorm,
            epsilon=st.sampled_from((1e-3, 1e-5)),
            variance=st.sampled_from(("two_pass", "fast")),
            running_variance=st.sampled_from(("biased", "unbiased")),
        ),
        st.builds(Dropout, rate=st.sampled_from((0.0, 0.25, 0.5))),
        st.builds(Activation, function=st.sampled_from(FUNCTIONS)),
    )


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Any network of up to three image layers and two flat ones that fits its pictures."""
    pool = st.one_of(
        st.builds(kind, size=st.integers(1, 3), stride=st.none() | st.integers(1, 3))
        for kind in (MaxPool, AveragePool)
    )
    image_layers = draw(st.lists(st.one_of(_conv(), pool, _anywhere()), max_size=3))
    flat_layers = draw(st.lists(st.one_of(_dense(), _anywhere()), max_size=2))
    height, width = draw(st.integers(3, 8)), draw(st.integers(3, 8))
    layers: list[Layer] = [*image_layers, Flatten(), *flat_layers]
    while True:  # leave out layers until it fits: rejecting would waste most examples
        try:
            return network(*layers, input_shape=(height, width, draw(st.integers(1, 3))))
        except SpecificationError:
            layers = layers[1:]
