"""Frameworks that do nothing but fail in the ways that real ones do, and one that works.

Registered as a third party would: by entry points of an installed distribution. The working one is
a linear classifier in NumPy, so that its numbers are a training's.
"""

import os
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import h5py
import numpy as np
import pytest

from datasets.batches import Batch, Epoch
from frameworks import backend
from frameworks.backend import Backend, EpochResult, Framework, Runtime
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import Recipe
from frameworks.spec.weights import Weights, initial

ARCHITECTURE = """
name = "linear"
[[layers]]
type = "flatten"
[[layers]]
type = "dropout"
rate = 0.25
[[layers]]
type = "dense"
units = "classes"
l2 = 0.001
"""


class FakeBackend(Backend):
    """Softmax regression by gradient descent, on float64 pixels."""

    def build(self, *, draw: bool) -> None:
        if draw:
            self.set_weights(initial(self.network, self.runtime.seed))
        self.random = np.random.Generator(np.random.Philox(self.runtime.seed))
        self.learning_rate = self.recipe.optimizer.rate
        self.steps = 0

    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        loss = correct = count = 0.0
        (name,) = {key.split("/")[0] for key in self.weights}
        kernel, bias = self.weights[f"{name}/kernel"], self.weights[f"{name}/bias"]
        for batch in epoch:
            pixels = _pixels(batch.images)
            for mask in batch.masks.values():
                pixels = pixels * mask / 0.75
            if self.runtime.native_dropout:
                pixels = pixels * (self.random.random(pixels.shape) < 0.75) / 0.75
            probabilities = _softmax(pixels @ kernel + bias)
            rows = np.arange(len(batch))
            loss -= float(np.log(probabilities[rows, batch.labels]).sum())
            correct += float((probabilities.argmax(axis=1) == batch.labels).sum())
            count += len(batch)
            probabilities[rows, batch.labels] -= 1
            kernel -= 10 * self.learning_rate * pixels.T @ probabilities / len(batch)
            bias -= 10 * self.learning_rate * probabilities.mean(axis=0)
            self.steps += 1
        return EpochResult(loss / count, correct / count)

    def predict(self, images: np.ndarray) -> np.ndarray:
        (name,) = {key.split("/")[0] for key in self.weights}
        return _pixels(images) @ self.weights[f"{name}/kernel"] + self.weights[f"{name}/bias"]

    def set_learning_rate(self, learning_rate: float) -> None:
        self.learning_rate = learning_rate

    def get_weights(self) -> Weights:
        return {key: array.copy() for key, array in self.weights.items()}

    def set_weights(self, weights: Weights) -> None:
        self.weights = {key: array.astype(np.float64) for key, array in weights.items()}

    def get_optimizer_state(self) -> dict[str, np.ndarray]:
        return {"step": np.asarray(self.steps), "learning_rate": np.asarray(self.learning_rate)}

    def set_optimizer_state(self, state: Mapping[str, np.ndarray]) -> None:
        self.steps, self.learning_rate = int(state["step"]), float(state["learning_rate"])

    def get_random_state(self) -> dict[str, np.ndarray]:
        state = self.random.bit_generator.state
        numbers = [*state["state"]["counter"], *state["state"]["key"], *state["buffer"]]
        numbers += [state["buffer_pos"], state["has_uint32"], state["uinteger"]]
        return {"philox": np.array(numbers, np.uint64)}

    def set_random_state(self, state: Mapping[str, np.ndarray]) -> None:
        numbers = state["philox"]
        self.random.bit_generator.state = {
            "bit_generator": "Philox",
            "state": {"counter": numbers[:4], "key": numbers[4:6]},
            "buffer": numbers[6:10],
            "buffer_pos": int(numbers[10]),
            "has_uint32": int(numbers[11]),
            "uinteger": int(numbers[12]),
        }


class SleepingBackend(FakeBackend):
    """Trains one epoch, then hangs."""

    done = False

    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        if self.done:
            print("about to hang", flush=True)
            time.sleep(600)
        self.done = True
        return super().train_epoch(epoch)


