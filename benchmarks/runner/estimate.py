"""Estimates of how long runs take, from earlier runs of this machine, else from a stated guess."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cache
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.config.plan import PlannedRun
from benchmarks.config.runconfig import RunConfig
from benchmarks.runner.calibrate import Calibration, calibrated
from benchmarks.system.machine import usable_cpus
from frameworks.backend import Runtime, without_version
from results.schema import RUN_COLUMNS

if TYPE_CHECKING:
    from results.store import Store

# Guesses for a machine that has not run anything yet, of the order that small CNNs reach.
ASSUMED_FLOPS_PER_THREAD = 30e9
ASSUMED_FLOPS_GPU = 3e12
ASSUMED_START_SECONDS = 12.0  # import, build, compile

# What a framework makes of a machine, measured with one thread on the machine whose loop takes
# _LOOP_SECONDS: seconds from start to the first epoch, seconds of a step besides its operations,
# and its share of the matrix product's speed.
_LOOP_SECONDS = 0.050
_USUAL_FRAMEWORK = (10.0, 0.003, 0.3)
_FRAMEWORKS = {
    "keras": (14.0, 0.004, 0.45),
    "torch": (6.0, 0.002, 0.45),
    "jax": (9.0, 0.002, 0.20),
    "keras@torch": (12.0, 0.008, 0.40),
    "keras@jax": (14.0, 0.004, 0.20),
}

# When no time limit is asked for: far beyond any honest run, so that a hang does not last for ever.
LEAST_LIMIT_SECONDS = 1800.0
LIMIT_FACTOR = 20.0

# What the rate of a framework's work is kept by: all that it is told of how to compute, as far as
# `runs` has a column for it. Unlike tasks are taken together on purpose.
_KNOWN = {column.name for column in RUN_COLUMNS} - {"seed"}
_RATE_BY = ("framework", *(one.name for one in fields(Runtime) if one.name in _KNOWN))
_HISTORY_COLUMNS = (
    *("cell_id", "machine_id", "status", *_RATE_BY),
    *("wall_seconds", "train_seconds", "evaluate_seconds", "achieved_flops"),
)


@dataclass(frozen=True)
class Estimate:
    """Seconds of a run, and what they rest on."""

    seconds: float
    basis: str


@dataclass
class Estimator:
    """Knows how long runs took; `observe` teaches it another.

    walls: seconds of whole runs, by cell. work: (operations, seconds) of their training and
    evaluation, by `_RATE_BY`; starts: the seconds of all else. machine: what is asked for where
    nothing like a run is known; None leaves the assumptions.
    """

    walls: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    work: dict[tuple, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    starts: dict[tuple, list[float]] = field(default_factory=lambda: defaultdict(list))
    machine: Callable[[], Calibration] | None = None

    @classmethod
    def from_store(cls, store: Store, machine_id: str) -> Estimator:
        """One that knows the finished runs of this machine."""
        estimator = cls(machine=cache(lambda: calibrated(machine_id)))
        runs = store.runs(columns=_HISTORY_COLUMNS)
        runs = runs[(runs["status"] == "ok") & (runs["machine_id"] == machine_id)]
        for row in runs.to_dict("records"):
            key = tuple(row[name] for name in _RATE_BY)
            if row["wall_seconds"] > 0:
                estimator.walls[row["cell_id"]].append(row["wall_seconds"])
            if row["achieved_flops"] > 0 and row["train_seconds"] > 0:
                done = row["achieved_flops"] * row["train_seconds"]
                estimator.work[key].append((done, row["train_seconds"]))
                computing = row["train_seconds"] + row["evaluate_seconds"]
                if row["wall_seconds"] > computing:
                    estimator.starts[key].append(row["wall_seconds"] - computing)
        return estimator

    def observe(
        self, run: PlannedRun, wall_seconds: float, computing: float, epochs: int | None = None
    ) -> None:
        """Learn from a run that ended well.

        computing: of its wall time the seconds of training and evaluation. epochs: how many it
        trained, where it stopped early.
        """
        key = rate_key(run.config)
        self.walls[run.cell_id].append(wall_seconds)
        if 0 < computing <= wall_seconds:
            self.work[key].append((run.flops_of(epochs), computing))
            self.starts[key].append(wall_seconds - computing)

    def estimate(self, run: PlannedRun) -> Estimate:
        """Seconds of one run, from the most telling runs that there are.

        The rate is that of all earlier work together: a run of a few images says little of others.
        """
        if walls := self.walls.get(run.cell_id):
            return Estimate(median(walls), f"{len(walls)} earlier of the same")
        key = rate_key(run.config)
        if key not in self.work and self.machine is not None and run.config.device == "cpu":
            return _by_the_machine(run, self.machine())
        start = median(self.starts.get(key) or [ASSUMED_START_SECONDS])
        if work := self.work.get(key):
            rate = sum(done for done, _ in work) / sum(seconds for _, seconds in work)
            basis = f"{run.config.framework} made {rate / 1e9:.2g}"
        else:
            rate = assumed_flops(run.config)
            basis = f"assumed {rate / 1e9:.0f}"
        return Estimate(
            start + run.flops / rate,
            f"{basis} GFLOP/s, {start:.0f} s to start"
            + (", unless it stops early" if run.config.recipe.early_stopping else ""),
        )

    def time_limit(self, run: PlannedRun) -> float:
        """Seconds after which a run is taken to hang, where the user has set no limit."""
        return max(LEAST_LIMIT_SECONDS, LIMIT_FACTOR * self.estimate(run).seconds)


def assumed_flops(config: RunConfig) -> float:
    """Operations per second guessed for a machine without history."""
    if config.device == "cuda":
        return ASSUMED_FLOPS_GPU
    share = 0.5 if config.precision == "float64" else 1.0
    return ASSUMED_FLOPS_PER_THREAD * config.threads * share


def _by_the_machine(run: PlannedRun, machine: Calibration) -> Estimate:
    """Estimate by this machine's short product, for a run that resembles none timed here."""
    config = run.config
    start, step, share = _FRAMEWORKS.get(without_version(config.framework), _USUAL_FRAMEWORK)
    slower = machine.loop_seconds / _LOOP_SECONDS
    cpus = max(1, len(usable_cpus()))
    rate = machine.flops * min(1.0, config.threads / cpus) * share
    rate *= 0.5 if config.precision == "float64" else 1.0
    seconds = slower * (start + step * run.steps) + run.flops / rate
    return Estimate(
        seconds,
        f"a matrix product here: {machine.flops / 1e9:.0f} GFLOP/s"
        + (", unless it stops early" if config.recipe.early_stopping else ""),
    )


def rate_key(config: RunConfig) -> tuple:
    """Key of a configuration: runs that share it are equally fast."""
    return tuple(getattr(config, name) for name in _RATE_BY)
