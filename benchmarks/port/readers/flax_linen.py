"""A module of flax.linen as an NNX module: its own call, with NNX layers in place of its own."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen, nnx

from benchmarks.port.operation import PortError

_SAME = {  # linen's layer to NNX's, and names of fields that differ; None is left out
    linen.Conv: (nnx.Conv, {"features": None, "kernel_size": None}),
    linen.Dense: (nnx.Linear, {"features": None}),
    linen.BatchNorm: (nnx.BatchNorm, {"use_running_average": None, "axis_name": None}),
    linen.LayerNorm: (nnx.LayerNorm, {}),
    linen.GroupNorm: (nnx.GroupNorm, {}),
    linen.InstanceNorm: (nnx.InstanceNorm, {}),
    linen.RMSNorm: (nnx.RMSNorm, {}),
    linen.PReLU: (nnx.PReLU, {}),
    linen.ConvTranspose: (nnx.ConvTranspose, {"features": None, "kernel_size": None}),
    linen.MultiHeadDotProductAttention: (
        nnx.MultiHeadAttention,
        {"num_heads": None, "attention_fn": None, "deterministic": None, "decode": None},
    ),
    linen.Dropout: (nnx.Dropout, {"deterministic": None, "rate": None, "rng_collection": None}),
}
_FLAGS = {linen.BatchNorm: "use_running_average", linen.Dropout: "deterministic"}


class LinenModule(nnx.Module):
    """Runs a linen module with a layer of NNX for each of its own, under its path.

    Weights outside of these layers (`self.param`) are variables under their path.
    """

    def __init__(self, module: linen.Module, size: list[int], words: dict[str, Any]) -> None:
        """Initialise the module's weights, from seed 0, on pictures of one size.

        Args:
            words: the arguments of its call that say inference.

        Raises:
            PortError: it has variables that are neither weights nor running statistics.
        """
        self.module = nnx.static(module)
        self.others = nnx.static([])
        pictures = jnp.zeros((1, *size))
        keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
        made = module.init(keys, pictures, **words)
        with linen.intercept_methods(self._layer):
            module.init(keys, pictures, **words)  # so that all layers are there
        for name, collection in made.items():
            for path, value in jax.tree_util.tree_flatten_with_path(collection)[0]:
                *places, last = [entry.key for entry in path]
                layer, inner = self._home(places)
                if layer is None and name == "params":
                    setattr(self, "/".join([*places, last]), nnx.Param(value))
                    self.others.append((*places, last))
                elif layer is None or not hasattr(layer, last):
                    raise PortError(_outside("/".join([name, *places, last])), status=4)
                else:
                    part = getattr(layer, last)
                    part.value = value.reshape(part.value.shape) if inner else value
        self.eval()

    def _home(self, places: list[str]) -> tuple[Any, bool]:
        """The layer that has the weights of a path, and if it is inside of another one."""
        for count in range(len(places), -1, -1):
            layer = getattr(self, "/".join(places[:count]) or "/", None)
            if layer is not None:
                for inner in places[count:]:
                    layer = getattr(layer, inner, None)
                return layer, count < len(places)
        return None, False

    def __call__(self, x: Any, **words: Any) -> Any:
        outside: dict[str, Any] = {}
        for path in self.others:
            home = outside
            for place in path[:-1]:
                home = home.setdefault(place, {})
            home[path[-1]] = getattr(self, "/".join(path)).value
        with linen.intercept_methods(self._layer):
            return self.module.apply({"params": outside}, x, **words)

    def _layer(self, own: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        module = context.module
        if context.method_name != "__call__" or type(module) not in _SAME:
            return own(*args, **kwargs)
        name = "/".join(module.path) or "/"
        if not hasattr(self, name):
            setattr(self, name, _like(module, args[0].shape[-1]))
        words: dict[str, Any] = {}
        if flag := _FLAGS.get(type(module)):
            given = [*args[1:], *kwargs.values(), getattr(module, flag)]
            words = {flag: next((bool(v) for v in given if v is not None), False)}
        if isinstance(module, linen.MultiHeadDotProductAttention):
            if any(kwargs.get(word) is not None for word in ("mask", "dropout_rng")):
                words["mask"] = kwargs["mask"]
            return getattr(self, name)(*args[:3], **words)
        return getattr(self, name)(args[0], **words)


def _outside(which: str) -> str:
    return (
        "a module of flax.linen with variables that are neither weights nor running statistics is "
        f"not read ({which}); write that layer with flax.nnx"
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
    if isinstance(module, linen.PReLU):
        return kind(**stated)
    stated |= {"rngs": nnx.Rngs(0)}
    match module:
        case linen.Conv():
            size = module.kernel_size
            size = (size,) if isinstance(size, int) else tuple(size)
            return kind(features, module.features, kernel_size=size, **stated)
        case linen.Dense():
            return kind(features, module.features, **stated)
        case linen.ConvTranspose():
            return kind(features, module.features, kernel_size=module.kernel_size, **stated)
        case linen.MultiHeadDotProductAttention():
            given = (linen.dot_product_attention, nnx.dot_product_attention)
            own = {} if module.attention_fn in given else {"attention_fn": module.attention_fn}
            return kind(module.num_heads, features, decode=False, **own, **stated)
        case linen.Dropout():
            return kind(module.rate, **stated)
        case linen.GroupNorm() if module.group_size is not None:
            stated["num_groups"] = None
    return kind(features, **stated)
