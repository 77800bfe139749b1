"""The Flax NNX module of a network, and where its weights are (siblings: torch, keras).

Flax keeps weights, activations and the flattened axis in the canonical layout: nothing is permuted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from operator import getitem
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jax.typing import ArrayLike

from datasets.drawn.settings import Augment
from frameworks.backend import PIXEL_SCALE
from frameworks.flax import pools
from frameworks.flax.activations import function, unchanged
from frameworks.flax.modules import (
    ChannelScale,
    Concatenate,
    FullPrecisionBatchNorm,
    FullPrecisionGroupNorm,
    FullPrecisionLayerNorm,
    Gate,
    Layers,
    MaskedDropout,
    Masks,
    Record,
    Residual,
    UnbiasedBatchNorm,
)
from frameworks.flax.own_augment import OwnAugment
from frameworks.spec.graph import Block, Tree, name_at
from frameworks.spec.layers import (
    Activation,
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    AveragePool,
    BatchNorm,
    Concatenation,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    GroupNorm,
    LayerNorm,
    MaxPool,
    Multiply,
    NetworkLayer,
    Normalize,
    Scale,
    deviation,
)
from frameworks.spec.network import Network
from frameworks.spec.shapes import Shape, zeros_around

Initializer = Callable[..., Array]

PARTS = {
    "kernel": "kernel",
    "bias": "bias",
    "gamma": "scale",
    "beta": "bias",
    "moving_mean": "mean",
    "moving_variance": "var",
}


@dataclass(frozen=True)
class Trained:
    """Filter of the parameters whose layer is not frozen."""

    frozen: frozenset[str]

    def __call__(self, path: tuple[Any, ...], value: Any) -> bool:
        is_parameter = nnx.filterlib.to_predicate(nnx.Param)(path, value)
        return is_parameter and name_at([str(one) for one in path[1:]]) not in self.frozen


class GalaxyNet(nnx.Module):
    """A network; submodules are named after its layers.

    __call__ takes images uint8 (batch, height, width, channels) and the dropout masks, and gives
    logits (batch, classes) in `param_dtype`. `record`, when given, receives every layer's output.
    Layers compute in `dtype`. With `draw` False kernels are zeros, for weights to be loaded over.
    augment: changes of the pictures in training.
    """

    def __init__(
        self,
        network: Network,
        *,
        native_dropout: bool,
        dtype: jnp.dtype,
        param_dtype: jnp.dtype,
        draw: bool,
        rngs: nnx.Rngs,
        augment: Augment | None = None,
    ) -> None:
        self.network = network
        self.trained = Trained(network.frozen) if network.frozen else nnx.Param
        self.still: frozenset[str] = frozenset()  # batch norms that always compute as in inference
        self.param_dtype = param_dtype
        make = partial(
            _module,
            native_dropout=native_dropout,
            options={"dtype": dtype, "param_dtype": param_dtype, "rngs": rngs},
            draw=draw,
        )
        self.layers = _layers(network.tree, lambda one: make(one, network.input_shapes[one.name]))
        self.augment = unchanged if augment is None else OwnAugment(augment, rngs)

    def train(self, **attributes: Any) -> None:
        super().train(**attributes)
        for name in self.still:
            norm: Any = self.of(name)
            norm.use_running_average = True

    def __call__(
        self, images: ArrayLike, masks: Masks | None = None, record: Record | None = None
    ) -> Array:
        x = jnp.asarray(images).astype(self.param_dtype) * PIXEL_SCALE
        return self.layers(self.augment(x), masks, record).astype(self.param_dtype)

    def of(self, name: str) -> Any:
        """The module, or function, of a layer."""
        return reduce(getattr, self.network.places[name], self.layers)

    def put(self, name: str, module: Any) -> None:
        """Have another module, or function, in the place of a layer's."""
        *above, own = self.network.places[name]
        setattr(reduce(getattr, above, self.layers), own, module)


def _layers(tree: Tree, make: Callable[[NetworkLayer], Any]) -> Layers:
    """The modules of a list of layers, in its order."""
    steps: dict[str, tuple[str, Any, Callable[[Array], Array]]] = {}
    for own, part in tree.items():
        if isinstance(part, Block):
            steps[own] = part.name, _block(part, make), unchanged
        else:
            then = function(part) if isinstance(part, Conv | Dense) else unchanged
            steps[own] = part.name, make(part), then
    return Layers(steps)


