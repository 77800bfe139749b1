"""Flax NNX as fast as it goes here (siblings: torch, keras; `docs/speed.md`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import psutil
from flax import nnx
from flax.nnx import Variable
from jax import Array, lax

from datasets.batches import Batch, MaskSpec, compact
from frameworks.backend import EpochResult
from frameworks.feed import RATE, Chunk, FedBackend, means
from frameworks.flax import optimizers
from frameworks.flax.backend import FlaxBackend, update, value_and_gradients
from frameworks.flax.losses import BatchLoss
from frameworks.flax.model import GalaxyNet
from frameworks.jax import convolution as jax_convolution
from frameworks.jax.philox import MaskDrawer
from frameworks.spec.layers import Conv, MaxPool, pair
from frameworks.spec.losses import answers
from results.words import count


class TunedFlaxBackend(FedBackend, FlaxBackend):
    """Many steps a dispatch over data on the device; weights and state as in its parent."""

    CHOICES: ClassVar[Mapping[str, str]] = {
        "staged": "the data set on the device, gathered there by row",
        "many_steps": "many steps a dispatch",
        "counted": "their number known to the compiler (GPU only)",
        "device_masks": "dropout masks drawn on the device (GPU only)",
        "convolution": "our convolutions and their gradients (CPU only)",
        "max_pool": "our max-pool (CPU only)",
    }

    def build(self, *, draw: bool) -> None:
        super().build(draw=draw)
        self._data: tuple[Array, Array] | None = None
        self._on_cpu = self.device.platform == "cpu"
        # a loop whose end it must ask for waits for the host at every step
        self._counted = not self._on_cpu and "counted" not in self.without
        self.draws_masks = not self._on_cpu and "device_masks" not in self.without
        options = {}
        if self._on_cpu:
            _use_fast_layers(self.model, self.without)
            if "convolution" not in self.without:
                options = jax_convolution.compiler_options()
        self._run_steps = jax.jit(
            run_steps, static_argnums=(0, 7), donate_argnums=1, compiler_options=options
        )

    def put(self, images: np.ndarray, labels: np.ndarray) -> None:
        arrays = jax.device_put((images, compact(labels)), self._place)
        self._data = jax.block_until_ready(arrays)  # else the copy ends in a later phase

    def compile(self, epoch: Sequence[Batch]) -> None:
        """One dispatch per batch size, of one step and where that is another program of all, and
        one prediction, on a copy of the state."""
        graph, state = self._split()
        for chunk in self.chunks(epoch, only_first=True):
            _, size, what, masks = self.to_device(chunk)
            places = chunk.shape[0]
            for steps in {1, places} if self._counted else {1}:
                copy = jax.tree.map(jnp.copy, state)  # its buffers are given away
                done = self._dispatch(graph, copy, (steps, size, what, masks))
                jax.block_until_ready(done)
        self.predict(epoch[0].images)

    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        graph, state = self._split()
        results, counts = [], []
        for chunk in self.fed(epoch):
            state, found = self._dispatch(graph, state, chunk)
            results.append(found)
            counts.append(chunk[:2])
        for variable, value in zip(self._parts[2], jax.tree.leaves(state), strict=True):
            variable.set_value(value)
        each = answers(self.recipe.trained_loss, self.network.classes)
        return means(jax.device_get(results), counts, each)

    def predict(self, images: np.ndarray) -> np.ndarray:
        self._commit()
        return super().predict(images)

    def settings(self) -> dict[str, str]:
        here = {"compiled": f"jit, up to {count(self._length, 'step')} a dispatch, state donated"}
        layers = jax_convolution.settings(self.network, on_cpu=self._on_cpu)
        return super().settings() | here | layers

    # ---- inside

    def _split(self) -> tuple[nnx.GraphDef, Any]:
        """Model and optimizer as what is compiled and what changes, whose buffers are given away:
        whoever keeps them takes a copy."""
        self._commit()
        graph, structure, variables = self._parts
        return graph, jax.tree.unflatten(structure, [one.get_value() for one in variables])

    def _commit(self) -> None:
        """Every variable on the device by name, as the steps give it back: to the compiler another
        kind of argument, for which it would compile once more in the second epoch."""
        for variable in self._parts[2]:
            value = variable.get_value()
            if not value.committed:
                variable.set_value(jax.device_put(value, self._place))

    @property
    def _place(self) -> Any:
        """Device or sharding of the data set, the weights and the state."""
        return self.device

    @cached_property
    def _parts(self) -> tuple[nnx.GraphDef, Any, list[nnx.Variable]]:
        """Graph to compile for training, and structure and variables of the state that changes.

        They cover model and optimizer. Walking through both takes longer than some epochs'
        arithmetic on a GPU.
        """
        whole = self.model, self.optimizer
        self.model.train()
        graph, state = nnx.split(whole)
        found = {
            tuple(path): node for path, node in nnx.iter_graph(whole) if isinstance(node, Variable)
        }
        variables = [found[tuple(path)] for path, _ in nnx.to_flat_state(state)]
        return graph, jax.tree.structure(state), variables

    def free_bytes(self) -> int:
        statistics = self.device.memory_stats() or {}
        if "bytes_limit" in statistics:
            return statistics["bytes_limit"] - statistics["bytes_in_use"]
        return psutil.virtual_memory().available

    def to_device(self, chunk: Chunk) -> tuple[int, int, Any, Any]:
        """(steps, batch size, rows or pictures and labels, masks) with the arrays on the device."""
        what = chunk.rows if chunk.rows is not None else (chunk.images, chunk.labels)
        what, masks = jax.device_put((what, chunk.masks), self.device)
        return chunk.steps, chunk.batch_size, what, masks | self.drawn(chunk)

    def mask_drawer(self, spec: MaskSpec) -> MaskDrawer:
        return MaskDrawer(spec, self.device)

    def _dispatch(self, graph: nnx.GraphDef, state: Any, chunk: tuple[int, int, Any, Any]) -> Any:
        steps, _, what, masks = chunk
        known = self._counted and steps == len(jax.tree.leaves(what)[0])
        number = None if known else steps
        data = self._data, number, what, masks
        return self._run_steps(graph, state, *data, self.batch_loss, self._set_rate)

    def _set_rate(self, optimizer: nnx.Optimizer, rate: Array) -> None:
        optimizers.set_learning_rate(optimizer, self.recipe.optimizer, rate)


def run_steps(
    graph: nnx.GraphDef,
    state: Any,
    data: tuple[Array, Array] | None,
    steps: int | None,
    what: Any,
    masks: Mapping[str, Array],
    batch_loss: BatchLoss,
    set_learning_rate: Callable[[nnx.Optimizer, Array], None],
) -> tuple[Any, tuple[Array, Array]]:
    """`steps` training steps, or of all places; the new state, and losses and right answers
    (places,).

    what: rows (places, batch) of `data`, or (images, labels) with a first axis of places.
    """
    places = jax.tree.leaves(what)[0].shape[0]

    def step(number: Array, carried: tuple) -> tuple:
        state, losses, correct = carried
        part, keep = jax.tree.map(lambda array: array[number], (what, masks))
        images, labels = (
            part if isinstance(part, tuple) else jax.tree.map(lambda array: array[part], data)
        )
        model, optimizer = nnx.merge(graph, state)
        if RATE in keep:
            set_learning_rate(optimizer, keep.pop(RATE))
        batch = images, labels, keep, batch_loss
        (loss, logits), gradients = value_and_gradients(model, optimizer, *batch)
        update(model, optimizer, gradients)
        right = batch_loss.right(logits, labels)
        state = nnx.state((model, optimizer))
        return state, losses.at[number].set(loss), correct.at[number].set(right)

    dtype = nnx.merge(graph, state)[0].param_dtype
    start = (state, jnp.zeros(places, dtype), jnp.zeros(places, jnp.int32))
    state, losses, correct = lax.fori_loop(0, places if steps is None else steps, step, start)
    return state, (losses, correct)


def _use_fast_layers(model: GalaxyNet, without: frozenset[str]) -> None:
    """Swap XLA's convolutions and pools, slow on CPUs, for ours."""
    own = jax_convolution.own_pools(model.network)
    for layer in model.network.layers:
        if isinstance(layer, Conv) and "convolution" not in without:
            model.of(layer.name).conv_general_dilated = jax_convolution.convolve
        if isinstance(layer, MaxPool) and layer.name in own and "max_pool" not in without:
            model.put(layer.name, partial(jax_convolution.max_pool, size=pair(layer.size)[0]))
