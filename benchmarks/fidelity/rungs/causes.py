"""Usual causes of a failed rung, by the place where it failed first."""

from __future__ import annotations

from frameworks.spec.network import Network

_BY_KIND = {
    "conv": "kernel layout or orientation, padding, stride, TF32; the first layer: "
    "scale of the pixels or order of the channels",
    "max_pool": "pool size, stride (Flax defaults to 1) or padding",
    "average_pool": "pool size, stride or whether padding is counted",
    "batch_norm": "epsilon, training or inference mode, fast variance, momentum convention",
    "dropout": "mask not applied or not scaled by 1 / (1 - rate), or dropout on in inference",
    "flatten": "flatten order: row, column, channel against channel, row, column",
    "dense": "flatten order of the kernel's rows, or the kernel transposed",
    "activation": "another activation function",
}
_BY_RUNG = {
    "R0": "different inputs: nothing further can be compared until these are equal",
    "R2": "the loss (sum for mean, softmax twice, L2 form, label smoothing), gradients not "
    "cleared, or a layer's backward",
    "R3": "the optimizer's formula: a constant, epsilon's place, bias correction, decay, momentum "
    "form; from the change of rate on, the schedule",
    "R4": "the gradient, where R2 fails too; else the optimizer, a constraint on the weights, or "
    "running statistics: momentum convention, biased or unbiased variance",
    "R5a": "semantics: float64 leaves no room for rounding",
    "R5e": "replicas: batch norm over a replica's own images, L2 counted by each, a mean of their "
    "means, images left out of a batch that cannot be dealt evenly, or a rate of the first step",
    "R5b": "a constant or an optimizer formula that differs in float32; where R5a holds, how often "
    "a step rounds the weights, or a rate (--rate) at which rounding grows",
}
# R5d, by the stage that failed first (`measure.lifecycle`).
_BY_STAGE = {
    "first": "an epoch in one call: the order of its batches, a chunk's boundary, or the last, "
    "smaller batch",
    "second": "the second epoch: a rate of compile time, the first epoch's rows or masks, or "
    "moments lost in between",
    "best": "weights put back: one that is left out, running statistics among them",
    "again": "optimizer state put back: moments, step or rate",
    "sure": "logits beyond 40: clamped, or a softmax that overflows; or class weights",
    "fresh": "weights put into a new backend, running statistics among them",
    "resumed": "a new backend that goes on: moments, step, rate or order",
}
BITS = "bits/"  # begins the place of a kernel whose numbers have too many or too few
_PREDICTED = "predict() by batches: order, training mode, precision, or the last, smaller batch"
_EPOCH = "the order of the batches, or the last, smaller one: left out, or weighed as a whole one"


def likely_cause(rung: str, where: str, network: Network) -> str:
    """A sentence for a failed rung; `where` is as `rungs.Finding` has it."""
    if rung == "R1" and where == "loss":
        return "the loss: mean or sum, softmax twice, clipped probabilities, L2 form, labels"
    if where.startswith("restored/"):
        return f"{_PREDICTED}; or a weight that set_weights leaves out"
    if where.startswith(BITS):
        return "another precision than was asked for"
    if where == "masks":
        return "dropout's own random numbers: drawn again in every call, or at another rate"
    if rung == "R1":
        name = where.rsplit("/", 1)[-1]
        kinds = {layer.name: str(layer.__struct_config__.tag) for layer in network.layers}
        return _BY_KIND.get(kinds.get(name, ""), "")
    if rung == "R5e":
        return _BY_RUNG[rung]
    if where.startswith("epoch"):
        return _EPOCH
    if where == "predictions":
        return (
            "prediction after training: running statistics, gamma or beta of a batch norm in "
            "inference, or what predict() makes of the logits"
        )
    if "moving_mean" in where:
        return "batch norm: the running mean is not updated, or by another momentum convention"
    if "moving_" in where:
        return "batch norm: momentum convention, or biased or unbiased running variance"
    stage, _, what = where.partition(" ")
    if what == "logits" and stage in ("first", "second"):
        return _PREDICTED
    return _BY_RUNG.get(rung) or _BY_STAGE.get(stage, "")
