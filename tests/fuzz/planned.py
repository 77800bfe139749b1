"""Files to damage that one command leaves for another: blocks, measurements on a GPU."""

from __future__ import annotations

from pathlib import Path

from benchmarks.config.artifacts import Keeping
from benchmarks.config.suite import Suite
from benchmarks.runner.block import Block, load, save
from results.studies import gpu_files, gpu_tables
from tests.helpers.planning import plan


def block(path: Path) -> None:
    """A block of two runs."""
    suite = Suite(frameworks=("torch", "jax"))
    runs = tuple(plan(suite))
    made = Block(
        name=runs[0].block,
        number=1,
        session_id="s",
        engine="block",
        store=str(path.parent / "runs"),
        suite=suite,
        runs=runs,
        executions=("a", "b"),
        seconds=(1.0, 2.0),
        class_names=("a", "b"),
        class_counts=(5, 5),
        keeping=Keeping(),
    )
    save(made, path)


def read_block(path: Path) -> str:
    """The block's label, with the identities of its runs."""
    found = load(path)
    return found.label() + "".join(run.run_id + run.label() for run in found.runs)


def measurement(path: Path) -> None:
    """A yardstick of a GPU, whose other files are whole."""
    steps = [gpu_files.Told(name="y", stage="yardstick", command="x", status="done")]
    gpus = {"gpus": [{"name": "X"}]}
    folder = path.parent
    gpu_files.write_steps(
        folder, gpu_files.Measurement(device="cuda", rehearsal=False, machine=gpus, steps=steps)
    )
    cell = {"architecture": "unam", "framework": "torch", "precision": "bfloat16"}
    cell |= {"batch_size": 512}
    contest = {"settings": cell | {"steps": 8}, "seconds": {"tuned": [0.1], "best": [0.05]}}
    ratio = cell | {"quantity": "roofline share", "median": 0.5, "low": 0.4, "high": None}
    gpu_files.keep(folder, "yardstick", "y", {"contests": [contest], "ratios": [ratio]})


def read_measurement(path: Path) -> int:
    """The number of its tables."""
    if not (path.parent / gpu_files.STEPS).exists():
        content = path.read_bytes()
        measurement(path)
        path.write_bytes(content)
    return len(gpu_tables.tables(path.parent))
