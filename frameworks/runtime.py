"""Runtime of a backend (device, precision, tuning), and the results that it gives back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frameworks.spec.weights import Weights
from results.vocabulary import Device, Feed, Precision, Tuning


@dataclass(frozen=True)
class Runtime:
    """Device, precision and way of a backend's computation.

    Attributes:
        precision: "float32" never uses TF32; "tf32" allows it (CUDA only); "float16" and
            "bfloat16" are mixed precision, weights, norms and loss in float32; "float64" is
            float64 throughout.
        native_dropout: the framework draws its own dropout masks; else they come with each batch.
        feed: for tuned backends. "staged" gathers batches on the device from a data set put there,
            "streamed" sends it each batch, "auto" stages what fits.
        replicas: data-parallel replicas of the network, each of which has its part of every batch.
            The threads are theirs together.
    """

    device: Device = "cpu"
    precision: Precision = "float32"
    tuning: Tuning = "idiomatic"
    native_dropout: bool = False
    seed: int = 0
    threads: int = 0
    deterministic: bool = False
    feed: Feed = "auto"
    replicas: int = 1


@dataclass(frozen=True)
class EpochResult:
    """Means over the images of one epoch, as training saw them (dropout on, weights moving).

    loss includes the L2 terms, the class weights and the label smoothing; accuracy, the share of
    answers that are right (`frameworks.numpy.losses.right`), is not weighted.
    """

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Gradients:
    """Loss (with L2), logits (batch, outputs) and gradient of every trainable weight."""

    loss: float
    logits: np.ndarray
    gradients: Weights
