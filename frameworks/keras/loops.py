"""The training loops of Keras on TensorFlow and on JAX, and which loop an engine has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import numpy as np

from datasets.batches import MaskSpec
from frameworks import feed
from frameworks.keras.loop import DeviceChunk, Loop
from frameworks.keras.model import IMAGES, GalaxyNet
from frameworks.spec.layers import Conv, MaxPool, pair
from frameworks.spec.shapes import zeros_around


class TensorFlowLoop(Loop):
    """Steps in a loop inside one graph; XLA on a GPU only: on CPUs it is slower than oneDNN."""

    def __init__(self, *parts: Any, **options: Any) -> None:
        import tensorflow as tf

        super().__init__(*parts, **options)
        self._jit = self.runtime.device == "cuda" and not self.runtime.deterministic
        self._jit &= all(layer.supports_jit for layer in self.model.augment)
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

        self._at_rate(masks)
        model = self.model.trainer
        with tf.GradientTape() as tape:
            logits = model({IMAGES: images, **masks}, training=True)
            loss = self.loss(labels, logits) + sum(model.losses)
            scaled = self.optimizer.scale_loss(loss)
        weights = model.trainable_variables
        gradients = tape.gradient(scaled, [variable.value for variable in weights])
        self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        return loss, self.loss.right(labels, logits)

    def _at_rate(self, masks: dict[str, Any]) -> None:
        """Set the rate of the step, where it has its own."""
        if feed.RATE in masks:
            self.set_rate(keras.ops.cast(masks.pop(feed.RATE), keras.config.floatx()))


class JaxLoop(Loop):
    """Steps in a loop inside one compiled function, state donated; on CPUs our convolutions."""

    def __init__(self, *parts: Any, **options: Any) -> None:
        import jax

        super().__init__(*parts, **options)
        self.device = jax.devices(self.runtime.device)[0]
        self.place: Any = self.device
        self.draws_masks = self.device.platform != "cpu"
        self.fast_layers &= self.device.platform == "cpu"
        options = _use_fast_layers(self.model) if self.fast_layers else {}
        self._counted = self.device.platform != "cpu"  # as in flax_tuned
        self._steps = jax.jit(self._many, donate_argnums=0, compiler_options=options)
        self._state: Any = None

    def send(self, array: np.ndarray) -> Any:
        import jax

        return jax.device_put(array, self.place)

    def mask_drawer(self, spec: MaskSpec) -> Any:
        from frameworks.jax.philox import MaskDrawer

        return MaskDrawer(spec, self.device)

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
            loss = self.loss(labels, logits) + sum(losses)
            with self._holding(slots):
                scaled = self.optimizer.scale_loss(loss)
            return scaled, (loss, logits, rest_after)

        (_, (loss, logits, rest)), gradients = jax.value_and_grad(compute, has_aux=True)(trainable)
        trainable, slots = self.optimizer.stateless_apply(slots, gradients, trainable)
        right = self.loss.right(labels, logits)
        after = [list(trainable), list(rest), list(slots)]
        return jax.tree.map(lambda new, old: new.astype(old.dtype), after, state), loss, right

    def _at_rate(self, slots: Any, rate: Any) -> Any:
        """The optimizer's variables once the rate is set."""
        with self._holding(slots) as scope:
            self.set_rate(rate)
        return [scope.get_current_value(one) for one in self.optimizer.variables]

    def _holding(self, slots: Any) -> Any:
        """Within it the optimizer's variables have these values."""
        return keras.StatelessScope(list(zip(self.optimizer.variables, slots, strict=True)))


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


def _torch_loop() -> type[Loop]:
    from frameworks.keras.loop_torch import TorchLoop  # other engines need no PyTorch

    return TorchLoop


def of_engine() -> type[Loop]:
    """The loop of the engine that Keras runs on in this process."""
    kinds: dict[str, Callable[[], type[Loop]]] = {
        "tensorflow": lambda: TensorFlowLoop,
        "torch": _torch_loop,
        "jax": lambda: JaxLoop,
    }
    return kinds[keras.backend.backend()]()
