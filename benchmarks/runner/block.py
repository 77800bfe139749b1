"""A block: runs that go together on one node, as a file that any scheduler can have run there.

The file names the planned runs whole, so that a node needs no more than this project, the galaxies
and a store that it shares with the others. It describes itself, stages the galaxies once, runs, and
appends each row as the run ends.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from benchmarks.config.artifacts import Keeping
from benchmarks.config.plan import PlannedRun
from benchmarks.config.suite import Suite
from benchmarks.data.node import staged_here
from benchmarks.process import device, interpreters
from benchmarks.runner.context import describe_session
from benchmarks.runner.estimate import Estimator
from benchmarks.runner.preflight import opened
from benchmarks.runner.progress import Tracker, progress_for
from benchmarks.runner.session import Tally, execute, execution_id
from benchmarks.system import machine
from results.door.documents import json_file
from results.store import Store
from results.words import count
from results.writer import scratch_directory, write

FORMAT = 1  # of the file; another one is refused
_JOBS = (
    ("BENCHMARK_JOB",),
    ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"),
    ("SLURM_JOB_ID",),
)


class Block(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The runs of one seed or repeat, to be run in this order on one node.

    name: of the block, a hash of its runs; number: from 1, in its session. store: an absolute path.
    executions: the execution_id that each run gets; seconds: what each was estimated to take, for
    its time limit. class_counts: galaxies of each class; left_out: by a conversion, in words.
    """

    format: int = FORMAT
    name: str
    number: int
    session_id: str
    engine: str
    store: str
    suite: Suite
    runs: tuple[PlannedRun, ...]
    executions: tuple[str, ...]
    seconds: tuple[float, ...]
    class_names: tuple[str, ...]
    class_counts: tuple[int, ...]
    left_out: str = ""
    keeping: Keeping

    def label(self) -> str:
        """A short name for messages."""
        run = self.runs[0].config
        parts = [run.architecture.name, f"seed {run.seed}"]
        if run.repeat:
            parts.append(f"repeat {run.repeat}")
        return f"block {self.number}: {' '.join(parts)}, {count(len(self.runs), 'run')}"


def blocks_of(runs: Iterable[PlannedRun]) -> list[list[PlannedRun]]:
    """The planned runs by block, in their order."""
    return [list(group) for _, group in itertools.groupby(runs, key=lambda run: run.block)]


def save(block: Block, path: Path) -> None:
    """Write a block's file.

    Raises:
        OSError: it cannot be written.
    """
    write(path, msgspec.json.encode(block))


def load(path: Path) -> Block:
    """Read a block's file.

    Raises:
        FileError: it cannot be read, or is none; the message names the field.
        ValueError: it was written by another version of this project, or lacks a part.
    """
    block = json_file(path, Block, "a block of runs")
    if block.format != FORMAT:
        raise ValueError(
            f"{path}: field 'format': is {block.format}, this version reads {FORMAT}; write the "
            "blocks again with the version that runs them"
        )
    lengths = {len(block.runs), len(block.executions), len(block.seconds)}
    if len(lengths) > 1 or not block.runs:
        raise ValueError(
            f"{path}: fields 'runs', 'executions' and 'seconds' are to be of one length, and not "
            "empty; write the blocks again"
        )
    named = zip(block.executions, block.runs, strict=True)
    if len(set(block.executions)) < len(block.runs) or not all(
        execution.startswith(f"{run.run_id}-") for execution, run in named
    ):
        raise ValueError(
            f"{path}: field 'executions' does not name each of 'runs' once; write the blocks again"
        )
    return block


def run_block(block: Block, tell: Callable[[str], None]) -> Tally:
    """Run a block on this node, and store each run as it ends.

    A block that is stored whole is left alone; of one that was broken off every run is made again,
    as another execution, so that all of them ran together.

    Args:
        tell: called with each line for the log.

    Returns:
        What was run.

    Raises:
        ValueError, OSError: it cannot be run here; the message says what to do.
    """
    store = Store(block.store)
    store.check_writable()
    executions = dict(zip((run.run_id for run in block.runs), block.executions, strict=True))
    stored = store.rows(block.executions, ["status"])
    if len(stored) == len(executions):
        tell(f"{block.label()}: is in the store {store.path}, whole")
        return Tally()
    if stored:
        done = count(len(stored), "run")
        tell(f"{block.label()}: was broken off after {done}; all are run again")
        executions = {run.run_id: execution_id(run) for run in block.runs}
    check_node(block)
    tally = Tally()
    estimator = Estimator()
    for run, seconds in zip(block.runs, block.seconds, strict=True):
        estimator.walls[run.cell_id].append(seconds)
    tracker = Tracker(block.runs, estimator)
    view = block.runs[0].config.data
    with scratch_directory() as scratch, staged_here(block.suite, view) as galaxies:
        session = describe_session(block.session_id, block.engine, job_id())
        tell(f"{block.label()}, on {session.node}")
        session = opened(session, block.runs, block.suite, scratch=scratch, tell=tell)
        progress = progress_for(tracker)
        try:
            execute(
                block.runs,
                galaxies=galaxies,
                store=store,
                session=session,
                scratch=scratch,
                timeout=block.suite.timeout,
                tracker=tracker,
                progress=progress,
                tally=tally,
                keeping=msgspec.structs.replace(block.keeping, machine_id=session.machine_id),
                executions=executions,
            )
        finally:
            progress.close()
    return tally


def check_node(block: Block) -> None:
    """Raise ValueError where CPUs, a GPU or frameworks of the block are wanting on this node."""
    runs = [run for run in block.runs if not run.skip]
    usable = len(machine.usable_cpus())
    threads = max((run.config.threads for run in runs), default=1)
    where = f"{block.label()} on node {machine.node()}"
    if threads > usable:
        raise ValueError(
            f"{where}: its runs want {threads} CPUs, and {usable} may be used; plan them with "
            f"--threads {usable}, or ask for more CPUs with --executor-option"
        )
    pythons = {run.config.framework: run.python for run in runs if run.python}
    names = dict.fromkeys(run.config.framework for run in runs)
    if missing := interpreters.missing(name for name in names if name not in pythons):
        raise ValueError(f"{where}: {interpreters.how_to_install(missing)}")
    on_gpu = [run.config.framework for run in runs if run.config.device == "cuda"]
    if on_gpu:
        device.resolve("cuda", on_gpu, gpus=machine.gpus(), interpreters=pythons)


def job_id() -> str | None:
    """The scheduler's number of the job that this process is part of; None outside of any."""
    for names in _JOBS:
        if all(os.environ.get(name) for name in names):
            return "_".join(os.environ[name] for name in names)
    return None
