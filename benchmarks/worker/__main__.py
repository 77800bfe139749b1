"""One run, inside a process of its own: phases, epochs, clock.

Started by `launch` with the environment set; the framework is imported here and nowhere else. What
is found out goes to the parent at once, so that a run that is killed leaves what it had.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.config.artifacts import Keeping
from benchmarks.config.runconfig import RunConfig
from benchmarks.data.loader import Feed, Part
from benchmarks.data.staging import load_staged
from benchmarks.models import saved
from benchmarks.process.channel import PREDICTIONS_FILE, Channel
from benchmarks.process.failures import DivergedError, classify
from benchmarks.process.slowdown import injected
from benchmarks.system import machine, nvml
from benchmarks.worker.evaluate import test
from benchmarks.worker.predictions import contradictions
from benchmarks.worker.replay import too_dear
from benchmarks.worker.resume import CheckpointError, Resume
from benchmarks.worker.selfcheck import PHASE, SelfCheckError, self_check
from benchmarks.worker.timer import Clock
from benchmarks.worker.trainer import Training
from frameworks.backend import Backend, framework
from frameworks.memory import process_peak_memory
from frameworks.spec import given_weights, rounds
from frameworks.spec import weights as canonical
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import Recipe
from results.words import count

_TRACED = 4  # steps that are traced, to see what replicas spend in sums over all of them


def main(arguments: list[str]) -> None:
    """`config.json keeping.json data-directory output-directory`: run, tell, leave."""
    config_file, keeping_file, data_directory, output_directory = arguments
    channel = Channel()
    clock = Clock(channel)
    status, reason = "ok", None
    killed_before = machine.killed_for_memory()
    try:
        config = msgspec.json.decode(Path(config_file).read_bytes(), type=RunConfig)
        keeping = msgspec.json.decode(Path(keeping_file).read_bytes(), type=Keeping)
        channel.send("facts", values={"versions": machine.versions()})
        run(config, Path(data_directory), Path(output_directory), clock, keeping)
    except DivergedError as error:
        status, reason = "diverged", str(error)
    except (CheckpointError, SelfCheckError) as error:
        status, reason = "error", str(error)
    except BrokenPipeError:
        os._exit(1)
    except (Exception, SystemExit) as error:  # whatever a framework raises is this run's reason
        traceback.print_exc()
        killed = machine.killed_for_memory() > killed_before
        status, reason = classify(error, clock.phase, killed_for_memory=killed)
    channel.send("facts", values=clock.facts())
    channel.send("end", status=status, reason=reason)
    sys.stdout.flush()
    sys.stderr.flush()
    # Frameworks' threads and device contexts can hang or crash on the way out; all is told already.
    os._exit(0)


def run(
    config: RunConfig,
    data_directory: Path,
    output_directory: Path,
    clock: Clock,
    keeping: Keeping,
) -> None:
    """Train and test; what is found goes to the clock's channel as it is found.

    Raises:
        DivergedError: a loss is not finite; epochs up to that one have been sent.
        CheckpointError: the run is to go on from a checkpoint that is another run's.
        SelfCheckError: its results contradict each other.
    """
    channel = clock.channel
    resume = Resume(config, keeping)
    data = load_staged(data_directory, config.data)
    network = config.network()
    with clock.measure("import"):
        backend_class = framework(config.framework).backend(config.tuning, config.replicas)
    initial = None
    filled: canonical.Weights = {}
    if config.initial_weights:
        filled = given(config, network, keeping.initial_weights)
    if config.parity == "matched":
        drawn = canonical.initial(network, config.seed) | filled
        initial = canonical.nudged(network, drawn, config.nudge_draw)
    each = rounds.of(config.recipe)
    whole = replace(network, frozen=frozenset())  # what is frozen is each round's
    with clock.measure("build"):
        backend = backend_class(whole, each[0], config.runtime(), initial)
        if filled and initial is None:  # over those that the framework drew
            initial = backend.get_weights() | filled
            backend.set_weights(initial)
        backend.synchronize()

    def make_ready(made: Backend) -> None:
        if not config.recipe.epochs:
            return
        with clock.measure("stage", made):
            example = feed.example()
            if isinstance(example.images, np.ndarray):  # a view is streamed
                made.stage(example.images, example.labels)
        with clock.measure("compile", made):
            made.compile(example)

    def rebuild(recipe: Recipe, weights: canonical.Weights) -> Backend:
        with clock.measure("build"):
            made = backend_class(whole, recipe, config.runtime(), weights)
        make_ready(made)
        return made

    feed = Feed(config, network, data)
    channel.send("facts", values=_initial_facts(backend, network, initial) | feed.facts())
    make_ready(backend)
    extra: dict[str, Any] = {"settings": backend.settings()}
    if share := injected():
        extra["injected_slowdown"] = share
    channel.send("facts", values={"extra": extra})

    # the counters of a run that was broken off are not those of all its epochs
    resumed = resume.state is not None
    meter = nvml.Meter() if config.device == "cuda" and not resumed else None
    recipe = config.recipe
    validation = Part(data, data.split.validation, recipe.batch_size, recipe.loss)
    training = Training(
        config, backend, feed, validation, clock, meter, resume.after_epoch, rebuild=rebuild
    )
    del backend  # the training's: a later round has another
    resume.restore(training)
    training.run()
    backend = training.backend
    channel.send("facts", values=training.facts())
    waited = backend.host_wait_seconds
    if feed.by_epoch or (waited is None and feed.drawing is not None):
        waited = (waited or 0) + training.drawn_wait_seconds
    if waited is not None and not resumed:  # of all epochs
        channel.send("facts", values={"extra": {"host_wait_seconds": waited}})
    tested = None
    stored: Iterable[str] = ()
    if len(data.split.test):
        file = output_directory / PREDICTIONS_FILE
        tested, score = test(backend, data, file, clock)
        stored = contradictions(file, data, recipe.loss, tested, score.accuracy)
    peak, kind = backend.peak_memory()
    memory = {"peak_memory_bytes": peak, "peak_memory_kind": kind}
    memory["process_peak_memory_bytes"] = process_peak_memory()[0]
    channel.send("facts", values=memory)
    if keeping.agreement is not None:
        few = None
        if training.steps:
            group = backend.recipe.accumulation
            if dear := too_dear(clock.seconds["train"], training.steps, group):
                channel.send("facts", values={"extra": {"self_check": dear}})
            else:
                few = feed.few(group)
        self_check(backend, data, tested, keeping.agreement, clock, training.steps, few, stored)
    if keeping.model:
        told = saved.save(backend, config, keeping, training.epochs())
        channel.send("facts", values={"extra": told})
    if config.replicas > 1 and recipe.epochs:  # at the end: it trains on
        first = feed.example()
        few = replace(first, indices=first.indices[:_TRACED])
        with clock.measure(PHASE, backend):
            backend.train_epoch(few)  # so few steps may be a program of their own, to be compiled
            summing = backend.communication_share(few)
        channel.send("facts", values={"communication_share": summing})


def given(config: RunConfig, network: Network, path: str) -> canonical.Weights:
    """The weights that a file fills.

    Raises:
        SpecificationError: it is not the file that was planned with.
    """
    found = given_weights.read(Path(path))
    if found.sha256 != config.initial_weights:
        raise SpecificationError(f"initial_weights: {path} was changed since the run was planned.")
    return given_weights.fill(found, network).weights


def _initial_facts(
    backend: Backend, network: Network, initial: canonical.Weights | None
) -> dict[str, Any]:
    """Facts of the network as built; that it is the one asked for is checked, not believed.

    Raises:
        RuntimeError: the framework's network is not the architecture, or has other weights.
    """
    if backend.parameters() != network.parameters():
        raise RuntimeError(
            f"the framework built {count(backend.parameters(), 'parameter')}, "
            f"the architecture has {network.parameters():,}"
        )
    built = {key: array.astype(np.float32) for key, array in backend.get_weights().items()}
    for key in initial or {}:
        if not np.array_equal(built[key], initial[key].astype(np.float32)):  # type: ignore[index]
            raise RuntimeError(f"the initial weights did not arrive: {key} differs")
    return {
        "parameters": backend.parameters(),
        "device_name": backend.device_name(),
        "weights_hash": canonical.sha256(built),
    }


if __name__ == "__main__":
    main(sys.argv[1:])
