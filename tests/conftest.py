"""Shared fixtures: where the real galaxies are, when they are at hand."""

import os
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from frameworks.torch.triton import load_apart

# Nothing may depend on how busy the machine is, and a failure must come again. To search further:
# pytest --hypothesis-profile=search
settings.register_profile(
    "project", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "search", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("project")
# Hypothesis tries the constants of what the process has imported of the project, too: its examples
# would hang on which tests ran before.
providers._get_local_constants = lambda: providers._local_constants

ROOT = Path(__file__).resolve().parent.parent

os.environ["COLUMNS"] = "80"  # tables are as wide whoever runs the tests, and where

# The tests of one process import TensorFlow and PyTorch, in any order.
load_apart()

# The tests start hundreds of processes, each of which would compile the project anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Most of the tests' time with JAX is compiling. What is timed never uses this: the harness removes
# these variables from a run's environment.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".jax_cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def pytest_configure(config: pytest.Config) -> None:
    """XLA compiles in half the time where the long tests, which take its code as users have it,
    are not asked for. A user's flags stay."""
    if "extended" not in config.option.markexpr:
        os.environ.setdefault(
            "XLA_FLAGS",
            "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test is called the same in every process: an object's address has no place in its name."""
    if moving := [item.nodeid for item in items if " at 0x" in item.nodeid]:
        raise pytest.UsageError(f"give ids to the parameters of {moving[0]}")


@pytest.fixture(scope="session")
def galaxy_files() -> Path:
    """Directory of the real galaxy files; the test skips when it is absent."""
    directory = Path(os.environ.get("GALAXY_DATA", ROOT.parent / "shared" / "data"))
    if not directory.is_dir():
        pytest.skip(f"real galaxies not at hand: {directory} (set GALAXY_DATA)")
    return directory


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `galaxies.h5`, a store `runs`, and in it the models of six runs.

    Trained once for all of pytest-xdist's processes; to be read only.
    """
    from tests.helpers import small_galaxies

    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    directory = shared / "trained"
    with FileLock(shared / "trained.lock"):
        if not (directory / "done").exists():
            directory.mkdir()
            small_galaxies.train(directory)
            (directory / "done").touch()
    return directory
