"""Keras optimizers of a recipe, and their state in canonical form.

Keras' own wherever they can express the recipe; Adam in the paper's form is a subclass.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from frameworks.keras.activations import constant
from frameworks.spec import recipe as recipes
from frameworks.spec.clipping import ByGlobalNorm, ByValue, Clipping
from frameworks.spec.reading import SpecificationError

# canonical slot -> attribute of the Keras optimizer, a list in the order of its variables
SLOTS: dict[str, dict[str, str]] = {
    "adam": {"first_moment": "_momentums", "second_moment": "_velocities"},
    "adamw": {"first_moment": "_momentums", "second_moment": "_velocities"},
    "adadelta": {
        "mean_square": "_accumulated_grads",
        "mean_square_update": "_accumulated_delta_vars",
    },
    "adagrad": {"accumulator": "_accumulators"},
    "sgd": {"velocity": "momentums"},
    "rmsprop": {"mean_square": "_velocities"},
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
        epsilon = constant(self.epsilon, dtype) * root
        self.assign_sub(variable, m * alpha / (ops.sqrt(v) + epsilon))

    def _parallel_update_step(
        self: Any, gradients: Any, variables: Any, learning_rate: Any
    ) -> None:
        """Keras' step for all variables at once, which it has on PyTorch."""
        epsilon, dtype = self.epsilon, variables[0].dtype
        root = ops.sqrt(self._correction(self.beta_2, dtype))
        self.epsilon = constant(epsilon, dtype) * root
        try:
            super()._parallel_update_step(gradients, variables, learning_rate)  # type: ignore[misc]
        finally:
            self.epsilon = epsilon

    def _correction(self: Any, beta: float, dtype: Any) -> Any:
        """1 - beta^t at this step, without the cancellation that costs float32 three digits."""
        step = ops.cast(self.iterations + 1, dtype)
        return -ops.expm1(step * constant(math.log(beta), dtype))


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


def make(spec: recipes.Optimizer, clipping: Clipping | None = None) -> keras.optimizers.Optimizer:
    """The optimizer of a recipe whose fields are all stated."""
    lr = spec.rate
    options = clip(clipping)
    if isinstance(spec, recipes.SGD):
        return keras.optimizers.SGD(lr, momentum=spec.momentum, nesterov=spec.nesterov, **options)
    if isinstance(spec, recipes.Adam | recipes.AdamW):
        options |= {"beta_1": spec.beta_1, "beta_2": spec.beta_2, "epsilon": spec.epsilon}
        paper = spec.epsilon_form == "paper"
        if isinstance(spec, recipes.AdamW):
            # a NumPy scalar: Keras casts it, and a Python float would pass through float32
            options["weight_decay"] = np.float64(spec.weight_decay or 0.0)
            kind = keras.optimizers.AdamW
            return (_paper(kind) if paper else kind)(lr, **options)
        kind = keras.optimizers.Adam
        return (_paper(kind) if paper else kind)(lr, **options)
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
    return keras.optimizers.RMSprop(lr, rho=spec.rho, epsilon=spec.epsilon, **options)


def set_learning_rate(
    optimizer: keras.optimizers.Optimizer, spec: recipes.Optimizer, rate: Any
) -> None:
    """Change the learning rate from the next step on; the rate may be a tensor of a compiled step.

    Keras keeps the rate inside the velocity. With "rate_outside", V = -rate * v: going on from v
    under a new rate is going on from V * new / old.
    """
    if isinstance(spec, recipes.SGD) and spec.momentum and spec.velocity_form == "rate_outside":
        ratio = rate / ops.convert_to_tensor(optimizer.learning_rate)
        for velocity in optimizer.momentums:
            velocity.assign(ops.multiply(velocity, ops.cast(ratio, velocity.dtype)))
    optimizer.learning_rate.assign(rate)


def slots(spec: recipes.Optimizer) -> dict[str, str]:
    """Canonical slot names of an optimizer, and Keras' attributes; plain SGD has none."""
    if isinstance(spec, recipes.SGD) and not spec.momentum:
        return {}
    return SLOTS[str(spec.__struct_config__.tag)]


def velocity_factor(spec: recipes.Optimizer, rate: float) -> float:
    """Canonical slot = factor * Keras' slot: its velocity carries the negative rate."""
    return -1 / rate if isinstance(spec, recipes.SGD) else 1.0
