"""Blocks of the planned runs: their files, and the blocks that `--resume` leaves out."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from benchmarks.config.artifacts import Keeping, described
from benchmarks.config.plan import PlannedRun
from benchmarks.config.suite import Suite
from benchmarks.runner.block import Block, blocks_of, save
from benchmarks.runner.prepare import Prepared
from benchmarks.runner.session import execution_id
from datasets.catalog import NAMES
from results.names import beneath
from results.store import Store

DIRECTORY = "blocks"  # in the store


def planned_blocks(
    prepared: Sequence[Prepared], keeping: Keeping, *, engine: str, store: Store
) -> list[Block]:
    """The blocks of all suites of a session, in the order of their runs.

    A block is always run from its start, so that all of its runs are made together: its runs keep
    no checkpoints.
    """
    found: list[Block] = []
    for one in prepared:
        suite = _from_anywhere(one)
        about = described(one.suite, one.galaxies.class_names)
        kept = msgspec.structs.replace(keeping, checkpoints="", resume=False, about=about)
        for runs in blocks_of(one.runs):
            found.append(
                Block(
                    name=runs[0].block,
                    number=len(found) + 1,
                    session_id=one.session.session_id,
                    engine=engine,
                    store=str(store.path.resolve()),
                    suite=suite,
                    runs=tuple(runs),
                    executions=tuple(execution_id(run) for run in runs),
                    seconds=tuple(one.estimator.estimate(run).seconds for run in runs),
                    class_names=one.galaxies.class_names,
                    class_counts=one.galaxies.class_counts,
                    left_out=one.galaxies.left_out,
                    keeping=kept,
                )
            )
    return found


def _from_anywhere(one: Prepared) -> Suite:
    """The suite with its file or folder of galaxies named so that any node finds it."""
    name = one.suite.dataset
    if name in NAMES:
        return one.suite
    return msgspec.structs.replace(one.suite, dataset=os.path.abspath(os.path.expanduser(name)))


def path_of(directory: Path, number: int) -> Path:
    """The file of a block, which its number names."""
    return beneath(directory, f"{number:05}", ending=".json")


def write_blocks(blocks: Sequence[Block], directory: Path) -> list[Path]:
    """Write each block's file, `00001.json` and so on.

    Raises:
        OSError: the directory cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    paths = [path_of(directory, block.number) for block in blocks]
    for block, path in zip(blocks, paths, strict=True):
        save(block, path)
    return paths


def without_whole(prepared: Sequence[Prepared], store: Store) -> list[Prepared]:
    """The suites without the blocks that the store holds whole: every run ended ok, in one session
    on one node.

    A block of which a run is wanting is left as it is planned, to be run again from its start.
    """
    held = _held(store)
    left = []
    for one in prepared:
        done: list[PlannedRun] = []
        for runs in blocks_of(one.runs):
            wanted = {run.run_id for run in runs if not run.skip}
            part_of = runs[0].part_of
            of = (part_of.name, part_of.scale) if part_of else (None, None)
            if any(wanted <= ok for ok in held[runs[0].block, *of]):
                done += runs
        ids = {run.run_id for run in done}
        runs = [run for run in one.runs if run.run_id not in ids]
        left.append(replace(one, runs=runs, done=[*one.done, *done]))
    return left


_Key = tuple[str | None, str | None, float | None]


def _held(store: Store) -> dict[_Key, list[set[str]]]:
    """Runs that ended ok, by block and experiment: a set for each session and node."""
    names = ("block", "experiment", "scale", "session_id", "node", "run_id", "status")
    table = store.table(names)
    groups: dict[tuple, set[str]] = defaultdict(set)
    columns = (table[name].to_pylist() for name in names)
    for *key, run_id, status in zip(*columns, strict=True):
        if status == "ok" and key[0] is not None:
            groups[tuple(key)].add(run_id)
    held: dict[_Key, list[set[str]]] = defaultdict(list)
    for (block, experiment, scale, *_), ids in groups.items():
        held[block, experiment, scale].append(ids)
    return held
