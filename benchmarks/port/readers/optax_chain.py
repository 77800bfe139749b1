"""Transformations of optax as the program made them: each call by name, and chains of them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import optax

from benchmarks.port.operation import Recipe
from benchmarks.port.readers.calls import CALLS

_KINDS = {
    **{"adam": "adam", "adamw": "adam", "sgd": "sgd", "rmsprop": "rmsprop", "adagrad": "adagrad"},
    **{"adadelta": "adadelta", "nadam": "nadam", "adamax": "adamax", "lion": "lion"},
    **{"scale_by_adam": "adam", "scale_by_rms": "rmsprop", "scale_by_lion": "lion"},
    "trace": "sgd",
}
_CLIPPING = {
    "clip_by_global_norm": ("norm of all gradients", "max_norm"),
    "clip": ("each value", "max_delta"),
}
_RATES = ("scale", "scale_by_schedule", "scale_by_learning_rate")
_AROUND = ("apply_if_finite", "zero_nans", "identity")  # what moves nothing on finite numbers
_GROUPS = ("multi_transform", "partition")
_WATCHED: tuple[str, ...] = (*_KINDS, *_CLIPPING, *_RATES, *_AROUND, *_GROUPS)
_WATCHED += ("chain", "add_decayed_weights", "ema", "masked")
_NAMES = {  # optax's name to ours
    **{"learning_rate": "learning_rate", "b1": "beta_1", "b2": "beta_2", "eps": "epsilon"},
    **{"momentum": "momentum", "nesterov": "nesterov", "decay": "rho", "rho": "rho"},
    **{"eps_in_sqrt": "epsilon_in_root", "centered": "centered", "weight_decay": "weight_decay"},
    "initial_accumulator_value": "initial_accumulator",
}


@dataclass
class Made:
    """A call of optax that made a transformation; the same is made with other constants by it."""

    name: str
    function: Any
    arguments: dict[str, Any]
    parts: tuple[Any, ...] = ()
    stated: list[str] = field(default_factory=list)

    @property
    def names(self) -> dict[str, str]:
        """The arguments that are constants of ours, to our names."""
        own = {"decay": "momentum"} if self.name == "trace" else {}
        return {theirs: ours for theirs, ours in (_NAMES | own).items() if theirs in self.arguments}

    def again(self, changes: dict[str, Any]) -> Any:
        """The transformation, with other constants by our names."""
        own = {theirs: changes[ours] for theirs, ours in self.names.items() if ours in changes}
        return self.function(**{**self.arguments, **own})


_MADE: dict[int, Made] = {}
_ALIVE: list[Any] = []


def install() -> None:
    """Note the calls of optax from now on."""
    for name in _WATCHED:
        if hasattr(optax, name):
            setattr(optax, name, _noting(getattr(optax, name), name))
    inject = optax.inject_hyperparams

    @functools.wraps(inject)
    def injected(factory: Any, *args: Any, **kwargs: Any) -> Any:
        name = getattr(factory, "__name__", "")
        plain = getattr(factory, "__wrapped__", factory)
        return _noting(inject(plain, *args, **kwargs), name, plain)

    optax.inject_hyperparams = injected


def _noting(original: Any, name: str, function: Any = None) -> Any:
    """A function of optax that notes its calls.

    Args:
        function: one with the same arguments that makes it again, where it is not that.
    """
    again = function or original

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        _ALIVE.append(made)
        if name == "chain":
            _MADE[id(made)] = Made(name, again, {}, args)
        else:
            bound = inspect.signature(again).bind(*args, **kwargs)
            stated = list(bound.arguments)
            bound.apply_defaults()
            _MADE[id(made)] = Made(name, again, dict(bound.arguments), (), stated)
            CALLS.put(made, stated)
        return made

    return call


def made_by(transformation: Any) -> Made | None:
    """The call that made a transformation; None if it was not seen."""
    return _MADE.get(id(transformation))


def chain_of(transformation: Any) -> list[Made]:
    """The calls of a chain in their order, without those that move nothing; scales one after the
    other are one learning rate."""
    made = _MADE.get(id(transformation))
    if made is None:
        return [Made("", None, {})]
    if made.name == "chain":
        return _joined([part for p in made.parts for part in chain_of(p)])
    if made.name == "masked":
        of_mask = chain_of(made.arguments["inner"])
        if [one.name for one in of_mask] != ["add_decayed_weights"]:
            return [Made("", None, {})]
        (decay,) = of_mask
        given = decay.arguments | {"mask": made.arguments["mask"]}
        return [Made(decay.name, decay.function, given, (), decay.stated)]
    if made.name in _AROUND:
        inner = made.arguments.get("inner")
        return [] if inner is None else chain_of(inner)
    return [made]


def _joined(parts: list[Made]) -> list[Made]:
    found: list[Made] = []
    for one in parts:
        if one.name not in _RATES:
            found.append(one)
            continue
        factor = _factor(one)
        if found and found[-1].name == "scale_by_learning_rate":
            factor = _product(factor, _factor(found.pop()))
        arguments = {"learning_rate": _negative(factor), "flip_sign": True}
        stated = ["learning_rate"]
        rate = optax.scale_by_learning_rate.__wrapped__
        found.append(Made("scale_by_learning_rate", rate, arguments, (), stated))
    return found


def _factor(one: Made) -> Any:
    """Factor of the updates: a number, or a function of the step."""
    if one.name == "scale_by_learning_rate":
        rate = one.arguments["learning_rate"]
        return _negative(rate) if one.arguments["flip_sign"] else rate
    return one.arguments["step_size" if one.name == "scale" else "step_size_fn"]


def _product(one: Any, other: Any) -> Any:
    if callable(one) or callable(other):
        return lambda step: _at(one, step) * _at(other, step)
    return one * other


def _at(rate: Any, step: Any) -> Any:
    return rate(step) if callable(rate) else rate


def _negative(rate: Any) -> Any:
    return (lambda step: -rate(step)) if callable(rate) else -rate


def constants_of(
    transformation: Any, found: Recipe, decayed: Callable[[Any], str]
) -> dict[str, Any]:
    """The constants of an optimizer in our words; what it states goes to the recipe.

    Args:
        decayed: words for the weights that a mask leaves out of a decay.
    """
    constants: dict[str, Any] = {"kind": "", "weight_decay": 0.0}
    for made in chain_of(transformation):
        if made.name in _GROUPS:
            constants |= _of_groups(made, found, decayed)
            continue
        _read(made, constants, found)
        if constants.get("weight_decay") and "weight_decay" in made.arguments:
            constants["undecayed"] = decayed(made.arguments.get("mask"))
    constants["kind"] = constants.pop("unread", constants["kind"])
    if not constants["kind"] and "learning_rate" in constants:
        constants["kind"] = "sgd"
    return constants


def _of_groups(made: Made, found: Recipe, decayed: Callable[[Any], str]) -> dict[str, Any]:
    """Constants of groups of weights that differ in their rates, or in having a decay."""
    transforms = made.arguments["transforms"]
    groups = {
        label: constants_of(one, Recipe(), decayed)
        for label, one in transforms.items()
        if _MADE.get(id(one)) is not None
    }
    plain = [{k: v for k, v in one.items() if k not in _OF_GROUP} for one in groups.values()]
    rates = [one.get("learning_rate") for one in groups.values()]
    numbers = [float(rate) for rate in rates if isinstance(rate, int | float)]
    kept = [label for label, one in groups.items() if one["weight_decay"]]
    decays = {groups[label]["weight_decay"] for label in kept}
    alike = len(numbers) == len(transforms) and all(one == plain[0] for one in plain)
    if not alike or len(decays) > 1:
        return {"unread": "unread:groups of weights"}
    main = kept[0] if kept else next(iter(groups))
    constants_of(transforms[main], found, decayed)
    apart: dict[str, Any] = {}
    if len(set(numbers)) > 1:
        apart["rates_of_groups"] = sorted(set(numbers))
    labels = made.arguments["param_labels"]
    if kept and len(kept) < len(groups) and callable(labels):
        apart["undecayed"] = decayed(
            lambda values: {name: label in kept for name, label in labels(values).items()}
        )
    return groups[main] | {"learning_rate": max(numbers)} | apart


_OF_GROUP = ("learning_rate", "weight_decay", "decay_form", "undecayed", "nesterov")


def _read(made: Made, constants: dict[str, Any], found: Recipe) -> None:
    names = made.names
    if made.name in _CLIPPING:
        word, argument = _CLIPPING[made.name]
        constants |= {"clipping": word, "clipping_limit": float(made.arguments[argument])}
        found.optimizer_stated.append("clipping")
    elif made.name == "add_decayed_weights":
        ahead, rate = not constants["kind"], "learning_rate" in constants
        constants["weight_decay"] = float(made.arguments["weight_decay"])
        form = "after the step" if rate else "decoupled"
        constants["decay_form"] = "coupled" if ahead else form
        found.optimizer_stated.append("weight_decay")
    elif made.name in _RATES:
        constants["learning_rate"] = made.arguments["learning_rate"]
        found.optimizer_stated.append("learning_rate")
    elif made.name in _KINDS:
        kind = constants["kind"] = _KINDS[made.name]
        constants |= {names[k]: v for k, v in made.arguments.items() if k in names}
        if made.name in ("adamw", "lion"):
            constants["decay_form"] = "decoupled"
        if kind == "adam":
            constants |= {"epsilon_form": "paper", "amsgrad": False}
            if made.name != "adamw":
                constants.pop("nesterov", None)
        if kind == "adamax":
            constants["epsilon_form"] = "within the maximum"
        if kind == "nadam":
            constants["momentum_decay"] = "none"
        if kind == "adagrad":
            constants["epsilon_in_root"] = True
        found.optimizer_stated += [names.get(s, s) for s in made.stated]
    else:
        averages = "an average of the updates (optax.ema)"
        own = averages if made.name == "ema" else "a transformation of its own"
        constants["unread"] = f"unread:{own}"
    constants.setdefault("weight_decay", 0.0)
