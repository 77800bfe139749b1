"""A network is an architecture bound to an input size and a number of outputs.

Pure Python: shapes, parameters, operations and elements touched, without any framework; the bytes
of a training step are in `roofline`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import msgspec

from frameworks.spec.architecture import Architecture
from frameworks.spec.graph import PICTURES, Node, Place, Tree, nodes, places, tree
from frameworks.spec.layers import (
    JOINS,
    Activation,
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    Add,
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
    NetworkLayer,
    Normalize,
    Scale,
    counts_classes,
    function_of,
)
from frameworks.spec.reading import SpecificationError
from frameworks.spec.shapes import Shape, misfit, output_shape, zeros_around
from results.words import count

_NORM_PARTS: dict[type, tuple[str, ...]] = {
    BatchNorm: ("gamma", "beta", "moving_mean", "moving_variance"),
    LayerNorm: ("gamma", "beta"),
    GroupNorm: ("gamma", "beta"),
    Scale: ("gamma",),
}


# What a file calls the end of a block.
_WRITTEN = {"add": "residual", "multiply": "gate", "concatenation": "concatenate"}
_HANDS_ON = (
    *(Dense, MaxPool, AdaptiveAveragePool, AdaptiveMaxPool, GlobalAveragePool, GlobalMaxPool),
    *(Flatten, Add, Concatenation, Scale),
)


@dataclass(frozen=True)
class LayerCost:
    """Cost of one layer per image: operations (a multiply-add is 2) and elements touched.

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
    """An architecture for images of `input_shape` (height, width, channels) and `classes`, the
    number of its outputs (`frameworks.spec.losses.outputs`).

    frozen: names of layers that training leaves as they are (`frameworks.spec.frozen`).
    """

    architecture: Architecture
    input_shape: tuple[int, int, int]
    classes: int
    frozen: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.classes < 1:
            raise SpecificationError(f"a network needs at least 1 output, got {self.classes}.")
        if min(self.input_shape) < 1:
            size = "x".join(map(str, self.input_shape))
            raise SpecificationError(f"pictures of {size} (height, width, channels) are empty.")
        if self.output_shapes[self.output] != (self.classes,):  # raises for pictures too small
            shape = "x".join(map(str, self.output_shapes[self.output]))
            raise SpecificationError(
                f"architecture '{self.architecture.name}' ends in {shape} numbers a picture, the "
                f"data set has {count(self.classes, 'class')}: end with a global pool."
            )

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every layer with the layers it reads from, in order; blocks are opened."""
        return tuple(node for node, _ in self._bound)

    @cached_property
    def layers(self) -> tuple[NetworkLayer, ...]:
        """Every layer in order, with the numbers of classes and of groups filled in."""
        return tuple(node.layer for node in self.nodes)

    @cached_property
    def sources(self) -> dict[str, tuple[str, ...]]:
        """Names of the layers that each layer reads from; `PICTURES` is the input."""
        return {node.layer.name: node.sources for node in self.nodes}

    @cached_property
    def readers(self) -> dict[str, tuple[str, ...]]:
        """Names of the layers that read from each layer; none read from the output."""
        return {
            name: tuple(reader for reader, sources in self.sources.items() if name in sources)
            for name in self.sources
        }

    @cached_property
    def by_name(self) -> dict[str, NetworkLayer]:
        """Each layer by its name."""
        return {layer.name: layer for layer in self.layers}

    @cached_property
    def tree(self) -> Tree:
        """The layers as nested as they are written."""
        return tree(self.architecture.layers, self.by_name)

    @cached_property
    def places(self) -> dict[str, Place]:
        """The place of each layer in the tree by its name, but of sums and blocks' functions."""
        return places(self.tree)

    @cached_property
    def output(self) -> str:
        """Name of the layer that gives the logits."""
        return self.layers[-1].name

    @cached_property
    def output_shapes(self) -> dict[str, Shape]:
        """Output shape of each layer by name, without the batch axis."""
        return {node.layer.name: shape for node, shape in self._bound}

    @cached_property
    def input_shapes(self) -> dict[str, Shape]:
        """Input shape of each layer by name, without the batch axis."""
        known = {PICTURES: self.input_shape, **self.output_shapes}
        return {name: known[first] for name, (first, *_) in self.sources.items()}

    @cached_property
    def _bound(self) -> tuple[tuple[Node, Shape], ...]:
        """Each node, its numbers filled in, with its output shape."""
        shapes: dict[str, Shape] = {PICTURES: self.input_shape}
        bound = []
        for node in nodes(self.architecture.layers):
            inputs = [shapes[name] for name in node.sources]
            layer = self._filled_in(node, inputs[0])
            if isinstance(layer, JOINS) and (problem := misfit(layer, inputs)):
                raise SpecificationError(f"{self._where(node)}: {problem}")
            shape = output_shape(layer, *inputs)
            if min(shape) < 1:
                raise SpecificationError(
                    f"architecture '{self.architecture.name}' does not fit pictures of "
                    f"{self.input_shape[0]}x{self.input_shape[1]}: it runs out of pixels at "
                    f"layer {node.place} ('{layer.name}'), whose output would be "
                    f'{shape[0]}x{shape[1]}. Use larger pictures, padding = "same", or fewer pools.'
                )
            shapes[layer.name] = shape
            bound.append((replace(node, layer=layer), shape))
        return tuple(bound)

    def _where(self, node: Node) -> str:
        kind = str(node.layer.__struct_config__.tag)
        return (
            f"architecture '{self.architecture.name}', layer {node.place} "
            f"({_WRITTEN.get(kind, kind)} '{node.layer.name}')"
        )

    def _filled_in(self, node: Node, source: Shape) -> NetworkLayer:
        """The layer with `classes` and `channels` as numbers; raises where channels don't fit."""
        layer = node.layer
        if counts_classes(layer):
            field = "units" if isinstance(layer, Dense) else "filters"
            layer = msgspec.structs.replace(layer, **{field: self.classes})
        channels = source[-1]
        if isinstance(layer, Conv | GroupNorm):
            groups = channels if layer.groups == "channels" else layer.groups
            layer = msgspec.structs.replace(layer, groups=groups)
            if channels % groups:
                raise SpecificationError(
                    f"{self._where(node)}: {channels} channels do not divide into "
                    f"groups = {groups}."
                )
            if isinstance(layer, Conv) and layer.outputs % groups:
                raise SpecificationError(
                    f"{self._where(node)}: filters = {layer.filters} do not divide into "
                    f"groups = {groups}."
                )
        if isinstance(layer, Normalize) and len(layer.mean) not in (0, 1, channels):
            raise SpecificationError(
                f"{self._where(node)}: mean has {count(len(layer.mean), 'value')}; the pictures "
                f"have {channels} channels."
            )
        return layer

    @cached_property
    def weight_shapes(self) -> dict[str, Shape]:
        """Canonical shape of every weight by key, `layer/kernel`, in layer order.

        Convolution kernels are (height, width, in / groups, out), dense kernels (in, out), with the
        input of the first dense layer in row, column, channel order.
        """
        shapes: dict[str, Shape] = {}
        for layer in self.layers:
            source = self.input_shapes[layer.name]
            if isinstance(layer, Conv):
                outputs = self.output_shapes[layer.name][-1]
                inputs = source[-1] // layer.group_count
                shapes[f"{layer.name}/kernel"] = (*layer.kernel_size, inputs, outputs)
            elif isinstance(layer, Dense):
                units = self.output_shapes[layer.name][0]
                shapes[f"{layer.name}/kernel"] = (source[0], units)
            if isinstance(layer, Conv | Dense) and layer.bias:
                shapes[f"{layer.name}/bias"] = (self.output_shapes[layer.name][-1],)
            for part in _NORM_PARTS.get(type(layer), ()):
                shapes[f"{layer.name}/{part}"] = (source[-1],)
        return shapes

    @cached_property
    def trainable_keys(self) -> tuple[str, ...]:
        """Keys of the weights that gradients change, in layer order."""
        return tuple(
            key
            for key in self.weight_shapes
            if "/moving_" not in key and key.split("/")[0] not in self.frozen
        )

    @cached_property
    def penalised(self) -> dict[str, float]:
        """The `l2` of each kernel that is trained, by key."""
        return {
            f"{layer.name}/kernel": layer.l2
            for layer in self.layers
            if isinstance(layer, Conv | Dense) and layer.l2 and layer.name not in self.frozen
        }

    @cached_property
    def limited(self) -> dict[str, float]:
        """The `max_norm` of each kernel that is trained, by key."""
        return {
            f"{layer.name}/kernel": layer.max_norm
            for layer in self.layers
            if isinstance(layer, Conv | Dense)
            and layer.max_norm is not None
            and layer.name not in self.frozen
        }

    @cached_property
    def dropout_shapes(self) -> dict[str, Shape]:
        """Shape of the mask of each dropout layer by name, canonical, without the batch axis."""
        return {
            layer.name: layer.mask_shape(self.input_shapes[layer.name])
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
            for layer in self.layers
            if (part := _added_part(layer)) and self._taken_out(layer.name)
        )

    def _taken_out(self, name: str) -> bool:
        """A constant added to a layer's output is taken out by a norm on every way from there."""
        readers = self.readers[name]
        return bool(readers) and all(self._takes_out(self.by_name[reader]) for reader in readers)

    def _takes_out(self, layer: NetworkLayer) -> bool:
        channels = self.input_shapes[layer.name][-1]
        by_channel = isinstance(layer, GroupNorm) and layer.groups == channels
        if isinstance(layer, BatchNorm) or by_channel:
            return True
        return self._hands_on(layer) and self._taken_out(layer.name)

    def _hands_on(self, layer: NetworkLayer) -> bool:
        """A constant of every pixel of a channel comes out as one of every pixel."""
        if function_of(layer) != "linear":
            return False
        if isinstance(layer, Conv | AveragePool):
            padded = any(map(any, zeros_around(layer, self.input_shapes[layer.name])))
            return not padded or (isinstance(layer, AveragePool) and not layer.count_padding)
        if isinstance(layer, Activation):
            return True
        return isinstance(layer, _HANDS_ON)

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
                window = math.prod(layer.kernel_size) * source[-1] // layer.group_count
                forward = 2 * math.prod(target) * window
            elif isinstance(layer, Dense):
                forward = 2 * source[0] * target[0]
            trained = layer.name not in self.frozen
            if isinstance(layer, Conv | Dense):
                weight_gradient = forward if trained else 0
                input_gradient = 0 if first_weights else forward
            if weights and trained:
                first_weights = False
            costs.append(
                LayerCost(
                    layer.name,
                    str(layer.__struct_config__.tag),
                    forward,
                    weight_gradient,
                    input_gradient,
                    math.prod(target if isinstance(layer, Concatenation) else source),
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


def _added_part(layer: NetworkLayer) -> str | None:
    """The weight that a layer adds to its output, with nothing nonlinear after it."""
    if isinstance(layer, BatchNorm | LayerNorm | GroupNorm):
        return "beta"
    if isinstance(layer, Conv | Dense) and layer.bias and layer.activation == "linear":
        return "bias"
    return None
