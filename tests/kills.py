"""Kills at random moments: `python -m tests.kills --seed 0 --count 200`.

Commands run on a quick framework of NumPy that leaves a daemon behind, and are killed: the command
itself (SIGKILL, SIGTERM, Ctrl-C) or one of the processes that it has started. After each kill

- no row is lost or doubled, and none that was announced is missing;
- nothing that the command has started runs on;
- the page, the figures, the export and the models are whole, the old or the new;
- the command told at most one line, no traceback, and ended with 128 + signal;
- after the next start, which comes to its end, there is no temporary file.

A command is forked from a process that has the imports already; `tests/results/test_interrupts.py`
has the signals at imports.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import multiprocessing
import multiprocessing.util
import os
import random
import signal
import sys
import tempfile
import time
import uuid
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pytest

from benchmarks.models import saved
from results import cli, interrupts, writer
from results.store import Store
from tests.helpers import fake_backend
from tests.helpers.factory import synthetic_run
from tests.helpers.processes import ended

_MARK = "TESTS_KILLS"  # in the environment of every process of the campaign
_FORKS = multiprocessing.get_context("forkserver")
_PRELOAD = [
    *("benchmarks.run", "benchmarks.runner.session", "benchmarks.runner.preflight"),
    *("results.__main__", "report.page", "report.console", "pyarrow.parquet", "h5py", "rich"),
    *("results.parquet.frames", "benchmarks.runner.prepare", __name__),
]
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
KINDS = ("session", "worker", "compact", "merge", "export", "report")
TURNS = (*KINDS, *KINDS[:5], *KINDS[:4])  # a report takes as long as all others together


@dataclass
class Kill:
    """One kill, and what was wrong after it."""

    kind: str
    how: str
    moment: float
    during: bool  # it came before the end
    wrong: list[str] = field(default_factory=list)


def _command(module: str, arguments: Sequence[str], log: str, variables: Mapping[str, str]) -> None:
    """In a forked process: `python -m MODULE ARGUMENT...`, its output in a file."""
    os.environ.update(variables)  # the fork server may be older than they are
    tempfile.tempdir = None
    signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupts.begin()
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_EXCL)  # which says that it has begun
    for descriptor in (1, 2):
        os.dup2(file, descriptor)
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    main: Callable[[Sequence[str]], int] = importlib.import_module(module).main
    sys.exit(main(arguments))


class Campaign:
    """Kills in one directory, with one store that grows.

    Args:
        work: as `fake_backend.working_directory` makes it; the current directory.
    """

    def __init__(self, work: Path, seed: int) -> None:
        self.work, self.random = work, random.Random(seed)
        self.log = work / "log"
        self.longest: dict[str, float] = {}  # seconds of a command that came to its end
        self.seeds = 0
        self.run("results.__main__", ["columns"])  # the fork server starts
        self.ours = {process.pid for process in self._marked()}
        Store().append(*synthetic_run())
        for number in range(3):
            Store(work / "other").append(*synthetic_run(seed=number))

    def arguments(self, kind: str) -> tuple[str, list[str]]:
        """Module and arguments of a command of this kind."""
        results = "results.__main__"
        match kind:
            case "session" | "worker":
                seeds = [str(self.seeds), str(self.seeds + 1)]
                usual = "--dataset galaxies.h5 --architectures linear.toml --batch-size 16"
                kept = "--checkpoint-every 0 --save-models models --resume --no-report"
                words = f"{usual} {kept} --epochs 4 --threads 1 --frameworks fake-daemon --seeds"
                return "benchmarks.run", [*words.split(), *seeds]
            case "compact":
                return results, ["compact"]
            case "merge":
                return results, ["merge", "other"]
            case "report":
                return "report.__main__", ["--output", "page"]
            case "export":
                return results, ["export", "--all", "--output", "runs.csv"]
        raise ValueError(kind)

    def prepared(self, kind: str) -> None:
        """What a command of this kind is to work on."""
        if kind == "merge":
            Store("other").append(*synthetic_run(seed=self.random.randrange(10**6)))
        if kind == "compact":
            for _ in range(8):
                Store().append(*synthetic_run(seed=self.random.randrange(10**6)))

    def start(self, module: str, arguments: Sequence[str]):  # type: ignore[no-untyped-def]
        """The command in a process of its own."""
        self.log.unlink(missing_ok=True)
        process = _FORKS.Process(
            target=_command, args=(module, arguments, str(self.log), dict(os.environ))
        )
        process.start()
        while not self.log.exists():
            time.sleep(0.01)
        return process

    def run(self, module: str, arguments: Sequence[str]) -> float:
        """Run a command to its end; how many seconds it took."""
        start = time.perf_counter()
        process = self.start(module, arguments)
        process.join()
        if process.exitcode != 0:
            raise RuntimeError(f"{module} {arguments}: {process.exitcode}\n{self.log.read_text()}")
        return time.perf_counter() - start

    def kill(self, kind: str) -> Kill:
        """Start a command, kill at a random moment, and look at what is left."""
        if kind not in self.longest:
            self.prepared(kind)
            self.longest[kind] = self.run(*self.arguments(kind))
            self.seeds += 2
        self.prepared(kind)
        before = _executions()
        moment = self.random.uniform(0, self.longest[kind])
        sent = self.random.choice(SIGNALS)
        process = self.start(*self.arguments(kind))
        process.join(moment)
        victim, during = "", process.exitcode is None
        with contextlib.suppress(psutil.NoSuchProcess):
            if kind == "worker":
                below: list[psutil.Process] = []
                own = psutil.Process(process.pid).cmdline()
                while not below and process.exitcode is None:
                    below = psutil.Process(process.pid).children(recursive=True)
                    # a fork of the command (`results.door.apart`) is a part of it
                    below = [one for one in below if one.cmdline() != own]
                if during := bool(below):
                    one = self.random.choice(below)
                    victim = f"process {below.index(one)} of {len(below)}"
                    sent = signal.SIGKILL
                    one.send_signal(sent)
            else:
                psutil.Process(process.pid).send_signal(sent)
        process.join()
        how = " ".join(filter(None, [signal.Signals(sent).name, victim]))
        made = Kill(kind, how, moment, during)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a damaged file of the store, say
            for problem in self._problems(kind, sent, process.exitcode, before):
                made.wrong.append(problem)
        self.longest[kind] = min(self.longest[kind], self.run(*self.arguments(kind)))
        made.wrong += [f"left: {path}" for path in _temporary(self.work)]
        if kind in ("session", "worker"):
            self.seeds += 2
            made.wrong += self._of_models()
        return made

    def _problems(
        self, kind: str, sent: int, status: int | None, before: Counter[str]
    ) -> Iterator[str]:
        told = self.log.read_text(errors="replace")
        if "Traceback" in told or "Exception ignored" in told:
            yield f"a traceback: {told}"
        usual = {0, 1} if kind == "worker" else {0, -sent, 128 + sent}
        if status not in usual:
            yield f"status {status} after signal {sent}: {told}"
        left = [process for process in self._marked() if process.pid not in self.ours]
        if not ended(left):
            yield f"{len(left)} processes run on: {left}"
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        after = _executions()
        if lost := before - after:
            yield f"rows lost: {lost}"
        if doubled := [name for name, count in after.items() if count > 1]:
            yield f"rows doubled: {doubled}"
        if kind in ("session", "worker") and (announced := told.count("ok in ")) > (
            new := (after - before).total()
        ):
            yield f"{announced} runs announced, {new} stored"
        runs = Store().runs()
        finished = runs[(runs["status"] == "ok") & (runs["framework"] == "fake-daemon")]
        if twice := finished["run_id"][finished["run_id"].duplicated()].tolist():
            yield f"finished twice: {twice}"
        yield from _of_page(self.work / "page")
        if (export := self.work / "runs.csv").exists() and not export.read_bytes().endswith(b"\n"):
            yield "the export is cut short"

    def _of_models(self) -> Iterator[str]:
        try:
            for model in saved.find(self.work / "models"):
                model.weights()
        except (ValueError, OSError) as error:
            yield f"a model: {error}"

    def _marked(self) -> Iterator[psutil.Process]:
        """The processes of the campaign, without this one."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(_MARK) == os.environ[_MARK] and process.pid != os.getpid():
                    yield process


