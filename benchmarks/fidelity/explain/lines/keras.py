"""Lines of Keras (siblings: torch, flax)."""

from __future__ import annotations

import msgspec

from benchmarks.fidelity.explain.lines import losses
from benchmarks.fidelity.explain.lines.layers.keras import function as function
from benchmarks.fidelity.explain.lines.layers.keras import held as held
from benchmarks.fidelity.explain.lines.layers.keras import l2 as l2
from benchmarks.fidelity.explain.lines.layers.keras import layer as layer
from benchmarks.fidelity.explain.lines.schedules.keras import schedule as schedule
from frameworks.spec.recipe import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    Optimizer,
    Recipe,
    RMSprop,
    decay,
)


def loss(recipe: Recipe) -> str:
    """The loss of a batch, without class weights."""
    return losses.keras(recipe.loss)


def weighted_loss(recipe: Recipe) -> str:
    """The loss of a batch with class weights, divided as stated."""
    return losses.keras_weighted(recipe)


def optimizer(spec: Optimizer) -> str:
    """The optimizer with every constant, in the form stated."""
    rate = f"learning_rate={float(spec.rate)!r}"
    match spec:
        case SGD():
            more = f"momentum={float(spec.momentum or 0)!r}, nesterov={spec.nesterov}"
            return _decayed(spec, "SGD", f"{rate}, {more}")
        case Adamax():
            more = f"beta_1={spec.beta_1:.10g}, beta_2={spec.beta_2:.10g}, epsilon={spec.epsilon:g}"
            if not spec.epsilon_in_norm:
                return f"optimizer = keras.optimizers.Adamax({rate}, {more})"
            return f"""class InNormAdamax(keras.optimizers.Optimizer):
    def build(self, variables):
        super().build(variables)
        self.m, self.u = self.add_optimizer_variables(variables, ["m", "u"])
    def update_step(self, gradient, variable, learning_rate):
        place, t = self._get_variable_index(variable), self.iterations + 1
        m, u = self.m[place], self.u[place]
        m.assign({spec.beta_1:.10g} * m + {1 - spec.beta_1:.10g} * gradient)
        size = keras.ops.abs(gradient) + {spec.epsilon:g}
        u.assign(keras.ops.maximum({spec.beta_2:.10g} * u, size))
        corrected = m / (1 - keras.ops.power({spec.beta_1:.10g}, keras.ops.cast(t, m.dtype)))
        variable.assign_sub(learning_rate * corrected / u)
optimizer = InNormAdamax({rate})"""
        case Adam() | AdamW():
            name = type(spec).__name__
            betas = f"beta_1={spec.beta_1:.10g}, beta_2={spec.beta_2:.10g}"
            more = f", weight_decay={spec.weight_decay:g}" if isinstance(spec, AdamW) else ""
            more += ", amsgrad=True" if spec.amsgrad else ""
            inner = f"{rate}, {betas}, epsilon={spec.epsilon:g}{more}"
            if spec.epsilon_form == "hat":
                return _decayed(spec, name, inner)
            arguments = f"({inner})"
            if decay(spec)[0] and isinstance(spec, Adam):
                paper = msgspec.structs.replace(spec, weight_decay=None)
                return _decayed(spec, name, inner, optimizer(paper).rpartition("\noptimizer")[0])
            return f"""class Paper{name}(keras.optimizers.{name}):
    def update_step(self, gradient, variable, learning_rate):
        epsilon, t = self.epsilon, keras.ops.cast(self.iterations + 1, variable.dtype)
        self.epsilon = epsilon * keras.ops.sqrt(1 - keras.ops.power({spec.beta_2:.10g}, t))
        super().update_step(gradient, variable, learning_rate)
        self.epsilon = epsilon
optimizer = Paper{name}{arguments}"""
        case Lion():
            more = f"beta_1={spec.beta_1:.10g}, beta_2={spec.beta_2:.10g}"
            more += f", weight_decay={spec.weight_decay:g}" if spec.weight_decay else ""
            return f"optimizer = keras.optimizers.Lion({rate}, {more})"
        case Adadelta():
            more = f"rho={spec.rho:.10g}, epsilon={spec.epsilon:g}"
            return f"optimizer = keras.optimizers.Adadelta({rate}, {more})"
        case Adagrad():
            more = f"initial_accumulator_value={spec.initial_accumulator:g}"
            slot, step = "_accumulators", "s + gradient**2"
        case RMSprop():
            more, slot = f"rho={spec.rho:.10g}", "_velocities"
            if spec.momentum or spec.centered:
                return _rmsprop(spec, rate)
            step = f"{spec.rho:.10g} * s + {1 - (spec.rho or 0):.10g} * gradient**2"
    name, arguments = type(spec).__name__, f"({rate}, {more}, epsilon={spec.epsilon:g})"
    if spec.epsilon_in_root:
        return f"optimizer = keras.optimizers.{name}{arguments}"
    return f"""class Outside{name}(keras.optimizers.{name}):
    def update_step(self, gradient, variable, learning_rate):
        s = self.{slot}[self._get_variable_index(variable)]
        s.assign({step})
        variable.assign_sub(learning_rate * gradient / (keras.ops.sqrt(s) + self.epsilon))
optimizer = Outside{name}{arguments}"""


