"""A session on a cluster: its blocks are queued, watched, cancelled when it is broken off."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from benchmarks.cluster.plan import DIRECTORY, path_of, write_blocks
from benchmarks.cluster.ray import Ray
from benchmarks.cluster.scheduler import Scheduler, SchedulerError, session_of
from benchmarks.cluster.slurm import Slurm
from benchmarks.cluster.watch import Queued, Watch
from benchmarks.runner.block import Block, load
from benchmarks.runner.estimate import Estimator
from benchmarks.runner.session import Tally
from results.door.documents import json_file
from results.interrupts import Held
from results.names import beneath, printable
from results.output import say
from results.store import Store
from results.vocabulary import near_miss
from results.writer import write

_SESSION = "session.json"
SCHEDULERS: Mapping[str, type[Scheduler]] = {one.NAME: one for one in (Slurm, Ray)}
_BEGIN_SECONDS = 900.0  # of a job's limit: to stage the galaxies, and to check what is asked


class Submitted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A queued session, as its file tells it: the job of each block, in order."""

    format: int = 1
    session_id: str
    engine: str
    options: dict[str, str]
    jobs: tuple[str, ...]


def submit(blocks: Sequence[Block], store: Store, scheduler: Scheduler, *, most: int) -> Path:
    """Write the blocks into the store and queue them; returns their directory.

    Args:
        most: jobs that may run at once; 0 is as many as there are nodes.

    Raises:
        SchedulerError: the scheduler refuses; nothing stays queued, and no file.
        OSError: the store cannot be written.
    """
    first = blocks[0]
    directory = store.path.resolve() / DIRECTORY / first.session_id
    jobs: list[str] = []
    try:
        write_blocks(blocks, directory)
        with Held():  # else a job may be queued that nobody knows of
            jobs = scheduler.submit(
                directory,
                len(blocks),
                seconds=max(job_seconds(block) for block in blocks)
                if all(job_seconds(block) for block in blocks)
                else 0.0,
                most=most,
                name=f"galaxies-{first.session_id}",
            )
        session = Submitted(
            session_id=first.session_id,
            engine=first.engine,
            options=dict(scheduler.options),
            jobs=tuple(jobs),
        )
        write(directory / _SESSION, msgspec.json.encode(session))
    except BaseException:
        if jobs:
            with suppress(SchedulerError):
                scheduler.cancel(arrays(jobs))
        _remove(directory)
        raise
    return directory


def _remove(directory: Path) -> None:
    """Remove a session's directory, at once for a scheduler that still writes there."""
    gone = directory.with_name(f".{directory.name}")
    with suppress(OSError):
        directory.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def job_seconds(block: Block) -> float:
    """The time limit of a block's job: the sum of its runs', and some to begin; 0 where one of them
    has no limit."""
    estimator = Estimator()
    for run, seconds in zip(block.runs, block.seconds, strict=True):
        estimator.walls[run.cell_id].append(seconds)
    stated = block.suite.timeout
    limits = [
        estimator.time_limit(run) if stated is None else stated
        for run in block.runs
        if not run.skip
    ]
    return _BEGIN_SECONDS + sum(limits) if all(limits) else 0.0


def watched(directory: Path, store: Store, tally: Tally) -> list[Block]:
    """Wait for a queued session to end; its jobs are cancelled when the wait is broken off.

    Args:
        directory: of its blocks.
        tally: filled as rows arrive, so that it is right however this is left.

    Returns:
        The blocks. Their files go when nothing of them was lost.

    Raises:
        FileError, ValueError: the session's files are no such.
        SchedulerError: the nodes refuse the blocks.
    """
    session = json_file(directory / _SESSION, Submitted, "a queued session")
    scheduler = scheduler_of(session.engine, session.options)
    queued = []
    try:
        for number, job in enumerate(session.jobs, start=1):
            block = load(path_of(directory, number))
            queued.append(Queued(block, job, beneath(directory, job, ending=".log")))
        watch = Watch(queued, scheduler, store, lambda text: say(text, flush=True), tally)
        watch.until_all_ended()
    except BaseException:
        with suppress(SchedulerError):
            scheduler.cancel(arrays(session.jobs))
        raise
    if not any(row["status"] == "lost" for row in tally.rows):
        _remove(directory)
        with suppress(OSError):  # another session has its own there
            directory.parent.rmdir()
    return [one.block for one in queued]


def arrays(jobs: Sequence[str]) -> list[str]:
    """All that one call of the scheduler has queued, by the name that its jobs share."""
    return list(dict.fromkeys(map(session_of, jobs)))


def attached(store: Store, name: str) -> Path:
    """The directory of a queued session of the store.

    Args:
        name: its session_id; "" where there is but one.

    Raises:
        ValueError: there is none of this name, or there are several.
    """
    try:
        known = sorted(os.listdir(store.path / DIRECTORY))
    except OSError:
        known = []
    known = [one for one in known if (store.path / DIRECTORY / one / _SESSION).is_file()]
    if name in known:
        return store.path.resolve() / DIRECTORY / name
    if not name and len(known) == 1:
        return store.path.resolve() / DIRECTORY / known[0]
    if not known:
        raise ValueError(f"--attach: no session is queued from the store {store.path}")
    there = ", ".join(map(printable, known))
    if name:
        raise ValueError(f"--attach {printable(name)}: unknown{near_miss(name, known)}; {there}")
    raise ValueError(f"--attach: name one of the sessions {there}")


def scheduler_of(engine: str, options: Mapping[str, str], side_by_side: int = 1) -> Scheduler:
    """The scheduler of a name.

    Args:
        side_by_side: blocks that may share a node.

    Raises:
        SchedulerError: there is none of the name.
    """
    if engine not in SCHEDULERS:
        raise SchedulerError(f"engine {printable(engine)}: unknown; {', '.join(SCHEDULERS)}")
    return SCHEDULERS[engine](options, side_by_side)


def options_of(texts: Sequence[str]) -> Mapping[str, str]:
    """`KEY=VALUE` texts as a mapping.

    Raises:
        SchedulerError: one has no equals sign, or a key is stated twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise SchedulerError(
                f"--executor-option '{printable(text)}': expected KEY=VALUE, as in partition=gpu"
            )
        if key in found:
            raise SchedulerError(f"--executor-option {printable(key)}: is stated twice")
        found[key] = value
    return found
