"""Small networks, batches and references to test on, and a hypothesis strategy of networks."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import numpy as np
from hypothesis import strategies as st

from datasets.batches import Batch, MaskSpec
from frameworks.backend import Runtime
from frameworks.numpy.backend import NumpyReference
from frameworks.spec.architecture import Architecture
from frameworks.spec.defaults import fill_architecture, fill_recipe
from frameworks.spec.layers import (
    PARAMETER_OF,
    Activation,
    ActivationName,
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    AveragePool,
    BatchNorm,
    Concatenate,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Gate,
    GlobalAveragePool,
    GlobalMaxPool,
    GroupNorm,
    Layer,
    LayerNorm,
    MaxPool,
    Normalize,
    Residual,
    Scale,
)
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import SGD, Optimizer, Recipe

DOUBLE = Runtime(precision="float64")
FUNCTIONS: tuple[str, ...] = get_args(ActivationName)


_VARIANCE = st.sampled_from(("two_pass", "fast"))


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


def _activated(kind: type[Layer], field: str, **fields: Any) -> st.SearchStrategy[Layer]:
    """Layers of a kind with any activation function, its parameter now and then stated."""
    parameters = {"negative_slope": 0.125, "alpha": 0.5, "approximate": True}

    def build(function: str, stated: bool, values: dict[str, Any]) -> Layer:
        own = {
            name: parameters[name] for name, of in PARAMETER_OF.items() if of == function and stated
        }
        return kind(**{field: function}, **own, **values)

    return st.builds(
        build, st.sampled_from(FUNCTIONS), st.booleans(), st.fixed_dictionaries(fields)
    )


def _pairs(low: int, high: int) -> st.SearchStrategy[int | tuple[int, int]]:
    return st.one_of(st.integers(low, high), st.tuples(*[st.integers(low, high)] * 2))


def _conv() -> st.SearchStrategy[Layer]:
    padding = st.one_of(
        st.sampled_from(("valid", "same")),
        st.integers(0, 2),
        st.tuples(st.integers(0, 2), st.tuples(st.integers(0, 2), st.integers(0, 1))),
    )
    return _activated(
        Conv,
        "activation",
        filters=st.integers(1, 4),
        kernel=_pairs(1, 3),
        stride=_pairs(1, 3),
        padding=padding,
        dilation=_pairs(1, 2),
        groups=st.sampled_from((1, 1, 2, "channels")),
        bias=st.booleans(),
        l2=st.sampled_from((0.0, 0.01)),
    )


def _dense() -> st.SearchStrategy[Layer]:
    return _activated(
        Dense,
        "activation",
        units=st.integers(1, 4),
        bias=st.booleans(),
        l2=st.sampled_from((0.0, 0.01)),
    )


def _pool() -> st.SearchStrategy[Layer]:
    fields: dict[str, Any] = {
        "size": _pairs(2, 3),
        "stride": st.none() | _pairs(1, 3),
        "padding": st.one_of(
            st.sampled_from(("valid", "same")), st.integers(0, 1), st.just((0, (0, 1)))
        ),
    }
    size = _pairs(1, 3)
    return st.one_of(
        st.builds(MaxPool, **fields),
        st.builds(AveragePool, count_padding=st.booleans(), **fields),
        st.builds(AdaptiveAveragePool, size=size),
        st.builds(AdaptiveMaxPool, size=size),
        st.builds(GroupNorm, groups=st.integers(1, 2), variance=_VARIANCE),
    )


def _anywhere() -> st.SearchStrategy[Layer]:
    return st.one_of(
        st.builds(
            BatchNorm,
            epsilon=st.sampled_from((1e-3, 1e-5)),
            variance=_VARIANCE,
            running_variance=st.sampled_from(("biased", "unbiased")),
        ),
        st.builds(LayerNorm, epsilon=st.sampled_from((1e-3, 0.1)), variance=_VARIANCE),
        st.builds(Dropout, rate=st.sampled_from((0.0, 0.25, 0.5))),
        st.builds(Scale, initial=st.sampled_from((1.0, 0.5))),
        _activated(Activation, "function"),
    )


def _block() -> st.SearchStrategy[Layer]:
    """A residual block whose shapes agree, whatever comes in."""
    shortcut = (Conv(name="side", filters=2, kernel=1, stride=2, padding="same", bias=False),)
    body = (
        Conv(name="first", filters=3, kernel=3, stride=2, padding="same", activation="relu"),
        BatchNorm(name="norm"),
        Conv(name="last", filters=2, kernel=(1, 3), padding="same"),
    )
    pixels = (Conv(name="one", filters=1, kernel=1, activation="sigmoid"),)
    plain = (BatchNorm(name="norm"), Activation(name="bend", function="tanh"))
    branches = ((), plain, (Conv(name="own", filters=2, kernel=3, padding="same"),))
    return st.builds(
        Residual,
        layers=st.just(body),
        shortcut=st.just(shortcut),
        activation=st.sampled_from(("linear", "relu")),
    ) | st.sampled_from(
        (
            *(Residual(layers=plain), Gate(layers=plain), Gate(layers=pixels)),
            Concatenate(branches=branches),
        )
    )


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Any network of up to three image layers and two flat ones that fits its pictures."""
    first = draw(st.sampled_from(([], [], [Normalize(mean=(0.5,), deviation=(0.25,))])))
    image_layers = draw(st.lists(st.one_of(_conv(), _pool(), _anywhere(), _block()), max_size=3))
    flatten = draw(st.sampled_from((Flatten(), GlobalAveragePool(), GlobalMaxPool())))
    flat_layers = draw(st.lists(st.one_of(_dense(), _anywhere()), max_size=2))
    height, width = draw(st.integers(3, 8)), draw(st.integers(3, 8))
    layers: list[Layer] = [*image_layers, flatten, *flat_layers]
    while True:  # leave out layers until it fits: rejecting would waste most examples
        try:
            shape = (height, width, draw(st.integers(1, 4)))
            return network(*first, *layers, input_shape=shape)
        except SpecificationError:
            layers = layers[1:]
