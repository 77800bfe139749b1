"""Keras on TensorFlow on several replicas: `MirroredStrategy`, a logical CPU for each.

Every replica is given the whole batch and takes its slice in the graph; a loop of our own trains,
as TensorFlow's guide to custom training has it (of uneven batches `fit` would report another loss).
The rest is as in `frameworks.torch.replicas`: moments of the whole batch, the loss divided once,
the L2 terms counted once, and gradients summed before they are clipped.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf.xplane_pb2 import XSpace

from datasets.batches import Batch
from frameworks.backend import EpochResult
from frameworks.feed import means
from frameworks.keras import engines
from frameworks.keras.backend import KerasBackend, inputs_of
from frameworks.keras.loops import TensorFlowLoop
from frameworks.keras.model import IMAGES
from frameworks.keras.tuned import TunedKerasBackend
from frameworks.replicas import share_under_way
from frameworks.spec.losses import answers, takes_root
from results.writer import scratch_directory

_SUM = ":CollectiveReduceV2"  # ends the name of a replica's sum, with its wait for the others


def _rank() -> int:
    """Number of the replica that is traced."""
    return int(tf.get_static_value(tf.distribute.get_replica_context().replica_id_in_sync_group))


def _summed(tensors: Any) -> Any:
    """Sums over the replicas, through which gradients go; outside of a step of all, as they are."""
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tensors)


@cache
def _strategy(replicas: int) -> tf.distribute.MirroredStrategy:
    """One for a process: those of two would take each other's sums for their own."""
    return tf.distribute.MirroredStrategy([f"CPU:{rank}" for rank in range(replicas)])


