"""The steps of the prepared measurement, as data: what is asked, in which order, for how long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

FRAMEWORKS = ("torch", "jax", "keras@torch", "keras@jax")
BARE_LOOPS = ("idiomatic", "tutorial", "fit")  # left out where only the tuned loops are asked about

# In the order in which they are measured: seconds of each on a GPU. What one leaves over goes to
# those that follow.
STAGES = {
    "limits": 40.0,
    "parity": 90.0,
    "yardstick": 230.0,
    "runs": 75.0,
    "deterministic": 35.0,
    "exact": 30.0,
    "outcome": 40.0,
}


@dataclass(frozen=True)
class Step:
    """One command, and where its answer goes.

    name: unique. stage: of `STAGES`, and the file of the answer. module, arguments: as after
    `python -m`. limit: seconds until it is killed. answer: the file that it writes, in the folder
    of work; "" where it writes to the store `store` there. frameworks: whom it asks. at_least:
    frameworks without which it says nothing. leaves: seconds that it leaves to what follows.
    """

    name: str
    stage: str
    module: str
    arguments: tuple[str, ...]
    limit: float
    answer: str = ""
    store: str = ""
    frameworks: tuple[str, ...] = ()
    at_least: int = 1
    leaves: float = 0.0

    @property
    def command(self) -> tuple[str, ...]:
        """The words after `python`."""
        asked = ("--frameworks", *self.frameworks) if self.frameworks else ()
        return ("-m", self.module, *asked, *self.arguments)


@dataclass(frozen=True)
class Sizes:
    """Amount of work of a session: on a GPU, or of a rehearsal on a CPU.

    batches: batch sizes of the yardstick; the goals are set for the middle one. epoch_images:
    images of a timed epoch. together: processes made ready side by side. patience: factor on the
    time limits.
    """

    device: str
    networks: tuple[str, ...]
    network: str
    parity: tuple[str, ...]
    yardstick: tuple[str, ...]
    bare: tuple[str, ...]
    batches: tuple[int, int, int]
    pixels: int
    steps: int
    epoch_images: int
    demo_images: int
    epochs: int
    seeds: int
    threads: int
    together: int
    processes: int = 2
    patience: float = 1.0


def on_gpu(cpus: int, gpu_gib: float) -> Sizes:
    """The sizes for a GPU.

    Args:
        cpus: that may be used: processes compile side by side.
        gpu_gib: memory of the GPU; a process of the yardstick takes up to 12 GiB.
    """
    together = max(1, min(8, cpus // 2, int(gpu_gib // 12)))
    return Sizes(
        device="cuda",
        networks=("unam", "c2", "resnet18"),
        network="unam",
        parity=("float64", "float32", "tf32", "bfloat16"),
        yardstick=("bfloat16", "float32", "tf32"),
        bare=("unam", "c2"),
        batches=(64, 512, 1024),
        pixels=69,
        steps=64,
        epoch_images=21785,  # Galaxy10's
        demo_images=8000,
        epochs=40,
        seeds=5,
        threads=max(1, min(2, cpus // together)),
        together=together,
    )


REHEARSAL = Sizes(
    device="cpu",
    networks=("c2",),
    network="c2",
    parity=("float64", "float32"),
    yardstick=("float32",),
    bare=("c2",),
    batches=(2, 4, 8),
    pixels=46,
    steps=4,
    epoch_images=20,
    demo_images=100,
    epochs=2,
    seeds=2,
    threads=1,
    together=2,
    patience=20.0,
)


def steps(
    sizes: Sizes, work: Path, frameworks: Sequence[str], available: Sequence[str]
) -> list[Step]:
    """Every step, in the order in which they are measured; those of like stages together.

    Args:
        work: the folder of answers and stores.
        frameworks: those that are installed and can use the device.
        available: networks that there are.
    """
    found: list[Step] = []
    for made in (_limits, _parity, _yardstick, _runs, _exact, _outcome):
        found += made(sizes, work, available)
    return [
        _of_those(replace(step, limit=step.limit * sizes.patience), frameworks) for step in found
    ]


def _of_those(step: Step, frameworks: Sequence[str]) -> Step:
    asked = tuple(name for name in step.frameworks if name in frameworks)
    return replace(step, frameworks=asked)


def _limits(sizes: Sizes, work: Path, _: Sequence[str]) -> Iterator[Step]:
    arguments = ("--device", sizes.device, "--precision", *reversed(sizes.yardstick))
    step = _answering("limits", "limits", "benchmarks.limits", arguments, 60, work, ())
    yield replace(step, at_least=0)


def _parity(sizes: Sizes, work: Path, available: Sequence[str]) -> Iterator[Step]:
    for network in sizes.networks:
        if network in available:
            arguments = (
                *("--architectures", network, "--device", sizes.device),
                *("--rungs", "R0-R2", "R4", "--precision", *sizes.parity),
                *("--parallel", str(sizes.together), "--store", str(work / "ladder")),
            )
            yield _answering(
                f"parity {network}", "parity", "benchmarks.fidelity", arguments, 45, work
            )


def _yardstick(sizes: Sizes, work: Path, available: Sequence[str]) -> Iterator[Step]:
    """The goals' batch in all precisions first, then the others; last the network without bare
    loops."""
    small, middle, large = sizes.batches
    first, *others = sizes.yardstick
    cells = [(first, middle), (first, small)]
    cells += [(precision, middle) for precision in others]
    cells += [(precision, large) for precision in sizes.yardstick]
    cells += [(precision, small) for precision in others]
    more = [name for name in sizes.networks if name in available and name not in sizes.bare]
    for networks in filter(None, (sizes.bare, more)):
        for precision, batch in cells:
            name = f"{'+'.join(networks)} {precision} batch {batch}"
            count = max(2, sizes.steps * small // batch)
            full = (precision, batch) == (first, small)
            arguments = (
                *("--architectures", *networks, "--device", sizes.device),
                *("--precision", precision, "--batch-size", str(batch)),
                *("--size", str(sizes.pixels), "--steps", str(count)),
                *("--blocks", "2", "--processes", str(sizes.processes)),
                *("--threads", str(sizes.threads), "--together", str(sizes.together)),
                *("--epoch-images", str(sizes.epoch_images)),
                *("--timeout", f"{45 * sizes.patience:g}", "--compiled", str(work / "compiled")),
                *(() if full else ("--without", *BARE_LOOPS)),
            )
            yield _answering(
                f"yardstick {name}", "yardstick", "benchmarks.micro", arguments, 90, work
            )


def _runs(sizes: Sizes, work: Path, _: Sequence[str]) -> Iterator[Step]:
    """Energy and memory of whole runs; then the same with the deterministic flags."""
    for stage, more, limit in (("runs", (), 100), ("deterministic", ("--deterministic",), 60)):
        batch, precision = str(sizes.batches[1]), sizes.yardstick[0]
        arguments = (
            *_trained(sizes, work / "runs", sizes.epochs),
            *("--batch-size", batch, "--precision", precision, "--warmup-epochs", "1", *more),
        )
        yield Step(
            stage, stage, "benchmarks.run", arguments, limit, store="runs", frameworks=FRAMEWORKS
        )


def _exact(sizes: Sizes, work: Path, available: Sequence[str]) -> Iterator[Step]:
    for network in sizes.networks[:2]:
        if network in available:
            arguments = (
                *("--architectures", network, "--device", sizes.device, "--rungs", "R5a"),
                *("--precision", "float64", "--parallel", str(sizes.together)),
                *("--store", str(work / "ladder")),
            )
            yield _answering(
                f"exact {network}", "exact", "benchmarks.fidelity", arguments, 45, work
            )


def _outcome(sizes: Sizes, work: Path, _: Sequence[str]) -> Iterator[Step]:
    """R6: trainings of some seeds, in whatever time is left, and what they came to."""
    seeds = map(str, range(sizes.seeds))
    arguments = (*_trained(sizes, work / "outcome", 5), "--batch-size", str(sizes.batches[0]))
    yield Step(
        "outcome trainings",
        "outcome",
        "benchmarks.run",
        (*arguments, "--seeds", *seeds),
        400,
        store="outcome",
        frameworks=FRAMEWORKS,
        at_least=2,
        leaves=15,
    )
    asked = ("--outcome", "--margin", "1", "--store", str(work / "outcome"))
    step = _answering("outcome", "outcome", "benchmarks.fidelity", asked, 30, work, ())
    yield replace(step, at_least=2)


def _trained(sizes: Sizes, store: Path, epochs: int) -> tuple[str, ...]:
    return (
        *("--architectures", sizes.network, "--dataset", "demo", "--device", sizes.device),
        *("--image-size", str(sizes.pixels), "--demo-images", str(sizes.demo_images)),
        *("--epochs", str(min(epochs, sizes.epochs)), "--tuning", "tuned"),
        *("--threads", str(sizes.threads), "--no-report", "--no-self-check", "--resume"),
        *("--store", str(store)),
    )


def _answering(
    name: str,
    stage: str,
    module: str,
    arguments: tuple[str, ...],
    limit: float,
    work: Path,
    frameworks: tuple[str, ...] = FRAMEWORKS,
) -> Step:
    """A step whose command writes a file of JSON."""
    answer = f"{name.replace(' ', '-').replace('+', '-')}.json"
    arguments = (*arguments, "--output", str(work / answer))
    return Step(name, stage, module, arguments, limit, answer, frameworks=frameworks)
