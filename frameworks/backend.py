"""Registry of backends, and the names that a third party's backend needs."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points

from frameworks.base import MAX_NORM_EPSILON as MAX_NORM_EPSILON
from frameworks.base import PIXEL_SCALE as PIXEL_SCALE
from frameworks.base import Backend as Backend
from frameworks.memory import process_peak_memory as process_peak_memory
from frameworks.runtime import EpochResult as EpochResult
from frameworks.runtime import Gradients as Gradients
from frameworks.runtime import Runtime as Runtime
from frameworks.spec.defaults import NATIVE, PROJECT, Defaults
from frameworks.spec.reading import SpecificationError
from results.vocabulary import near_miss


@dataclass(frozen=True)
class Framework:
    """A row of the registry: how to reach a backend without importing its framework.

    target: "module:class"; packages: distributions that must be installed, import name first;
    environment: variables to set before the import; defaults: the column of `defaults.NATIVE`, ""
    for the project's own; tuned: target of the class for `tuning="tuned"`, "" where there is none;
    tuned_environment: variables to set for it besides, on CPUs.
    replicated: targets of the classes that train on several replicas (`Runtime.replicas`), by
    tuning; a tuning without one trains on one replica alone. deals_unevenly: whether these deal
    batches of any size, or such as the number of replicas divides. deals_groups: whether a step of
    theirs may be of several batches (`recipe.accumulation`).
    """

    name: str
    target: str
    packages: Mapping[str, str]
    defaults: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    tuned: str = ""
    tuned_environment: Mapping[str, str] = field(default_factory=dict)
    replicated: Mapping[str, str] = field(default_factory=dict)
    deals_unevenly: bool = False
    deals_groups: bool = True

    def missing_packages(self) -> list[str]:
        """Distributions that are not installed here, found without importing them."""
        return [
            distribution
            for module, distribution in self.packages.items()
            if importlib.util.find_spec(module) is None
        ]

    @property
    def native(self) -> Defaults:
        """Defaults of a straightforward port to the framework, for fields that are not stated."""
        return NATIVE[self.defaults] if self.defaults else PROJECT

    def backend(self, tuning: str = "idiomatic", replicas: int = 1) -> type[Backend]:
        """Import the framework and return its backend class of that tuning, for so many replicas.

        Raises:
            SpecificationError: no such tuning, the framework has no tuned backend or trains on one
                replica alone, or what its target names is none. What the module itself raises is
                raised here.
        """
        targets = {"idiomatic": self.target, "tuned": self.tuned}
        if tuning not in targets:
            raise SpecificationError(
                f"unknown tuning '{tuning}'{near_miss(tuning, list(targets))}. "
                f"Known: {', '.join(targets)}."
            )
        if not targets[tuning]:
            raise SpecificationError(
                f"framework '{self.name}' has no tuned backend; use --tuning idiomatic, or name "
                "one in its entry point (`tuned` of frameworks.backend.Framework)."
            )
        if replicas > 1:
            if tuning not in self.replicated:
                raise SpecificationError(
                    f"framework '{self.name}' with tuning {tuning} trains on one replica alone."
                )
            return _loaded(self.replicated[tuning])
        return _loaded(targets[tuning])


def _loaded(target: str) -> type[Backend]:
    """The backend class of a "module:class"."""
    module, _, name = target.partition(":")
    try:
        members = vars(importlib.import_module(module))
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # a module that this one imports
        raise SpecificationError(
            f"{target}: there is no module '{error.name}' in the current directory or among the "
            "installed packages."
        ) from error
    found = members.get(name)
    if not isinstance(found, type):
        classes = [key for key, value in members.items() if isinstance(value, type)]
        raise SpecificationError(
            f"{target}: module '{module}' has no class '{name}'{near_miss(name, classes)}."
        )
    absent = {None, *(getattr(Backend, method) for method in Backend.__abstractmethods__)}
    lacking = [m for m in sorted(Backend.__abstractmethods__) if getattr(found, m, None) in absent]
    if lacking:
        raise SpecificationError(
            f"{target} is no backend: it lacks {', '.join(lacking)}. A subclass of "
            "frameworks.backend.Backend has them (docs/add-a-framework.md)."
        )
    if not issubclass(found, Backend):  # from when a backend was whatever had the methods
        return type(name, (found, Backend), {})
    return found


# glibc hands a large tensor's memory back when it is freed, and the next one's pages are zeroed one
# by one (mallopt(3)). PyTorch does not pool memory on CPUs; TensorFlow does, and XLA within a call.
_MEMORY_KEPT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40)}


def _keras(name: str, engine: str, packages: Mapping[str, str], replicas: str = "") -> Framework:
    replicated = {
        "idiomatic": f"frameworks.keras.{replicas}:ReplicatedKerasBackend",
        "tuned": f"frameworks.keras.{replicas}:ReplicatedTunedKerasBackend",
    }
    return Framework(
        name,
        "frameworks.keras.backend:KerasBackend",
        {"keras": "keras", **packages},
        "keras",
        {"KERAS_BACKEND": engine, "TF_CPP_MIN_LOG_LEVEL": "2"},
        tuned="frameworks.keras.tuned:TunedKerasBackend",
        tuned_environment=_MEMORY_KEPT if engine == "torch" else {},
        replicated=replicated if replicas else {},
        deals_unevenly=engine != "jax",
        deals_groups=engine != "tensorflow",
    )


_BUILT_IN = (
    _keras("keras", "tensorflow", {"tensorflow": "tensorflow"}, "tensorflow_replicas"),
    _keras("keras@torch", "torch", {"torch": "torch"}, "torch_replicas"),
    _keras("keras@jax", "jax", {"jax": "jax"}, "replicas"),
    Framework(
        "torch",
        "frameworks.torch.backend:TorchBackend",
        {"torch": "torch"},
        "torch",
        tuned="frameworks.torch.tuned:TunedTorchBackend",
        tuned_environment=_MEMORY_KEPT,
        replicated={
            "idiomatic": "frameworks.torch.replicas:ReplicatedTorchBackend",
            "tuned": "frameworks.torch.replicas:ReplicatedTunedTorchBackend",
        },
        deals_unevenly=True,
    ),
    Framework(
        "jax",
        "frameworks.flax.backend:FlaxBackend",
        {"jax": "jax", "flax": "flax", "optax": "optax"},
        "flax",
        tuned="frameworks.flax.tuned:TunedFlaxBackend",
        replicated={
            "idiomatic": "frameworks.flax.replicas:ReplicatedFlaxBackend",
            "tuned": "frameworks.flax.replicas:ReplicatedTunedFlaxBackend",
        },
    ),
)
ENTRY_POINTS = "galaxy_training_benchmark.frameworks"
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def frameworks() -> dict[str, Framework]:
    """All known frameworks by name: the built-in ones and those registered by entry point.

    A third party registers an entry point of group `galaxy_training_benchmark.frameworks` whose
    object is a `Framework`.
    """
    known = {framework.name: framework for framework in _BUILT_IN}
    return known | {entry.name: entry.load() for entry in _registered(_places())}


def _places() -> tuple[tuple[str, int], ...]:
    """The folders that hold installed distributions, each with the time of its last change."""
    found = []
    for place in sys.path:
        with suppress(OSError):
            found.append((place, os.stat(place or os.curdir).st_mtime_ns))
    return tuple(found)


@lru_cache(maxsize=4)  # looked up for every mention of a framework, two milliseconds each
def _registered(places: tuple[tuple[str, int], ...]) -> tuple[EntryPoint, ...]:
    """The entry points of third parties in these places."""
    return tuple(entry_points(group=ENTRY_POINTS))


def is_target(name: str) -> bool:
    """True if a framework is named by its class, as in `my_backend:Softmax`."""
    return ":" in name


def without_version(name: str) -> str:
    """The framework of a label: `torch` of `torch@2.12`; `keras@torch` is a name of its own."""
    base, _, version = name.rpartition("@")
    return base if base and version[:1].isdigit() else name


def framework(name: str) -> Framework:
    """The framework of that name; raises SpecificationError with the near miss when unknown.

    A name may carry a version, as in `torch@2.12`: the same framework under that name, which runs
    in an interpreter of its own (see `benchmarks.process.interpreters`). Or it is `module:Class`, a
    backend in the current directory or an installed package; its runs bear that name.
    """
    if is_target(name):
        if not _TARGET.fullmatch(name):
            raise SpecificationError(
                f"framework '{name}': expected module:Class, as in my_backend:Softmax."
            )
        return Framework(name, name, {})
    known = frameworks()
    if name not in known and without_version(name) in known:
        return replace(known[without_version(name)], name=name)
    if name not in known:
        raise SpecificationError(
            f"unknown framework '{name}'{near_miss(name, list(known))}. Known: {', '.join(known)}."
        )
    return known[name]
