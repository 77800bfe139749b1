"""Galaxies on a node: staged once, hashed, kept while a block uses them."""

import dataclasses
import os
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.config.suite import Suite
from benchmarks.data import node, staging
from benchmarks.data.node import staged_here
from benchmarks.data.staging import Galaxies, load_staged
from results.writer import locked

SUITE = Suite(demo_images=40)


@pytest.fixture
def stagings(tmp_path, monkeypatch) -> list[Path]:
    """Where galaxies were staged, a line for each time; all of it in a directory of its own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    found: list[Path] = []
    original = staging.stage

    def stage(dataset, suite, directory: Path) -> Galaxies:
        found.append(directory)
        return original(dataset, suite, directory)

    monkeypatch.setattr(staging, "stage", stage)
    return found


@pytest.fixture
def planned(tmp_path) -> Galaxies:
    """The galaxies as the driver has staged them."""
    return staging.stage(staging.load(SUITE), SUITE, tmp_path / "driver" / "data")


def test_all_that_is_known_of_them_is_kept() -> None:
    fields = {field.name for field in dataclasses.fields(Galaxies)}
    assert {*node._FIELDS} == fields - {"directory"}


def test_they_are_staged_once_for_all_blocks(planned, stagings) -> None:
    barrier = threading.Barrier(4)

    def block(_: int) -> Galaxies:
        barrier.wait()
        with staged_here(SUITE, planned.view) as galaxies:
            return galaxies

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(block, range(4)))
    assert len(stagings) == 1
    assert len({str(one.directory) for one in found}) == 1
    for name in node._FIELDS:
        assert getattr(found[0], name) == getattr(planned, name), name
    here, there = (load_staged(one.directory, one.view) for one in (found[0], planned))
    assert np.array_equal(here.images, there.images)
    assert np.array_equal(here.split.train, there.split.train)


def test_a_file_that_has_changed_is_staged_again(planned, stagings) -> None:
    with staged_here(SUITE, planned.view) as galaxies:
        labels = galaxies.directory / "labels.npy"
        content = labels.read_bytes()
    labels.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with staged_here(SUITE, planned.view):
        assert labels.read_bytes() == content
    (labels.parent.parent / "galaxies.json").write_text("{")
    with staged_here(SUITE, planned.view):
        assert len(stagings) == 3


def test_other_galaxies_than_planned_are_refused(planned, stagings) -> None:
    other = msgspec.structs.replace(planned.view, sha256="0" * 64)
    refused = pytest.raises(ValueError, match="not those that the runs were planned with")
    with refused, staged_here(SUITE, other):
        pass


def test_what_nobody_has_used_for_a_day_goes(planned, stagings, tmp_path) -> None:
    with staged_here(SUITE, planned.view) as galaxies:
        first = galaxies.directory
    used = first.parent.with_suffix(".used")
    old = time.time() - 2 * node.KEPT_SECONDS
    other = msgspec.structs.replace(SUITE, split_seed=1)
    os.utime(used, (old, old))
    with locked(used, alone=False), staged_here(other, planned.view):
        assert first.exists()
    with staged_here(other, planned.view) as galaxies:
        assert not first.exists()
        assert galaxies.directory.exists()
