"""The modules of which a network is made in Flax, besides its own (sibling: torch)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import ArrayLike

from frameworks.spec.layers import Dropout
from frameworks.spec.reading import SpecificationError

Masks = Mapping[str, ArrayLike]
Record = dict[str, Array]


class MaskedDropout(nnx.Module):
    """Inverted dropout whose mask (0 or 1, any dtype) is an input."""

    def __init__(self, layer: Dropout) -> None:
        self.name, self.scale = layer.name, 1 / (1 - layer.rate)
        self.deterministic = False

    def __call__(self, x: Array, masks: Masks | None) -> Array:
        if self.deterministic:
            return x
        assert masks is not None
        return x * jnp.asarray(masks[self.name], x.dtype) * self.scale


class Layers(nnx.Module):
    """Modules one after another, each under its layer's name.

    `record`, when given, receives every layer's output.
    """

    def __init__(self, steps: Mapping[str, tuple[str, Any, Callable[[Array], Array]]]) -> None:
        """Make a list of modules.

        Args:
            steps: by the name here, in order: the layer's name in the network, its module or
                function, and the function that follows.
        """
        for own, (_, module, _) in steps.items():
            setattr(self, own, module)
        # NNX sorts attributes by their names, and no layer's name begins so
        self._order = tuple((own, name, then) for own, (name, _, then) in steps.items())

    def __call__(self, x: Array, masks: Masks | None, record: Record | None) -> Array:
        for own, name, then in self._order:
            module: Any = getattr(self, own)
            if isinstance(module, Residual | Gate | Concatenate):
                x = module(x, masks, record)
                continue
            x = then(module(x, masks) if isinstance(module, MaskedDropout) else module(x))
            if record is not None:
                record[name] = x
        return x


class Residual(nnx.Module):
    """activation(body(x) + shortcut(x))."""

    def __init__(
        self, name: str, body: Layers, shortcut: Layers, last: tuple[str, Callable[[Array], Array]]
    ) -> None:
        """Make a block of this name; `last` is the layer's name and function at its end."""
        self.name, self.body, self.shortcut = name, body, shortcut
        self.last, self.activation = last

    def __call__(self, x: Array, masks: Masks | None, record: Record | None) -> Array:
        total = self.body(x, masks, record) + self.shortcut(x, masks, record)
        x = self.activation(total)
        if record is not None:
            record |= {self.name: total, self.last: x}
        return x


class Gate(nnx.Module):
    """x * body(x)."""

    def __init__(self, name: str, body: Layers) -> None:
        self.name, self.body = name, body

    def __call__(self, x: Array, masks: Masks | None, record: Record | None) -> Array:
        x = x * self.body(x, masks, record)
        if record is not None:
            record[self.name] = x
        return x


class Concatenate(nnx.Module):
    """The channels of each branch, one behind the other."""

    def __init__(self, name: str, branches: Mapping[str, Layers]) -> None:
        for own, branch in branches.items():
            setattr(self, own, branch)
        self.name, self._order = name, tuple(branches)  # NNX sorts attributes by their names

    def __call__(self, x: Array, masks: Masks | None, record: Record | None) -> Array:
        made = [getattr(self, own)(x, masks, record) for own in self._order]
        x = jnp.concatenate(made, axis=-1)
        if record is not None:
            record[self.name] = x
        return x


class ChannelScale(nnx.Module):
    """x times a trained number for each channel."""

    def __init__(self, channels: int, initial: float, param_dtype: Any) -> None:
        self.scale = nnx.Param(jnp.full((channels,), initial, param_dtype))

    def __call__(self, x: Array) -> Array:
        return x * self.scale[...].astype(x.dtype)


class FullPrecisionBatchNorm(nnx.BatchNorm):
    """BatchNorm whose statistics and output are computed in the dtype of its parameters.

    In bfloat16 runs Flax would round the running mean and variance to bfloat16 at inference.
    """

    def __call__(self, x: Array, *arguments: Any, **options: Any) -> Array:
        return super().__call__(x, *arguments, **options).astype(x.dtype)


class UnbiasedBatchNorm(FullPrecisionBatchNorm):
    """The running variance takes the unbiased batch variance, as in PyTorch.

    Flax adds (1 - momentum) * variance; the factor n / (n - 1) is put in afterwards.
    """

    def __call__(self, x: Array, *arguments: Any, **options: Any) -> Array:
        if self.use_running_average:
            return super().__call__(x, *arguments, **options)
        count = x.size // x.shape[-1]
        if count < 2:
            raise SpecificationError(
                "batch norm: the unbiased variance needs more than one value per channel; use a "
                'larger batch, drop the partial batch, or state running_variance = "biased".'
            )
        kept = self.momentum * self.var[...]
        output = super().__call__(x, *arguments, **options)
        self.var[...] = kept + (self.var[...] - kept) * (count / (count - 1))
        return output


class FullPrecisionLayerNorm(nnx.LayerNorm):
    """LayerNorm computed in the dtype of its parameters, given on in that of its input."""

    def __call__(self, x: Array, *arguments: Any, **options: Any) -> Array:
        return super().__call__(x, *arguments, **options).astype(x.dtype)


class FullPrecisionGroupNorm(nnx.GroupNorm):
    """GroupNorm computed in the dtype of its parameters, given on in that of its input."""

    def __call__(self, x: Array, *arguments: Any, **options: Any) -> Array:
        return super().__call__(x, *arguments, **options).astype(x.dtype)
