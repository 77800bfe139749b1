"""The page: one HTML file with answers, tables, every row as data, and the script that draws it."""

import base64
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from report import chart, payload
from report.assets import STYLES, policy, template, text
from report.section import MakeSection, Picture, Section
from report.sections import (
    attribution,
    benches,
    confusion,
    curves,
    examples,
    fidelity,
    outcome,
    provenance,
    published_figures,
    reproduction,
    speed,
    tables,
)
from results import names, writer
from results.output import say
from results.store import Store
from results.views.answers import Answer, answers
from results.views.numbers import listed
from results.views.views import Frames
from results.words import count

# In the order of the page. A later part of the report is a function added here.
SECTIONS: tuple[MakeSection, ...] = (
    tables.results,
    reproduction.published,
    tables.failures,
    provenance.same_experiment,
    fidelity.ladder,
    outcome.equivalence,
    attribution.defaults,
    curves.learning,
    confusion.matrices,
    published_figures.figures,
    speed.throughput,
    benches.speeds,
    speed.phases,
    examples.galaxies,
    provenance.provenance,
)
MOST_ROWS = 400  # of a table; the explorer has every run
_EXPLORER_AFTER = "results"
_SCRIPTS = ("vendor/uPlot.iife.min.js", "templates/charts.js", "templates/page.js")


@dataclass(frozen=True)
class Written:
    """Files that a report has written.

    Attributes:
        page: the HTML file.
        figures: files of the figures.
        finished: False if no run of the store finished.
    """

    page: Path
    figures: tuple[Path, ...] = ()
    finished: bool = True  # a run of the store


def write(
    store: Store,
    output: str | os.PathLike[str],
    figures: bool = False,
    columns: int | None = None,
    gpu: Path | None = None,
) -> Written:
    """Write the page of a store, whole or not at all: a failure leaves the one before.

    Args:
        store: where the runs are.
        output: a directory, created if need be; its index.html is replaced.
        figures: also write every figure for papers, to the directory `figures` in it.
        columns: their width, 1 or 2 columns of a journal; None: for a screen.
        gpu: a folder of `python -m benchmarks.gpu`, for a section of its own.

    Raises:
        FileNotFoundError: there is no such store.
        FileError: the folder holds no such measurement.
        OSError: the directory cannot be written.
    """
    frames = load(store)
    sections = build(frames)
    if gpu is not None:
        from report.sections.gpu import measured

        sections.append(measured(gpu))
    content = render(frames, sections)
    directory = Path(output)
    page = directory / "index.html"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        writer.write(page, content)
    except OSError as error:
        raise OSError(
            error.errno,
            f"cannot write the report to {directory}: {error.strerror or error}; "
            "name another directory with --output",
        ) from error
    written: list[Path] = []
    if figures:
        from report.figures.writing import write as draw

        written = draw(pictures(sections), directory / "figures", columns)
    return Written(page, tuple(written), bool((frames.runs["status"] == "ok").any()))


def load(store: Store) -> Frames:
    """Read the frames of a page; they have no rows for a directory without runs.

    Raises:
        FileNotFoundError: there is no such directory.
    """
    try:
        return Frames.load(store)
    except FileNotFoundError:
        if not store.path.is_dir():
            raise
        return Frames(store.runs(latest=True), pd.DataFrame(), pd.DataFrame(), [])


def build(frames: Frames) -> list[Section]:
    """The sections of the page; one without anything to say is left out.

    One that fails is named on the page and on standard error: the others, and the session that the
    page is the end of, do not hang on it.
    """
    found = []
    for make in SECTIONS:
        try:
            section = make(frames)
        except Exception as error:
            section = _failed(make, error)
        if section is not None:
            found.append(section)
    return found


def _failed(make: MakeSection, error: Exception) -> Section:
    name = f"{make.__module__.rpartition('.')[2]}.{make.__name__}"
    told = f"{type(error).__name__}: {names.in_line(error)}"
    say(f"warning: the section {name} of the report failed: {told}", error=True)
    text = f"This section failed ({told}). It is a fault of this program; the rest is complete."
    return Section(f"failed-{name.replace('.', '-')}", f"A section failed: {name}", text, [])


def render(frames: Frames, sections: list[Section]) -> str:
    """The page as HTML."""
    keys = [section.key for section in sections]
    runs = payload.every_run(frames)
    script, style = text(_SCRIPTS), text(STYLES)
    return template(
        "page.html",
        script,
        style,
        policy=policy(script, style),
        summary=summary(frames),
        demo=bool((frames.runs["dataset"] == "demo").any()),
        only_demo=not frames.runs.empty and bool((frames.runs["dataset"] == "demo").all()),
        answers=_by_question(_answers(frames)),
        sections=sections,
        keys=keys,
        place=keys.index(_EXPLORER_AFTER) + 1 if _EXPLORER_AFTER in keys else 0,
        explorer=not runs.empty,
        data=payload.parts(frames, pictures(sections), anchor),
        most_rows=MOST_ROWS,
        kind=lambda block: type(block).__name__.lower(),
        seen=chart.seen,
        anchor=anchor,
        png=lambda raw: f"data:image/png;base64,{base64.b64encode(raw).decode('ascii')}",
    )


def _answers(frames: Frames) -> list[Answer]:
    try:
        return answers(frames)
    except Exception as error:
        told = f"{type(error).__name__}: {names.in_line(error)}"
        say(f"warning: the answers of the report failed: {told}", error=True)
        text = f"The sentences failed ({told}): the tables below have the numbers."
        return [Answer("What came out?", "failed", text, "results")]


def _by_question(found: list[Answer]) -> list[tuple[str, list[Answer]]]:
    grouped: dict[str, list[Answer]] = {}
    for one in found:
        grouped.setdefault(one.question, []).append(one)
    return list(grouped.items())


def anchor(name: str) -> str:
    """The name of a figure as an id of the page and a file's name."""
    return "figure-" + names.file_name(name).replace("@", "-at-")


def summary(frames: Frames) -> str:
    """Contents of the store, in two sentences."""
    runs = frames.runs
    if runs.empty:
        if frames.findings.empty and frames.trainings.empty:
            return "This store has no runs yet. python -m benchmarks.run makes some."
        return "No training runs in this store: what follows is the fidelity ladder's."
    ok = int((runs["status"] == "ok").sum())
    data = _some([str(name) for name in dict.fromkeys(runs["dataset"].dropna())])
    return (
        f"{count(runs['architecture'].nunique(), 'network')} "
        f"({_some(sorted(runs['architecture'].dropna().unique()))}) trained in "
        f"{_some([look.name for look in frames.looks.values()])} on {data}, with "
        f"{count(runs['seed'].nunique(), 'seed')}. {ok} of {count(len(runs), 'run')} finished."
    )


def _some(words: list[str], most: int = 8) -> str:
    """The first of many names, each as far as a sentence can bear."""
    shown = [word if len(word) <= 60 else f"{word[:59]}…" for word in words[:most]]
    more = len(words) - most
    return listed([*shown, *([f"{more} more"] if more > 0 else [])])


def pictures(sections: Iterable[Section]) -> list[Picture]:
    """The figures of the sections, in order."""
    found = [block for section in sections for block in section.blocks]
    return [block for block in found if isinstance(block, Picture)]
