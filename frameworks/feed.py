"""Feed of tuned backends: row numbers of a data set staged on the device, or whole batches.

A chunk is several training steps. A thread prepares chunks while the device computes: drawing
dropout masks and gathering streamed batches then cost no device time. The time that the host waits
for a chunk is counted. `FedBackend` is the part of a tuned backend that feeds it.
"""

from __future__ import annotations

import math
import os
import queue
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from datasets.batches import Batch, Epoch, MaskSpec, compact
from datasets.drawn.images import DrawnImages
from frameworks.backend import Backend, EpochResult
from frameworks.spec.reading import SpecificationError
from frameworks.spec.schedules import by_step
from results.vocabulary import Feed

STAGED_SHARE = 0.5  # of the device's free memory that a staged data set may take
CHUNK_STEPS = 32  # per dispatch, where one dispatch can be many steps
DRAWN_STEPS = 8  # of pictures that are drawn: the first chunk of an epoch is waited for
CHUNK_BYTES = 64 << 20  # of masks and streamed pictures in a chunk
AHEAD = 2  # chunks made ready before they are asked for
RATE = "learning rate"  # among a chunk's masks, of a schedule by step; no layer has such a name

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Draws:
    """Dropout masks that the device draws, of the steps from `first` on."""

    spec: MaskSpec
    epoch: int
    first: int


@dataclass(frozen=True)
class Chunk:
    """Training steps of equal batch size, stacked on a first axis of `length` places.

    The first `steps` places are used. rows: int32 (length, batch) of the staged data set; or else
    images: uint8 (length, batch, height, width, channels) and labels: as `Batch` has them,
    (length, batch) or (length, batch, outputs).
    masks: uint8 (length, batch, *shape) by dropout layer; and of a schedule that changes the
    learning rate from step to step the rates, float64 (length,), as `RATE`.
    draws: masks that are not among them, since the device draws them.
    """

    steps: int
    batch_size: int
    rows: np.ndarray | None
    images: np.ndarray | None
    labels: np.ndarray | None
    masks: dict[str, np.ndarray]
    draws: Draws | None = None

    @property
    def shape(self) -> tuple[int, int, bool]:
        """Key of a compiled function: places, batch size, staged or not."""
        arrays = [self.rows, self.images, *self.masks.values()]
        length = next((len(array) for array in arrays if array is not None), 0)
        return length, self.batch_size, self.rows is not None


def fits(data_bytes: int, free_bytes: int) -> bool:
    """True if a data set may be staged where so many bytes are free."""
    return data_bytes <= STAGED_SHARE * free_bytes


def staged(asked: Feed, data_bytes: int, free_bytes: int) -> bool:
    """True if a data set is to be staged where so many bytes are free.

    Raises:
        SpecificationError: feed "staged" is asked for, and the data set does not fit.
    """
    fitting = fits(data_bytes, free_bytes)
    if asked == "staged" and not fitting:
        raise SpecificationError(
            f"feed 'staged': the data set's {data_bytes / 2**20:,.0f} MiB are more than "
            f"{STAGED_SHARE:.0%} of the {free_bytes / 2**20:,.0f} MiB that are free on the device; "
            "use feed auto or streamed."
        )
    return fitting and asked != "streamed"


def gpu_free_bytes() -> int:
    """Free memory of the first GPU that this process may use, by the driver: for a framework that
    cannot tell. The driver counts all GPUs, whatever CUDA_VISIBLE_DEVICES says; there they are
    numbers in the order of the PCI bus, or identifiers."""
    import pynvml

    name = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip() or "0"
    pynvml.nvmlInit()
    try:
        by_number, by_identifier = (
            pynvml.nvmlDeviceGetHandleByIndex,
            pynvml.nvmlDeviceGetHandleByUUID,
        )
        handle = by_number(int(name)) if name.isdigit() else by_identifier(name)
        return int(pynvml.nvmlDeviceGetMemoryInfo(handle).free)
    finally:
        pynvml.nvmlShutdown()


def is_of(epoch: Sequence[Batch], images: np.ndarray | None) -> bool:
    """True if the epoch is batches of the staged data set, to be gathered by row number."""
    return images is not None and isinstance(epoch, Epoch) and epoch.images is images


