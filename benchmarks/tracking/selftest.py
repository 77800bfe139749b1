"""How often the gate cries wolf, and how often it sleeps: simulated, or with real runs.

A comparison of the code with itself, with itself made 10 % slower, and 5 % slower with twice as
many processes, all interleaved; simulated, also of sessions apart, as `gate --baseline` has them.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.slowdown import VARIABLE
from benchmarks.tracking.drift import Drift, judge_apart
from benchmarks.tracking.metrics import Metric
from results.noise import Noise, fit
from results.verdict import IMPROVED, NO_DATA, REGRESSED, UNCHANGED, Rule, Verdict, judge

# 30 runs of TINY on a 2-core virtual machine with other work on it gave 3.2 % between processes, no
# drift and no delays; drift and delays are assumed beside it. It is about the most at which the
# default number of processes meets the goals. Another machine's is fitted to its runs with --noise.
DEFAULT_NOISE = Noise(between=0.03, drift=0.01, delayed=0.05, delay=0.15)
# Small enough for some seconds a run; long enough for an epoch that a clock can time.
TINY = (
    *("--frameworks", "torch", "--architectures", "c1", "--dataset", "demo", "--image-size", "40"),
    *("--demo-images", "100", "--epochs", "3", "--batch-size", "16", "--threads", "1"),
)
_SEED = 20210601


@dataclass(frozen=True)
class Case:
    """One row of the table: a slowdown, the processes of each side, and the goal.

    most, least: shares of comparisons that may, or must, be called regressed.
    kept: sessions in the history, the baseline's the last of them, where the candidate is measured
    in a session of its own; None where both are interleaved.
    """

    title: str
    slowdown: float
    processes: int
    most: float = 1.0
    least: float = 0.0
    kept: int | None = None

    def met(self, verdicts: Counter[str]) -> bool:
        """Whether the goal was reached."""
        share = verdicts[REGRESSED] / max(1, sum(verdicts.values()))
        return self.least <= share <= self.most

    @property
    def goal(self) -> str:
        """The goal in words; empty where none is set."""
        if (self.least, self.most) == (0, 1):
            return ""
        share = f"at most {self.most:.0%}" if self.least == 0 else f"at least {self.least:.0%}"
        return f"{REGRESSED} {share}"


def cases(processes: int) -> list[Case]:
    """The rows of interleaved comparisons, for a default number of processes."""
    return [
        Case("A/A", 0.0, processes, most=0.01),
        Case("10 % slower", 0.10, processes, least=0.95),
        Case("5 % slower", 0.05, 2 * processes, least=0.75),
    ]


def cases_apart(processes: int) -> list[Case]:
    """The rows of sessions apart: how much is caught hangs on the machine, so it has no goal."""
    return [
        Case("A/A, apart, 30 sessions kept", 0.0, processes, most=0.01, kept=30),
        Case("A/A, apart, 10 sessions kept", 0.0, processes, most=0.01, kept=10),
        Case("A/A, apart, 9 sessions kept", 0.0, processes, most=0.01, kept=9),
        Case("10 % slower, apart, 30 kept", 0.10, processes, kept=30),
        Case("20 % slower, apart, 30 kept", 0.20, processes, kept=30),
    ]


class Kept:
    """Real comparisons in a file of JSON lines, so that hours of them can be broken off.

    One that the file holds, of the same case, number and command, is not run again. A line that was
    not written to its end is named and left out.
    """

    def __init__(self, path: Path | None, command: str) -> None:
        """Raises ValueError when the file holds comparisons of another command."""
        self._path, self._command = path, command
        self._found: dict[tuple[str, int, int], Verdict] = {}
        lines = path.read_text().splitlines(keepends=True) if path and path.exists() else []
        self._broken_off = bool(lines) and not lines[-1].endswith("\n")
        for place, line in enumerate(lines, start=1):
            try:
                one = msgspec.json.decode(line, type=_Line)
            except msgspec.DecodeError as error:
                print(f"{path}, line {place}: left out ({error})", file=sys.stderr)
                continue
            if one.command != command:
                raise ValueError(
                    f"{path}, line {place}: of '{one.command}', not '{command}'; name another file"
                )
            self._found[one.case, one.processes, one.number] = one.verdict

    def verdict(self, case: Case, number: int, compared: Callable[[], Verdict]) -> str:
        """The verdict that is kept, or that of a comparison made now; printed either way."""
        key = (case.title, case.processes, number)
        if key not in self._found:
            self._found[key] = compared()
            if self._path is not None:
                line = _Line(*key, self._command, self._found[key])
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("ab") as file:
                    start = b"\n" if self._broken_off else b""
                    file.write(start + msgspec.json.encode(_without_nan(line)) + b"\n")
                self._broken_off = False
        found = self._found[key]
        print(
            f"  {case.title}: {found.verdict}, ratio {found.ratio:.3f} [{found.low:.3f}, "
            f"{found.high:.3f}], noise floor {found.floor:.1%}, {found.reason}",
            flush=True,
        )
        return found.verdict


class _Line(msgspec.Struct):
    case: str
    processes: int
    number: int
    command: str
    verdict: Verdict


def _without_nan(line: _Line) -> dict[str, object]:
    """As plain data; what is NaN, which JSON has not, is left out and read as its default, NaN."""
    plain: dict[str, Any] = msgspec.to_builtins(line)
    told = dataclasses.asdict(line.verdict)
    plain["verdict"] = {name: value for name, value in told.items() if value == value}
    return plain


def selftest(options: argparse.Namespace, metrics: Sequence[Metric]) -> int:
    """Print the table; returns 0 when every goal was met, 1 when one was not.

    Raises:
        ValueError: nothing asked for, too few runs to fit a noise model, or runs that fail.
    """
    rule = metrics[0].rule
    if not options.simulate and not options.real:
        raise ValueError("selftest needs --simulate N, --real N or --rows N")
    met = True
    if options.simulate:
        noise = _noise(options, metrics[0])
        if options.drift is not None:
            noise = dataclasses.replace(noise, drift=options.drift)
        source = options.noise or "the default; --noise SELECTION fits it to stored runs"
        print(
            f"simulated ({source}): processes vary by {noise.between:.2%}, the machine's level by "
            f"{noise.drift:.2%} from one to the next, {noise.delayed:.1%} are delayed by "
            f"{noise.delay:.1%} on average"
        )
        met &= _table(
            options.simulate,
            [*cases(options.processes), *cases_apart(options.processes)],
            lambda case, number: simulated(case, noise, rule, number),
        )
    if options.real:
        run_options = options.run or list(TINY)
        command = f"python -m benchmarks.run {' '.join(run_options)}"
        print(f"real: {command}")
        kept = Kept(options.keep, command)
        met &= _table(
            options.real,
            cases(options.processes),
            lambda case, number: kept.verdict(
                case, number, lambda: real(case, run_options, metrics[0])
            ),
        )
    return 0 if met else 1


def simulated(case: Case, noise: Noise, rule: Rule, number: int) -> str:
    """The verdict on one simulated comparison: interleaved as on the spot, or of sessions apart."""
    random = np.random.default_rng([_SEED, number, case.processes, round(1000 * case.slowdown)])
    if case.kept is not None:
        sessions = noise.draw((case.kept + 1) * case.processes, random)
        sessions = sessions.reshape(-1, case.processes)
        drift = Drift.of(np.median(sessions[:-1], axis=1))
        return judge_apart(sessions[-2], sessions[-1] * (1 + case.slowdown), rule, drift).verdict
    times = noise.draw(2 * case.processes, random).reshape(-1, 2)
    times[1::2] = times[1::2, ::-1]  # A B, B A, A B, ...
    return judge(times[:, 0], times[:, 1] * (1 + case.slowdown), rule, paired=True).verdict


def real(case: Case, run_options: Sequence[str], metric: Metric) -> Verdict:
    """One real comparison of this checkout with itself, made slower."""
    from benchmarks.tracking.compare import compare, exit_status
    from benchmarks.tracking.history import History
    from benchmarks.tracking.on_the_spot import Side, interleave
    from results.store import Store

    slower = {VARIABLE: f"{case.slowdown:g}"} if case.slowdown else {}
    sides = (Side("baseline"), Side("candidate", environment=slower))
    with tempfile.TemporaryDirectory(prefix="selftest-") as scratch:
        stores = [Store(Path(scratch) / side.name) for side in sides]
        interleave(sides, stores, run_options, case.processes)
        both = Store(Path(scratch) / "both")
        for store in stores:
            both.merge(store)
        history = History.read(both)
        mine = set(stores[0].table([])["execution_id"].to_pylist())
        names = history.values("execution_id", range(len(history)))
        is_baseline = np.array([name in mine for name in names], dtype=np.bool_)
        judged = compare(
            history,
            np.flatnonzero(is_baseline),
            np.flatnonzero(~is_baseline),
            [metric],
            both,
            interleaved=True,
        )
    if exit_status(judged) == 4:
        raise ValueError(f"a run failed: {judged[0].verdict.reason}")
    return judged[0].verdict


def _noise(options: argparse.Namespace, metric: Metric) -> Noise:
    """The noise of the runs that --noise selects, or the default."""
    if options.noise is None:
        return DEFAULT_NOISE
    from benchmarks.tracking.history import History
    from benchmarks.tracking.selection import select
    from results.store import Store

    store = Store(options.store)
    history = History.read(store)
    rows = select(history, options.noise, store)
    values = history.metric(metric)
    series = history.series(rows[~np.isnan(values[rows])])
    if not series:
        raise ValueError(f"no finished run of '{options.noise}' has the metric {metric.name}")
    longest = max(series, key=lambda one: len(one.rows))
    return fit(values[longest.rows])


def _table(tries: int, rows: Sequence[Case], verdict: Callable[[Case, int], str]) -> bool:
    """Run every case so many times and print the table; whether every goal was met."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("comparison")
    names = ("processes", "tries", REGRESSED, UNCHANGED, IMPROVED, NO_DATA, "goal", "", "seconds")
    for name in names:
        table.add_column(name, justify="right")
    found: dict[str, Counter[str]] = {case.title: Counter() for case in rows}
    seconds = dict.fromkeys(found, 0.0)
    for number in range(tries):
        for case in rows:
            start = time.perf_counter()
            found[case.title][verdict(case, number)] += 1
            seconds[case.title] += time.perf_counter() - start
    for case in rows:
        mine = found[case.title]
        table.add_row(
            case.title,
            f"{case.processes}+{case.processes}",
            str(tries),
            *(str(mine[name]) for name in (REGRESSED, UNCHANGED, IMPROVED, NO_DATA)),
            case.goal,
            ("met" if case.met(mine) else "missed") if case.goal else "",
            f"{seconds[case.title]:.0f}",
        )
    Console(width=140, highlight=False).print(table)
    return all(case.met(found[case.title]) for case in rows)
