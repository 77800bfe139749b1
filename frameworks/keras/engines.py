"""Engines of Keras, and their own tasks: settings, gradients outside `fit`, waiting, memory."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import dtypes

from frameworks.backend import Runtime
from frameworks.memory import process_peak_memory
from frameworks.spec.reading import SpecificationError
from results.words import count

POLICIES = {
    "float32": "float32",
    "tf32": "float32",
    "float16": "mixed_float16",
    "bfloat16": "mixed_bfloat16",
    "float64": "float64",
}


def configure(runtime: Runtime) -> None:
    """Process-wide settings: threads, precision, determinism, seed. Before any array is made."""
    _ENGINES[keras.backend.backend()].configure(runtime)
    keras.config.set_floatx("float64" if runtime.precision == "float64" else "float32")
    keras.config.set_dtype_policy(POLICIES[runtime.precision])
    if runtime.precision == "float64":
        # On PyTorch and JAX, Keras takes the common type of two float64 tensors to be float32:
        # dense layers, batch norm and the loss of a float64 network would not be float64.
        dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    keras.utils.set_random_seed(runtime.seed)


def _divide_cpu(replicas: int) -> None:
    """Have TensorFlow see a CPU for each replica.

    Raises:
        SpecificationError: TensorFlow computes already, with fewer.
    """
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    if len(tf.config.get_logical_device_configuration(cpu) or ()) >= replicas:
        return
    parts = [tf.config.LogicalDeviceConfiguration() for _ in range(replicas)]
    try:
        tf.config.set_logical_device_configuration(cpu, parts)
    except RuntimeError as error:
        raise SpecificationError(
            f"{count(replicas, 'replica')} need as many logical CPUs, and TensorFlow is at work "
            "with fewer; train on them in a process of its own."
        ) from error


class _Engine:
    first_fit_draws = False

    @staticmethod
    def fed(batches: keras.utils.PyDataset) -> Any:
        """Input of `fit` and `predict`, from the batches."""
        return batches

    @staticmethod
    def feed_settings() -> dict[str, str]:
        """Settings of `fed` that Keras' guides do not have a user write; recorded with a run."""
        return {}

    @staticmethod
    def call(model: keras.Model, inputs: Any, training: bool) -> Any:
        """Output of a model.

        On JAX it runs as one program: a plain call compiles each operation for each shape.
        """
        return model(inputs, training=training)

    @staticmethod
    def apply(optimizer: Any, gradients: Sequence[Any], variables: Sequence[Any]) -> None:
        """One step of the optimizer outside `fit`."""
        optimizer.apply(gradients, variables)

    @staticmethod
    def random_state_kept() -> AbstractContextManager[Any]:
        """Random state outside Keras' own variables is put back on leaving; here there is none."""
        return nullcontext()

    @staticmethod
    def get_random_state() -> dict[str, np.ndarray]:
        """Random state outside Keras' own variables."""
        return {}

    @staticmethod
    def set_random_state(state: Mapping[str, np.ndarray]) -> None:
        """Load what `get_random_state` gave; other keys are not looked at."""


class TensorFlowEngine(_Engine):
    """Keras on TensorFlow."""

    @staticmethod
    def configure(runtime: Runtime) -> None:
        import tensorflow as tf

        if runtime.device == "cuda" and not tf.config.list_physical_devices("GPU"):
            raise SpecificationError("TensorFlow sees no GPU here; use --device cpu.")
        if runtime.threads:
            tf.config.threading.set_intra_op_parallelism_threads(runtime.threads)
            tf.config.threading.set_inter_op_parallelism_threads(runtime.threads)
        if runtime.replicas > 1:
            _divide_cpu(runtime.replicas)
        tf.config.experimental.enable_tensor_float_32_execution(runtime.precision == "tf32")
        if runtime.deterministic:
            tf.config.experimental.enable_op_determinism()

    @staticmethod
    def fed(batches: keras.utils.PyDataset) -> Any:
        """The `tf.data.Dataset` that Keras makes of a PyDataset, without the tuner of tf.data.

        The tuner sleeps 10 ms, 20 ms, 40 ms, ... and an epoch's end often waits for it to wake:
        `fit` then takes 0.63, 1.27, 2.55, 5.11 s, ... where the work ended up to a half earlier.
        """
        import tensorflow as tf

        def signature(array: np.ndarray) -> tf.TensorSpec:
            return tf.TensorSpec((None, *array.shape[1:]), array.dtype)

        data = tf.data.Dataset.from_generator(
            lambda: (batches[step] for step in range(len(batches))),
            output_signature=tf.nest.map_structure(signature, batches[0]),
        )
        options = tf.data.Options()
        options.autotune.enabled = False
        counted = data.apply(tf.data.experimental.assert_cardinality(len(batches)))
        return counted.prefetch(tf.data.AUTOTUNE).with_options(options)

    @staticmethod
    def feed_settings() -> dict[str, str]:
        return {"tf_data_tuner": "off (Keras' guides leave it on)"}

    @staticmethod
    def gradients(
        model: keras.Model, inputs: Any, labels: Any, objective: Callable
    ) -> tuple[Any, Any, Any]:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            logits = model(inputs, training=True)
            loss = objective(labels, logits, model.losses)
        return loss, logits, tape.gradient(loss, [v.value for v in model.trainable_variables])

    @staticmethod
    def synchronize(variables: Sequence[keras.Variable]) -> None:
        variables[0].numpy()  # a read waits for the steps that write it

    @staticmethod
    def peak_memory() -> tuple[int, str]:
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            return tf.config.experimental.get_memory_info("GPU:0")["peak"], "device allocator"
        return process_peak_memory()

    @staticmethod
    def device_name() -> str:
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        return tf.config.experimental.get_device_details(gpus[0])["device_name"] if gpus else "cpu"


