"""R8: every mutant put through a small ladder, and the rung that kills it."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from benchmarks.fidelity.cases.case import Case
from benchmarks.fidelity.cases.ladder import CLASS_WEIGHTS, DYADIC, SMALL, make, steady
from benchmarks.fidelity.faults.catalog import MUTANTS, Mutant
from benchmarks.fidelity.measure.__main__ import REFERENCE
from benchmarks.fidelity.measure.collect import Traces, collect
from benchmarks.fidelity.rungs.judge import Finding, Pair, judge_pair
from frameworks.spec.architecture import parse

RUNGS = ("R0", "R1", "R2", "R3", "R4", "R5a")

# Every kind of layer, with what the faults bite on: a kernel that is not square and a stride-2
# "same" that pads one side only, a square dense layer, a rate that is not its own complement,
# several pixels and channels before the flatten layer, an output bias that is not zero.
_BAIT = """
layers = [
  {type = "conv", filters = 6, kernel = [4, 3], padding = "same", activation = "relu", l2 = 0.0078},
  {type = "batch_norm"},
  {type = "max_pool", size = 3, stride = 2},
  {type = "conv", filters = 8, kernel = 3, stride = 2, padding = "same"},
  {type = "batch_norm"},
  {type = "activation", function = "silu"},
  {type = "dropout", rate = 0.25},
  {type = "average_pool", size = 2},
  {type = "flatten"},
  {type = "dropout", rate = 0.25},
  {type = "dense", units = 12, activation = "tanh", max_norm = 0.5},
  {type = "dense", units = 12, activation = "sigmoid", l2 = 0.0078},
  {type = "dense", units = "classes", bias_initializer = "torch_uniform"},
]
"""
# Pools that end at one pixel whatever the stride of the first or the padding of the convolution,
# so that no shape gives these away; with large weights, for probabilities beyond clipping.
_NARROW = """
layers = [
  {type = "conv", filters = 6, kernel = 3, activation = "relu"},
  {type = "max_pool", size = 2},
  {type = "average_pool", size = 2},
  {type = "flatten"},
  {type = "dense", units = "classes"},
]
"""
# A batch norm whose input has a mean 30 times its spread: E[x^2] - E[x]^2 loses most digits.
_DIM = """
layers = [
  {type = "average_pool", size = 4},
  {type = "activation", function = "sigmoid"},
  {type = "batch_norm", epsilon = 9.5367431640625e-07},
  {type = "flatten"},
  {type = "dense", units = "classes"},
]
"""
_LARGE_WEIGHTS = 64.0
_ONE_BATCH = ("structure", "forward", "gradients")


@dataclass(frozen=True)
class Kill:
    """What the ladder says of one mutant, or of a framework without any (`mutant` empty).

    status: killed, survived or not run (also where the framework fails without it); without a
    mutant: passed, failed or not run.
    rungs: passed, failed or not run, by rung. rung: the first that did not pass; metric, where,
    value, bound and cause are those of its first finding.
    """

    mutant: str
    framework: str
    mistake: str = ""
    expected: str = ""
    status: str = "not run"
    rung: str = ""
    metric: str = ""
    where: str = ""
    value: float = float("nan")
    bound: float = float("nan")
    cause: str = ""
    rungs: Mapping[str, str] = field(default_factory=dict)

    @property
    def as_it_should_be(self) -> bool:
        """A mutant is killed; a framework without one passes."""
        return self.status == ("killed" if self.mutant else "passed")


def cases(optimizer: str = "adam", mutant: str = "") -> list[Case]:
    """The ladder that mutants are put through, R0 to R5a on pictures of 6 to 17 pixels."""
    spec = DYADIC[optimizer]
    even = steady(optimizer)
    bait = parse(_BAIT, origin="bait", default_name="bait")
    narrow = parse(_NARROW, origin="narrow", default_name="narrow")
    dim = parse(_DIM, origin="dim", default_name="dim")
    noise: dict[str, object] = {"pictures": "noise", "images": 24, "measure": _ONE_BATCH}
    made = {
        "batch": make(bait, even, size=17, images=24, measure=(*_ONE_BATCH, "steps"), steps=1),
        "narrow": make(narrow, spec, size=6, weight_noise=_LARGE_WEIGHTS, **noise),  # type: ignore[arg-type]
        "dim": make(dim, spec, "float32", size=8, **noise),  # type: ignore[arg-type]
        "weighted": make(SMALL, spec, size=8, class_weights=CLASS_WEIGHTS, **noise),  # type: ignore[arg-type]
        "alone": make(
            SMALL,
            spec,
            size=8,
            measure=("optimizer",),
            steps=20,
            rate_change=10,
            rate_factor=2**-3,
        ),
        "train": make(
            bait,
            spec,
            size=17,
            images=44,
            test_images=8,
            measure=("steps", "epoch"),
            steps=6,
            rate_change=3,
            rate_factor=0.5,
        ),
    }
    suffix = f"+{mutant}" if mutant else ""
    return [
        msgspec.structs.replace(case, name=f"{name}-{optimizer}{suffix}", mutant=mutant)
        for name, case in made.items()
    ]


def kill_matrix(
    directory: Path | None = None, mutants: Iterable[str] | None = None, *, timeout: float = 3600.0
) -> list[Kill]:
    """Each framework without a fault, then each mutant, against the float64 reference.

    Args:
        directory: receives the arrays; a temporary one when None.
        mutants: names; all by default.
        timeout: seconds without a case done, after which a process is killed.
    """
    chosen = [MUTANTS[name] for name in (MUTANTS if mutants is None else mutants)]
    optimizers = {framework: set[str]() for framework in dict.fromkeys(m.framework for m in chosen)}
    for mutant in chosen:
        optimizers[mutant.framework].add(mutant.optimizer)
    base = Path(directory or tempfile.mkdtemp(prefix="fidelity-mutants-"))

    traces = collect([REFERENCE], _controls(set().union(*optimizers.values())), base)
    for framework, used in optimizers.items():
        asked = _controls(used)
        for mutant in chosen:
            if mutant.framework == framework:
                asked += cases(mutant.optimizer, mutant.name)
        traces |= collect([framework], asked, base, timeout=timeout)

    kills = []
    for framework, used in optimizers.items():
        kills.append(_control(framework, traces, used))
    return kills + [_kill(mutant, traces) for mutant in chosen]


def _controls(optimizers: Collection[str]) -> list[Case]:
    return [case for optimizer in sorted(optimizers) for case in cases(optimizer)]


def _findings(traces: Traces, framework: str, optimizer: str, mutant: str = "") -> list[Finding]:
    found = []
    for clean, case in zip(cases(optimizer), cases(optimizer, mutant), strict=True):
        mine, reference = traces[framework, case.name], traces[REFERENCE, clean.name]
        found += judge_pair(Pair(clean, mine, reference))
    return found


def _control(framework: str, traces: Traces, optimizers: Collection[str]) -> Kill:
    found = [f for name in sorted(optimizers) for f in _findings(traces, framework, name)]
    blank = Kill("", framework, "none")
    if reason := _not_run(found):
        return replace(blank, cause=reason)
    status = "passed" if all(f.status == "passed" for f in found) else "failed"
    return _described(replace(blank, status=status), found)


def _kill(mutant: Mutant, traces: Traces) -> Kill:
    blank = Kill(mutant.name, mutant.framework, mutant.mistake, mutant.rung)
    control = _findings(traces, mutant.framework, mutant.optimizer)
    if reason := _not_run(control):
        return replace(blank, cause=reason)
    if failing := next((f for f in control if f.status == "failed"), None):
        reason = f"{mutant.framework} fails without the fault too: {failing.rung} {failing.where}"
        return replace(blank, cause=reason)
    found = _findings(traces, mutant.framework, mutant.optimizer, mutant.name)
    if any(f.status == "failed" for f in found):
        return _described(replace(blank, status="killed"), found)
    if reason := _not_run(found):  # a crash shows no wrong number: nothing was compared
        return replace(_described(blank, found), cause=reason)
    return _described(replace(blank, status="survived"), found)


def _not_run(findings: Iterable[Finding]) -> str:
    return next((f.cause for f in findings if f.status == "not run"), "")


def _described(kill: Kill, findings: Sequence[Finding]) -> Kill:
    """With the verdict of every rung, and the first that failed, else the first not run."""
    rungs: dict[str, str] = {}
    for rung in RUNGS:
        found = {f.status for f in findings if f.rung == rung}
        worst = [status for status in ("failed", "not run", "passed") if status in found]
        rungs |= {rung: worst[0]} if worst else {}
    bad = [f for status in ("failed", "not run") for f in findings if f.status == status]
    if not bad:
        return replace(kill, rungs=rungs)
    first = min(bad, key=lambda f: (f.status != "failed", f.rung))
    return replace(
        kill,
        rung=first.rung,
        metric=first.metric,
        where=first.where,
        value=first.value,
        bound=first.bound,
        cause=first.cause,
        rungs=rungs,
    )


_MARKS = {"passed": "·", "failed": "✗", "not run": "!"}


def markdown(kills: Iterable[Kill]) -> str:
    """The kill matrix as a Markdown table, the frameworks without a fault first."""
    kills = list(kills)
    head = ["mutant", "in", "what was done wrong", *RUNGS, "first sign", "error", "likely cause"]
    lines = [_line(head), _line(["---"] * 3 + [":-:"] * len(RUNGS) + ["---"] * 3)]
    for kill in kills:
        name = f"`{kill.mutant}`" if kill.mutant else "**none**"
        marks = [_MARKS[kill.rungs[rung]] if rung in kill.rungs else "" for rung in RUNGS]
        sign = " ".join(filter(None, [kill.rung, kill.metric, kill.where]))
        error = f"{kill.value:.0e} > {kill.bound:.0e}" if kill.value == kill.value else ""
        if kill.status in ("survived", "not run"):
            sign = f"**{kill.status}**"
        cells = [name, kill.framework, kill.mistake, *marks, sign, error, kill.cause]
        lines.append(_line(cells))
    dead = sum(kill.status == "killed" for kill in kills)
    clean = sum(kill.as_it_should_be for kill in kills if not kill.mutant)
    mutants = [kill for kill in kills if kill.mutant]
    summary = (
        f"{dead} of {len(mutants)} mutants killed; {clean} of {len(kills) - len(mutants)} "
        "frameworks pass every rung without one. ✗ failed, · passed, ! could not run."
    )
    return "\n".join([summary, "", *lines, ""])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
