"""Figures as files: PNG and PDF, with caption and data beside each."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib as mpl

from report import chart
from report.figures import style
from report.figures.drawing import draw
from report.section import Picture
from results import names, writer

DRAWN = (".png", ".pdf")
ENDINGS = (*DRAWN, ".csv", ".txt")


def write(
    pictures: Iterable[Picture],
    directory: Path,
    columns: int | None = None,
    endings: Sequence[str] = ENDINGS,
) -> list[Path]:
    """Write figures as PNG and PDF, their data as CSV and their captions as text.

    Each file is written whole or not at all.

    Args:
        directory: created if need be.
        columns: 1 or 2 for the width of a journal's column or page; None: drawn for a screen, with
            title and conditions.
        endings: of the files that are wanted. A PDF takes two seconds, because of its fonts.

    Raises:
        OSError: a file cannot be written; the message names the directory.
    """
    found = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for picture in pictures:
            found += _write(picture, directory, columns, endings)
    except OSError as error:
        raise OSError(
            error.errno,
            f"cannot write figures to {directory}: {error.strerror or error}; "
            "name another directory",
        ) from error
    return found


def _write(
    picture: Picture, directory: Path, columns: int | None, endings: Sequence[str]
) -> list[Path]:
    figure = draw(picture, columns)
    paths = {ending: directory / names.file_name(picture.name, ending) for ending in endings}
    with mpl.rc_context(style.RC):
        style.save(figure, *(path for ending, path in paths.items() if ending in DRAWN))
    for ending, text in ((".csv", data), (".txt", lambda one: f"{one.caption}\n")):
        if ending in paths:
            writer.write(paths[ending], text(picture))
    return [*paths.values()]


def data(picture: Picture) -> str:
    """The figure's data as CSV."""
    content = io.StringIO()
    table = csv.writer(content)
    table.writerow(chart.HEADER)
    table.writerows(chart.rows(picture.shown))
    return content.getvalue()
