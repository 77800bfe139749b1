"""The ladder in the terminal: how far it is, then the answer, then the figures."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Sequence

from rich.console import Console

from benchmarks.fidelity.rungs.finding import Finding
from benchmarks.fidelity.rungs.verdict import REFERENCE, Rung, Verdict, nearness
from results.output import say
from results.table import Cell, Column, Table, show
from results.terminal import Terminal

_SHOWN = 5  # failures, without --details
_EVERY = 5.0  # seconds between two lines of progress where they are kept in a file


class Progress:
    """Says on stderr which case is done, of how many; from any thread."""

    def __init__(self, total: int) -> None:
        self.total, self.count = total, 0
        self._lock, self._start, self._said = threading.Lock(), time.monotonic(), 0.0
        self._live = sys.stderr.isatty()

    def done(self, framework: str, case: str) -> None:
        """One more case."""
        with self._lock:
            self.count += 1
            now = time.monotonic() - self._start
            last = self.count == self.total
            if not (self._live or last or now - self._said >= _EVERY):
                return
            self._said = now
            line = f"{self.count} of {self.total} after {now:.0f} s: {framework} {case}"
            if self._live:
                end = "\n" if last else "\r"  # the next one is written over it
                say(f"{line[:78]:78}", error=True, end=end, flush=True)
            else:
                tell(line)


def tell(line: str) -> None:
    """Progress, apart from what is printed as the result."""
    say(line, error=True, flush=True)


def answer(
    verdicts: Sequence[Verdict], rungs: Sequence[Rung], not_asked: str, failures: Sequence[Finding]
) -> None:
    """Print a sentence for each pair, a line for each rung, and the first failures."""
    console = _console()
    for verdict in verdicts:
        console.print(_capital(verdict.sentence), style="bold", highlight=False, markup=False)
    for rung in rungs:
        console.print(_line(rung), highlight=False, markup=False, overflow="ellipsis", no_wrap=True)
    for finding in failures[:_SHOWN]:
        console.print(failure(finding), highlight=False, markup=False)
    if len(failures) > _SHOWN:
        console.print(f"{len(failures) - _SHOWN} more: --details", markup=False)
    if not_asked:
        console.print(not_asked, highlight=False, markup=False)


def details(findings: Sequence[Finding], *, verbose: bool = False) -> None:
    """Print the worst finding of each rung, framework and precision, then every failure."""
    show(summary(list(findings), verbose=verbose))
    console = Terminal(soft_wrap=True)
    for finding in findings:
        if finding.status != "passed":
            console.print(failure(finding), highlight=False, markup=False)


def failure(finding: Finding) -> str:
    """The comparisons that failed, each with its usual cause."""
    place = f" at {finding.where}" if finding.where else ""
    return (
        f"{finding.status}: {finding.rung} {finding.case}, {finding.framework} against "
        f"{finding.against}: {finding.metric} {finding.value:.1e} (bound "
        f"{finding.bound:.0e}){place}. {finding.cause}"
    )


def summary(findings: list[Finding], *, verbose: bool) -> Table:
    """A row per rung, metric, precision and framework: the finding nearest to its bound."""
    worst: dict[tuple[str, ...], Finding] = {}
    counts: dict[tuple[str, ...], list[int]] = {}
    for finding in findings:
        named = verbose or finding.against in (REFERENCE, "float64")
        against = finding.against if named else "the others"
        key: tuple[str, ...] = (finding.rung, finding.metric, finding.precision)
        key += (finding.framework, against, *([finding.case] if verbose else []))
        count = counts.setdefault(key, [0, 0])
        count[0] += finding.status == "passed"
        count[1] += 1
        if key not in worst or nearness(finding) > nearness(worst[key]):
            worst[key] = finding
    ranks = {"rung": 0, "compared": 2, "precision": 3, "framework": 0, "against": 4}
    ranks |= {"case": 1} if verbose else {}
    numbers = [Column(name, right=True) for name in ("largest error", "bound", "passed")]
    table = Table([*(Column(name, rank) for name, rank in ranks.items()), *numbers])
    for key, finding in sorted(worst.items()):
        passed, total = counts[key]
        cells = (*key, f"{finding.value:.1e}", f"{finding.bound:.0e}", f"{passed}/{total}")
        table.add(*(Cell(cell, style="" if passed == total else "bold red") for cell in cells))
    return table


def _line(rung: Rung) -> str:
    """`R1   24 of 24 held; nearest: keras, 31% of 1e-12 (largest error by layer)`."""
    one = rung.nearest
    if rung.share == float("inf"):
        near = f"{one.status}: {one.framework}, {one.metric}"
    elif not one.bound:
        near = "to the bit"
    else:
        near = f"nearest: {one.framework}, {rung.share:.0%} of {one.bound:.0e} ({one.metric})"
    return f"{rung.name:3}  {rung.held} of {rung.asked} held; {near}"


def _capital(sentence: str) -> str:
    """The sentence as it is: a framework's name keeps its letters."""
    return sentence[:1].upper() + sentence[1:] if sentence.startswith("whether") else sentence


def _console() -> Console:
    return Terminal(soft_wrap=False, width=80 if not sys.stdout.isatty() else None)


def lines(texts: Iterable[str]) -> None:
    """Print texts, folded at the width of the terminal."""
    console = _console()
    for text in texts:
        console.print(text, highlight=False, markup=False)
