"""The environment of a worker: variables set before anything is imported, and its CPUs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks.system import machine
from frameworks.backend import framework, is_target
from results.vocabulary import Device

# Settings of the user's shell that would change what a run computes or how fast.
_REMOVED = (
    *("NVIDIA_TF32_OVERRIDE", "JAX_ENABLE_X64", "JAX_DEFAULT_MATMUL_PRECISION"),
    *("JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE"),  # compile times
    *("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"),
    "ONEDNN_DEFAULT_FPMATH_MODE",  # lets float32 be computed in bfloat16
)


# Recorded with the run, whoever set them.
_RECORDED = (
    *("OMP_", "MKL_", "OPENBLAS_", "TF_", "XLA_", "JAX_", "KERAS_BACKEND", "CUBLAS_", "CUDA_"),
    *("ONEDNN_", "DNNL_", "KMP_", "GOMP_"),
    *("TORCH", "PYTORCH_", "MALLOC_", "LD_PRELOAD", "PYTHONHASHSEED"),
)


_PLACES = ("_FILE", "_DIR", "_PATH", "_HOME")  # TF_CLI_CONFIG_FILE is not even TensorFlow's


def environment(
    name: str,
    *,
    device: Device,
    threads: int,
    scratch: Path,
    deterministic: bool = False,
    tuning: str = "idiomatic",
    replicas: int = 1,
) -> dict[str, str]:
    """Variables for a worker of this framework, to be set before it imports anything.

    Args:
        name: a framework of the registry.
        device: the GPUs are hidden on "cpu".
        threads: of every library that takes a number from the environment.
        scratch: a directory of the run's own; a user's Keras settings are not read.
        deterministic: XLA reads from here whether its GPU kernels are to be.
        tuning: "tuned" for what the framework's tuned backend wants set besides.
        replicas: JAX has a device for each, all on the CPU.
    """
    count = str(threads)
    path = [str(machine.ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    if is_target(name):
        path.append(os.getcwd())
    variables = {key: value for key, value in os.environ.items() if key not in _REMOVED}
    variables |= {
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "TF_NUM_INTRAOP_THREADS": count,
        "TF_NUM_INTEROP_THREADS": count,
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "KERAS_HOME": str(scratch / "keras"),
    }
    if device == "cpu":
        variables |= {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
        if tuning == "tuned":
            variables |= framework(name).tuned_environment
        if replicas > 1:
            _add_flags(variables, f"--xla_force_host_platform_device_count={replicas}")
    else:
        first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
        variables |= {"CUDA_VISIBLE_DEVICES": first, "JAX_PLATFORMS": "cuda"}
        variables |= {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}  # as the driver counts them
        if deterministic:
            _add_flags(variables, "--xla_gpu_deterministic_ops=true --xla_gpu_autotune_level=0")
            variables["TF_DETERMINISTIC_OPS"] = "1"
    return variables | dict(framework(name).environment)


def _add_flags(variables: dict[str, str], flags: str) -> None:
    """Flags of XLA besides the user's own."""
    variables["XLA_FLAGS"] = f"{variables.get('XLA_FLAGS', '')} {flags}".strip()


def recorded(variables: dict[str, str]) -> dict[str, str]:
    """The variables that can change a result or a speed; not where a machine keeps its files."""
    return {
        key: variables[key]
        for key in sorted(variables)
        if key.startswith(_RECORDED) and not key.endswith(_PLACES)
    }


@contextlib.contextmanager
def limited_to(threads: int, after: int = 0) -> Iterator[None]:
    """Processes started inside are kept to `threads` CPUs, where the system can: the first ones, or
    those that follow the first `after`, around the end.

    It is the one way to limit every framework alike: XLA sizes its pool by the affinity alone.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cpus = os.sched_getaffinity(0)
    ordered = sorted(cpus)
    turned = ordered[after % len(ordered) :] + ordered[: after % len(ordered)]
    os.sched_setaffinity(0, turned[:threads])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cpus)
