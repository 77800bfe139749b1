"""The mutants of PyTorch: each function patches its backend while its context lasts.

Named as in `mutants.MUTANTS`, where each says what the user did wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np

from frameworks.spec.architecture import AveragePool, BatchNorm, Conv, Dense, MaxPool
from frameworks.spec.layers import Zeros
from frameworks.spec.network import Network
from frameworks.spec.shapes import Shape, windows
from frameworks.spec.weights import Weights
from frameworks.torch import backend as torch_backend
from frameworks.torch import losses as torch_losses
from frameworks.torch import model as torch_model
from frameworks.torch import optimizers as torch_optimizers
from frameworks.torch.backend import TorchBackend
from frameworks.torch.model import (
    GalaxyNet,
    Tensor,
    functional,
    nn,
    tensor_of,
)
from frameworks.torch.modules import BiasedRunningVariance, MaskedDropout, torch

Fault = AbstractContextManager[Any]


# ---- pictures and weights


def channels_reversed() -> Fault:
    forward = GalaxyNet.forward

    def reading(self: GalaxyNet, images: Tensor, *arguments: Any) -> Tensor:
        return forward(self, images.flip(-1), *arguments)

    return patch.object(GalaxyNet, "forward", reading)


def pixels_over_256() -> Fault:
    return patch.object(torch_model, "PIXEL_SCALE", 1 / 256)


def output_bias_not_loaded() -> Fault:
    load = TorchBackend.set_weights

    def loading(self: TorchBackend, weights: Weights) -> None:
        key = f"{self.network.layers[-1].name}/bias"
        load(self, {**weights, key: self.get_weights()[key]})

    return patch.object(TorchBackend, "set_weights", loading)


def _layout(change: Callable[[np.ndarray], np.ndarray]) -> Fault:
    """Both directions changed alike, so that weights come back as they went in."""
    to, back = torch_model.to_canonical, torch_model.from_canonical

    def giving(network: Network, key: str, array: np.ndarray) -> np.ndarray:
        return to(network, key, change(array))

    def taking(network: Network, key: str, array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(change(back(network, key, array)))

    return patch.multiple(torch_backend, to_canonical=giving, from_canonical=taking)


def kernel_axes_swapped() -> Fault:
    def change(array: np.ndarray) -> np.ndarray:
        square = array.ndim == 4 and array.shape[2] == array.shape[3]
        return array.swapaxes(2, 3) if square else array

    return _layout(change)


def dense_transposed() -> Fault:
    def change(array: np.ndarray) -> np.ndarray:
        return array.T if array.ndim == 2 and array.shape[0] == array.shape[1] else array

    return _layout(change)


def flatten_order() -> Fault:
    return patch.object(torch_model, "flat_order", lambda network, key: None)


# ---- layers


def symmetric_padding() -> Fault:
    right = torch_model.zeros_around

    def around(layer: Conv | MaxPool | AveragePool, source: Shape) -> Zeros:
        (rows, columns), steps = windows(layer)
        if layer.padding != "same" or max(steps) == 1:
            return right(layer, source)
        return (rows // 2, rows // 2), (columns // 2, columns // 2)

    return patch.object(torch_model, "zeros_around", around)


def _batch_norm(change: Callable[[BatchNorm], Mapping[str, Any]]) -> Fault:
    make = torch_model._batch_norm

    def making(layer: BatchNorm, source: Shape) -> nn.Module:
        return make(msgspec.structs.replace(layer, **change(layer)), source)

    return patch.object(torch_model, "_batch_norm", making)


def batch_norm_epsilon() -> Fault:
    return _batch_norm(lambda layer: {"epsilon": 1e-5})


def batch_norm_momentum() -> Fault:
    return _batch_norm(lambda layer: {"momentum": 1 - (layer.momentum or 0.0)})


def unbiased_variance() -> Fault:
    return _batch_norm(lambda layer: {"running_variance": "unbiased"})


def running_mean_frozen() -> Fault:
    kind = BiasedRunningVariance
    forward = kind.forward

    def forgetting(self: Any, x: Tensor) -> Tensor:
        before = self.running_mean.clone()
        output = forward(self, x)
        self.running_mean.copy_(before)
        return output

    return patch.object(kind, "forward", forgetting)


def bias_not_trained() -> Fault:
    step = TorchBackend._step

    def stepping(self: TorchBackend) -> None:
        """A step that leaves the first layer's bias as it was, where a batch norm follows."""
        if not isinstance(self.network.layers[1], BatchNorm):
            return step(self)
        bias = tensor_of(self.model, self.network.trainable_keys[1])
        before = bias.detach().clone()
        step(self)
        bias.data.copy_(before)

    return patch.object(TorchBackend, "_step", stepping)


