"""Sources of galaxies in other forms, to damage: converted, or refused in a line."""

from __future__ import annotations

import gzip
import io
import random
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

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
    _zipped(sources.database(path.parent), path)


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


def split_tables(path: Path) -> None:
    """A zip file of pictures and a table for each part of a published split."""
    _zipped(sources.two_tables(path.parent), path)


def _zipped(folder: Path, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        for one in sorted(folder.rglob("*.*")):
            file.write(one, one.relative_to(folder))


def odd_table(content: bytes, draw: random.Random) -> bytes:
    """The zip file with some cells of its table in other words, or its bytes damaged."""
    if draw.random() < 0.4:
        return damage.of_bytes(content, draw)
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            found = old.read(name)
            if name.endswith(".csv") and draw.random() < 0.9:
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


_ENDINGS = ("png", "jpeg", "gif", "bmp", "tiff", "webp", "ppm")
_HEADER = 64  # bytes that have a picture's size


def pictures(path: Path) -> None:
    """A zip file of class folders of pictures in every encoding."""
    with zipfile.ZipFile(path, "w") as file:
        for row in range(2 * len(_ENDINGS)):
            ending = _ENDINGS[row % len(_ENDINGS)]
            made = io.BytesIO()
            Image.fromarray(sources.IMAGES[row]).save(made, ending)
            file.writestr(f"{'ab'[row // len(_ENDINGS)]}/{row}.{ending}", made.getvalue())


def odd_pictures(content: bytes, draw: random.Random) -> bytes:
    """The zip file with the first bytes of half its pictures damaged: so their sizes."""

    def odd(found: bytes) -> bytes:
        head = bytearray(found[:_HEADER])
        for _ in range(draw.choice((1, 2, 4))):
            place, length = draw.randrange(8, len(head)), draw.choice((1, 2, 4))
            head[place : place + length] = draw.choice((b"\xff", b"\x7f", b"\x20")) * length
        return bytes(head[:_HEADER]) + found[_HEADER:]

    return _each(content, lambda found: odd(found) if draw.random() < 0.5 else found)


def _each(content: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """The zip file with every file of it changed."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)))
    return made.getvalue()


def fits(path: Path) -> None:
    """A zip file of class folders of FITS: cubes and scaled numbers, some of them packed."""
    cards = ["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 12", "NAXIS2  = 12"]
    more = ["NAXIS3  = 1", "BSCALE  = 0.5", "BZERO   = 100", "BLANK   = 7", "END"]
    with zipfile.ZipFile(path, "w") as file:
        for row in range(6):
            cards[2] = f"NAXIS   = {2 + row % 2}"
            head = "".join(card.ljust(80) for card in [*cards, *more]).ljust(2880).encode()
            found = head + sources.IMAGES[row, :, :, 0].tobytes().ljust(2880, b"\0")
            name = f"{'ab'[row % 2]}/{row}.fits"
            file.writestr(*((f"{name}.gz", gzip.compress(found)) if row > 3 else (name, found)))


def odd_fits(content: bytes, draw: random.Random) -> bytes:
    """The zip file with a number in the headers another one, or bytes damaged."""
    wanted = draw.choice((b"0", b"-1", b"100000", b"999999999", b"x", b"3", b"-64", b"9" * 30))
    card = draw.choice((rb"NAXIS[123]  = ", rb"BITPIX  = ", rb"NAXIS   = ", rb"B[A-Z]+ *= "))
    number = re.compile(rb"(" + card + rb")[0-9]+")

    def odd(found: bytes) -> bytes:
        if draw.random() < 0.2:
            return damage.of_bytes(found, draw)
        packed = found.startswith(b"\x1f\x8b")
        found = gzip.decompress(found) if packed else found
        changed = number.sub(lambda one: one[1] + wanted, found[:2880])[:2880].ljust(2880)
        return gzip.compress(changed + found[2880:]) if packed else changed + found[2880:]

    return _each(content, odd)


def convert_fits(path: Path) -> object:
    """A folder of damaged FITS cut-outs, read as galaxies."""
    output = path.parent / "made.h5"
    output.unlink(missing_ok=True)
    return convert_source(path, output, Asked(skip_bad=5, stretch="linear"))


def records(path: Path) -> None:
    """A TFRecord file."""
    import tensorflow

    train = tensorflow.train
    with tensorflow.io.TFRecordWriter(str(path)) as file:
        for row in range(12):
            picture = train.Feature(bytes_list=train.BytesList(value=[sources.png(row)]))
            label = train.Feature(int64_list=train.Int64List(value=[row % 3]))
            features = train.Features(feature={"image": picture, "label": label})
            file.write(train.Example(features=features).SerializeToString())


def odd_records(content: bytes, draw: random.Random) -> bytes:
    """Its bytes damaged, as they are or ahead of being packed."""
    found = damage.of_bytes(content, draw)
    return gzip.compress(found) if draw.random() < 0.5 else found


def matlab(path: Path, pack: bool = True) -> None:
    """A file of MATLAB, packed or not."""
    stacked = np.moveaxis(sources.IMAGES[:12], 0, -1)
    labels = np.arange(12)[:, None] % 3
    inside = {"images": stacked, "labels": labels, "cells": np.array(["a", {"b": 1}], object)}
    savemat(path, inside, do_compression=pack)


def odd_matlab(content: bytes, draw: random.Random) -> bytes:
    """The first bytes damaged, which say what the others are; or any."""
    place = draw.choice((len(content), 400))
    return damage.of_bytes(content[:place], draw) + content[place:]
