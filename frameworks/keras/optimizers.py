"""Keras optimizers of a recipe, and their state in canonical form.

Keras' own wherever they can express the recipe; Adam in the paper's form is a subclass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from frameworks.keras.activations import constant
from frameworks.spec import recipe as recipes
from frameworks.spec.averages import AverageWeights
from frameworks.spec.clipping import ByGlobalNorm, ByValue, Clipping
from frameworks.spec.loss_scale import LossScale
from frameworks.spec.reading import SpecificationError

# canonical slot -> attribute of the Keras optimizer, a list in the order of its variables
SLOTS: dict[str, dict[str, str]] = {
    "adam": {
        "first_moment": "_momentums",
        "second_moment": "_velocities",
        "largest_second_moment": "_velocity_hats",
    },
    "adamw": {
        "first_moment": "_momentums",
        "second_moment": "_velocities",
        "largest_second_moment": "_velocity_hats",
    },
    "adamax": {"first_moment": "_m", "largest_gradient": "_u"},
    "lion": {"first_moment": "_momentums"},
    "adadelta": {
        "mean_square": "_accumulated_grads",
        "mean_square_update": "_accumulated_delta_vars",
    },
    "adagrad": {"accumulator": "_accumulators"},
    "sgd": {"velocity": "momentums"},
    "rmsprop": {
        "mean_square": "_velocities",
        "mean_gradient": "_average_gradients",
        "velocity": "_momentums",
    },
}


class _PaperForm:
    """Mixin: Kingma & Ba 2015, algorithm 1: epsilon is added after the bias correction.

    Keras adds it before: alpha * m / (sqrt(v) + e), alpha = rate * sqrt(1 - b2^t) / (1 - b1^t).
    With e * sqrt(1 - b2^t) in place of e it is the paper's, in as many passes over the weights as
    Keras' own step. Constants enter in the variable's dtype: Keras passes the betas through
    float32, also in float64.
    """

    def update_step(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
        dtype = variable.dtype
        gradient = ops.cast(gradient, dtype)
        beta_1, beta_2 = constant(self.beta_1, dtype), constant(self.beta_2, dtype)
        root = ops.sqrt(self._correction(self.beta_2, dtype))
        alpha = ops.cast(learning_rate, dtype) * root / self._correction(self.beta_1, dtype)
        m = self._momentums[self._get_variable_index(variable)]
        v = self._velocities[self._get_variable_index(variable)]
        self.assign_add(m, (gradient - m) * (1 - beta_1))
        self.assign_add(v, (ops.square(gradient) - v) * (1 - beta_2))
        if self.amsgrad:
            largest = self._velocity_hats[self._get_variable_index(variable)]
            self.assign(largest, ops.maximum(largest, v))
            v = largest
        epsilon = constant(self.epsilon, dtype) * root
        self.assign_sub(variable, m * alpha / (ops.sqrt(v) + epsilon))

    def _parallel_update_step(
        self: Any, gradients: Any, variables: Any, learning_rate: Any
    ) -> None:
        """Keras' step for all variables at once, which it has on PyTorch."""
        epsilon, dtype = self.epsilon, variables[0].dtype
        root = ops.sqrt(self._correction(self.beta_2, dtype))
        # one for each variable: of a single tensor PyTorch would wait for the number on the host
        self.epsilon = [constant(epsilon, dtype) * root] * len(variables)
        try:
            super()._parallel_update_step(gradients, variables, learning_rate)  # type: ignore[misc]
        finally:
            self.epsilon = epsilon

    def _correction(self: Any, beta: float, dtype: Any) -> Any:
        """1 - beta^t at this step, without the cancellation that costs float32 three digits."""
        step = ops.cast(self.iterations + 1, dtype)
        return -ops.expm1(step * constant(math.log(beta), dtype))