def mask_not_scaled() -> Fault:
    return patch.object(MaskedDropout, "dropped", lambda self, x, mask: x * mask.to(x.dtype))


def mask_order() -> Fault:
    arrange = MaskedDropout.laid_out
    return patch.object(
        MaskedDropout,
        "laid_out",
        lambda self, mask: arrange(self, mask) if mask.dim() == 4 else mask,
    )


def dropout_in_inference() -> Fault:
    def dropping(self: MaskedDropout, x: Tensor, masks: Any) -> Tensor:
        masked = self.training or bool(masks)
        return self.dropped(x, self.laid_out(masks[self.name])) if masked else x

    return patch.object(MaskedDropout, "forward", dropping)


def inference_mode_forgotten() -> Fault:
    train = GalaxyNet.train
    return patch.object(GalaxyNet, "train", lambda self, mode=True: train(self, True))


def tf32_rounding() -> Fault:
    linear, convolve = nn.Linear.forward, nn.Conv2d._conv_forward

    def rounded(x: Tensor) -> Tensor:
        """The nearest number of 10 explicit bits, float32 alone; the gradient passes."""
        if x.dtype != torch.float32:
            return x
        bits = x.detach().view(torch.int32)
        near = ((bits + 0x1000) & ~0x1FFF).view(torch.float32)
        return x + (near - x).detach()

    stack = ExitStack()
    stack.enter_context(
        patch.object(nn.Linear, "forward", lambda self, x: linear(self, rounded(x)))
    )
    stack.enter_context(
        patch.object(
            nn.Conv2d,
            "_conv_forward",
            lambda self, x, weight, bias: convolve(self, rounded(x), rounded(weight), bias),
        )
    )
    return stack


