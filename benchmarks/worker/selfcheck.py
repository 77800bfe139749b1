"""A run proves itself: after training, its predictions and its weights are asked again.

A handful of test galaxies are asked in another order, of a fresh model that was given the weights
read back, in batches of another size, singly, and of the float64 reference. All have to agree
with the test's own logits within rounding. The optimizer has to have counted every batch, and a few
batches are trained again (`replay`). It is cheap, and outside of every timed window.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

import msgspec
import numpy as np

from benchmarks.config.artifacts import Agreement
from benchmarks.data.staging import StagedData
from benchmarks.process.failures import classify
from benchmarks.worker.replay import contradictions
from benchmarks.worker.timer import Clock
from datasets.batches import Epoch
from frameworks.backend import Backend, Runtime
from frameworks.errors import largest
from frameworks.numpy.backend import NumpyReference
from frameworks.spec.defaults import fill_recipe
from frameworks.spec.recipe import SGD, Recipe
from frameworks.spec.weights import Weights
from results import words
from results.vocabulary import Precision

PHASE = "self_check"
MOST = 9  # galaxies
REFERENCE_SECONDS = 0.7  # after which the reference is given no further galaxy
_LAST_BITS, _SMALLEST = 1e-5, 1e-30  # a share of a number; what a CPU may take for zero
_SIZES = (3, 2)  # of the other batches: the first that is not the run's own


class SelfCheckError(Exception):
    """A run's results contradict each other; the message names the checks that failed."""


def self_check(
    backend: Backend,
    data: StagedData,
    tested: np.ndarray | None,
    agreement: Agreement,
    clock: Clock,
    steps: int = 0,
    few: Epoch | None = None,
    stored: Iterable[str] = (),
) -> None:
    """Check a trained run and send `self_checked`: true, or none where memory ran out.

    Args:
        backend: as the test left it.
        tested: the test's logits (n, classes), in the order of the test set; None without one.
        agreement: how far two answers may lie apart.
        steps: batches trained on, the optimizer's count of which is compared; 0 where unknown.
        few: batches to train again (`few_of`); None where nothing was trained.
        stored: contradictions of what was stored of the test (`predictions`).

    Raises:
        SelfCheckError: a check failed; `self_checked` is false.
    """
    with clock.measure(PHASE):
        try:
            failures = [
                *stored,
                *_other_steps(backend, steps),
                *_failures(_Asked.of(backend, data, tested), agreement),
                *([] if few is None else _retrained(backend, data, few)),
            ]
        except Exception as error:  # whatever a framework raises when it is asked again
            status, reason = classify(error, "the self-check")
            if status == "oom":  # training had room for itself, and ended well
                clock.channel.send("facts", values={"extra": {"self_check": reason}})
                return
            failures = [reason]
    clock.channel.send("facts", values={"self_checked": not failures})
    if failures:
        raise SelfCheckError(
            f"self-check failed: {'; '.join(failures)}. The run's results are not to be trusted "
            "(--no-self-check leaves the check out)"
        )


def arrived(asked: Weights, read: Weights, what: str, *, rounded: bool = False) -> None:
    """Check that weights, or a state, that were loaded are there.

    Args:
        asked: what was loaded. read: what the backend has now, in the run's dtype.
        what: whose weights, for the message.
        rounded: a framework may hold them times another factor, which costs the last bit.

    Raises:
        SelfCheckError: an array differs, or is missing.
    """
    different = _different(asked, read, _LAST_BITS if rounded else 0.0)
    if different:
        raise SelfCheckError(
            f"self-check failed: restored: the {what} did not arrive: {different[0]} differs"
        )


class _Asked(msgspec.Struct):
    """A trained backend, the galaxies to ask it of again, and its answers in the test.

    images: uint8 (k, h, w, c); logits: (k, classes). The most telling galaxies come first.
    """

    backend: Backend
    images: np.ndarray
    logits: np.ndarray

    @classmethod
    def of(cls, backend: Backend, data: StagedData, tested: np.ndarray | None) -> _Asked:
        split = data.split
        rows = next(part for part in (split.test, split.validation, split.train) if len(part))
        places = telling(len(rows), backend.recipe.batch_size)
        images = np.ascontiguousarray(data.images[rows[places]])
        logits = backend.predict(images) if tested is None else tested[places]
        return cls(backend, images, logits)


def telling(count: int, batch_size: int) -> np.ndarray:
    """Places of the galaxies that tell most of how they were predicted: int64, at most `MOST`.

    The last (of the smaller last batch), those on both sides of the end of the first batch, the
    first; then the rest evenly.
    """
    edges = [count - 1, batch_size, 0, batch_size - 1, batch_size + 1, count - 2]
    evenly = np.linspace(0, count - 1, MOST).astype(np.int64)
    found = dict.fromkeys(place for place in (*edges, *evenly.tolist()) if 0 <= place < count)
    return np.array(list(found)[:MOST], dtype=np.int64)


