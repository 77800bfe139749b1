"""The rungs R4 and R5: training steps, what they did to every weight, and a whole epoch."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from benchmarks.fidelity.rungs import bounds, errors, flips
from benchmarks.fidelity.rungs.errors import Tensors
from benchmarks.fidelity.rungs.finding import Finding, Pair
from frameworks.spec.architecture import BatchNorm
from frameworks.spec.weights import Weights

_MISSING = np.empty(0)  # infinitely far from any slot
Found = list[tuple[str, float]]
Recorded = tuple[str, int, Weights, Weights]  # where, steps so far, mine, the other's


def whole_step(pair: Pair) -> list[Finding]:
    """R4: weights, optimizer and running statistics after one step, and its loss.

    Below float64 rounding may have put a ReLU or max-pool on another side (`forward` among the
    case's measurements tells). What that alone comes to is taken out then, and the bound stays.
    """
    limit, dead = pair.bound("R4"), pair.material.network.dead_biases
    moving = [key for key in pair.material.network.trainable_keys if key not in dead]

    def apart(mine: Tensors, other: Tensors) -> Found:
        weights = errors.of_travel(
            part(mine, "step/1/"), part(other, "step/1/"), pair.material.weights, moving
        )
        return [("weights", weights), *optimizer_state(mine, other, dead)]

    other: Tensors = pair.other
    flipped = 0
    if pair.case.precision != "float64" and "forward" in pair.case.measure:
        other, flipped = flips.on_my_side(pair, flips.step, apart, limit)
    step_1 = ("step 1", 1, part(pair.trace, "step/1/"), part(other, "step/1/"))
    slots = optimizer_state(pair.trace, other, dead)
    return [
        *of_weights(pair, "R4", [step_1], limit, flipped),
        *running_statistics(pair, "R4", [step_1], limit),
        pair.worst("R4", "optimizer state", slots, limit, flipped),
        _losses(pair, "R4", pair.bound("R1 loss")),
    ]


def trajectory(pair: Pair) -> list[Finding]:
    """R5a in float64, R5b in others: the loss at every step, the weights wherever recorded."""
    rung = training_rung(pair)
    steps: list[Recorded] = []
    for step in recorded_steps(pair, "step"):
        mine, other = (trace.group(f"step/{step}/") for trace in (pair.trace, pair.other))
        steps.append((f"step {step}", step, mine, other))
    limit = pair.bound(f"{rung} weights")
    return [
        *of_weights(pair, rung, steps, limit),
        *running_statistics(pair, rung, steps, limit),
        _losses(pair, rung, pair.bound(f"{rung} loss")),
        *_predictions(pair, rung),
    ]


def epoch(pair: Pair) -> list[Finding]:
    """R5: an epoch in one call: its mean loss and accuracy over the images, and where it led."""
    rung = training_rung(pair)
    mine, other = (trace.group("epoch_end/") for trace in (pair.trace, pair.other))
    steps = pair.case.steps + len(pair.material.epoch(1))
    end = [("epoch", steps, mine, other)]
    loss, accuracy = (
        errors.largest(pair.trace[name], pair.other[name])
        for name in ("epoch/loss", "epoch/accuracy")
    )
    limit, weights_limit = pair.bound(f"{rung} loss"), pair.bound(f"{rung} weights")
    unequal = limit if rung == "R5a" else 1 - bounds.AGREEMENT
    return [
        pair.finding(rung, "loss of the epoch", loss, limit, where="epoch"),
        pair.finding(rung, "accuracy of the epoch", accuracy, unequal, where="epoch"),
        *of_weights(pair, rung, end, weights_limit),
        *running_statistics(pair, rung, end, weights_limit),
    ]


def running_statistics(
    pair: Pair, rung: str, recorded: Iterable[Recorded], limit: float
) -> list[Finding]:
    """The worst finding on the running statistics of every batch norm; none without a batch norm.

    The variance is judged by its norm, the mean by the spread of its channels.
    """
    found: Found = []
    for where, steps, mine, other in recorded:
        for layer in pair.material.network.layers:
            if isinstance(layer, BatchNorm):
                assert layer.momentum is not None
                mean, variance = f"{layer.name}/moving_mean", f"{layer.name}/moving_variance"
                weight = 1 - layer.momentum**steps
                of_mean = errors.of_spread(mine[mean], other[mean], other[variance], weight)
                found.append((f"{where} {mean}", of_mean))
                of_variance = errors.relative_l2(mine[variance], other[variance])
                found.append((f"{where} {variance}", of_variance))
    return [pair.worst(rung, "running statistics", found, limit)] if found else []


def recorded_steps(pair: Pair, prefix: str) -> list[int]:
    """The steps, counted from 1, after which both were asked for their weights."""
    return sorted({int(name.split("/")[1]) for name in pair.trace if name.startswith(f"{prefix}/")})


def of_weights(
    pair: Pair,
    rung: str,
    recorded: Iterable[Recorded],
    limit: float,
    flipped: int = 0,
    start: Weights | None = None,
) -> list[Finding]:
    """Trainable weights over the distance travelled, and apart from them the dead biases.

    In float64 tensor by tensor, so that no large kernel hides a wrong gamma. In float32 over all
    together: a bias ahead of a batch norm may hardly move, and Adam gives its small gradients the
    rounding of its large ones, up to 3e-3 of the way of its own (docs/fidelity.md).
    A dead bias has a gradient that is rounding alone, so what it moves is set against the way of
    all the others.

    start: where the way began; by default at the weights that the case begins with.
    """
    network = pair.material.network
    start = pair.material.weights if start is None else start
    dead = network.dead_biases
    keys = [key for key in network.trainable_keys if key not in dead]
    by_tensor = pair.case.precision == "float64"
    found: Found = []
    of_dead: Found = []
    for where, _, mine, other in recorded:
        groups = [(f"{where} {key}", [key]) for key in keys] if by_tensor else [(where, keys)]
        found += [(name, errors.of_travel(mine, other, start, group)) for name, group in groups]
        of_dead += [
            (f"{where} {key}", errors.share_of_travel(mine, other, start, [key], keys))
            for key in dead
        ]
    what = "each weight" if by_tensor else "weights"
    findings = [pair.worst(rung, f"{what} over distance travelled", found, limit, flipped)]
    if of_dead:
        what = "biases that a batch norm takes out"
        findings.append(pair.worst(rung, what, of_dead, limit, flipped))
    return findings


def _losses(pair: Pair, rung: str, limit: float) -> Finding:
    losses = np.abs(pair.trace["losses"] / pair.other["losses"] - 1)
    steps = [(f"step {index + 1}", float(value)) for index, value in enumerate(losses)]
    return pair.worst(rung, "loss at every step", steps, limit)


def _predictions(pair: Pair, rung: str) -> list[Finding]:
    """Findings on the test logits, and on the share of images classified differently.

    The logits show inference after training; R1's are at the initial running statistics, gamma and
    beta. NaN is unequal.
    """
    if not pair.case.test_images:
        return []
    mine, other = pair.trace["predictions"], pair.other["predictions"]
    apart = errors.largest(mine, other)
    within = pair.bound(f"{rung} logits")
    finite = np.isfinite(mine).all(1) & np.isfinite(other).all(1)
    share = np.mean((mine.argmax(1) != other.argmax(1)) | ~finite)
    limit = 0.0 if rung == "R5a" else 1 - bounds.AGREEMENT
    return [
        pair.finding(rung, "test logits", apart, within, where="predictions"),
        pair.finding(rung, "unequal predictions", float(share), limit, where="predictions"),
    ]


def optimizer_state(trace: Tensors, of: Tensors, dead: Collection[str] = ()) -> Found:
    """The number of steps, the rate, the scale of the loss, and each slot tensor by tensor: errors
    of a gradient's kind, since a mean of squares is there by its root (`build.optimizer_state`).
    What a trace lacks is wrong."""
    mine, other = part(trace, "state/"), part(of, "state/")
    names = ("step", "batches", "loss_scale", "finite_steps")
    exact = [name for name in names if name in other]
    found: Found = [(name, float(mine.get(name) != other[name])) for name in exact]
    rate = errors.largest(mine["learning_rate"], other["learning_rate"])
    found.append(("learning_rate", rate))
    slots = [name for name in other if "/" in name and name.split("/", 1)[1] not in dead]
    found += [(name, errors.relative_l2(mine.get(name, _MISSING), other[name])) for name in slots]
    return found


def part(arrays: Tensors, prefix: str) -> Weights:
    """The arrays whose names start with `prefix`, without it."""
    names = [name for name in arrays if name.startswith(prefix)]
    return {name.removeprefix(prefix): arrays[name] for name in names}


def training_rung(pair: Pair) -> str:
    """The rung whose bounds a training is judged by: R5a in float64, R5b in others."""
    return "R5a" if pair.case.precision == "float64" else "R5b"
