"""A step of Keras on PyTorch in a form that a CUDA graph can record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_SUMS = (torch._foreach_add, torch._foreach_add_)


class Recordable(TorchFunctionMode):
    """While it is entered, nothing is copied from the host or waited for by it.

    - A number becomes a tensor by a kernel that fills it; an array, by the copy that was made when
      it was first met. Keras makes its constants anew in every step. What was met must live as
      long as the graphs.
    - `_foreach_add(x, y, alpha=tensor)` is x + alpha * y on the device. PyTorch reads such a number
      back, and Keras' SGD and Adadelta give it the learning rate.
    """

    def __init__(self) -> None:
        super().__init__()
        self._met: dict[Any, Tensor] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = dict(kwargs or {})
        value = args[0] if len(args) == 1 else None
        if func in (torch.as_tensor, torch.tensor) and not options.keys() - {"dtype", "device"}:
            if (
                isinstance(value, np.ndarray | np.generic)
                and value.ndim == 0
                and "dtype" in options
            ):
                value = value.item()
            if isinstance(value, bool | int | float):
                return torch.full((), value, **options)
            if (key := _identity(value)) is not None:
                key = *key, *map(str, options.values())
                if key not in self._met:
                    self._met[key] = func(value, **options)
                return self._met[key]
        if func in _SUMS and isinstance(alpha := options.get("alpha"), Tensor):
            first, second = args
            return func(first, torch._foreach_mul(second, alpha.to(second[0].dtype)))
        return func(*args, **options)


def _identity(value: Any) -> tuple[Any, ...] | None:
    """Hashable identity of an array's or a row of numbers' content; None of other values."""
    if isinstance(value, np.ndarray):
        return value.tobytes(), value.shape, value.dtype.str
    if isinstance(value, list | tuple) and all(isinstance(x, bool | int | float) for x in value):
        return *value, *map(type, value)
    return None