def _pair(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else value


def ties_shared() -> Fault:
    def forward(self: nn.MaxPool2d, x: Tensor) -> Tensor:
        (rows, columns), (down, right) = _pair(self.kernel_size), _pair(self.stride)
        windows = x.unfold(2, rows, down).unfold(3, columns, right)
        return windows.amax((-2, -1)).clone()  # a ReLU behind it may be in place

    return patch.object(nn.MaxPool2d, "forward", forward)


# ---- inference after training: at the initial running statistics, gamma and beta it is right


def _batch_norm_in_inference(normalise: Callable[[Any, Tensor], Tensor]) -> Fault:
    kind = BiasedRunningVariance
    forward = kind.forward

    def otherwise(self: Any, x: Tensor) -> Tensor:
        return forward(self, x) if self.training else normalise(self, x)

    return patch.object(kind, "forward", otherwise)


def spread_as_variance() -> Fault:
    return _batch_norm_in_inference(
        lambda self, x: functional.batch_norm(
            *(x, self.running_mean, self.running_var.sqrt(), self.weight, self.bias), eps=self.eps
        )
    )


def gamma_not_used() -> Fault:
    return _batch_norm_in_inference(
        lambda self, x: functional.batch_norm(x, self.running_mean, self.running_var, eps=self.eps)
    )


def logits_scaled() -> Fault:
    predict = TorchBackend.predict
    return patch.object(TorchBackend, "predict", lambda self, images: 1.5 * predict(self, images))


# ---- loss and gradients


def _cross_entropy(loss: Callable[..., Tensor]) -> Fault:
    return patch.object(torch_losses, "functional", SimpleNamespace(cross_entropy=loss))


def loss_summed() -> Fault:
    return _cross_entropy(lambda z, y, **_: functional.cross_entropy(z, y, reduction="sum"))


def softmax_twice() -> Fault:
    return _cross_entropy(lambda z, y, **_: functional.cross_entropy(functional.softmax(z, 1), y))


def labels_shifted() -> Fault:
    return _cross_entropy(lambda z, y, **_: functional.cross_entropy(z, (y + 1) % z.shape[1]))


def class_weights_normalised() -> Fault:
    def loss(z: Tensor, y: Tensor, weight: Tensor | None = None, **_: Any) -> Tensor:
        if weight is None:
            return functional.cross_entropy(z, y)
        return functional.cross_entropy(z, y, weight=weight) * len(y)  # the caller divides by it

    return _cross_entropy(loss)


def loss_clamped() -> Fault:
    return _cross_entropy(lambda z, y, **o: functional.cross_entropy(z.clamp(-20, 20), y, **o))


def l2_halved() -> Fault:
    loss = TorchBackend._loss

    def half(self: TorchBackend, logits: Tensor, labels: Tensor) -> Tensor:
        network = self.network
        layers = tuple(
            msgspec.structs.replace(layer, l2=layer.l2 / 2)
            if isinstance(layer, Conv | Dense)
            else layer
            for layer in network.layers
        )
        architecture = msgspec.structs.replace(network.architecture, layers=layers)
        halved = Network(architecture, network.input_shape, network.classes)
        with patch.object(self, "network", halved):
            return loss(self, logits, labels)

    return patch.object(TorchBackend, "_loss", half)


def gradients_accumulated() -> Fault:
    return patch.object(torch.optim.Optimizer, "zero_grad", lambda self, set_to_none=True: None)


# ---- optimizer


def max_norm_missing() -> Fault:
    return patch.object(TorchBackend, "_project", lambda self: None)


def max_norm_axis() -> Fault:
    @torch.no_grad()
    def project(self: TorchBackend) -> None:
        for layer in self.network.layers:
            if isinstance(layer, Conv | Dense) and layer.max_norm is not None:
                kernel = tensor_of(self.model, f"{layer.name}/kernel")
                axes = (2, 3) if kernel.dim() == 4 else (1,)
                norm = kernel.square().sum(dim=axes, keepdim=True).sqrt()
                kernel.mul_(norm.clamp(max=layer.max_norm) / (1e-7 + norm))

    return patch.object(TorchBackend, "_project", project)


def decay_spares_norms() -> Fault:
    """Weight decay spares everything that has one axis, as in many training scripts."""
    make = torch_optimizers.make

    def making(spec: Any, parameters: Any, **options: Any) -> Any:
        made = make(spec, parameters, **options)
        if "weight_decay" in spec.__struct_fields__:
            group = made.param_groups[0]
            spared = [one for one in group["params"] if one.dim() == 1]
            group["params"] = [one for one in group["params"] if one.dim() > 1]
            made.add_param_group({"params": spared, "weight_decay": 0.0})
        return made

    return patch.object(torch_optimizers, "make", making)


def beta_2_of_099() -> Fault:
    make = torch_optimizers.make

    def making(spec: Any, parameters: Any, **options: Any) -> Any:
        return make(msgspec.structs.replace(spec, beta_2=0.99), parameters, **options)

    return patch.object(torch_optimizers, "make", making)


def coupled_decay() -> Fault:
    return patch.object(torch.optim, "AdamW", torch.optim.Adam)


def rmsprop_epsilon() -> Fault:
    def stock(
        parameters: Any, lr: float, alpha: float, eps: float, **more: Any
    ) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(parameters, lr=lr, alpha=alpha, eps=eps, **more)

    return patch.object(torch_optimizers, "RMSpropInRoot", stock)


def schedule_off_by_one() -> Fault:
    change = TorchBackend.set_learning_rate

    def late(self: TorchBackend, learning_rate: float) -> None:
        def afterwards(*_: Any) -> None:
            change(self, learning_rate)
            hook.remove()

        hook = self.optimizer.register_step_post_hook(afterwards)

    return patch.object(TorchBackend, "set_learning_rate", late)
