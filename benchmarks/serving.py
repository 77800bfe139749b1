"""What a run is fed: the batches of every epoch, and the images it is tried on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.plan import RunConfig
from benchmarks.staging import StagedData
from datasets.batches import Epoch, MaskSpec, epoch_order, order_sha256, split_into_batches
from frameworks import weights as canonical
from frameworks.network import Network


@dataclass
class Feed:
    """The epochs of a run: batch order, and masks where the harness draws them."""

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

    def batches(self, number: int) -> list[np.ndarray]:
        """Rows of each batch of an epoch (from 1)."""
        recipe = self.config.recipe
        order = epoch_order(self.data.split.train, self.config.seed, number)
        return split_into_batches(
            order, recipe.batch_size, keep_partial=recipe.partial_batch == "keep"
        )

    def epoch(self, number: int) -> Epoch:
        """The batches of an epoch (from 1)."""
        images, labels = self.data.images, self.data.labels
        return Epoch(images, labels, self.batches(number), number, self.masks)

    def facts(self) -> dict[str, Any]:
        """Hashes of split, of the order of every epoch, and of the masks of the first step."""
        numbers = range(1, self.config.recipe.epochs + 1)
        facts: dict[str, Any] = {
            "split_hash": self.data.split.sha256(),
            "order_hash": order_sha256([self.batches(number) for number in numbers]),
        }
        if self.masks is not None:
            first = len(self.batches(1)[0])
            facts["masks_hash"] = canonical.sha256(self.masks.draw(first, 1, 0))
        return facts


class Part:
    """Images and labels of the validation or test set, gathered once; may have none."""

    def __init__(self, data: StagedData, rows: np.ndarray) -> None:
        self.images = data.images[rows]
        self.labels = data.labels[rows]

    def __len__(self) -> int:
        return len(self.labels)
