"""ReLUs and max-pools that changed side between two float32 traces, and what that came to.

The gradient of a piecewise linear network depends on the piece. A unit within rounding of its edge
may fall on either side of it in float32, in each framework and in each compiled program.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache

import msgspec
import numpy as np

from benchmarks.fidelity.cases.case import Case, Material
from benchmarks.fidelity.measure.build import optimizer_state
from benchmarks.fidelity.measure.collect import Trace
from benchmarks.fidelity.rungs import errors
from benchmarks.fidelity.rungs.errors import Tensors
from benchmarks.fidelity.rungs.finding import Pair
from datasets.batches import Batch
from frameworks.numpy.backend import Kinks, NumpyReference, count_flips, recorded_kinks

Arrays = dict[str, np.ndarray]
# What the reference finds on given sides, by the names that a trace has for it.
Computed = Callable[[NumpyReference, Batch, Kinks], Arrays]
# How far such arrays are apart: (tensor, error).
Distances = Callable[[Tensors, Tensors], Sequence[tuple[str, float]]]
Unit = tuple[str, tuple[int, ...], tuple[int, int]]  # layer, index in it, the two sides
_DRAWS = 8
_CLEARLY = 0.9  # of the sum of squared errors; a unit that has nothing to do with them leaves it


def gradients(reference: NumpyReference, batch: Batch, kinks: Kinks) -> Arrays:
    """The gradients on the piece that `kinks` say, `gradient/KEY`."""
    found = reference.gradients(batch, kinks).gradients
    return {f"gradient/{key}": array for key, array in found.items()}


def step(reference: NumpyReference, batch: Batch, kinks: Kinks) -> Arrays:
    """Weights `step/1/KEY` and optimizer state `state/...` after the step on that piece; running
    statistics, which no gradient moves, as they were."""
    reference.apply_gradients(reference.gradients(batch, kinks).gradients)
    weights = {f"step/1/{key}": array for key, array in reference.get_weights().items()}
    return weights | optimizer_state(reference)


def on_my_side(
    pair: Pair, computed: Computed, distances: Distances, bound: float
) -> tuple[Tensors, int]:
    """The other's arrays with every ReLU and max-pool on the side that `pair.trace` has it on.

    What the flips come to is the difference between the float64 reference's arrays on my sides and
    on the other's, which is added; nothing else changes, so that the bound stays.

    Args:
        computed: `gradients` or `step`.
        distances, bound: how arrays are judged, two traces' or a trace's and the reference's.
    Returns:
        The arrays by name, and how many ReLUs and max-pools changed side; as they are and 0 where
        none did, and where a layer's shapes differ, which R1 fails.
    """
    mine, others = (_recorded(pair, trace) for trace in (pair.trace, pair.other))
    if any(mine[name].shape != others[name].shape for name in mine):
        return pair.other, 0
    if not _count(mine, others) and errors.within(distances(pair.trace, pair.other), bound):
        return pair.other, 0
    mine, on_mine = _sides(pair, pair.trace, computed, distances, bound)
    others, on_others = _sides(pair, pair.other, computed, distances, bound)
    moved = {name: pair.other[name] + (on_mine[name] - on_others[name]) for name in on_others}
    return moved, _count(mine, others)


def under_rounding(case: Case, error: float, draws: int) -> Iterator[Kinks]:
    """The sides in the float64 reference, then, one by one, those with its weights perturbed by
    `error` of themselves, as many times as `draws` says."""
    material = Material(msgspec.structs.replace(case, precision="float64", device="cpu"))
    runtime = material.case.runtime
    reference = NumpyReference(material.network, case.recipe, runtime, material.weights)
    batch = material.epoch(1)[0]
    yield reference.kinks(batch)
    for draw in range(1, draws + 1):
        noisy = msgspec.structs.replace(material.case, weight_noise=error, noise_seed=draw)
        reference.set_weights(Material(noisy).weights)
        yield reference.kinks(batch)


def _count(mine: Kinks, others: Kinks) -> int:
    return sum(count_flips(mine, others).values())


def _recorded(pair: Pair, trace: Trace) -> Kinks:
    images = pair.material.epoch(1)[0].images
    return recorded_kinks(pair.material.network, images, trace.group("training/"))


def _sides(
    pair: Pair, trace: Trace, computed: Computed, distances: Distances, bound: float
) -> tuple[Kinks, Arrays]:
    """The sides that a trace has its units on, looked for once, and what the reference finds."""
    if computed.__name__ not in trace.sides:
        trace.sides[computed.__name__] = _shown(pair, trace, computed, distances, bound)
    kinks = trace.sides[computed.__name__]
    return kinks, computed(_reference(pair), pair.material.epoch(1)[0], kinks)


def _shown(
    pair: Pair, trace: Trace, computed: Computed, distances: Distances, bound: float
) -> Kinks:
    """The sides of a trace's forward pass, but for what its arrays show to be otherwise.

    The program of a gradient or a step may round otherwise, and have a unit at its edge on the
    other side: while the arrays are beyond the bound, one such unit after the other is put where
    the reference comes clearly nearer to them. No other unit is touched.
    """
    batch, kinks = pair.material.epoch(1)[0], _recorded(pair, trace)
    found = computed(_reference(pair), batch, kinks)
    recorded = {name: trace[name] for name in found}
    apart = distances(recorded, found)
    units: list[Unit] = []
    if not errors.within(apart, bound):
        units = list(_at_the_edge(pair.case, pair.bound("R1")))
    while units and not errors.within(apart, bound):
        for unit in units:
            turned = _turned(kinks, unit)
            nearer = distances(recorded, computed(_reference(pair), batch, turned))
            if _squares(nearer) < _CLEARLY * _squares(apart):
                kinks, apart = turned, nearer
                units.remove(unit)
                break
        else:
            break
    return kinks


def _turned(kinks: Kinks, unit: Unit) -> Kinks:
    name, place, (one, other) = unit
    pattern = kinks[name].copy()
    pattern[place] = one if pattern[place] == other else other
    return {**kinks, name: pattern}


def _squares(found: Sequence[tuple[str, float]]) -> float:
    return sum(error**2 for _, error in found)


@cache
def _at_the_edge(case: Case, error: float) -> list[Unit]:
    """The units that change side in the reference when its weights are perturbed by what R1 allows
    a layer to be wrong by; first those that do so most often."""
    kinks, *perturbed = under_rounding(case, error, _DRAWS)
    units: Counter[Unit] = Counter()
    for patterns in perturbed:
        for name, pattern in patterns.items():
            for place in zip(*np.nonzero(pattern != kinks[name]), strict=True):
                units[name, place, (kinks[name][place].item(), pattern[place].item())] += 1
    return [unit for unit, _ in units.most_common()]


def _reference(pair: Pair) -> NumpyReference:
    material, case = pair.material, pair.case
    runtime = Case(
        name="",
        architecture=case.architecture,
        input_shape=case.input_shape,
        classes=case.classes,
        recipe=case.recipe,
        precision="float64",
    ).runtime
    return NumpyReference(material.network, case.recipe, runtime, material.weights)
