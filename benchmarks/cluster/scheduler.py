"""Questions to a scheduler that Slurm and Ray share, and the parts of their answers."""

from __future__ import annotations

import os
import subprocess
import sys
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from benchmarks.runner.check import Elsewhere
from benchmarks.system import machine
from results.vocabulary import near_miss

ANSWER_SECONDS = 120.0
# States of a job that may still run (squeue's JOB STATE CODES); every other state is its end.
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


class States(Protocol):
    """The scheduler's answers while its jobs run."""

    def states(self, directory: Path, jobs: Collection[str]) -> dict[str, Job]:
        """State of each job; GONE where the scheduler no longer knows it.

        Args:
            directory: of the session's blocks.

        Raises:
            SchedulerError: it does not answer.
        """


@dataclass
class Scheduler(States):
    """A scheduler that runs blocks on nodes.

    options: stated by the user, one of OPTIONS each. side_by_side: blocks that may share a node;
    with 1 each is alone there.
    """

    NAME: ClassVar[str]
    OPTIONS: ClassVar[tuple[str, ...]]

    options: Mapping[str, str] = field(default_factory=dict)
    side_by_side: int = 1

    def check(self) -> None:
        """Raise SchedulerError where an option is unknown, or the scheduler is not installed."""
        for name in self.options:
            if name not in self.OPTIONS:
                raise SchedulerError(
                    f"--executor-option {name}: unknown{near_miss(name, self.OPTIONS)}; known: "
                    f"{', '.join(self.OPTIONS)}"
                )
        python = self.options.get("python")
        if python is not None and not os.access(python, os.X_OK):
            raise SchedulerError(
                f"--executor-option python={python}: no such interpreter; give the path of a "
                "python that the nodes see, too"
            )

    @abstractmethod
    def nodes(self, threads: int) -> Elsewhere:
        """The nodes that jobs run on: a block's CPUs, and whether it gets a GPU.

        Args:
            threads: that each run is to have; 0 is all of a node.

        Raises:
            SchedulerError: there are none, or they do not fit.
        """

    @abstractmethod
    def submit(
        self, directory: Path, blocks: int, *, seconds: float, most: int, name: str
    ) -> list[str]:
        """Queue the blocks of a directory, `00001.json` and so on, each as a job.

        Args:
            directory: that the nodes see; the output of a job goes there, into JOB.log.
            seconds: the time limit of a job; 0 is none of ours.
            most: jobs that may run at once; 0 is as many as there are nodes.
            name: of the jobs, without an underscore.

        Returns:
            The job of each block: its session and number, parted by an underscore.

        Raises:
            SchedulerError: the scheduler refuses; what it had taken is cancelled.
        """

    @abstractmethod
    def cancel(self, jobs: Sequence[str]) -> None:
        """Cancel jobs, or all of a session, queued or running; those that have ended are left.

        Raises:
            SchedulerError: it does not answer.
        """

    def python(self) -> str:
        """The interpreter on the nodes."""
        return self.options.get("python") or sys.executable


def python_path() -> str:
    """PYTHONPATH of a block: this project, and what the user's own names."""
    path = [str(machine.ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.pathsep.join(path)


def session_of(job: str) -> str:
    """The part of a job's name that all jobs of a call of the scheduler share."""
    return job.partition("_")[0]


def cpus_of(counts: Collection[int], threads: int, choose: str, share: int = 1) -> int:
    """CPUs that a block has on the largest node.

    Args:
        counts: of each node.
        threads: that each run is to have; 0 is all that a block has.
        choose: the option that chooses nodes of one kind.
        share: blocks that may be on a node at once.

    Raises:
        SchedulerError: no node has as many; or all are asked, and the nodes have several sizes.
    """
    sizes = sorted(set(counts))
    most = sizes[-1] // share
    if max(threads, 1) > most:
        asked = {"--threads": threads, "--side-by-side": share if share > 1 else 0}
        words = " ".join(f"{option} {count}" for option, count in asked.items() if count)
        raise SchedulerError(f"{words}: the largest node has {sizes[-1]} CPUs; ask for fewer")
    if not threads and len(sizes) > 1:
        raise SchedulerError(
            f"the nodes have {', '.join(map(str, sizes))} CPUs: say --threads "
            f"{max(1, sizes[0] // share)}, or choose nodes of one kind with {choose}"
        )
    return most


def answer(command: str, *words: str, given: str = "", **variables: str) -> str:
    """Standard output of a scheduler's command.

    Args:
        given: its standard input.
        variables: of its environment, besides this process's.

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
            timeout=ANSWER_SECONDS,
            env=os.environ | variables,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SchedulerError(f"{command} does not answer: {error}") from error
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split()) or f"status {done.returncode}"
        raise SchedulerError(f"{command}: {said}")
    return done.stdout
