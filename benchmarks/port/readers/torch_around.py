"""Groups of batches, averages and a scaled loss around the optimizer of a PyTorch program."""

from __future__ import annotations

import copy
import inspect
import weakref
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from benchmarks.port.operation import PortError
from benchmarks.port.readers.calls import CALLS
from benchmarks.port.readers.program import scale_words
from frameworks.torch.optimizers import Lion

_SCALES: weakref.WeakKeyDictionary[Any, dict[str, Any]] = weakref.WeakKeyDictionary()


def install() -> None:
    """Note from now on what each scaler of the loss is given: without a GPU it keeps nothing."""
    original = torch.amp.GradScaler.__init__
    signature = inspect.signature(original)

    def noted(self: Any, *args: Any, **kwargs: Any) -> None:
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        _SCALES[self] = bound.arguments
        original(self, *args, **kwargs)

    torch.amp.GradScaler.__init__ = noted  # type: ignore[method-assign]
    CALLS.watch_new([torch.amp.GradScaler])


def install_plain() -> None:
    """Leave functions and modules as they are where the program compiles them, and types of 16 bits
    out: calls inside of a compiled one cannot be seen."""

    def plain(of: Any = None, *args: Any, **kwargs: Any) -> Any:
        return (lambda given: given) if of is None else of

    for home, names in ((torch, ("compile",)), (torch.jit, ("script", "trace"))):
        for name in names:
            setattr(home, name, plain)
    context: Any = torch.autocast
    original = context.__init__

    signature = inspect.signature(original)

    def noted(self: Any, *args: Any, **kwargs: Any) -> None:
        given = signature.bind(self, *args, **kwargs)
        given.apply_defaults()
        dtype = given.arguments["dtype"]
        if given.arguments["enabled"]:
            kind = dtype or torch.get_autocast_dtype(given.arguments["device_type"])
            CALLS.lowered(f"torch.autocast to {kind}")
        original(self, *args, **kwargs)

    context.__init__ = noted


def scale(scaler: Any) -> dict[str, Any]:
    """The constants of a scaler of the loss; none of one that is switched off.

    Raises:
        PortError: it is no GradScaler.
    """
    if not isinstance(scaler, torch.amp.GradScaler):
        raise PortError(f"loss_scale is a {type(scaler).__name__}; give a torch.amp.GradScaler")
    given = _SCALES[scaler]
    if not given["enabled"]:
        return {}
    factors = given["growth_factor"], given["backoff_factor"]
    return scale_words(given["init_scale"], given["growth_interval"], *factors)


def own_scaler(scaler: Any) -> torch.amp.GradScaler:
    """The program's scaler of the loss on the CPU, at its start; one that does nothing of None."""
    if scaler is None:
        return torch.amp.GradScaler("cpu", enabled=False)
    given = {k: v for k, v in _SCALES[scaler].items() if k not in ("self", "device")}
    return torch.amp.GradScaler("cpu", **given)


def averaged(given: Any, model: nn.Module) -> AveragedModel:
    """The averages of a model, before the first step.

    Args:
        given: an AveragedModel, or a function of the model that makes one.

    Raises:
        PortError: it is neither.
    """
    made = copy.deepcopy(given) if isinstance(given, nn.Module) else given(model)
    if not isinstance(made, AveragedModel):
        raise PortError(
            f"average_weights is a {type(made).__name__}; give an AveragedModel of "
            "torch.optim.swa_utils, or a function of the model that makes one"
        )
    made.n_averaged.zero_()
    return made


def average(given: Any) -> dict[str, Any]:
    """The constants of averages of weights, measured on a weight that goes from 0 to 1."""
    made = averaged(given, nn.Linear(1, 1))
    one, two, late = (_share(made, count) for count in (1, 2, 1000))
    found: dict[str, Any]
    if abs(one - late) < 1e-9:
        found = {"average_weights": float(f"{1 - one:.10g}"), "average_start": "first"}
    elif abs(one - 1 / 2) + abs(two - 1 / 3) < 1e-6:
        found = {"average_weights": "the mean of all steps"}
    else:
        decay = 1 / one - 1 if one else 0.0
        if abs(two - 1 / (1 + decay + decay**2)) < 1e-6:
            found = {"average_weights": float(f"{decay:.6g}"), "average_start": "debiased"}
        else:
            found = {"average_weights": "of its own kind"}
    return found | ({"average_statistics": True} if made.use_buffers else {})


def _share(made: AveragedModel, count: int) -> float:
    """The share of the weights at a step when so many are averaged already."""
    zero, one, number = torch.zeros(1), torch.ones(1), torch.tensor(count)
    with torch.no_grad():
        if made.multi_avg_fn is not None:
            own: list[Tensor] = [zero]
            made.multi_avg_fn(own, [one], number)
            return float(own[0])
        if made.avg_fn is not None:
            return float(made.avg_fn(zero, one, number))
    return 1 / (count + 1)


def is_lion(optimizer: torch.optim.Optimizer) -> bool:
    """True of a class of the user's own with Lion in its name that steps as Lion does."""
    if "lion" not in type(optimizer).__name__.lower():
        return False
    gradients = [torch.tensor([0.3, -2.0, 1.0]), torch.tensor([-0.4, 1.0, 0.0])]
    weights = [nn.Parameter(torch.tensor([1.0, -1.0, 0.5])) for _ in range(2)]
    try:
        group = {"lr": 0.1, "betas": (0.9, 0.5), "weight_decay": 0.1}
        kinds: list[Any] = [type(optimizer), Lion]
        for weight, kind in zip(weights, kinds, strict=True):
            stepping = kind([weight], **group)
            for one in gradients:
                weight.grad = one.clone()
                stepping.step()
    except (TypeError, ValueError, RuntimeError):
        return False
    return bool(torch.allclose(weights[0], weights[1], atol=1e-6))
