"""Slurm, by its own commands: sbatch, squeue, scancel, sinfo.

submitit would submit as well, but asks sacct for a job's state, so that without an accounting
database it never notices a dead node; and it brings back one result, pickled, when a job has ended,
where blocks append their rows themselves. What is left of it is the one call of sbatch below.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from benchmarks.cluster.scheduler import (
    GONE,
    Job,
    Scheduler,
    SchedulerError,
    answer,
    cpus_of,
    python_path,
    session_of,
)
from benchmarks.runner.check import Elsewhere
from results.vocabulary import near_miss

_GPUS = ("gres", "gpus", "gpus-per-node")
_COMMANDS = ("sbatch", "squeue", "scancel", "sinfo", "scontrol")
_MAX_ARRAY = 1001  # Slurm's own default of MaxArraySize


class Slurm(Scheduler):
    """The scheduler of this cluster.

    options: of sbatch, and `python`, the interpreter on the nodes.
    """

    NAME = "slurm"
    # Those of sbatch that a user may state; the others are the harness's own to state.
    OPTIONS = (
        *("partition", "account", "qos", "reservation", "constraint", "nodelist", "exclude"),
        *("gres", "gpus", "gpus-per-node", "cpus-per-task", "mem", "mem-per-cpu", "tmp"),
        *("licenses", "time", "nice", "begin", "comment", "mail-type", "mail-user", "python"),
    )

    _cpus = 0

    def check(self) -> None:
        if absent := [name for name in _COMMANDS if shutil.which(name) is None]:
            raise SchedulerError(
                f"--executor slurm: there is no {absent[0]} here; run it on a machine that submits "
                "to Slurm, or use --executor local"
            )
        super().check()

    def nodes(self, threads: int) -> Elsewhere:
        partition = self.options.get("partition")
        where = [f"--partition={partition}"] if partition else []
        lines = answer("sinfo", "--noheader", "--Node", "--format=%c", *where).split()
        counts = [int(one) for one in lines if one.isdigit()]
        if not counts:
            known = sorted({*answer("sinfo", "--noheader", "--format=%R").split()})
            if partition and partition not in known:
                raise SchedulerError(
                    f"--executor-option partition={partition}: unknown"
                    f"{near_miss(partition, known)}; there are {', '.join(known) or 'none'}"
                )
            raise SchedulerError("--executor slurm: sinfo tells of no node; is the cluster up?")
        gpu = any("gpu" in f"{name}={self.options[name]}" for name in _GPUS if name in self.options)
        asked = self.options.get("cpus-per-task", "")
        if asked and self.side_by_side > 1:
            raise SchedulerError(
                "--executor-option cpus-per-task and --side-by-side: name one; the second deals "
                "the CPUs of a node"
            )
        if asked.isdigit():
            return Elsewhere(int(asked), gpu)
        choose = "--executor-option partition=NAME"
        self._cpus = cpus_of(counts, threads, choose, self.side_by_side)
        return Elsewhere(self._cpus, gpu)

    def submit(
        self, directory: Path, blocks: int, *, seconds: float, most: int, name: str
    ) -> list[str]:
        size = min(_max_array() - 1, blocks)
        own_time = "time" in self.options
        jobs: list[str] = []
        arrays: list[str] = []
        try:
            for first in range(1, blocks + 1, size):
                count = min(size, blocks + 1 - first)
                words = [
                    *("--parsable", "--no-requeue", "--nodes=1", "--ntasks=1", *self._room()),
                    *("--export=ALL", f"--job-name={name}", f"--chdir={os.getcwd()}"),
                    f"--output={directory}/%A_%a.log",
                    f"--array=1-{count}{f'%{most}' if most else ''}",
                    *([f"--dependency=afterany:{arrays[-1]}"] if arrays and most else []),
                    *([f"--time={_minutes(seconds)}"] if seconds and not own_time else []),
                    *(f"--{key}={value}" for key, value in self.options.items() if key != "python"),
                ]
                told = answer("sbatch", *words, given=self._script(directory, first - 1))
                arrays.append(told.strip().partition(";")[0])
                jobs += [f"{arrays[-1]}_{number}" for number in range(1, count + 1)]
        except BaseException:
            self.cancel(arrays)
            raise
        return jobs

    def _room(self) -> list[str]:
        """The node alone, or so many of its CPUs that no more blocks than asked for fit there."""
        if self.side_by_side == 1:
            return ["--exclusive"]
        return [f"--cpus-per-task={self._cpus}"]

    def _script(self, directory: Path, before: int) -> str:
        path, python, place = map(shlex.quote, (python_path(), self.python(), str(directory)))
        number = f"$(printf %05d $((SLURM_ARRAY_TASK_ID + {before})))"
        return (
            "#!/bin/sh\n"
            f"export PYTHONPATH={path}\n"
            f"exec {python} -m benchmarks.block {place}/{number}.json\n"
        )

    def states(self, directory: Path, jobs: Collection[str]) -> dict[str, Job]:
        # squeue tells of a job for some minutes after its end (MinJobAge), also where a node died
        # and there is no accounting database.
        arrays = ",".join(dict.fromkeys(map(session_of, jobs)))
        words = ["--noheader", "--array", "--states=all", "--format=%i|%T|%N|%r"]
        words.append(f"--jobs={arrays}")
        try:
            told = answer("squeue", *words)
        except SchedulerError as error:
            if "Invalid job id" not in str(error):
                raise
            told = ""
        found = dict.fromkeys(jobs, GONE)
        for job, state, node, reason in _fields(told):
            if job in found:
                found[job] = Job(state, reason, node)
        return found

    def cancel(self, jobs: Sequence[str]) -> None:
        arrays = dict.fromkeys(jobs)
        for start in range(0, len(arrays), 500):
            answer("scancel", "--quiet", *list(arrays)[start : start + 500])


def _fields(told: str) -> Iterator[tuple[str, str, str, str]]:
    for line in told.splitlines():
        parts = [part.strip() for part in line.split("|")]
        if len(parts) == 4:
            yield parts[0], parts[1], parts[2], parts[3]


def _minutes(seconds: float) -> int:
    return max(1, -int(-seconds // 60))


def _max_array() -> int:
    """The cluster's MaxArraySize, one more than the largest index of an array."""
    for line in answer("scontrol", "show", "config").splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "MaxArraySize" and value.strip().isdigit():
            return max(2, int(value))
    return _MAX_ARRAY
