"""The pictures of one epoch as drawn, made in threads before they are asked for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property

import numpy as np

from datasets.batches import Images
from datasets.drawn.mix import Mixes, mixes
from datasets.drawn.pixels import augmented
from datasets.drawn.settings import Augment, check_fits

AHEAD = 4  # batches made before they are asked for
_LEAST = 8  # pictures that a thread is given
_AGAIN = 2**48  # between the numbers of a galaxy that one epoch draws again; copies are below it


class Drawing:
    """The augmented pictures of a run, and the threads that make them.

    Args:
        settings: the augmentation.
        seed: of the run.
        galaxies: int (n,), the number of the galaxy in each row of the data set; its draws depend
            on it.
        threads: that make pictures; SciPy lets go of Python's lock meanwhile.
        pool: the rows that pictures are mixed with; by default all.
    """

    def __init__(
        self,
        settings: Augment,
        seed: int,
        galaxies: np.ndarray,
        threads: int = 1,
        pool: np.ndarray | None = None,
    ) -> None:
        self.settings, self.seed, self.galaxies = settings, seed, galaxies
        self.threads = max(1, threads)
        self.pool = np.arange(len(galaxies)) if pool is None else pool

    def pictures(
        self, images: Images, rows: np.ndarray, epoch: int, times: np.ndarray | int = 0
    ) -> np.ndarray:
        """The pictures of these rows in an epoch: uint8 (k, height, width, channels).

        times: int (k,), how often the epoch has drawn each before; each time is drawn anew.
        """
        found = self._augmented(images, rows, epoch, times)
        if not self.settings.mixed:
            return found
        mixes = self._mixes(rows, epoch, found.shape[1:3])
        return mixes.pictures(found, self._augmented(images, mixes.partners, epoch))

    def targets(
        self, targets: np.ndarray, outputs: int, epoch: int, size: tuple[int, ...]
    ) -> np.ndarray:
        """The targets of every row in an epoch: as they are, or mixed, float32 (n, outputs).

        Args:
            targets: class numbers (n,), or votes (n, outputs). size: (height, width) of the
                pictures as drawn.
        """
        if not self.settings.mixed:
            return targets
        mixes = self._mixes(np.arange(len(targets)), epoch, size)
        if targets.ndim == 2:
            rows = targets
        elif outputs == 1:
            rows = targets[:, None]
        else:
            rows = targets[:, None] == np.arange(outputs)
        shares = mixes.shares[:, None]
        return (shares * rows + (1 - shares) * rows[mixes.partners]).astype(np.float32)

    def _augmented(
        self, images: Images, rows: np.ndarray, epoch: int, times: np.ndarray | int = 0
    ) -> np.ndarray:
        numbers = self.galaxies[rows] + times * _AGAIN
        return augmented(images[rows], numbers, self.settings, self.seed, epoch)

    def _mixes(self, rows: np.ndarray, epoch: int, size: tuple[int, ...]) -> Mixes:
        numbers = self.galaxies[rows]
        return mixes(self.settings, self.seed, epoch, numbers, self.pool, size)

    def submit(
        self, images: Images, rows: np.ndarray, epoch: int, times: np.ndarray
    ) -> list[Future[np.ndarray]]:
        """`pictures`, in the threads: the parts of them in order."""
        parts = min(self.threads, max(1, len(rows) // _LEAST))
        split = (np.array_split(one, parts) for one in (rows, times))
        return [
            self._pool.submit(self.pictures, images, part, epoch, again)
            for part, again in zip(*split, strict=True)
        ]

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.threads, thread_name_prefix="draw")


class DrawnImages:
    """The pictures `base` as drawn in one epoch, as if they were one array of uint8 (n, h, w, c).

    Indexed by an array of rows. Where the rows are one of the `batches`, that very array, the next
    few batches are begun in threads; so whoever takes them in order seldom waits.

    waited_seconds: what those who asked for pictures waited for them, all together.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(
        self,
        base: Images,
        drawing: Drawing,
        epoch: int,
        batches: Sequence[np.ndarray] = (),
        passes: Sequence[int] = (),
        times: Sequence[np.ndarray] = (),
    ) -> None:
        """base: uint8 (n, height, width, channels), left as it is. passes: by batch, what its
        pictures are drawn for in place of the epoch. times: by batch, how often each row was in
        its pass before.

        Raises:
            ValueError: pictures that cannot be augmented so (`check_fits`).
        """
        count, height, width, channels = base.shape
        settings = drawing.settings
        check_fits(settings, height, width, channels)
        size = (settings.crop, settings.crop) if settings.crop else (height, width)
        self.shape = (count, *size, channels)
        self.base, self.drawing, self.epoch = base, drawing, epoch
        self.waited_seconds = 0.0
        self._batches, self._passes = batches, passes or [epoch] * len(batches)
        self._times = times or [np.zeros_like(rows) for rows in batches]
        self._places = {id(rows): place for place, rows in enumerate(batches)}
        self._begun: dict[int, list[Future[np.ndarray]]] = {}

    @property
    def nbytes(self) -> int:
        """Bytes in memory: those of the base."""
        return self.base.nbytes

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """The pictures of these rows as drawn, in their order: a new contiguous array."""
        start = time.perf_counter()
        place = self._places.get(id(rows))
        if place is None:
            made = self.drawing.pictures(self.base, np.asarray(rows), self.epoch)
        else:
            wanted = range(place, min(place + 1 + AHEAD, len(self._batches)))
            self._begun = {step: self._parts(step) for step in wanted}
            parts = [part.result() for part in self._begun.pop(place)]
            made = parts[0] if len(parts) == 1 else np.concatenate(parts)
        self.waited_seconds += time.perf_counter() - start
        return made

    def _parts(self, step: int) -> list[Future[np.ndarray]]:
        begun, asked = self._begun.get(step), (self._batches[step], self._passes[step])
        return begun or self.drawing.submit(self.base, *asked, self._times[step])
