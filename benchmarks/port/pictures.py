"""Pictures on their way into a model: what a program's own `preprocess` makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.port.normal import normal
from benchmarks.port.operation import Listing, PortError


def through(function: Any, raw: np.ndarray) -> np.ndarray:
    """The pictures after a function of the user's, float64 (batch, height, width, channels).

    Args:
        function: of one picture, or of a batch.
        raw: uint8 (batch, height, width, channels).

    Raises:
        PortError: it takes neither, or gives other shapes.
    """
    try:
        made = np.stack([_plain(function(one)) for one in raw])
    except Exception:
        made = _plain(function(raw))
    if made.shape != raw.shape and made.ndim > 2:
        made = np.moveaxis(made, 1, -1)  # channels first
    if made.shape != raw.shape:
        raise PortError(
            f"preprocess makes {made.shape} of pictures {raw.shape}; it may scale them and put "
            "channels first, and no more"
        )
    return made.astype(np.float64)


def _plain(value: Any) -> np.ndarray:
    detach = getattr(value, "detach", None)
    return np.asarray(detach() if detach else value)


def given(function: Any, listing: Listing, raw: np.ndarray) -> np.ndarray:
    """Pictures as a program takes them, float64: through its own `preprocess`, as they are where
    its model scales them first, else from 0 to 1.

    Args:
        function: `preprocess`, or None. raw: uint8 (batch, height, width, channels).
    """
    if function is not None:
        return through(function, raw)
    first = normal(listing).operations[0]
    scales = first.kind == "rescale" and np.max(np.abs(first.constants["scale"])) < 0.1
    return raw.astype(np.float64) / (1 if scales else 255)
