"""Did the epoch time change since the session before? The rule is the gate's on stored runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

import pandas as pd

from results.stats.drift import Drift, judge_apart
from results.stats.noise import OF_A_SESSION
from results.stats.verdict import Rule, Verdict
from results.stats.vocabulary import CHANGES, IMPROVED, NO_DATA, REGRESSED, UNCHANGED
from results.views.answers.answer import Answer
from results.views.views import Frames, Panel, View

_QUESTION = "Since last time?"
_WORDS: dict[str, str] = {
    REGRESSED: "Slower",
    IMPROVED: "Faster",
    UNCHANGED: "Unchanged",
    NO_DATA: "Not known",
}


@dataclass(frozen=True)
class _Judged:
    name: str
    verdict: Verdict
    began: pd.Timestamp  # of the session before


def since_last_time(frames: Frames, view: View, panel: Panel) -> Answer | None:
    """The last session of each cell against the one before; None where no history was read."""
    history = frames.history
    if history.empty:
        return None
    found = [
        one
        for name in panel.frameworks
        if (one := _judged(history, view.looks[name].name, panel.of(name))) is not None
    ]
    if not found:
        told = (
            "No earlier session of these runs on this machine is in the store. To keep this one "
            "for later comparisons: python -m benchmarks.track baseline set NAME"
        )
        return Answer(_QUESTION, "first session", told, "speed")
    worst: str = next(word for word in CHANGES if any(one.verdict.verdict == word for one in found))
    alike = [one for one in found if one.verdict.verdict == worst]
    began = max(one.began for one in found)
    ratios = ", ".join(f"{one.name} {_ratio(one.verdict)}" for one in alike[:5])
    sentence = (
        f"{_WORDS.get(worst, worst.capitalize())} against the session of {began:%Y-%m-%d %H:%M} "
        f"(epoch time now over then: {ratios}): {alike[0].verdict.reason}."
    )
    return Answer(_QUESTION, worst, sentence, "speed")


def _ratio(verdict: Verdict) -> str:
    if isnan(verdict.ratio):
        return "not timed"
    interval = verdict.interval
    return f"{verdict.ratio:.2f}" + (f" ({interval.words('.2f')})" if interval.name else "")


def _judged(history: pd.DataFrame, name: str, runs: pd.DataFrame) -> _Judged | None:
    """The last session of a cell against the one before; None with one session alone."""
    run = runs.iloc[-1]
    again = history["control"].astype(object).eq(True)
    mine = history[
        (history["cell_id"] == run["cell_id"])
        & (history["machine_id"] == run["machine_id"])
        & (history["status"] == "ok")
        & history["epoch_seconds_median"].gt(0)
        & ~again
    ]
    sessions = _sessions(mine)
    if len(sessions) < 2:
        return None
    before, after = sessions[-2], sessions[-1]
    least = min(len(before), len(after), OF_A_SESSION)
    medians = [one["epoch_seconds_median"].median() for one in sessions[:-1] if len(one) >= least]
    then, now = (one["epoch_seconds_median"].to_numpy() for one in (before, after))
    verdict = judge_apart(then, now, Rule(), Drift.of(medians))
    return _Judged(name, verdict, before["started_at"].min())


def _sessions(runs: pd.DataFrame) -> Sequence[pd.DataFrame]:
    """The runs of each session, the earliest session first."""
    groups = [group for _, group in runs.groupby("session_id", sort=False)]
    return sorted(groups, key=lambda group: group["started_at"].min())