def chunks(
    epoch: Sequence[Batch], *, staged: bool, length: int = CHUNK_STEPS, only_first: bool = False
) -> Iterator[Chunk]:
    """The steps of an epoch in order, up to `length` a chunk, the same length for a batch size.

    Args:
        epoch: the batches; an `Epoch` of the staged data when `staged`.
        only_first: one chunk of one step for each batch size, to compile with.
    """
    start = 0
    sizes = batch_sizes(epoch)
    runs = epoch.runs if isinstance(epoch, Epoch) else None
    while start < len(sizes):
        size = sizes[start]
        run = next((i for i in range(start, len(sizes)) if sizes[i] != size), len(sizes)) - start
        first = step_of(epoch, start, staged) if run else None
        assert first is not None
        # as many for a size in every epoch, so that none brings a program of its own
        most = run if runs is None else runs[size]
        places = min(length, most, max(1, CHUNK_BYTES // max(1, _bytes(first))))
        for begin in range(start, start + run, places):
            end = min(begin + places, start + run)
            steps = range(begin, begin + 1 if only_first else end)
            # the first was made above, to measure it: an epoch counts what it is asked for
            made = [first if s == start else step_of(epoch, s, staged) for s in steps]
            yield _stack(made, size, places, staged)
            if only_first:
                break
        start += run


def ahead(
    source: Iterable[T], prepare: Callable[[T], U], waited: Callable[[float], None]
) -> Iterator[U]:
    """`map(prepare, source)`, made ready in a thread; `waited` is told the seconds that the
    consumer waited for it.

    It is the host that waits. Where work is only handed to the device, the device may still be
    computing meanwhile: it waited at most so long.

    What the thread raises is raised here. A consumer that stops early stops the thread.
    """
    ready: queue.Queue = queue.Queue(maxsize=AHEAD)
    stop = threading.Event()
    end = object()

    def put(item: object) -> None:
        while not stop.is_set():
            try:
                return ready.put(item, timeout=0.1)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in source:
                put((prepare(item), None))
                if stop.is_set():
                    return
            put((end, None))
        except BaseException as error:  # handed to the consumer, whatever it is
            put((None, error))

    thread = threading.Thread(target=work, name="feed", daemon=True)
    thread.start()
    try:
        while True:
            start = time.perf_counter()
            item, error = ready.get()
            waited(time.perf_counter() - start)
            if error is not None:
                raise error
            if item is end:
                return
            yield item
    finally:
        stop.set()
        thread.join()


class FedBackend(Backend):
    """A backend whose data set is staged on the device where it fits, and else sent in chunks.

    A subclass says how many bytes are free on the device, puts the data set there (`put`) and
    sends chunks there (`to_device`).

    draws_masks: the device draws the dropout masks (`mask_drawer`), where they are drawn by epoch
    and step; a step may be shorter than the host needs to draw them.
    """

    draws_masks: bool = False
    host_wait_seconds: float = 0.0
    _drawer: Any = None
    _host_images: np.ndarray | None = None  # of the staged data set
    _rates: np.ndarray | None = None  # of the steps of the epoch under way

    def build(self, *, draw: bool) -> None:
        super().build(draw=draw)
        self._length = 1 if "many_steps" in self.without else CHUNK_STEPS

    @abstractmethod
    def free_bytes(self) -> int:
        """Free memory of the device."""

    @abstractmethod
    def put(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Copy the data set to the device, the images as uint8."""

    @abstractmethod
    def to_device(self, chunk: Chunk) -> Any:
        """The chunk with its arrays on the device, or on their way there (`arrived`)."""

    def arrived(self, chunk: Any) -> Any:
        """The chunk that `to_device` gave, ready for the work given to the device from here on."""
        return chunk

    def stage(self, images: np.ndarray, labels: np.ndarray) -> None:
        """The data set to the device as uint8, unless it takes too much of its free memory. One
        that is there already gives way."""
        wanted = "staged" not in self.without
        there = 0 if self._host_images is None else self._host_images.nbytes
        if wanted and staged(self.runtime.feed, images.nbytes, self.free_bytes() + there):
            self.put(images, labels)
            self._host_images = images

    def chunks(self, epoch: Sequence[Batch], *, only_first: bool = False) -> Iterator[Chunk]:
        """The chunks of an epoch, by row where it is of the staged data set."""
        by_row = is_of(epoch, self._host_images)
        drawn = isinstance(epoch, Epoch) and isinstance(epoch.images, DrawnImages)
        length = min(self._length, DRAWN_STEPS) if drawn else self._length
        spec = epoch.masks if self.draws_masks and isinstance(epoch, Epoch) else None
        if spec is not None:
            largest = max(batch_sizes(epoch), default=0) * sum(map(math.prod, spec.shapes.values()))
            length = min(length, max(1, CHUNK_BYTES // max(1, largest)))
            epoch = replace(epoch, masks=None)  # type: ignore[type-var]
        made = chunks(epoch, staged=by_row, length=length, only_first=only_first)
        if spec is not None:
            made = _with_draws(made, spec, epoch.number, epoch.before)  # type: ignore[attr-defined]
        if not by_step(self.recipe):
            return made
        usual = np.full(len(epoch), self.recipe.optimizer.rate)
        return _with_rates(made, usual if self._rates is None else self._rates)

    def train_scheduled(self, epoch: Sequence[Batch], rates: np.ndarray) -> EpochResult:
        self._rates = np.asarray(rates, np.float64)
        try:
            result = self.train_epoch(epoch)
        finally:
            self._rates = None
        self.set_learning_rate(float(rates[-1]))  # where a loop had it by itself
        return result

    def fed(self, epoch: Sequence[Batch]) -> Iterator[Any]:
        """The chunks of an epoch on the device, made ready ahead."""
        return map(self.arrived, ahead(self.chunks(epoch), self.to_device, self._waited))

    def first_of_each_size(self, epoch: Sequence[Batch]) -> Iterator[Any]:
        """A chunk of one step for each batch size, on the device."""
        first = self.chunks(epoch, only_first=True)
        return map(self.arrived, map(self.to_device, first))

    def mask_drawer(self, spec: MaskSpec) -> Any:
        """The drawer of masks (`frameworks.jax.philox`), for a backend that `draws_masks`."""
        raise NotImplementedError

    def drawn(self, chunk: Chunk) -> dict[str, Any]:
        """Masks of the chunk that the device draws, by layer, on the device."""
        draws = chunk.draws
        if draws is None:
            return {}
        if self._drawer is None or self._drawer.spec != draws.spec:
            self._drawer = self.mask_drawer(draws.spec)
        return self._drawer.draw(chunk.batch_size, draws.epoch, draws.first, chunk.shape[0])

    def settings(self) -> dict[str, str]:
        here = "streamed" if self._host_images is None else "on the device, uint8"
        masks = {"masks": "drawn on the device"} if self.draws_masks else {}
        return super().settings() | {"data": here} | masks

    def _waited(self, seconds: float) -> None:
        self.host_wait_seconds += seconds


def _with_rates(made: Iterable[Chunk], rates: np.ndarray) -> Iterator[Chunk]:
    """The chunks with the rates of their steps; places left over repeat the last."""
    start = 0
    for chunk in made:
        mine = rates[start : start + chunk.steps]
        padded = np.pad(mine, (0, chunk.shape[0] - chunk.steps), mode="edge")
        yield replace(chunk, masks={**chunk.masks, RATE: padded})
        start += chunk.steps


def _with_draws(made: Iterable[Chunk], spec: MaskSpec, epoch: int, start: int) -> Iterator[Chunk]:
    """The chunks with what their masks are drawn from."""
    for chunk in made:
        yield replace(chunk, draws=Draws(spec, epoch, start))
        start += chunk.steps


def means(
    found: Iterable[tuple[np.ndarray, np.ndarray]],
    counts: Iterable[tuple[int, int]],
    answers: int = 1,
) -> EpochResult:
    """Means over images from (losses, right answers) and (steps, batch size) of each chunk.

    Losses and right answers have a place for every step of a chunk; the first `steps` count.
    answers: to each image (`frameworks.spec.losses.answers`).
    """
    loss = right = images = 0.0
    for (losses, correct), (steps, size) in zip(found, counts, strict=True):
        loss += float(np.sum(losses[:steps], dtype=np.float64)) * size
        right += float(np.sum(correct[:steps]))
        images += steps * size
    return EpochResult(loss / images, right / (images * answers))


def batch_sizes(epoch: Sequence[Batch]) -> list[int]:
    """Batch sizes of all steps, without making the batches where it can be helped."""
    if isinstance(epoch, Epoch):
        return [len(rows) for rows in epoch.indices]
    return [len(batch) for batch in epoch]


_Step = tuple[np.ndarray | None, Batch | None, dict[str, np.ndarray]]


def step_of(epoch: Sequence[Batch], step: int, staged: bool) -> _Step:
    """(rows, None, masks) of the staged data, or (None, batch, masks)."""
    if staged:
        assert isinstance(epoch, Epoch)
        rows = epoch.indices[step]
        return np.asarray(rows, np.int32), None, epoch.masks_of(step)
    batch = epoch[step]
    return None, batch, dict(batch.masks)


def _bytes(step: _Step) -> int:
    _, batch, masks = step
    pictures = 0 if batch is None else batch.images.nbytes
    return pictures + sum(mask.nbytes for mask in masks.values())


def _stack(made: Sequence[_Step], size: int, places: int, staged: bool) -> Chunk:
    """Steps on a first axis of `places`; places left over repeat the first step."""
    padded = [*made, *[made[0]] * (places - len(made))]
    masks = {name: np.stack([step[2][name] for step in padded]) for name in made[0][2]}
    rows = images = labels = None
    if staged:
        rows = np.stack([step[0] for step in padded])  # type: ignore[misc]
    else:
        batches = [step[1] for step in padded if step[1] is not None]
        images = np.stack([batch.images for batch in batches])
        labels = np.stack([compact(batch.labels) for batch in batches])
    return Chunk(len(made), size, rows, images, labels, masks)
