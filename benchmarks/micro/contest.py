"""One framework in a process of its own: bare loops and backends, block after block.

`python -m benchmarks.micro.contest SETTINGS.json OUTPUT.json`; `__main__` sets the environment.
Every block runs each contestant once, in an order that turns, and a matrix product beside them.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from datasets.batches import Epoch, split_into_batches
from frameworks import weights as canonical
from frameworks.architecture import Architecture, Dropout, load
from frameworks.backend import Backend, Runtime, framework
from frameworks.defaults import fill_architecture, fill_recipe
from frameworks.network import Network
from frameworks.recipe import Recipe

BARE = {"torch": "bare_torch", "jax": "bare_flax", "keras": "bare_keras"}
PEAK_SIZE = 2048


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What is timed. steps: training steps of each contestant in a block."""

    framework: str
    architecture: str
    size: int = 69
    batch_size: int = 64
    steps: int = 4
    blocks: int = 7
    threads: int = 2
    device: str = "cpu"
    seed: int = 0

    @property
    def epoch_images(self) -> int:
        """Images of the contestant "epoch": twice the steps, and half a batch."""
        return 2 * self.steps * self.batch_size + self.batch_size // 2


class Contest:
    """The contestants of one framework: name to a call that trains and waits.

    tutorial, best: the bare loops; idiomatic, tuned: `steps` steps of the harness's backends;
    epoch: a longer epoch of the tuned one, whose last batch is smaller; peak: a matrix product.
    Backends draw their own dropout masks (native parity), as the bare loops do.
    """

    def __init__(self, settings: Settings, *, dropout: bool = True) -> None:
        self.settings = settings
        generator = np.random.default_rng(settings.seed)
        shape = (settings.epoch_images, settings.size, settings.size, 3)
        self.images = generator.integers(0, 256, shape, dtype=np.uint8)
        self.labels = generator.integers(0, 10, len(self.images))
        architecture = fill_architecture(load(settings.architecture))
        if not dropout:
            architecture = _without_dropout(architecture)
        self.network = Network(architecture, shape[1:], 10)
        self.weights = canonical.initial(self.network, settings.seed)
        self.dropout = dropout
        self.bare = importlib.import_module(f"benchmarks.micro.{BARE[settings.framework]}")
        self.backends: dict[str, Backend] = {}

    def call(self, name: str) -> Callable[[], float]:
        """The contestant, made ready; it returns its mean loss."""
        count = self.settings.steps * self.settings.batch_size
        order = np.arange(len(self.images) if name == "epoch" else count)
        if name in ("tutorial", "best"):
            epoch = getattr(self.bare, name)(
                self.settings.architecture,
                self.images,
                self.labels,
                self.settings.batch_size,
                self.weights,
                dropout=self.dropout,
                device=self.settings.device,
            )
            return lambda: epoch(order)
        if name == "peak":
            product = self.bare.peak(PEAK_SIZE, self.settings.device)
            return lambda: product() or 0.0
        backend = self._backend("tuned" if name == "epoch" else name)
        batches = split_into_batches(order, self.settings.batch_size)

        def run() -> float:
            loss = backend.train_epoch(Epoch(self.images, self.labels, batches, 1)).loss
            backend.synchronize()
            return loss

        backend.compile(Epoch(self.images, self.labels, batches, 1))
        return run

    def evaluation(self, tuning: str) -> Callable[[], np.ndarray]:
        """Logits of one batch by a backend, which is made ready first."""
        backend = self._backend(tuning)
        images = self.images[: self.settings.batch_size]
        backend.predict(images)
        return lambda: backend.predict(images)

    def compilation(self, tuning: str) -> Callable[[], None]:
        """`compile` of a new backend, for the first time as far as its framework can tell."""
        if self.settings.framework == "jax":
            import jax

            jax.clear_caches()
        backend = self._new_backend(tuning)
        order = np.arange(self.settings.batch_size)
        batches = split_into_batches(order, self.settings.batch_size)
        return lambda: backend.compile(Epoch(self.images, self.labels, batches, 1))

    def _backend(self, tuning: str) -> Backend:
        if tuning not in self.backends:
            self.backends[tuning] = self._new_backend(tuning)
        return self.backends[tuning]

    def _new_backend(self, tuning: Any) -> Backend:
        one = self.settings
        runtime = Runtime(
            device=one.device,  # type: ignore[arg-type]
            tuning=tuning,
            native_dropout=True,
            seed=one.seed,
            threads=one.threads,
        )
        recipe = fill_recipe(Recipe(batch_size=one.batch_size))
        make = framework(one.framework).backend(tuning)
        backend = make(self.network, recipe, runtime, self.weights)
        backend.stage(self.images, self.labels)
        return backend


def run(settings: Settings) -> dict[str, Any]:
    """Seconds of every block by contestant, and what the tuned backend settled on."""
    contest = Contest(settings)
    # backends first: they set the threads, which some frameworks take up only once
    names = ["idiomatic", "tuned", "epoch", "tutorial", "best", "peak"]
    calls = {name: contest.call(name) for name in names}
    for call in calls.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for block in range(settings.blocks):
        turn = block % len(names)
        order = [*names[turn:], *names[:turn]]
        for name in reversed(order) if block % 2 else order:
            start = time.perf_counter()
            calls[name]()
            seconds[name].append(time.perf_counter() - start)
    return {
        "settings": msgspec.to_builtins(settings),
        "seconds": seconds,
        "training_flops": contest.network.flops(training=True),
        "tuned_settings": contest.backends["tuned"].settings(),
    }


def _without_dropout(architecture: Architecture) -> Architecture:
    layers = tuple(
        msgspec.structs.replace(layer, rate=0.0) if isinstance(layer, Dropout) else layer
        for layer in architecture.layers
    )
    return msgspec.structs.replace(architecture, layers=layers)


def main(settings_file: str, output: str) -> int:
    """Time what the file says, and write what was found."""
    settings = msgspec.json.decode(Path(settings_file).read_bytes(), type=Settings)
    Path(output).write_bytes(msgspec.json.encode(run(settings)))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