class RaisingBackend(FakeBackend):
    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        raise RuntimeError("the kernel launch failed [code 7]")


class DivergingBackend(FakeBackend):
    """The second epoch's loss is no number."""

    epochs = 0

    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        result = super().train_epoch(epoch)
        self.epochs += 1
        return EpochResult(float("nan"), result.accuracy) if self.epochs == 2 else result


class KilledBackend(FakeBackend):
    """Killed from outside during the second epoch, as by an administrator."""

    done = False

    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        if self.done:
            os.kill(os.getpid(), signal.SIGKILL)
        self.done = True
        return super().train_epoch(epoch)


class GreedyBackend(FakeBackend):
    def stage(self, images: np.ndarray, labels: np.ndarray) -> None:
        raise MemoryError("unable to allocate 1.2 TiB for an array")


class HungryBackend(FakeBackend):
    """Has memory for batches of 16 and no more."""

    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        if self.recipe.batch_size > 16:
            raise MemoryError("unable to allocate 3 GiB")
        return super().train_epoch(epoch)


class TunedBackend(FakeBackend):
    """Says which tuning it was asked for."""

    def settings(self) -> dict[str, str]:
        return {"asked for": self.runtime.tuning}


class ShufflingBackend(FakeBackend):
    """Trains on the batches of an epoch in an order of its own."""

    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        return super().train_epoch([epoch[step] for step in reversed(range(len(epoch)))])


class ProbingBackend(FakeBackend):
    """Looks at the first batches before it trains, and says how it computes."""

    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        assert len(epoch[0]) >= len(epoch[len(epoch) - 1])
        return super().train_epoch(epoch)

    def settings(self) -> dict[str, str]:
        return {"layout": "flat"}


class GatheringBackend(FakeBackend):
    """Gathers the batches itself, by their rows."""

    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        assert isinstance(epoch, Epoch)
        batches = [Batch(epoch.images[rows], epoch.labels[rows]) for rows in epoch.indices]
        return super().train_epoch(batches)


class ForgetfulBackend(FakeBackend):
    """Leaves the initial weights that it is given lying about."""

    def __init__(
        self, network: Network, recipe: Recipe, runtime: Runtime, weights: Weights | None
    ) -> None:
        super().__init__(network, recipe, runtime, initial(network, runtime.seed + 1))


class OrphaningBackend(FakeBackend):
    """Starts a helper process that outlives the worker unless its group is killed."""

    def stage(self, images: np.ndarray, labels: np.ndarray) -> None:
        import subprocess
        import sys

        helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print(f"helper {helper.pid}", flush=True)
        raise RuntimeError(f"helper {helper.pid}")


class DaemonBackend(FakeBackend):
    """Leaves a daemon behind: forked twice, in a session of its own."""

    def stage(self, images: np.ndarray, labels: np.ndarray) -> None:
        if not os.fork():
            os.setsid()
            if not os.fork():
                time.sleep(600)
            os._exit(0)
        os.wait()

    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        time.sleep(0.05)  # so that there is time to be killed in
        return super().train_epoch(epoch)


class NumberedBackend(FakeBackend):
    """Names its device by a number, which the column has no place for."""

    def device_name(self) -> str:
        return 5  # type: ignore[return-value]


class CpuOnlyBackend(FakeBackend):
    """A CPU build of a framework."""

    def build(self, *, draw: bool) -> None:
        if self.runtime.device != "cpu":
            raise SpecificationError("this build has no CUDA")
        super().build(draw=draw)


class SlowBackend(FakeBackend):
    """A quarter of a second an epoch, so that there is time to kill the harness."""

    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        time.sleep(0.25)
        return super().train_epoch(epoch)


