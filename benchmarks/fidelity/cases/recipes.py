"""The cases of what a recipe has beside its optimizer: schedules, warm-up, clipping, groups of
batches, loss scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from benchmarks.fidelity.cases.case import Case
from benchmarks.fidelity.cases.ladder import SMALL, make
from benchmarks.fidelity.cases.lifecycle import DIM, NORMED, life
from frameworks.spec import clipping, schedules
from frameworks.spec.averages import AverageWeights
from frameworks.spec.defaults import fill_recipe
from frameworks.spec.loss_scale import LossScale
from results.vocabulary import Precision

_STEPS = 40
# By the name of a case: what its recipe states, and the optimizer of `ladder.DYADIC` or `FORMS`.
# Of twelve epochs of two steps; the numbers are exact in binary, but for cosines.
PARTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "step": ("momentum", {"schedule": schedules.Step(every=3, factor=0.5)}),
    "multi-step": (
        "momentum_inside",
        {"schedule": schedules.MultiStep(at=(5, 9, 14), factor=0.25, per="step")},
    ),
    "exponential": ("nesterov", {"schedule": schedules.Exponential(factor=0.5, every=4)}),
    "cosine": (
        "adam",
        {
            "schedule": schedules.Cosine(length=16, per="step", after_end="stay"),
            "warm_up": schedules.WarmUp(length=4, per="step", start_factor=0.0),
        },
    ),
    "cosine-rising": (
        "momentum",
        {"schedule": schedules.Cosine(length=5, end_rate=2**-12, after_end="rise")},
    ),
    "cosine-restarts": (
        "nesterov_inside",
        {
            "schedule": schedules.CosineRestarts(
                length=3, length_factor=2.0, rate_factor=0.5, end_rate=2**-12
            ),
            "warm_up": schedules.WarmUp(length=2, start_factor=0.25),
        },
    ),
    "polynomial": (
        "momentum",
        {"schedule": schedules.Polynomial(power=2.0, end_rate=0.0, per="step")},
    ),
    "one-cycle": ("momentum", {"schedule": schedules.OneCycle(length=18)}),
    "one-cycle-epochs": ("sgd", {"schedule": schedules.OneCycle(per="epoch")}),
    "step-by-step": ("adagrad", {"schedule": schedules.Step(every=7, per="step")}),
    "multi-step-epochs": ("momentum", {"schedule": schedules.MultiStep(at=(4, 9))}),
    "exponential-by-step": (
        "momentum",
        {"schedule": schedules.Exponential(factor=15 / 16, per="step")},
    ),
    "cosine-whole": ("sgd", {"schedule": schedules.Cosine(after_end="stay")}),
    "cosine-restarts-by-step": (
        "adamw",
        {"schedule": schedules.CosineRestarts(length=5, length_factor=1.0, per="step")},
    ),
    "polynomial-epochs": (
        "adadelta",
        {"schedule": schedules.Polynomial(length=7, end_rate=2**-12)},
    ),
    "clipped-value": ("momentum", {"clipping": clipping.ByValue(limit=2**-4)}),
    "clipped-norm": ("nesterov", {"clipping": clipping.ByNorm(limit=2**-1, epsilon=0.0)}),
    "clipped-global-norm": ("sgd", {"clipping": clipping.ByGlobalNorm(limit=1.0, epsilon=0.0)}),
    # With an epsilon, which Keras lacks: one of its own, and PyTorch's. The way of the weights is
    # long beside float32's spacing: at a limit of 1/16 one weight rounded to the other side is 1e-5
    # of it, R3's bound.
    "clipped-norm-added": ("sgd", {"clipping": clipping.ByNorm(limit=1.0, epsilon=2**-6)}),
    "clipped-global-norm-added": (
        "momentum",
        {"clipping": clipping.ByGlobalNorm(limit=1.0, epsilon=1e-6)},
    ),
    # Long for its sake too: PyTorch and Keras take the decay off in a rounding of its own, which
    # goes the same way at every step. At a rate of 1/8 that came to 3.5e-5 and 1.6e-5 of the way.
    "layer-rates": ("adam_hat_decoupled", {"layer_rates": {"dense1": 2.0}}),
    "layer-rates-decayed": ("nesterov_decoupled", {"layer_rates": {"dense2": 2.0}}),
    "layer-rates-inside": (
        "momentum_inside",
        # another number in float32
        {"layer_rates": {"dense1": 0.3}, "schedule": schedules.Step(every=3, factor=0.5)},
    ),
    "accumulation": (
        "momentum_inside",
        {
            "accumulation": 3,
            "clipping": clipping.ByValue(limit=2**-2),
            "schedule": schedules.MultiStep(at=(2, 5), factor=0.25, per="step"),
        },
    ),
    "average": ("sgd", {"average_weights": AverageWeights(decay=29 / 32, start="debiased")}),
    "average-accumulation": (
        "momentum",
        {
            "average_weights": AverageWeights(decay=29 / 32, start="first"),
            "accumulation": 3,
        },
    ),
    # a gradient within overflows (`case.Material.gradient_stream`)
    "loss-scaled": (
        "adam_hat",
        {
            "loss_scale": LossScale(initial=2.0**10, interval=3),
            "clipping": clipping.ByGlobalNorm(limit=23 / 4, epsilon=0.0),
        },
    ),
    "warm-up": ("rmsprop", {"warm_up": schedules.WarmUp(length=3)}),
}
UNSCALED = {"accumulation", "average_weights"}  # not in float16, whose loss is scaled
# By step, in one call an epoch, in the loops of every backend, and by epoch; optimizers and forms
# that the other lifecycles lack.
_LIVES: tuple[tuple[str, str, tuple[int, int, int]], ...] = (
    ("multi-step", "momentum_inside", (11, 9, 1)),
    ("cosine", "momentum", (9, 10, 3)),
    ("cosine-restarts", "adamw", (9, 9, 2)),
    ("clipped-global-norm", "momentum_coupled", (10, 9, 1)),
    ("clipped-norm", "adam_amsgrad", (9, 11, 2)),
    ("loss-scaled", "momentum_coupled", (9, 9, 3)),
    ("steps-an-epoch", "adamax", (9, 10, 1)),
    ("frozen", "adamw", (9, 9, 2)),
    ("frozen-training", "rmsprop_momentum", (9, 9, 2)),
    ("accumulation", "adam_hat_decoupled", (9, 10, 1)),
    ("average", "lion", (9, 9, 1)),
)


# Their groups of batches, or averages, go on in a new backend.
_RESUMED = ("accumulation", "average")
# What a step on made-up gradients alone says nothing of, or not on the network of those.
_OF_EPOCHS: Mapping[str, Mapping[str, Any]] = {
    # of four batches a pass, the last smaller: it stands within every epoch
    "steps-an-epoch": {
        "steps_per_epoch": 6,
        "schedule": schedules.Exponential(factor=15 / 16, per="step"),
    },
    "frozen": {
        "frozen": ("conv1", "batch_norm1", "dense1"),
        "layer_rates": {"batch_norm2": 2**-2},
        "clipping": clipping.ByGlobalNorm(limit=2**-3, epsilon=0.0),
    },
    "frozen-training": {
        "frozen": ("conv1", "batch_norm1", "batch_norm2"),
        "frozen_norm": "training",
        "layer_rates": {"dense1": 2**-2},
    },
}


def with_recipe(case: Case, **changes: Any) -> Case:
    """The case with these fields of its recipe, filled in."""
    recipe = fill_recipe(msgspec.structs.replace(case.recipe, **changes))
    return msgspec.structs.replace(case, recipe=recipe)


def alone(precisions: Iterable[Precision]) -> list[Case]:
    """R3: every part on made-up gradients."""
    return [
        with_recipe(
            make(
                SMALL,
                optimizer,
                precision,
                label=f"alone-{name}",
                size=8,
                images=16,
                measure=("optimizer",),
                steps=_STEPS,
                record_every=10,
            ),
            epochs=12,
            **parts,
        )
        for precision in precisions
        for name, (optimizer, parts) in PARTS.items()
        if precision != "float16" or not parts.keys() & UNSCALED
    ]


def overflowing() -> Case:
    """R5d in float32 of a loss whose scale overflows: steps are skipped in the loop itself."""
    case = life("adam", DIM, (8, 9, 3), {"label": "overflowing", "pictures": "noise"}, "float32")
    scale = LossScale(initial=2.0**124, interval=2)
    made = with_recipe(case, loss_scale=scale, class_weights=(2.0**7,) * case.classes)
    return msgspec.structs.replace(made, name=f"overflowing-{case.name}")


def lives() -> list[Case]:
    """R5d in float64: trainings whose rate changes from step to step, and from epoch to epoch."""
    return [
        with_recipe(
            life(optimizer, NORMED, shape, {"label": name, "renewed": name in _RESUMED}),
            **PARTS.get(name, ("", {}))[1],
            **_OF_EPOCHS.get(name, {}),
        )
        for name, optimizer, shape in _LIVES
    ]