class TorchEngine(_Engine):
    """Keras on PyTorch."""

    # it builds the model's metrics by running it without data, dropout's random draws included
    first_fit_draws = True

    @staticmethod
    def random_state_kept() -> AbstractContextManager[Any]:
        """Keras' dropout draws from PyTorch's global generator when it is given no seed."""
        import torch

        return torch.random.fork_rng()

    @staticmethod
    def get_random_state() -> dict[str, np.ndarray]:
        import torch

        state = {"cpu": torch.get_rng_state().numpy()}
        if torch.cuda.is_available():
            state["cuda"] = torch.cuda.get_rng_state().numpy()
        return state

    @staticmethod
    def set_random_state(state: Mapping[str, np.ndarray]) -> None:
        import torch

        torch.set_rng_state(torch.from_numpy(state["cpu"].copy()))
        if torch.cuda.is_available():
            torch.cuda.set_rng_state(torch.from_numpy(state["cuda"].copy()))

    @staticmethod
    def configure(runtime: Runtime) -> None:
        from frameworks.torch import backend

        backend.configure(runtime)

    @staticmethod
    def gradients(
        model: keras.Model, inputs: Any, labels: Any, objective: Callable
    ) -> tuple[Any, Any, Any]:
        import torch

        logits = model(inputs, training=True)
        loss = objective(labels, logits, model.losses)
        values = [variable.value for variable in model.trainable_variables]
        return loss, logits, torch.autograd.grad(loss, values)

    @staticmethod
    def synchronize(variables: Sequence[keras.Variable]) -> None:
        import torch

        if torch.cuda.is_available():
            torch.cuda.synchronize()

    @staticmethod
    def peak_memory() -> tuple[int, str]:
        import torch

        if torch.cuda.is_available():
            return torch.cuda.max_memory_allocated(), "device allocator"
        return process_peak_memory()

    @staticmethod
    def device_name() -> str:
        import torch

        return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


class JaxEngine(_Engine):
    """Keras on JAX."""

    @staticmethod
    def configure(runtime: Runtime) -> None:
        from frameworks.jax import settings

        settings.configure(runtime)

    @staticmethod
    def gradients(
        model: keras.Model, inputs: Any, labels: Any, objective: Callable
    ) -> tuple[Any, Any, Any]:
        (loss, logits), grads = _jitted_gradients(model, objective)(*_values(model), inputs, labels)
        return loss, logits, grads

    @staticmethod
    def call(model: keras.Model, inputs: Any, training: bool) -> Any:
        return _jitted_call(model, training)(*_values(model), inputs)

    @staticmethod
    def apply(optimizer: Any, gradients: Sequence[Any], variables: Sequence[Any]) -> None:
        """Without state where the loss is scaled: Keras decides on the step in a traced function,
        which may change no variable."""
        if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            optimizer.apply(gradients, variables)
            return
        held = [*variables, *optimizer.variables]
        before = [variable.value for variable in held]
        weights, own = before[: len(variables)], before[len(variables) :]
        weights, own = optimizer.stateless_apply(own, gradients, weights)
        for variable, value in zip(held, [*weights, *own], strict=True):
            variable.assign(value)

    @staticmethod
    def synchronize(variables: Sequence[keras.Variable]) -> None:
        import jax

        jax.block_until_ready([variable.value for variable in variables])

    @staticmethod
    def peak_memory() -> tuple[int, str]:
        import jax

        statistics = jax.devices()[0].memory_stats() or {}
        if "peak_bytes_in_use" in statistics:
            return statistics["peak_bytes_in_use"], "device allocator"
        return process_peak_memory()

    @staticmethod
    def device_name() -> str:
        import jax

        return jax.devices()[0].device_kind


def _values(model: keras.Model) -> tuple[list[Any], list[Any]]:
    """Values of the trained variables, and of the rest."""
    return (
        [variable.value for variable in model.trainable_variables],
        [variable.value for variable in model.non_trainable_variables],
    )


@functools.lru_cache(maxsize=1)
def _jitted_gradients(model: keras.Model, objective: Callable) -> Callable:
    import jax

    def compute(trainable: Any, rest: Any, inputs: Any, labels: Any) -> tuple[Any, Any]:
        logits, _, losses = model.stateless_call(
            trainable, rest, inputs, training=True, return_losses=True
        )
        return objective(labels, logits, losses), logits

    return jax.jit(jax.value_and_grad(compute, has_aux=True))


@functools.lru_cache(maxsize=2)
def _jitted_call(model: keras.Model, training: bool) -> Callable:
    import jax

    def call(trainable: Any, rest: Any, inputs: Any) -> Any:
        return model.stateless_call(trainable, rest, inputs, training=training)[0]

    return jax.jit(call)


_ENGINES: dict[str, Any] = {
    "tensorflow": TensorFlowEngine,
    "torch": TorchEngine,
    "jax": JaxEngine,
}


def engine() -> Any:
    """The engine that Keras runs on in this process."""
    return _ENGINES[keras.backend.backend()]


def to_numpy(value: Any) -> np.ndarray:
    """A copy of a tensor or variable on the host."""
    return np.array(keras.ops.convert_to_numpy(value))
