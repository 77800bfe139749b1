"""The layers that a network is written in, one frozen struct each.

A field that frameworks default differently (initialiser, epsilon, slope, ...) is `None` when the
file does not state it; `frameworks.spec.defaults` fills it in.
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

ActivationName = Literal[
    "linear",
    "relu",
    "tanh",
    "sigmoid",
    "silu",
    "leaky_relu",
    "elu",
    "gelu",
    "softplus",
    "relu6",
    "selu",
    "hard_sigmoid",
    "hard_swish",
    "mish",
]
KernelInitializer = Literal[
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "he_uniform_fan_out",
    "he_normal_fan_out",
    "lecun_uniform",
    "lecun_normal",
    "normal",
    "truncated_normal",
    "orthogonal",
    "torch_uniform",
]
BiasInitializer = Literal["zeros", "torch_uniform"]
Pair = tuple[int, int]
# Zeros (before, after) of rows and of columns.
Zeros = tuple[Pair, Pair]
# A number for all sides, or (rows, columns), each a number for both sides or (before, after).
Padding = Literal["valid", "same"] | int | tuple[int | Pair, int | Pair]

# Functions whose slope jumps.
KINKED = frozenset({"relu", "leaky_relu", "elu", "selu", "relu6", "hard_sigmoid", "hard_swish"})
# selu is SCALE x above zero, SCALE ALPHA (exp(x) - 1) below (Klambauer et al. 2017, 1706.02515).
SELU_SCALE, SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848
# The one activation function that each parameter belongs to.
PARAMETER_OF = {"negative_slope": "leaky_relu", "alpha": "elu", "approximate": "gelu"}


class _Layer(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="type",
    kw_only=True,
):
    """Base of the layers. `name` is made from the type and its count when not given."""

    name: str = ""


class _Activated(_Layer, frozen=True, kw_only=True):
    """The parameters of an activation function; each belongs to one function (`PARAMETER_OF`).

    `negative_slope` of leaky_relu; `alpha` of elu, alpha (exp(x) - 1) below zero; `approximate` of
    gelu: x Phi(x) (false) or its form with tanh (true).
    """

    negative_slope: float | None = None
    alpha: float | None = None
    approximate: bool | None = None


class _Weighted(_Activated, frozen=True, kw_only=True):
    """Base of the layers with a kernel. `kernel_deviation` is that of the initialisers `normal` and
    `truncated_normal` (before it is truncated; by default 0.02)."""

    activation: ActivationName = "linear"
    l2: float = 0.0
    max_norm: float | None = None
    kernel_initializer: KernelInitializer | None = None
    kernel_deviation: float | None = None
    bias_initializer: BiasInitializer | None = None
    bias: bool = True


def deviation(layer: _Weighted) -> float:
    """Standard deviation of a layer's initialiser `normal` or `truncated_normal`."""
    return 0.02 if layer.kernel_deviation is None else layer.kernel_deviation


class Conv(_Weighted, frozen=True, tag="conv", kw_only=True):
    """2-D convolution. `padding="same"` is TensorFlow's rule: the odd pixel at bottom and right.

    `groups` splits the channels; `groups = "channels"` convolves each channel by itself
    (depthwise). A number or pairs for `padding` are PyTorch's rule: the same zeros at any stride.
    """

    filters: int | Literal["classes"]
    kernel: int | Pair
    stride: int | Pair = 1
    padding: Padding = "valid"
    dilation: int | Pair = 1
    groups: int | Literal["channels"] = 1

    @property
    def kernel_size(self) -> Pair:
        """(height, width) of the kernel."""
        return pair(self.kernel)

    @property
    def outputs(self) -> int:
        """Channels of the output, of a layer whose numbers are filled in."""
        assert isinstance(self.filters, int)
        return self.filters

    @property
    def group_count(self) -> int:
        """Groups of channels, of a layer whose numbers are filled in."""
        assert isinstance(self.groups, int)
        return self.groups

    @property
    def reach(self) -> Pair:
        """(height, width) of the pixels under the kernel, those between dilated ones included."""
        rows, columns = self.kernel_size
        down, right = pair(self.dilation)
        return (rows - 1) * down + 1, (columns - 1) * right + 1


