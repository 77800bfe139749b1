"""Gradients held within a limit ahead of the optimizer, and of its weight decay."""

from __future__ import annotations

import msgspec

from frameworks.spec.reading import SpecificationError


class _Clipping(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="name", kw_only=True
):
    """Base of the clippings: the limit of a number or a norm."""

    limit: float


class ByValue(_Clipping, frozen=True, tag="value"):
    """Every number within -limit and limit (Keras' clipvalue, clip_grad_value_, optax.clip)."""


class ByNorm(_Clipping, frozen=True, tag="norm", kw_only=True):
    """The norm of each tensor: g * limit / max(norm + epsilon, limit) (Keras' clipnorm)."""

    epsilon: float | None = None


class ByGlobalNorm(_Clipping, frozen=True, tag="global_norm", kw_only=True):
    """The norm of all tensors together: the same with one norm (Pascanu et al. 2013; Keras'
    global_clipnorm, PyTorch's clip_grad_norm_, whose epsilon is 1e-6, optax'
    clip_by_global_norm)."""

    epsilon: float | None = None


Clipping = ByValue | ByNorm | ByGlobalNorm
CLIPPINGS: dict[str, type[_Clipping]] = {
    "value": ByValue,
    "norm": ByNorm,
    "global_norm": ByGlobalNorm,
}


def check(clipping: Clipping | None) -> None:
    """Raise SpecificationError for a number out of range."""
    if clipping is None:
        return
    if not 0 < clipping.limit < float("inf"):
        raise SpecificationError(
            f"recipe: clipping.limit is {clipping.limit}; must be finite and positive."
        )
    epsilon = getattr(clipping, "epsilon", None)
    if epsilon is not None and not 0 <= epsilon < float("inf"):
        raise SpecificationError(
            f"recipe: clipping.epsilon is {epsilon}; must be finite and not negative."
        )
