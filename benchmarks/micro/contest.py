"""One framework in a process of its own: bare loops and backends, block after block.

`python -m benchmarks.micro.contest SETTINGS`, the settings as JSON; `__main__` sets the
environment. Every block runs each contestant once, in an order drawn anew, and a matrix product
beside them."""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from benchmarks.micro.bare.networks import Task
from benchmarks.micro.process_wide import settings_now
from benchmarks.process.channel import Channel
from benchmarks.process.environment import recorded
from benchmarks.process.turns import Turns
from benchmarks.system import machine
from datasets.batches import Epoch, split_into_batches
from frameworks.backend import Backend, Runtime, framework
from frameworks.spec import weights as canonical
from frameworks.spec.architecture import Architecture, load
from frameworks.spec.defaults import fill_architecture, fill_recipe
from frameworks.spec.graph import changed
from frameworks.spec.layers import Dropout, Layer
from frameworks.spec.network import Network
from frameworks.spec.recipe import Recipe
from results.vocabulary import Precision

# Of each framework, where its bare loops are.
BARE = {
    "torch": {"tutorial": "torch:tutorial", "best": "torch:best"},
    "jax": {"tutorial": "flax:tutorial", "best": "flax:best"},
    "keras": {
        "tutorial": "keras_tensorflow:tutorial",
        "fit": "keras:fit",
        "best": "keras_tensorflow:best",
    },
    "keras@torch": {"tutorial": "keras:fit"},
    "keras@jax": {"tutorial": "keras:fit"},
}
NO_BEST = "no bare loop has been written for Keras on this engine"
FIT_STEPS = 30  # of an epoch in which tf.data's tuner, left on, and the start of `fit` are small
LEFT_OUT = "--without names it"
TOO_SHORT_TO_FIT = f"an epoch of a few steps is mostly its start; --steps {FIT_STEPS} or more"
# The library whose matrix product is the framework's own (`benchmarks.limits`).
LIBRARY = {
    "torch": "torch",
    "jax": "jax",
    "keras": "tensorflow",
    "keras@torch": "torch",
    "keras@jax": "jax",
}
PEAK_SIDES = {"cpu": 2048, "cuda": 8192}  # on a GPU a small product is all launch
COPY_BYTES = {"cpu": 2**28, "cuda": 2**30}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a contest: the network, the machine's share, and the number of steps.

    steps: training steps of each contestant in a block. epoch_images: images of the contestant
    "epoch"; 0 is twice the steps and half a batch. turn: number of the process; it decides the
    order of contestants, which is drawn anew for every block. without: contestants to leave out.
    """

    framework: str
    architecture: str
    size: int = 69
    batch_size: int = 64
    steps: int = 3
    blocks: int = 2
    threads: int = 2
    device: str = "cpu"
    precision: Precision = "float32"
    epoch_images: int = 0
    turn: int = 0
    seed: int = 0
    without: tuple[str, ...] = ()

    @property
    def images_of_epoch(self) -> int:
        """Images of the contestant "epoch"."""
        return self.epoch_images or 2 * self.steps * self.batch_size + self.batch_size // 2


class Contestant:
    """A call that trains, waits and returns the mean loss; `warm_up` is a shorter one.

    Each has the process-wide settings back with which it was made.
    """

    def __init__(self, run: Callable[[], float], warm_up: Callable[[], object]) -> None:
        self._run, self._warm_up, self._settle = run, warm_up, settings_now()

    def __call__(self) -> float:
        self._settle()
        return self._run()

    def warm_up(self) -> None:
        """Compile and allocate."""
        self._settle()
        self._warm_up()


class Contest:
    """The contestants of one framework by name.

    tutorial, best and, where Keras' `fit` has been touched, fit: the bare loops; idiomatic, tuned:
    `steps` steps of the harness's backends; again: the tuned one once more, which shows the noise;
    one_step: one step of it; epoch: a longer epoch of it, whose last batch is smaller; peak: a
    matrix product; copy: of memory. absent: contestants that there are not, with the reason.
    Backends draw their own dropout masks (native parity), as the bare loops do.
    """

    def __init__(self, settings: Settings, *, dropout: bool = True) -> None:
        self.settings = settings
        generator = np.random.default_rng(settings.seed)
        count = max(settings.images_of_epoch, settings.steps * settings.batch_size)
        shape = (count, settings.size, settings.size, 3)
        self.images = generator.integers(0, 256, shape, dtype=np.uint8)
        self.labels = generator.integers(0, 10, len(self.images))
        architecture = fill_architecture(load(settings.architecture))
        if not dropout:
            architecture = _without_dropout(architecture)
        self.network = Network(architecture, shape[1:], 10)
        self.weights = canonical.initial(self.network, settings.seed)
        self.dropout = dropout
        self.bare = BARE[settings.framework]
        known = {"idiomatic", "again", *self.bare}
        self.absent = {name: LEFT_OUT for name in settings.without if name in known}
        if "best" not in self.bare:
            self.absent["best"] = NO_BEST
        if "fit" in self.bare and settings.steps < FIT_STEPS:
            self.absent["fit"] = TOO_SHORT_TO_FIT
        self.backends: dict[str, Backend] = {}
        self._settle: dict[str, Callable[[], None]] = {}

    @property
    def names(self) -> list[str]:
        """The contestants; backends first: they set the threads, which some frameworks take up
        only once, and the precision of Keras' engines."""
        backends = ["idiomatic", "tuned", "again", "one_step", "epoch"]
        names = [*backends, *self.bare, "peak", "copy"]
        return [name for name in names if name not in self.absent]

    def call(self, name: str) -> Contestant:
        """The contestant, made ready."""
        one = self.settings
        counts = {"epoch": one.images_of_epoch, "one_step": one.batch_size}
        order = np.arange(counts.get(name, one.steps * one.batch_size))
        if name in ("peak", "copy"):
            return self._limit(name)
        if name in self.bare:
            return self._bare_loop(name, order)
        backend = self._backend("idiomatic" if name == "idiomatic" else "tuned")

        def train(order: np.ndarray) -> float:
            batches = split_into_batches(order, one.batch_size)
            loss = backend.train_epoch(Epoch(self.images, self.labels, batches, 1)).loss
            backend.synchronize()
            return loss

        batches = split_into_batches(order, one.batch_size)
        backend.compile(Epoch(self.images, self.labels, batches, 1))
        # `compile` has made all shapes ready
        return Contestant(lambda: train(order), lambda: train(order[: one.batch_size]))

    def _bare_loop(self, name: str, order: np.ndarray) -> Contestant:
        module, _, function = self.bare[name].partition(":")
        task = Task(
            self.settings.architecture,
            self.images,
            self.labels,
            self.settings.batch_size,
            self.weights,
            dropout=self.dropout,
            device=self.settings.device,
            precision=self.settings.precision,
        )
        loop = importlib.import_module(f"benchmarks.micro.bare.{module}")
        epoch = getattr(loop, function)(task)
        # the best loops are compiled for a number of steps, the tutorials' for a batch
        first = order if name == "best" else order[: self.settings.batch_size]
        return Contestant(lambda: epoch(order), lambda: epoch(first))

    def _limit(self, name: str) -> Contestant:
        one = self.settings
        library = importlib.import_module(f"benchmarks.limits.{LIBRARY[one.framework]}_limits")
        if name == "peak":
            repeated = library.product(one.device, one.precision, PEAK_SIDES[one.device])
        else:
            repeated = library.copy(one.device, COPY_BYTES[one.device])

        def run() -> float:
            repeated(1)
            return 0.0

        return Contestant(run, run)

    def evaluation(self, tuning: str) -> Callable[[], np.ndarray]:
        """Logits of one batch by a backend, which is made ready first."""
        backend = self._backend(tuning)
        images = self.images[: self.settings.batch_size]
        backend.predict(images)
        settle = self._settle[tuning]

        def run() -> np.ndarray:
            settle()
            return backend.predict(images)

        return run

    def compilation(self, tuning: str) -> Callable[[], None]:
        """`compile` of a new backend, for the first time as far as its framework can tell."""
        if self.settings.framework == "jax":
            import jax

            jax.clear_caches()
        backend = self._new_backend(tuning)
        order = np.arange(self.settings.batch_size)
        batches = split_into_batches(order, self.settings.batch_size)
        settle = settings_now()

        def run() -> None:
            settle()
            backend.compile(Epoch(self.images, self.labels, batches, 1))

        return run

    def _backend(self, tuning: str) -> Backend:
        if tuning in self.backends:
            self._settle[tuning]()
        else:
            self.backends[tuning] = self._new_backend(tuning)
            self._settle[tuning] = settings_now()
        return self.backends[tuning]

    def _new_backend(self, tuning: Any) -> Backend:
        one = self.settings
        runtime = Runtime(
            device=one.device,  # type: ignore[arg-type]
            precision=one.precision,
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
    """Seconds of every block by contestant, and what the backends settled on."""
    contest = Contest(settings)
    calls = {name: contest.call(name) for name in contest.names}
    for call in calls.values():
        call.warm_up()
    turns = Turns()
    turns.next()  # all that are timed together are ready before any is
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    stolen = machine.stolen_seconds()
    for block in range(settings.blocks):
        if block:
            turns.next()
        for name in shuffled(list(calls), settings, block):
            start = time.perf_counter()
            calls[name]()
            seconds[name].append(time.perf_counter() - start)
    return {
        "settings": msgspec.to_builtins(settings),
        "seconds": seconds,
        "absent": contest.absent,
        "epoch_images": settings.images_of_epoch,
        "training_flops": contest.network.flops(training=True),
        "peak_flops": 2 * PEAK_SIDES[settings.device] ** 3,
        "copied_bytes": 2 * COPY_BYTES[settings.device],
        "backends": {name: one.settings() for name, one in contest.backends.items()},
        "device_name": contest.backends["tuned"].device_name(),
        "cpus": len(machine.usable_cpus()),
        "load": machine.load(),
        "stolen_seconds": machine.stolen_seconds() - stolen,
        "environment": recorded(dict(os.environ)),
    }


def shuffled(names: list[str], settings: Settings, block: int) -> list[str]:
    """The names in an order of their own for every framework, network, process and block, so that
    none always follows the same one."""
    who = f"{settings.framework} {settings.architecture} {settings.turn} {block}"
    drawn = np.random.default_rng(list(who.encode())).permutation(len(names))
    return [names[place] for place in drawn]


def turned(names: list[str], turn: int) -> list[str]:
    """The names, and the next time backwards, then from another one on: a drift hits all alike."""
    first = turn // 2 % len(names)
    order = [*names[first:], *names[:first]]
    return order[::-1] if turn % 2 else order


def _without_dropout(architecture: Architecture) -> Architecture:
    def without(layer: Layer) -> Layer:
        return msgspec.structs.replace(layer, rate=0.0) if isinstance(layer, Dropout) else layer

    return msgspec.structs.replace(architecture, layers=changed(architecture.layers, without))


def main(settings_json: str) -> int:
    """Time what the settings say, and tell what was found."""
    settings = msgspec.json.decode(settings_json, type=Settings)
    Channel().send("facts", values=run(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
