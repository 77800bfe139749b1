"""Process-wide settings of JAX, for Flax and for Keras on JAX: precision and device."""

from __future__ import annotations

import jax

from frameworks.backend import Runtime
from frameworks.spec.reading import SpecificationError
from results.words import count

MATMUL_PRECISION = {"float32": "highest", "tf32": "tensorfloat32", "float64": "highest"}


def configure(runtime: Runtime) -> jax.Device:
    """Process-wide settings, the last call's for all: precision and the device, which is returned.

    Two settings are read by XLA from the environment when JAX first touches a device, and are the
    launcher's to set: threads (XLA takes as many as the process may run on) and, where
    `runtime.deterministic` on CUDA, XLA_FLAGS="--xla_gpu_deterministic_ops=true
    --xla_gpu_autotune_level=0".
    """
    jax.config.update("jax_enable_x64", runtime.precision == "float64")
    jax.config.update("jax_default_matmul_precision", MATMUL_PRECISION.get(runtime.precision))
    try:
        device = jax.devices(runtime.device)[0]
    except RuntimeError as error:
        raise SpecificationError(
            f"JAX sees no {runtime.device.upper()} device here; use --device cpu."
        ) from error
    jax.config.update("jax_default_device", device)
    return device


def replica_devices(runtime: Runtime) -> list[jax.Device]:
    """A device for each replica; XLA reads from the environment how many the CPU is to be
    (`XLA_FLAGS=--xla_force_host_platform_device_count=N`), which is the launcher's to set.

    Raises:
        SpecificationError: there are fewer, or they are GPUs.
    """
    if runtime.device != "cpu":
        raise SpecificationError(
            "JAX trains on several replicas on the CPU alone so far; use --device cpu."
        )
    devices = jax.devices("cpu")
    if len(devices) < runtime.replicas:
        raise SpecificationError(
            f"{count(runtime.replicas, 'replica')} need as many devices, and JAX has "
            f"{len(devices)}; set "
            f"XLA_FLAGS=--xla_force_host_platform_device_count={runtime.replicas}."
        )
    return devices[: runtime.replicas]
