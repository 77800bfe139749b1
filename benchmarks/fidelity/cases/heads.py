"""Cases of every loss and every form of it, on one small network without kinks."""

from __future__ import annotations

from typing import Any

from benchmarks.fidelity.cases.case import Case
from benchmarks.fidelity.cases.ladder import CLASS_WEIGHTS, DYADIC, at_rate, make, with_epsilon
from frameworks.spec.architecture import parse
from frameworks.spec.losses import BinaryCrossEntropy, CrossEntropy, Loss, MeanSquaredError
from results.vocabulary import Precision

_LAYERS = """
layers = [
  {type = "conv", filters = 4, kernel = 3, stride = 2, activation = "silu", l2 = 0.0078},
  {type = "batch_norm", momentum = 0.75},
  {type = "flatten"},
  {type = "dropout", rate = 0.25},
  {type = "dense", units = 6, activation = "tanh"},
  {type = "dense", units = "classes", bias_initializer = "torch_uniform"},
]
"""
NETWORK = parse(_LAYERS, origin="head", default_name="head")
_ONE_BATCH = ("structure", "forward", "gradients")
_LIFE = (*_ONE_BATCH, "restored", "lifecycle")
_TEST = 20  # two batches of 8 and a half
_STEPS = 2
# Smoothing by 0.1 is of another number in float32. By name: loss, classes or votes, fields.
_HEADS: dict[str, tuple[Loss, int, dict[str, Any]]] = {
    "smoothed": (CrossEntropy(label_smoothing=0.1), 10, {"measure": _LIFE}),
    "smoothed_weighted": (
        CrossEntropy(label_smoothing=0.1),
        10,
        {"class_weights": CLASS_WEIGHTS, "class_weight_mean": "weights", "steps": 1},
    ),
    "weighted": (
        CrossEntropy(),
        10,
        {"class_weights": CLASS_WEIGHTS, "class_weight_mean": "weights", "measure": _LIFE},
    ),
    "yes_or_no": (
        BinaryCrossEntropy(label_smoothing=0.1),
        2,
        {"class_weights": (0.3, 2.5), "measure": _LIFE},
    ),
    "one_hot": (
        BinaryCrossEntropy(targets="one_hot"),
        10,
        {"class_weights": CLASS_WEIGHTS, "class_weight_mean": "weights"},
    ),
    "several_labels": (
        BinaryCrossEntropy(targets="votes", label_smoothing=0.1),
        7,
        {"measure": _LIFE},
    ),
    "question": (CrossEntropy(targets="votes", label_smoothing=0.1), 7, {"measure": _LIFE}),
    "votes": (MeanSquaredError(), 37, {"steps": 1, "measure": (*_ONE_BATCH, "steps", "epoch")}),
    "votes_sigmoid": (MeanSquaredError(outputs="sigmoid"), 37, {"measure": _LIFE}),
    "one_hot_squares": (
        MeanSquaredError(targets="one_hot", outputs="sigmoid"),
        10,
        {"class_weights": CLASS_WEIGHTS},
    ),
    "root_of_squares": (
        MeanSquaredError(outputs="sigmoid", root=True),
        37,
        {"measure": _LIFE},
    ),
}


def heads() -> list[Case]:
    """R0 to R2, and R4, R5a or R5d in float64, of every loss."""
    return [_head(name, "float64") for name in _HEADS]


def float32() -> list[Case]:
    """R0 to R2 and R5b in float32, of one loss of each kind."""
    training = {"measure": (*_ONE_BATCH, "steps"), "steps": 20, "record_every": 10}
    return [
        _head(name, "float32", **training)
        for name in ("smoothed", "several_labels", "votes_sigmoid")
    ]


def _head(name: str, precision: Precision, **training: Any) -> Case:
    loss, classes, fields = _HEADS[name]
    options: dict[str, Any] = {"measure": (*_ONE_BATCH, "steps"), "steps": _STEPS, "images": 29}
    options |= {"pictures": "noise", "test_images": _TEST, "rate_factor": 0.5} | fields | training
    if "lifecycle" in options["measure"]:
        options |= {"steps": 0}
    options["images"] += _TEST
    return make(
        NETWORK,
        at_rate(with_epsilon(DYADIC["adam"]), 2.0**-4),
        precision,
        label=f"head-{name}",
        shape=(9, 11, 3),
        loss=loss,
        classes=classes,
        **options,
    )
