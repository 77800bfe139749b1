"""Batch norms and depthwise convolutions in channels-last layout on CPUs, where PyTorch's own are
inexact or slow."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_backward = torch.ops.aten.convolution_backward
_norm_backward = torch.ops.aten.native_batch_norm_backward
# Values of a row of sums, which are to stay in a cache. PyTorch adds up rows one after the other,
# in plain float32: few are exact.
_WIDE, _WIDE_SLOPES = 4096, 1024
_FEW = 512
_SMALL = 500_000  # values of a tensor that is not worth more calls
_FAST = 3  # columns of a depthwise kernel whose gradient oneDNN computes fast


def batch_norm(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> tuple[Tensor, ...]:
    """Batch normalisation of (batch, channels, height, width) over all axes but channels.

    For channels-last tensors on CPUs, where PyTorch's own adds up the variance in plain float32
    (1e-3 off at 64 x 63 x 63 values a channel).

    Returns:
        The output, and the batch's mean and biased variance (channels,), which carry no gradient.
    """
    norm = _SummedNorm if x.numel() < _SMALL else _FoldedNorm
    return norm.apply(x, gamma, beta, epsilon)


class _SummedNorm(torch.autograd.Function):
    """By `Tensor.sum`, which adds up pairwise."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> Any:
        count = x.numel() // x.shape[1]
        mean = x.sum((0, 2, 3)) / count
        centred = x - _by_channel(mean)
        variance = centred.square().sum((0, 2, 3)) / count
        inverse = (variance + epsilon).rsqrt()
        ctx.save_for_backward(centred, gamma, inverse)
        ctx.mark_non_differentiable(mean, variance)
        output = torch.addcmul(_by_channel(beta), centred, _by_channel(gamma * inverse))
        return output, mean, variance

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> Any:
        """Ioffe & Szegedy 2015, section 3, with the channels' factors multiplied out first.

        gamma * inverse * (slope - mean(slope) - centred * inverse**2 * mean(slope * centred))
        """
        centred, gamma, inverse = ctx.saved_tensors
        slope = slopes[0]
        count = slope.numel() // slope.shape[1]
        beta_slope = slope.sum((0, 2, 3))
        gamma_slope = (slope * centred).sum((0, 2, 3)) * inverse
        scale = gamma * inverse
        x_slope = torch.addcmul(_by_channel(-scale * beta_slope / count), slope, _by_channel(scale))
        x_slope.addcmul_(centred, _by_channel(-scale * inverse * gamma_slope / count))
        return x_slope, gamma_slope, beta_slope, None


