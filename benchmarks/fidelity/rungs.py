"""The rungs R0-R5 judged: what two traces of one case say, against bounds set beforehand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from benchmarks.fidelity import bounds, errors
from benchmarks.fidelity.case import Case, Material
from benchmarks.fidelity.causes import likely_cause
from benchmarks.fidelity.collect import Trace, Traces
from benchmarks.fidelity.measure import REFERENCE
from frameworks.numpy_reference import NumpyReference, count_flips, recorded_kinks


@dataclass(frozen=True)
class Finding:
    """One rung of one case for one framework against another (or the reference "numpy").

    status: passed, failed, or not run. where: the first layer, tensor or step beyond the bound;
    when it passed, the one with the largest error. flips: ReLUs and max-pools that changed side.
    """

    rung: str
    case: str
    framework: str
    against: str
    precision: str
    metric: str
    value: float
    bound: float
    status: str
    where: str = ""
    cause: str = ""
    flips: int = 0


@dataclass(frozen=True)
class Pair:
    """Two traces of one case, and what judging them needs."""

    case: Case
    trace: Trace
    other: Trace

    @cached_property
    def material(self) -> Material:
        """Network, weights and batches of the case."""
        return Material(self.case)

    def bound(self, rung: str) -> float:
        """The bound of a rung for this case."""
        case = self.case
        return bounds.bound(rung, self.material.network, case.precision, case.recipe.optimizer)

    def worst(
        self,
        rung: str,
        metric: str,
        found: Iterable[tuple[str, float]],
        bound: float,
        flips: int = 0,
    ) -> Finding:
        """A finding from (where, error) in order: the first beyond the bound, else the largest."""
        pairs = list(found)
        beyond = [pair for pair in pairs if not pair[1] <= bound]
        where, _ = beyond[0] if beyond else max(pairs, key=lambda pair: pair[1])
        largest = max(value for _, value in pairs)
        return self.finding(rung, metric, largest, bound, where=where, flips=flips)

    def finding(
        self, rung: str, metric: str, value: float, bound: float, *, where: str = "", flips: int = 0
    ) -> Finding:
        """Passed when the value is within the bound; NaN fails."""
        status = "passed" if value <= bound else "failed"
        cause = likely_cause(rung, where, self.material.network) if status == "failed" else ""
        return Finding(
            rung,
            self.case.name,
            self.trace.framework,
            self.other.framework,
            self.case.precision,
            metric,
            value,
            bound,
            status,
            where,
            cause,
            flips,
        )


def judge(traces: Traces, cases: Iterable[Case], frameworks: Iterable[str]) -> list[Finding]:
    """Every rung that each case measured: each framework against the reference and each other."""
    names = list(frameworks)
    findings = []
    for case in cases:
        pairs = [(name, REFERENCE) for name in names] + list(combinations(names, 2))
        for name, other in pairs:
            pair = Pair(case, traces[name, case.name], traces[other, case.name])
            findings += judge_pair(pair)
        if "forward" in case.measure and case.precision == "float32":
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
        "steps": _r4_r5,
        "epoch": _r5_epoch,
    }
    return [finding for name in pair.case.measure for finding in judges[name](pair)]


def not_run(pair: Pair, rung: str, reason: str) -> Finding:
    """A rung that could not be measured: never passed."""
    return Finding(
        rung,
        pair.case.name,
        pair.trace.framework,
        pair.other.framework,
        pair.case.precision,
        "",
        float("nan"),
        float("nan"),
        "not run",
        cause=reason,
    )


def _rungs_of(case: Case) -> list[str]:
    names = {
        "structure": "R0",
        "forward": "R1",
        "gradients": "R2",
        "optimizer": "R3",
        "steps": "R4" if case.steps == 1 else "R5",
        "epoch": "R5",
    }
    return [names[name] for name in case.measure]


def _r0(pair: Pair) -> list[Finding]:
    """Counts and hashes are equal, and the arrays have the precision asked for."""
    names = ["parameters", "weights_hash", "order_hash", "masks_hash"]
    unequal = [(name, float(str(pair.trace[name]) != str(pair.other[name]))) for name in names]
    wanted = "float64" if pair.case.precision == "float64" else "float32"
    unequal.append(("dtype", float(str(pair.trace["dtype"]) != wanted)))
    return [pair.worst("R0", "unequal", unequal, 0.0)]


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
    ]


def _r2(pair: Pair) -> list[Finding]:
    """Gradients by tensor. Where a ReLU or max-pool changed side, the reference is asked for the
    gradient on the side that the framework was on, and the raw difference is held loosely."""
    network = pair.material.network
    dead = set(network.dead_biases)
    mine, other = pair.trace.group("gradient/"), pair.other.group("gradient/")
    flips = _flips(pair)
    findings = []
    if flips and pair.case.precision == "float32":
        found = [
            (key, errors.relative_l2(mine[key], other[key])) for key in mine if key not in dead
        ]
        findings.append(
            pair.worst("R2", "gradient, with flips", found, pair.bound("R2 flipped"), flips)
        )
        if pair.other.framework == REFERENCE:
            other = _gradient_on_the_side_of(pair)
    if not flips or pair.other.framework == REFERENCE:
        found = [
            (key, errors.relative_l2(mine[key], other[key])) for key in mine if key not in dead
        ]
        findings.append(pair.worst("R2", "gradient by tensor", found, pair.bound("R2"), flips))
    if dead:
        limit = bounds.DEAD_BIAS_FLOAT64 if pair.case.precision == "float64" else bounds.DEAD_BIAS
        sizes = [(key, float(np.max(np.abs(mine[key])))) for key in sorted(dead)]
        findings.append(pair.worst("R2", "zero gradient", sizes, limit))
    return findings


def _flips(pair: Pair) -> int:
    """ReLUs and max-pools on different sides in the two traces; none to count where a layer's
    shapes differ, which R1 fails."""
    mine, other = (_kinks(pair, trace) for trace in (pair.trace, pair.other))
    if any(mine[name].shape != other[name].shape for name in mine):
        return 0
    return sum(count_flips(mine, other).values())


def _kinks(pair: Pair, trace: Trace) -> dict[str, np.ndarray]:
    batch = pair.material.epoch(1)[0]
    return recorded_kinks(pair.material.network, batch.images, trace.group("training/"))


def _gradient_on_the_side_of(pair: Pair) -> dict[str, np.ndarray]:
    """The float64 gradient with every ReLU and max-pool as the framework's own trace has it."""
    material, case = pair.material, pair.case
    runtime = Case(
        name="",
        architecture=case.architecture,
        input_shape=case.input_shape,
        classes=case.classes,
        recipe=case.recipe,
        precision="float64",
    ).runtime
    reference = NumpyReference(material.network, case.recipe, runtime, material.weights)
    batch = material.epoch(1)[0]
    return reference.gradients(batch, _kinks(pair, pair.trace)).gradients


