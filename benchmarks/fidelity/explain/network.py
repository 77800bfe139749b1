"""The differences that the layers decide: initialisers, batch norm, padding, pools, dropout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.fidelity.explain.difference import TITLES, Difference, Lines, Verdict
from frameworks.spec.architecture import (
    Architecture,
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    MaxPool,
)
from frameworks.spec.defaults import NATIVE, PROJECT
from frameworks.spec.recipe import Recipe


def differences(architecture: Architecture, recipe: Recipe) -> Iterator[Difference]:
    """Of the layers."""
    for kind, tag in ((Conv, "conv"), (Dense, "dense")):
        layers = [layer for layer in architecture.layers if isinstance(layer, kind)]
        yield _kernel_initializer(tag, layers)
        yield _bias_initializer(tag, layers)
    yield from _batch_norm(architecture, recipe)
    yield from _padding(architecture)
    yield from _pools(architecture)
    yield _flatten(architecture)
    yield _dropout(architecture)
    yield _mode(architecture)
    yield _max_norm(architecture)


def native(field: str) -> Lines:
    """What each framework does when the field is left alone."""
    return {name: f"{column[field]}" for name, column in NATIVE.items()}


def open_layers(layers: list[Any], field: str) -> tuple[Verdict, str]:
    """Whether layers leave the field open, in words."""
    if not layers:
        return "no", "there is no such layer"
    count = sum(getattr(layer, field) is None for layer in layers)
    if count == 0:
        return "no", "every layer states it"
    return "yes", f"left open by {count} of {len(layers)} layers"


def _kernel_initializer(tag: str, layers: list[Any]) -> Difference:
    matters, why = open_layers(layers, "kernel_initializer")
    return Difference(
        f"{tag}.kernel_initializer",
        matters,
        f"{why}; of all defaults the one expected to move a result most"
        if matters == "yes"
        else why,
        "measured in trials: variance of a kernel up to 6 times apart (standard deviations of a "
        "dense kernel 4096 to 256: Keras 0.0214, PyTorch 0.0090, Flax 0.0156)",
        native(f"{tag}.kernel_initializer"),
        {
            "keras": 'kernel_initializer="glorot_uniform"',
            "torch": "nn.init.xavier_uniform_(layer.weight)",
            "flax": "kernel_init=nnx.initializers.glorot_uniform()",
        },
    )


def _bias_initializer(tag: str, layers: list[Any]) -> Difference:
    matters, why = open_layers(layers, "bias_initializer")
    return Difference(
        f"{tag}.bias_initializer",
        matters,
        f"{why}; PyTorch alone does not start from zero" if matters == "yes" else why,
        "by formula: PyTorch's biases are uniform within 1 / sqrt(fan_in)",
        native(f"{tag}.bias_initializer"),
        {
            "keras": 'bias_initializer="zeros"',
            "torch": "nn.init.zeros_(layer.bias)",
            "flax": "bias_init=nnx.initializers.zeros",
        },
    )


def _batch_norm(architecture: Architecture, recipe: Recipe) -> Iterator[Difference]:
    layers = [layer for layer in architecture.layers if isinstance(layer, BatchNorm)]
    target: dict[str, Any] = {
        field: next(
            (value for layer in layers if (value := getattr(layer, field)) is not None),
            PROJECT[f"batch_norm.{field}"],
        )
        for field in BatchNorm.__struct_fields__
        if field != "name"
    }
    epsilon, momentum = target["epsilon"], target["momentum"]

    def difference(
        field: str, why: str, size: str, lines: Lines, usual: Verdict = "yes"
    ) -> Difference:
        matters, reason = open_layers(layers, field)
        if matters == "yes":
            matters, reason = usual, f"{reason}; {why}"
        return Difference(
            f"batch_norm.{field}", matters, reason, size, native(f"batch_norm.{field}"), lines
        )

    yield difference(
        "epsilon",
        "it shifts every output of the layer from the first step on",
        "measured in trials: 1e-3 for 1e-5 moves the loss by more than 0.1 % at step 1 and by "
        "more than 1 % at step 2",
        {
            "keras": f"BatchNormalization(epsilon={epsilon:g})",
            "torch": f"nn.BatchNorm2d(channels, eps={epsilon:g})",
            "flax": f"nnx.BatchNorm(channels, epsilon={epsilon:g}, rngs=rngs)",
        },
    )
    yield difference(
        "momentum",
        "it decides how soon inference follows training, most in a short training; PyTorch's "
        "number is the weight on the new value, the others' on the old",
        "by formula: after 100 steps 0.99 still has 37 % of the initial value, 0.9 has 0.003 %",
        {
            "keras": f"BatchNormalization(momentum={momentum:g})",
            "torch": f"nn.BatchNorm2d(channels, momentum={1 - momentum:g})",
            "flax": f"nnx.BatchNorm(channels, momentum={momentum:g}, rngs=rngs)",
        },
    )
    yield difference(
        "running_variance",
        "PyTorch's running variance is n / (n - 1) times the others', n being the batch size "
        "times the pixels of the layer; inference alone sees it",
        f"by formula: at most {100 / max(recipe.batch_size - 1, 1):.2g} % of the variance with "
        f"batches of {recipe.batch_size}, less by the number of pixels",
        {
            "keras": "biased as it is",
            "torch": "F.batch_norm(x, mean, variance, momentum=1.0, training=True) and "
            "running_var.lerp_(variance * (n - 1) / n, momentum)",
            "flax": "biased as it is",
        },
    )
    yield difference(
        "variance",
        "Flax takes E[x^2] - E[x]^2, which loses digits in float32 where a mean is large beside "
        "its spread",
        "measured in trials: error of the output 3e-7, 3e-3, 0.19 at mean / spread 0, 100, 1000 "
        "(in two passes: 6e-6 at 100, 3e-5 at 1000)",
        {
            "keras": "in two passes as it is",
            "torch": "in two passes as it is",
            "flax": "nnx.BatchNorm(channels, use_fast_variance=False, rngs=rngs)",
        },
        usual="sometimes",
    )


def _padding(architecture: Architecture) -> Iterator[Difference]:
    convs = [layer for layer in architecture.layers if isinstance(layer, Conv)]
    wide = [layer for layer in convs if max(layer.kernel_size) > 1]
    used = sorted({layer.padding for layer in wide})
    yield Difference(
        "conv.padding",
        "yes" if wide else "no",
        f"the network has {' and '.join(used)}; Flax alone pads when told nothing, so that one "
        "port cannot leave it out"
        if wide
        else "no kernel is wider than a pixel",
        "another shape, or silently another network",
        {"keras": "valid", "torch": "valid", "flax": "SAME"},
        {
            "keras": " / ".join(f'Conv2D(..., padding="{padding}")' for padding in used),
            "torch": " / ".join(f'nn.Conv2d(..., padding="{padding}")' for padding in used),
            "flax": " / ".join(f'nnx.Conv(..., padding="{p.upper()}")' for p in used),
        },
    )
    strided = [layer for layer in convs if layer.padding == "same" and layer.stride > 1]
    yield Difference(
        "conv.odd_zero_of_same_at_stride_2",
        "sometimes" if strided else "no",
        f'{len(strided)} layers have "same" and a stride: where an odd number of zeros is needed '
        "the last goes after (bottom, right) in Keras and Flax; PyTorch refuses, and padding=k//2 "
        "is symmetric"
        if strided
        else 'no layer has "same" padding and a stride',
        "measured by the mutant symmetric_padding: the layer's output is wrong altogether",
        {"keras": "after", "torch": 'refuses "same"', "flax": "after"},
        {
            "keras": 'padding="same"',
            "torch": "F.pad(x, (left, right, top, bottom)) before nn.Conv2d(..., padding=0)",
            "flax": 'padding="SAME"',
        },
    )


def _pools(architecture: Architecture) -> Iterator[Difference]:
    pools = [p for p in architecture.layers if isinstance(p, MaxPool | AveragePool)]
    size, stride = (pools[0].size, pools[0].stride or pools[0].size) if pools else (2, 2)
    yield Difference(
        "max_pool.stride",
        "yes" if any(pool.size > 1 for pool in pools) else "no",
        "Flax' pools move by one pixel unless told; Keras' and PyTorch's by their size"
        if pools
        else "there is no pool",
        "another shape: an error at the next dense layer, unless a pool to one pixel hides it",
        {"keras": "the size", "torch": "the size", "flax": "1"},
        {
            "keras": f"MaxPooling2D({size}, strides={stride})",
            "torch": f"nn.MaxPool2d({size}, {stride})",
            "flax": f"nnx.max_pool(x, ({size}, {size}), strides=({stride}, {stride}))",
        },
    )
    yield Difference(
        "average_pool.counts_padding",
        "no",
        "no pool of a specification pads",
        "",
        {"keras": "no", "torch": "yes", "flax": "yes"},
    )


def _flatten(architecture: Architecture) -> Difference:
    there = any(isinstance(layer, Flatten) for layer in architecture.layers)
    return Difference(
        "flatten.order",
        "sometimes" if there else "no",
        "only where weights or masks are carried from one framework to another: with weights "
        "drawn at random either order is the same network"
        if there
        else "nothing is flattened",
        "measured by the mutant flatten_order: the next layer's output is wrong altogether; "
        "nothing when trained anew",
        {"keras": "row, column, channel", "torch": "channel, row, column", "flax": "as Keras"},
        {
            "keras": "as it is",
            "torch": "kernel.reshape(h, w, c, out).transpose(2, 0, 1, 3).reshape(-1, out).T",
            "flax": "as it is",
        },
    )


def _dropout(architecture: Architecture) -> Difference:
    rates = [layer.rate for layer in architecture.layers if isinstance(layer, Dropout)]
    return Difference(
        "dropout masks",
        "sometimes" if any(rates) else "no",
        "the rate is the share dropped in all three; their random streams cannot be made equal, "
        "so single trainings part and averages over seeds do not"
        if any(rates)
        else "nothing is dropped",
        "",
        {
            "keras": "Philox on TensorFlow",
            "torch": "Mersenne Twister, on CUDA Philox",
            "flax": "threefry",
        },
        dict.fromkeys(
            TITLES, "x * mask / (1 - rate), the mask drawn by NumPy and given as an input"
        ),
    )


def _mode(architecture: Architecture) -> Difference:
    modal = [x for x in architecture.layers if isinstance(x, BatchNorm | Dropout)]
    return Difference(
        "inference mode",
        "yes" if modal else "no",
        "PyTorch and Flax NNX stay in training mode until told; Keras' predict and evaluate switch "
        "by themselves"
        if modal
        else "neither batch norm nor dropout",
        "",
        {"keras": "switched by predict", "torch": "training", "flax": "training"},
        {"keras": "as it is", "torch": "model.eval()", "flax": "model.eval()"},
    )


def _max_norm(architecture: Architecture) -> Difference:
    held = [
        x for x in architecture.layers if isinstance(x, Conv | Dense) and x.max_norm is not None
    ]
    limit = held[0].max_norm if held else 1.0
    line = "after each step: w *= norm.clip(max=limit) / (1e-7 + norm), norm over the inputs"
    return Difference(
        "max_norm",
        "yes" if held else "no",
        f"{len(held)} layers hold their norm; Keras alone has it built in"
        if held
        else "no layer states one",
        "",
        {"keras": "none", "torch": "none", "flax": "none"},
        {
            "keras": f"kernel_constraint=keras.constraints.MaxNorm({limit:g}, axis=all but last)",
            "torch": line,
            "flax": line,
        },
    )