class _FoldedNorm(torch.autograd.Function):
    """By PyTorch's own kernels, on rows of several pixels each: sums of fewer values, which are
    then added up. They read memory fewer times."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> Any:
        shape = -1, x.shape[1]
        means, variances = torch.batch_norm_update_stats(_folded(x, _WIDE), None, None, 0.0)
        means, variances = means.view(shape), variances.view(shape)
        mean = means.mean(0)
        variance = variances.mean(0) + (means - mean).square().mean(0)
        ctx.save_for_backward(x, gamma, mean, variance)
        ctx.epsilon = epsilon
        ctx.mark_non_differentiable(mean, variance)
        return functional.batch_norm(x, mean, variance, gamma, beta, eps=epsilon), mean, variance

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> Any:
        """As of `_SummedNorm`, with x in place of what is centred."""
        x, gamma, mean, variance = ctx.saved_tensors
        rows, slope = _folded(x, _WIDE_SLOPES), _folded(slopes[0], _WIDE_SLOPES)
        count, fold = x.numel() // x.shape[1], rows.shape[1] // x.shape[1]
        known = (None, mean.repeat(fold), variance.repeat(fold), None, None, False, ctx.epsilon)
        parts = zip(slope.split(_FEW), rows.split(_FEW), strict=True)
        sums = [_norm_backward(*part, *known, [False, True, True])[1:] for part in parts]
        shape = -1, x.shape[1]
        gamma_slope, beta_slope = (
            torch.stack(one).view(shape).sum(0) for one in zip(*sums, strict=True)
        )
        inverse = (variance + ctx.epsilon).rsqrt()
        scale = gamma * inverse
        factor = -scale * inverse * gamma_slope / count
        constant = -scale * beta_slope / count - factor * mean
        x_slope = torch.addcmul(_by_channel(constant), slopes[0], _by_channel(scale))
        return x_slope.addcmul_(x, _by_channel(factor)), gamma_slope, beta_slope, None


def _folded(x: Tensor, wide: int) -> Tensor:
    """The pixels of a channels-last tensor, several in a row: (rows, pixels * channels), of `wide`
    values at most, or of a pixel's."""
    pixels, channels = x.numel() // x.shape[1], x.shape[1]
    together = max(1, wide // channels)
    while pixels % together:
        together -= 1
    return x.permute(0, 2, 3, 1).reshape(-1, together * channels)


def _by_channel(vector: Tensor) -> Tensor:
    return vector[None, :, None, None]


def convolve(x: Tensor, kernel: Tensor, bias: Tensor | None, steps: Any, zeros: Any) -> Tensor:
    """Depthwise convolution of (batch, channels, height, width) by (channels, 1, rows, columns);
    steps and zeros are (of rows, of columns).

    The gradient of a wide kernel (`is_wide`) is that of several of three columns, for which oneDNN
    has fast code; for more it goes through the channels as if each had sixteen.
    """
    return _Depthwise.apply(x, kernel, bias, steps, zeros)


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, kernel: Tensor, bias: Tensor | None, steps: Any, zeros: Any
    ) -> Tensor:
        ctx.save_for_backward(x, kernel)
        ctx.steps, ctx.zeros, ctx.has_bias = steps, zeros, bias is not None
        return functional.conv2d(x, kernel, bias, steps, zeros, groups=len(kernel))

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> Any:
        (x, kernel), (slope,) = ctx.saved_tensors, slopes
        rest = [1, 1], False, [0, 0], len(kernel)
        x_slope = kernel_slope = None
        if ctx.needs_input_grad[0]:
            found = _backward(
                slope, x, kernel, None, ctx.steps, ctx.zeros, *rest, [True, False, False]
            )
            x_slope = found[0]
        if ctx.needs_input_grad[1]:
            kernel_slope = _kernel_slope(x, slope, kernel, ctx.steps, ctx.zeros, rest)
        bias_slope = slope.sum((0, 2, 3)) if ctx.has_bias else None
        return x_slope, kernel_slope, bias_slope, None, None


def _kernel_slope(
    x: Tensor, slope: Tensor, kernel: Tensor, steps: Any, zeros: Any, rest: tuple
) -> Tensor:
    """The gradient of the kernel, some columns at a time: their slopes stand further right."""
    found = torch.empty_like(kernel)
    x = functional.pad(x, (zeros[1], zeros[1]))  # oneDNN's code knows less padding than two
    room = (x.shape[3] - _FAST) // steps[1] + 1 - slope.shape[3]
    for column in _columns(kernel.shape[3], steps[1]):
        ahead = column // steps[1]
        moved = functional.pad(slope, (ahead, room - ahead))
        place = ..., slice(column, column + _FAST)
        some = _backward(
            moved, x, kernel[place], None, steps, [zeros[0], 0], *rest, [False, True, False]
        )
        found[place] = some[1]
    return found


def _columns(width: int, step: int) -> list[int]:
    """The first of each three columns of a kernel that together are all of it, in whole steps."""
    return [*range(0, width - _FAST, _FAST // step * step), width - _FAST]


def is_wide(kernel: Any, steps: Any) -> bool:
    """A kernel of more columns than oneDNN's fast code of the gradient takes, which can be gone
    through in whole steps."""
    return kernel[1] > _FAST >= steps[1] and not (kernel[1] - _FAST) % steps[1]
