# PYTHON_ARGCOMPLETE_OK
"""Speed of each framework's kernels, layer by layer: `python -m benchmarks.micro.layers`.

Every convolution and dense layer of a network runs alone: forward pass, gradient of the input,
gradient of the kernel, each beside a matrix product. These bound the speed of a whole training
step; the rest of the step (pools, activations, batch norm, optimizer) counts no operations.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.config.options import add
from benchmarks.micro.bare.networks import named
from benchmarks.micro.inside import check, run_inside
from benchmarks.micro.options import USUAL, add_number
from benchmarks.micro.options import parser as common
from benchmarks.micro.provenance import provenance
from benchmarks.process.channel import Channel
from results import cli
from results.output import say
from results.writer import write

if TYPE_CHECKING:
    import numpy as np

FRAMEWORKS = ("torch", "jax", "keras")
PASSES = ("forward", "input gradient", "kernel gradient")
# rows and columns of the matrix product; on a GPU a small one is all launch
SIDES = {"cpu": 2048, "cuda": 8192}

Kernels = dict[str, Callable[[], Any]]


@dataclass(frozen=True)
class Work:
    """A layer's work: kernel shape (row, column, in, out), or (in, out) of a dense layer.

    `input_shape` has the batch first; the first layer needs no gradient of its input.
    """

    name: str
    input_shape: tuple[int, ...]
    kernel_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    first: bool

    @property
    def passes(self) -> tuple[str, ...]:
        """Passes, of PASSES, that a training step makes."""
        return tuple(p for p in PASSES if not (self.first and p == "input gradient"))

    @property
    def flops(self) -> int:
        """Operations of one pass; a multiply-add is 2."""
        return 2 * math.prod(self.output_shape) * math.prod(self.kernel_shape[:-1])


def works(architecture: str, size: int, batch: int) -> list[Work]:
    """The layers with kernels of a network for pictures of size x size x 3."""
    shape: tuple[int, ...] = (size, size, 3)
    found: list[Work] = []
    for name, layer in named(architecture):
        source = shape
        if layer[0] == "conv":
            side = shape[0] - layer[2] + 1
            shape = (side, side, layer[1])
            kernel: tuple[int, ...] = (layer[2], layer[2], source[2], layer[1])
        elif layer[0] == "dense":
            shape = (layer[1],)
            kernel = (source[0], layer[1])
        elif layer[0] == "pool":
            shape = (shape[0] // 2, shape[1] // 2, shape[2])
        elif layer[0] == "flatten":
            shape = (math.prod(shape),)
        if layer[0] in ("conv", "dense"):
            found.append(Work(name, (batch, *source), kernel, (batch, *shape), not found))
    return found


def parser() -> cli.Parser:
    """The command line."""
    line = common(
        "benchmarks.micro.layers",
        "Each layer's three passes alone, in each framework, beside a matrix product.",
    )
    add(line, "frameworks", choices=FRAMEWORKS, default=FRAMEWORKS, help=" ".join(FRAMEWORKS))
    line.add_argument("--architecture", choices=USUAL, default="unam")
    add(line, "batch_size", nargs=None, default=64)
    add_number(line, "blocks", 7, "times of each")
    line.add_argument("--inside", help=argparse.SUPPRESS)  # the framework, in its own process
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Status 0, 1 when a framework failed, 2 for bad input."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(arguments)
    return cli.run(partial(_all, options, arguments))


def _all(options: argparse.Namespace, arguments: list[str]) -> int:
    layers = works(options.architecture, options.size, options.batch_size)
    if options.inside:
        Channel().send("facts", values=_measure(layers, options))
        return 0
    check(options.frameworks, device=options.device, threads=options.threads)
    origin = provenance("benchmarks.micro.layers", arguments)
    seconds: dict[str, dict[str, list[float]]] = {}
    for name in options.frameworks:
        found = run_inside(
            "benchmarks.micro.layers",
            name,
            arguments,
            device=options.device,
            threads=options.threads,
        )
        if found is not None:
            seconds[name] = found
    if not seconds:
        return 1
    flops = 2 * SIDES[options.device] ** 3
    peak = flops / min(median(found["matrix product"]) for found in seconds.values())
    for line in table(layers, seconds, peak, flops):
        say(line)
    if options.output:
        content = origin | {"peak_flops_per_second": peak, "seconds": seconds}
        write(options.output, json.dumps(content, indent=1) + "\n")
    return int(len(seconds) < len(options.frameworks))


def table(
    layers: Sequence[Work],
    seconds: dict[str, dict[str, list[float]]],
    peak: float,
    product_flops: int,
) -> list[str]:
    """Shares of the best matrix product, as a Markdown table: median time of each pass.

    Args:
        peak: operations a second of the best matrix product; product_flops: operations of one.
    """
    lines = [
        f"| layer | pass | share of work | {' | '.join(seconds)} |",
        f"| --- | --- | ---: |{' ---: |' * len(seconds)}",
    ]
    whole = sum(work.flops for work in layers for _ in work.passes)
    for work in layers:
        for name in work.passes:
            shares = [
                work.flops / median(found[f"{work.name} {name}"]) / peak
                for found in seconds.values()
            ]
            row = " | ".join(f"{share:.2f}" for share in shares)
            lines.append(f"| {work.name} | {name} | {work.flops / whole:.0%} | {row} |")
    sums = [
        sum(median(found[f"{work.name} {name}"]) for work in layers for name in work.passes)
        for found in seconds.values()
    ]
    lines.append(f"| all | | 100% | {' | '.join(f'{whole / s / peak:.2f}' for s in sums)} |")
    own = [product_flops / median(found["matrix product"]) / peak for found in seconds.values()]
    lines.append(f"| own matrix product | | | {' | '.join(f'{share:.2f}' for share in own)} |")
    return lines


def _measure(layers: Sequence[Work], options: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds of every pass of every layer, and of the matrix product, in interleaved blocks."""
    make = {"torch": _torch, "jax": _jax, "keras": _tensorflow}[options.inside]
    kernels = make(layers, options.device, options.threads)
    for run in kernels.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in kernels}
    for _ in range(options.blocks):
        for name, run in kernels.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def _arrays(work: Work) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Input, kernel and gradient of the output, float32."""
    import numpy as np

    generator = np.random.default_rng(0)
    shapes = (work.input_shape, work.kernel_shape, work.output_shape)
    x, kernel, slope = (generator.standard_normal(shape, dtype=np.float32) for shape in shapes)
    return x, kernel, slope


def _runtime(device: str, threads: int) -> Any:
    """float32 on that device: without TF32, which JAX and TensorFlow would use on a GPU."""
    from frameworks.backend import Runtime

    return Runtime(device=device, threads=threads)  # type: ignore[arg-type]


def _torch(layers: Sequence[Work], device: str, threads: int) -> Kernels:
    import torch

    from frameworks.torch import backend

    backend.configure(_runtime(device, threads))

    def waited(operation: Callable[[], Any]) -> Callable[[], Any]:
        def run() -> None:
            operation()
            torch.cuda.synchronize()

        return run if device == "cuda" else operation

    a = torch.randn(SIDES[device], SIDES[device], device=device)
    kernels: Kernels = {"matrix product": waited(partial(torch.mm, a, a))}
    for work in layers:
        x, kernel, slope = (torch.from_numpy(array).to(device) for array in _arrays(work))
        if len(work.kernel_shape) == 2:
            made: list[Callable[[], Any]] = [
                partial(torch.mm, x, kernel),
                partial(torch.mm, slope, kernel.T),
                partial(torch.mm, x.T, slope),
            ]
        else:
            x, slope = x.permute(0, 3, 1, 2), slope.permute(0, 3, 1, 2)  # channels last
            kernel = kernel.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)

            back = partial(
                torch.ops.aten.convolution_backward,
                *(slope, x, kernel, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1),
            )
            made = [
                partial(torch.nn.functional.conv2d, x, kernel),
                partial(back, [True, False, False]),
                partial(back, [False, True, False]),
            ]
        kernels |= _named(work, [waited(operation) for operation in made])
    return kernels


def _jax(layers: Sequence[Work], device: str, threads: int) -> Kernels:
    """The tuned backend's convolutions; XLA takes its threads from the affinity."""
    import jax
    import numpy as np

    from frameworks.jax import convolution, settings

    settings.configure(_runtime(device, threads))
    sides: dict[str, Any] = {"window_strides": (1, 1), "padding": "VALID"}
    on_cpu = device == "cpu"
    made_for = convolution.convolve if on_cpu else jax.lax.conv_general_dilated
    options = convolution.compiler_options() if on_cpu else {}
    convolve: Any = partial(made_for, **sides, dimension_numbers=convolution.LAYOUT)

    def waited(function: Any, *arguments: Any) -> Callable[[], Any]:
        compiled = jax.jit(function, compiler_options=options)
        return lambda: jax.block_until_ready(compiled(*arguments))

    square = (SIDES[device], SIDES[device])
    a = jax.numpy.asarray(np.random.default_rng(0).standard_normal(square, dtype=np.float32))
    kernels: Kernels = {"matrix product": waited(lambda a: a @ a, a)}
    for work in layers:
        x, kernel, slope = map(jax.numpy.asarray, _arrays(work))

        def forward(x: Any, k: Any, dense: bool = len(work.kernel_shape) == 2) -> Any:
            return x @ k if dense else convolve(x, k)

        def of_input(x: Any, k: Any, s: Any, forward: Any = forward) -> Any:
            return jax.vjp(lambda x: forward(x, k), x)[1](s)

        def of_kernel(x: Any, k: Any, s: Any, forward: Any = forward) -> Any:
            return jax.vjp(lambda k: forward(x, k), k)[1](s)

        def in_training(x: Any, k: Any, forward: Any = forward) -> Any:
            return jax.vjp(forward, x, k)[0]

        made = [
            waited(in_training, x, kernel),
            waited(of_input, x, kernel, slope),
            waited(of_kernel, x, kernel, slope),
        ]
        kernels |= _named(work, made)
    return kernels


