"""The training loop of each Keras engine: many steps over staged data, nothing read in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import keras
import numpy as np
import psutil

from frameworks import feed
from frameworks.backend import Runtime
from frameworks.keras.model import IMAGES, GalaxyNet
from frameworks.spec.layers import Conv, MaxPool, pair
from frameworks.spec.shapes import zeros_around


@dataclass(frozen=True)
class DeviceChunk:
    """A `feed.Chunk` whose arrays are the engine's; what: rows, or (images, labels)."""

    steps: int
    batch_size: int
    what: Any
    masks: Mapping[str, Any]


class _Loop:
    """Base of the loops. A loop keeps the model's variables between `training` and its end.

    set_rate: changes the learning rate from the next step on, in a compiled step too.
    """

    set_rate: Callable[[Any], None]

    def __init__(
        self, model: GalaxyNet, optimizer: Any, loss: Any, runtime: Runtime, *, fast_layers: bool
    ) -> None:
        self.model, self.optimizer, self.loss, self.runtime = model, optimizer, loss, runtime
        self.fast_layers = fast_layers  # where there are any
        self.data: tuple[Any, Any] | None = None

    def send(self, array: np.ndarray) -> Any:
        """An array on the device."""
        raise NotImplementedError

    def read(self, value: Any) -> np.ndarray:
        """An array back on the host; waits for it."""
        return np.asarray(keras.ops.convert_to_numpy(value))

    def stage(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Put the data set on the device."""
        self.data = self.send(images), self.send(labels)

    def to_device(self, chunk: feed.Chunk) -> DeviceChunk:
        """A chunk with its arrays on the device."""
        masks = {name: self.send(mask) for name, mask in chunk.masks.items()}
        what: Any
        if chunk.rows is not None:
            what = self.send(chunk.rows)
        else:
            assert chunk.images is not None
            assert chunk.labels is not None
            what = self.send(chunk.images), self.send(chunk.labels)
        return DeviceChunk(chunk.steps, chunk.batch_size, what, masks)

    def free_bytes(self) -> int:
        """Free memory of the device."""
        return psutil.virtual_memory().available

    def programs(self, chunk: DeviceChunk) -> list[DeviceChunk]:
        """Chunks that compile every program of the shape of a chunk of one step."""
        return [chunk]

    @contextmanager
    def training(self) -> Iterator[None]:
        """Around the chunks of an epoch."""
        yield

    def run(self, chunk: DeviceChunk) -> tuple[Any, Any]:
        """Train on a chunk: losses and right answers, (places,), on the device."""
        raise NotImplementedError

    def settings(self) -> dict[str, str]:
        """Choices that the loop made."""
        return {}


class TensorFlowLoop(_Loop):
    """Steps in a loop inside one graph; XLA on a GPU only: on CPUs it is slower than oneDNN."""

    def __init__(self, *parts: Any, **options: Any) -> None:
        import tensorflow as tf

        super().__init__(*parts, **options)
        self._jit = self.runtime.device == "cuda" and not self.runtime.deterministic
        self._steps = tf.function(self._many, jit_compile=self._jit)

    def send(self, array: np.ndarray) -> Any:
        import tensorflow as tf

        return tf.constant(array)

    def run(self, chunk: DeviceChunk) -> tuple[Any, Any]:
        import tensorflow as tf

        return self._steps(tf.constant(chunk.steps), self.data, chunk.what, dict(chunk.masks))

    def free_bytes(self) -> int:
        if self.runtime.device == "cuda":
            return feed.gpu_free_bytes()
        return super().free_bytes()

    def settings(self) -> dict[str, str]:
        compiled = "XLA" if self._jit else "graph"
        return {"compiled": f"{compiled}, up to {feed.CHUNK_STEPS} steps an execution"}

    def _many(self, steps: Any, data: Any, what: Any, masks: Any) -> tuple[Any, Any]:
        import tensorflow as tf

        places = (what[0] if isinstance(what, tuple) else what).shape[0]
        dtype = keras.config.floatx()

        def body(step: Any, losses: Any, correct: Any) -> tuple[Any, Any, Any]:
            if isinstance(what, tuple):
                images, labels = what[0][step], what[1][step]
            else:
                images, labels = (tf.gather(array, what[step]) for array in data)
            loss, right = self._one(images, labels, {n: mask[step] for n, mask in masks.items()})
            at = [[step]]
            return (
                step + 1,
                tf.tensor_scatter_nd_update(losses, at, [loss]),
                tf.tensor_scatter_nd_update(correct, at, [right]),
            )

        start = (tf.constant(0), tf.zeros(places, dtype), tf.zeros(places, tf.int32))
        _, losses, correct = tf.while_loop(
            lambda step, *_: step < steps, body, start, parallel_iterations=1
        )
        return losses, correct

    def _one(self, images: Any, labels: Any, masks: dict[str, Any]) -> tuple[Any, Any]:
        import tensorflow as tf

        if feed.RATE in masks:
            self.set_rate(tf.cast(masks.pop(feed.RATE), keras.config.floatx()))
        model = self.model.trainer
        with tf.GradientTape() as tape:
            logits = model({IMAGES: images, **masks}, training=True)
            loss = self.loss(labels, logits) + sum(model.losses)
        weights = model.trainable_variables
        gradients = tape.gradient(loss, [variable.value for variable in weights])
        self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        return loss, self.loss.right(labels, logits)


class TorchLoop(_Loop):
    """Eager steps over tensors on the device; Keras hands cuDNN and oneDNN channels-last pictures.

    Nothing is compiled: Keras' variables and optimizer break the graph at every step.
    """

    def send(self, array: np.ndarray) -> Any:
        import torch

        device = self.runtime.device
        tensor = torch.from_numpy(np.array(array)) if device == "cpu" else torch.tensor(array)
        return tensor.to(device, non_blocking=True)

    def free_bytes(self) -> int:
        import torch

        if self.runtime.device == "cuda":
            return torch.cuda.mem_get_info()[0]
        return super().free_bytes()

    def run(self, chunk: DeviceChunk) -> tuple[Any, Any]:
        import torch

        results = [self._one(*self._part(chunk, step)) for step in range(chunk.steps)]
        losses, right = zip(*results, strict=True)
        return torch.stack(losses), torch.stack(right)

    @contextmanager
    def training(self) -> Iterator[None]:
        self.model.trainer.train()
        yield
        self.model.trainer.eval()

    def settings(self) -> dict[str, str]:
        return {"compiled": "eager"}

    def _part(self, chunk: DeviceChunk, step: int) -> tuple[Any, Any, dict[str, Any]]:
        masks = {name: mask[step] for name, mask in chunk.masks.items()}
        if isinstance(chunk.what, tuple):
            return chunk.what[0][step], chunk.what[1][step], masks
        assert self.data is not None
        images, labels = (array.index_select(0, chunk.what[step]) for array in self.data)
        return images, labels, masks

    def _one(self, images: Any, labels: Any, masks: dict[str, Any]) -> tuple[Any, Any]:
        import torch

        if feed.RATE in masks:
            self.set_rate(masks.pop(feed.RATE))
        model = self.model.trainer
        logits = model({IMAGES: images, **masks}, training=True)
        loss = self.loss(labels, logits) + sum(model.losses)
        weights = model.trainable_variables
        gradients = torch.autograd.grad(loss, [variable.value for variable in weights])
        with torch.no_grad():
            self.optimizer.apply(list(gradients), weights)
            return loss.detach(), self.loss.right(labels, logits)


class JaxLoop(_Loop):
    """Steps in a loop inside one compiled function, state donated; on CPUs our convolutions."""

    def __init__(self, *parts: Any, **options: Any) -> None:
        import jax

        super().__init__(*parts, **options)
        self.device = jax.devices(self.runtime.device)[0]
        self.fast_layers &= self.device.platform == "cpu"
        options = _use_fast_layers(self.model) if self.fast_layers else {}
        self._counted = self.device.platform != "cpu"  # as in flax_tuned
        self._steps = jax.jit(self._many, donate_argnums=0, compiler_options=options)
        self._state: Any = None

    def send(self, array: np.ndarray) -> Any:
        import jax

        return jax.device_put(array, self.device)

    def stage(self, images: np.ndarray, labels: np.ndarray) -> None:
        import jax

        super().stage(images, labels)
        jax.block_until_ready(self.data)  # else the copy ends in a later phase

    def free_bytes(self) -> int:
        statistics = self.device.memory_stats() or {}
        if "bytes_limit" in statistics:
            return statistics["bytes_limit"] - statistics["bytes_in_use"]
        return super().free_bytes()

    @contextmanager
    def training(self) -> Iterator[None]:
        """Variables out of Keras' hands, and back again.

        Keras may hold the same buffer twice, and what is donated must be there once: the second is
        copied on the way out. An epoch on a GPU may take less time than copying all.
        """
        variables = self._variables()
        places: set[int] = set()
        self._state = [[self._own(one.value, places) for one in group] for group in variables]
        yield
        for group, values in zip(variables, self._state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)
        self._state = None

    def programs(self, chunk: DeviceChunk) -> list[DeviceChunk]:
        """The chunk of one step, and one of all places if the compiler knows their number."""
        import jax

        places = len(jax.tree.leaves(chunk.what)[0])
        return [chunk, replace(chunk, steps=places)] if self._counted and places > 1 else [chunk]

    def run(self, chunk: DeviceChunk) -> tuple[Any, Any]:
        import jax

        places = len(jax.tree.leaves(chunk.what)[0])
        steps = None if self._counted and chunk.steps == places else chunk.steps
        self._state, found = self._steps(
            self._state, self.data, steps, chunk.what, dict(chunk.masks)
        )
        return found

    def settings(self) -> dict[str, str]:
        from frameworks.jax import convolution

        places = {"compiled": f"jit, up to {feed.CHUNK_STEPS} steps a dispatch, state donated"}
        return places | convolution.settings(self.model.network, on_cpu=self.fast_layers)

    def _own(self, value: Any, places: set[int]) -> Any:
        """The value on the device by name, in memory that is none of `places`."""
        import jax

        if not value.committed:
            value = jax.device_put(value, self.device)
        if value.unsafe_buffer_pointer() in places:
            value = jax.numpy.array(value, copy=True)
        places.add(value.unsafe_buffer_pointer())
        return value

    def _variables(self) -> tuple[list[Any], list[Any], list[Any]]:
        model = self.model.trainer
        return model.trainable_variables, model.non_trainable_variables, self.optimizer.variables

    def _many(self, state: Any, data: Any, steps: Any, what: Any, masks: Any) -> tuple[Any, Any]:
        import jax
        import jax.numpy as jnp

        places = jax.tree.leaves(what)[0].shape[0]

        def body(step: Any, carried: Any) -> Any:
            state, losses, correct = carried
            part, keep = jax.tree.map(lambda array: array[step], (what, masks))
            images, labels = (
                part if isinstance(part, tuple) else jax.tree.map(lambda array: array[part], data)
            )
            state, loss, right = self._one(state, images, labels, keep)
            return state, losses.at[step].set(loss), correct.at[step].set(right)

        start = state, jnp.zeros(places, keras.config.floatx()), jnp.zeros(places, jnp.int32)
        end = places if steps is None else steps
        state, losses, correct = jax.lax.fori_loop(0, end, body, start)
        return state, (losses, correct)

    def _one(self, state: Any, images: Any, labels: Any, masks: Any) -> tuple[Any, Any, Any]:
        import jax

        trainable, rest, slots = state
        if feed.RATE in masks:
            slots = self._at_rate(slots, masks.pop(feed.RATE))

        def compute(trainable: Any) -> Any:
            logits, rest_after, losses = self.model.trainer.stateless_call(
                trainable, rest, {IMAGES: images, **masks}, training=True, return_losses=True
            )
            return self.loss(labels, logits) + sum(losses), (logits, rest_after)

        (loss, (logits, rest)), gradients = jax.value_and_grad(compute, has_aux=True)(trainable)
        trainable, slots = self.optimizer.stateless_apply(slots, gradients, trainable)
        right = self.loss.right(labels, logits)
        after = [list(trainable), list(rest), list(slots)]
        return jax.tree.map(lambda new, old: new.astype(old.dtype), after, state), loss, right

    def _at_rate(self, slots: Any, rate: Any) -> Any:
        """The optimizer's variables once the rate is set."""
        variables = self.optimizer.variables
        with keras.StatelessScope(list(zip(variables, slots, strict=True))) as scope:
            self.set_rate(rate)
        return [scope.get_current_value(one) for one in variables]


def _use_fast_layers(model: GalaxyNet) -> dict[str, str]:
    """Swap XLA's convolutions and pools, slow on CPUs, for ours; options to compile them with."""
    from frameworks.jax import convolution

    def convolve(images: Any, kernel: Any, *, layer: Conv) -> Any:
        zeros: Any = "VALID"
        if isinstance(layer.padding, str):  # else a layer ahead has padded the pictures
            zeros = zeros_around(layer, images.shape[1:])
        return convolution.convolve(
            images,
            kernel,
            pair(layer.stride),
            zeros,
            rhs_dilation=pair(layer.dilation),
            feature_group_count=layer.group_count,
            dimension_numbers=convolution.LAYOUT,
        )

    def pool(inputs: Any, *, size: int) -> Any:
        return convolution.max_pool(inputs, size)

    own = convolution.own_pools(model.network)
    for layer in model.network.layers:
        if isinstance(layer, Conv):
            kernel = partial(convolve, layer=layer)
            model.layers[layer.name].convolution_op = lambda inputs, weights, kernel=kernel: kernel(
                inputs, keras.ops.convert_to_tensor(weights)
            )
        elif isinstance(layer, MaxPool) and layer.name in own:
            model.layers[layer.name].call = partial(pool, size=pair(layer.size)[0])
    return convolution.compiler_options()


_LOOPS: dict[str, type[_Loop]] = {
    "tensorflow": TensorFlowLoop,
    "torch": TorchLoop,
    "jax": JaxLoop,
}


def make(
    model: GalaxyNet, optimizer: Any, loss: Any, runtime: Runtime, *, fast_layers: bool
) -> _Loop:
    """The loop of the engine that Keras runs on in this process."""
    kind = _LOOPS[keras.backend.backend()]
    return kind(model, optimizer, loss, runtime, fast_layers=fast_layers)
