"""Batch, layer and group normalisation forward and backward, in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from frameworks.numpy.windows import channel_sum
from frameworks.spec.layers import BatchNorm, GroupNorm, LayerNorm
from frameworks.spec.reading import SpecificationError
from frameworks.spec.weights import Weights


class Normed(NamedTuple):
    """A norm, applied: output, gradients, and the new running statistics by part."""

    output: np.ndarray
    backward: Callable[[np.ndarray], np.ndarray]
    weight_gradients: Callable[[np.ndarray], Weights]
    running: Weights


def batch_norm(layer: BatchNorm, x: np.ndarray, parts: Weights, *, training: bool) -> Normed:
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, over all axes but the channels.

    In training with the mean and the biased variance of the batch, through which the gradient goes
    too (Ioffe & Szegedy 2015, arXiv 1502.03167, section 3):
    dx = gamma / sqrt(variance + epsilon) * (dy - mean(dy) - x_hat mean(dy x_hat)).
    """
    assert layer.epsilon is not None
    assert layer.momentum is not None
    count = x.size // x.shape[-1]
    running: Weights = {}
    if training:
        mean = channel_sum(x) / count
        variance = _variance(layer, x, mean)
        keep = layer.momentum
        correction = _correction(layer, count)
        running["moving_mean"] = keep * parts["moving_mean"] + (1 - keep) * mean
        running["moving_variance"] = (
            keep * parts["moving_variance"] + (1 - keep) * correction * variance
        )
    else:
        mean, variance = parts["moving_mean"], parts["moving_variance"]
    scale = 1 / np.sqrt(variance + layer.epsilon)
    x_hat = (x - mean) * scale

    def backward(dy: np.ndarray) -> np.ndarray:
        if training:
            dy = dy - channel_sum(dy) / count - x_hat * (channel_sum(dy * x_hat) / count)
        return parts["gamma"] * scale * dy

    def weight_gradients(dy: np.ndarray) -> Weights:
        return {"gamma": channel_sum(dy * x_hat), "beta": channel_sum(dy)}

    output = parts["gamma"] * x_hat + parts["beta"]
    return Normed(output, backward, weight_gradients, running)


def _variance(layer: BatchNorm, x: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Biased variance: the mean of (x - mean)^2, or Flax's max(0, mean(x^2) - mean^2)."""
    count = x.size // x.shape[-1]
    if layer.variance == "fast":
        return np.maximum(0, channel_sum(x**2) / count - mean**2)
    return channel_sum((x - mean) ** 2) / count


def _correction(layer: BatchNorm, count: int) -> float:
    """Factor from the biased variance to the running one: 1, or n / (n - 1).

    Raises:
        SpecificationError: the unbiased variance of fewer than two values is asked for.
    """
    if layer.running_variance == "biased":
        return 1.0
    if count < 2:
        raise SpecificationError(
            f"layer '{layer.name}': the unbiased variance needs more than one value per channel; "
            'use a larger batch, drop the partial batch, or state running_variance = "biased".'
        )
    return count / (count - 1)


def picture_norm(layer: LayerNorm | GroupNorm, x: np.ndarray, parts: Weights) -> Normed:
    """Normalisation within each picture: over the channels of a pixel (Ba, Kiros & Hinton 2016,
    arXiv 1607.06450), or over all pixels of a group of channels (Wu & He 2018, arXiv 1803.08494).

    The gradient has the form of batch norm's, with means over what is normalised together.
    """
    assert layer.epsilon is not None
    grouped: tuple[int, ...] = x.shape
    axes: tuple[int, ...] = (-1,)
    if isinstance(layer, GroupNorm):  # (batch, pixels, groups, channels of a group)
        grouped, axes = (len(x), -1, layer.groups, x.shape[-1] // layer.groups), (1, 3)

    def mean(values: np.ndarray) -> np.ndarray:
        means = values.reshape(grouped).mean(axis=axes, keepdims=True)
        return np.broadcast_to(means, values.reshape(grouped).shape).reshape(values.shape)

    centre = mean(x)
    if layer.variance == "fast":
        variance = np.maximum(0, mean(x**2) - centre**2)
    else:
        variance = mean((x - centre) ** 2)
    scale = 1 / np.sqrt(variance + layer.epsilon)
    x_hat = (x - centre) * scale

    def backward(dy: np.ndarray) -> np.ndarray:
        dy = dy * parts["gamma"]
        return scale * (dy - mean(dy) - x_hat * mean(dy * x_hat))

    def weight_gradients(dy: np.ndarray) -> Weights:
        return {"gamma": channel_sum(dy * x_hat), "beta": channel_sum(dy)}

    return Normed(parts["gamma"] * x_hat + parts["beta"], backward, weight_gradients, {})
