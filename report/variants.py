"""What was to be run, as text to compare: equal for runs that may stand in one panel."""

import json
from typing import Any

# The fields of layers and optimizers that are each framework's own under native parity: the names
# in frameworks/defaults.py, where a test compares them. All else is part of what was to be run.
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
    left_out = {"framework", "seed", "repeat", "nudge", "control", "device", "threads"}
    tree = {key: tree[key] for key in tree if key not in left_out}
    if parity == "native":
        tree = _without_defaults(tree)
    return json.dumps(tree, sort_keys=True)


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
