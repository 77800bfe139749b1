"""Slurm, by its own commands: sbatch, squeue, scancel, sinfo.

submitit would submit as well, but asks sacct for a job's state, so that without an accounting
database it never notices a dead node; and it brings back one result, pickled, when a job has ended,
where blocks append their rows themselves. What is left of it is the one call of sbatch below.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.runner.check import Elsewhere
from benchmarks.system import machine
from results.vocabulary import near_miss

# The options of sbatch that a user may state; the others are the harness's own to state.
OPTIONS = (
    *("partition", "account", "qos", "reservation", "constraint", "nodelist", "exclude"),
    *("gres", "gpus", "gpus-per-node", "cpus-per-task", "mem", "mem-per-cpu", "tmp", "licenses"),
    *("time", "nice", "begin", "comment", "mail-type", "mail-user", "python"),
)
_GPUS = ("gres", "gpus", "gpus-per-node")
_COMMANDS = ("sbatch", "squeue", "scancel", "sinfo", "scontrol")
_ANSWER_SECONDS = 120.0
_MAX_ARRAY = 1001  # Slurm's own default of MaxArraySize
# What a job is in that may still run (squeue's JOB STATE CODES); every other state is its end.
_OPEN = frozenset(
    {
        *("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING"),
        *("STAGE_OUT", "RESIZING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD"),
        "SPECIAL_EXIT",
    }
)


class SchedulerError(ValueError):
    """The scheduler cannot do what is asked; the message has its words and the remedy."""


@dataclass(frozen=True)
class Job:
    """State of a job, as the scheduler tells it. `node` is empty until it has one."""

    state: str
    reason: str = ""
    node: str = ""

    @property
    def pending(self) -> bool:
        """True if it has not started."""
        return self.state in ("PENDING", "CONFIGURING")

    @property
    def ended(self) -> bool:
        """True if it will not run any more."""
        return self.state not in _OPEN

    def words(self) -> str:
        """The scheduler's word, with its reason and the node."""
        reason = f" ({self.reason})" if self.reason not in ("", "None") else ""
        return f"{self.state}{reason}{f' on {self.node}' if self.node else ''}"


GONE = Job("GONE", "the scheduler does not know the job any more")


