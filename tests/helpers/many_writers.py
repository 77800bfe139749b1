"""A store that many processes append to at once: is a row lost or doubled, and how does time grow?

    python -m tests.helpers.many_writers --appends 10000 --processes 50

It stands for 10,000 runs on 50 nodes that end at the same time: each process appends its share as
fast as it can, while one more packs the store now and then, as sessions do at their end.
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from results.store import Store
from tests.helpers.factory import synthetic_run


@dataclass(frozen=True)
class Grown:
    """What came of it; seconds: of an append, its median in each tenth of the store's growth."""

    appends: int
    processes: int
    wall_seconds: float
    seconds: tuple[float, ...]
    lost: int
    doubled: int
    packed: int
    read_seconds: float

    def lines(self) -> list[str]:
        """For people."""
        rate = self.appends / self.wall_seconds
        tenths = " ".join(f"{1000 * one:.1f}" for one in self.seconds)
        return [
            f"{self.appends:,} appends by {self.processes} processes in {self.wall_seconds:.1f} s: "
            f"{rate:,.0f} a second; {self.lost} lost, {self.doubled} doubled",
            f"an append in ms, by tenths of the store's growth: {tenths}",
            f"{self.packed:,} files were packed meanwhile and after; reading all runs then takes "
            f"{self.read_seconds:.2f} s",
        ]


def _write(store: Path, first: int, count: int, gate, times) -> None:
    run, epochs, predictions = synthetic_run("torch", "c2", epochs=10)
    gate.wait()
    taken = []
    for number in range(first, first + count):
        mine = {"run_id": f"{number:016x}", "execution_id": f"{number:016x}-0"}
        start = time.time()
        Store(store).append(run | mine, epochs, predictions)
        taken.append((start, time.time() - start))
    times.put(taken)


def _pack(store: Path, gate, done, packed) -> None:
    gate.wait()
    while not done.wait(0.5):
        packed.value += Store(store).tidy()


def grow(directory: Path, appends: int, processes: int, *, packing: bool = True) -> Grown:
    """Append to a store in the directory, and look at what is there then.

    Args:
        packing: whether it is packed meanwhile.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.helpers.factory", "results.parquet.record"])
    gate, done = context.Barrier(processes + packing + 1), context.Event()
    times, packed = context.Queue(), context.Value("l", 0)
    shares = [appends // processes + (n < appends % processes) for n in range(processes)]
    firsts = [sum(shares[:n]) for n in range(processes)]
    started = [
        context.Process(target=_write, args=(directory, first, share, gate, times))
        for first, share in zip(firsts, shares, strict=True)
    ]
    packer = context.Process(target=_pack, args=(directory, gate, done, packed))
    for process in [*started, *([packer] if packing else [])]:
        process.start()
    gate.wait()
    start = time.perf_counter()
    taken = sorted(one for _ in started for one in times.get())
    wall = time.perf_counter() - start
    for process in started:
        process.join()
    done.set()
    if packing:
        packer.join()
    store = Store(directory)
    found = store.table(["run_id"])["run_id"].to_pylist()
    files = store.compact()
    start = time.perf_counter()
    read = store.runs(columns=["run_id", "test_accuracy"])["run_id"].tolist()
    tenth = max(1, len(taken) // 10)
    return Grown(
        appends,
        processes,
        wall,
        tuple(median(s for _, s in taken[at : at + tenth]) for at in range(0, len(taken), tenth)),
        max(appends - len(set(one)) for one in (found, read)),
        max(len(one) - len(set(one)) for one in (found, read)),
        packed.value + files,
        time.perf_counter() - start,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it once; returns 0 where nothing was lost or doubled."""
    parser = argparse.ArgumentParser(description="Append to one store from many processes at once.")
    parser.add_argument("--appends", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=50)
    parser.add_argument("--no-packing", action="store_true", help="pack at the end alone")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "runs"
        found = grow(place, options.appends, options.processes, packing=not options.no_packing)
    print("\n".join(found.lines()))
    return 1 if found.lost or found.doubled else 0


if __name__ == "__main__":
    sys.exit(main())
