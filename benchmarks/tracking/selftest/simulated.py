"""Rates of the gate's false alarms and of slowdowns caught: simulated, or with real runs.

The code is compared with itself, with itself made 10 % slower, and 5 % slower with twice as many
processes, all interleaved. Simulations do so at the gate's looks and, as --all-processes, at once;
they also compare sessions apart, as `gate --baseline` does.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.tracking.metrics import Metric
from benchmarks.tracking.selftest import noises
from benchmarks.tracking.selftest.noise import Noise, fit
from benchmarks.tracking.selftest.real import Kept, one_try
from benchmarks.tracking.selftest.spot import in_turns, judge_at
from results.output import say
from results.stats.drift import Drift, judge_apart
from results.stats.looks import looks
from results.stats.verdict import Rule
from results.stats.vocabulary import IMPROVED, NO_DATA, REGRESSED, UNCHANGED

# 30 idiomatic runs of this size on a 2-core virtual machine with other work on it gave 3.2 %
# between processes, no drift and no delays; drift and delays are assumed beside it. It is about the
# most at which the default number of processes meets the goals. Another machine's is fitted to its
# runs with --noise.
DEFAULT_NOISE = Noise(between=0.03, drift=0.01, delayed=0.05, delay=0.15)
# Small enough for some seconds a run; long enough for an epoch that a clock can time. Tuned PyTorch
# keeps the memory it frees; whether glibc hands that of an idiomatic process back, which costs it a
# fifth of its speed, hangs on where its heap happens to end.
TINY = (
    *("--frameworks", "torch", "--tuning", "tuned", "--architectures", "c1", "--dataset", "demo"),
    *("--image-size", "40", "--demo-images", "100", "--epochs", "6", "--batch-size", "16"),
    *("--threads", "1"),
)
_SEED = 20210601
ALL = "all"  # of --noise: every kind of `noises`, not the runs of a selection


@dataclass(frozen=True)
class Case:
    """One row of the table: a slowdown, the processes of each side, and the goal.

    most, least: shares of comparisons that may, or must, be called regressed.
    kept: sessions in the history, the baseline's the last of them, where the candidate is measured
    in a session of its own; None where both are interleaved.
    looks: whether interleaved pairs are judged at the looks of `results.stats.looks`, or once.
    """

    title: str
    slowdown: float
    processes: int
    most: float = 1.0
    least: float = 0.0
    kept: int | None = None
    looks: bool = True

    def met(self, verdicts: Counter[str]) -> bool:
        """True if the share of regressed verdicts is within the goal."""
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


def cases_whole(processes: int) -> list[Case]:
    """The rows of `gate --all-processes`, which looks once."""
    return [
        dataclasses.replace(case, title=f"{case.title}, all processes", looks=False)
        for case in cases(processes)
    ]


def cases_apart(processes: int) -> list[Case]:
    """The rows of sessions apart: how much is caught hangs on the machine, so it has no goal."""
    return [
        Case("A/A, apart, 30 sessions kept", 0.0, processes, most=0.01, kept=30),
        Case("A/A, apart, 29 sessions kept", 0.0, processes, most=0.01, kept=29),
        Case("A/A, apart, 50 sessions kept", 0.0, processes, most=0.01, kept=50),
        Case("10 % slower, apart, 30 kept", 0.10, processes, kept=30),
        Case("20 % slower, apart, 30 kept", 0.20, processes, kept=30),
    ]


def selftest(options: argparse.Namespace, metrics: Sequence[Metric]) -> int:
    """Print the table; returns 0 when every goal was met, 1 when one was not.

    Raises:
        ValueError: nothing asked for, too few runs to fit a noise model, or runs that fail.
    """
    rule = metrics[0].rule
    if not options.simulate and not options.real:
        raise ValueError("selftest needs --simulate N, --real N or --rows N")
    met = True
    if options.simulate and options.noise == ALL:
        met &= noises.table(options.simulate, options.processes)
    elif options.simulate:
        noise = _noise(options, metrics[0])
        if options.drift is not None:
            noise = dataclasses.replace(noise, drift=options.drift)
        source = options.noise or "the default; --noise SELECTION fits it to stored runs"
        say(
            f"simulated ({source}): processes vary by {noise.between:.2%}, the machine's level by "
            f"{noise.drift:.2%} from one to the next, {noise.delayed:.1%} are delayed by "
            f"{noise.delay:.1%} on average"
        )
        met &= _table(
            options.simulate,
            [case for rows in SIMULATED for case in rows(options.processes)],
            lambda case, number: simulated(case, noise, rule, number),
        )
    if options.real:
        run_options = options.run or list(TINY)
        command = f"python -m benchmarks.run {' '.join(run_options)}"
        say(f"real: {command}")
        kept = Kept(options.keep, command, options.processes)
        met &= _table(
            options.real,
            cases(options.processes),
            lambda case, number: (
                kept.verdict(
                    case.title, number, lambda: one_try(run_options, options.processes, metrics[0])
                ),
                case.processes,
            ),
        )
    return 0 if met else 1


SIMULATED = (cases, cases_whole, cases_apart)


def simulated(case: Case, noise: Noise, rule: Rule, number: int) -> tuple[str, int]:
    """The verdict on one simulated comparison, and the processes of each side that it took.

    Interleaved as on the spot, or of sessions apart.
    """
    random = np.random.default_rng([_SEED, number, case.processes, round(1000 * case.slowdown)])
    if case.kept is not None:
        sessions = noise.draw((case.kept + 1) * case.processes, random)
        sessions = sessions.reshape(-1, case.processes)
        drift = Drift.of(np.median(sessions[:-1], axis=1))
        slower = sessions[-1] * (1 + case.slowdown)
        return judge_apart(sessions[-2], slower, rule, drift).verdict, case.processes
    times = in_turns(noise.draw(2 * case.processes, random), case.slowdown)
    taken = looks(case.processes) if case.looks else (None,)
    return judge_at(taken, times, rule)


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


def _table(
    tries: int, rows: Sequence[Case], verdict: Callable[[Case, int], tuple[str, int]]
) -> bool:
    """Run every case so many times and print the table; whether every goal was met.

    verdict: of a case and the number of a try, with the processes of each side that it took.
    """
    from results.table import Column, Table, show

    ranks = {"processes": 2, "taken": 2, "tries": 1}
    ranks |= dict.fromkeys((REGRESSED, UNCHANGED, IMPROVED, NO_DATA), 0) | {"goal": 3, "": 0}
    numbers = [Column(name, rank, right=True) for name, rank in ranks.items()]
    table = Table([Column("comparison"), *numbers])
    found: dict[str, Counter[str]] = {case.title: Counter() for case in rows}
    taken: Counter[str] = Counter()
    start = time.perf_counter()
    for number in range(tries):
        for case in rows:
            word, processes = verdict(case, number)
            found[case.title][word] += 1
            taken[case.title] += processes
    elapsed = time.perf_counter() - start
    for case in rows:
        mine = found[case.title]
        table.add(
            case.title,
            f"{case.processes}+{case.processes}",
            f"{taken[case.title] / max(1, tries):.1f}",
            str(tries),
            *(str(mine[name]) for name in (REGRESSED, UNCHANGED, IMPROVED, NO_DATA)),
            case.goal,
            ("met" if case.met(mine) else "missed") if case.goal else "",
        )
    show(table)
    say("taken: processes of each side on average, after which it was decided")
    say(f"{elapsed:.0f} s")
    return all(case.met(found[case.title]) for case in rows)
