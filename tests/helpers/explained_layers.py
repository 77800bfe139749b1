"""Runs the lines that `--explain` prints of layers, and holds them against the NumPy reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import msgspec
import numpy as np

from benchmarks.fidelity.explain.lines import flax, keras, torch
from benchmarks.fidelity.explain.lines.layers.call import kernel_shape
from benchmarks.fidelity.explain.question import Placed, Question
from frameworks.numpy import layers as reference
from frameworks.numpy.activations import activate
from frameworks.spec.architecture import Architecture, parse
from frameworks.spec.defaults import NATIVE
from frameworks.spec.layers import Conv, Dense, KernelInitializer, deviation, function_of
from frameworks.spec.weights import draw, fans
from tests.helpers.line_adapters import Adapter

PLAIN = """
  {type = "conv", filters = 16, kernel = [4, 3], padding = "same", stride = 2, l2 = 0.01},
  {type = "batch_norm"},
  {type = "conv", filters = 16, kernel = 3, padding = "same", max_norm = 0.5},
  {type = "batch_norm", epsilon = 0.002, momentum = 0.75},
  {type = "max_pool", size = 3, stride = 2},
  {type = "average_pool", size = 2},
  {type = "dropout", rate = 0.25},
  {type = "flatten"},
  {type = "dense", units = 32, max_norm = 0.5, l2 = 0.002},
  {type = "batch_norm"},
  {type = "dense", units = "classes"},
"""
# Padding, windows, groups, norms and functions of every kind.
WINDOWS = """
  {type = "normalize", mean = [0.1, 0.2, 0.3], deviation = [0.3, 0.2, 0.1]},
  {type = "conv", filters = 8, kernel = 3, stride = 2, padding = 1, bias = false},
  {type = "group_norm", groups = 4},
  {type = "activation", function = "leaky_relu"},
  {type = "conv", filters = 8, kernel = [3, 2], padding = [[2, 0], 1], activation = "gelu"},
  {type = "conv", filters = 16, kernel = 3, groups = "channels", padding = "same"},
  {type = "conv", filters = 16, kernel = 3, groups = 4, stride = [2, 1], padding = "same"},
  {type = "conv", filters = 8, kernel = 3, dilation = [2, 1], padding = "same"},
  {type = "layer_norm"},
  {type = "conv", filters = 8, kernel = 1, activation = "elu"},
  {type = "dropout", rate = 0.25, per = "channel"},
  {type = "max_pool", size = 3, stride = 2, padding = 1},
  {type = "average_pool", size = 2, stride = 1, padding = "same"},
  {type = "average_pool", size = [3, 2], stride = 1, padding = [1, 0], count_padding = true},
  {type = "average_pool", size = 3, stride = 2, padding = 1},
  {type = "max_pool", size = 2, stride = [1, 2], padding = "same"},
  {type = "global_average_pool"},
  {type = "dense", units = 8, activation = "leaky_relu"},
  {type = "layer_norm", epsilon = 0.01},
  {type = "dense", units = "classes", bias = false},
"""
BLOCKS = """
  {type = "normalize"},
  {type = "residual", activation = "relu", layers = [
    {type = "conv", filters = 8, kernel = 3, stride = 2, padding = "same", bias = false},
    {type = "gate", layers = [{type = "conv", filters = 1, kernel = 1, activation = "sigmoid"}]},
    {type = "batch_norm", gamma_initializer = "zeros"},
    {type = "concatenate", branches = [[], [{type = "activation", function = "hard_swish"}]]},
    {type = "conv", filters = 8, kernel = 1, activation = "relu6"},
    {type = "scale"},
    {type = "dropout", rate = 0.5, per = "picture"},
  ], shortcut = [{type = "conv", filters = 8, kernel = 1, stride = 2}]},
  {type = "adaptive_average_pool", size = [3, 2]},
  {type = "max_pool", size = 2, stride = 1, padding = "same"},
  {type = "average_pool", size = 2, stride = 1, padding = "same", count_padding = true},
  {type = "adaptive_max_pool", size = 2},
  {type = "activation", function = "gelu", approximate = true},
  {type = "activation", function = "elu", alpha = 0.5},
  {type = "activation", function = "hard_sigmoid"},
  {type = "global_max_pool"},
  {type = "dense", units = "classes"},
