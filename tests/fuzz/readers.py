"""Every reader of files and every command's parser, with a good input to damage."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import random
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.config import experiment, suite_file
from benchmarks.config.options import requested
from benchmarks.models.saved import find
from benchmarks.tracking.exchange.pytest_benchmark import import_file
from benchmarks.tracking.selection import _Baseline
from benchmarks.worker.checkpoint import State, from_bytes, to_bytes
from datasets import catalog
from frameworks.spec import architecture, weights
from results import cli
from results.door.documents import json_file
from results.names import printable
from results.parquet import examples, findings
from results.store import Store
from tests.fuzz import damage, models, planned, rows, sources
from tests.helpers.factory import synthetic_run

LINES = 10  # of a refusal at the most


@dataclass(frozen=True)
class Reader:
    """A reader and how its files are damaged.

    make: a good file at a path. damage: of its content. read: raises ValueError or OSError that
    name the file, warns of it, or reads it. file: where the file lies, in a directory of its own.
    """

    name: str
    make: Callable[[Path], None]
    damage: Callable[[bytes, random.Random], bytes]
    read: Callable[[Path], object]
    file: str


def _galaxies(path: Path) -> None:
    generator = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        pictures = generator.integers(0, 256, (12, 8, 8, 3)).astype(np.uint8)
        file.create_dataset("images", data=pictures, chunks=(4, 8, 8, 3), compression="gzip")
        file["ans"] = np.arange(12) % 3
        file["groups"] = np.arange(12)
        file.attrs["class_names"] = ["a", "b", "c"]


def _odd_galaxies(content: bytes, draw: random.Random) -> bytes:
    if draw.random() < 0.6:
        return damage.of_bytes(content, draw)
    memory = io.BytesIO(content)
    with h5py.File(memory, "r+") as file:
        key = draw.choice(["images", "ans", "groups", "class_names", "ra", "t_type"])
        if key in file:
            del file[key]
        kind = draw.randrange(5)
        shape = draw.choice([(12,), (12, 1), (), (0,), (12, 8, 8, 3), (3, 3), (12, 8, 8)])
        if kind == 0:
            file.create_dataset(key, draw.choice([(10**12,), (10**9, 8, 8, 3)]), "u1", chunks=True)
        elif kind == 1:
            file[key] = draw.choice([h5py.SoftLink(f"/{key}"), h5py.ExternalLink("x.h5", "/a")])
        elif kind == 2:
            file.create_group(key)
        else:
            dtype = draw.choice(["f4", "f8", "u2", "i8", "u8", "?", "S3", "c8"])
            value = draw.choice([0, 1, 2, 250])
            file[key] = np.full(shape, value).astype(dtype)
    return memory.getvalue()


def _table(path: Path) -> None:
    store = Store(path.parent)
    made = synthetic_run()
    written = store.append(*made) if isinstance(made, tuple) else store.append(made)
    written.rename(path)


def _odd_table(content: bytes, draw: random.Random) -> bytes:
    if draw.random() < 0.5:
        return damage.of_bytes(content, draw)
    table = pq.read_table(io.BytesIO(content))
    name = draw.choice(table.column_names)
    place = table.column_names.index(name)
    odd: list[object] = [
        1,
        1.5,
        "x",
        None,
        True,
        [1],
        ["a"],
        {"a": 1},
        b"x",
        "{",
        "[]",
        '{"a": []}',
    ]
    value = pa.array([draw.choice(odd)] * table.num_rows)
    if draw.random() < 0.2:
        value = pa.array(["x"] * table.num_rows).dictionary_encode()
    table = (
        table.drop_columns([name]) if draw.random() < 0.2 else table.set_column(place, name, value)
    )
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def _read_store(path: Path) -> None:
    store = Store(path.parent)
    runs = store.runs(latest=True)
    store.epochs()
    store.predictions()
    if not runs.empty:
        from results.__main__ import main

        assert main(["show", "--store", str(path.parent)]) in (0, 2)


def _arrays(path: Path) -> None:
    np.savez_compressed(path, **{"conv1/kernel": np.ones((3, 3, 3, 4), np.float32)})


def _examples(path: Path) -> None:
    made = examples.Examples(
        np.zeros((2, 4, 4, 3), np.uint8),
        np.arange(2),
        ("a", "b"),
        "demo",
        "0" * 64,
        "native",
        "rgb",
    )
    examples.save(path.parent.parent, made).rename(path)


def _findings(path: Path) -> None:
    import datetime

    row = {"rung": "R1", "case": "c", "framework": "torch", "value": 0.1, "status": "passed"}
    at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    store = path.parent.parent
    findings.append(
        store, [row], climb_id="x", started_at=at, machine="{}", versions="{}", command="x"
    ).rename(path)


def _checkpoint(path: Path) -> None:
    path.write_bytes(to_bytes(State({"weights/a": np.ones(5)}, {"epoch": 1})))


def _signed(content: bytes, draw: random.Random) -> bytes:
    import hashlib

    body = damage.of_bytes(content[:-64], draw)
    return body + hashlib.sha256(body).hexdigest().encode() if draw.random() < 0.7 else body


def _benchmark(path: Path) -> None:
    one = {
        "fullname": "test.py::test_x",
        "name": "test_x",
        "group": "g",
        "params": {"framework": "torch"},
        "extra_info": {"versions": {"torch": "2"}},
        "stats": {"data": [0.1, 0.2], "median": 0.15},
    }
    content = {
        "machine_info": {"node": "n", "cpu": {"brand_raw": "c", "count": 2}, "python_version": "3"},
        "commit_info": {"id": "abc", "dirty": False},
        "benchmarks": [one, one | {"fullname": "test.py::test_y"}],
        "datetime": "2026-01-01T00:00:00",
    }
    path.write_text(json.dumps(content))


def _model(path: Path) -> None:
    path.write_text('{"format": 1, "run_id": "x", "config": {}, "input_shape": [1, 2, 3]}')


def _copy(source: Path) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(source.read_bytes()) and None


READERS = {
    reader.name: reader
    for reader in (
        Reader("galaxies", _galaxies, _odd_galaxies, catalog.load, "my.h5"),
        Reader("npz", sources.arrays, damage.of_bytes, sources.convert, "my.npz"),
        Reader("hub", sources.hub, _odd_table, sources.convert, "my.parquet"),
        Reader("folders", sources.class_folders, damage.of_bytes, sources.convert, "my.zip"),
        Reader("arrays", sources.number_files, damage.of_bytes, sources.convert, "arrays.zip"),
        Reader("database", sources.database, sources.odd_database, sources.convert, "base.zip"),
        Reader("votes", sources.voted, sources.odd_table, sources.convert, "votes.zip"),
        Reader("parts", sources.split_tables, sources.odd_table, sources.convert, "parts.zip"),
        Reader("matlab", sources.matlab, damage.of_bytes, sources.convert, "my.mat"),
        Reader(
            "matlab unpacked",
            lambda path: sources.matlab(path, pack=False),
            sources.odd_matlab,
            sources.convert,
            "my.mat",
        ),
        Reader("pictures", sources.pictures, sources.odd_pictures, sources.convert, "mixed.zip"),
        Reader("fits", sources.fits, sources.odd_fits, sources.convert_fits, "fits.zip"),
        Reader("records", sources.records, sources.odd_records, sources.convert, "my.tfrecord"),
        Reader("store", _table, _odd_table, _read_store, "run-x.parquet"),
        Reader("archive", models.archive, damage.of_bytes, models.fill, "given.npz"),
        Reader(
            "safetensors",
            models.safetensors,
            models.odd_safetensors,
            models.fill,
            "given.safetensors",
        ),
        Reader("keras", models.keras, models.odd_keras, models.fill, "given.keras"),
        *(
            Reader(name, rows.run, rows.odd, read, "run-x.parquet")
            for name, read in rows.READ.items()
        ),
        Reader("weights", _arrays, damage.of_bytes, weights.load, "weights.npz"),
        Reader(
            "examples",
            _examples,
            damage.of_bytes,
            lambda path: examples.load(path.parent.parent),
            "examples/x.npz",
        ),
        Reader(
            "findings",
            _findings,
            _odd_table,
            lambda path: findings.read(path.parent.parent),
            "fidelity/x.parquet",
        ),
        Reader(
            "checkpoint",
            _checkpoint,
            _signed,
            lambda path: from_bytes(path.read_bytes(), str(path)),
            "checkpoint.npz",
        ),
        Reader(
            "benchmark",
            _benchmark,
            damage.of_json,
            lambda path: import_file(path, Store(path.parent / "store")),
            "b.json",
        ),
        Reader("block", planned.block, damage.of_json, planned.read_block, "00001.json"),
        Reader(
            "gpu",
            planned.measurement,
            damage.of_json,
            planned.read_measurement,
            "yardstick.json",
        ),
        Reader("model", _model, damage.of_json, lambda path: find(path.parent), "model.json"),
        Reader(
            "baseline",
            lambda path: path.write_text('{"executions": ["a"]}') and None,
            damage.of_json,
            lambda path: json_file(path, _Baseline, "a baseline"),
            "main.json",
        ),
        Reader(
            "architecture",
            _copy(architecture.DIRECTORY / "c2.toml"),
            damage.of_toml,
            architecture.load,
            "net.toml",
        ),
        Reader("network", _copy(models.NETWORKS[0]), models.odd_network, models.build, "net.toml"),
        Reader(
            "suite",
            _copy(suite_file.DIRECTORY / "quick.toml"),
            damage.of_toml,
            lambda path: suite_file.load(str(path)),
            "suite.toml",
        ),
        Reader(
            "experiment",
            _copy(experiment.DIRECTORY / "unam.toml"),
            damage.of_toml,
            lambda path: experiment.load(str(path)),
            "trained.toml",
        ),
    )
}

NEED = {"fits": "astropy", "records": "tensorflow"}  # without which there is nothing to try

COMMANDS = {
    "run": ("benchmarks.config.options", "parser"),
    "track": ("benchmarks.tracking.options", "parser"),
    "fidelity": ("benchmarks.fidelity.options", "parser"),
    "results": ("results.__main__", "_parser"),
    "datasets": ("datasets.__main__", "parser"),
    "port": ("benchmarks.port.options", "parser"),
    "micro": ("benchmarks.micro.__main__", "parser"),
    "limits": ("benchmarks.limits.__main__", "parser"),
    "gpu": ("benchmarks.gpu.__main__", "parser"),
}


def tried(reader: Reader, content: bytes, path: Path) -> str:
    """What is wrong with how a reader takes a file; "" when nothing is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    told: list[str] = []
    out, errors = io.StringIO(), io.StringIO()
    with (
        warnings.catch_warnings(record=True) as caught,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
    ):
        warnings.simplefilter("always")
        try:
            reader.read(path)
        except (ValueError, OSError) as error:
            told.append(str(error))
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    told += [str(one.message) for one in caught]
    return _judged([*told, *filter(None, [errors.getvalue()])], Path(reader.file).name)


