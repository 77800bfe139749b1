"""Input of a run: the batches of every epoch, and the images for trials."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.config.runconfig import RunConfig
from benchmarks.data.staging import StagedData
from benchmarks.system import machine
from datasets.batches import Epoch, Images, MaskSpec, Plan, few_of, laid_out, order_sha256
from datasets.drawn.images import Drawing, DrawnImages
from frameworks.spec import sampling
from frameworks.spec import weights as canonical
from frameworks.spec.losses import Loss
from frameworks.spec.network import Network

SLICE_BYTES = 64 << 20  # of augmented pictures that are held at once to be looked at


@dataclass
class Feed:
    """The epochs of a run: batch order, pictures as drawn, and masks where the harness draws them.

    drawing: what the recipe draws for each picture; None where it draws nothing. by_epoch: each
    epoch's pictures are made whole (`laid_out`), for the backend to stage: feed staged of a view.
    """

    config: RunConfig
    network: Network
    data: StagedData

    def __post_init__(self) -> None:
        matched = self.config.parity == "matched"
        self.masks = (
            MaskSpec(self.network.dropout_shapes, self.network.dropout_rates, self.config.seed)
            if matched and self.network.dropout_shapes
            else None
        )
        augment = self.config.recipe.drawn_by("harness")
        self.drawing = None
        if augment is not None:
            galaxies = self.data.index(np.arange(len(self.data.labels)))
            pool = self.data.split.train
            self.drawing = Drawing(augment, self.config.seed, galaxies, self._threads(), pool)
        is_view = self.drawing is not None or not isinstance(self.data.images, np.ndarray)
        self.by_epoch = is_view and self.config.feed == "staged"
        self._begun: dict[int, Future[Epoch]] = {}

    def plan(self, number: int) -> Plan:
        """The batches of an epoch (from 1)."""
        return self._planned(number, self.config.recipe.steps_per_epoch)

    def epoch(self, number: int) -> Epoch:
        """The batches of an epoch (from 1)."""
        return self._epoch(number, self.plan(number))

    def laid_out(self, number: int) -> Epoch:
        """The batches of an epoch with its pictures made; those of the next are begun, in a thread,
        while this one is trained on."""
        made = self._begin(number)
        self._begun = {number: made}  # the first is asked for twice: to compile with, and to train
        epoch = replace(made.result(), served=[])  # compiling may have asked for batches
        if number < self.config.recipe.epochs:
            self._begun = {number + 1: self._begin(number + 1)}
        return epoch

    def example(self) -> Epoch:
        """An epoch that has batches of every size, to compile with: where epochs are counted in
        steps the first pass, with the runs of the epochs."""
        if not self.by_epoch:
            return self._example
        if self.config.recipe.steps_per_epoch is not None:
            return laid_out(self._example, self._places)
        self._begun = {1: self._begin(1)}
        return self._begun[1].result()

    def few(self, accumulation: int) -> Epoch:
        """Few batches of the example (`few_of`); of pictures made whole, these alone are made."""
        few = few_of(self._example, accumulation)
        places = max(self._places, sum(map(len, few.indices)))
        return laid_out(few, places) if self.by_epoch else few

    def _begin(self, number: int) -> Future[Epoch]:
        begun = self._begun.get(number)
        return begun or self._thread.submit(laid_out, self.epoch(number), self._places)

    @property
    def _example(self) -> Epoch:
        return self._epoch(1, replace(self._planned(1, None), runs=self.plan(1).runs))

    @cached_property
    def _places(self) -> int:
        """Pictures that there is room for in every epoch, and in the example."""
        most = max(len(one.rows) for one in (self.plan(1), self._planned(1, None)))
        return most * self.config.recipe.batch_size

    @cached_property
    def _thread(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1, thread_name_prefix="epoch")

    def _planned(self, number: int, steps: int | None) -> Plan:
        asked = self.config.recipe, self.data.split.train, self.data.labels
        return sampling.plan(*asked, self.config.seed, number, steps)

    def _epoch(self, number: int, plan: Plan) -> Epoch:
        targets = self.data.targets(self.config.recipe.loss)
        images = self._images(number, plan)
        if self.drawing is not None:
            size = images.shape[1:3]
            targets = self.drawing.targets(targets, self.network.classes, number, size)
        return Epoch(images, targets, plan.rows, number, self.masks, runs=plan.runs)

    def _images(self, number: int, plan: Plan) -> Images:
        """The pictures that an epoch is trained on."""
        if self.drawing is None:
            return self.data.images
        whole = self.data.images if self.data.whole is None else self.data.whole
        return DrawnImages(whole, self.drawing, number, plan.rows, plan.passes, plan.times)

    def _threads(self) -> int:
        """Threads that make pictures: as many as the run may use."""
        usable = len(machine.usable_cpus())
        return min(usable, self.config.threads or usable)

    def facts(self) -> dict[str, Any]:
        """Hashes of split, of the order of every epoch, and of the masks of the first step.

        Of copies also what they are and what the first batch was, byte by byte; of drawn pictures
        what the first batch of the first and of the last epoch was.
        """
        numbers = range(1, self.config.recipe.epochs + 1)
        facts: dict[str, Any] = {
            "split_hash": self.data.split.sha256(),
            "order_hash": order_sha256([self.plan(number).rows for number in numbers]),
        }
        if self.masks is not None:
            first = len(self.plan(1).rows[0])
            facts["masks_hash"] = canonical.sha256(self.masks.draw(first, 1, 0))
        copied = self.data.copies.count > 1 or self.config.data.oversample
        if copied or self.drawing is not None:
            digest = hashlib.sha256(self.data.copies.sha256().encode())
            looked_at = (1,) if self.drawing is None else sorted({1, max(numbers, default=1)})
            for number in looked_at:
                plan = self.plan(number)
                first_batch = Plan(plan.rows[:1], plan.passes[:1], plan.times[:1])
                digest.update(self._images(number, first_batch)[plan.rows[0]].tobytes())
            facts["augmentation_hash"] = digest.hexdigest()
        return facts


class Part:
    """Images and labels of the validation or test set, and the targets of a loss; may have none.

    The images are gathered once; but of a view slice by slice whenever they are looked at, where
    they are more than `SLICE_BYTES`.
    """

    def __init__(
        self, data: StagedData, rows: np.ndarray, batch_size: int, loss: Loss | None = None
    ) -> None:
        self.labels = data.labels[rows]
        self.targets = self.labels if loss is None else data.targets(loss)[rows]
        self._images, self._rows = data.images, rows
        batch_bytes = batch_size * int(np.prod(data.images.shape[1:]))
        self._length = max(1, SLICE_BYTES // batch_bytes) * batch_size
        whole = isinstance(data.images, np.ndarray) or len(rows) <= self._length
        self._gathered = data.images[rows] if whole else None

    def __len__(self) -> int:
        return len(self.labels)

    def slices(self) -> Iterator[np.ndarray]:
        """The images in order: uint8 (k, h, w, c), k a multiple of the batch size but at the end.

        Predicted one after the other, they fall into the batches that all of them at once would.
        """
        if self._gathered is not None:
            yield self._gathered
            return
        for start in range(0, len(self._rows), self._length):
            yield self._images[self._rows[start : start + self._length]]
