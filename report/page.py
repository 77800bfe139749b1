"""The page: sections from every module, figures as PNG and PDF, one HTML file with all in it."""

import base64
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import matplotlib

from report import style
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
from results.store import Store
from results.views.numbers import listed
from results.views.views import Frames
from results.views.words import count

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


@dataclass(frozen=True)
class Written:
    """What a report has written."""

    page: Path
    figures: tuple[Path, ...]


def write(store: Store, output: str | os.PathLike[str]) -> Written:
    """Draw the report of a store: `index.html`, and `figures/` with PNG and PDF.

    Args:
        store: read; only the latest execution of each run is shown.
        output: directory, created if need be; files of the same name are replaced.

    Raises:
        FileNotFoundError: the store has no runs.
        OSError: the directory cannot be written; the message names it.
    """
    frames = Frames.load(store)
    directory = Path(output)
    with matplotlib.rc_context(style.RC):
        sections = build(frames)
        try:
            (directory / "figures").mkdir(parents=True, exist_ok=True)
            images = {
                picture.name: style.save(picture.figure, picture.name, directory / "figures")
                for picture in pictures(sections)
            }
            page = directory / "index.html"
            page.write_text(render(frames, sections, images), encoding="utf-8")
        except OSError as error:
            raise OSError(
                error.errno,
                f"cannot write the report to {directory}: {error.strerror or error}; "
                "name another directory with --output",
            ) from error
    return Written(page, tuple(path for paths in images.values() for path in paths))


def build(frames: Frames) -> list[Section]:
    """The sections of the page, with their figures; one without anything to say is left out."""
    return [made for make in SECTIONS if (made := make(frames)) is not None]


def render(frames: Frames, sections: list[Section], images: Mapping[str, Sequence[Path]]) -> str:
    """The page as HTML, with the images (PNG and PDF of each figure) inside it."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    embedded = {
        name: {
            path.suffix[1:]: base64.b64encode(path.read_bytes()).decode("ascii") for path in paths
        }
        for name, paths in images.items()
    }
    return environment.get_template("page.html").render(
        summary=summary(frames),
        demo=bool((frames.runs["dataset"] == "demo").any()),
        only_demo=not frames.runs.empty and bool((frames.runs["dataset"] == "demo").all()),
        sections=sections,
        images=embedded,
        kind=lambda block: type(block).__name__.lower(),
    )


def summary(frames: Frames) -> str:
    """What the store holds, in two sentences."""
    runs = frames.runs
    if runs.empty:
        return "No training runs in this store: what follows is the fidelity ladder's."
    names = [look.name for look in frames.looks.values()]
    ok = int((runs["status"] == "ok").sum())
    data = listed([str(name) for name in dict.fromkeys(runs["dataset"].dropna())])
    return (
        f"{count(runs['architecture'].nunique(), 'network')} "
        f"({listed(sorted(runs['architecture'].dropna().unique()))}) trained in "
        f"{listed(names)} on {data}, with {count(runs['seed'].nunique(), 'seed')}. "
        f"{ok} of {count(len(runs), 'run')} finished."
    )


def pictures(sections: Iterable[Section]) -> list[Picture]:
    """The figures of the sections, in order."""
    found = [block for section in sections for block in section.blocks]
    return [block for block in found if isinstance(block, Picture)]
