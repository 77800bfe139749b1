"""Figures as files: PNG and PDF, with caption and data beside each."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import matplotlib as mpl

from report import chart
from report.figures import style
from report.figures.drawing import draw
from report.section import Picture
from results import names, writer

ENDINGS = (".png", ".pdf", ".csv", ".txt")


def write(pictures: Iterable[Picture], directory: Path, columns: int | None = None) -> list[Path]:
    """Write figures as PNG and PDF, their data as CSV and their captions as text.

    Each file is written whole or not at all.

    Args:
        directory: created if need be.
        columns: 1 or 2 for the width of a journal's column or page; None: drawn for a screen, with
            title and conditions.

    Raises:
        OSError: a file cannot be written; the message names the directory.
    """
    found = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for picture in pictures:
            found += _write(picture, directory, columns)
    except OSError as error:
        raise OSError(
            error.errno,
            f"cannot write figures to {directory}: {error.strerror or error}; "
            "name another directory",
        ) from error
    return found


def _write(picture: Picture, directory: Path, columns: int | None) -> list[Path]:
    figure = draw(picture, columns)
    paths = [directory / names.file_name(picture.name, ending) for ending in ENDINGS]
    with mpl.rc_context(style.RC):
        style.save(figure, paths[0], paths[1])
    writer.write(paths[2], data(picture))
    writer.write(paths[3], f"{picture.caption}\n")
    return paths


def data(picture: Picture) -> str:
    """The figure's data as CSV."""
    content = io.StringIO()
    table = csv.writer(content)
    table.writerow(chart.HEADER)
    table.writerows(chart.rows(picture.shown))
    return content.getvalue()