class Dense(_Weighted, frozen=True, tag="dense", kw_only=True):
    """Fully connected layer. `units = "classes"` is the output layer (logits)."""

    units: int | Literal["classes"]

    @property
    def outputs(self) -> int:
        """Units, of a layer whose numbers are filled in."""
        assert isinstance(self.units, int)
        return self.units


class _Pool(_Layer, frozen=True, kw_only=True):
    """Windows of `size`; stride = size unless stated; padding as of a convolution."""

    size: int | Pair
    stride: int | Pair | None = None
    padding: Padding = "valid"

    @property
    def steps(self) -> Pair:
        """(down, right) from one window to the next."""
        return pair(self.size if self.stride is None else self.stride)


class MaxPool(_Pool, frozen=True, tag="max_pool", kw_only=True):
    """Maximum over windows; padding never wins."""


class AveragePool(_Pool, frozen=True, tag="average_pool", kw_only=True):
    """Mean over windows. `count_padding` divides by all places, or by those within the picture."""

    count_padding: bool | None = None


class AdaptiveAveragePool(_Layer, frozen=True, tag="adaptive_average_pool", kw_only=True):
    """Mean over `size` parts of each axis, from floor(i n / size) to ceil((i + 1) n / size)."""

    size: int | Pair


class AdaptiveMaxPool(_Layer, frozen=True, tag="adaptive_max_pool", kw_only=True):
    """Maximum over `size` parts of each axis, as `AdaptiveAveragePool` cuts them."""

    size: int | Pair


class GlobalAveragePool(_Layer, frozen=True, tag="global_average_pool", kw_only=True):
    """Mean of each channel: (height, width, channels) to (channels)."""


class GlobalMaxPool(_Layer, frozen=True, tag="global_max_pool", kw_only=True):
    """Maximum of each channel: (height, width, channels) to (channels)."""


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
    gamma_initializer: Literal["ones", "zeros"] = "ones"


class LayerNorm(_Layer, frozen=True, tag="layer_norm", kw_only=True):
    """Normalisation of each pixel (or row of units) over its channels, biased variance."""

    epsilon: float | None = None
    variance: Literal["two_pass", "fast"] | None = None


class GroupNorm(_Layer, frozen=True, tag="group_norm", kw_only=True):
    """Normalisation of each picture over all pixels of a group of channels, biased variance."""

    groups: int
    epsilon: float | None = None
    variance: Literal["two_pass", "fast"] | None = None


class Scale(_Layer, frozen=True, tag="scale", kw_only=True):
    """x times a trained number for each channel, `initial` at first: ConvNeXt's layer scale."""

    initial: float = 1.0