def _r3(pair: Pair) -> list[Finding]:
    """The optimizer alone on made-up gradients: weights as a share of the way travelled."""
    material = pair.material
    keys, start = material.network.trainable_keys, material.weights
    found = []
    for step in _recorded_steps(pair, "injected"):
        mine, other = (t.group(f"injected/{step}/") for t in (pair.trace, pair.other))
        found.append((f"step {step}", errors.of_travel(mine, other, start, keys)))
    return [pair.worst("R3", "weights over distance travelled", found, pair.bound("R3"))]


def _r4_r5(pair: Pair) -> list[Finding]:
    """Training steps: the loss at every step, the weights wherever they were recorded."""
    case, network = pair.case, pair.material.network
    rung = "R4" if case.steps == 1 else ("R5a" if case.precision == "float64" else "R5b")
    compared = [key for key in network.weight_shapes if key not in network.ahead_of_norm]
    keys = [key for key in compared if key in network.trainable_keys]
    running = [key for key in compared if key not in network.trainable_keys]
    start = pair.material.weights
    travel, statistics = [], []
    for step in _recorded_steps(pair, "step"):
        mine, other = (t.group(f"step/{step}/") for t in (pair.trace, pair.other))
        travel.append((f"step {step}", errors.of_travel(mine, other, start, keys)))
        statistics += [
            (f"step {step} {key}", errors.relative_l2(mine[key], other[key])) for key in running
        ]
    weights_bound, flips = pair.bound("R4" if rung == "R4" else f"{rung} weights"), 0
    if rung == "R4" and case.precision == "float32" and "forward" in case.measure:
        flips = _flips(pair)
        weights_bound = pair.bound("R4 flipped") if flips else weights_bound
    what = "weights over distance travelled" + (", with flips" if flips else "")
    findings = [pair.worst(rung, what, travel, weights_bound, flips)]
    if statistics:
        findings.append(pair.worst(rung, "running statistics", statistics, weights_bound))
    if rung == "R4":
        findings.append(_optimizer_state(pair, weights_bound))
    losses = np.abs(pair.trace["losses"] / pair.other["losses"] - 1)
    steps = [(f"step {index + 1}", float(value)) for index, value in enumerate(losses)]
    loss_bound = pair.bound("R1 loss" if rung == "R4" else f"{rung} loss")
    findings.append(pair.worst(rung, "loss at every step", steps, loss_bound))
    if case.test_images:
        share = np.mean(pair.trace["predictions"].argmax(1) != pair.other["predictions"].argmax(1))
        limit = 0.0 if rung == "R5a" else 1 - bounds.AGREEMENT
        findings.append(
            pair.finding(rung, "unequal predictions", float(share), limit, where="predictions")
        )
    return findings


