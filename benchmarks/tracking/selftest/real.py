"""Real runs for the self-test: a try of every row of its table from one interleaved session.

A block has five runs: the code as it is twice, once made slower by 10 % and twice by 5 %. The rows
share runs, so that a try takes five runs a block and not eight; each row on its own is what a gate
on the spot would have seen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from benchmarks.process.slowdown import VARIABLE
from benchmarks.tracking.metrics import Metric
from results.output import say
from results.stats.verdict import Verdict
from results.writer import scratch_directory

if TYPE_CHECKING:
    from results.store import Store

# The runs of a block by how much slower they are made, and which of them each row compares.
_SLOWDOWNS = (0.0, 0.10, 0.05, 0.0, 0.05)
ROWS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "A/A": ((0,), (3,)),
    "10 % slower": ((0,), (1,)),
    "5 % slower": ((0, 3), (2, 4)),
}


def one_try(run_options: Sequence[str], blocks: int, metric: Metric) -> dict[str, Verdict]:
    """This checkout against itself, made slower: a verdict for every row.

    Args:
        run_options: of `benchmarks.run`.
        blocks: runs of each of the five; the last row has twice as many processes a side.

    Raises:
        ValueError: a run that fails, or options that cannot be run.
    """
    from benchmarks.tracking.gate import Side, interleave
    from results.store import Store

    sides = [
        Side(f"run {place}", environment={VARIABLE: f"{share:g}"} if share else {})
        for place, share in enumerate(_SLOWDOWNS)
    ]
    with scratch_directory() as scratch:
        stores = [Store(scratch / side.name) for side in sides]
        interleave(sides, stores, run_options, blocks)
        both = Store(scratch / "all")
        for store in stores:
            both.merge(store)
        executions = [set(store.table([])["execution_id"].to_pylist()) for store in stores]
        return {row: _judged(both, executions, *parts, metric) for row, parts in ROWS.items()}


def _judged(
    store: Store,
    executions: Sequence[set[str]],
    before: Sequence[int],
    after: Sequence[int],
    metric: Metric,
) -> Verdict:
    from benchmarks.tracking.compare import compare, exit_status
    from benchmarks.tracking.history import History

    history = History.read(store)
    names = history.values("execution_id", range(len(history)))
    baseline, candidate = (
        np.flatnonzero([any(name in executions[place] for place in side) for name in names])
        for side in (before, after)
    )
    judged = compare(history, baseline, candidate, [metric], store, interleaved=True)
    if exit_status(judged) == 4:
        raise ValueError(f"a run failed: {judged[0].verdict.reason}")
    return judged[0].verdict


class Kept:
    """Real comparisons in a file of JSON lines, so that hours of them can be broken off.

    One that the file holds, of the same row, number and command, is not run again. A line that was
    not written to its end is named and left out.
    """

    def __init__(self, path: Path | None, command: str, processes: int) -> None:
        """Raises ValueError when the file holds comparisons of another command."""
        self._path, self._command, self._processes = path, command, processes
        self._found: dict[tuple[str, int, int], Verdict] = {}
        lines = path.read_text().splitlines(keepends=True) if path and path.exists() else []
        self._broken_off = bool(lines) and not lines[-1].endswith("\n")
        for place, line in enumerate(lines, start=1):
            try:
                one = msgspec.json.decode(line, type=_Line)
            except msgspec.DecodeError as error:
                say(f"{path}, line {place}: left out ({error})", error=True)
                continue
            if one.command != command:
                raise ValueError(
                    f"{path}, line {place}: of '{one.command}', not '{command}'; name another file"
                )
            self._found[one.case, one.processes, one.number] = one.verdict

    def verdict(self, row: str, number: int, tried: Callable[[], Mapping[str, Verdict]]) -> str:
        """The verdict that is kept, or that of a try made now; printed either way.

        Args:
            row: of the table. number: of the try.
            tried: the verdicts of a new try, by row.
        """
        if (row, self._processes, number) not in self._found:
            for name, verdict in tried().items():
                self._keep(_Line(name, self._processes, number, self._command, verdict))
        found = self._found[row, self._processes, number]
        say(
            f"  {row}: {found.verdict}, ratio {found.ratio:.3f}, {found.interval.words('.3f')}, "
            f"noise floor {found.floor:.1%}, {found.reason}",
            flush=True,
        )
        return found.verdict

    def _keep(self, line: _Line) -> None:
        self._found[line.case, line.processes, line.number] = line.verdict
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                start = b"\n" if self._broken_off else b""
                file.write(start + msgspec.json.encode(_without_nan(line)) + b"\n")
            self._broken_off = False


class _Line(msgspec.Struct):
    case: str
    processes: int
    number: int
    command: str
    verdict: Verdict


def _without_nan(line: _Line) -> dict[str, object]:
    """The line as plain data, without NaN, which JSON lacks; it is read back as the default."""
    plain: dict[str, Any] = msgspec.to_builtins(line)
    told = dataclasses.asdict(line.verdict)
    plain["verdict"] = {name: value for name, value in told.items() if value == value}
    return plain