class Dropout(_Layer, frozen=True, tag="dropout", kw_only=True):
    """Inverted dropout: `rate` is the share dropped, the rest is scaled by 1 / (1 - rate).

    What is dropped is each value by itself, whole channels of a picture (Tompson et al. 2015), or
    all of a picture: at the end of a residual block's layers that is stochastic depth (Huang et al.
    2016). A row of units has a channel for each.
    """

    rate: float
    per: Literal["value", "channel", "picture"] = "value"

    def mask_shape(self, source: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the mask for an input of this shape, both without the batch axis."""
        if self.per == "picture":
            return (1,) * len(source)
        return (1, 1, source[-1]) if self.per == "channel" and len(source) == 3 else source


class Flatten(_Layer, frozen=True, tag="flatten", kw_only=True):
    """One axis in place of three; the canonical order is row, column, channel."""


class Activation(_Activated, frozen=True, tag="activation", kw_only=True):
    """An elementwise function as a layer of its own."""

    function: ActivationName


class Normalize(_Layer, frozen=True, tag="normalize", kw_only=True):
    """(x - mean) / deviation of each channel, of pictures whose values lie between 0 and 1.

    The first layer of a network or none. mean = 0 and deviation = 1/255 undo the scaling. Left out,
    both are those of the training galaxies, which `frameworks.spec.normalization` fills in.
    """

    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()


class Add(_Layer, frozen=True, tag="add", kw_only=True):
    """The sum of two layers' outputs: the end of a residual block, never written in a file."""


class Multiply(_Layer, frozen=True, tag="multiply", kw_only=True):
    """The product of two layers' outputs: the end of a gate, never written in a file."""


class Concatenation(_Layer, frozen=True, tag="concatenation", kw_only=True):
    """Several layers' outputs, channels behind channels: the end of branches, never written in a
    file."""


class Residual(_Layer, frozen=True, tag="residual", kw_only=True):
    """x + layers(x), or shortcut(x) + layers(x) where the shapes differ, then `activation`.

    `layers` and `shortcut` are layer lists; an empty shortcut hands x on.
    """

    layers: tuple[Layer, ...]
    shortcut: tuple[Layer, ...] = ()
    activation: Literal["linear", "relu", "silu"] = "linear"


class Gate(_Layer, frozen=True, tag="gate", kw_only=True):
    """x * layers(x), as of squeeze-and-excitation (Hu et al. 2018) and of attention gates.

    `layers` is a layer list that ends in the rows, columns and channels of x, or in one of each.
    """

    layers: tuple[Layer, ...]


class Concatenate(_Layer, frozen=True, tag="concatenate", kw_only=True):
    """The outputs of several layer lists of x, their channels one behind the other.

    As of Inception (Szegedy et al. 2015) and DenseNet (Huang et al. 2017); an empty list hands x
    on.
    """

    branches: tuple[tuple[Layer, ...], ...]


Layer = (
    Conv
    | Dense
    | MaxPool
    | AveragePool
    | AdaptiveAveragePool
    | AdaptiveMaxPool
    | GlobalAveragePool
    | GlobalMaxPool
    | BatchNorm
    | LayerNorm
    | GroupNorm
    | Scale
    | Dropout
    | Flatten
    | Activation
    | Normalize
    | Residual
    | Gate
    | Concatenate
)

BLOCKS = (Residual, Gate, Concatenate)  # layers that hold layers
JOINS = (Add, Multiply, Concatenation)  # what ends them, of several inputs
NetworkLayer = Layer | Add | Multiply | Concatenation  # what a network computes, in order
LAYER_TYPES: dict[str, type[_Layer]] = {
    str(kind.__struct_config__.tag): kind for kind in get_args(Layer)
}


def pair(value: int | Pair) -> Pair:
    """(rows, columns) of a number that stands for both."""
    return (value, value) if isinstance(value, int) else value


def given(value: float | None) -> float:
    """A parameter that `frameworks.spec.defaults` has filled in."""
    assert value is not None
    return value


def function_of(layer: _Layer) -> ActivationName:
    """The activation function at the end of a layer; linear for layers without one."""
    if isinstance(layer, Activation):
        return layer.function
    return layer.activation if isinstance(layer, Conv | Dense) else "linear"


def counts_classes(layer: _Layer) -> bool:
    """The layer whose outputs are the classes."""
    outputs = getattr(layer, "units", None) or getattr(layer, "filters", None)
    return bool(outputs == "classes")


_OF_ANOTHER = {
    "decay_form": "weight_decay",
    "amsgrad_form": "amsgrad",
    "momentum_form": "momentum",
}


def applies(layer: msgspec.Struct, field: str) -> bool:
    """A field that frameworks default differently is one that this layer, or optimizer, uses."""
    if field in _OF_ANOTHER:
        return bool(getattr(layer, _OF_ANOTHER[field]))
    if isinstance(layer, _Activated) and field in PARAMETER_OF:
        return function_of(layer) == PARAMETER_OF[field]
    if field == "count_padding":
        return getattr(layer, "padding", "valid") not in ("valid", 0)
    if field == "bias_initializer":
        return bool(getattr(layer, "bias", True))
    return True
