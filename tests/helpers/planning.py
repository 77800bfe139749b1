"""Planned runs of a made-up data view, for tests."""

import msgspec

from benchmarks.config.matrix import matrix
from benchmarks.config.plan import PlannedRun, SplitSizes
from benchmarks.config.runconfig import DataView, RunConfig
from benchmarks.config.suite import Suite

VIEW = DataView(
    dataset="demo",
    sha256="0" * 64,
    labels="native",
    channels="rgb",
    height=69,
    width=69,
    image_channels=3,
    classes=10,
)
SIZES = SplitSizes(train=640, validation=160, test=200)
FRAMEWORKS = ("keras", "torch", "jax", "keras@torch", "keras@jax")


def plan(suite: Suite, view: DataView = VIEW, sizes: SplitSizes = SIZES) -> list[PlannedRun]:
    """Every run of the suite."""
    return matrix(suite, view, sizes, devices={}, threads=2)


def one(**changes: object) -> RunConfig:
    """The one run of PyTorch, with these fields changed."""
    (run,) = plan(Suite(frameworks=("torch",)))
    return msgspec.structs.replace(run.config, **changes)
