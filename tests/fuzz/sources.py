"""Sources of galaxies in other forms, to damage: converted, or refused in a line."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import numpy as np

from datasets.convert.form import Asked
from datasets.convert.stream import convert_source
from tests.fuzz import damage
from tests.helpers import sources

_CELLS = ("", "nan", "1e999", "-1", "9" * 400, "\x1b[31m", "a;b", '"', "1000", "\ufeff", "x" * 5000)


def convert(path: Path) -> object:
    """What the reader of a source does with it."""
    output = path.parent / "made.h5"
    output.unlink(missing_ok=True)
    return convert_source(path, output, Asked(skip_bad=5))


def arrays(path: Path) -> None:
    """A `.npz` of pictures and labels."""
    np.savez_compressed(path, images=sources.IMAGES[:12], labels=np.arange(12) % 3)


def hub(path: Path) -> None:
    """A Parquet file as hubs have it."""
    sources.parquet(path.parent).rename(path)


def class_folders(path: Path) -> None:
    """A zip file of class folders."""
    with zipfile.ZipFile(path, "w") as file:
        for row in range(12):
            file.writestr(f"{'abc'[row % 3]}/{row}.png", sources.png(row))


def number_files(path: Path) -> None:
    """A zip file of arrays of a picture each, in class folders."""
    sources.npy_classes(path.parent).rename(path)


def database(path: Path) -> None:
    """A zip file of pictures and an SQLite file of their labels."""
    folder = sources.database(path.parent)
    with zipfile.ZipFile(path, "w") as file:
        for one in sorted(folder.rglob("*.*")):
            file.write(one, one.relative_to(folder))


def odd_database(content: bytes, draw: random.Random) -> bytes:
    """The zip file with bytes of its SQLite file damaged."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            found = old.read(name)
            new.writestr(name, damage.of_bytes(found, draw) if name.endswith(".sqlite") else found)
    return made.getvalue()


def voted(path: Path) -> None:
    """A zip file of pictures and a table of votes."""
    with zipfile.ZipFile(path, "w") as file:
        lines = ["id,a,b,split"]
        for row in range(12):
            file.writestr(f"{row}.png", sources.png(row))
            lines.append(f"{row},{0.25 if row % 2 else 0.75},{0.75 if row % 2 else 0.25},train")
        file.writestr("votes.csv", "\n".join(lines))


def odd_table(content: bytes, draw: random.Random) -> bytes:
    """The zip file with some cells of its table in other words, or its bytes damaged."""
    if draw.random() < 0.4:
        return damage.of_bytes(content, draw)
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            found = old.read(name)
            if name.endswith(".csv"):
                found = _odd_cells(found.decode(), draw)
            elif draw.random() < 0.1:
                found = damage.of_bytes(found, draw)
            new.writestr(name, found)
    return made.getvalue()


def _odd_cells(text: str, draw: random.Random) -> bytes:
    lines = [line.split(",") for line in text.splitlines()]
    for _ in range(draw.choice((1, 1, 3, 20))):
        line = draw.choice(lines)
        line[draw.randrange(len(line))] = draw.choice(_CELLS)
        if draw.random() < 0.1:
            line.append("more")
    made = "\n".join(draw.choice((",", ",", ",", ";")).join(line) for line in lines)
    return made.encode(draw.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16")))
