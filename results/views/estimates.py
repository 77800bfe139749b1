"""The numbers of one framework on one network, with their intervals: for page and terminal."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from results.schema import COPY
from results.stats.intervals import ENOUGH, Interval, median_of_medians, wilson
from results.studies import galaxies
from results.views.views import View


def processes(epochs: pd.DataFrame, runs: pd.DataFrame) -> list[npt.NDArray[np.float64]]:
    """The epoch seconds of each run, in the order of epochs; runs without any are left out."""
    return list(by_process(epochs, runs).values())


def by_process(epochs: pd.DataFrame, runs: pd.DataFrame) -> dict[str, npt.NDArray[np.float64]]:
    """The epoch seconds of each run, by execution_id; runs without any are left out.

    Returns:
        float64 (epochs,) in the order of epochs.
    """
    codes, names = pd.factorize(epochs["execution_id"])
    seconds = epochs["epoch_seconds"].to_numpy(np.float64, na_value=np.nan)
    wanted = names.get_indexer(pd.Index(runs["execution_id"]))
    rows = np.flatnonzero(np.isin(codes, wanted[wanted >= 0]) & ~np.isnan(seconds))
    rows = rows[np.argsort(epochs["epoch"].to_numpy()[rows], kind="stable")]
    of_rows = codes[rows]
    found = {
        str(name): seconds[rows[of_rows == place]]
        for name, place in zip(runs["execution_id"], wanted, strict=True)
        if place >= 0
    }
    return {name: times for name, times in found.items() if len(times)}


def epoch_time(runs: pd.DataFrame, epochs: pd.DataFrame) -> Interval:
    """Median epoch seconds over the runs, with its range or interval.

    Args:
        runs: the finished runs, one process each.
        epochs: rows of `Store.epochs`; where empty, the median that each run carries is taken,
            which gives the same but for the range of a single run.
    """
    if epochs.empty:
        return median_of_medians([[seconds] for seconds in runs["epoch_seconds_median"]])
    return median_of_medians(processes(epochs, runs))


def mean_accuracy(runs: pd.DataFrame, predictions: pd.DataFrame) -> Interval:
    """Mean test accuracy over the runs, with Wilson's interval over distinct test galaxies.

    Args:
        runs: the finished runs.
        predictions: rows of `Store.predictions`; where they hold none of these runs, the number of
            galaxies is that of the largest test set, as the runs' rows have it.
    """
    told = runs[[name for name in galaxies.READ if name in runs]]
    in_rows = [galaxies.of_part(run, "test") for _, run in told.iterrows()]
    distinct = max((number for number in in_rows if number > 0), default=np.nan)  # NaN is not
    if not predictions.empty:
        mine = predictions[
            predictions["execution_id"].isin(runs["execution_id"])
            & (predictions["split"] == "test")
        ]
        distinct = (mine["index"] % COPY).nunique() or distinct
    accuracy = float(runs["test_accuracy"].mean())
    if pd.isna(accuracy) or pd.isna(distinct):
        return Interval(accuracy)
    return wilson(accuracy * round(distinct), round(distinct))


def brackets(intervals: Iterable[Interval]) -> str:
    """Meaning of the brackets behind these times, for a column's head; empty if there are none."""
    shown = [one for one in intervals if one.name]
    ranges = [one.n for one in shown if one.is_range]
    text = f" (range of {_span(ranges)})" if ranges else ""
    return text + (" [95 %]" if len(ranges) < len(shown) else "")


def bars(processes: Iterable[int]) -> str:
    """Meaning of the bars beside medians of these numbers of processes."""
    counts = set(processes)
    few = [n for n in counts if 1 < n < ENOUGH]
    words = ["95 % interval"] if max(counts) >= ENOUGH else []
    words += [f"range of {_span(few)} processes"] if few else []
    return " or ".join([*words, *(["range of one process's epochs"] if 1 in counts else [])])


def bar_words(view: View) -> str:
    """Meaning of a bar beside a median of the view's processes."""
    return bars(_processes(view))


def interval_words(view: View) -> str:
    """Meaning of the brackets behind epoch times, by the view's numbers of processes."""
    counts = _processes(view)
    words = []
    if 1 in counts:
        words.append(
            "Where there is one process, round brackets are the range of its epochs: how steady "
            "it was, not how another would fare."
        )
    if few := [number for number in counts if 1 < number < ENOUGH]:
        words.append(
            f"Of {_span(few)} processes, round brackets are the range, lowest to highest, of the "
            "processes' medians."
        )
    if any(number >= ENOUGH for number in counts):
        words.append(
            f"From {ENOUGH} processes on, square brackets are the exact 95 % interval of the "
            "processes' medians, between two of them. It takes the processes to be independent: a "
            "machine whose speed wanders from one to the next differs by more."
        )
    return " ".join(words)


def _span(counts: Iterable[int]) -> str:
    ordered = sorted(set(counts))
    return " to ".join(str(n) for n in dict.fromkeys((ordered[0], ordered[-1])))


def _processes(view: View) -> list[int]:
    return [len(panel.of(name)) for panel in view.panels for name in panel.frameworks]
