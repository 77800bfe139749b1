"""One run, inside a process of its own: phases, epochs, clock.

Started by `launch` with the environment set; the framework is imported here and nowhere else. What
is found out goes to the parent at once, so that a run that is killed leaves what it had.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks import machine, nvml, scoring
from benchmarks.channel import PREDICTIONS_FILE, Channel, die_with_parent
from benchmarks.failures import classify
from benchmarks.plan import RunConfig
from benchmarks.slowdown import injected, slow_down
from benchmarks.staging import StagedData, load_staged
from datasets.batches import Epoch, MaskSpec, epoch_order, order_sha256, split_into_batches
from frameworks import weights as canonical
from frameworks.backend import Backend, framework, process_peak_memory
from frameworks.network import Network


class DivergedError(Exception):
    """The loss is no longer finite."""


@dataclass
class Clock:
    """Seconds of each phase, and the phase that is under way."""

    channel: Channel
    seconds: dict[str, float] = field(default_factory=dict)
    phase: str = "start"

    @contextlib.contextmanager
    def measure(self, phase: str, backend: Backend | None = None) -> Iterator[None]:
        """Add to a phase the time of a block, with the device idle at both edges."""
        if phase != self.phase:
            self.channel.send("phase", name=phase)
            self.phase = phase
        if backend is not None:
            backend.synchronize()
        start = time.perf_counter_ns()
        yield
        if backend is not None:
            backend.synchronize()
        elapsed = (time.perf_counter_ns() - start) / 1e9
        self.seconds[phase] = self.seconds.get(phase, 0.0) + elapsed

    def facts(self) -> dict[str, float]:
        """The phases as columns: `import_seconds`, ..."""
        return {f"{phase}_seconds": seconds for phase, seconds in self.seconds.items()}


def main(arguments: list[str]) -> None:
    """`config.json data-directory output-directory pipe parent`: run, report, leave."""
    config_file, data_directory, output_directory, descriptor, parent = arguments
    die_with_parent(int(parent))
    if hasattr(faulthandler, "register"):  # the parent asks for it before it kills a hung worker
        faulthandler.register(signal.SIGUSR1, all_threads=True)
    channel = Channel(int(descriptor))
    clock = Clock(channel)
    status, reason = "ok", None
    try:
        config = msgspec.json.decode(Path(config_file).read_bytes(), type=RunConfig)
        channel.send("facts", values={"versions": machine.versions()})
        run(config, Path(data_directory), Path(output_directory), clock)
    except DivergedError as error:
        status, reason = "diverged", str(error)
    except BrokenPipeError:
        os._exit(1)
    except (Exception, SystemExit) as error:  # whatever a framework raises is this run's reason
        traceback.print_exc()
        status, reason = classify(error, clock.phase)
    channel.send("facts", values=clock.facts())
    channel.send("end", status=status, reason=reason)
    sys.stdout.flush()
    sys.stderr.flush()
    # Frameworks' threads and device contexts can hang or crash on the way out; all is told already.
    os._exit(0)


def run(config: RunConfig, data_directory: Path, output_directory: Path, clock: Clock) -> None:
    """Train and test; what is found goes to the clock's channel as it is found.

    Raises:
        DivergedError: a loss is not finite; epochs up to that one have been sent.
    """
    channel = clock.channel
    data = load_staged(data_directory)
    network = config.network()
    with clock.measure("import"):
        backend_class = framework(config.framework).backend(config.tuning)
    initial = None
    if config.parity == "matched":
        drawn = canonical.initial(network, config.seed)
        initial = canonical.nudged(network, drawn, config.nudge)
    with clock.measure("build"):
        backend = backend_class(network, config.recipe, config.runtime(), initial)
        backend.synchronize()
    with clock.measure("stage", backend):
        backend.stage(data.images, data.labels)
    feed = Feed(config, network, data)
    channel.send("facts", values=_initial_facts(backend, network, initial) | feed.facts())
    if config.recipe.epochs:
        with clock.measure("compile", backend):
            backend.compile(feed.epoch(1))
    settings: dict[str, str] = getattr(backend, "settings", dict)()
    extra: dict[str, Any] = {"settings": settings}
    if share := injected():
        extra["injected_slowdown"] = share
    channel.send("facts", values={"extra": extra})

    meter = nvml.Meter() if config.device == "cuda" else None
    _epochs(config, backend, feed, _Part(data, data.split.validation), clock, meter)
    waiting: float | None = getattr(backend, "waiting_seconds", None)
    if waiting is not None:  # tuned backends count what the device waited for data
        channel.send("facts", values={"extra": {"waiting_seconds": waiting}})
    if len(data.split.test):
        _test(backend, data, output_directory / PREDICTIONS_FILE, clock)
    peak, kind = backend.peak_memory()
    memory = {"peak_memory_bytes": peak, "peak_memory_kind": kind}
    memory["process_peak_memory_bytes"] = process_peak_memory()[0]
    channel.send("facts", values=memory)


@dataclass
class Feed:
    """The epochs of a run: batch order, and masks where the harness draws them."""

    config: RunConfig
    network: Network
    data: StagedData

    def __post_init__(self) -> None:
        matched = self.config.parity == "matched"
        self.masks = (
            MaskSpec(self.network.dropout_shapes, self.network.dropout_rates, self.config.seed)
            if matched and self.network.dropout_shapes
            else None
        )

    def batches(self, number: int) -> list[np.ndarray]:
        """Rows of each batch of an epoch (from 1)."""
        recipe = self.config.recipe
        order = epoch_order(self.data.split.train, self.config.seed, number)
        return split_into_batches(
            order, recipe.batch_size, keep_partial=recipe.partial_batch == "keep"
        )

    def epoch(self, number: int) -> Epoch:
        """The batches of an epoch (from 1)."""
        images, labels = self.data.images, self.data.labels
        return Epoch(images, labels, self.batches(number), number, self.masks)

    def facts(self) -> dict[str, Any]:
        """Hashes of split, of the order of every epoch, and of the masks of the first step."""
        numbers = range(1, self.config.recipe.epochs + 1)
        facts: dict[str, Any] = {
            "split_hash": self.data.split.sha256(),
            "order_hash": order_sha256([self.batches(number) for number in numbers]),
        }
        if self.masks is not None:
            first = len(self.batches(1)[0])
            facts["masks_hash"] = canonical.sha256(self.masks.draw(first, 1, 0))
        return facts


class _Part:
    """Images and labels of the validation or test set, gathered once; may have none."""

    def __init__(self, data: StagedData, rows: np.ndarray) -> None:
        self.images = data.images[rows]
        self.labels = data.labels[rows]

    def __len__(self) -> int:
        return len(self.labels)


def _initial_facts(
    backend: Backend, network: Network, initial: canonical.Weights | None
) -> dict[str, Any]:
    """Facts of the network as built; that it is the one asked for is checked, not believed.

    Raises:
        RuntimeError: the framework's network is not the architecture, or has other weights.
    """
    if backend.parameters() != network.parameters():
        raise RuntimeError(
            f"the framework built {backend.parameters():,} parameters, "
            f"the architecture has {network.parameters():,}"
        )
    built = {key: array.astype(np.float32) for key, array in backend.get_weights().items()}
    for key in initial or {}:
        if not np.array_equal(built[key], initial[key]):  # type: ignore[index]
            raise RuntimeError(f"the initial weights did not arrive: {key} differs")
    return {
        "parameters": backend.parameters(),
        "device_name": backend.device_name(),
        "weights_hash": canonical.sha256(built),
    }


def _epochs(
    config: RunConfig,
    backend: Backend,
    feed: Feed,
    validation: _Part,
    clock: Clock,
    meter: nvml.Meter | None,
) -> None:
    """Validate, then train and validate each epoch, sending every epoch's rows.

    The GPU's counters are read outside the timed windows, with the device idle.
    """
    learning_rate = config.recipe.optimizer.learning_rate
    gpu = nvml.Training(meter)

    def validated(number: int) -> list[dict[str, Any]]:
        if not len(validation):
            return []
        _, score = _evaluate(backend, validation, clock)
        row = {
            "epoch": number,
            "split": "validation",
            "loss": score.loss,
            "cross_entropy": score.cross_entropy,
            "accuracy": score.accuracy,
            "learning_rate": learning_rate,
        }
        return [row]

    def tell(rows: list[dict[str, Any]]) -> None:
        clock.channel.send("epoch", rows=rows)
        for row in rows:
            _stop_if_diverged(row)

    tell(validated(0))
    gc.collect()
    gc.freeze()  # what importing and compiling left is for good: not to be gone through every epoch
    for number in range(1, config.recipe.epochs + 1):
        epoch = feed.epoch(number)
        gc.collect()  # so that no earlier phase's garbage is collected on this epoch's time
        before = clock.seconds.get("train", 0.0)
        backend.synchronize()
        with gpu.counted(), clock.measure("train", backend):
            start = time.perf_counter()
            result = backend.train_epoch(epoch)
            slow_down(time.perf_counter() - start)
        _check_order(epoch)
        trained = {
            "epoch": number,
            "split": "train",
            "loss": float(result.loss),
            "accuracy": float(result.accuracy),
            "epoch_seconds": clock.seconds["train"] - before,
            "learning_rate": learning_rate,
        }
        tell([trained, *validated(number)])
    if facts := gpu.facts():
        clock.channel.send("facts", values=facts)


def _check_order(epoch: Epoch) -> None:
    """That the framework asked for every batch of the epoch in order: `order_hash` is the plan.

    What it looked at before (Keras probes the first batches) was not trained on. A backend that
    gathers by `epoch.indices` itself asks for none, and is taken at its word.

    Raises:
        RuntimeError: it asked for others, or in another order.
    """
    steps = list(range(len(epoch)))
    if epoch.served and epoch.served[-len(steps) :] != steps:
        raise RuntimeError(
            f"batches were served in another order: of the {len(steps)} of epoch {epoch.number}, "
            f"the last asked for were {epoch.served[-len(steps) :][:8]}..."
        )


def _test(backend: Backend, data: StagedData, predictions: Path, clock: Clock) -> None:
    """Test with the weights as they are, send the scores and write the predictions."""
    test = _Part(data, data.split.test)
    logits, score = _evaluate(backend, test, clock)
    if not math.isfinite(score.loss):
        raise DivergedError(f"the test loss is {score.loss}")
    np.savez(
        predictions,
        index=data.split.test,
        label=test.labels,
        predicted=logits.argmax(axis=1),
        probabilities=np.exp(scoring.log_softmax(logits)).astype(np.float32),
    )
    clock.channel.send(
        "facts",
        values={
            "test_accuracy": score.accuracy,
            "test_loss": score.loss,
            "test_cross_entropy": score.cross_entropy,
        },
    )


def _evaluate(backend: Backend, part: _Part, clock: Clock) -> tuple[np.ndarray, scoring.Score]:
    """Logits and score of a part of the data; only the prediction is timed."""
    with clock.measure("evaluate", backend):
        logits = backend.predict(part.images)
    network = backend.network
    l2 = scoring.l2_terms(network, backend.get_weights()) if scoring.has_l2(network) else 0.0
    return logits, scoring.score(logits, part.labels, l2)


def _stop_if_diverged(row: dict[str, Any]) -> None:
    if not math.isfinite(row["loss"]):
        name = "training" if row["split"] == "train" else "validation"
        raise DivergedError(f"the {name} loss is {row['loss']} in epoch {row['epoch']}")


if __name__ == "__main__":
    main(sys.argv[1:])
