"""Trained networks on disk."""

from benchmarks.models.saved import SavedModel, find

__all__ = ["SavedModel", "find"]
