"""The backends of a process's cases: built, built once where several can share it, and read."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from benchmarks.fidelity.cases.case import Case, Material
from frameworks.backend import Backend, EpochResult
from frameworks.numpy.backend import NumpyReference
from frameworks.spec.schedules import scheduled
from frameworks.spec.weights import Weights

Arrays = dict[str, np.ndarray]
_SQUARES = {"accumulator", "mean_square", "mean_square_update", "second_moment"}


class Builder:
    """Builds the backends of a process's cases, and compiles once what several of them share.

    A case that differs from the one before in its initial weights alone (a control of R5c, of which
    a framework has eight) gets that one's backend, set back to its start. The bits are those of a
    backend of its own (`tests/conformance/test_determinism.py`).
    """

    def __init__(self) -> None:
        self._case: Case | None = None
        self._backend: Backend
        self._start: Mapping[str, np.ndarray]  # of the optimizer

    def backend(self, material: Material, backend_class: type[Backend]) -> Backend:
        """The backend of a case, as if nothing had been trained before."""
        alike = _apart_from_weights(material.case)
        if alike is not None and alike == self._case:
            self._backend.set_weights(material.weights)
            self._backend.set_optimizer_state(self._start)
        else:
            self._case = None  # should it fail to be built
            self._backend = build(material, backend_class)
            self._start = self._backend.get_optimizer_state() if alike else {}
            self._case = alike
        return self._backend


def _apart_from_weights(case: Case) -> Case | None:
    """The case without what its initial weights alone depend on; None where a backend is not used
    twice: it draws for itself, has a fault, or is asked for more than a training."""
    if case.native or case.mutant or case.measure != ("steps",):
        return None
    return msgspec.structs.replace(case, name="", ulp=False, weight_noise=0.0, noise_seed=0)


def build(
    material: Material, backend_class: type[Backend], weights: Weights | None = None
) -> Backend:
    """A backend of the case, with the weights given, by default those that the case begins with;
    where the framework draws for itself it has its own."""
    case = material.case
    if weights is None and not case.native:
        weights = material.weights
    backend = backend_class(material.network, case.recipe, case.runtime, weights)
    if isinstance(backend, NumpyReference) and case.stored:
        backend.stored = np.dtype(case.stored)
    return backend


def make_ready(material: Material, backend: Backend) -> None:
    """Stage the data and compile, as a run does before its first epoch."""
    epoch = material.epoch(1)
    if isinstance(epoch.images, np.ndarray):  # a view is streamed
        backend.stage(epoch.images, epoch.labels)
    backend.compile(epoch)


def train(material: Material, backend: Backend, number: int) -> EpochResult:
    """Train one epoch, counted from 1, at the rates of the case's schedule if it has one."""
    epoch = material.epoch(number)
    if isinstance(epoch.images, np.ndarray) and epoch.images is not material.data[0]:
        backend.stage(epoch.images, epoch.labels)  # it is this epoch's own
    if scheduled(material.case.recipe):
        return backend.train_at(epoch, material.rates(number))
    return backend.train_epoch(epoch)


def optimizer_state(backend: Backend) -> Arrays:
    """`state/...`: the number of steps, the rate, and each slot; a mean of squares by its root.

    The root is of a gradient's size: it is as far off as the gradient, where the square is twice
    as far, and what a flip comes to can be added to it. Below zero it is NaN.
    """
    found = backend.get_optimizer_state()
    with np.errstate(invalid="ignore"):
        return {
            f"state/{name}": np.sqrt(array) if name.split("/")[0] in _SQUARES else array
            for name, array in found.items()
        }