def commanded(name: str, draw: random.Random) -> str:
    """What is wrong with how a command takes its words; "" when nothing is."""
    module, maker = COMMANDS[name]
    whole = parser = getattr(importlib.import_module(module), maker)()
    options = [*parser._option_string_actions]
    words: list[str] = []
    while commands := [
        action for action in parser._actions if isinstance(action, argparse._SubParsersAction)
    ]:
        word = draw.choice([*commands[0].choices])
        words.append(word)
        parser = commands[0].choices[word]
        options = [*parser._option_string_actions]
    options = [one for one in options if one not in ("-h", "--help", "--version")]
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        try:
            found = whole.parse_args([*words, *damage.of_words(options or ["--x"], draw)])
            if name == "run":
                requested(found)
        except SystemExit as end:
            if end.code != 2:
                return f"exit status {end.code}"
        except (ValueError, OSError) as error:
            errors.write(printable(cli.message(error)))  # as every command prints it
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return _judged([errors.getvalue()], "")


def _judged(messages: list[str], file: str) -> str:
    for text in messages:
        if "more memory than there is" in text:
            return f"allocates too much: {text}"
        if "Traceback" in text:
            return text
        if text.strip().count("\n") >= LINES:
            return f"{text.count(chr(10))} lines: {text[:300]}"
        if text and file not in text:
            return f"does not name the file: {text[:300]}"
        if any(ord(one) < 32 and one not in "\n\t" for one in text) and not file:
            return f"control characters: {text!r}"
    return ""
