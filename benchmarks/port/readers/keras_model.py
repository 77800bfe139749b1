"""Keras before the user's file is imported, their model as a graph, and the settings it runs
with."""

from __future__ import annotations

import functools
import importlib
import inspect
import traceback
from itertools import zip_longest
from typing import Any

import keras
import numpy as np
from keras import ops

from benchmarks.port.axes import each
from benchmarks.port.operation import PortError
from benchmarks.port.readers.calls import CALLS
from benchmarks.port.readers.keras_layers import DROPOUTS


def prepare(seed: int, precision: str) -> None:
    """Before the user's file is imported: the precision of all, and who makes what is noted.

    `ops.cast` of a number of Python passes through float32 on TensorFlow; here it does not.

    Args:
        seed: of weights that the program draws without a seed of its own.
        precision: float32 or float64.
    """
    keras.config.set_floatx(precision)
    keras.config.set_dtype_policy(precision)
    keras.src.dtype_policies.get = _one_type(keras.src.dtype_policies.get, precision)
    keras.utils.set_random_seed(seed)
    from keras.src import backend
    from keras.src.backend.common import dtypes
    from keras.src.ops.operation import Operation as Made

    engine = importlib.import_module(f"keras.src.backend.{keras.backend.backend()}")
    ops.convert_to_tensor = _exact_list(ops.convert_to_tensor)
    homes: list[Any] = [ops, keras.src.ops, keras.src.ops.core, backend, engine, engine.core]
    for module in homes:
        original = getattr(module, "cast", None)
        if original is not None:
            module.cast = _exact(original)
    if keras.backend.backend() == "tensorflow":  # whose own takes the slope in float32
        for name in ("conv", "conv_transpose"):  # on a CPU it has them with channels last alone
            setattr(engine.nn, name, _channels_last(getattr(engine.nn, name)))
        from tensorflow.python.ops import math_ops

        engine.nn.leaky_relu = _leaky_relu
        engine.image.resize = _exact_resize(engine.image.resize)
        engine.nn.max_pool = _by_axis(engine.nn.max_pool)
        math_ops.cast = _exact(math_ops.cast)
    if precision == "float64":
        engine.nn.dot_product_attention = _attending(engine.nn.dot_product_attention)
        # On PyTorch and JAX, Keras takes the common type of two float64 tensors to be float32.
        dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    CALLS.watch_new([Made, keras.optimizers.Optimizer, keras.losses.Loss])


def _channels_last(original: Any) -> Any:
    """A convolution that turns pictures whose channels come first."""

    @functools.wraps(original)
    def call(inputs: Any, *args: Any, **given: Any) -> Any:
        bound = inspect.signature(original).bind(inputs, *args, **given)
        if bound.arguments.get("data_format") != "channels_first":
            return original(inputs, *args, **given)
        bound.arguments["inputs"] = ops.moveaxis(inputs, 1, -1)
        bound.arguments["data_format"] = "channels_last"
        return ops.moveaxis(original(*bound.args, **bound.kwargs), -1, 1)

    return call


def _by_axis(original: Any) -> Any:
    """A max-pool of cubes, which TensorFlow has in float32 alone: over rows and columns, then over
    planes."""

    @functools.wraps(original)
    def call(
        inputs: Any,
        pool_size: Any,
        strides: Any = None,
        padding: str = "valid",
        *given: Any,
        **named: Any,
    ) -> Any:
        if len(inputs.shape) != 5 or "channels_first" in (*given, *named.values()):
            return original(inputs, pool_size, strides, padding, *given, **named)
        size = each(pool_size, 3)
        strides = size if strides is None else each(strides, 3)
        shape = [-1, *inputs.shape[1:]]
        x = original(ops.reshape(inputs, (-1, *shape[2:])), size[1:], strides[1:], padding)
        rows, columns, channels = x.shape[1:]
        x = ops.reshape(x, (-1, shape[1], rows * columns, channels))
        x = original(x, (size[0], 1), (strides[0], 1), padding)
        return ops.reshape(x, (-1, x.shape[1], rows, columns, channels))

    return call


def _attending(original: Any) -> Any:
    """Attention in the precision of its tensors, where some engines have float32 inside."""

    def call(query: Any, key: Any, value: Any, *args: Any, **given: Any) -> Any:
        scale = given.pop("scale", None)
        if args or scale is None or any(one not in (None, False) for one in given.values()):
            return original(query, key, value, *args, scale=scale, **given)
        shares = ops.softmax(ops.einsum("btnh,bsnh->bnts", query * scale, key))
        return ops.einsum("bnts,bsnh->btnh", shares, value)

    return call


def _one_type(original: Any, precision: str) -> Any:
    """Policies of layers, with one floating type for all of them."""

    def policy(identifier: Any) -> Any:
        made = original(identifier)
        CALLS.lowered(made.compute_dtype)
        return original(precision) if "float" in str(made.compute_dtype) else made

    return policy


