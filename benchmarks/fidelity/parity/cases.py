"""Questions to a configuration before its speed is measured, as cases of `benchmarks.fidelity`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from benchmarks.config.runconfig import RunConfig
from benchmarks.fidelity.cases.case import Case, Material
from benchmarks.fidelity.cases.ladder import (
    HALF_SCALE,
    STEADY_EPSILON,
    smallest_input,
    steady_epsilon,
    with_epsilon,
)
from benchmarks.fidelity.measure.collect import Trace
from benchmarks.fidelity.rungs import errors
from benchmarks.fidelity.rungs.bounds import AGREEMENT, ROUNDOFF, normalises
from benchmarks.fidelity.rungs.judge import Finding, Pair, not_run
from benchmarks.fidelity.rungs.training import running_statistics
from frameworks.spec import recipe as recipes
from frameworks.spec.recipe import Optimizer
from results.words import count

BATCH_SIZE = 8
IMAGES = 24
STEPS_IN_ONE_CALL = 3  # and a last, smaller batch
# Operations of a training step that the NumPy reference is given: UNAM's with 64 pictures of 69x69
# has 107e9 and took it 40 s on two busy cores.
ORACLE_FLOPS = 150e9
# Float32 weights over the way travelled. On pictures that nobody chose some ReLU or max-pool is on
# another side than in float64: 3e-3 for C2 on 16 pictures of 69x69, in every framework alike, where
# float64 is 8e-13 off. One step of the four left out makes a quarter.
WITH_FLIPS = 2e-2
STATISTICS = 1e-5  # float32 running statistics, which no flip reaches: rounding alone
# Below float32, in roundoffs of the operands, plain and with batch norm. A CPU's bfloat16 comes to
# 26 of them (UNAM, c1) and 90 (C2: Adam makes whole steps of small gradients), running statistics
# to 0.3. With batch norm the weights show no more than a step in another direction; it is the
# statistics that show a batch left out or another one.
ROUNDOFFS_WITH_FLIPS = (50, 150)
ROUNDOFFS_OF_STATISTICS = 2
UNSURE = 0.08  # share of the pictures that rounding of this size may class otherwise: 2 of 28
SLOWER = 2**6  # of the learning rate, where several steps are taken
_LEAST_GALAXIES = 10  # that the demo data set can be drawn with


@dataclass(frozen=True)
class Asked:
    """The questions to one configuration.

    parts: structure, every layer, loss, gradients and one step, on the smallest pictures that fit.
    epoch: on the same pictures, as they are timed: data staged, compiled, several steps and a
    smaller last batch in one call. whole: likewise a step of the run's own pictures and batch.
    """

    parts: Case
    epoch: Case
    whole: Case

    @property
    def cases(self) -> tuple[Case, Case, Case]:
        """All of them, cheapest first."""
        return self.parts, self.epoch, self.whole

    @property
    def timed(self) -> list[tuple[Case, str]]:
        """Cases computed in the calls that are timed, each with its description."""
        height, width, _ = self.whole.input_shape
        size = self.whole.recipe.batch_size
        return [
            (self.epoch, f"{STEPS_IN_ONE_CALL} steps and a smaller one in one call"),
            (self.whole, f"a step of {count(size, 'picture')} of {height}x{width}"),
        ]

    @property
    def name(self) -> str:
        """Tells apart all that is checked."""
        content = msgspec.json.encode(self.cases)
        return hashlib.sha256(content).hexdigest()[:16]


def asked(config: RunConfig) -> Asked:
    """The questions to a configuration; they do not depend on its seed, repeat or epochs.

    Adam's epsilon is as large as the ladder's: a usual one gives gradients that are rounding alone
    (biases ahead of a batch norm) whole steps of either sign.
    """
    once: dict[str, Any] = {"epochs": 1, "rounds": ()}
    once |= dict.fromkeys(("early_stopping", "reduce_on_plateau", "keep_best"))
    once["accumulation"] = 1  # a step of one batch shows what that is; the epoch has several
    if config.precision == "float16":  # the reference, in float64, would skip no step
        once["loss_scale"] = HALF_SCALE
    optimizer = with_epsilon(config.recipe.optimizer, steady_epsilon(config.precision))
    recipe = msgspec.structs.replace(
        config.recipe, optimizer=optimizer, batch_size=BATCH_SIZE, **once
    )
    size = config.recipe.batch_size
    parts = Case(
        name="",
        architecture=config.architecture,
        input_shape=smallest_input(config.architecture, config.data.image_channels),
        classes=config.data.votes or config.data.classes,
        recipe=recipe,
        precision=config.precision,
        device=config.device,
        tuning=config.tuning,
        deterministic=config.deterministic,
        threads=config.threads,
        feed=config.feed,
        images=IMAGES,
        measure=("structure", "forward", "gradients", "steps"),
        steps=1,
    )
    steady = msgspec.structs.replace(recipe, optimizer=steady_optimizer(recipe.optimizer))
    timed = {"measure": ("epoch",), "steps": 0, "replicas": config.replicas}
    grouped = msgspec.structs.replace(steady, accumulation=min(2, config.recipe.accumulation))
    epoch = msgspec.structs.replace(
        parts, recipe=grouped, images=STEPS_IN_ONE_CALL * BATCH_SIZE + BATCH_SIZE // 2, **timed
    )
    whole = msgspec.structs.replace(
        epoch,
        input_shape=config.data.input_shape,
        recipe=msgspec.structs.replace(steady, batch_size=size),
        images=max(size, _LEAST_GALAXIES),
    )
    kinds = {"parts": parts, "epoch": epoch, "whole": whole}
    return Asked(**{kind: _named(case, kind) for kind, case in kinds.items()})


def for_the_oracle(case: Case) -> Case:
    """The case as the NumPy reference computes it: the same for all that differ in how alone."""
    plain = msgspec.structs.replace(
        case, name="", precision="float64", device="cpu", tuning="idiomatic", threads=1
    )
    plain = msgspec.structs.replace(plain, deterministic=False, feed="auto", replicas=1)
    return _named(plain, "oracle")


def within_the_oracle(case: Case) -> bool:
    """True if the NumPy reference computes the case.

    It computes every float64 case, and every one that measures gradients, however large: nothing
    else can check these. Of the others it computes those of at most ORACLE_FLOPS a step.
    """
    if case.precision == "float64" or "gradients" in case.measure:
        return True
    return Material(case).network.flops(training=True) * case.recipe.batch_size <= ORACLE_FLOPS


def plain_float64(case: Case) -> Case:
    """The case for the framework's own idiomatic backend in float64, on the same device."""
    plain = msgspec.structs.replace(
        case, name="", precision="float64", tuning="idiomatic", replicas=1
    )
    return _named(plain, "float64")


