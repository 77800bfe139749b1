"""Chunks on their way to the device, beside its computing; of PyTorch, and of Keras on PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from frameworks.feed import Chunk

SLOTS = 2  # sets of pinned memory: one is filled while the other is copied


def placed(given: Sequence[Tensor], device: torch.device, held: Any) -> tuple[Any, ...]:
    """The tensors on the device: on a GPU in the memory of those `held` there, if these are as
    large, so that a recorded step goes on."""
    alike = held and [one.shape for one in held] == [one.shape for one in given]
    if device.type != "cuda" or not alike:
        return tuple(one.to(device) for one in given)
    return tuple(mine.copy_(one) for mine, one in zip(held, given, strict=True))


class CopyStream:
    """A GPU's stream for copies: the one it computes on does not wait for them."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)

    def entered(self) -> AbstractContextManager[Any]:
        """A context whose work is on this stream."""
        return torch.cuda.stream(self._stream)

    def pinned(self, like: Tensor) -> Tensor:
        """Host memory that the device copies from by itself."""
        return torch.empty_like(like, pin_memory=True)

    def copy(self, source: Tensor) -> Tensor:
        """Pinned memory's copy on the device, once the stream has come so far."""
        return source.to(self._device, non_blocking=True)

    def mark(self) -> torch.cuda.Event:
        """The end of what was given to the stream so far."""
        event = torch.cuda.Event(blocking=True)
        event.record(self._stream)
        return event

    def hand_over(self, tensors: Iterable[Tensor], event: torch.cuda.Event) -> None:
        """Have the computing wait for the event on the device, and the memory of the tensors kept
        from later copies until it has used them."""
        computing = torch.cuda.current_stream()
        computing.wait_event(event)
        for tensor in tensors:
            tensor.record_stream(computing)


@dataclass(frozen=True)
class Sent:
    """A chunk with its tensors on the device, there once it is `received`.

    what: rows, or (images, labels).
    """

    steps: int
    batch_size: int
    what: Any
    masks: Mapping[str, Any]
    copied: Any = None


class Sender:
    """Sends chunks to the device.

    Args:
        stream: of the copies; None where there is none beside the computing (CPUs).
        label_type: of labels that are class numbers; None keeps theirs.
        on_host: masks by name that stay NumPy arrays.
    """

    def __init__(
        self,
        device: torch.device,
        stream: Any = None,
        *,
        label_type: Any = None,
        on_host: Container[str] = (),
    ) -> None:
        self._device, self._stream = device, stream
        self._label_type, self._on_host = label_type, on_host
        self._pinned: dict[Any, list[Tensor]] = {}  # memory of each slot by use, shape and type
        self._copied: list[Any] = [None] * SLOTS  # ends of the copies from each slot
        self._turn = 0

    def send(self, chunk: Chunk, draw: Callable[[], Mapping[str, Tensor]]) -> Sent:
        """The chunk on its way, with the masks that are drawn on the device."""
        if self._stream is None:
            return Sent(chunk.steps, chunk.batch_size, *self._parts(chunk, draw))
        slot, self._turn = self._turn, (self._turn + 1) % SLOTS
        if self._copied[slot] is not None:
            self._copied[slot].synchronize()  # else its memory is filled while it is copied
        with self._stream.entered():
            what, masks = self._parts(chunk, draw, slot)
            self._copied[slot] = copied = self._stream.mark()
        return Sent(chunk.steps, chunk.batch_size, what, masks, copied)

    def received(self, sent: Sent) -> Sent:
        """The chunk for the work that the caller gives to the device from here on."""
        if self._stream is not None:
            what = sent.what if isinstance(sent.what, tuple) else (sent.what,)
            tensors = (one for one in (*what, *sent.masks.values()) if isinstance(one, Tensor))
            self._stream.hand_over(tensors, sent.copied)
        return sent

    def labels(self, labels: np.ndarray) -> np.ndarray:
        """Labels as the device holds them."""
        if self._label_type is None:
            return labels
        return np.asarray(labels, np.float32 if labels.dtype.kind == "f" else self._label_type)

    def _parts(
        self, chunk: Chunk, draw: Callable[[], Mapping[str, Tensor]], slot: int = 0
    ) -> tuple[Any, dict[str, Any]]:
        masks = {
            name: mask if name in self._on_host else self._copy(name, mask, slot)
            for name, mask in chunk.masks.items()
        }
        masks |= draw()
        if chunk.rows is not None:
            return self._copy("rows", chunk.rows, slot), masks
        assert chunk.images is not None
        assert chunk.labels is not None
        images = self._copy("images", chunk.images, slot)
        return (images, self._copy("labels", self.labels(chunk.labels), slot)), masks

    def _copy(self, use: str, array: np.ndarray, slot: int) -> Tensor:
        tensor = torch.from_numpy(array)
        if self._stream is None:
            return tensor.to(self._device)
        key = use, tensor.shape, tensor.dtype
        if key not in self._pinned:  # for all slots at once: making it takes long
            self._pinned[key] = [self._stream.pinned(tensor) for _ in range(SLOTS)]
        return self._stream.copy(self._pinned[key][slot].copy_(tensor))


def sender(device: torch.device, **options: Any) -> Sender:
    """A sender to the device, with a stream of its own on a GPU."""
    stream = CopyStream(device) if device.type == "cuda" else None
    return Sender(device, stream, **options)