def separated(layer: Any) -> list[keras.layers.Layer]:
    """The two convolutions that a separable one is, with its variables."""
    one = type(layer).__name__ == "SeparableConv1D"
    depthwise = keras.layers.DepthwiseConv1D if one else keras.layers.DepthwiseConv2D
    pointwise = keras.layers.Conv1D if one else keras.layers.Conv2D
    parts = [
        depthwise(
            layer.kernel_size,
            layer.strides,
            layer.padding,
            layer.depth_multiplier,
            layer.data_format,
            layer.dilation_rate,
            use_bias=False,
            name=f"{layer.name}_depthwise",
        ),
        pointwise(
            layer.filters,
            1,
            data_format=layer.data_format,
            activation=layer.activation,
            use_bias=layer.use_bias,
            name=f"{layer.name}_pointwise",
        ),
    ]
    parts[0].kernel, parts[0].bias = layer.depthwise_kernel, None
    parts[1]._kernel, parts[1].bias = layer.pointwise_kernel, layer.bias
    for part in parts:
        part.built = True
    return parts


def _exact_resize(original: Any) -> Any:
    """Bilinear resizing in the pictures' own precision, where TensorFlow's is float32."""

    def resize(images: Any, size: Any, interpolation: str = "bilinear", **given: Any) -> Any:
        antialias = given.get("antialias", False)
        plain = interpolation == "bilinear" and not any(given.get(k) for k in _RESIZING)
        if not plain or len(images.shape) != 4 or images.dtype != "float64":
            return original(images, size, interpolation, **given)
        rows, columns = (
            ops.convert_to_tensor(_weights(n, m, antialias=antialias), "float64")
            for n, m in zip(images.shape[1:3], size, strict=True)
        )
        return ops.einsum("ah,nhwc,bw->nabc", rows, images, columns)

    return resize


_RESIZING = ("crop_to_aspect_ratio", "pad_to_aspect_ratio")


def _weights(given: int, made: int, *, antialias: bool) -> np.ndarray:
    """The share of each old position in each new one, (made, given); centers of pixels agree.

    Args:
        antialias: a new position that is larger than an old one takes the mean of more of them.
    """
    wide = max(1.0, given / made) if antialias else 1.0
    at = (np.arange(made) + 0.5) * given / made - 0.5
    at = at if wide > 1 else np.clip(at, 0, given - 1)
    shares = np.maximum(0.0, 1 - np.abs(at[:, None] - np.arange(given)) / wide)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    x = ops.convert_to_tensor(x)
    return ops.where(x > 0, x, x * ops.convert_to_tensor(negative_slope, x.dtype))


