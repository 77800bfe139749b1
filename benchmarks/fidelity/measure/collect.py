"""Have frameworks compute cases, each in a process of its own, and read what they found."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.fidelity.cases.case import Case
from benchmarks.fidelity.measure.__main__ import REFERENCE
from benchmarks.process import threads
from benchmarks.process.environment import environment
from benchmarks.process.failures import looks_like_out_of_memory
from benchmarks.process.spawn import Child
from results.names import beneath, file_name


@dataclass
class Trace(Mapping[str, np.ndarray]):
    """Results of one framework for one case: arrays by name, read from the file when asked for.

    `reason` says why there are none. raised: the framework raised an error in this case, and its
    process went on; memory that ran out is no such error. sides: those of its ReLUs and max-pools,
    by the name of the computation; the judge fills them in once it has found them (`flips`).
    """

    framework: str
    case: Case
    path: Path | None = None
    reason: str = ""
    raised: bool = False
    sides: dict[str, Mapping[str, np.ndarray]] = field(default_factory=dict, repr=False)
    _names: list[str] | None = field(default=None, repr=False)

    def __getitem__(self, name: str) -> np.ndarray:
        if self.path is None:
            raise KeyError(f"{self.framework}, {self.case.name}: not run: {self.reason}")
        return _opened(self.path)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read_names())

    def __len__(self) -> int:
        return len(self._read_names())

    def group(self, prefix: str) -> dict[str, np.ndarray]:
        """The arrays whose names start with `prefix`, without it."""
        if self.path is None:
            return {}
        archive = _opened(self.path)
        return {
            name.removeprefix(prefix): archive[name] for name in self if name.startswith(prefix)
        }

    def _read_names(self) -> list[str]:
        if self._names is None:
            if self.path is None:
                return []
            self._names = list(_opened(self.path).files)
        return self._names


def _opened(path: Path) -> np.lib.npyio.NpzFile:
    """The archive of a trace: opened once for all arrays that are asked of it in a row."""
    found = path.stat()
    return _archive(path, found.st_ino, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=4)  # both traces of a pair; each is an open file
def _archive(path: Path, *_: int) -> np.lib.npyio.NpzFile:
    """Opened anew where the file is another one; the least lately used one is closed."""
    opened: np.lib.npyio.NpzFile = np.load(path, allow_pickle=False)
    return opened


Traces = dict[tuple[str, str], Trace]  # by framework and case name
Process = tuple[str, *tuple[Any, ...]]  # framework, and what the cases of one process have alike
Job = tuple[str, list[Case], Path]  # framework, cases of one process, where it leaves its arrays
# JAX compiles a program once for all cases of a process; with the user's own cache directory, once
# for all that have its number of threads, of which the cache's key may not know.
_COMPILED_ONCE = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
TELL_EVERY = 60.0  # seconds


def collect(
    frameworks: Sequence[str],
    cases: Sequence[Case],
    directory: Path,
    *,
    timeout: float = 3600.0,
    parallel: int = 1,
    interpreters: Mapping[str, str] | None = None,
    tell: Callable[[str], None] | None = None,
    asked_of: Callable[[str, Case], bool] = lambda framework, case: True,
    done: Callable[[str, str], None] = lambda framework, case: None,
    seconds: Callable[[str, Case], float] | None = None,
) -> Traces:
    """Every framework's trace of every case; one process per framework, precision, number of
    threads, tuning and device, deterministic or not.

    Args:
        frameworks: names of the registry, or "numpy" for the reference (float64 cases and float32
            ones are both computed in float64 by it).
        directory: receives the arrays; created if need be.
        timeout: seconds without a case done, after which a process is killed.
        parallel: processes at a time; where there are fewer, each one's cases are dealt to several.
        interpreters: of frameworks that do not run in this one, by name.
        tell: is told every minute how many there are already.
        asked_of: whether a framework is asked a case; one that is not has no trace of it.
        done: is told the framework and the name of each case that is done, from threads.
        seconds: about how long a framework takes for a case. Where it is known, the cases of a
            process that would outlast all the others are dealt to several, too.
    """
    alike: dict[Process, list[Case]] = {}
    for name in frameworks:
        for case in cases:
            if asked_of(name, case):
                alike.setdefault((name, *_process(name, case)), []).append(case)
    hands = dealt(alike, parallel, seconds)
    jobs: list[Job] = [
        (process[0], mine, directory / "-".join(map(str, (*process, hand))))
        # float64 takes longest: not at the end, alone
        for process in sorted(alike, key=lambda one: one[1:], reverse=True)
        for hand in range(hands[process])
        if (mine := alike[process][hand :: hands[process]])
    ]
    paths = interpreters or {}

    running: set[Child] = set()
    begun: list[Path] = []  # folders of the jobs under way
    stopped = threading.Event()

    def measured(job: Job) -> Traces:
        begun.append(job[-1])  # ahead of the question: `_stop` waits for it
        try:
            if stopped.is_set():
                return {}
            return _measure(*job, timeout, paths.get(job[0], ""), running, done)
        finally:
            begun.remove(job[-1])

    with _telling(jobs, tell), ThreadPoolExecutor(parallel) as pool:
        try:
            futures = [pool.submit(measured, job) for job in jobs]
            found = threads.results(futures)
        except BaseException:
            stopped.set()
            _stop(pool, begun, running)
            raise
    return {key: trace for traces in found for key, trace in traces.items()}


def dealt(
    alike: Mapping[Process, Sequence[Case]],
    parallel: int,
    seconds: Callable[[str, Case], float] | None,
) -> dict[Process, int]:
    """Number of processes that share the cases of each, with so many running at a time."""
    hands = max(1, parallel // max(1, len(alike)))
    if seconds is None:
        return dict.fromkeys(alike, hands)
    takes = {one: sum(seconds(one[0], case) for case in cases) for one, cases in alike.items()}
    share = sum(takes.values()) / parallel  # of each CPU, were all of them busy to the end
    return {
        one: max(hands, min(parallel, ceil(mine / share))) if share else hands
        for one, mine in takes.items()
    }


def _process(name: str, case: Case) -> tuple[Any, ...]:
    """Key of a process: its cases share these settings. The reference computes all alike."""
    if name == REFERENCE:
        return "float64", case.threads, "idiomatic", "cpu", False, 1
    alike = case.precision, case.threads, case.tuning, case.device, case.deterministic
    return *alike, case.replicas


def finished(framework: str, cases: Sequence[Case], directory: Path) -> Traces:
    """Traces of the cases done by a `collect` into the directory that was interrupted."""
    found = {path.stem: path for path in directory.glob(f"{framework}-*/*.npz")}
    return {
        (framework, case.name): Trace(framework, case, found[file_name(case.name)])
        for case in cases
        if file_name(case.name) in found
    }


def _stop(pool: ThreadPoolExecutor, begun: Sequence[Path], running: set[Child]) -> None:
    """Start no job that has not begun, and kill the rest until all have ended.

    Futures do not tell which have: Ctrl-C may come while the last one is being handed over.
    """
    pool.shutdown(wait=False, cancel_futures=True)
    while begun:
        for child in list(running):
            child.kill()
        time.sleep(0.05)


@contextmanager
def _telling(jobs: Sequence[Job], tell: Callable[[str], None] | None) -> Iterator[None]:
    """Say now and then, from a thread of its own, how many cases of the jobs are done."""
    over, start = threading.Event(), time.monotonic()
    total = sum(len(cases) for _, cases, _ in jobs)

    def watch() -> None:
        while tell and not over.wait(TELL_EVERY):
            done = sum(_done(folder) for *_, folder in jobs)
            tell(f"{done} of {total} measured after {(time.monotonic() - start) / 60:.0f} min")

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()


def _done(directory: Path) -> int:
    """Number of cases that a process has measured or failed in."""
    left = [path.suffix for path in directory.glob("*")]
    return left.count(".npz") + left.count(".error")


def _measure(
    name: str,
    cases: list[Case],
    directory: Path,
    timeout: float,
    python: str,
    running: set[Child],
    done: Callable[[str, str], None] = lambda framework, case: None,
) -> Traces:
    """Traces of the cases, computed in one process; it is among `running` while it lives."""
    asked = [_of_reference(case) for case in cases] if name == REFERENCE else cases
    directory.mkdir(parents=True, exist_ok=True)
    cases_file = directory / "cases.json"
    cases_file.write_bytes(msgspec.json.encode(asked))
    first = cases[0]
    registry_name = "torch" if name == REFERENCE else name
    variables = environment(
        registry_name,
        device=first.device,
        threads=first.threads,
        scratch=directory,
        deterministic=first.deterministic,
        tuning=first.tuning,
        replicas=max(case.replicas for case in cases),
    )
    own = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    compiled = Path(own, f"threads-{first.threads}") if own else directory / "compiled"
    variables |= _COMPILED_ONCE | {"JAX_COMPILATION_CACHE_DIR": str(compiled)}
    try:
        child = Child(
            "benchmarks.fidelity.measure", [name, cases_file, directory], variables, python=python
        )
    except OSError as error:
        failure = f"its process cannot be started: {error}"
    else:
        failure = _ended(child, timeout, running, lambda case: done(name, case))
    return {(name, case.name): _read(name, case, directory, failure) for case in cases}


def _ended(
    child: Child, timeout: float, running: set[Child], done: Callable[[str], None] = lambda _: None
) -> str:
    """Wait for its end, or until it has done no further case in so long; why it failed, or ""."""
    with child:
        running.add(child)
        for event in child.events(timeout, idle=True):
            if case := event.get("values", {}).get("case"):
                done(case)
        running.remove(child)
    return f"no case done in {timeout:.0f} s{child.where}" if child.late else child.failure()


def _of_reference(case: Case) -> Case:
    """The case as the oracle computes it: always in float64.

    Between steps it keeps the weights of a training in another precision in float32, as the
    frameworks do: their rounding is no fault of theirs.
    """
    stored = "" if case.precision == "float64" else "float32"
    plain = {"precision": "float64", "device": "cpu", "tuning": "idiomatic", "stored": stored}
    return msgspec.structs.replace(case, **plain, deterministic=False, native=False, replicas=1)


def _read(name: str, case: Case, directory: Path, failure: str) -> Trace:
    arrays = beneath(directory, case.name, ending=".npz")
    error = beneath(directory, case.name, ending=".error")
    if arrays.exists():
        return Trace(name, case, arrays)
    reason = error.read_text() if error.exists() else failure or "it left no result"
    raised = error.exists() and not looks_like_out_of_memory(reason)
    return Trace(name, case, None, reason, raised)