@dataclass(frozen=True)
class Slurm:
    """The scheduler of this cluster.

    options: of sbatch, by name, and `python`, the interpreter on the nodes.
    """

    options: Mapping[str, str]

    def check(self) -> None:
        """Raise SchedulerError where there is no Slurm, or an option is unknown."""
        if absent := [name for name in _COMMANDS if shutil.which(name) is None]:
            raise SchedulerError(
                f"--executor slurm: there is no {absent[0]} here; run it on a machine that submits "
                "to Slurm, or use --executor local"
            )
        for name in self.options:
            if name not in OPTIONS:
                raise SchedulerError(
                    f"--executor-option {name}: unknown{near_miss(name, OPTIONS)}; known: "
                    f"{', '.join(OPTIONS)}"
                )
        python = self.options.get("python")
        if python is not None and not os.access(python, os.X_OK):
            raise SchedulerError(
                f"--executor-option python={python}: no such interpreter; give the path of a "
                "python that the nodes see, too"
            )

    def nodes(self, threads: int) -> Elsewhere:
        """The nodes that jobs run on: their CPUs, and whether GPUs are asked for.

        Args:
            threads: that each run is to have; 0 is all of a node.

        Raises:
            SchedulerError: an unknown partition; nodes with fewer CPUs, or of several sizes.
        """
        partition = self.options.get("partition")
        where = [f"--partition={partition}"] if partition else []
        lines = _ask("sinfo", "--noheader", "--Node", "--format=%c", *where).split()
        counts = sorted({int(one) for one in lines if one.isdigit()})
        if not counts:
            known = sorted({*_ask("sinfo", "--noheader", "--format=%R").split()})
            if partition and partition not in known:
                raise SchedulerError(
                    f"--executor-option partition={partition}: unknown"
                    f"{near_miss(partition, known)}; there are {', '.join(known) or 'none'}"
                )
            raise SchedulerError("--executor slurm: sinfo tells of no node; is the cluster up?")
        gpu = any("gpu" in f"{name}={self.options[name]}" for name in _GPUS if name in self.options)
        asked = self.options.get("cpus-per-task", "")
        if asked.isdigit():
            return Elsewhere(int(asked), gpu)
        if threads > counts[-1]:
            raise SchedulerError(
                f"--threads {threads}: the largest node has {counts[-1]} CPUs; ask for fewer"
            )
        if not threads and len(counts) > 1:
            raise SchedulerError(
                f"the nodes have {', '.join(map(str, counts))} CPUs: say --threads {counts[0]}, "
                "or choose nodes of one kind with --executor-option partition=NAME"
            )
        return Elsewhere(counts[-1], gpu)

    def submit(
        self, directory: Path, blocks: int, *, seconds: float, most: int, name: str
    ) -> list[str]:
        """Queue the blocks of a directory, `00001.json` and so on, each as a job on a node alone.

        Args:
            directory: that the nodes see; their output goes there.
            seconds: the time limit of a job; 0 leaves it to the partition.
            most: jobs that may run at once; 0 is as many as there are nodes.
            name: of the jobs.

        Returns:
            The job of each block.

        Raises:
            SchedulerError: the scheduler refuses; what it had taken is cancelled.
        """
        size = min(_max_array() - 1, blocks)
        own_time = "time" in self.options
        jobs: list[str] = []
        arrays: list[str] = []
        try:
            for first in range(1, blocks + 1, size):
                count = min(size, blocks + 1 - first)
                words = [
                    *("--parsable", "--no-requeue", "--exclusive", "--nodes=1", "--ntasks=1"),
                    *("--export=ALL", f"--job-name={name}", f"--chdir={os.getcwd()}"),
                    f"--output={directory}/%A_%a.log",
                    f"--array=1-{count}{f'%{most}' if most else ''}",
                    *([f"--dependency=afterany:{arrays[-1]}"] if arrays and most else []),
                    *([f"--time={_minutes(seconds)}"] if seconds and not own_time else []),
                    *(f"--{key}={value}" for key, value in self.options.items() if key != "python"),
                ]
                told = _ask("sbatch", *words, given=self._script(directory, first - 1))
                arrays.append(told.strip().partition(";")[0])
                jobs += [f"{arrays[-1]}_{number}" for number in range(1, count + 1)]
        except BaseException:
            self.cancel(arrays)
            raise
        return jobs

    def _script(self, directory: Path, before: int) -> str:
        path = [str(machine.ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        python = shlex.quote(self.options.get("python") or sys.executable)
        number = f"$(printf %05d $((SLURM_ARRAY_TASK_ID + {before})))"
        return (
            "#!/bin/sh\n"
            f"export PYTHONPATH={shlex.quote(os.pathsep.join(path))}\n"
            f"exec {python} -m benchmarks.block {shlex.quote(str(directory))}/{number}.json\n"
        )

    def states(self, jobs: Collection[str]) -> dict[str, Job]:
        """State of each of these jobs, by its number; GONE where the scheduler no longer knows it.

        squeue tells of a job for some minutes after its end (MinJobAge), also where a node died and
        there is no accounting database.

        Raises:
            SchedulerError: it does not answer.
        """
        arrays = ",".join(dict.fromkeys(job.partition("_")[0] for job in jobs))
        words = ["--noheader", "--array", "--states=all", "--format=%i|%T|%N|%r"]
        words.append(f"--jobs={arrays}")
        try:
            told = _ask("squeue", *words)
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
        """Cancel jobs, or arrays of them, queued or running; those that have ended are left."""
        arrays = dict.fromkeys(jobs)
        for start in range(0, len(arrays), 500):
            _ask("scancel", "--quiet", *list(arrays)[start : start + 500])


def _fields(told: str) -> Iterator[tuple[str, str, str, str]]:
    for line in told.splitlines():
        parts = [part.strip() for part in line.split("|")]
        if len(parts) == 4:
            yield parts[0], parts[1], parts[2], parts[3]


def _minutes(seconds: float) -> int:
    return max(1, -int(-seconds // 60))


def _max_array() -> int:
    """The cluster's MaxArraySize, one more than the largest index of an array."""
    for line in _ask("scontrol", "show", "config").splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "MaxArraySize" and value.strip().isdigit():
            return max(2, int(value))
    return _MAX_ARRAY


def _ask(command: str, *words: str, given: str = "") -> str:
    """Standard output of a command of Slurm.

    Raises:
        SchedulerError: it fails, or does not answer.
    """
    try:
        done = subprocess.run(
            [command, *words],
            input=given,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ANSWER_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SchedulerError(f"{command} does not answer: {error}") from error
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split()) or f"status {done.returncode}"
        raise SchedulerError(f"{command}: {said}")
    return done.stdout
