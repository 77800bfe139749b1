"""The answers of a store, in sentences: the same network, accuracy and speed, and since last time?

Each sentence is made from a verdict that stands elsewhere (`results.stats`, `results.studies`, what
the fidelity ladder found) and names the section of the page that has its evidence. Terminal and
page say the same.
"""

from __future__ import annotations

from results.views.answers.accuracy import same_accuracy
from results.views.answers.answer import Answer
from results.views.answers.change import since_last_time
from results.views.answers.network import same_network
from results.views.answers.speed import faster
from results.views.cells import benches
from results.views.numbers import listed
from results.views.views import Frames, Panel, View
from results.words import count

__all__ = ["MOST", "Answer", "answers"]

MOST = 3  # networks and settings that are answered for; the others are counted


def answers(frames: Frames, most: int = MOST) -> list[Answer]:
    """The questions that a store's runs raise, answered for its first networks and settings.

    Args:
        frames: what the report is drawn from; `Frames.only` narrows it to some runs.
        most: networks and settings at most; one answer more says how many are left out.

    Returns:
        By question, the order of the page within. A question that the runs do not raise, such as
        the network of one framework alone, is left out. A store without a finished run has one
        answer, which says so.
    """
    panels = [(view, panel) for view in frames.finished_views for panel in view.panels]
    if not panels:
        return [_nothing(frames)]
    benched = benches(frames, [panel for _, panel in panels[:most]])
    found: list[Answer] = []
    for ask in (
        lambda view, panel: same_network(frames, view, panel),
        lambda view, panel: same_accuracy(view, panel),
        lambda view, panel: faster(benched, view, panel),
        lambda view, panel: since_last_time(frames, view, panel),
    ):
        alike: dict[Answer, list[str]] = {}
        for view, panel in panels[:most]:
            if (answer := ask(view, panel)) is not None:
                alike.setdefault(answer, []).append(_about(frames, view, panel))
        found += [answer.of(listed(about)) for answer, about in alike.items()]
    if len(panels) > most:
        left = count(
            len(panels) - most, "further network or setting", "further networks and settings"
        )
        told = f"{left} in this store: see the tables."
        found.append(Answer("And the others?", "not shown", told, "results"))
    return found


def _about(frames: Frames, view: View, panel: Panel) -> str:
    """Network and settings, as far as they tell this answer from the others."""
    views = frames.finished_views
    if len(views) > 1:
        return f"{panel.name}; {view.title}"
    return panel.name if len(views[0].panels) > 1 else ""


def _nothing(frames: Frames) -> Answer:
    """Answer for a store without a finished run."""
    runs = frames.runs
    if runs.empty:
        told = "No training run is in this store, so there is nothing to compare."
        if not frames.findings.empty:
            told += " What the fidelity ladder found stands below."
        return Answer("What came out?", "no runs", told, "fidelity")
    statuses = ", ".join(
        f"{number} {status}" for status, number in runs["status"].value_counts().items()
    )
    told = f"No run finished ({statuses}), so there is nothing to compare. Each row says why."
    return Answer("What came out?", "no run finished", told, "failures")
