"""Trained networks on disk: in the framework's own format, and as weights that any backend loads.

A model is a directory: `model.json` says what it is, `weights.npz` holds the canonical weights
(`frameworks.spec.weights`), and `model.keras` or `model.safetensors` is what the framework itself
reads. Nothing of it is pickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.config.artifacts import Keeping
from benchmarks.config.runconfig import RunConfig
from benchmarks.system import machine
from frameworks.backend import Backend, Runtime, framework
from frameworks.spec import weights as canonical
from frameworks.spec.defaults import PROJECT, fill_recipe
from frameworks.spec.graph import changed
from frameworks.spec.layers import BatchNorm, GroupNorm, Layer, LayerNorm
from frameworks.spec.network import Network
from frameworks.spec.recipe import Recipe
from results.door.arrays import archive
from results.door.documents import MOST_JSON, json_bytes
from results.door.refusal import content
from results.names import file_name
from results.version import check_format
from results.writer import whole_directory

DESCRIPTION, WEIGHTS = "model.json", "weights.npz"
FORMAT = 1  # of a model that states none, too


class _Format(msgspec.Struct):
    format: int = 1


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `model.json`.

    native: the file of the framework's own format, "" where it has none.
    task_id: as in the columns of `runs`, "" in a model of an earlier version.
    data: how the galaxies were loaded (arguments of `datasets.catalog.load`, with its `dataset`).
    """

    run_id: str
    task_id: str = ""
    config: RunConfig
    class_names: tuple[str, ...] = ()
    input_shape: tuple[int, int, int]
    epochs_trained: int
    tested_epoch: int
    native: str = ""
    weights_sha256: str
    versions: dict[str, str]
    data: dict[str, Any] = {}
    format: int = FORMAT


@dataclass(frozen=True)
class SavedModel:
    """A model as it lies in its directory."""

    directory: Path
    about: Description

    @property
    def network(self) -> Network:
        """The network that was trained."""
        return self.about.config.network()

    def weights(self) -> canonical.Weights:
        """The weights that were tested, in the canonical layout.

        Raises:
            ValueError, OSError: the file is absent, damaged, or not of this network.
        """
        path = self.directory / WEIGHTS
        weights = archive(path, "weights", "save the model again")
        if canonical.sha256(weights) != self.about.weights_sha256:
            raise ValueError(f"{path} is not what was saved (its hash differs); save it again")
        canonical.check(weights, self.network)
        return weights

    def backend(self, name: str = "", runtime: Runtime | None = None) -> Backend:
        """The trained network in any framework, by default in its own; for inference.

        What only training uses is left out, so that a network trained with one framework's own
        defaults loads into all: the recipe is the project's, batch norm as every framework has it.
        """
        config = self.about.config
        layers = changed(config.architecture.layers, _of_every_framework)
        architecture = msgspec.structs.replace(config.architecture, layers=layers)
        network = replace(self.network, architecture=architecture)
        own = Recipe(batch_size=config.recipe.batch_size, loss=config.recipe.loss)
        recipe = fill_recipe(own, PROJECT)
        made = framework(name or config.framework).backend()
        return made(network, recipe, runtime or Runtime(), self.weights())


def _of_every_framework(layer: Layer) -> Layer:
    """A norm in the form that every framework has; inference is the same."""
    if isinstance(layer, BatchNorm):
        return msgspec.structs.replace(layer, running_variance="biased", variance="two_pass")
    if isinstance(layer, LayerNorm | GroupNorm):
        return msgspec.structs.replace(layer, variance="two_pass")
    return layer


def directory_name(config: RunConfig) -> str:
    """The name of a run's model: what it is at a glance, and the run's id."""
    parts = (config.framework, config.architecture.name, f"seed{config.seed}", config.run_id)
    return file_name("-".join(parts))


def save(
    backend: Backend, config: RunConfig, keeping: Keeping, epochs: Mapping[str, int]
) -> dict[str, Any]:
    """Write a run's model, whole or not at all, in the place of an earlier one of the same run.

    Args:
        epochs: `epochs_trained`, and the `tested_epoch` whose weights the backend holds.

    Returns:
        What the run's row tells of it in `extra`: `model`, the directory; or `model_error`, since
        a disk that is full does not make a run fail that has ended well.
    """
    target = Path(keeping.model)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_directory(target) as directory:
            _write(backend, config, keeping, epochs, directory)
    except OSError as error:
        return {"model_error": f"cannot save the model to {target}: {error.strerror or error}"}
    return {"model": str(target)}


def _write(
    backend: Backend,
    config: RunConfig,
    keeping: Keeping,
    epochs: Mapping[str, int],
    directory: Path,
) -> None:
    weights = backend.get_weights()
    canonical.save(directory / WEIGHTS, weights)
    native = backend.save(directory)
    about = Description(
        run_id=config.run_id,
        config=config,
        input_shape=config.data.input_shape,
        native=native.name if native else "",
        weights_sha256=canonical.sha256(weights),
        versions=machine.versions(),
        epochs_trained=epochs["epochs_trained"],
        tested_epoch=epochs["tested_epoch"],
        **keeping.about,
    )
    text = msgspec.json.format(msgspec.json.encode(about), indent=2)
    (directory / DESCRIPTION).write_bytes(text + b"\n")


def find(directory: Path) -> list[SavedModel]:
    """The models in a directory, by name; or the one that the directory is.

    Raises:
        FileNotFoundError: there is none.
        ValueError: a `model.json` that cannot be read, or is of a newer version.
    """
    own = directory / DESCRIPTION
    paths = [own] if own.exists() else sorted(directory.glob(f"[!.]*/{DESCRIPTION}"))
    if not paths:
        raise FileNotFoundError(
            f"no saved models in {directory}; train some with "
            f"python -m benchmarks.run --save-models {directory}"
        )
    return [SavedModel(path.parent, _described(path)) for path in paths]


def _described(path: Path) -> Description:
    what, remedy = "the description of a saved model", "save the model again"
    found = content(path, what, remedy, most=MOST_JSON)
    check_format(json_bytes(found, _Format, path, what, remedy).format, FORMAT, path)
    return json_bytes(found, Description, path, what, remedy)
