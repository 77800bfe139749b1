"""The rungs R0-R5 judged: what two traces of one case say, against bounds set beforehand."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

import numpy as np

from benchmarks.fidelity.cases.case import Case
from benchmarks.fidelity.measure.__main__ import REFERENCE
from benchmarks.fidelity.measure.collect import Traces
from benchmarks.fidelity.rungs import bounds, errors, flips, lifecycle, replicas
from benchmarks.fidelity.rungs.causes import BITS
from benchmarks.fidelity.rungs.errors import Tensors
from benchmarks.fidelity.rungs.finding import Finding, Pair, not_run
from benchmarks.fidelity.rungs.training import (
    epoch,
    optimizer_state,
    recorded_steps,
    trajectory,
    whole_step,
)
from frameworks.spec.layers import Conv, Dense, function_of

# 6 deviations of the difference of two samples' mean squares, which is 2 / sqrt(n) of normal ones.
_DRAWN_APART = 12.0


def judge(traces: Traces, cases: Iterable[Case], frameworks: Iterable[str]) -> list[Finding]:
    """Every rung that each case measured: each framework that was asked it against the reference
    and each other."""
    findings = []
    everyone = list(frameworks)
    for case in cases:
        names = [name for name in everyone if (name, case.name) in traces]
        pairs = [(name, REFERENCE) for name in names] + list(combinations(names, 2))
        for name, other in pairs:
            pair = Pair(case, traces[name, case.name], traces[other, case.name])
            findings += judge_pair(pair)
        if "forward" in case.measure and case.precision != "float64":
            findings += rms_against_median(case, traces, names)
    return findings


def judge_pair(pair: Pair) -> list[Finding]:
    """The rungs of one case for one pair of frameworks."""
    for trace in (pair.trace, pair.other):
        if trace.path is None:
            return [
                not_run(pair, rung, f"{trace.framework}: {trace.reason}")
                for rung in _rungs_of(pair.case)
            ]
    judges = {
        "structure": _r0,
        "forward": _r1,
        "gradients": _r2,
        "optimizer": _r3,
        "steps": whole_step if pair.case.steps == 1 else trajectory,
        "epoch": epoch,
        "restored": lifecycle.restored,
        "lifecycle": lifecycle.lifecycle,
        "own_masks": lifecycle.own_masks,
        "drawn": _drawn,
        "replicas": replicas.replicas,
    }
    return [finding for name in pair.case.measure for finding in judges[name](pair)]


def _rungs_of(case: Case) -> list[str]:
    training = "R5a" if case.precision == "float64" else "R5b"
    names = {
        "structure": "R0",
        "forward": "R1",
        "gradients": "R2",
        "optimizer": "R3",
        "steps": "R4" if case.steps == 1 else training,
        "epoch": training,
        "restored": "R1",
        "lifecycle": lifecycle.RUNG,
        "own_masks": "R4",
        "drawn": "R0",
        "replicas": replicas.RUNG,
    }
    return [names[name] for name in case.measure]


def _r0(pair: Pair) -> list[Finding]:
    """Counts and hashes are equal, and the arrays have the precision asked for."""
    names = ["parameters", "weights_hash", "order_hash", "masks_hash"]
    unequal = [(name, float(str(pair.trace[name]) != str(pair.other[name]))) for name in names]
    wanted = "float64" if pair.case.precision == "float64" else "float32"
    unequal.append(("dtype", float(str(pair.trace["dtype"]) != wanted)))
    return [pair.worst("R0", "unequal", unequal, 0.0)]


def _drawn(pair: Pair) -> list[Finding]:
    """R0 of initial weights that a framework drew: their mean squares are as far apart as two
    samples of one distribution may be, and zero where they are to be."""
    mine, other = (trace.group("drawn/") for trace in (pair.trace, pair.other))
    found = []
    for key in other:
        own, spread = (float(np.mean(one[key] ** 2)) for one in (mine, other))
        apart = abs(own - spread) / spread if spread else (np.inf if own else 0.0)
        found.append((key, apart * mine[key].size ** 0.5))
    return [pair.worst("R0", "spread of initial weights, by chance", found, _DRAWN_APART)]


def _r1(pair: Pair) -> list[Finding]:
    """Every layer's output in training and in inference, the logits, the loss with L2."""
    layers = [layer.name for layer in pair.material.network.layers]
    found = [
        (
            f"{mode}/{name}",
            errors.largest(pair.trace[f"{mode}/{name}"], pair.other[f"{mode}/{name}"]),
        )
        for mode in ("training", "inference")
        for name in layers
    ]
    loss = errors.largest(pair.trace["loss"], pair.other["loss"])
    return [
        pair.worst("R1", "largest error by layer", found, pair.bound("R1")),
        pair.finding("R1", "loss", loss, pair.bound("R1 loss"), where="loss"),
        *_precision(pair),
    ]


