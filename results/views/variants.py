"""What was to be run, as text to compare: equal for runs that may stand in one panel."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

# What a recipe may have besides optimizer, batches and epochs.
_EXTRAS = ("class_weights", "early_stopping", "reduce_on_plateau", "keep_best")

# The fields of layers and optimizers that are each framework's own under native parity: the names
# in frameworks/spec/defaults.py, where a test compares them. All else is part of what was asked.
NATIVE_FIELDS = frozenset(
    {
        "conv.kernel_initializer",
        "conv.bias_initializer",
        "dense.kernel_initializer",
        "dense.bias_initializer",
        "batch_norm.epsilon",
        "batch_norm.momentum",
        "batch_norm.running_variance",
        "batch_norm.variance",
        "adam.epsilon",
        "adam.epsilon_form",
        "adamw.epsilon",
        "adamw.epsilon_form",
        "adamw.weight_decay",
        "adadelta.rho",
        "adadelta.epsilon",
        "adagrad.initial_accumulator",
        "adagrad.epsilon",
        "adagrad.epsilon_in_root",
        "sgd.velocity_form",
        "rmsprop.rho",
        "rmsprop.epsilon",
        "rmsprop.epsilon_in_root",
    }
)


def variant(config: object, parity: str) -> str:
    """What was run apart from framework, seed, repeat and nudge, as text to compare.

    Under native parity layers and optimizer carry each framework's own defaults: these fields,
    and no others, are left out there.
    """
    if not isinstance(config, str):
        return ""
    tree = json.loads(config)
    left_out = {"framework", "seed", "repeat", "nudge_draw", "control", "device", "threads"}
    tree = {key: tree[key] for key in tree if key not in left_out}
    if parity == "native":
        tree = _without_defaults(tree)
    return json.dumps(tree, sort_keys=True)


def extras(config: object) -> list[str]:
    """Class weights and callbacks of the recipe in words, all that they state."""
    found = []
    for name, value in _extras(config):
        words = name.replace("_", " ")
        if isinstance(value, Mapping):
            found.append(f"{words} ({', '.join(f'{k} {_word(v)}' for k, v in value.items())})")
        elif value is not None:
            found.append(f"{words} ({_word(value)})")
    return found


def telling_apart(config: object) -> dict[str, str]:
    """The same as words that tell panels apart, by what they are of: whether it is there, then
    each of its values."""
    found = {}
    feed = json.loads(config).get("feed", "auto") if isinstance(config, str) else "auto"
    if feed != "auto":
        found["feed"] = str(feed)
    for name, value in _extras(config):
        words = name.replace("_", " ")
        found[name] = f"no {words}" if value is None else words
        if isinstance(value, Mapping):
            found |= {f"{name}.{key}": f"{key} {_word(item)}" for key, item in value.items()}
        elif value is not None:
            found[f"{name}.values"] = _word(value)
    return found


def _extras(config: object) -> Iterator[tuple[str, Any]]:
    tree = json.loads(config) if isinstance(config, str) else {}
    recipe = tree.get("recipe")
    for name in _EXTRAS:
        yield name, recipe.get(name) if isinstance(recipe, Mapping) else None


def _word(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_word, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _without_defaults(tree: Any) -> Any:
    """Nested JSON without `NATIVE_FIELDS`; a layer says its `type`, an optimizer its `name`."""
    if isinstance(tree, list):
        return [_without_defaults(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    kind = tree.get("type", tree.get("name"))
    return {
        key: _without_defaults(value)
        for key, value in tree.items()
        if f"{kind}.{key}" not in NATIVE_FIELDS
    }