def judge_timed(case: Case, trace: Trace, reference: Trace, what: str) -> list[Finding]:
    """Findings on an epoch in one call, against the reference's.

    They are on the loss, the accuracy, the weights as a share of the way travelled, and the running
    statistics.

    Args:
        what: the epoch in words; every metric's name begins with it.
    """
    pair = Pair(case, trace, reference)
    rung = "R5a" if case.precision == "float64" else "R5b"
    for one in (trace, reference):
        if one.path is None:
            return [not_run(pair, rung, f"{what}: {one.framework}: {one.reason}")]
    network = pair.material.network
    trained = [key for key in network.trainable_keys if key not in network.dead_biases]
    mine, other = (one.group("epoch_end/") for one in (trace, reference))
    limits = _limits(pair)
    travel = errors.of_travel(mine, other, pair.material.weights, trained)
    steps = len(pair.material.epoch(1))
    loss, accuracy = (
        errors.largest(trace[name], reference[name]) for name in ("epoch/loss", "epoch/accuracy")
    )
    recorded = [("epoch", steps, mine, other)]
    statistics = running_statistics(pair, rung, recorded, limits.statistics)
    return [
        pair.finding(rung, f"{what}: loss", loss, pair.bound(f"{rung} loss"), where="epoch"),
        pair.finding(rung, f"{what}: accuracy", accuracy, limits.accuracy, where="epoch"),
        pair.finding(
            rung, f"{what}: weights over the way travelled", travel, limits.weights, where="epoch"
        ),
        *(replace(one, metric=f"{what}: {one.metric}") for one in statistics),
    ]


@dataclass(frozen=True)
class _Limits:
    weights: float
    statistics: float
    accuracy: float = 1 - AGREEMENT


def _limits(pair: Pair) -> _Limits:
    """Bounds on a whole epoch in one call, by precision; the rung itself bounds the loss."""
    precision = pair.case.precision
    if precision == "float64":
        return _Limits(pair.bound("R5a weights"), pair.bound("R5a weights"))
    if precision == "float32":
        return _Limits(WITH_FLIPS, STATISTICS)
    plain, with_norm = ROUNDOFFS_WITH_FLIPS
    roundoffs = with_norm if normalises(pair.material.network) else plain
    unit = ROUNDOFF[precision]
    return _Limits(roundoffs * unit, ROUNDOFFS_OF_STATISTICS * unit, UNSURE)


def steady_optimizer(optimizer: Optimizer) -> Optimizer:
    """One that shows what was computed and not what rounding grew to; `parts` tests its own.

    Of those that move a weight by the rate, whatever its gradient: an epsilon that rounding does
    not reach (docs/fidelity.md), where they have one, and a low rate, so that each step begins
    where the reference's does. The others move by less as they are.
    """
    if isinstance(optimizer, recipes.Lion):
        return msgspec.structs.replace(optimizer, learning_rate=optimizer.rate / SLOWER)
    if not isinstance(optimizer, recipes.Adam | recipes.AdamW | recipes.RMSprop):
        return optimizer
    return msgspec.structs.replace(
        optimizer,
        epsilon=max(optimizer.epsilon or 0.0, STEADY_EPSILON),
        learning_rate=optimizer.rate / SLOWER,
    )


def _named(case: Case, kind: str) -> Case:
    digest = hashlib.sha256(msgspec.json.encode(case)).hexdigest()[:8]
    name = f"{case.architecture.name}-{case.tuning}-{case.precision}-{kind}-{digest}"
    return msgspec.structs.replace(case, name=name)