def _other_steps(backend: Backend, steps: int) -> Iterator[str]:
    """The optimizer's count of steps, where it is not of the number of batches trained on."""
    group = backend.recipe.accumulation
    taken = int(backend.get_optimizer_state().get("step", steps // group)) if steps else 0
    if taken != steps // group:
        yield (
            f"steps: the optimizer counts {words.count(taken, 'step')}, and was given "
            f"{words.count(steps, 'batch')}"
        )


def _retrained(backend: Backend, data: StagedData, few: Epoch) -> Iterator[str]:
    """Differences of batches that are trained again; the trained weights stay."""
    weights = backend.get_weights()
    if isinstance(few.images, np.ndarray) and few.images is not data.images:
        backend.stage(few.images, few.labels)
    yield from contradictions(backend, few)
    for key in _different(weights, backend.get_weights()):
        yield f"weights: put back after training again, {key} differs"


def _failures(asked: _Asked, agreement: Agreement) -> Iterator[str]:
    """Each check that failed: its name, and by how much."""
    backend, images = asked.backend, asked.images
    allowed = _Allowed(asked, agreement)
    weights = backend.get_weights()
    backwards = np.ascontiguousarray(images[::-1])
    yield from allowed.beyond("order", "asked in another order", backend.predict(backwards)[::-1])
    fresh = _fresh(backend, weights)
    different = _different(weights, fresh.get_weights())
    if different:
        yield f"weights: read back and loaded into a fresh model, {different[0]} differs"
    size = fresh.recipe.batch_size
    yield from allowed.beyond(
        "batch size", f"asked of a fresh model in batches of {size}", fresh.predict(images)
    )
    single = fresh.predict(images[:1])
    yield from allowed.beyond("singly", "asked singly of a fresh model", single)
    del fresh
    exact = _by_reference(backend, weights, images)
    yield from allowed.beyond("reference", "by the float64 reference", exact)


class _Allowed:
    """Allowed distance of answers from the test's: R1's bound, or more if the weights need it.

    R1's bound holds for initial weights. Trained ones may amplify rounding beyond it. The reference
    in float32 shows how much. It is asked only if an answer lies beyond the bound.
    """

    def __init__(self, asked: _Asked, agreement: Agreement) -> None:
        self._asked, self._agreement = asked, agreement
        self._amplified: float | None = None

    def beyond(self, name: str, how: str, answers: np.ndarray) -> Iterator[str]:
        """The failure in words, where answers (k, classes) lie too far from the test's first k."""
        found = largest(answers, self._asked.logits[: len(answers)])
        bound = self._agreement.bound
        if not found <= bound:
            bound = max(bound, self.amplified)
        if not found <= bound:
            far = f"differ by {found:.1e} of their size (bound {bound:.0e})"
            yield f"{name}: test logits {how} {far}"

    @property
    def amplified(self) -> float:
        """Largest effect of rounding alone with these weights, in the run's precision."""
        if self._amplified is None:
            backend, images = self._asked.backend, self._asked.images[:2]
            weights = backend.get_weights()
            exact = _by_reference(backend, weights, images)
            rounded = _by_reference(backend, weights, images, precision="float32")
            own = largest(rounded, exact)
            self._amplified = own * self._agreement.times_float32 if np.isfinite(own) else 0.0
        return self._amplified


def _fresh(backend: Backend, weights: Weights) -> Backend:
    """A new model of the backend's own class with these weights, which predicts by few pictures."""
    own = backend.recipe.batch_size
    size = next(one for one in _SIZES if one != own)
    recipe = msgspec.structs.replace(backend.recipe, batch_size=size)
    return type(backend)(backend.network, recipe, backend.runtime, weights)


def _by_reference(
    backend: Backend,
    weights: Weights,
    images: np.ndarray,
    precision: Precision = "float64",
    now: Callable[[], float] = time.perf_counter,
) -> np.ndarray:
    """The reference's logits of the first pictures: at least 2, and what the time is enough for."""
    recipe = fill_recipe(Recipe(optimizer=SGD(), batch_size=1))  # it only predicts
    reference = NumpyReference(backend.network, recipe, Runtime(precision=precision), weights)
    start = now()
    logits: list[np.ndarray] = []
    for image in images:
        if len(logits) >= 2 and now() - start > REFERENCE_SECONDS:
            break
        logits.append(reference.predict(image[None]))
    return np.concatenate(logits)


def _different(asked: Weights, read: Weights, share: float = 0.0) -> list[str]:
    """The arrays that are not the same, but for a share of each number, in the dtype in which they
    are read."""

    def differs(key: str, array: np.ndarray) -> bool:
        if key not in read or np.shape(array) != read[key].shape:
            return True
        given = np.asarray(array, read[key].dtype)
        if not share:
            return not np.array_equal(given, read[key], equal_nan=True)
        return not np.allclose(given, read[key], share, _SMALLEST, equal_nan=True)

    return [key for key, array in asked.items() if differs(key, array)]
