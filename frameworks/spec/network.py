"""A network is an architecture bound to an input size and a number of classes.

Pure Python: shapes, parameters, operations and elements touched, without any framework; the bytes
of a training step are in `roofline`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import msgspec

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
from frameworks.spec.reading import SpecificationError

Shape = tuple[int, ...]


@dataclass(frozen=True)
class LayerCost:
    """What one layer costs per image: operations (a multiply-add is 2) and elements touched.

    `input_gradient_flops` is zero for the first layer with weights: nothing needs the gradient
    with respect to the picture.
    """

    name: str
    kind: str
    forward_flops: int
    weight_gradient_flops: int
    input_gradient_flops: int
    input_elements: int
    output_elements: int
    weight_elements: int

    @property
    def training_flops(self) -> int:
        """Forward and backward pass of one image."""
        return self.forward_flops + self.weight_gradient_flops + self.input_gradient_flops


@dataclass(frozen=True)
class Network:
    """An architecture for images of `input_shape` (height, width, channels) and `classes`."""

    architecture: Architecture
    input_shape: tuple[int, int, int]
    classes: int

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise SpecificationError(f"a classifier needs at least 2 classes, got {self.classes}.")
        if min(self.input_shape) < 1:
            size = "x".join(map(str, self.input_shape))
            raise SpecificationError(f"pictures of {size} (height, width, channels) are empty.")
        _ = self.output_shapes  # raises when the pictures are too small

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, with the number of classes filled in."""
        *body, output = self.architecture.layers
        return (*body, msgspec.structs.replace(output, units=self.classes))

    @cached_property
    def output_shapes(self) -> dict[str, Shape]:
        """Output shape of each layer by name, without the batch axis."""
        shapes: dict[str, Shape] = {}
        shape: Shape = self.input_shape
        for index, layer in enumerate(self.layers):
            shape = _output_shape(layer, shape)
            if min(shape) < 1:
                raise SpecificationError(
                    f"architecture '{self.architecture.name}' does not fit pictures of "
                    f"{self.input_shape[0]}x{self.input_shape[1]}: it runs out of pixels at "
                    f"layer {index + 1} ('{layer.name}'), whose output would be "
                    f'{shape[0]}x{shape[1]}. Use larger pictures, padding = "same", or fewer pools.'
                )
            shapes[layer.name] = shape
        return shapes

    @cached_property
    def input_shapes(self) -> dict[str, Shape]:
        """Input shape of each layer by name, without the batch axis."""
        outputs = list(self.output_shapes.values())
        return dict(zip(self.output_shapes, [self.input_shape, *outputs[:-1]], strict=True))

    @cached_property
    def weight_shapes(self) -> dict[str, Shape]:
        """Canonical shape of every weight by key, `layer/kernel`, in layer order.

        Convolution kernels are (height, width, in, out), dense kernels (in, out), with the input
        of the first dense layer in row, column, channel order.
        """
        shapes: dict[str, Shape] = {}
        for layer in self.layers:
            source = self.input_shapes[layer.name]
            if isinstance(layer, Conv):
                shapes[f"{layer.name}/kernel"] = (*layer.kernel_size, source[-1], layer.filters)
                shapes[f"{layer.name}/bias"] = (layer.filters,)
            elif isinstance(layer, Dense):
                units = self.output_shapes[layer.name][0]
                shapes[f"{layer.name}/kernel"] = (source[0], units)
                shapes[f"{layer.name}/bias"] = (units,)
            elif isinstance(layer, BatchNorm):
                for part in ("gamma", "beta", "moving_mean", "moving_variance"):
                    shapes[f"{layer.name}/{part}"] = (source[-1],)
        return shapes

    @cached_property
    def trainable_keys(self) -> tuple[str, ...]:
        """Keys of the weights that gradients change, in layer order."""
        return tuple(key for key in self.weight_shapes if "/moving_" not in key)

    @cached_property
    def dropout_shapes(self) -> dict[str, Shape]:
        """Shape of the mask of each dropout layer by name, canonical, without the batch axis."""
        return {
            layer.name: self.input_shapes[layer.name]
            for layer in self.layers
            if isinstance(layer, Dropout)
        }

    @property
    def dropout_rates(self) -> dict[str, float]:
        """Share dropped by each dropout layer, by name."""
        return {layer.name: layer.rate for layer in self.layers if isinstance(layer, Dropout)}

    @cached_property
    def dead_biases(self) -> tuple[str, ...]:
        """Biases (and betas) whose gradient is exactly zero, since a batch norm takes them out.

        What they add is the same for every image and pixel of a channel, and reaches a batch norm
        through layers that leave it so: linear ones without zero padding, pools, flatten.
        """
        return tuple(
            f"{layer.name}/{part}"
            for position, layer in enumerate(self.layers)
            if (part := _added_part(layer)) and self._reaches_batch_norm(position + 1)
        )

    def _reaches_batch_norm(self, position: int) -> bool:
        """A constant added ahead of layer `position` is taken out by a batch norm."""
        for layer in self.layers[position:]:
            if isinstance(layer, BatchNorm):
                return True
            identity = isinstance(layer, Activation) and layer.function == "linear"
            padded = isinstance(layer, Conv) and layer.padding == "same"
            passes = isinstance(layer, MaxPool | AveragePool | Flatten) or _added_part(layer)
            if padded or not (passes or identity):
                return False
        return False

    def parameters(self, *, trainable_only: bool = False) -> int:
        """Number of parameters; running statistics count unless `trainable_only`."""
        keys = self.trainable_keys if trainable_only else self.weight_shapes
        return sum(math.prod(self.weight_shapes[key]) for key in keys)

    @cached_property
    def costs(self) -> tuple[LayerCost, ...]:
        """Cost of each layer for one image, in layer order."""
        costs = []
        first_weights = True
        for layer in self.layers:
            source, target = self.input_shapes[layer.name], self.output_shapes[layer.name]
            weights = sum(
                math.prod(shape)
                for key, shape in self.weight_shapes.items()
                if key.split("/")[0] == layer.name
            )
            forward = weight_gradient = input_gradient = 0
            if isinstance(layer, Conv):
                window = layer.kernel_size[0] * layer.kernel_size[1] * source[-1]
                forward = 2 * math.prod(target) * window
            elif isinstance(layer, Dense):
                forward = 2 * source[0] * target[0]
            if isinstance(layer, Conv | Dense):
                weight_gradient = forward
                input_gradient = 0 if first_weights else forward
            if isinstance(layer, Conv | Dense | BatchNorm):
                first_weights = False
            costs.append(
                LayerCost(
                    layer.name,
                    str(layer.__struct_config__.tag),
                    forward,
                    weight_gradient,
                    input_gradient,
                    math.prod(source),
                    math.prod(target),
                    weights,
                )
            )
        return tuple(costs)

    def flops(self, *, training: bool = False) -> int:
        """Operations of convolutions and dense layers for one image (a multiply-add is 2).

        Forward only, or with both gradients when `training`. Elementwise layers are left out, as
        is usual; they are below 1 % in these networks.
        """
        return sum(c.training_flops if training else c.forward_flops for c in self.costs)


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after an axis for `padding="same"`: the odd one comes after.

    TensorFlow's rule (tensorflow.org/api_docs/python/tf/nn, "SAME"): output = ceil(size / stride).
    """
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _added_part(layer: Layer) -> str | None:
    """The weight that a layer adds to its output, with nothing nonlinear after it."""
    if isinstance(layer, BatchNorm):
        return "beta"
    return "bias" if isinstance(layer, Conv | Dense) and layer.activation == "linear" else None


def _output_shape(layer: Layer, shape: Shape) -> Shape:
    if isinstance(layer, Conv):
        if layer.padding == "same":
            size = tuple(math.ceil(n / layer.stride) for n in shape[:2])
        else:
            size = tuple(
                (n - k) // layer.stride + 1
                for n, k in zip(shape[:2], layer.kernel_size, strict=True)
            )
        return (*size, layer.filters)
    if isinstance(layer, MaxPool | AveragePool):
        stride = layer.stride or layer.size
        return (*((n - layer.size) // stride + 1 for n in shape[:2]), shape[2])
    if isinstance(layer, Flatten):
        return (math.prod(shape),)
    if isinstance(layer, Dense):
        assert isinstance(layer.units, int)
        return (layer.units,)
    assert isinstance(layer, BatchNorm | Dropout | Activation)
    return shape
