"""Loss, optimizer and schedule of a JAX program: what optax's functions were called with."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
from flax.training.dynamic_scale import DynamicScale

from benchmarks.port.operation import PortError, Recipe
from benchmarks.port.readers import optax_chain
from benchmarks.port.readers.calls import CALLS
from benchmarks.port.readers.optax_chain import chain_of, constants_of, made_by
from benchmarks.port.readers.program import PROBED, listed, scale_words, targets

_LOSSES = {
    "softmax_cross_entropy_with_integer_labels": ("cross_entropy", "sparse"),
    "softmax_cross_entropy": ("cross_entropy", "one_hot"),
    "sigmoid_binary_cross_entropy": ("binary_cross_entropy", "binary"),
}
_FORMS = ("sparse", "one_hot", "binary")


def _groups(optimizer: Any) -> Any:
    """The optax.MultiSteps that an optimizer is, or was made by; None of another one."""
    made = getattr(getattr(optimizer, "update", None), "__self__", None)
    return made if isinstance(made, optax.MultiSteps) else None


def _number(groups: Any) -> Any:
    """The batches of a step; in words where the number changes."""
    every = {int(groups._every_k_schedule(step)) for step in PROBED}
    return every.pop() if len(every) == 1 else "a number that changes with the step"


_GROUPED: dict[Any, Any] = {}  # by MultiSteps, the transformation that it was given


def install() -> None:
    """Note the calls of optax from now on."""
    optax_chain.install()
    begin = optax.MultiSteps.__init__

    def noted(self: Any, opt: Any, *args: Any, **kwargs: Any) -> None:
        _GROUPED[self] = opt
        begin(self, opt, *args, **kwargs)

    optax.MultiSteps.__init__ = noted


class Training:
    """Loss, optimizer and schedule of a program; each part may be None.

    loss: a function of (outputs, labels). optimizer: a transformation of optax, an nnx.Optimizer,
    or a function without arguments that makes one. average: optax.ema, given the weights after
    each step. scale: a DynamicScale of flax.training. The program's own steps have it; a comparison
    in float64, where it moves nothing, leaves it out.
    """

    def __init__(
        self,
        loss: Any,
        optimizer: Any,
        schedule: Any = None,
        average: Any = None,
        scale: Any = None,
    ) -> None:
        self.loss, self.schedule = loss, schedule
        self.average, self.scale = average, scale
        if optimizer is not None and not hasattr(optimizer, "update"):
            optimizer = optimizer()
        optimizer = getattr(optimizer, "tx", optimizer)
        self.groups = _groups(optimizer)
        self.accumulation = 1 if self.groups is None else _number(self.groups)
        self.optimizer = optimizer if self.groups is None else _GROUPED[self.groups]
        self.targets = ""  # the form that the other program's loss takes
        self.changes: dict[str, Any] = {}
        self.largest: float | None = None  # rate of a schedule
        self.rate: Callable[[int], float] = lambda _: 0.0  # by step

    def loss_of(self, out: Any, labels: np.ndarray) -> Any:
        """The loss of a batch; what gives one number for each picture is averaged."""
        return self.mean(out, targets(labels, tuple(out.shape), self.form_for(out, labels)))

    def mean(self, out: Any, truth: Any) -> Any:
        """The loss of outputs and of targets in the form that it takes."""
        found = self.loss(out, jnp.asarray(truth))
        return found.mean() if found.ndim else found

    def form_for(self, out: Any, labels: np.ndarray) -> str:
        """The form of targets that the loss takes: sparse, one_hot or binary, the first that runs.

        Raises:
            Exception: whatever the loss raises for the last of them.
        """
        known = _LOSSES.get(getattr(self.loss, "__name__", ""), ("", ""))[1]
        *forms, last = [known] if known else [*filter(None, [self.targets]), *_FORMS]
        for form in forms:
            with contextlib.suppress(ValueError, TypeError, AssertionError):
                self.mean(out, targets(labels, tuple(out.shape), form))
                return form
        return last

    def made(self, *, scheduled: bool) -> Any:
        """The transformation with its changes, at the largest rate of its schedule unless
        `scheduled`."""
        if self.optimizer is None:
            raise PortError("the program has no optimizer; name one with --optimizer", status=4)
        changes = dict(self.changes)
        if scheduled and self.schedule is not None:
            changes["learning_rate"] = self.schedule
        elif self.largest is not None and not scheduled:
            changes.setdefault("learning_rate", self.largest)
        if changes.keys() <= {"accumulation"}:
            return self._grouped(self.optimizer)
        parts = [made.again(changes) for made in chain_of(self.optimizer)]
        return self._grouped(optax.chain(*parts))

    def _grouped(self, made: Any) -> Any:
        """The transformation, stepping once in as many batches as the program's or as is set."""
        count = int(self.changes.get("accumulation", self.accumulation) or 1)
        if self.groups is None:
            return optax.MultiSteps(made, count) if count > 1 else made
        mean, every = self.groups._use_grad_mean, self.groups._every_k_schedule
        every = count if "accumulation" in self.changes else every
        return optax.MultiSteps(made, every, mean, self.groups._should_skip_update_fn)

    def fresh(self, parameters: dict[str, Any]) -> Any:
        """A function (gradients, parameters) to the next parameters, by a fresh optimizer."""
        optimizer = self.made(scheduled=False)
        state = [optimizer.init(parameters)]

        def step(gradients: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
            updates, state[0] = optimizer.update(gradients, state[0], values)
            made: dict[str, Any] = optax.apply_updates(values, updates)
            return made

        return step

    def change(self, constant: str, value: Any) -> bool:
        """Set a constant of the optimizer; False where it has none of that name."""
        if constant == "accumulation":
            self.changes[constant] = value
            return True
        chain = chain_of(self.optimizer)
        if any(made.function is None or "transforms" in made.arguments for made in chain):
            return False
        if any(constant in made.names.values() for made in chain):
            self.changes[constant] = value
            return True
        return False

    def recipe(self, values: dict[str, Any], roles: dict[str, str]) -> Recipe:
        """Loss, optimizer and rates, in the words of all frameworks.

        Args:
            values: trained weights. roles: of weights, both by name.
        """
        found = Recipe()
        if self.loss is not None:
            name = getattr(self.loss, "__name__", type(self.loss).__name__)
            kind, found.loss_targets = _LOSSES.get(name, (f"unread:{name}", ""))
            found.loss = {"kind": kind}
            if not kind.startswith("unread:"):
                found.loss |= {"takes": "logits", "reduction": "mean", "class_weights": None}
            if kind == "cross_entropy":
                found.loss["label_smoothing"] = 0.0
        if self.optimizer is None:
            return found

        def decayed(mask: Any) -> str:
            kept = mask(values) if callable(mask) else {}
            return listed({roles.get(k, "") for k in values if callable(mask) and not kept[k]})

        constants = constants_of(self.optimizer, found, decayed)
        rate = constants.get("learning_rate")
        schedule = self.schedule or (rate if callable(rate) else None)
        if schedule is not None:
            self.rate = lambda step: float(schedule(step))
            found.rates = {n: self.rate(n) for n in PROBED}
            constants["learning_rate"] = self.largest = max(found.rates.values())
        else:
            self.rate = lambda _: float(rate or 0.0)
        kinds = {"momentum": 0.0, "nesterov": False}
        if constants["kind"] == "rmsprop":
            constants.pop("nesterov", None)
            constants["momentum"] = constants.get("momentum") or 0.0
        if constants["kind"] == "sgd":
            constants |= {k: constants.get(k) or v for k, v in kinds.items()}
            if constants["momentum"]:
                constants["velocity_form"] = "rate_outside"
        told = self._around()
        constants |= told
        found.optimizer_stated += [*told]
        found.optimizer = {k: float(v) if type(v) is int else v for k, v in constants.items()}
        found.optimizer_stated = sorted(set(found.optimizer_stated) & set(found.optimizer))
        found.optimizer_where = CALLS.of(self.optimizer).where
        return found

    def _around(self) -> dict[str, Any]:
        """The constants of groups of batches, averages of the weights and a scaled loss.

        Raises:
            PortError: the averages are not made by optax.ema, or the scale is no DynamicScale.
        """
        found: dict[str, Any] = {}
        if self.accumulation != 1:
            found["accumulation"] = self.accumulation
            if self.groups is not None and not self.groups._use_grad_mean:
                found["accumulation_sums"] = True
        if self.average is not None:
            made = made_by(self.average)
            if made is None or made.name != "ema":
                kind = type(self.average).__name__
                raise PortError(f"average_weights is a {kind}; give optax.ema(decay)")
            start = "debiased" if made.arguments["debias"] else "zero"
            decay = float(made.arguments["decay"])
            found |= {"average_weights": decay, "average_start": start}
        if self.scale is not None:
            if not isinstance(self.scale, DynamicScale):
                kind = type(self.scale).__name__
                raise PortError(f"loss_scale is a {kind}; give a flax.training DynamicScale")
            factors = float(self.scale.growth_factor), float(self.scale.backoff_factor)
            found |= scale_words(self.scale.scale, self.scale.growth_interval, *factors)
        return found
