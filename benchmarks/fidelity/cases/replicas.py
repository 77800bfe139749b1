"""The cases of R5e: trainings on several data-parallel replicas, which must come to what one does.

Every condition of that is in them: batch norm of pictures and of rows, L2 of both kinds of kernel,
dropout, a weighted mean, the root of a mean, clipping by the norm of all gradients, and a last
batch that cannot be dealt evenly, or is smaller than the replicas.
"""

from __future__ import annotations

import msgspec

from benchmarks.fidelity.cases.case import Case
from benchmarks.fidelity.cases.ladder import CLASS_WEIGHTS, DYADIC, make, with_epsilon
from benchmarks.fidelity.cases.recipes import with_recipe
from frameworks.spec import clipping, schedules
from frameworks.spec.architecture import parse
from frameworks.spec.averages import AverageWeights
from frameworks.spec.graph import changed
from frameworks.spec.layers import BatchNorm, Layer
from frameworks.spec.losses import MeanSquaredError

_DEALT = """
layers = [
  {type = "conv", filters = 4, kernel = 3, activation = "silu", l2 = 0.0078},
  {type = "batch_norm", momentum = 0.75},
  {type = "max_pool", size = 2},
  {type = "conv", filters = 6, kernel = 3, activation = "tanh"},
  {type = "batch_norm"},
  {type = "flatten"},
  {type = "dropout", rate = 0.25},
  {type = "dense", units = 6, activation = "tanh", l2 = 0.0078},
  {type = "batch_norm"},
  {type = "dense", units = "classes"},
]
"""
DEALT = parse(_DEALT, origin="dealt", default_name="dealt")
_BATCH = 12  # two and three replicas deal it evenly
_TEST = 20
EPOCHS = 2
NUDGED = 3  # trainings in float32 whose weights begin one rounding aside


def cases() -> list[Case]:
    """R5e in float64: two replicas, three, two of a network that is frozen in part, at a rate that
    changes from step to step, two that step with two batches, and two with the unbiased variance.
    """
    two = _case(2, left=7, class_weights=CLASS_WEIGHTS, class_weight_mean="weights")
    three = _case(3, left=2, loss=MeanSquaredError(targets="one_hot", root=True))
    clipped = clipping.ByGlobalNorm(limit=0.25, epsilon=0.0)
    falling = schedules.Exponential(factor=0.5, per="step")
    part = with_recipe(
        two, frozen=("conv1", "batch_norm1"), layer_rates={"dense1": 0.25}, schedule=falling
    )
    frozen = msgspec.structs.replace(part, name=f"{part.name}-frozen")
    grouped = with_recipe(two, accumulation=2)
    grouped = msgspec.structs.replace(grouped, name=f"{two.name}-accumulation")
    averaged = {"clipping": clipped, "average_weights": AverageWeights(decay=0.75)}
    norms = msgspec.structs.replace(
        two.architecture, layers=changed(two.architecture.layers, _unbiased)
    )
    unbiased = msgspec.structs.replace(two, name=f"{two.name}-unbiased", architecture=norms)
    return [two, with_recipe(three, **averaged), frozen, grouped, unbiased]


def rounded() -> Case:
    """R5e in float32: two replicas, held to their framework's own noise."""
    return _case(2, left=7, precision="float32")


def _unbiased(layer: Layer) -> Layer:
    """The layer with the running variance that PyTorch keeps, of a batch norm."""
    if not isinstance(layer, BatchNorm):
        return layer
    return msgspec.structs.replace(layer, running_variance="unbiased")


def _case(replicas: int, *, left: int, **fields: object) -> Case:
    """An epoch of two whole batches and one of `left` pictures."""
    case = make(
        DEALT,
        with_epsilon(DYADIC["adam"]),
        label=f"{replicas}replicas",
        shape=(10, 11, 2),
        batch_size=_BATCH,
        images=2 * _BATCH + left + _TEST,
        test_images=_TEST,
        pictures="noise",
        measure=("replicas",),
        **fields,  # type: ignore[arg-type]
    )
    return msgspec.structs.replace(case, replicas=replicas)
