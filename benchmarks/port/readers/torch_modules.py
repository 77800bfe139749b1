"""Modules of PyTorch that are more than their calls: stochastic depth, and spectral norm."""

from __future__ import annotations

from functools import partial
from types import MethodType

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.port.operation import PortError


def refuse_spectral(model: nn.Module) -> None:
    """Refuse a weight that a step in training mode moves besides the optimizer."""
    for name, module in model.named_modules():
        hooks = [type(hook).__name__ for hook in module._forward_pre_hooks.values()]
        if "SpectralNorm" in hooks or type(module).__name__ == "_SpectralNorm":
            place = name.partition(".parametrizations")[0]
            raise PortError(
                f"{place} has spectral_norm, whose estimate moves in training; it is not read: "
                "take it out, or fix the weight with torch.nn.utils.parametrize."
                f"remove_parametrizations({place}, 'weight')",
                status=4,
            )


_STOCHASTIC_DEPTH = ("StochasticDepth", "DropPath", "PictureDropout")  # torchvision's, timm's, ours


def drops_pictures(module: nn.Module) -> bool:
    """True of a module of stochastic depth, which then is a call of dropout, as the others are.

    Told by what it does with ones: it drops whole pictures at its rate and scales the rest.
    """
    if isinstance(vars(module).get("forward"), MethodType):
        return True  # read before
    rates = (getattr(module, name, None) for name in ("p", "drop_prob", "rate"))
    rate = next((float(one) for one in rates if isinstance(one, float | int)), 0.0)
    if type(module).__name__ not in _STOCHASTIC_DEPTH or not 0 < rate < 1:
        return False
    ones, mode = torch.ones(512, 2, 2, 2), module.training
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        made, still = module.train()(ones), module.eval()(ones)
    module.train(mode)
    kept = made[:, 0, 0, 0] > 0
    expected = ones * (kept / (1 - rate))[:, None, None, None]
    share = abs(float(kept.double().mean()) - (1 - rate))
    if share > 0.1 or not torch.allclose(made, expected) or not torch.equal(still, ones):
        return False
    # a method, so that a copy of the module has its own mode
    module.forward = MethodType(partial(_dropped, rate=rate), module)
    return True


def _dropped(module: nn.Module, x: Tensor, *, rate: float) -> Tensor:
    return functional.dropout(x, rate, module.training)
