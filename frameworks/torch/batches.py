"""Batches of an epoch as tensors, over the same memory."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from datasets.batches import Batch


class Batches(Dataset):
    """The batches of an epoch as tensors; each item is a whole batch, gathered by the index."""

    def __init__(self, epoch: Sequence[Batch]) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.epoch)

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        return tensors(self.epoch[step])


def tensors(batch: Batch) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Images, labels and masks of a batch, over its own memory."""
    masks = {name: torch.from_numpy(mask) for name, mask in batch.masks.items()}
    return torch.from_numpy(batch.images), torch.from_numpy(batch.labels), masks
