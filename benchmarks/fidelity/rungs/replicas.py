"""R5e: several data-parallel replicas against one: in float64, and in float32 within its noise."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.fidelity.cases.replicas import NUDGED
from benchmarks.fidelity.measure.collect import REFERENCE
from benchmarks.fidelity.rungs import bounds, errors
from benchmarks.fidelity.rungs.errors import Tensors
from benchmarks.fidelity.rungs.finding import Finding, Pair
from benchmarks.fidelity.rungs.training import Found

RUNG = "R5e"
_PARTS = {
    "loss": "loss of each epoch",
    "accuracy": "accuracy of each epoch",
    "weight": "each weight and running statistic",
    "state": "optimizer state",
    "logits": "test logits",
}


def replicas(pair: Pair) -> list[Finding]:
    """Replicas against the framework's own single one, told once, beside the reference; and
    against the replicas of the other. Errors are relative to the largest number of a tensor."""
    if pair.case.precision == "float32":
        return [_within_noise(pair)] if pair.other.framework == REFERENCE else []
    many, other = (trace.group("replicas/many/") for trace in (pair.trace, pair.other))
    findings = list(_apart(pair, many, other, "of replicas"))
    if pair.other.framework == REFERENCE:
        one = pair.trace.group("replicas/one/")
        findings += _apart(pair, many, one, "of replicas, beside one")
    return findings


def _within_noise(pair: Pair) -> Finding:
    one = pair.trace.group("replicas/one/")

    def distance(side: str, part: str) -> float:
        mine = pair.trace.group(f"replicas/{side}/")
        names = [name for name in one if name.split("/")[0] == part]
        value, from_one = (
            np.concatenate([np.ravel(of[name]).astype(np.float64) for name in names])
            for of in (mine, one)
        )
        return errors.relative_l2(value, from_one)

    found = []
    for part in ("loss", "weight", "logits"):
        noise = max(distance(f"nudged{number}", part) for number in range(1, NUDGED + 1))
        found.append((part, errors.ratio(distance("many", part), noise)))
    return pair.worst(RUNG, "distance of replicas over noise", found, bounds.REPLICAS_NOISE)


def _apart(pair: Pair, mine: Tensors, other: Tensors, whose: str) -> Iterator[Finding]:
    dead = pair.material.network.dead_biases
    for part, what in _PARTS.items():
        names = [name for name in other if name.split("/")[0] == part]
        found: Found = [
            (name, errors.largest(mine[name], other[name]))
            for name in names
            if name.split("/", 2 if part == "state" else 1)[-1] not in dead
        ]
        yield pair.worst(RUNG, f"{what} {whose}", found, bounds.REPLICAS)
