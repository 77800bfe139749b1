"""Every call of Flax, jax.nn and jax.numpy, seen as it happens.

The libraries' functions, layers and array operators are wrapped once, before the user's file is
imported.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen, nnx

from benchmarks.port.operation import PortError
from benchmarks.port.readers import flax_calls as calls
from benchmarks.port.readers import flax_layers as layers
from benchmarks.port.readers.calls import CALLS


class Watching:
    """The run under way; calls inside of another call are that one's own."""

    run: Any = None
    depth = 0


def install() -> None:
    """Wrap everything that is watched."""
    for home in (nnx, linen, jax.nn, jnp):
        for name in (*calls.FUNCTIONS, *calls.OTHERS):
            if callable(getattr(home, name, None)):
                setattr(home, name, _watched(getattr(home, name), name))
    linalg: Any = jnp.linalg
    linalg.norm = _watched(linalg.norm, "norm")
    jax.image.resize = _watched(jax.image.resize, "image_resize")
    for name in layers.LAYERS:
        kind = getattr(nnx, name)
        kind.__call__ = _watched_layer(kind.__call__, name)
    concrete = type(jnp.zeros(1))
    for kind in (concrete, jax.core.Tracer):
        for name in calls.METHODS:
            if hasattr(kind, name):
                setattr(kind, name, _watched(getattr(kind, name), name))
        for name in (*calls.OPERATORS, *calls.UNREAD_OPERATORS):
            if hasattr(kind, name):
                word = calls.OPERATORS.get(name, name.strip("_"))
                setattr(kind, name, _watched(getattr(kind, name), word))
    for home in (jax, nnx, linen):  # calls inside of a compiled function cannot be seen
        for name in ("jit", "remat", "checkpoint"):
            if hasattr(home, name):
                setattr(home, name, _plain)
    for name in calls.DATA:
        setattr(concrete, name, _refused(getattr(concrete, name), name))


def _plain(function: Any = None, *args: Any, **kwargs: Any) -> Any:
    return (lambda given: given) if function is None else function


def one_type() -> None:
    """Have float32 mean float64 from now on, and leave out casts to another floating type."""
    jnp.float32 = jnp.float64

    def whole(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def cast(x: Any, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:
            wanted = dtype is None or jnp.issubdtype(dtype, jnp.floating)
            if Watching.run is None or Watching.depth or not wanted or not _floating(x):
                return original(x, dtype, *args, **kwargs)
            CALLS.lowered("" if dtype is None else jnp.dtype(dtype).name)
            return x

        return cast

    for home, names in (
        (type(jnp.zeros(1)), ("astype",)),
        (jax.core.Tracer, ("astype",)),
        (jnp, ("asarray", "array", "astype")),
    ):
        for name in names:
            setattr(home, name, whole(getattr(home, name)))


def _in_trace(values: list[Any]) -> bool:
    """True inside of a function that JAX traces by itself: what vmap, cond or scan is given."""
    return any(type(x).__name__ in ("DynamicJaxprTracer", "BatchTracer") for x in values)


def _floating(x: Any) -> bool:
    return isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jnp.floating)


def _watched(original: Callable[..., Any], name: str) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        run = Watching.run
        if run is None or Watching.depth or _in_trace([*args, *kwargs.values()]):
            return original(*args, **kwargs)
        return run.function(name, original, args, kwargs)

    return call


def _watched_layer(original: Callable[..., Any], name: str) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        run = Watching.run
        if run is None or Watching.depth:
            return original(layer, *args, **kwargs)
        return run.layer(name, layer, original, args, kwargs)

    return call


def _refused(original: Callable[..., Any], name: str) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        if Watching.run is not None and not Watching.depth:
            raise PortError(
                f"{CALLS.where() or 'the model'}: the program looks at the values of an array "
                f"({name}), so that its way may depend on the data, and one run would not show the "
                "others; take the branch out of the call",
                status=4,
            )
        return original(*args, **kwargs)

    return call


@contextmanager
def inside() -> Iterator[None]:
    """Inside, calls are not watched."""
    Watching.depth += 1
    try:
        yield
    finally:
        Watching.depth -= 1