def _optimizer_state(pair: Pair, bound: float) -> Finding:
    """Each slot of the optimizer over all tensors together, and the number of steps."""
    mine, other = (trace.group("state/") for trace in (pair.trace, pair.other))
    dead = pair.material.network.ahead_of_norm
    found = [("step", float(mine.pop("step") != other.pop("step")))]
    found.append(
        ("learning_rate", errors.largest(mine.pop("learning_rate"), other.pop("learning_rate")))
    )
    for slot in sorted({name.split("/")[0] for name in other}):
        keys = [n for n in other if n.startswith(f"{slot}/") and n.split("/", 1)[1] not in dead]
        zero = {name: np.zeros(()) for name in keys}
        found.append((slot, errors.of_travel(mine, other, zero, keys)))
    return pair.worst("R4", "optimizer state", found, bound)


def _r5_epoch(pair: Pair) -> list[Finding]:
    """An epoch in one call: its mean loss and accuracy over the images, and where it led."""
    rung = "R5a" if pair.case.precision == "float64" else "R5b"
    network = pair.material.network
    keys = [key for key in network.trainable_keys if key not in network.ahead_of_norm]
    mine, other = (trace.group("epoch_end/") for trace in (pair.trace, pair.other))
    travel = errors.of_travel(mine, other, pair.material.weights, keys)
    loss, accuracy = (
        errors.largest(pair.trace[name], pair.other[name])
        for name in ("epoch/loss", "epoch/accuracy")
    )
    limit = pair.bound(f"{rung} loss")
    unequal = limit if rung == "R5a" else 1 - bounds.AGREEMENT
    return [
        pair.finding(rung, "loss of the epoch", loss, limit, where="epoch"),
        pair.finding(rung, "accuracy of the epoch", accuracy, unequal, where="epoch"),
        pair.finding(
            rung,
            "weights over distance travelled",
            travel,
            pair.bound(f"{rung} weights"),
            where="epoch",
        ),
    ]


def _recorded_steps(pair: Pair, prefix: str) -> list[int]:
    return sorted({int(name.split("/")[1]) for name in pair.trace if name.startswith(f"{prefix}/")})


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