def _precision(pair: Pair) -> list[Finding]:
    """The significant bits of what kernels put out, where the precision asked for is half of
    float32: more bits are as wrong as fewer, and no error is too large then."""
    wanted = bounds.SIGNIFICANT_BITS.get(pair.case.precision)
    plain = [
        layer.name
        for layer in pair.material.network.layers
        if isinstance(layer, Conv | Dense) and function_of(layer) in ("linear", "relu")
    ]
    if wanted is None or not plain:
        return []
    bits = [(name, errors.significant_bits(pair.trace[f"training/{name}"])) for name in plain]
    apart = [(f"{BITS}{name}", float(abs(found - wanted))) for name, found in bits]
    return [pair.worst("R1", "bits too many or too few", apart, 0.0)]


def _r2(pair: Pair) -> list[Finding]:
    """Gradients by tensor, the last layer's first, since a wrong one spreads towards the input.
    Where rounding put a ReLU or max-pool on another side, what that alone comes to is taken out,
    and the bound stays."""
    dead, limit = pair.material.network.dead_biases, pair.bound("R2")
    keys = [key for key in reversed(pair.material.network.trainable_keys) if key not in dead]

    def apart(mine: Tensors, other: Tensors) -> list[tuple[str, float]]:
        names = [f"gradient/{key}" for key in keys]
        found = (errors.relative_l2(mine[name], other[name]) for name in names)
        return list(zip(keys, found, strict=True))

    other: Tensors = pair.other
    flipped = 0
    if pair.case.precision != "float64":
        other, flipped = flips.on_my_side(pair, flips.gradients, apart, limit)
    found = apart(pair.trace, other)
    findings = [pair.worst("R2", "gradient by tensor", found, limit, flipped)]
    if dead:
        limit = bounds.DEAD_BIAS_FLOAT64 if pair.case.precision == "float64" else bounds.DEAD_BIAS
        sizes = [
            (key, float(np.max(np.abs(pair.trace[f"gradient/{key}"])))) for key in sorted(dead)
        ]
        findings.append(pair.worst("R2", "zero gradient", sizes, limit))
    return findings


def _r3(pair: Pair) -> list[Finding]:
    """The optimizer alone on made-up gradients: weights as a share of the way they travelled, in
    float64 tensor by tensor (a float32 kernel that goes a short way is rounded to its own size),
    and what the optimizer holds at the end."""
    start, keys = pair.material.weights, pair.material.network.trainable_keys
    by_tensor = pair.case.precision == "float64"
    found = []
    for step in recorded_steps(pair, "injected"):
        mine, other = (t.group(f"injected/{step}/") for t in (pair.trace, pair.other))
        groups = [(f" {key}", [key]) for key in keys] if by_tensor else [("", list(keys))]
        found += [
            (f"step {step}{name}", errors.of_travel(mine, other, start, group))
            for name, group in groups
        ]
    what = "each weight" if by_tensor else "weights"
    limit = pair.bound("R3")
    return [
        pair.worst("R3", f"{what} over distance travelled", found, limit),
        pair.worst("R3", "optimizer state", optimizer_state(pair.trace, pair.other), limit),
    ]


def rms_against_median(case: Case, traces: Traces, names: list[str]) -> list[Finding]:
    """TorchDynamo's rule: no framework's float32 logits are much further from the oracle than the
    others' (torch/_dynamo/utils.py, `same`)."""
    reference = traces[REFERENCE, case.name]
    ran = [name for name in names if traces[name, case.name].path is not None]
    if reference.path is None or len(ran) < 3:
        return []
    rms = {
        name: errors.relative_l2(traces[name, case.name]["logits"], reference["logits"])
        for name in ran
    }
    limit = bounds.RMS_FACTOR * float(np.median(list(rms.values())))
    return [
        Pair(case, traces[name, case.name], reference).finding(
            "R1", "logits, times the median framework's error", value, limit, where="logits"
        )
        for name, value in rms.items()
    ]
