"""R8 for the float32 trainings: faults put through R5b and R5c, one of them of float32 alone.

They cost more than the rungs of `kills`, and they are the ones that could sleep: R5b's bound is
loose beside float64's, and R5c's is a measured one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.fidelity.cases.ladder import make, smooth_trajectories
from benchmarks.fidelity.faults.catalog import MUTANTS
from benchmarks.fidelity.measure.__main__ import REFERENCE
from benchmarks.fidelity.measure.collect import collect
from benchmarks.fidelity.rungs.divergence_run import against_own_noise
from benchmarks.fidelity.rungs.finding import Finding, Pair
from benchmarks.fidelity.rungs.judge import judge_pair
from frameworks.spec.architecture import parse

# Two of an optimizer, in every precision, and one that float64 does not have.
FAULTS = ("epsilon_hat", "beta_2_of_099", "tf32_rounding")
STEPS = 50
# No batch norm, kinks of both kinds; large enough for a hundred thousand roundings a step.
_KINKED = """
layers = [
  {type = "conv", filters = 8, kernel = 3, activation = "relu"},
  {type = "max_pool", size = 2},
  {type = "conv", filters = 16, kernel = 3, activation = "relu"},
  {type = "max_pool", size = 2},
  {type = "flatten"},
  {type = "dense", units = 32, activation = "relu"},
  {type = "dense", units = "classes"},
]
"""
_OTHER = {"keras": "torch", "torch": "keras"}  # whom R5c holds a framework with a fault against


@dataclass(frozen=True)
class Float32Kill:
    """R5b's and R5c's findings on a framework with a fault, or without one (`mutant` empty)."""

    mutant: str
    framework: str
    findings: tuple[Finding, ...]

    def status(self, rung: str) -> str:
        """failed, not run or passed: the worst of the rung's findings."""
        found = {finding.status for finding in self.findings if finding.rung == rung}
        order = ("failed", "not run", "passed")
        return next((status for status in order if status in found), "not run")

    @property
    def as_it_should_be(self) -> bool:
        """R5b and R5c fail with the fault; without one both pass."""
        both = {self.status("R5b"), self.status("R5c")}
        return both == ({"failed"} if self.mutant else {"passed"})

    def worst(self, rung: str) -> Finding:
        """The finding of a rung that is furthest beyond its bound, or nearest to it."""
        mine = [finding for finding in self.findings if finding.rung == rung]
        return max(mine, key=lambda finding: finding.value / finding.bound if finding.bound else 0)


def float32_kills(
    directory: Path, mutants: Iterable[str] = FAULTS, *, timeout: float = 3600.0
) -> list[Float32Kill]:
    """Each framework without a fault, and with each of its own, through R5b and R5c on one small
    network."""
    faults: dict[str, list[str]] = {}
    for name in mutants:
        faults.setdefault(MUTANTS[name].framework, [""]).append(name)
    kills = []
    for framework, mine in faults.items():
        for fault in mine:
            folder = directory / f"{framework}-{fault or 'sound'}"
            found = [
                *_smooth(framework, fault, folder / "smooth", timeout),
                *_noise(framework, fault, folder / "noise", timeout),
            ]
            kills.append(Float32Kill(fault, framework, tuple(found)))
    return kills


def _smooth(framework: str, fault: str, folder: Path, timeout: float) -> list[Finding]:
    network = parse(_KINKED, origin="kinked", default_name="kinked")
    (case,) = smooth_trajectories([network], ["adam"], STEPS, size=20)
    faulty = msgspec.structs.replace(case, mutant=fault)
    mine = collect([framework], [faulty], folder, timeout=timeout)
    reference = collect([REFERENCE], [case], folder, timeout=timeout)
    return judge_pair(Pair(case, mine[framework, case.name], reference[REFERENCE, case.name]))


def _noise(framework: str, fault: str, folder: Path, timeout: float) -> list[Finding]:
    network = parse(_KINKED, origin="kinked", default_name="kinked")
    plain = make(network, "adam", "float32", label="noise", size=20, images=44)
    names = [framework, _OTHER[framework]]
    faults = {framework: fault} if fault else {}
    found, _ = against_own_noise([plain], names, STEPS, folder, timeout=timeout, mutants=faults)
    return found


def markdown(kills: Iterable[Float32Kill]) -> str:
    """A Markdown table: a row per fault and rung, with the finding furthest beyond its bound."""
    lines = [
        "| mutant | in | rung | verdict | finding | error | bound |",
        "|---|---|---|---|---|---|---|",
    ]
    for kill in kills:
        name = f"`{kill.mutant}`" if kill.mutant else "**none**"
        for rung in ("R5b", "R5c"):
            verdict = {"failed": "killed"} if kill.mutant else {}
            status = kill.status(rung)
            said = verdict.get(status, "survived" if kill.mutant and status == "passed" else status)
            worst = kill.worst(rung)
            cells = [name, kill.framework, rung, said, worst.metric]
            cells += [f"{worst.value:.1e}", f"{worst.bound:.1e}"]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])
