"""The lines of a [recipe] for a program's loss and optimizer, where the words are enough."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from benchmarks.port.operation import Recipe
from frameworks.spec.optimizers import OPTIMIZERS

_CLIPPINGS = {
    "norm of all gradients": "global_norm",
    "norm of each tensor": "norm",
    "each value": "value",
}
_LOSSES = ("cross_entropy", "binary_cross_entropy", "mean_squared_error")
# Constants of a reader that say what the kind of optimizer says already, where they are so.
_USUAL: dict[str, Any] = {"weight_decay": 0.0, "amsgrad": False, "momentum": 0.0, "centered": False}
_USUAL |= {"undecayed": "nothing"}
# Constants around an optimizer of any kind: beginnings of their names, and the one always there.
WHOLE = {"accumulation": "accumulation", "average_": "average_weights", "loss_scale": "loss_scale"}
AROUND = tuple(WHOLE)


def recipe_lines(recipe: Recipe, lacking: list[str]) -> tuple[list[str], list[str]]:
    """The lines of the [recipe], none of a program without loss and optimizer; and notes on it.

    Args:
        recipe: as a reader gave it.
        lacking: what has no word here is added.
    """
    table: dict[str, Any] = {}
    notes = ["batch size, epochs and the order of batches are not in a model's program"]
    if recipe.optimizer:
        own, around = parted(recipe.optimizer)
        table |= _optimizer(own, lacking) if own else {}
        table |= _around(around, lacking)
    if recipe.loss:
        table |= _loss(recipe.loss, lacking)
    if len(set(recipe.rates.values())) > 1:
        rates = ", ".join(f"{step}: {rate:.4g}" for step, rate in list(recipe.rates.items())[:6])
        lacking.append(f"a schedule, of which the rates are known ({rates}) and not the rule")
    if recipe.momenta:
        lacking.append("a momentum that the schedule moves")
    if not table:
        return [], []
    return ["[recipe]", *(f"{name} = {inline(value)}" for name, value in table.items())], notes


def inline(value: Any) -> str:
    """A value as TOML has it in one line."""
    if isinstance(value, dict):
        fields = ", ".join(f"{name} = {inline(one)}" for name, one in value.items())
        return f"{{{fields}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(inline, value))}]"
    return json.dumps(value)


def parted(constants: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The constants of an optimizer itself, and those around it: groups, averages, a scale."""
    around = {name: value for name, value in constants.items() if name.startswith(AROUND)}
    return {name: value for name, value in constants.items() if name not in around}, around


def _around(constants: dict[str, Any], lacking: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    left = dict(constants)
    group, decay, scale = (left.pop(name, None) for name in WHOLE.values())
    start, interval = left.pop("average_start", ""), left.pop("loss_scale_interval", None)
    if isinstance(group, str):
        lacking.append(f"accumulation of {group}")
    elif group:
        found["accumulation"] = int(group)
    if isinstance(decay, str) or start == "zero":
        own = decay if isinstance(decay, str) else "from zero, not divided by 1 - decay^t"
        lacking.append(f"an average of the weights: {own}")
    elif decay is not None:
        found["average_weights"] = {"decay": decay, "start": start}
    if interval == "never":
        lacking.append(f"a fixed scale of the loss ({scale:g})")
    elif scale is not None:
        found["loss_scale"] = {"initial": scale, "interval": int(interval)}
    lacking += [f"{name} = {value}" for name, value in left.items()]
    return found


def _optimizer(constants: dict[str, Any], lacking: list[str]) -> dict[str, Any]:
    constants = dict(constants)
    name = str(constants.pop("kind"))
    if name not in OPTIMIZERS:
        lacking.append(f"the optimizer {name.removeprefix('unread:')}")
        return {}
    clipping, limit = constants.pop("clipping", None), constants.pop("clipping_limit", None)
    if name == "rmsprop" and "velocity_form" in constants:
        constants["momentum_form"] = constants.pop("velocity_form")
    if name == "lion" and constants.get("decay_form") == "decoupled":
        del constants["decay_form"]  # it has no other
    if constants.get("undecayed") == "beta, bias, gamma":
        constants |= {"undecayed": "nothing", "decayed": "kernels"}
    fields = {field.name for field in msgspec.structs.fields(OPTIMIZERS[name])}
    kept: dict[str, Any] = {"name": name}
    for constant, value in constants.items():
        if constant in _USUAL and value in (None, _USUAL[constant]):
            continue
        if constant in fields:
            kept[constant] = value
        elif value not in (None, False, 0.0):
            lacking.append(f"the optimizer's {constant} = {value}")
    found: dict[str, Any] = {"optimizer": kept}
    if clipping in _CLIPPINGS:
        found["clipping"] = {"name": _CLIPPINGS[clipping], "limit": limit}
    elif clipping not in (None, "none seen"):
        lacking.append(f"clipping {clipping}")
    return found


def _loss(loss: dict[str, Any], lacking: list[str]) -> dict[str, Any]:
    kind = str(loss["kind"])
    if kind not in _LOSSES:
        lacking.append(f"the loss {kind.removeprefix('unread:')}")
        return {}
    if loss.get("reduction", "mean") != "mean":
        lacking.append(f"the loss's reduction {loss['reduction']}")
    found: dict[str, Any] = {}
    if kind != "cross_entropy":
        found["loss"] = {"name": kind}
        lacking += [f"the loss's {name}" for name in ("class_weights",) if loss.get(name)]
    elif loss.get("label_smoothing"):
        found["loss"] = {"name": kind, "label_smoothing": loss["label_smoothing"]}
    if kind == "cross_entropy" and loss.get("class_weights"):
        found["class_weights"] = loss["class_weights"]
        found["class_weight_mean"] = loss.get("class_weight_mean", "weights")
    return found
