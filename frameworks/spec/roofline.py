"""The least time of a training step, layer by layer, from a machine's peak and bandwidth.

The roofline of Williams, Waterman & Patterson (2009, CACM 52(4), 65): a piece of work takes at
least its operations over the peak, and at least its bytes over the bandwidth. Here the pieces are
the forward pass, the weight gradient and the input gradient of each layer, and the optimizer; each
layer reads what it needs from memory and writes what it makes there.

What is counted, for a batch of B images, a layer's input and output of I and O elements per image,
and W weights:

=================  =================================  ==============================================
piece              operations                         elements moved
=================  =================================  ==============================================
forward            as `Network.costs`, times B        B (I + O) + W
weight gradient    the same                           B (I + O) + W: reads input and output gradient
input gradient     the same; none for the first       B (I + O) + W: reads output gradient and
                   layer with weights                 weights
pool               0                                  forward and input gradient: B (I + O) each
batch norm         0                                  forward B (I + O) + W; gradients
                                                      B (2 I + O) + 2 W: reads the input again
                                                      (B (I + O) + 2 W ahead of all weights)
dropout,           0                                  0: they can be part of the layer ahead
activation, flatten
optimizer          0                                  (3 + 2 slots) W: reads weight, gradient and
                                                      slots, writes weight and slots
=================  =================================  ==============================================

Biases and activations of convolutions and dense layers are part of them. The bound is one for code
that works layer by layer: what joins several layers, or keeps their values in a large cache, can be
faster where it is the bytes that bind.
"""

from __future__ import annotations

from dataclasses import dataclass

from frameworks.spec import recipe as recipes
from frameworks.spec.network import LayerCost, Network
from frameworks.spec.recipe import Optimizer

# Bytes of an activation or a weight as the layers read it; the optimizer has its own precision.
ITEM_BYTES = {"float32": 4, "tf32": 4, "float16": 2, "bfloat16": 2, "float64": 8}
_FREE = ("dropout", "activation", "flatten")


@dataclass(frozen=True)
class Work:
    """One piece of a training step: operations (a multiply-add is 2) and bytes moved."""

    name: str
    part: str
    flops: int
    bytes: int

    def least_seconds(self, flops_per_second: float, bytes_per_second: float) -> float:
        """max(operations / peak, bytes / bandwidth)."""
        return max(self.flops / flops_per_second, self.bytes / bytes_per_second)


def training_step(
    network: Network, batch_size: int, optimizer: Optimizer, precision: str
) -> list[Work]:
    """The pieces of one training step, forward, then backward, then the optimizer."""
    item = ITEM_BYTES[precision]
    forward = [_forward(cost, batch_size, item) for cost in network.costs]
    backward: list[Work] = []
    needs_gradient = False  # of the layer's input: not ahead of the first weights
    for cost in network.costs:
        backward = [*_backward(cost, batch_size, item, needs_gradient), *backward]
        needs_gradient |= cost.weight_elements > 0
    weights = network.parameters(trainable_only=True)
    moved = (3 + 2 * slots(optimizer)) * weights * max(item, 4)
    step = Work(str(optimizer.__struct_config__.tag), "optimizer", 0, moved)
    return [work for work in (*forward, *backward, step) if work.flops or work.bytes]


def least_seconds(
    network: Network,
    batch_size: int,
    optimizer: Optimizer,
    precision: str,
    *,
    flops_per_second: float,
    bytes_per_second: float,
) -> float:
    """Seconds that a training step of `batch_size` images takes at least: the sum of its pieces."""
    pieces = training_step(network, batch_size, optimizer, precision)
    return sum(piece.least_seconds(flops_per_second, bytes_per_second) for piece in pieces)


def slots(optimizer: Optimizer) -> int:
    """Numbers that the optimizer keeps for each weight."""
    if isinstance(optimizer, recipes.Adam | recipes.AdamW):
        return 3 if optimizer.amsgrad else 2
    if isinstance(optimizer, recipes.Adamax | recipes.Adadelta):
        return 2
    if isinstance(optimizer, recipes.SGD):
        return 1 if optimizer.momentum else 0
    if isinstance(optimizer, recipes.RMSprop):
        return 1 + bool(optimizer.centered) + bool(optimizer.momentum)
    return 1  # Adagrad, Lion


def _forward(cost: LayerCost, batch_size: int, item: int) -> Work:
    elements = _in_and_out(cost, batch_size) + cost.weight_elements
    elements = 0 if cost.kind in _FREE else elements
    return Work(cost.name, "forward", batch_size * cost.forward_flops, elements * item)


def _backward(cost: LayerCost, batch_size: int, item: int, needs_gradient: bool) -> list[Work]:
    """Input gradient and weight gradient, as far as the layer has them."""
    through = _in_and_out(cost, batch_size)
    weights = cost.weight_elements
    if cost.kind in _FREE:
        return []
    if cost.kind == "batch_norm":
        made = batch_size * cost.input_elements if needs_gradient else 0
        elements = through + made + 2 * weights
        return [Work(cost.name, "gradients", 0, elements * item)]
    found = []
    if needs_gradient:
        flops = batch_size * cost.input_gradient_flops
        found.append(Work(cost.name, "input gradient", flops, (through + weights) * item))
    if weights:
        flops = batch_size * cost.weight_gradient_flops
        found.append(Work(cost.name, "weight gradient", flops, (through + weights) * item))
    return found


def _in_and_out(cost: LayerCost, batch_size: int) -> int:
    return batch_size * (cost.input_elements + cost.output_elements)
