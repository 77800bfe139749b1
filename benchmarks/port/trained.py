"""Programs trained by their own steps in the harness: its process, and what its rows say."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.port.operation import PortError
from benchmarks.process.spawn import Child
from benchmarks.system import machine
from results.stats.vocabulary import DIFFERENT
from results.words import count


class Curve(msgspec.Struct, kw_only=True):
    """Means of a program over its seeds, by epoch.

    losses: of training. accuracies: of validation, as shares; none without validation.
    seconds: median of an epoch; NaN where no run ended well.
    """

    losses: list[float]
    accuracies: list[float]
    seconds: float


class Trained(msgspec.Struct, kw_only=True):
    """Result of training A and B.

    command: that trained them. seeds: number of them. curves: of A and of B.
    verdict: of R6, by its words. beyond: its difference is larger than a margin.
    outcome: sentences on it. failed: runs that did not end well.
    """

    command: str
    seeds: int
    curves: tuple[Curve, Curve]
    verdict: str
    beyond: bool
    outcome: list[str]
    failed: list[str]

    @property
    def told(self) -> str:
        """One clause on what came out."""
        epochs = count(max(len(one.losses) for one in self.curves), "epoch")
        lost = f"; {count(len(self.failed), 'run')} failed" if self.failed else ""
        small = ", within the margin" if self.verdict == DIFFERENT and not self.beyond else ""
        seeds = count(self.seeds, "seed")
        return f"trained for {epochs} with {seeds}: {self.verdict}{small}{lost}"


def run(words: Sequence[str], scratch: Path) -> list[str]:
    """Train in the harness, whose lines go to stderr; gives the execution ids of its rows.

    Args:
        words: of `python -m benchmarks.run`.

    Raises:
        PortError: it trained nothing; the message says why.
    """
    ids = scratch / "ids"
    given = [*words, "--no-report", "--write-ids", str(ids)]
    path = [str(machine.ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(path)}
    with Child("benchmarks.run", given, variables, printed=_show) as child:
        for _ in child.events():
            pass
        failure = child.failure()
    if not ids.exists():
        raise PortError(f"--train: {failure.removeprefix('error: ')}", status=4)
    return ids.read_text().split()


def _show(data: bytes) -> None:
    sys.stderr.buffer.write(data)
    sys.stderr.flush()


def trained(store: Path, ids: Sequence[str], pair: tuple[str, str], command: str) -> Trained:
    """Curves, speed and R6 of two frameworks, by the rows with these execution ids.

    Raises:
        PortError: no run ended well.
    """
    from results.store import Store
    from results.studies.outcome import between
    from results.studies.outcome_words import sentences

    opened = Store(store)
    runs, epochs = (
        frame[frame["execution_id"].isin(ids)] for frame in (opened.runs(), opened.epochs())
    )
    runs = runs[runs["framework"].isin(pair)]
    names = dict(zip(pair, "AB", strict=True))
    bad = runs[runs["status"] != "ok"]
    told = zip(bad["framework"], bad["seed"], bad["status"], bad["reason"], strict=True)
    failed = [f"{names[one]}, seed {seed}: {status} ({why})" for one, seed, status, why in told]
    if len(failed) == len(runs):
        raise PortError(f"no run ended well; {failed[0]}", status=4)
    epochs = epochs.merge(runs[["execution_id", "framework"]], on="execution_id")

    def means(framework: str, split: str, column: str) -> list[float]:
        chosen = epochs[(epochs["framework"] == framework) & (epochs["split"] == split)]
        by_epoch = chosen[chosen["epoch"] >= 1].groupby("epoch")[column].mean()
        return [float(value) for value in by_epoch]

    curves = [
        Curve(
            losses=means(name, "train", "loss"),
            accuracies=means(name, "validation", "accuracy"),
            seconds=float(runs.loc[runs["framework"] == name, "epoch_seconds_median"].median()),
        )
        for name in pair
    ]
    predictions = opened.predictions(probabilities=False)
    (found,) = between(runs, predictions, pair, independent=True)
    return Trained(
        command=command,
        seeds=int(runs["seed"].nunique()),
        curves=(curves[0], curves[1]),
        verdict=found.verdict,
        beyond=found.beyond,
        outcome=sentences(found, names),
        failed=failed,
    )
