"""Verdict of a climb in sentences: one for each pair of frameworks, one line for each rung."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from benchmarks.fidelity.rungs.finding import Finding
from results.words import count

REFERENCE = "numpy"
ORDER = ("R0", "R1", "R2", "R3", "R4", "R5a", "R5d", "R5e", "R5b", "R5c")


@dataclass(frozen=True)
class Verdict:
    """Agreement of two frameworks, or of one and the reference.

    held, asked: comparisons of the two, and of each with the reference. word: "the same" where all
    hold, "not the same" where one failed, else "not shown": something could not be run.
    """

    one: str
    other: str
    word: str
    held: int
    asked: int
    sentence: str


@dataclass(frozen=True)
class Rung:
    """All that was found on one rung; nearest: the finding nearest to its bound, or beyond it."""

    name: str
    held: int
    asked: int
    nearest: Finding

    @property
    def share(self) -> float:
        """The error of the nearest as a share of its bound; inf where it did not hold."""
        return nearness(self.nearest)


def verdicts(findings: Sequence[Finding], names: Sequence[str]) -> list[Verdict]:
    """One for each pair of frameworks; of a framework alone, of it and the reference."""
    pairs = list(combinations(names, 2)) or [(names[0], REFERENCE)]
    return [_verdict(findings, *pair) for pair in pairs]


def rungs(findings: Sequence[Finding]) -> list[Rung]:
    """The rungs that were asked, in their order."""
    found = []
    for name in sorted({one.rung for one in findings}, key=_place):
        mine = [one for one in findings if one.rung == name]
        held = sum(one.status == "passed" for one in mine)
        found.append(Rung(name, held, len(mine), max(mine, key=nearness)))
    return found


def nearness(finding: Finding) -> float:
    """Value of a finding as a share of its bound: 1 at the bound; inf where it did not hold."""
    if finding.status != "passed" or not finding.value <= finding.bound:
        return float("inf")
    return finding.value / finding.bound if finding.bound else 0.0


def _verdict(findings: Sequence[Finding], one: str, other: str) -> Verdict:
    among = {one, other, REFERENCE, "float64"}  # R5c holds a framework against its own float64
    mine = [f for f in findings if f.framework in (one, other) and f.against in among]
    mine += [f for f in findings if f.rung == "R5c" and f.framework in (one, other)]
    mine = list(dict.fromkeys(mine))
    held = sum(f.status == "passed" for f in mine)
    bad = [f for f in mine if f.status == "failed"]
    missing = [f for f in mine if f.status == "not run"]
    both = f"{one} and {'the float64 reference' if other == REFERENCE else other}"
    if bad:
        first = min(bad, key=lambda f: (_place(f.rung), f.against != REFERENCE))
        named = f"{first.framework} against {_who(first.against)}"
        why = f" Likely cause: {first.cause}." if first.cause else ""
        sentence = (
            f"{both} do not train the same network: {len(bad)} of "
            f"{count(len(mine), 'comparison')} failed, "
            f"first {first.rung}, {named}, {first.metric}.{why}"
        )
        return Verdict(one, other, "not the same", held, len(mine), sentence)
    if missing or not mine:
        why = missing[0].cause if missing else "nothing was compared"
        sentence = (
            f"whether {both} train the same network is not shown: {len(missing)} of "
            f"{count(len(mine), 'comparison')} could not be made: {why}."
        )
        return Verdict(one, other, "not shown", held, len(mine), sentence)
    sentence = (
        f"{both} train the same network, as far as asked: {held} of "
        f"{count(held, 'comparison')} held."
    )
    return Verdict(one, other, "the same", held, len(mine), sentence)


def _who(name: str) -> str:
    return "the reference" if name == REFERENCE else name


def _place(rung: str) -> int:
    return ORDER.index(rung) if rung in ORDER else len(ORDER)
