"""The ladder in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from benchmarks.fidelity.rungs.judge import Finding


def show(findings: Iterable[Finding], *, verbose: bool = False) -> None:
    """Print the worst finding of each rung, framework and precision, then every failure."""
    console = Console(soft_wrap=True)
    if not console.is_terminal:
        console.width = max(console.width, 140)  # in a file nothing need be folded
    console.print(summary(list(findings), verbose=verbose))
    for finding in findings:
        if finding.status != "passed":
            place = f" at {finding.where}" if finding.where else ""
            console.print(
                f"{finding.status}: {finding.rung} {finding.case}, {finding.framework} against "
                f"{finding.against}: {finding.metric} {finding.value:.1e} (bound "
                f"{finding.bound:.0e}){place}. {finding.cause}"
            )


def tell(line: str) -> None:
    """Progress, apart from what is printed as the result."""
    print(line, file=sys.stderr, flush=True)


def summary(findings: list[Finding], *, verbose: bool) -> Table:
    """A row per rung, metric, precision and framework: the finding nearest to its bound."""
    worst: dict[tuple[str, ...], Finding] = {}
    counts: dict[tuple[str, ...], list[int]] = {}
    for finding in findings:
        named = verbose or finding.against in ("numpy", "float64")
        against = finding.against if named else "the others"
        key: tuple[str, ...] = (finding.rung, finding.metric, finding.precision)
        key += (finding.framework, against, *([finding.case] if verbose else []))
        count = counts.setdefault(key, [0, 0])
        count[0] += finding.status == "passed"
        count[1] += 1
        if key not in worst or _nearness(finding) > _nearness(worst[key]):
            worst[key] = finding
    columns = ["rung", "compared", "precision", "framework", "against"]
    columns += ["case"] if verbose else []
    table = Table(*columns, "largest error", "bound", "passed", box=None, pad_edge=False)
    for key, finding in sorted(worst.items()):
        passed, total = counts[key]
        table.add_row(
            *key,
            f"{finding.value:.1e}",
            f"{finding.bound:.0e}",
            f"{passed}/{total}",
            style="" if passed == total else "bold red",
        )
    return table


def _nearness(finding: Finding) -> float:
    """How near to its bound a finding is; not run and NaN come first."""
    if not finding.value <= finding.bound:
        return float("inf")
    return finding.value / finding.bound if finding.bound else 0.0
