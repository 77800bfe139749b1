"""A Slurm of two nodes on this machine, for tests: one slurmctld and two slurmd, with a munged of
their own, all below one directory.

It needs root, and the packages slurm-wlm and munge (`apt-get install slurm-wlm munge`).
"""

import contextlib
import os
import platform
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

NODES = ("n1", "n2")
_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
_START_SECONDS = 60.0
_QUIET = 10  # looks in which nothing of a dead node is found
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])

_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={directory}/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MailProg=/bin/true
ReturnToService=2
SlurmdTimeout=10
SlurmctldTimeout=10
KillWait=5
MinJobAge=600
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/spool.%n
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/slurmd.%n.pid
SlurmctldLogFile={directory}/slurmctld.log
SlurmdLogFile={directory}/slurmd.%n.log
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def wanting() -> str:
    """Why no Slurm can be started here; empty when one can."""
    absent = [name for name in _PROGRAMS if shutil.which(name, path=_PATH) is None]
    if absent:
        return f"no {', '.join(absent)}: apt-get install slurm-wlm munge"
    return "" if os.geteuid() == 0 else "Slurm's daemons are started by root"


class Cluster:
    """A running Slurm. `environment` makes its commands known to processes started with it.

    options: with which the command uses it; DEAD: its word for the job of a dead node.
    """

    options = ("--executor", "slurm")
    DEAD = "NODE_FAIL (NodeDown)"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {"SLURM_CONF": str(directory / "slurm.conf"), "PATH": _PATH}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start all daemons, and wait until both nodes are idle."""
        cpus = os.cpu_count() or 1
        ports = _free_ports(1 + len(NODES))
        nodes = "\n".join(
            f"NodeName={name} NodeHostname={platform.node()} NodeAddr=127.0.0.1 Port={port} "
            f"CPUs={cpus} State=UNKNOWN"
            for name, port in zip(NODES, ports[1:], strict=True)
        )
        self.directory.mkdir(parents=True, exist_ok=True)
        for name in ("state", *(f"spool.{node}" for node in NODES)):
            (self.directory / name).mkdir()
        (self.directory / "slurm.conf").write_text(
            _CONF.format(
                host=platform.node(), controller=ports[0], directory=self.directory, nodes=nodes
            )
        )
        (self.directory / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        key = self.directory / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        place = {
            "key-file": key,
            "socket": self.directory / "munge.socket",
            "pid-file": self.directory / "munge.pid",
            "log-file": self.directory / "munge.log",
            "seed-file": self.directory / "munge.seed",
        }
        words = [f"--{name}={path}" for name, path in place.items()]
        self._begin("munged", "munged", "--foreground", "--force", *words)
        self._until(lambda: (self.directory / "munge.socket").exists())
        self._begin("slurmctld", "slurmctld", "-D")
        for node in NODES:
            self._begin(node, "slurmd", "-D", "-N", node)
        self._until(lambda: self.states() == dict.fromkeys(NODES, "idle"))

    def states(self) -> dict[str, str]:
        """What sinfo says of each node."""
        told = self.ask("sinfo", "--noheader", "--Node", "--format=%N %t")
        return dict(line.split() for line in told.splitlines() if len(line.split()) == 2)

    def ask(self, *command: str) -> str:
        """What one of its commands prints; nothing where it fails."""
        done = subprocess.run(
            command, env=os.environ | self.environment, capture_output=True, text=True
        )
        return done.stdout

    def running(self, node: str) -> str:
        """The job that runs on a node; empty where there is none."""
        words = ("--noheader", "--array", "--states=RUNNING", f"--nodelist={node}", "--format=%i")
        return self.ask("squeue", *words).strip()

    def cancel(self, job: str) -> None:
        """Cancel one job."""
        self.ask("scancel", job)

    def kill(self, node: str) -> None:
        """The node loses its power: slurmd and all that it has started die at once."""
        daemon = self._processes[node]
        daemon.kill()
        daemon.wait()
        quiet = 0
        while quiet < _QUIET:  # a step that has just begun does not say yet whose it is
            found = list(self._started_by(node))
            for process in found:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            quiet = 0 if found else quiet + 1
            time.sleep(0.1)

    def stop(self) -> None:
        """End all daemons, and what is left of their jobs."""
        for node in NODES:
            if node in self._processes:
                self.kill(node)
        for process in reversed(self._processes.values()):
            process.kill()
            process.wait()

    def _started_by(self, node: str) -> Iterator[psutil.Process]:
        """What runs on a node: each slurmstepd, which leaves its slurmd, and what is below it."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                found = process.environ()
                mine = found.get("SLURM_CONF") == self.environment["SLURM_CONF"]
                if mine and found.get("SLURMD_NODENAME") == node:
                    # the title of a slurmstepd has overwritten its environment
                    yield from (one for one in process.parents() if one.name() == "slurmstepd")
                    yield process

    def _begin(self, name: str, *command: str) -> None:
        with (self.directory / f"{name}.out").open("wb") as output:
            self._processes[name] = subprocess.Popen(
                command,
                env=os.environ | self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _last_words(self) -> str:
        """The last line of each daemon's log."""
        logs = sorted(self.directory.glob("*.log")) + sorted(self.directory.glob("*.out"))
        last = {log.name: log.read_text(errors="replace").splitlines()[-1:] for log in logs}
        return "; ".join(f"{name}: {line[0]}" for name, line in last.items() if line)

    def _until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not holds():
            ended = [n for n, p in self._processes.items() if p.poll() is not None]
            if ended or time.monotonic() > deadline:
                raise NoSlurmError(f"Slurm does not start here ({ended}): {self._last_words()}")
            time.sleep(0.2)


class NoSlurmError(RuntimeError):
    """Slurm's daemons do not run on this machine, which may forbid what they need."""


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextlib.contextmanager
def cluster(directory: Path) -> Iterator[Cluster]:
    """A Slurm that runs while the block does."""
    made = Cluster(directory)
    try:
        made.start()
        yield made
    finally:
        made.stop()