class _Moments:
    """The moments of a batch norm's inputs: in training those of all replicas' images together."""

    def __init__(self, layer: keras.layers.BatchNormalization) -> None:
        self.axes = sorted(layer._reduction_axes, reverse=True)

    def __call__(self, inputs: Any, mask: Any) -> tuple[Any, Any]:
        channels = inputs.shape[-1]
        count = tf.cast(tf.size(inputs) // channels, inputs.dtype)[None]
        sums = _summed(tf.concat([self._sum(inputs), count], 0))
        total = tf.stop_gradient(sums[-1])
        mean = sums[:-1] / total
        squares = tf.square(inputs - tf.stop_gradient(mean))
        return mean, _summed(self._sum(squares)) / total

    def _sum(self, inputs: Any) -> Any:
        for axis in self.axes:  # one by one: see `StagedBatchNormalization`
            inputs = tf.reduce_sum(inputs, axis)
        return inputs


class _ReplicatedLoop(TensorFlowLoop):
    """Steps of one replica's loop, each computed by all replicas on their slices."""

    def _one(self, images: Any, labels: Any, masks: dict[str, Any]) -> tuple[Any, Any]:
        strategy = self.optimizer._distribution_strategy
        self._at_rate(masks)
        found = strategy.run(self._slice, args=(images, labels, masks))
        return tuple(strategy.reduce("SUM", one, axis=None) for one in found)

    def _slice(self, images: Any, labels: Any, masks: dict[str, Any]) -> tuple[Any, Any]:
        """A replica's step: its part of the loss, and of the right answers."""
        count = self.runtime.replicas
        mine = np.array_split(np.arange(images.shape[0]), count)[_rank()]
        part = slice(mine[0], mine[-1] + 1) if len(mine) else slice(0, 0)
        images, own, masks = tf.nest.map_structure(lambda one: one[part], (images, labels, masks))
        model = self.model.trainer
        with tf.GradientTape() as tape:
            logits = model({IMAGES: images, **masks}, training=True)
            loss = self._share_of_mean(own, logits, labels)
            if takes_root(self.loss.spec):
                loss = tf.sqrt(_summed(loss)) / count
            loss += sum(model.losses) / count
        weights = model.trainable_variables
        gradients = tape.gradient(loss, [variable.value for variable in weights])
        self.optimizer.apply(_summed(gradients), weights)
        return loss, self.loss.right(own, logits)

    def _share_of_mean(self, own: Any, logits: Any, labels: Any) -> Any:
        """The mean loss of the batch, as far as it is of a slice's labels. Keras' own mean would
        be divided by the replicas, in float32."""
        losses, weights = self.loss.loss.call(own, logits), self.loss.weights
        if weights is None:
            return tf.reduce_sum(losses) / labels.shape[0]
        by_weights = self.loss.mean == "weights"
        total = tf.reduce_sum(tf.gather(weights, labels)) if by_weights else labels.shape[0]
        return tf.reduce_sum(losses * tf.gather(weights, own)) / total


class _Replicated(KerasBackend):
    accumulates = False  # Keras steps in a branch, where TensorFlow's replicas cannot meet

    def build(self, *, draw: bool) -> None:
        engines.configure(self.runtime)
        with _strategy(self.runtime.replicas).scope():
            super().build(draw=draw)
        # ours are summed already, before they are clipped
        object.__setattr__(self.optimizer, "_all_reduce_sum_gradients", list)
        self.use_global_norms()
        for layer in self.model.layers.values():
            if (generator := getattr(layer, "seed_generator", None)) is not None:
                _apart(generator)
        self._forward = tf.function(lambda images: self.model.predictor(images, training=False))

    def use_global_norms(self) -> None:
        """Have every batch norm take the moments of the whole batch."""
        for layer in self.model.trainer.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer._moments = _Moments(layer)

    def predict(self, images: np.ndarray) -> np.ndarray:
        size = self.recipe.batch_size
        padded = np.concatenate([images, np.zeros((-len(images) % size, *images.shape[1:]), "u1")])
        batches = padded.reshape(-1, size, *images.shape[1:])
        return np.concatenate([self._forward(one).numpy() for one in batches])[: len(images)]

    def communication_share(self, epoch: Sequence[Batch]) -> float | None:
        with scratch_directory() as directory:
            with tf.profiler.experimental.Profile(str(directory)):
                start = time.perf_counter()
                self.train_epoch(epoch)
                seconds = time.perf_counter() - start
            return share_under_way(_spans(directory), seconds)

    def settings(self) -> dict[str, str]:
        found = f"{self.runtime.replicas} logical CPUs of one process, MirroredStrategy, own loop"
        return super().settings() | {
            "replicas": found,
            "batch_norm": "over the whole batch, own sums",
        }


class ReplicatedKerasBackend(_Replicated):
    """Keras on TensorFlow, a step of all replicas in one graph."""

    def build(self, *, draw: bool) -> None:
        super().build(draw=draw)
        parts = (self.model, self.optimizer, self.loss, self.runtime)
        self._step = tf.function(_ReplicatedLoop(*parts, fast_layers=False)._one)

    def train_scheduled(self, epoch: Sequence[Batch], rates: np.ndarray) -> EpochResult:
        return self._fit(epoch, rates)

    def _fit(self, epoch: Sequence[Batch], rates: Any = ()) -> EpochResult:
        found, counts = [], []
        for step in range(len(epoch)):
            if len(rates):
                self.set_learning_rate(float(rates[step]))
            inputs = inputs_of(batch := epoch[step])
            labels = tf.convert_to_tensor(batch.labels)
            found.append(self._step(inputs.pop(IMAGES), labels, inputs))
            counts.append((1, len(batch)))
        read = [(np.reshape(loss, 1), np.reshape(right, 1)) for loss, right in found]
        return means(read, counts, answers(self.recipe.trained_loss, self.network.classes))


class ReplicatedTunedKerasBackend(_Replicated, TunedKerasBackend):
    """Many steps of all replicas in one graph, over staged data."""

    loop_class = _ReplicatedLoop


def _spans(directory: Path) -> Iterator[tuple[float, float]]:
    for path in directory.rglob("*.xplane.pb"):
        space = XSpace()
        space.ParseFromString(path.read_bytes())
        for plane in space.planes:
            sums = {at for at, one in plane.event_metadata.items() if one.name.endswith(_SUM)}
            for line in plane.lines:
                for event in line.events:
                    if event.metadata_id in sums:
                        start = line.timestamp_ns / 1e9 + event.offset_ps / 1e12
                        yield start, start + event.duration_ps / 1e12


def _apart(generator: keras.random.SeedGenerator) -> None:
    """Have each replica draw dropout of its own, and all count what was drawn."""
    generator.state.value._aggregation = tf.VariableAggregation.ONLY_FIRST_REPLICA
    following = generator.next

    def drawn(ordered: bool = True) -> Any:
        return following(ordered) + tf.cast([_rank() << 16, 0], generator.state.dtype)

    generator.next = drawn
