"""Cautions about runs that ended well: mixed versions, a busy machine."""

from typing import Any

import pandas as pd

from report.section import Block, Note
from results.views.columns import json_object
from results.views.numbers import listed
from results.views.views import Frames, View
from results.words import count

BUSY = 0.5  # load average for each CPU


def mixed_versions(view: View) -> list[Block]:
    """A warning for each framework of a panel whose runs are of different versions."""
    notes: list[Block] = []
    for panel in view.panels:
        for framework in panel.frameworks:
            found = version_sets(panel.of(framework))
            packages = sorted({package for versions in found for package in versions})
            unlike = [
                f"{package} {listed(values)}"
                for package in packages
                if len(values := _distinct(versions.get(package) for versions in found)) > 1
            ]
            if unlike:
                notes.append(
                    Note(
                        f"{panel.name}: the runs of {view.looks[framework].name} that are pooled "
                        f"here are of different versions ({'; '.join(unlike)}).",
                        "warning",
                    )
                )
    return notes


def leaks(view: View) -> list[Block]:
    """A warning for each panel whose runs were tested on copies of what they were trained on."""
    return [
        Note(
            f"{panel.name}: augmented copies were dealt one by one, so that copies of the same "
            "galaxy are in training, validation and test. Its accuracies are too high: they say "
            "how well galaxies are recognised again.",
            "warning",
        )
        for panel in view.panels
        if (panel.ok["split_by"] == "copy").any()
    ]


def version_sets(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """Every distinct set of versions of the runs, the one first used first."""
    ordered = runs.sort_values("started_at", kind="stable")
    found: list[dict[str, Any]] = []
    for value in ordered["versions"].dropna():
        versions = json_object(value)
        if versions and versions not in found:
            found.append(versions)
    return found


def busy(frames: Frames, view: View) -> list[Block]:
    """A warning when the machine had other work just before finished runs of the view."""
    ok = view.runs[view.runs["status"] == "ok"]
    first = frames.runs.sort_values("started_at", kind="stable").drop_duplicates("session_id")
    opening = set(first["execution_id"])
    found = [
        load for _, run in ok.iterrows() if (load := _load(run, run["execution_id"] in opening))
    ]
    if not found:
        return []
    return [
        Note(
            f"The machine was busy: before {count(len(found), 'run')} of {len(ok)} its load "
            f"average over a minute was above {BUSY} for each CPU (up to {max(found):.1f} in all), "
            "beyond what the run before it in the same session can account for. Their times may "
            "be too long.",
            "warning",
        )
    ]


def resumed(view: View) -> list[Block]:
    """A note when finished runs of the view were broken off and resumed."""
    ok = view.runs[view.runs["status"] == "ok"]
    found = [
        extra for value in ok["extra"] if "resumed_from_epoch" in (extra := json_object(value))
    ]
    if not found:
        return []
    times = sum(extra.get("broken_off", 1) for extra in found)
    return [
        Note(
            f"{count(len(found), 'run')} of {len(ok)} went on from a checkpoint after "
            f"{count(times, 'break')}. Their results are those of unbroken runs; their epochs were "
            "timed in several processes, and their memory is that of the last."
        )
    ]


def _load(run: pd.Series, opening: bool) -> float:
    """The load of others before the run, when it makes the machine busy; otherwise 0.

    The average of a minute still holds the run that ended just before in the same session: up to
    its number of threads is not held against a run that did not open its session.
    """
    average = (json_object(run["extra"]).get("load_before") or {}).get("load_average")
    machine = json_object(run["machine"])
    cpus = machine.get("cpus") or machine.get("cores")
    if not average or not cpus:
        return 0.0
    own = 0 if opening else cpus if pd.isna(run["threads"]) else int(run["threads"])
    load = float(average[0])
    return load if load - own > BUSY * cpus else 0.0


def _distinct(values: Any) -> list[str]:
    return list(dict.fromkeys("none" if value is None else str(value) for value in values))
