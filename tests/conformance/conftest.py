"""What every backend is asked to compute, collected once: one process per framework and precision.

To conform, a new backend is added to FRAMEWORKS (or named in CONFORMANCE_FRAMEWORKS, separated by
commas) and nothing else. A framework that is not installed fails; it is never skipped.
"""

import os

import pytest

from benchmarks.fidelity import ladder
from benchmarks.fidelity.collect import Traces, collect
from benchmarks.fidelity.measure import REFERENCE
from frameworks import architecture

FRAMEWORKS = os.environ.get(
    "CONFORMANCE_FRAMEWORKS", "keras,torch,jax,keras@torch,keras@jax"
).split(",")
# alexnet_valid is among the slow tests: it needs pictures of 130 pixels
ARCHITECTURES = [name for name in architecture.available() if name != "alexnet_valid"]
CLASSES = {"unam": (10, 4), "c2": (10, 4)}
# A seed whose batch has no unit within rounding of a kink, as `ladder.settled` finds it; else 0.
SEEDS = {"c2": 1, "alexnet": 7, "alexnet_valid": 2}
# Tens of millions of parameters: a smaller batch; float64 and the whole step are slow tests.
LARGE = {"alexnet": 4, "alexnet_valid": 4}
BOTH = ("float64", "float32")
SMALL = [name for name in ARCHITECTURES if name not in LARGE]


def options(name):
    """Seed and batch size of an architecture's cases."""
    return {"seed": SEEDS.get(str(name), 0), "batch_size": LARGE.get(str(name), 8)}


def batch_cases(names=(*ARCHITECTURES, ladder.EVERYTHING), large=("float32",)):
    """R0-R2 in both precisions, the large networks in those of `large`; heads of 10 and 4."""
    return [
        case
        for name in names
        for case in ladder.one_batch(
            [name],
            large if name in LARGE else BOTH,
            CLASSES.get(str(name), (10,)),
            **options(name),
        )
    ]


def step_cases(names=(*SMALL, ladder.EVERYTHING)):
    """R4 in both precisions."""
    return [
        case
        for name in names
        for case in ladder.one_step([name], ("float64", "float32"), **options(name))
    ]


def training_cases():
    """Ten steps of every optimizer in float64, through every kind of layer; UNAM, C2: Adam."""
    return [
        *ladder.trajectories([ladder.EVERYTHING], ladder.DYADIC, measure=("steps", "epoch")),
        *ladder.trajectories(["unam", "c2"], ["adam"]),
    ]


def weighted_cases():
    """Class weights, in both precisions."""
    return ladder.class_weighted(BOTH)


def optimizer_cases():
    """R3: every optimizer alone, in both precisions."""
    return ladder.optimizers_alone(("float64", "float32"))


@pytest.fixture(scope="session")
def traces(tmp_path_factory) -> Traces:
    """Every framework's trace of every default case, and the reference's."""
    cases = [*batch_cases(), *step_cases(), *training_cases(), *weighted_cases()]
    cases += optimizer_cases()
    directory = tmp_path_factory.mktemp("conformance")
    return collect([REFERENCE, *FRAMEWORKS], cases, directory, parallel=2)