"""
_DRAWN = (
    '{{type = "conv", filters = 24, kernel = 3, padding = "same", kernel_initializer = "{}"{}}}'
)
INITIALISERS = ", ".join(
    _DRAWN.format(word, ", kernel_deviation = 0.05" * (word in ("normal", "truncated_normal")))
    for word in get_args(KernelInitializer)
)


def network(layers: str, name: str) -> Architecture:
    return parse(f"layers = [{layers}]", origin=name, default_name=name)


def close(mine: Any, theirs: Any, rtol: float = 2e-4, atol: float = 2e-5) -> None:
    np.testing.assert_allclose(np.asarray(mine), np.asarray(theirs), rtol=rtol, atol=atol)


WRITERS = {"keras": keras, "torch": torch, "flax": flax}


def input_of(place: Placed, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed).normal(0.5, 1.5, size=(4, *place.source))
    return draw.astype(np.float32)


def _linear(place: Placed) -> Any:
    return msgspec.structs.replace(place.layer, activation="linear")


def weights_of(place: Placed) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(2)
    shapes = {"kernel": kernel_shape(place), "bias": place.target[-1]}
    return {
        part: generator.normal(size=shape).astype(np.float32)
        for part, shape in shapes.items()
        if part == "kernel" or place.layer.bias
    }


def layer(adapter: Adapter, code: str, place: Placed, question: Question) -> None:
    """The layer's output is the reference's, with the same weights and in training where that
    differs."""
    if place.kind in ("conv", "dense"):
        weighted(adapter, code, place, question)
    elif place.kind == "batch_norm":
        batch_norm(adapter, code, place, question)
    elif place.kind == "dropout":
        dropout(adapter, code, place, question)
    else:
        x, parts = input_of(place), {}
        if place.kind.endswith("norm"):
            channels = np.zeros(place.source[-1], np.float32)
            parts = {"gamma": channels + 1, "beta": channels}
        space = adapter.run(code, x=adapter.given(x))
        expected = reference.apply(place.layer, x, parts, training=False).output
        output = space["y"] if "y" in space else space[place.layer.name](space["x"])
        close(adapter.output(output), expected, atol=1e-4)
        if place.kind == "global_max_pool":
            tied = np.sign(x)
            applied = reference.apply(place.layer, tied, {}, training=False)
            slopes = applied.backward(np.ones_like(applied.output))
            close(adapter.gradient(space[place.layer.name], tied), slopes)


def weighted(adapter: Adapter, code: str, place: Placed, question: Question) -> None:
    """The layer's output is the reference's; fresh weights are draws of the initialiser."""
    x, parts = input_of(place), weights_of(place)
    space = adapter.run(code, x=adapter.given(x), kernel=parts["kernel"])
    layer = space[place.layer.name]
    adapter.output(layer(space["x"]))  # builds it
    fresh = adapter.weights(layer)
    if "kernel_init" in code or ("init." in code and ".weight" in code):
        drawn_like(fresh["kernel"], place.layer)
    if "bias_init" in code or ("init." in code and ".bias" in code):
        largest, bound = np.abs(fresh["bias"]).max(), fans(parts["kernel"].shape)["fan_in"] ** -0.5
        zeros = place.layer.bias_initializer == "zeros"
        least = bound * 1e-3 ** (1 / fresh["bias"].size)  # of so many, one time in a thousand
        assert largest == 0 if zeros else least < largest <= bound * (1 + 1e-6)
    if ".kernel.assign" in code:  # carried over by the line itself
        parts["bias"] = fresh.get("bias", 0)
        parts = {part: value for part, value in parts.items() if part in fresh or part == "kernel"}
    else:
        adapter.set_weights(layer, parts)
    close(
        adapter.output(layer(space["x"])),
        reference.apply(_linear(place), x, parts, training=False).output,
        atol=1e-4,
    )


def drawn_like(kernel: np.ndarray, spec: Conv | Dense) -> None:
    """As widely spread, and as far out, as the project's own draw of many."""
    word = str(spec.kernel_initializer)
    if word == "orthogonal":
        flat = kernel.reshape(-1, kernel.shape[-1])
        gram = flat.T @ flat if flat.shape[0] >= flat.shape[1] else flat @ flat.T
        close(gram, np.eye(len(gram)), atol=1e-5)
        return
    shape = (4000, *kernel.shape[-1:])
    own = draw(word, shape, kernel.shape, np.random.default_rng(0), deviation(spec))
    assert abs(kernel.std() / own.std() - 1) < 3 / kernel.size**0.5, (word, kernel.std(), own.std())
    # Keras on PyTorch takes the first of four draws within two deviations: of 0.0455**4 none is
    assert np.sum(np.abs(kernel) > np.abs(own).max() * 1.01) <= 1 + 2e-5 * kernel.size, word
    if kernel.size > 1000:  # uniform or normal: the fourth moment tells
        assert (np.mean(kernel**4) / kernel.var() ** 2 > 2.1) == ("normal" in word), word


