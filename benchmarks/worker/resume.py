"""Keeping a run's state as it trains, and going on from it so that nothing of the result changes.

What follows from the seed (order, masks, augmentation) is not kept: it is drawn again.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from benchmarks.config.artifacts import Keeping
from benchmarks.config.runconfig import RunConfig, identity
from benchmarks.system import machine
from benchmarks.worker.checkpoint import Checkpoints, State
from benchmarks.worker.selfcheck import arrived
from frameworks.backend import framework
from results.task import flat

if TYPE_CHECKING:
    from benchmarks.worker.trainer import Training

_SUMS = ("train", "evaluate")  # phases whose seconds are of all epochs, whoever trained them
_FIELDS_NAMED = 6


class CheckpointError(ValueError):
    """A checkpoint that this run cannot go on from; the message names what differs."""


class Resume:
    """The checkpoints of the run under way.

    state: what the run goes on from, None at its beginning.
    """

    def __init__(self, config: RunConfig, keeping: Keeping) -> None:
        """Look for a checkpoint to go on from; without `keeping.resume` remove what there is.

        Raises:
            CheckpointError: it is of another configuration, version or machine.
        """
        self.config, self.keeping = config, keeping
        self.state: State | None = None
        self._checkpoints = Checkpoints(Path(keeping.checkpoints)) if keeping.checkpoints else None
        self._extra: dict[str, Any] = {}
        self._failures: dict[str, str] = {}
        self._broken_off: list[int] = []  # the epochs that it went on from so far
        self._last = time.monotonic()
        self._writing = 0.0
        if self._checkpoints is None:
            return
        if not keeping.resume:
            self._checkpoints.remove()
            return
        self.state, damage = self._checkpoints.read()
        if self.state is not None:
            self._check(self.state)
        if damage:
            instead = "it starts anew"
            if self.state is not None:
                instead = (
                    f"it goes on from the previous one, after epoch {self.state.facts['done']}"
                )
            self._extra["checkpoint_damage"] = [*damage, instead]

    def restore(self, training: Training) -> None:
        """Put a training that has not begun, with its backend compiled, where the state was."""
        if self.state is not None:
            facts = self.state.facts
            self._broken_off = [*facts["broken_off"], facts["done"]]
            self._extra["resumed_from_epoch"] = facts["done"]
            self._extra["broken_off"] = len(self._broken_off)
            self._extra["seconds_before_resuming"] = sum(facts["seconds"].values())
        if self._extra:
            training.clock.channel.send("facts", values={"extra": self._extra})
        if self.state is not None:
            self._restore(self.state, training)
        self.state = None  # not to be held in memory while it trains
        self._last = time.monotonic()

    def after_epoch(self, training: Training) -> None:
        """Write a checkpoint when it is time for one; there is none after the last epoch.

        A disk that is full is told in `extra` and stops no training.
        """
        waited = time.monotonic() - self._last
        if self._checkpoints is None or training.over or waited < self.keeping.checkpoint_every:
            return
        start = time.monotonic()
        self._write(self._taken(training))
        self._last = time.monotonic()
        self._writing += self._last - start
        told = {"checkpoint_seconds": self._writing, **self._failures}
        training.clock.channel.send("facts", values={"extra": told})

    # ---- inside

    def _taken(self, training: Training) -> State:
        """Everything that going on from here takes."""
        backend = training.backend
        groups: dict[str, Mapping[str, np.ndarray]] = {
            "weights": backend.get_weights(),
            "optimizer": backend.get_optimizer_state(),
            "random": backend.get_random_state(),
            "best": training.best_weights or {},
        }
        arrays = {
            f"{group}/{name}": array
            for group, members in groups.items()
            for name, array in members.items()
        }
        seconds = training.clock.seconds
        facts = {
            **self._identity(),
            "done": training.done,
            "round": training.round,
            "began": training.began,
            "control": training.control.state(),
            "rows": training.rows,
            "seconds": {phase: seconds[phase] for phase in _SUMS if phase in seconds},
            "broken_off": self._broken_off,
        }
        return State(arrays, facts)

    def _restore(self, state: State, training: Training) -> None:
        facts = state.facts
        if number := facts.get("round", 0):  # none in a checkpoint from before there were rounds
            training.enter(number, facts["began"], state.group("weights"))
        backend = training.backend
        backend.set_weights(state.group("weights"))
        backend.set_optimizer_state(state.group("optimizer"))
        backend.set_random_state(state.group("random"))
        arrived(state.group("weights"), backend.get_weights(), "checkpoint's weights")
        held = backend.get_optimizer_state()
        arrived(state.group("optimizer"), held, "checkpoint's optimizer state", rounded=True)
        arrived(state.group("random"), backend.get_random_state(), "checkpoint's random state")
        backend.synchronize()
        training.resume(facts["done"], facts["rows"], facts["control"], state.group("best") or None)
        for phase, seconds in facts["seconds"].items():
            training.clock.seconds[phase] = training.clock.seconds.get(phase, 0.0) + seconds
        # counted at once: the run may be broken off again before its next checkpoint
        counted = dataclasses.replace(state, facts={**facts, "broken_off": self._broken_off})
        self._write(counted)

    def _write(self, state: State) -> None:
        assert self._checkpoints is not None
        try:
            self._checkpoints.write(state)
        except OSError as error:
            after = f"no checkpoint after epoch {state.facts['done']}"
            self._failures["checkpoint_error"] = f"{after}: {error.strerror or error}"

    def _identity(self) -> dict[str, Any]:
        """Identity of a run: facts that must be equal for an equal result."""
        packages = {*framework(self.config.framework).packages.values(), "jaxlib", "numpy"}
        versions = machine.versions(sorted(packages))
        versions.pop("python")  # draws and computes nothing here
        return {
            "config": msgspec.to_builtins(self.config),
            "versions": versions,
            "machine_id": self.keeping.machine_id,
        }

    def _check(self, state: State) -> None:
        here = self._identity()
        there = {name: state.facts[name] for name in here}
        stated = _fields({**here, "config": identity(self.config)})
        differ = differences(_fields(there), _fields(here), set(stated))
        if differ:
            named = "; ".join(differ[:_FIELDS_NAMED])
            more = len(differ) - _FIELDS_NAMED
            raise CheckpointError(
                f"the checkpoint in {self.keeping.checkpoints} is of another run: {named}"
                + (f"; and {more} more" if more > 0 else "")
                + ". Without --resume the run starts anew"
            )


def differences(there: Mapping[str, Any], here: Mapping[str, Any], stated: set[str]) -> list[str]:
    """The fields that differ, each with both values.

    A field that is missing there was added later: it differs unless it has its default here, that
    is, unless it is not among those `stated`.
    """
    found = []
    for name in dict.fromkeys((*here, *there)):
        if name not in there:
            if name in stated:
                found.append(f"{name} is missing there, {here[name]} here")
        elif name not in here:
            found.append(f"{name} is {there[name]} there, missing here")
        elif there[name] != here[name]:
            found.append(f"{name} is {there[name]} there, {here[name]} here")
    return found


def _fields(of: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration's fields by name, and `versions.torch`, `machine_id`."""
    rest = {name: value for name, value in of.items() if name != "config"}
    return flat({**of["config"], **rest})
