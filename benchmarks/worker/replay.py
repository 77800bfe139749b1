"""A run trains a few of its batches again: as one epoch, and as epochs of a batch each.

Both begin with the same weights, state and rate, and have to end alike. An order of its own, rows
of another epoch, state lost between epochs, a rate that does not arrive or a mean that forgets the
smaller batch make them differ. The programs are those of the training: nothing is compiled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from datasets.batches import Epoch
from frameworks.backend import Backend
from frameworks.errors import ratio
from frameworks.feed import batch_sizes
from frameworks.spec.weights import Weights, nudged
from results.words import count

_LEAST = 1e-5  # a share of what was trained that is never a fault
_TIMES_ROUNDING = 10.0  # of what one rounding of the first weights makes of the same steps


_STEPS = 6  # that are taken at most
_CHEAP_SECONDS, _CHEAP_SHARE = 10.0, 0.05


def too_dear(seconds: float, batches: int, accumulation: int) -> str:
    """Why a run trains no batch again, in words; empty where that costs at most ten seconds, or a
    twentieth of its training.

    Args:
        seconds: of the training. batches: that it took, more than 0.
        accumulation: batches of a step.
    """
    step = seconds / batches * accumulation
    if _STEPS * step <= max(_CHEAP_SECONDS, _CHEAP_SHARE * seconds):
        return ""
    return f"no batch was trained again: a step takes {step:.2g} s"


class _Ending(NamedTuple):
    """End of a training: the weights, and the mean loss of the images."""

    weights: Weights
    loss: float


def contradictions(backend: Backend, few: Epoch) -> Iterator[str]:
    """Differences between the two trainings, in words; weights and state are put back.

    A backend that draws its own dropout masks, or has a rate of its own, is not asked.
    """
    draws = backend.runtime.native_dropout and backend.network.dropout_shapes
    if draws or backend.own_rate is not None:
        return
    weights, state = backend.get_weights(), backend.get_optimizer_state()
    rate = backend.recipe.optimizer.rate / 2  # not that of the compilation

    def trained(length: int, first: Weights = weights) -> _Ending:
        backend.set_weights(first)
        backend.set_optimizer_state(state)
        total = 0.0
        for start in range(0, len(few), length):
            part = few.part(start, start + length)
            loss = backend.train_at(part, np.full(len(part), rate)).loss
            total += loss * sum(batch_sizes(part))
        return _Ending(backend.get_weights(), total / sum(batch_sizes(few)))

    together = trained(len(few))
    found = float(backend.get_optimizer_state()["learning_rate"])
    singly = trained(1)
    distances = _distances(backend, weights, together, singly)
    if any(distance > _LEAST for distance in distances.values()):
        aside = trained(1, nudged(backend.network, weights, 1))
        allowed = _distances(backend, weights, aside, singly)
        for what, distance in distances.items():
            bound = max(_LEAST, _TIMES_ROUNDING * allowed[what])
            if not distance <= bound:
                yield (
                    f"epochs: {what} of {count(len(few), 'batch')} trained in one epoch and one "
                    f"by one differ by {distance:.1e} (bound {bound:.0e})"
                )
    if not np.isclose(found, rate, rtol=_LEAST):
        yield f"rate: the optimizer's learning rate is {found:g}, and was set to {rate:g}"
    backend.set_weights(weights)
    backend.set_optimizer_state(state)


def _distances(
    backend: Backend, start: Weights, one: _Ending, other: _Ending
) -> Mapping[str, float]:
    """Between two endings: of the weights trained and of running statistics as a share of their
    way, of the losses as a share of their size.

    Biases that a batch norm takes out have gradients of rounding alone, and are left out.
    """
    trained = [k for k in backend.network.trainable_keys if k not in backend.network.dead_biases]
    kept = [key for key in start if key not in backend.network.trainable_keys]
    found = {"losses": ratio(abs(one.loss - other.loss), abs(other.loss))}
    for what, keys in (("weights", trained), ("running statistics", kept)):
        apart = _length(one.weights, other.weights, keys)
        found[what] = ratio(apart, _length(other.weights, start, keys))
    return found


def _length(of: Weights, since: Weights, keys: list[str]) -> float:
    """Euclidean length of the difference."""
    each = [np.linalg.norm(np.subtract(of[k], since[k], dtype=np.float64)) for k in keys]
    return float(np.linalg.norm(each)) if each else 0.0
