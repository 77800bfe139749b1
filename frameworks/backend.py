"""Base class of backends, and their registry.

A backend compiles a `Network` and a `Recipe` to one framework. Weights, gradients, optimizer state
and activations cross its door as NumPy arrays in the canonical layout (see `weights`), and are
converted there and nowhere else.
"""

# ruff: noqa: B027 - methods with an empty body are defaults, not forgotten
from __future__ import annotations

import importlib
import importlib.util
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import ClassVar

import numpy as np

from datasets.batches import Batch
from frameworks.memory import process_peak_memory as process_peak_memory
from frameworks.runtime import EpochResult as EpochResult
from frameworks.runtime import Gradients as Gradients
from frameworks.runtime import Runtime as Runtime
from frameworks.spec.defaults import NATIVE, PROJECT, Defaults
from frameworks.spec.frozen import bound, factors
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import Recipe, trains_plainly
from frameworks.spec.schedules import by_step
from frameworks.spec.weights import Weights
from results.vocabulary import near_miss

PIXEL_SCALE = 1 / 255  # pictures are multiplied by it, in the run's own dtype, in every framework
MAX_NORM_EPSILON = 1e-7  # keras/src/constraints: MaxNorm divides by epsilon + norm


class Backend(ABC):
    """One framework. Subclass it and write the abstract methods; the others have a default.

    A run needs the abstract methods and `build`; the ladder also needs `gradients`,
    `apply_gradients` and `activations`. `docs/add-a-framework.md` walks through an example.

    CHOICES: of a tuned backend, what it does for speed, in words by name. without: the choices
    left out, to see what each gains. every_loss: it trains with all of `frameworks.spec.losses`;
    else softmax cross-entropy without smoothing is all that it is asked. layers_apart: layers may
    be frozen (`network.frozen`) and have rates of their own (`factors`, by key). host_wait_seconds:
    what the host waited for data in training so far; None where nobody counts it. own_rate: the
    learning rate of the next step; None where it is what the harness set.
    """

    CHOICES: ClassVar[Mapping[str, str]] = {}
    every_loss: ClassVar[bool] = False
    layers_apart: ClassVar[bool] = False
    without: frozenset[str] = frozenset()
    host_wait_seconds: float | None = None
    own_rate: float | None = None

    def __init__(
        self, network: Network, recipe: Recipe, runtime: Runtime, weights: Weights | None
    ) -> None:
        """Build the network on the device, with these weights or with the framework's own.

        Raises:
            SpecificationError: the backend does not train with the recipe's loss.
        """
        if not (self.every_loss or trains_plainly(recipe)):
            raise self._lacks(f"loss but plain cross_entropy ({recipe.loss})", "the recipe")
        if recipe.rounds:
            raise SpecificationError(
                "a backend trains one round; frameworks.spec.rounds.of(recipe) gives each."
            )
        if (recipe.frozen or recipe.layer_rates) and not self.layers_apart:
            raise self._lacks("frozen layers or layer_rates", "the recipe")
        self.network, self.recipe, self.runtime = bound(network, recipe), recipe, runtime
        self.factors = factors(self.network, recipe)
        self.build(draw=weights is None)
        if weights is not None:
            self.set_weights(weights)

    def build(self, *, draw: bool) -> None:
        """Make network and optimizer of `self.network` and `self.recipe`, as `self.runtime` says.

        draw: no weights will come; the framework draws its own, as is its way, from `runtime.seed`.
        """

    @abstractmethod
    def train_epoch(self, epoch: Sequence[Batch]) -> EpochResult:
        """Train on the batches in order; returns when the device has finished."""

    @abstractmethod
    def predict(self, images: np.ndarray) -> np.ndarray:
        """Logits in inference mode, by batches of the recipe's size: uint8 (n, h, w, c) to
        (n, classes)."""

    @abstractmethod
    def set_learning_rate(self, learning_rate: float) -> None:
        """Change the learning rate from the next step on."""

    @abstractmethod
    def get_weights(self) -> Weights:
        """All weights, running statistics included, in the run's dtype; copies."""

    @abstractmethod
    def set_weights(self, weights: Weights) -> None:
        """Load weights of the network's keys and shapes."""

    @abstractmethod
    def get_optimizer_state(self) -> dict[str, np.ndarray]:
        """Optimizer state: "step", "learning_rate" and "slot/layer/part", canonical layout.

        Slots are those of `frameworks.numpy.optimizers`; velocity is without the learning rate.
        """

    @abstractmethod
    def set_optimizer_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Load what `get_optimizer_state` gave."""

    def train_scheduled(self, epoch: Sequence[Batch], rates: np.ndarray) -> EpochResult:
        """The result of `train_epoch` with a learning rate for each step.

        rates: float64 (steps,); the last one holds afterwards.

        By default it is so many epochs of one batch. A subclass may do it in one go.
        """
        loss = right = images = 0.0
        for batch, rate in zip(epoch, rates, strict=True):
            self.set_learning_rate(float(rate))
            result = self.train_epoch([batch])
            loss += result.loss * len(batch)
            right += result.accuracy * len(batch)
            images += len(batch)
        return EpochResult(loss / images, right / images)

    def train_at(self, epoch: Sequence[Batch], rates: np.ndarray) -> EpochResult:
        """Train on the batches in order at the rates of the recipe's schedule, a rate a step."""
        if by_step(self.recipe):
            return self.train_scheduled(epoch, rates)
        self.set_learning_rate(float(rates[0]))
        return self.train_epoch(epoch)

    # ---- for the ladder

    def gradients(self, batch: Batch) -> Gradients:
        """Loss, logits and gradients of one batch in training mode; nothing changes."""
        raise self._lacks("gradients")

    def apply_gradients(self, gradients: Weights) -> None:
        """One optimizer step with the gradients given (and the max-norm projection)."""
        raise self._lacks("apply_gradients")

    def activations(self, batch: Batch, *, training: bool) -> dict[str, np.ndarray]:
        """Output of every layer by name, canonical layout; nothing changes."""
        raise self._lacks("activations")

    def _lacks(self, method: str, who: str = "the ladder") -> SpecificationError:
        return SpecificationError(f"{type(self).__name__} has no {method}; {who} needs it.")

    # ---- with a default

    def parameters(self) -> int:
        """Number of parameters the framework itself counts, running statistics included."""
        return sum(array.size for array in self.get_weights().values())

    def device_name(self) -> str:
        """The device computed on, as the framework names it."""
        return self.runtime.device

    def stage(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Put the data where training reads it: uint8 (n, height, width, channels), int (n,), or
        votes float32 (n, outputs).

        Called before training with the very array that its epochs are batches of, so that a
        backend may gather these itself, by `Epoch.indices`. Not called where an epoch's images are
        a view, of augmented copies, say: a batch of it is `epoch[step]`, and of data that were not
        staged it always is. By default batches are read from host memory.
        """

    def compile(self, epoch: Sequence[Batch]) -> None:
        """Compile and warm up for the batch shapes of `epoch` without changing the result.

        Afterwards weights, optimizer state and random state are what they were before.
        """

    def get_random_state(self) -> dict[str, np.ndarray]:
        """State of the framework's own random generators, as far as training draws from them;
        numbers only, so that a file can keep it. By default nothing is drawn."""
        return {}

    def set_random_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Draw from here on what the backend drew that gave this state."""

    def save(self, directory: Path) -> Path | None:
        """Write the network with its weights in the framework's own format; the file's path, or
        None where there is no such format.

        What is written can be read without unpickling anything and without this project.
        """
        return None

    def synchronize(self) -> None:
        """Return when all work given to the device is done."""

    def communication_share(self, epoch: Sequence[Batch]) -> float | None:
        """Share of the time in which a sum over the replicas is under way, traced while training
        on these batches; with waits for a slower replica, and what overlaps with computation.
        None of one replica, or where nothing can be traced."""
        return None

    def peak_memory(self) -> tuple[int, str]:
        """Peak bytes so far and what they count: the device's allocator, or the process."""
        return process_peak_memory()

    def settings(self) -> dict[str, str]:
        """Choices that the framework made by itself, once compiled: memory layout, compiler, ...

        Recorded with the run, for the reader.
        """
        return {}


@dataclass(frozen=True)
class Framework:
    """A row of the registry: how to reach a backend without importing its framework.

    target: "module:class"; packages: distributions that must be installed, import name first;
    environment: variables to set before the import; defaults: the column of `defaults.NATIVE`, ""
    for the project's own;
    tuned: target of the class for `tuning="tuned"`, "" where there is none; tuned_environment:
    variables to set for it besides, on CPUs.
    replicated: targets of the classes that train on several replicas (`Runtime.replicas`), by
    tuning; a tuning without one trains on one replica alone. deals_unevenly: whether these deal
    batches of any size, or such as the number of replicas divides.
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
    for entry in entry_points(group=ENTRY_POINTS):
        known[entry.name] = entry.load()
    return known


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
