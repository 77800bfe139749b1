"""Baseline against candidate: cells paired, a verdict for each, an exit status for all."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from benchmarks.tracking.drift import between_sessions
from benchmarks.tracking.history import History, Rows, Series
from benchmarks.tracking.identity import Configurations, refusal, same_framework
from benchmarks.tracking.metrics import OF_EPOCHS, Metric
from results.stats.drift import judge_apart
from results.stats.looks import Look
from results.stats.verdict import Verdict, judge
from results.stats.vocabulary import (
    CHANGES,
    ERROR,
    IMPROVED,
    NO_DATA,
    REGRESSED,
    UNCHANGED,
    Change,
)
from results.words import count
from results.writer import write

if TYPE_CHECKING:
    from results.store import Store

STATUS: dict[Change, int] = {UNCHANGED: 0, IMPROVED: 0, REGRESSED: 1, NO_DATA: 3, ERROR: 4}
_FAILED = ("error", "oom", "timeout", "diverged")


@dataclass(frozen=True)
class Judged:
    """One cell and metric with its verdict.

    label: of the cell, and of both where they differ. look: the one at which it was judged; None
    for what is judged once.
    """

    label: str
    metric: Metric
    verdict: Verdict
    look: Look | None = None


def exit_status(judged: Iterable[Judged]) -> int:
    """The status of a gate: 1 regressed, else 4 error, else 3 no-data (or nothing), else 0."""
    seen = {one.verdict.verdict for one in judged}
    if not seen:
        return STATUS[NO_DATA]
    return next(STATUS[verdict] for verdict in CHANGES if verdict in seen)


def json_text(judged: Sequence[Judged]) -> str:
    """The verdicts as a JSON list, a field for each of `Verdict`; what is not a number is null."""
    rows = []
    for one in judged:
        fields = {
            name: None if isinstance(value, float) and not isfinite(value) else value
            for name, value in asdict(one.verdict).items()
        }
        if one.look is not None:
            fields |= {"pairs": one.look.pairs, "planned_pairs": one.look.planned}
        rows.append({"cell": one.label, "metric": one.metric.name, **fields})
    return json.dumps(rows, indent=1) + "\n"


def write_json(judged: Sequence[Judged], path: Path) -> None:
    """Write `json_text` to a file.

    Raises:
        OSError: the file cannot be written; the message names it.
    """
    try:
        write(path, json_text(judged))
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from error


def compare(
    history: History,
    baseline: Rows,
    candidate: Rows,
    metrics: Sequence[Metric],
    store: Store,
    *,
    across: Collection[str] = (),
    interleaved: bool = False,
    look: Look | None = None,
) -> list[Judged]:
    """A verdict for every cell of the baseline and every metric that it has values of.

    Args:
        baseline, candidate: rows of the history; a row of both counts as the baseline's.
        across: fields of `identity.ACROSS` in which two cells may differ.
        interleaved: run i of a cell's baseline and run i of its candidate, in the order of time,
            were one block (a gate on the spot); otherwise pairs are those of one session.
        look: of interleaved runs that are judged several times, which one this is.

    Raises:
        ValueError: a cell of the candidate would be a cell of the baseline but for its machine,
            data, spec, parity or the like; the message names the field.
    """
    candidate = np.setdiff1d(candidate, baseline)
    pairs = matched(history, baseline, candidate, store, across=across)
    found = []
    for before, after in pairs:
        for metric in metrics:
            values = history.metric(metric)
            rows = before.rows if after is None else np.concatenate([before.rows, after.rows])
            if np.isnan(values[rows]).all() and not _measured(history, rows, metric):
                continue  # a metric of other tools, or of none
            one = _judged(history, values, before, after, metric, interleaved, look)
            found.append(replace(one, look=look))
    return found


def matched(
    history: History,
    baseline: Rows,
    candidate: Rows,
    store: Store,
    *,
    across: Collection[str] = (),
) -> list[tuple[Series, Series | None]]:
    """The cells of the baseline, each with that of the candidate; None where there is none.

    Raises:
        ValueError: as `compare`.
    """
    before, after = history.series(baseline), history.series(candidate)
    by_key = {(one.machine_id, one.cell_id): one for one in after}
    pairs: list[tuple[Series, Series | None]] = []
    alone = []
    for series in before:
        same = by_key.pop((series.machine_id, series.cell_id), None)
        if same is None:
            alone.append(series)
        else:
            pairs.append((series, same))
    left = list(by_key.values())
    configurations = Configurations(history, store)
    for series in alone:
        partner = _partner(series, _likely(history, series, left, across), configurations, across)
        if partner is not None:
            left.remove(partner)
        pairs.append((series, partner))
    return sorted(pairs, key=lambda pair: pair[0].label)


def _likely(
    history: History, series: Series, left: list[Series], across: Collection[str]
) -> list[Series]:
    """Cells left over of the same framework; of other tools those of the same benchmark."""
    if history.imported[series.rows[0]]:
        return [one for one in left if one.cell_id == series.cell_id]
    own = [one for one in left if not history.imported[one.rows[0]]]
    return [one for one in own if "framework" in across or same_framework(series, one)]


def _partner(
    series: Series, likely: list[Series], configurations: Configurations, across: Collection[str]
) -> Series | None:
    """The cell that this one may be compared with; None where there is nothing like it.

    Raises:
        ValueError: there is one, but it differs in a field that was not named; or two fit alike.
    """
    if not likely:
        return None
    differences = {id(one): configurations.differences(series, one) for one in likely}

    def barring(one: Series) -> int:
        return sum(field not in across for field in differences[id(one)])

    nearest = min(
        likely, key=lambda one: (barring(one), sum(map(len, differences[id(one)].values())))
    )
    if barring(nearest):
        raise ValueError(refusal(series, nearest, differences[id(nearest)], across))
    alike = [one for one in likely if differences[id(one)] == differences[id(nearest)]]
    if len(alike) > 1:
        raise ValueError(
            f"baseline '{series.label}' fits {count(len(alike), 'cell')} of the candidate alike; "
            "narrow the selection, as in framework=torch,precision=float32"
        )
    return nearest


def _measured(history: History, rows: Rows, metric: Metric) -> bool:
    """True if every run of these rows should have the metric, so that one without it failed.

    That is the metric epoch-time, where no row was imported.
    """
    return metric.name == "epoch-time" and not history.imported[rows].any()


def _judged(
    history: History,
    values: npt.NDArray[np.float64],
    before: Series,
    after: Series | None,
    metric: Metric,
    interleaved: bool,
    look: Look | None,
) -> Judged:
    if after is None:
        verdict = Verdict(
            NO_DATA, "the candidate has no run of this cell", n_baseline=len(before.rows)
        )
        return Judged(before.label, metric, verdict)
    same = (before.machine_id, before.cell_id) == (after.machine_id, after.cell_id)
    same = same or before.label == after.label
    label = before.label if same else f"{before.label} -> {after.label}"
    failed = _failures(history, after.rows)
    if failed:
        return Judged(label, metric, Verdict(ERROR, failed))
    blocks = _pairs(history, values, before.rows, after.rows, interleaved)
    if blocks is not None:
        one, other = (values[rows] for rows in blocks)
        differences = _epoch_by_epoch(history, *blocks, metric) if interleaved else None
        paired = judge(one, other, metric.rule, paired=True, differences=differences, look=look)
        return Judged(label, metric, paired)
    if look is not None and not look.last:
        return Judged(label, metric, Verdict(NO_DATA, "not every run has its partner"))
    rows = [series.rows[~np.isnan(values[series.rows])] for series in (before, after)]
    sessions = [history.values("session_id", side) for side in rows]
    before_and_after = values[rows[0]], values[rows[1]]
    if interleaved or set(sessions[0]) == set(sessions[1]):
        verdict = judge(*before_and_after, metric.rule, sessions=sessions[0])
    else:
        drift = between_sessions(history, values, before, rows)
        verdict = judge_apart(*before_and_after, metric.rule, drift, sessions=sessions[0])
    return Judged(label, metric, verdict)


def _epoch_by_epoch(
    history: History, before: Rows, after: Rows, metric: Metric
) -> npt.NDArray[np.float64] | None:
    """Median difference of the logarithms of two runs' epochs, for each pair of runs in turns.

    The sign is that of epoch seconds, after less before; it is reversed where larger is better.

    Returns:
        (pairs,); None if the metric is not one of epochs, or the two runs of a pair have different
        numbers of epochs, or none.
    """
    if metric.name not in OF_EPOCHS:
        return None
    pairs = [
        [np.log(history.epoch_seconds(row)) for row in pair]
        for pair in zip(before, after, strict=True)
    ]
    if any(len(one) != len(other) or not len(one) for one, other in pairs):
        return None
    medians = np.array([np.median(other - one) for one, other in pairs])
    return -medians if metric.larger_is_better else medians


def _failures(history: History, rows: Rows) -> str:
    """A sentence: how many of these runs failed, and why the first did; "" when none did."""
    statuses = history.values("status", rows)
    failed = [row for row, status in zip(rows, statuses, strict=True) if status in _FAILED]
    if not failed:
        return ""
    reason = history.value("reason", int(failed[0])) or history.value("status", int(failed[0]))
    return f"{len(failed)} of {count(len(rows), 'run')} failed: {reason}"


def _pairs(
    history: History,
    values: npt.NDArray[np.float64],
    before: Rows,
    after: Rows,
    interleaved: bool,
) -> tuple[Rows, Rows] | None:
    """Both sides' rows in pairs that have values, where every run has a partner of its own block.

    A block is a seed and repeat of one session, whose runs follow each other; of interleaved runs
    what was run one after the other.
    """
    if interleaved and len(before) == len(after):
        measured = ~np.isnan(values[before]) & ~np.isnan(values[after])
        return before[measured], after[measured]
    return _blocks(history, *(side[~np.isnan(values[side])] for side in (before, after)))


def _blocks(history: History, before: Rows, after: Rows) -> tuple[Rows, Rows] | None:

    def blocks(rows: Rows) -> list[tuple[object, ...]]:
        columns = (history.values(name, rows) for name in ("session_id", "seed", "repeat"))
        return list(zip(*columns, strict=True))

    first, second = blocks(before), blocks(after)
    place = dict(zip(second, after, strict=True))
    if not first or set(first) != set(place) or not len(first) == len(second) == len(place):
        return None
    return before, np.array([place[block] for block in first], dtype=np.int64)