def dropout(adapter: Adapter, code: str, place: Placed, question: Question) -> None:
    """In training, what is dropped has the shape of the mask, the rest is scaled."""
    x = np.ones((64, *place.source), np.float32)
    space = adapter.run(code, x=adapter.given(x))
    found = adapter.output(adapter.train(space[place.layer.name], space["x"]))
    shared = tuple(
        axis
        for axis, (one, whole) in enumerate(
            zip(place.layer.mask_shape(place.source), place.source, strict=True), start=1
        )
        if one < whole
    )
    kept = 1 / (1 - place.layer.rate)
    assert np.isclose(found, 0).any()
    assert np.isclose(found, kept).any()
    assert (np.isclose(found, 0) | np.isclose(found, kept)).all()
    assert np.ptp(found, axis=shared).max() == 0
    assert np.ptp(found.max(axis=shared)) > 0


def function(adapter: Adapter, code: str, place: Placed, question: Question) -> None:
    """The activation function of a layer and its gradient; of leaky_relu at zero, too."""
    x = np.linspace(-4, 4, 33, dtype=np.float32)[None]
    name = place.layer.name if place.kind == "activation" else f"{place.layer.name}_activation"
    made = adapter.run(code)[name]
    output, backward, _ = activate(place.layer, x.astype(float), None)
    close(adapter.output(made(adapter.given(x))), output, atol=1e-6)
    sides = x != 0 if function_of(place.layer) != "leaky_relu" else x == x
    close(adapter.gradient(made, x)[sides], backward(np.ones_like(output))[sides], atol=1e-6)


def gamma(adapter: Adapter, code: str, place: Placed, question: Question) -> None:
    """A fresh norm has the gamma that is stated."""
    made = adapter.run(code)[place.layer.name]
    assert not adapter.gamma(made, adapter.given(input_of(place))).any()


def by_galaxies(adapter: Adapter, code: str, place: Placed, question: Question) -> None:
    """Mean 0 and deviation 1 of the training pictures."""
    pictures = np.random.default_rng(5).random((6, *place.source)).astype(np.float32)
    given = adapter.given(pictures)
    output = adapter.output(adapter.run(code, pictures=given)[place.layer.name](given))
    close(output.mean((0, 1, 2)), np.zeros(place.source[-1]), atol=1e-5)
    close(output.std((0, 1, 2)), np.ones(place.source[-1]))


def residual(adapter: Adapter, code: str, place: Placed, question: Question) -> None:
    """The sum of the two."""
    one, other = input_of(place), input_of(place, seed=1)
    given = {"layers": adapter.given(one), "shortcut": adapter.given(other)}
    close(adapter.output(adapter.run(code, **given)[place.layer.name]), one + other)