def _executions() -> Counter[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return Counter(Store().runs(columns=["execution_id"])["execution_id"])


def _of_page(page: Path) -> Iterator[str]:
    if not page.exists():
        return
    if not (page / "index.html").read_text().rstrip().endswith("</html>"):
        yield "the page is cut short"
    for figure in page.rglob("*.png"):
        if not figure.read_bytes().endswith(b"IEND\xaeB`\x82"):
            yield f"{figure.name} is cut short"


def _temporary(work: Path) -> list[Path]:
    return [*work.rglob(f"{writer.TEMPORARY}*"), *(work / "scratch").iterdir()]


def campaign(work: Path, *, seed: int, count: int, kinds: Sequence[str] = TURNS) -> Iterator[Kill]:
    """Make so many kills, of one kind after another."""
    labels = np.arange(90) % 3
    images = np.random.default_rng(0).integers(0, 120, (90, 6, 6, 3)).astype(np.uint8)
    multiprocessing.util.get_temp_dir()  # of the fork server, elsewhere than those looked at
    with pytest.MonkeyPatch.context() as patch:
        fake_backend.working_directory(work, patch, images, labels)
        patch.setenv(_MARK, uuid.uuid4().hex)
        _FORKS.set_forkserver_preload(_PRELOAD)
        made = Campaign(work, seed)
        for number in range(count):
            yield made.kill(kinds[number % len(kinds)])


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 where nothing was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=TURNS)
    options = parser.parse_args(arguments)
    kills: list[Kill] = []

    def make() -> None:
        with writer.scratch_directory() as work:
            for kill in campaign(work, seed=options.seed, count=options.count, kinds=options.kinds):
                kills.append(kill)
                for wrong in kill.wrong:
                    print(f"{kill.kind} {kill.how} after {kill.moment:.2f} s: {wrong}", flush=True)

    status = cli.run(make)  # stopped before its end, it tells what it has
    print(f"{'kind':10}{'kills':>6}{'before its end':>16}{'wrong':>7}")
    for kind in dict.fromkeys(options.kinds):
        mine = [kill for kill in kills if kill.kind == kind]
        during, wrong = sum(kill.during for kill in mine), sum(bool(kill.wrong) for kill in mine)
        print(f"{kind:10}{len(mine):6}{during:16}{wrong:7}")
    return status or int(any(kill.wrong for kill in kills))


if __name__ == "__main__":
    sys.exit(main())