def _tensorflow(layers: Sequence[Work], device: str, threads: int) -> Kernels:
    import tensorflow as tf

    from frameworks.keras.engines import TensorFlowEngine

    TensorFlowEngine.configure(_runtime(device, threads))

    def waited(operation: Any, *arguments: Any) -> Callable[[], Any]:
        compiled = tf.function(operation)
        return lambda: compiled(*arguments).numpy()

    a = tf.random.normal((SIDES[device], SIDES[device]))
    kernels: Kernels = {"matrix product": waited(lambda a: tf.linalg.matmul(a, a)[0, 0], a)}
    for work in layers:
        x, kernel, slope = map(tf.constant, _arrays(work))
        corner = (0,) * len(work.output_shape)
        if len(work.kernel_shape) == 2:
            operations: list[Any] = [
                lambda x, k, s: tf.linalg.matmul(x, k),
                lambda x, k, s: tf.linalg.matmul(s, k, transpose_b=True),
                lambda x, k, s: tf.linalg.matmul(x, s, transpose_a=True),
            ]
        else:
            sides = {"strides": [1, 1, 1, 1], "padding": "VALID"}
            operations = [
                lambda x, k, s, o=sides: tf.nn.conv2d(x, k, **o),
                lambda x, k, s, o=sides: tf.raw_ops.Conv2DBackpropInput(
                    input_sizes=tf.shape(x), filter=k, out_backprop=s, **o
                ),
                lambda x, k, s, o=sides: tf.raw_ops.Conv2DBackpropFilter(
                    input=x, filter_sizes=tf.shape(k), out_backprop=s, **o
                ),
            ]
        # one number is read back, so that the whole result is computed and little is copied
        made = [
            waited(lambda x, k, s, f=f, c=corner: f(x, k, s)[c], x, kernel, slope)
            for f in operations
        ]
        kernels |= _named(work, made)
    return kernels


def _named(work: Work, made: Sequence[Callable[[], Any]]) -> Kernels:
    """The passes that a training step makes, by layer and pass."""
    return {
        f"{work.name} {name}": run
        for name, run in zip(PASSES, made, strict=True)
        if name in work.passes
    }


if __name__ == "__main__":
    sys.exit(main())