def gate(adapter: Adapter, code: str, place: Placed, question: Question) -> None:
    """The product of the two."""
    one, other = input_of(place), input_of(place, seed=1)
    given = {"layers": adapter.given(one), "x": adapter.given(other)}
    close(adapter.output(adapter.run(code, **given)[place.layer.name]), one * other)


def scaled(adapter: Adapter, code: str, place: Placed, question: Question) -> None:
    """Each channel times its own number; Keras' layer has ones."""
    x, gamma = input_of(place), np.linspace(0.5, 2, place.source[-1], dtype=np.float32)
    given = adapter.given(x)
    expected = x if adapter.kind == "keras" else x * gamma
    own = {"gamma": adapter.given(gamma)}
    close(adapter.output(adapter.run(code, **own)[place.layer.name](given)), expected)


def branches(adapter: Adapter, code: str, place: Placed, question: Question) -> None:
    """Channels behind channels."""
    both = [input_of(place, seed=seed) for seed in (0, 1)]
    given = {"branches": [adapter.given(one) for one in both]}
    found = adapter.output(adapter.run(code, **given)[place.layer.name])
    close(found, np.concatenate(both, axis=-1))


def batch_norm(adapter: Adapter, code: str, place: Placed, question: Question) -> None:
    """A training step: output, and running mean; the variance in the framework's form."""
    _norm(adapter, code, place, NATIVE[adapter.kind]["batch_norm.running_variance"])


def running_variance(adapter: Adapter, code: str, place: Placed, question: Question) -> None:
    """The same with the running variance in the form that is stated."""
    _norm(adapter, code, place, place.layer.running_variance)


def _norm(adapter: Adapter, code: str, place: Placed, form: str) -> None:
    x, zeros = input_of(place), np.zeros(place.source[-1], np.float32)
    space = adapter.run(code, x=adapter.given(x))
    layer = space[place.layer.name]
    output = space["y"] if "y" in space else adapter.train(layer, space["x"])
    spec = msgspec.structs.replace(place.layer, running_variance=form, variance="two_pass")
    parts = {"gamma": zeros + 1, "beta": zeros, "moving_mean": zeros, "moving_variance": zeros + 1}
    expected = reference.apply(spec, x, parts, training=True)
    close(adapter.output(output), expected.output)
    mean, variance = adapter.running(layer)
    close(mean, expected.running["moving_mean"])
    close(variance, expected.running["moving_variance"])


def frozen(adapter: Adapter, code: str, place: Placed, question: Question) -> None:
    """A step of training by the batch or by the running statistics, as the recipe says."""
    name, x = place.layer.name, input_of(place)
    space = adapter.run(WRITERS[adapter.kind].layer(place), x=adapter.given(x))
    if adapter.kind == "keras":
        space[name].build(space["x"].shape)
    adapter.run(code, **{name: space[name]})
    zeros = np.zeros(place.source[-1], np.float32)
    parts = {"gamma": zeros + 1, "beta": zeros, "moving_mean": zeros, "moving_variance": zeros + 1}
    training = question.recipe.frozen_norm == "training"
    expected = reference.apply(place.layer, x, parts, training=training).output
    close(adapter.output(adapter.train(space[name], space["x"])), expected)
    assert adapter.running(space[name])[0].any() == training


CHECKS: dict[str, Callable[..., None]] = {
    **{"layer": layer, "layer:kernel_initializer": weighted, "layer:bias_initializer": weighted},
    **{"layer:running_variance": running_variance, "layer:variance": layer},
    **{"layer:gamma_initializer": gamma, "layer:groups": weighted, "function": function},
    **{"normalize by the galaxies": by_galaxies, "residual sum": residual, "gate product": gate},
    **{
        "scale of channels": scaled,
        "channels behind channels": branches,
        "frozen batch norm": frozen,
    },
}
