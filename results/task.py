"""Task of a run: `task_id`, by which everything pools, compares and groups.

Two runs of one task differ in their framework and in which of its runs they are (seed, repeat).
The id is computed from the configuration as the column `config` of `runs` holds it, so that a run
stored before there was the column `task_id` gets the same one when it is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

# Fields of a configuration that say which run of a cell it is. All others are part of the cell.
WHICH_RUN = frozenset({"seed", "repeat", "nudge_draw", "control"})
# Fields that are no part of the task: the framework is who runs it.
NOT_THE_TASK = WHICH_RUN | {"framework"}

# What a field stands for that a stored configuration leaves out: fields that joined the
# configuration after the first runs were stored, and those of a layer (by its type) that are
# written only where they are stated. A field added to the configuration is added here, with its
# default, or the runs made before it are of another task (tests/benchmarks/config/test_task.py).
ABSENT: Mapping[str, Any] = {
    "data.fraction": 1.0,
    "data.label_map": "",
    "data.twins": False,
    "data.augmentation": "none",
    "data.cropped_from": 0,
    "data.scaled": False,
    "data.oversample": "",
    "data.votes": 0,
    "data.votes_sha256": "",
    "split.by": "galaxy",
    "split.test_copies": "centre",
    "split.taken_from": "",
    "split.fold": "",
    "recipe.partial_batch": "keep",
    "recipe.accumulation": 1,
    "recipe.reduce_on_plateau.relative": False,
    "recipe.early_stopping.first_epoch": 1,
    "recipe.loss.name": "cross_entropy",
    "recipe.loss.label_smoothing": 0.0,
    "recipe.loss.root": False,
    "cross_entropy.targets": "labels",  # of this loss alone: the others were always written with it
    "recipe.class_weight_mean": "images",
    "recipe.frozen": [],
    "recipe.frozen_norm": "inference",
    "recipe.rounds": [],
    "deterministic": False,
    "feed": "auto",
    "warmup_epochs": 0,
    "initial_weights": "",
    "replicas": 1,
    "side_by_side": 1,
    "conv.stride": 1,
    "conv.padding": "valid",
    "conv.activation": "linear",
    "conv.l2": 0.0,
    "dense.activation": "linear",
    "dense.l2": 0.0,
    "conv.bias": True,
    "conv.dilation": 1,
    "conv.groups": 1,
    "dense.bias": True,
    "max_pool.padding": "valid",
    "average_pool.padding": "valid",
    "batch_norm.gamma_initializer": "ones",
    "dropout.per": "value",
    "recipe.optimizer.amsgrad": False,
    "recipe.optimizer.decayed": "all",
    "recipe.optimizer.centered": False,
    "normalize.mean": [],
    "normalize.deviation": [],
    "scale.initial": 1.0,
    "residual.activation": "linear",
    "residual.shortcut": [],
}
# Of an optimizer all that no run stored without a task left to its framework's default. Under
# native parity the rest of a stored configuration is the framework's; whether a user had stated it
# is not known any more.
_NEVER_NATIVE = frozenset({"name", "learning_rate", "beta_1", "beta_2", "momentum", "nesterov"})

_MEAN = "class_weight_mean"

Settings = Mapping[str, Any]
OF_STORED = ("config", "architecture_hash", "cell_id")  # the columns that `stored` takes


def settings(config: Mapping[str, Any], architecture_hash: str) -> dict[str, Any]:
    """The task of a configuration: dotted names of its fields and their values.

    Null, and what `ABSENT` says a field stands for, are left out.

    Args:
        config: a `RunConfig` as builtins. Under native parity its recipe is the one asked for,
            before the framework's own defaults are filled in.
        architecture_hash: of the layers asked for, which under native parity stand for the
            configuration's, where the framework's defaults are filled in.
    """
    tree = {name: value for name, value in config.items() if name not in NOT_THE_TASK}
    if tree.get("parity") == "native" and isinstance(tree.get("architecture"), Mapping):
        tree["architecture"] = {"name": tree["architecture"].get("name"), "hash": architecture_hash}
    if tree.get("parity") == "native" and isinstance(tree.get("recipe"), Mapping):
        tree["recipe"] = _with_own_mean(tree["recipe"])
    values = flat(tree)
    types = {name.removesuffix("type"): values[name] for name in values if name.endswith(".type")}

    def usual(name: str) -> Any:
        parent, _, field = name.rpartition(".")
        kind = types.get(f"{parent}.")
        if parent == "recipe.loss" and field == "targets":
            kind = values.get("recipe.loss.name")
        return ABSENT.get(f"{kind}.{field}" if kind else name)

    return {
        name: value for name, value in values.items() if value is not None and value != usual(name)
    }


def stored(config: Any, architecture_hash: Any, cell_id: Any) -> dict[str, Any]:
    """The task of a stored run, from its columns.

    Exact, but for native runs whose user stated a field of the optimizer that frameworks default
    differently: it counts as not stated. Without a configuration a cell is a task of its own.

    Args:
        config: JSON, or the same as builtins.
    """
    tree = json.loads(config) if isinstance(config, str) else config
    if not isinstance(tree, Mapping) or not tree:
        return {"cell_id": None if cell_id is None else str(cell_id)}
    recipe = tree.get("recipe")
    if tree.get("parity") == "native" and isinstance(recipe, Mapping):
        optimizer = recipe.get("optimizer")
        if isinstance(optimizer, Mapping):
            optimizer = {name: optimizer[name] for name in optimizer if name in _NEVER_NATIVE}
        recipe = {**recipe, "optimizer": optimizer}
        if _MEAN in recipe:
            recipe[_MEAN] = None
        tree = {**tree, "recipe": recipe}
    return settings(tree, architecture_hash if isinstance(architecture_hash, str) else "")


def _with_own_mean(recipe: Settings) -> Settings:
    """A native recipe, whose weighted losses are divided by what each framework divides by where
    it leaves that open. Runs stored before it could be stated divided by the images, all of them.
    """
    left_open = _MEAN in recipe and recipe[_MEAN] is None and recipe.get("class_weights")
    return {**recipe, _MEAN: "each framework's own"} if left_open else recipe


def task_id(of: Settings) -> str:
    """Hash of a task, 16 hexadecimal digits."""
    return hashlib.sha256(as_text(of).encode()).hexdigest()[:16]


def as_text(of: Settings, but: Collection[str] = ()) -> str:
    """Settings as text that is equal where they are, without some of them."""
    return json.dumps({name: of[name] for name in of if name not in but}, sort_keys=True)


def flat(tree: Any, name: str = "") -> dict[str, Any]:
    """Nested JSON or builtins as values by dotted name: `recipe.batch_size`; a list of plain values
    stays one."""
    if isinstance(tree, Mapping) and tree:
        items: Any = tree.items()
    elif isinstance(tree, list | tuple):
        if not any(isinstance(one, Mapping) for one in tree):
            return {name: list(tree)}
        items = enumerate(tree)
    else:
        return {name: tree}
    found: dict[str, Any] = {}
    for key, value in items:
        found |= flat(value, f"{name}.{key}" if name else str(key))
    return found
