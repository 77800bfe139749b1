"""python -m tests.fuzz --seed S --count N: bad inputs for every reader and every command.

Each thousand is tried in a process of its own, which may take a bounded amount of memory more, so
that a crash, a hang or an allocation is seen. The status is 1 when anything was wrong; an input is
made again by its reader and its number: --only READER --start NUMBER --count 1.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz import memory
from tests.fuzz.readers import COMMANDS, NEED, READERS, commanded, tried

BATCH = 500
FRAMEWORKS = {"records"}  # readers that load one, beside which nothing is read apart
HANG_SECONDS = 10  # of one input, on the processor
WAIT_SECONDS = 120  # of one input that waits for something, on a loaded machine
MORE_BYTES = 2**33  # of addresses that a process may take: Arrow and its threads reserve some


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 when an input was not refused as it should be."""
    line = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    line.add_argument("--seed", type=int, default=0)
    line.add_argument("--start", type=int, default=0)
    line.add_argument("--count", type=int, default=1000)
    line.add_argument("--only", nargs="+", choices=[*READERS, *COMMANDS])
    options = line.parse_args(arguments)
    names = options.only or [*READERS, *COMMANDS]
    names = [name for name in names if name not in NEED or find_spec(NEED[name])]
    wrong: Counter[str] = Counter()
    for start in range(options.start, options.start + options.count, BATCH):
        stop = min(start + BATCH, options.start + options.count)
        for taken in (set(names) - FRAMEWORKS, set(names) & FRAMEWORKS):
            _batch(names, taken, options.seed, start, stop, wrong)
    total = sum(wrong.values())
    print(f"{options.count} inputs of seed {options.seed}: {total} wrong")
    for what, number in wrong.most_common():
        print(f"{number:5d}  {what}")
    return int(bool(total))


_warm: set[str] = set()  # readers that this process has used


def warmed(name: str, directory: Path) -> str:
    """Read a sound file: what its reader imports is no input's. What is wrong with it, or ""."""
    if name in COMMANDS or name in _warm:
        return ""
    _warm.add(name)
    reader = READERS[name]
    good = directory / name / reader.file
    if not good.exists():
        good.parent.mkdir(parents=True)
        reader.make(good)
    found = tried(reader, good.read_bytes(), directory / "sound" / name / reader.file)
    return f"of the sound file: {found}" if found else ""


def one(name: str, seed: int, number: int, directory: Path) -> str:
    """What is wrong with how one input is taken; "" when nothing is."""
    if found := warmed(name, directory):
        return found
    draw = random.Random(f"{seed} {name} {number}")
    if name in COMMANDS:
        with memory.measured() as taken:
            found = commanded(name, draw)
        return found or taken.words(0)
    reader = READERS[name]
    path = directory / str(number) / reader.file
    good = directory / name / reader.file
    content = reader.damage(good.read_bytes(), draw)
    with memory.measured() as taken:
        found = tried(reader, content, path)
    return found or taken.words(len(content))


def _batch(
    names: list[str], taken: set[str], seed: int, start: int, stop: int, wrong: Counter[str]
) -> None:
    """Try the inputs of these numbers that are of the readers taken, of all those named."""
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "log"
        while start < stop:
            child = os.fork()
            if not child:
                _tried(names, taken, seed, start, stop, Path(scratch), log)
            _, status = os.waitpid(child, 0)
            done, last = start, ("", "")
            for text in log.read_text(errors="replace").splitlines() if log.exists() else ():
                number, name, ended, what = text.split("\t", 3)
                done = int(number)
                if what:
                    found = f"{name}: {what[:150]}"
                    wrong[found] += 1
                    print(f"{found} (--start {number})", flush=True)
                last = (name, ended)
            if not status:
                return
            if last[1] != "ended":
                found = f"{last[0]}: {_ended_by(status)}"
                wrong[found] += 1
                print(f"{found} (--start {done})", flush=True)
            start = done + 1
            log.unlink(missing_ok=True)


def _ended_by(status: int) -> str:
    if number := status & 127:
        return f"died of {signal.Signals(number).name}"
    return f"ended the process with status {status >> 8}"


def _tried(
    names: list[str], taken: set[str], seed: int, start: int, stop: int, scratch: Path, log: Path
) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MORE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    os.chdir(scratch)
    with log.open("w") as told:
        for number in range(start, stop):
            name = names[number % len(names)]
            if name not in taken:
                continue
            told.write(f"{number}\t{name}\tbegan\t\n")
            told.flush()
            try:
                what = warmed(name, scratch)
                signal.alarm(WAIT_SECONDS)
                began = time.process_time()
                what = what or one(name, seed, number, scratch)
            except Exception as error:
                what = f"the damage itself failed: {type(error).__name__}: {error}"
            if time.process_time() - began > HANG_SECONDS:
                what = what or "hangs"
            told.write(f"{number}\t{name}\tended\t{' '.join(what.split())}\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
