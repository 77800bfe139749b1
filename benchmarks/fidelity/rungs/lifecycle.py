"""R1 of weights put in, R5d of a training's lifecycle, and steps under a framework's own masks."""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec
import numpy as np

from benchmarks.fidelity.measure.lifecycle import PUT_BACK, TRAINED
from benchmarks.fidelity.rungs import bounds, errors
from benchmarks.fidelity.rungs.errors import Tensors
from benchmarks.fidelity.rungs.finding import Finding, Pair
from benchmarks.fidelity.rungs.training import (
    Found,
    of_weights,
    optimizer_state,
    part,
    running_statistics,
    training_rung,
)
from datasets.batches import Batch
from frameworks.numpy.backend import NumpyReference
from frameworks.spec.weights import Weights

RUNG = "R5d"
_FEW = 64  # numbers of a mask, of which two are alike by chance now and then
_SIGMAS = 6.0  # of the share of inputs that a framework's own masks keep


def restored(pair: Pair) -> list[Finding]:
    """R1: logits of weights that are put in, by batches, a part of one and a single picture."""
    mine, other = (trace.group("restored/") for trace in (pair.trace, pair.other))
    names = ("before", "same", "one", "fresh", "again")
    found = [(f"restored/{name}", errors.largest(mine[name], other[name])) for name in names]
    unequal = [("restored/read", float(mine["read"]))]
    return [
        pair.worst("R1", "logits of weights put in, by batches", found, pair.bound("R1")),
        pair.worst("R1", "weights read back unequal", unequal, 0.0),
    ]


def lifecycle(pair: Pair) -> list[Finding]:
    """R5d: what each stage came to, within the bounds of R5a in float64 and of R5b in float32.

    The way that the weights travelled is counted from where the stage's own way began.
    """
    rung = training_rung(pair)
    limit = {what: pair.bound(f"{rung} {what}") for what in ("loss", "weights", "logits")}
    every = [
        (stage, pair.trace.group(f"lifecycle/{stage}/"), pair.other.group(f"lifecycle/{stage}/"))
        for stage in ("start", *TRAINED, *PUT_BACK)
    ]
    stages = [one for one in every if one[1]]  # not every case ends in a new backend
    trained = [one for one in stages if "loss" in one[1]]
    findings = [
        pair.worst(
            RUNG,
            f"{name} of each epoch",
            [(stage, errors.largest(mine[name], other[name])) for stage, mine, other in trained],
            limit["loss"] if name == "loss" or rung == "R5a" else 1 - bounds.AGREEMENT,
        )
        for name in ("loss", "accuracy")
    ]
    logits: Found = [
        (f"{stage} logits", errors.largest(mine["logits"], other["logits"]))
        for stage, mine, other in stages
        if "logits" in mine
    ]
    for start, names in _ways(pair):
        recorded = [
            (stage, int(mine["state/step"]), part(mine, "weight/"), part(other, "weight/"))
            for stage, mine, other in trained
            if stage in names
        ]
        findings += of_weights(pair, RUNG, recorded, limit["weights"], start=start)
        findings += running_statistics(pair, RUNG, recorded, limit["weights"])
    dead = pair.material.network.dead_biases
    held = [
        (f"{stage} {where}", error)
        for stage, mine, other in stages
        if "state/step" in mine
        for where, error in optimizer_state(mine, other, dead)
    ]
    return [
        *findings,
        pair.worst(RUNG, "optimizer state", held, limit["weights"]),
        pair.worst(RUNG, "test logits, by batches", logits, limit["logits"]),
    ]


def _ways(pair: Pair) -> list[tuple[Weights, tuple[str, ...]]]:
    """(weights, the stages whose way began there)."""
    material = pair.material
    own = tuple(stage for stage in TRAINED if stage != "sure")
    return [(material.weights, own), (material.lived, ("sure",))]


def own_masks(pair: Pair) -> list[Finding]:
    """R4 of steps under masks that a framework drew: with these masks the reference steps alike;
    no two steps have the same ones (of the few numbers of a shared mask, not all), a mask of
    several numbers has not one value in every step, as many inputs are kept as the rate says, the
    random state brings a mask back, and predictions have none.

    Of the first of the pair alone: the other drew others.
    """
    steps = [pair.trace.group(f"own/{step}/") for step in range(pair.case.steps)]
    found = [error for number, step in enumerate(steps) for error in _apart(pair, number, step)]
    masks = [step["mask"] for step in steps]
    alike = sum(np.array_equal(one, after) for one, after in pairwise(masks))
    (rate,) = pair.material.network.dropout_rates.values()
    count = sum(mask.size for mask in masks)
    kept = sum(int(mask.sum()) for mask in masks) / count
    spread = math.sqrt(rate * (1 - rate) / count)
    share = abs(kept - (1 - rate))
    few = masks[0].size < _FEW
    shared = float(masks[0].size > 1 and all(mask.min() == mask.max() for mask in masks))
    resumed = float(pair.trace["own/resumed"])
    logits = errors.largest(pair.trace["own/logits"], _inference(pair, part(steps[-1], "after/")))
    return [
        pair.worst("R4", "steps under its own masks", found, pair.bound("R4")),
        pair.finding(
            "R4", "masks drawn twice", float(alike), len(masks) - 2.0 if few else 0.0, where="masks"
        ),
        pair.finding("R4", "masks of one value", shared, 0.0, where="masks"),
        pair.finding("R4", "mask of a random state put back", resumed, 0.0, where="masks"),
        pair.finding("R4", "logits without a mask", logits, pair.bound("R4"), where="logits"),
        pair.finding("R4", "share kept by its own masks", share, _SIGMAS * spread, where="masks"),
    ]


def _apart(pair: Pair, number: int, step: Tensors) -> Found:
    """Errors of a step's loss and weights against the reference under the same mask."""
    material = pair.material
    before, after = part(step, "before/"), part(step, "after/")
    reference = _reference(pair, before)
    batch = material.epoch(1)[number]
    (dropout,) = material.network.dropout_shapes
    masked = Batch(batch.images, batch.labels, {dropout: step["mask"]})
    loss = reference.train_epoch([masked]).loss
    expected, where = reference.get_weights(), f"step {number + 1}"
    travel = errors.of_travel(after, expected, before, material.network.trainable_keys)
    return [(f"{where} loss", errors.largest(step["loss"], np.asarray(loss))), (where, travel)]


def _inference(pair: Pair, weights: Weights) -> np.ndarray:
    """The reference's logits of all pictures from a framework's weights."""
    return _reference(pair, weights).predict(np.ascontiguousarray(pair.material.data[0]))


def _reference(pair: Pair, weights: Weights) -> NumpyReference:
    plain = msgspec.structs.replace(pair.case, precision="float64", native=False, device="cpu")
    return NumpyReference(pair.material.network, pair.case.recipe, plain.runtime, weights)