class StillBackend(FakeBackend):
    """Takes any network, leaves its weights alone, and answers by the labels it has seen."""

    def build(self, *, draw: bool) -> None:
        super().build(draw=draw)
        self.seen = np.ones(self.network.classes)

    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        for batch in epoch:
            self.seen += np.bincount(batch.labels, minlength=len(self.seen))
        shares = self.seen / self.seen.sum()
        return EpochResult(float(-(shares * np.log(shares)).sum()), float(shares.max()))

    def predict(self, images: np.ndarray) -> np.ndarray:
        bright = images.reshape(len(images), -1).mean(axis=1, keepdims=True) / 255
        return np.log(self.seen)[None] + bright * np.linspace(-1, 1, len(self.seen))


def reference() -> Framework:
    """The NumPy reference as a framework: it passes every check in float64, by construction."""
    target = "frameworks.numpy.backend:NumpyReference"
    return Framework("fake-reference", target, {"numpy": "numpy"}, "keras")


def _fake(name: str, target: str, package: str = "numpy") -> Framework:
    return Framework(name, f"tests.helpers.fake_backend:{target}", {package: package}, "keras")


class Fakes:
    """What the entry points refer to."""

    works = _fake("fake", "FakeBackend")
    sleeps = _fake("fake-sleeps", "SleepingBackend")
    raises = _fake("fake-raises", "RaisingBackend")
    diverges = _fake("fake-diverges", "DivergingBackend")
    killed = _fake("fake-killed", "KilledBackend")
    greedy = _fake("fake-greedy", "GreedyBackend")
    hungry = _fake("fake-hungry", "HungryBackend")
    tuned = Framework(
        "fake-tuned",
        "tests.helpers.fake_backend:TunedBackend",
        {"numpy": "numpy"},
        "keras",
        tuned="tests.helpers.fake_backend:TunedBackend",
    )
    shuffles = _fake("fake-shuffles", "ShufflingBackend")
    probes = _fake("fake-probes", "ProbingBackend")
    gathers = _fake("fake-gathers", "GatheringBackend")
    forgetful = _fake("fake-forgetful", "ForgetfulBackend")
    orphans = _fake("fake-orphans", "OrphaningBackend")
    still = _fake("fake-still", "StillBackend")
    slow = _fake("fake-slow", "SlowBackend")
    daemon = _fake("fake-daemon", "DaemonBackend")
    numbered = _fake("fake-numbered", "NumberedBackend")
    cpu_only = _fake("fake-cpu-only", "CpuOnlyBackend")
    oracle = reference()
    absent = _fake("fake-absent", "FakeBackend", "no_such_package_anywhere")


def install(
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    others: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Make the fakes, and other entry points by name, known here and to every process started from
    here, until the test ends."""
    distribution = directory / "fake_frameworks-0.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: fake-frameworks\nVersion: 0\n"
    )
    lines = [
        f"{fake.name} = tests.helpers.fake_backend:Fakes.{attribute}"
        for attribute, fake in vars(Fakes).items()
        if isinstance(fake, Framework)
    ]
    lines += [f"{name} = {target}" for name, target in others.items()]
    group = f"[{backend.ENTRY_POINTS}]\n"
    (distribution / "entry_points.txt").write_text(group + "\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(str(directory))
    monkeypatch.setenv("PYTHONPATH", str(directory))


def _pixels(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1) / 255


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def working_directory(
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    images: np.ndarray,
    labels: np.ndarray,
    others: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """Go to a directory with `galaxies.h5` and `linear.toml`, the fakes registered, no GPU, and
    temporary files in a `scratch` of its own."""
    install(directory, monkeypatch, others)
    (directory / "linear.toml").write_text(ARCHITECTURE)
    with h5py.File(directory / "galaxies.h5", "w") as file:
        file["images"], file["ans"] = images, labels.astype(np.uint8)
    scratch = directory / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.chdir(directory)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return directory


def command(*options: str, frameworks: tuple[str, ...] = ("fake",)) -> list[str]:
    """Options of the main command for the galaxies and the network of `working_directory`."""
    usual = ["--dataset", "galaxies.h5", "--architectures", "linear.toml", "--batch-size", "16"]
    usual += ["--epochs", "2", "--threads", "1", "--no-report"]
    return [*usual, "--frameworks", *frameworks, *options]