def _block(block: Block, make: Callable[[NetworkLayer], Any]) -> nnx.Module:
    lists = {name: _layers(one, make) for name, one in block.lists.items()}
    if isinstance(block.end, Multiply):
        return Gate(block.name, lists["body"])
    if isinstance(block.end, Concatenation):
        return Concatenate(block.name, lists)
    last = block.activation
    after = (block.name, unchanged) if last is None else (last.name, function(last))
    return Residual(block.name, **lists, last=after)


def _module(
    layer: NetworkLayer, source: Shape, *, native_dropout: bool, options: dict[str, Any], draw: bool
) -> Callable[..., Array]:
    """The module of one layer, without its activation function; `source` is its input shape."""
    match layer:
        case Conv():
            return _convolution(layer, source, options, draw)
        case Dense():
            initializers = _initializers(layer, source[0], draw)
            return nnx.Linear(
                source[0], layer.outputs, use_bias=layer.bias, **initializers, **options
            )
        case MaxPool() | AveragePool():
            return pools.pool(layer, source)
        case AdaptiveAveragePool() | AdaptiveMaxPool():
            return pools.adaptive_pool(layer, source)
        case GlobalAveragePool() | GlobalMaxPool():
            return pools.global_pool(layer, source)
        case BatchNorm():
            return _batch_norm(layer, source, **options)
        case LayerNorm() | GroupNorm():
            return _picture_norm(layer, source, **options)
        case Scale():
            return ChannelScale(source[-1], layer.initial, options["param_dtype"])
        case Dropout():
            mask = layer.mask_shape(source)
            pairs = enumerate(zip(mask, source, strict=True), start=1)
            shared = tuple(axis for axis, (size, whole) in pairs if size < whole)
            return (
                nnx.Dropout(layer.rate, broadcast_dims=shared, rngs=options["rngs"])
                if native_dropout
                else MaskedDropout(layer)
            )
        case Flatten():
            return _flatten
        case Normalize():
            return partial(_normalize, mean=layer.mean, deviation=layer.deviation)
    assert isinstance(layer, Activation)
    return function(layer)


def _flatten(x: Array) -> Array:
    return x.reshape(len(x), -1)


def _normalize(x: Array, *, mean: tuple[float, ...], deviation: tuple[float, ...]) -> Array:
    return (x - jnp.asarray(mean, x.dtype)) / jnp.asarray(deviation, x.dtype)


def _convolution(layer: Conv, source: Shape, options: dict[str, Any], draw: bool) -> nnx.Conv:
    zeros = zeros_around(layer, source)
    fan_in = math.prod(layer.kernel_size) * source[2] // layer.group_count
    return nnx.Conv(
        source[2],
        layer.outputs,
        layer.kernel_size,
        layer.stride,
        padding=zeros if any(map(any, zeros)) else "VALID",
        kernel_dilation=layer.dilation,
        feature_group_count=layer.group_count,
        use_bias=layer.bias,
        **_initializers(layer, fan_in, draw),
        **options,
    )


def _picture_norm(
    layer: LayerNorm | GroupNorm, source: Shape, *, dtype: Any, param_dtype: Any, rngs: nnx.Rngs
) -> nnx.Module:
    assert layer.epsilon is not None
    settings: dict[str, Any] = {
        "epsilon": layer.epsilon,
        "use_fast_variance": layer.variance == "fast",
        "dtype": param_dtype,
        "param_dtype": param_dtype,
        "rngs": rngs,
    }
    if isinstance(layer, GroupNorm):
        return FullPrecisionGroupNorm(source[-1], num_groups=layer.groups, **settings)
    return FullPrecisionLayerNorm(source[-1], **settings)


_GAMMA = {"ones": nnx.initializers.ones, "zeros": nnx.initializers.zeros}