def _rmsprop(spec: RMSprop, rate: str) -> str:
    """RMSprop with momentum or centred, in the form stated."""
    momentum, epsilon = float(spec.momentum or 0), f"{spec.epsilon:g}"
    more = f"rho={spec.rho:.10g}, momentum={momentum!r}, epsilon={epsilon}"
    more += f", centered={spec.centered}"
    inside = not momentum or spec.momentum_form == "rate_inside"
    if spec.epsilon_in_root and inside:
        return f"optimizer = keras.optimizers.RMSprop({rate}, {more})"
    square = "s - m**2" if spec.centered else "s"
    root = f"keras.ops.sqrt({square}) + {epsilon}"
    if spec.epsilon_in_root:
        root = f"keras.ops.sqrt({square} + {epsilon})"
    before, after = ("learning_rate * ", "") if inside else ("", "learning_rate * ")
    rest = f"{1 - (spec.rho or 0):.10g}"
    return f"""class OtherRMSprop(keras.optimizers.Optimizer):
    def build(self, variables):
        super().build(variables)
        self.slots = self.add_optimizer_variables(variables, ["s", "m", "v"])
    def update_step(self, gradient, variable, learning_rate):
        s, m, v = (slot[self._get_variable_index(variable)] for slot in self.slots)
        s.assign({spec.rho:.10g} * s + {rest} * gradient**2)
        m.assign({spec.rho:.10g} * m + {rest} * gradient)
        v.assign({momentum!r} * v + {before}gradient / ({root}))
        variable.assign_sub({after}v)
optimizer = OtherRMSprop({rate})"""


def _decayed(spec: Adam | AdamW | SGD, name: str, arguments: str, ahead: str = "") -> str:
    """The optimizer with the weight decay stated.

    ahead: the class that it is of, where it is not Keras' own.
    """
    share, form = decay(spec)
    own = f"Paper{name}" if ahead else f"keras.optimizers.{name}"
    first = f"{ahead}\n" if ahead else ""
    if not share or isinstance(spec, AdamW):
        return f"{first}optimizer = {own}({arguments})"
    if form == "decoupled":
        return f"{first}optimizer = {own}({arguments}, weight_decay={share:g})"
    return f"""{first}class Coupled({own}):
    def apply(self, gradients, variables=None):
        if variables is None:
            variables = self._trainable_variables
        pairs = zip(gradients, variables)
        super().apply([g + {share:g} * v for g, v in pairs], variables)
optimizer = Coupled({arguments})"""


def new_rate(spec: SGD) -> str:
    """Going on with another rate, `new` after `old`, in the velocity form stated."""
    if spec.velocity_form == "rate_inside":
        return "optimizer.learning_rate = new"
    return """for velocity in optimizer.momentums:
    velocity.assign(velocity * (new / old))
optimizer.learning_rate = new"""