def _exact_list(original: Any) -> Any:
    """Lists of numbers in the precision of all, where TensorFlow's default is float32."""

    def convert(x: Any, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:
        if dtype is None and isinstance(x, list | tuple) and np.asarray(x).dtype.kind == "f":
            dtype = keras.config.floatx()
        return original(x, dtype, *args, **kwargs)

    return convert


def _exact(original: Any) -> Any:
    def cast(x: Any, dtype: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(x, int | float) and not isinstance(x, bool):
            return ops.convert_to_tensor(x, dtype)
        return original(x, dtype, *args, **kwargs)

    return cast


def functional(model: Any, size: list[int]) -> Any:
    """A model that has a graph of layers; made by calling it once where it has none.

    Raises:
        PortError: it cannot be called with symbols.
    """
    if isinstance(model, keras.Sequential):
        if not model.built:
            model.build((None, *size))
        return model
    if hasattr(model, "_nodes_by_depth"):
        return model
    x = keras.Input(tuple(size))
    try:
        if "training" not in inspect.signature(model.call).parameters:
            return keras.Model(x, model.call(x))
        made = keras.Model(x, model.call(x, training=None))
        _same_way(made, keras.Model(x, model.call(x, training=True)))
        return made
    except PortError:
        raise
    except Exception as error:
        where = "".join(traceback.format_exception_only(error)).strip().splitlines()[0]
        if "cannot be used as input to a TensorFlow function" in where:
            raise PortError(
                "the model is a class of its own that calls functions of TensorFlow, which take no "
                "symbols; write keras.ops in place of tf and tf.nn",
                status=4,
            ) from error
        raise PortError(
            f"the model is a class of its own, and calling it once gives no graph of layers "
            f"({where}); write it with keras.Input and keras.Model, without branches on data and "
            "with layers.Flatten in place of a reshape by the batch's size",
            status=4,
        ) from error


def unfolded(layer: Any, args: Any, kwargs: Any, known: Any) -> tuple[Any, list[Any]] | None:
    """The graph of a layer of the user's own, from the tensors of a call and the layer's weights.

    Gives the graph and these weights; None of a layer of Keras, and where calling it with symbols
    makes no graph of all its weights.

    Args:
        known: ids of the tensors.

    Raises:
        PortError: it computes otherwise in training mode.
    """
    home = type(layer).__module__
    theirs = not home.startswith("keras.") or home.startswith("keras.src.applications.")
    if not theirs or not isinstance(layer, keras.layers.Layer):
        return None
    for fixed in (False, True):
        try:
            graphs, own = _graphs(layer, args, kwargs, known, fixed=fixed)
        except Exception:  # whatever the layer raises; it stays one operation that is not read
            continue
        _same_way(graphs[0], graphs[-1])
        if _inside(graphs[0]) | {v.path for v in own} >= {v.path for v in layer.weights}:
            return graphs[0], own
    return None


def _graphs(
    layer: Any, args: Any, kwargs: Any, known: Any, *, fixed: bool
) -> tuple[list[Any], list[Any]]:
    """A graph of a layer's call for each of its modes, and the weights that are inputs of it.

    Args:
        fixed: for batches of this size alone, and with symbols in place of the layer's own weights:
            it may ask for the size, and may use its weights without the tensors.
    """
    symbols: list[Any] = []

    def symbol(x: Any) -> Any:
        if id(x) not in known:
            return x
        symbols.append(
            keras.Input(tuple(x.shape[1:]), batch_size=int(x.shape[0]) if fixed else None)
        )
        return symbols[-1]

    given, named = keras.tree.map_structure(symbol, (args, kwargs))
    named.pop("training", None)
    has_mode = "training" in inspect.signature(layer.call).parameters
    modes: tuple[dict[str, Any], ...] = ({"training": None}, {"training": True})
    own = {k: v for k, v in vars(layer).items() if fixed and isinstance(v, keras.Variable)}
    try:
        vars(layer).update({k: keras.Input(batch_shape=v.shape) for k, v in own.items()})
        inputs = [*symbols, *(vars(layer)[name] for name in own)]
        made = [
            keras.Model(inputs, layer.call(*given, **named, **mode))
            for mode in (modes if has_mode else ({},))
        ]
    finally:
        vars(layer).update(own)
    return made, [*own.values()]


def _inside(graph: keras.Model) -> set[str]:
    """The variables that a graph reads; one that was read while it was made is a constant there."""
    found = {v.path for v in graph.variables}
    for one in graph.operations:
        for node in one._inbound_nodes:
            given = keras.tree.flatten([node.arguments.args, node.arguments.kwargs])
            found |= {x.path for x in given if isinstance(x, keras.Variable)}
    return found


def _same_way(usual: Any, training: Any) -> None:
    """Refuse a class that builds another graph in training mode."""
    kinds = [[type(one).__name__ for one in model.operations] for model in (usual, training)]
    for one, other in zip_longest(*kinds):
        if one != other:
            raise PortError(
                f"the model's call computes otherwise with training=True ({other or one}); write "
                "the branch as a layer that knows its mode, or take it out",
                status=4,
            )


def exact_normalization(model: Any) -> None:
    """Give Normalization layers their stated numbers again: Keras holds them in float32."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Normalization) and layer.input_mean is not None:
            for part in ("mean", "variance"):
                stated = np.array(getattr(layer, f"input_{part}"), np.float64)
                whole = np.broadcast_to(stated, getattr(layer, part).shape)
                setattr(layer, part, ops.convert_to_tensor(whole, keras.config.floatx()))


def settings(engine: str) -> dict[str, str]:
    """Precision of products and of convolutions on a GPU, in words: TF32 or float32."""
    if engine == "tensorflow":
        import tensorflow as tf

        on = tf.config.experimental.tensor_float_32_execution_enabled()
        word = "TF32" if on else "float32"
    elif engine == "jax":
        word = "TF32"
    else:
        return {"products on a GPU": "float32", "convolutions on a GPU": "TF32"}
    return {"products on a GPU": word, "convolutions on a GPU": word}


def fixed_mode(layer: Any, kwargs: Any) -> bool | None:
    """The mode that a call gives a layer for good: True of training, False of inference, else None.

    A dropout's False is the default that Keras writes into a graph.
    """
    given, norm = kwargs.get("training"), type(layer).__name__ == "BatchNormalization"
    if norm and (given is False or not layer.trainable):
        return False
    return True if given and (norm or type(layer).__name__ in DROPOUTS) else None


def augmented(layer: Any, x: Any, training: bool) -> Any:
    """A layer that changes pictures at random, which knows float32 alone."""
    whole = keras.config.floatx()
    layer._dtype_policy = keras.DTypePolicy("float32")
    keras.config.set_floatx("float32")
    try:
        return ops.cast(layer(ops.cast(x, "float32"), training=training), whole)
    finally:
        keras.config.set_floatx(whole)


def padded(layer: Any, x: Any, padding: Any, named: dict[str, Any]) -> Any:
    """A convolution with other zeros around rows and columns; less than none cuts them off."""
    before, layer.padding = layer.padding, "valid"
    first = 2 if layer.data_format == "channels_first" else 1
    width, cuts = [[0, 0] for _ in x.shape], [slice(None) for _ in x.shape]
    for place, (one, other) in enumerate(padding, start=first):
        width[place] = [max(0, one), max(0, other)]
        cuts[place] = slice(max(0, -one), x.shape[place] - max(0, -other))
    try:
        return layer(ops.pad(x[tuple(cuts)], width), **named)
    finally:
        layer.padding = before