class _Coupled:
    """Mixin: weight decay joins the gradient, after it was clipped, as PyTorch has it."""

    share = 0.0

    def _backend_update_step(self: Any, gradients: Any, variables: Any, learning_rate: Any) -> None:
        decayed = [
            gradient + ops.multiply(ops.stop_gradient(variable.value), self.share)
            if self._use_weight_decay(variable)
            else gradient
            for gradient, variable in zip(gradients, variables, strict=True)
        ]
        super()._backend_update_step(decayed, variables, learning_rate)  # type: ignore[misc]


def _coupled(kind: type, share: float) -> type:
    """The optimizer with coupled decay; a NumPy scalar: a Python float would pass through
    float32."""
    own = {"share": np.float64(share) if keras.config.floatx() == "float64" else share}
    return type(f"Coupled{kind.__name__}", (_Coupled, type(kind())), own)


class _EpsilonInNorm:
    """Mixin: Adamax with epsilon added to the size of the gradient, as PyTorch and optax do."""

    def _backend_update_step(self: Any, gradients: Any, variables: Any, learning_rate: Any) -> None:
        for gradient, variable in zip(gradients, variables, strict=True):
            self.update_step(gradient, variable, learning_rate)

    def update_step(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
        dtype = variable.dtype
        gradient, rate = ops.cast(gradient, dtype), ops.cast(learning_rate, dtype)
        beta_1, beta_2 = constant(self.beta_1, dtype), constant(self.beta_2, dtype)
        step = ops.cast(self.iterations + 1, dtype)
        correction = -ops.expm1(step * constant(math.log(self.beta_1), dtype))
        m, u = (slot[self._get_variable_index(variable)] for slot in (self._m, self._u))
        self.assign_add(m, (gradient - m) * (1 - beta_1))
        size = ops.abs(gradient) + constant(self.epsilon, dtype)
        self.assign(u, ops.maximum(beta_2 * u, size))
        self.assign_sub(variable, rate * m / (correction * u))


def _paper(kind: type) -> type:
    """Keras' optimizer in the paper's form.

    Of the class that Keras answers with: on PyTorch, one that updates all variables at once.
    """
    return type(f"Paper{kind.__name__}", (_PaperForm, type(kind())), {})


def clip(clipping: Clipping | None) -> dict[str, Any]:
    """The options of an optimizer that hold the gradients within the limit.

    Raises:
        SpecificationError: an epsilon, which Keras does not add to a norm.
    """
    if clipping is None:
        return {}
    if isinstance(clipping, ByValue):
        return {"clipvalue": clipping.limit}
    if clipping.epsilon:
        raise SpecificationError(
            f"clipping '{clipping.__struct_config__.tag}': Keras adds no epsilon to a norm; state "
            "epsilon = 0."
        )
    name = "global_clipnorm" if isinstance(clipping, ByGlobalNorm) else "clipnorm"
    return {name: clipping.limit}


def _decay(share: float) -> Any:
    """The share as Keras' optimizers take it: a Python float would pass through float32.

    A NumPy scalar, which Keras casts; on PyTorch a tensor, as a NumPy scalar times a variable reads
    the variable back.
    """
    on_torch = keras.backend.backend() == "torch"
    return constant(share, "float64") if on_torch else np.float64(share)


def make(
    spec: recipes.Optimizer, clipping: Clipping | None = None, accumulation: int = 1
) -> keras.optimizers.Optimizer:
    """The optimizer of a recipe whose fields are all stated."""
    lr = spec.rate
    options = clip(clipping)
    if accumulation > 1:
        options["gradient_accumulation_steps"] = accumulation
    share, form = recipes.decay(spec)
    coupled = bool(share) and form == "coupled"
    if share and not coupled:
        options["weight_decay"] = _decay(share)
    kind: Any
    if isinstance(spec, recipes.SGD):
        kind = keras.optimizers.SGD
        kind = _coupled(kind, share) if coupled else kind
        return kind(lr, momentum=spec.momentum, nesterov=spec.nesterov, **options)
    if isinstance(spec, recipes.Lion):
        return keras.optimizers.Lion(lr, beta_1=spec.beta_1, beta_2=spec.beta_2, **options)
    if isinstance(spec, recipes.Adamax):
        kind = keras.optimizers.Adamax
        if spec.epsilon_in_norm:
            kind = type("AdamaxInNorm", (_EpsilonInNorm, type(kind())), {})
        betas = {"beta_1": spec.beta_1, "beta_2": spec.beta_2}
        return kind(lr, **betas, epsilon=spec.epsilon, **options)
    if isinstance(spec, recipes.Adam | recipes.AdamW):
        options |= {"beta_1": spec.beta_1, "beta_2": spec.beta_2, "epsilon": spec.epsilon}
        if spec.amsgrad:
            if spec.amsgrad_form == "corrected":
                raise SpecificationError(
                    f"optimizer '{spec.__struct_config__.tag}': Keras takes the largest of the raw "
                    'moments; state amsgrad_form = "raw".'
                )
            options["amsgrad"] = True
        if isinstance(spec, recipes.AdamW):
            options.setdefault("weight_decay", _decay(0.0))
        kind = keras.optimizers.AdamW if isinstance(spec, recipes.AdamW) else keras.optimizers.Adam
        kind = _paper(kind) if spec.epsilon_form == "paper" else kind
        return (_coupled(kind, share) if coupled else kind)(lr, **options)
    if isinstance(spec, recipes.Adadelta):
        return keras.optimizers.Adadelta(lr, rho=spec.rho, epsilon=spec.epsilon, **options)
    if not spec.epsilon_in_root:
        raise SpecificationError(
            f"optimizer '{spec.__struct_config__.tag}': Keras adds epsilon under the root; "
            "state epsilon_in_root = true."
        )
    if isinstance(spec, recipes.Adagrad):
        return keras.optimizers.Adagrad(
            lr,
            initial_accumulator_value=spec.initial_accumulator,
            epsilon=spec.epsilon,
            **options,
        )
    options |= {"centered": spec.centered, "momentum": spec.momentum or 0.0}
    return keras.optimizers.RMSprop(lr, rho=spec.rho, epsilon=spec.epsilon, **options)


class _Averaging:
    """Mixin: averages of the weights. Keras' own use_ema has them ahead of a constraint and, of an
    accumulation, of every batch; and the end of a `fit` leaves them in the weights' place."""

    spec: AverageWeights

    def build(self: Any, variables: Any) -> None:
        super().build(variables)  # type: ignore[misc]
        self.averages = self.add_optimizer_variables(variables, "average")

    def apply(self: Any, grads: Any, trainable_variables: Any = None) -> None:
        super().apply(grads, trainable_variables)  # type: ignore[misc]
        batches = self.gradient_accumulation_steps or 1
        dtype = self.averages[0].dtype
        step, decay = ops.cast(self.iterations, dtype), constant(self.spec.rate, dtype)
        share = ops.where(ops.equal(step, 1), ops.ones_like(decay), 1 - decay)
        if self.spec.start == "debiased":
            log = constant(math.log(self.spec.rate), dtype)
            share = (decay - 1) / ops.expm1(ops.maximum(step, 1) * log)
        stepped = ops.equal(self._iterations % batches, 0)
        share = ops.where(stepped, share, ops.zeros_like(share))
        for weight, average in zip(self._trainable_variables, self.averages, strict=True):
            self.assign_add(average, share * (weight - average))


def with_average(
    optimizer: keras.optimizers.Optimizer, average: AverageWeights | None
) -> keras.optimizers.Optimizer:
    """The optimizer, which keeps averages of the weights."""
    return optimizer if average is None else _of_kind(optimizer, _Averaging, spec=average)


def _of_kind(optimizer: keras.optimizers.Optimizer, mixin: type, **own: Any) -> Any:
    """The optimizer as one of its class and of the mixin's, with these attributes."""
    name = f"{mixin.__name__.lstrip('_')}{type(optimizer).__name__}"
    object.__setattr__(optimizer, "__class__", type(name, (mixin, type(optimizer)), own))
    return optimizer


class _LayerRates:
    """Mixin: the step of each group of variables at its own share of the rate.

    places: the groups, as places among the trainable variables, by factor.
    """

    places: Mapping[float, Sequence[int]]

    def _backend_update_step(self: Any, gradients: Any, variables: Any, learning_rate: Any) -> None:
        for factor, places in self.places.items():
            those = [variables[place] for place in places]
            own = [gradients[place] for place in places]
            rate = ops.convert_to_tensor(learning_rate)
            rate = ops.multiply(rate, constant(factor, rate.dtype))
            super()._backend_update_step(own, those, rate)  # type: ignore[misc]

    def _apply_weight_decay(self: Any, variables: Any) -> None:
        share = self.weight_decay
        for factor, places in self.places.items() if share is not None else ():
            self.weight_decay = share * factor
            super()._apply_weight_decay([variables[place] for place in places])  # type: ignore[misc]
        self.weight_decay = share


def with_layer_rates(
    optimizer: keras.optimizers.Optimizer, factors: Sequence[float]
) -> keras.optimizers.Optimizer:
    """The optimizer, which multiplies the rate of each trainable variable by its factor."""
    if set(factors) == {1.0}:
        return optimizer
    places: dict[float, list[int]] = {}
    for place, factor in enumerate(factors):
        places.setdefault(factor, []).append(place)
    return _of_kind(optimizer, _LayerRates, places=places)


def with_spared(
    optimizer: keras.optimizers.Optimizer, spec: recipes.Optimizer, variables: Mapping[str, Any]
) -> keras.optimizers.Optimizer:
    """The optimizer, whose weight decay leaves biases and norms alone where the recipe says so.

    variables: all that are trained, by key.
    """
    left = [one for key, one in variables.items() if recipes.spares(spec, key)]
    if left and recipes.decay(spec)[0]:
        optimizer.exclude_from_weight_decay(left)
    return optimizer


def scaled(
    optimizer: keras.optimizers.Optimizer, spec: LossScale | None
) -> keras.optimizers.Optimizer:
    """The optimizer behind Keras' own scaling of the loss, where the recipe has it."""
    if spec is None:
        return optimizer
    return keras.optimizers.LossScaleOptimizer(
        optimizer, initial_scale=spec.initial, dynamic_growth_steps=spec.interval
    )


def inner(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """The optimizer itself, without the scaling of the loss."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def scale_variables(optimizer: keras.optimizers.Optimizer) -> dict[str, keras.Variable]:
    """Canonical names of what the scaling of the loss keeps, and Keras' variables; empty without
    one."""
    if inner(optimizer) is optimizer:
        return {}
    return {"loss_scale": optimizer.dynamic_scale, "finite_steps": optimizer.step_counter}


def set_learning_rate(
    optimizer: keras.optimizers.Optimizer, spec: recipes.Optimizer, rate: Any
) -> None:
    """Change the learning rate from the next step on; the rate may be a tensor of a compiled step.

    Keras keeps the rate inside the velocity. With "rate_outside", V = -rate * v: going on from v
    under a new rate is going on from V * new / old.
    """
    if recipes.velocity_form(spec) == "rate_outside":
        ratio = rate / ops.convert_to_tensor(optimizer.learning_rate)
        for velocity in getattr(inner(optimizer), slots(spec)["velocity"]):
            velocity.assign(ops.multiply(velocity, ops.cast(ratio, velocity.dtype)))
    optimizer.learning_rate.assign(rate)


def slots(spec: recipes.Optimizer) -> dict[str, str]:
    """Canonical slot names of an optimizer, and Keras' attributes."""
    return recipes.kept_slots(spec, SLOTS)


def slot_factor(spec: recipes.Optimizer, slot: str, rate: float) -> float:
    """Canonical slot = factor * Keras' slot: its velocity carries the rate, SGD's the negative."""
    if slot != "velocity":
        return 1.0
    return (-1 if isinstance(spec, recipes.SGD) else 1) / rate
