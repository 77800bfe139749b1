"""A module of flax.linen as an NNX module: its own call, with NNX layers in place of its own."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen, nnx
from flax.errors import FlaxError

from benchmarks.port.operation import PortError

_SAME = {  # linen's layer to NNX's, and names of fields that differ; None is left out
    linen.Conv: (nnx.Conv, {"features": None, "kernel_size": None}),
    linen.Dense: (nnx.Linear, {"features": None}),
    linen.BatchNorm: (nnx.BatchNorm, {"use_running_average": None, "axis_name": None}),
    linen.LayerNorm: (nnx.LayerNorm, {}),
    linen.GroupNorm: (nnx.GroupNorm, {}),
    linen.Dropout: (nnx.Dropout, {"deterministic": None, "rate": None, "rng_collection": None}),
}
_FLAGS = {linen.BatchNorm: "use_running_average", linen.Dropout: "deterministic"}


class LinenModule(nnx.Module):
    """Runs a linen module with a layer of NNX for each of its own, under its path."""

    def __init__(self, module: linen.Module, size: list[int], words: dict[str, Any]) -> None:
        """Initialise the module's weights, from seed 0, on pictures of one size.

        Args:
            words: the arguments of its call that say inference.

        Raises:
            PortError: it has weights outside of the layers that are read.
        """
        self.module = nnx.static(module)
        pictures = jnp.zeros((1, *size))
        keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
        made = module.init(keys, pictures, **words)
        try:
            self(pictures, **words)
        except FlaxError as error:
            raise PortError(_outside(str(error).splitlines()[0]), status=4) from error
        for collection in made.values():
            for path, value in jax.tree_util.tree_flatten_with_path(collection)[0]:
                *places, name = [entry.key for entry in path]
                layer = getattr(self, "/".join(places), None)
                if layer is None:
                    raise PortError(_outside("/".join(places)), status=4)
                getattr(layer, name).value = value
        self.eval()

    def __call__(self, x: Any, **words: Any) -> Any:
        with linen.intercept_methods(self._layer):
            return self.module.apply({}, x, **words)

    def _layer(self, own: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        module = context.module
        if context.method_name != "__call__" or type(module) not in _SAME:
            return own(*args, **kwargs)
        name = "/".join(module.path) or type(module).__name__
        if not hasattr(self, name):
            setattr(self, name, _like(module, args[0].shape[-1]))
        words = {}
        if flag := _FLAGS.get(type(module)):
            given = [*args[1:], *kwargs.values(), getattr(module, flag)]
            words = {flag: next((bool(v) for v in given if v is not None), False)}
        return getattr(self, name)(args[0], **words)


def _outside(which: str) -> str:
    return (
        "a module of flax.linen whose weights are outside of Conv, Dense, BatchNorm, LayerNorm and "
        f"GroupNorm is not read ({which}); write that layer with flax.nnx"
    )


def _like(module: Any, features: int) -> Any:
    """The NNX layer with what a linen layer states."""
    kind, left = _SAME[type(module)]
    fields = {field.name: field for field in dataclasses.fields(module)}
    stated = {
        name: getattr(module, name)
        for name in inspect.signature(vars(kind)["__init__"]).parameters
        if name in fields and name not in left and getattr(module, name) != fields[name].default
    }
    stated |= {"rngs": nnx.Rngs(0)}
    match module:
        case linen.Conv():
            size = module.kernel_size
            size = (size,) if isinstance(size, int) else tuple(size)
            return kind(features, module.features, kernel_size=size, **stated)
        case linen.Dense():
            return kind(features, module.features, **stated)
        case linen.Dropout():
            return kind(module.rate, **stated)
        case linen.GroupNorm() if module.group_size is not None:
            stated["num_groups"] = None
    return kind(features, **stated)
