"""Trained networks on disk."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.models.saved import SavedModel, find

__all__ = ["SavedModel", "find"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from benchmarks.models import saved  # imports NumPy, which --help of a command needs not

    return getattr(saved, name)