def _batch_norm(
    layer: BatchNorm, source: Shape, *, dtype: Any, param_dtype: Any, rngs: nnx.Rngs
) -> nnx.Module:
    assert layer.epsilon is not None
    assert layer.momentum is not None
    biased = layer.running_variance == "biased"
    module = (FullPrecisionBatchNorm if biased else UnbiasedBatchNorm)(
        source[-1],
        momentum=layer.momentum,
        epsilon=layer.epsilon,
        use_fast_variance=layer.variance == "fast",
        scale_init=_GAMMA[layer.gamma_initializer],
        dtype=param_dtype,
        param_dtype=param_dtype,
        rngs=rngs,
    )
    # Flax makes the running statistics float32 whatever the dtype of the parameters
    module.mean.set_value(module.mean[...].astype(param_dtype))
    module.var.set_value(module.var[...].astype(param_dtype))
    return module


def _initializers(layer: Conv | Dense, fan_in: int, draw: bool) -> dict[str, Any]:
    """Arguments of what the layer states; Flax's own default for what it does not."""
    if not draw:
        return {"kernel_init": nnx.initializers.zeros}
    known: dict[str | None, Initializer] = {
        "glorot_uniform": nnx.initializers.glorot_uniform(),
        "glorot_normal": nnx.initializers.glorot_normal(),
        "he_uniform": nnx.initializers.he_uniform(),
        "he_normal": nnx.initializers.he_normal(),
        "he_uniform_fan_out": nnx.initializers.variance_scaling(2.0, "fan_out", "uniform"),
        "he_normal_fan_out": nnx.initializers.variance_scaling(2.0, "fan_out", "truncated_normal"),
        "lecun_uniform": nnx.initializers.lecun_uniform(),
        "lecun_normal": nnx.initializers.lecun_normal(),
        "normal": nnx.initializers.normal(stddev=deviation(layer)),
        "truncated_normal": nnx.initializers.truncated_normal(stddev=deviation(layer)),
        "orthogonal": nnx.initializers.orthogonal(),
        "torch_uniform": partial(_uniform, limit=1 / math.sqrt(fan_in)),
        "zeros": nnx.initializers.zeros,
    }
    stated = {"kernel_init": layer.kernel_initializer, "bias_init": layer.bias_initializer}
    if not layer.bias:
        del stated["bias_init"]
    return {argument: known[name] for argument, name in stated.items() if name is not None}


def _uniform(
    key: Array, shape: Shape, dtype: Any, out_sharding: Any = None, *, limit: float
) -> Array:
    return jax.random.uniform(key, shape, dtype, -limit, limit)


def variable_of(model: GalaxyNet, key: str) -> nnx.Variable:
    """The parameter or running statistic behind a canonical key."""
    name, part = key.split("/")
    return getattr(model.of(name), PARTS[part])


def state_entry(network: Network, state: Any, key: str) -> nnx.Variable:
    """The entry of a canonical key in a state of the model's parameters (gradients, a slot)."""
    name, part = key.split("/")
    return reduce(getitem, network.places[name], state["layers"])[PARTS[part]]


def random_state(model: GalaxyNet) -> dict[str, np.ndarray]:
    """Keys and counts of the streams that the model's own dropout draws from, by its layer, and
    its augmentation."""
    return {place: np.array(_numbers(variable[...])) for place, variable in _streams(model).items()}


def set_random_state(model: GalaxyNet, state: Mapping[str, np.ndarray]) -> None:
    """Put the streams where those were whose `random_state` this is."""
    for place, variable in _streams(model).items():
        value = jnp.asarray(np.array(state[place]))  # JAX may alias what it is given
        if _is_key(variable[...]):
            value = jax.random.wrap_key_data(value, impl=jax.random.key_impl(variable[...]))
        variable.set_value(value)


def _streams(model: GalaxyNet) -> dict[str, nnx.Variable]:
    found = {}
    for path, variable in nnx.to_flat_state(nnx.state(model, nnx.RngState)):
        part, *place = map(str, path)
        layer = [name_at(place)] if part == "layers" else []
        found["/".join((part, *layer, *place[-2:]))] = variable
    return found


def _numbers(value: Array) -> Array:
    return jax.random.key_data(value) if _is_key(value) else value


def _is_key(value: Array) -> bool:
    return jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
