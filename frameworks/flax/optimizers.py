"""Optax optimizers of a recipe, and their state in canonical form.

Optax' own wherever they can express the recipe; a small one puts Adagrad's epsilon outside the
root. The learning rate is a value in the optimizer's state, so that changing it compiles nothing;
every other hyper-parameter is a constant of the compiled step, in double precision until used.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array

from frameworks.spec import recipe as recipes
from frameworks.spec.averages import AverageWeights
from frameworks.spec.clipping import ByGlobalNorm, ByValue, Clipping
from frameworks.spec.graph import name_at
from frameworks.spec.loss_scale import BACK_OFF, GROWTH, LossScale
from frameworks.spec.reading import SpecificationError

# canonical slot -> field of the state of the optax transformation that keeps it
SLOTS: dict[str, dict[str, str]] = {
    "adam": {"first_moment": "mu", "second_moment": "nu", "largest_second_moment": "nu_max"},
    "adamw": {"first_moment": "mu", "second_moment": "nu", "largest_second_moment": "nu_max"},
    "adamax": {"first_moment": "mu", "largest_gradient": "nu"},
    "lion": {"first_moment": "mu"},
    "adadelta": {"mean_square": "e_g", "mean_square_update": "e_x"},
    "adagrad": {"accumulator": "sum_of_squares"},
    "sgd": {"velocity": "trace"},
    "rmsprop": {"mean_square": "nu", "mean_gradient": "mu", "velocity": "trace"},
}


def scale_by_rss_outside(initial: float, epsilon: float) -> optax.GradientTransformation:
    """g / (sqrt(a) + epsilon), a += g^2 from `initial`: optax.scale_by_rss has it in the root."""

    def init(parameters: optax.Params) -> optax.OptState:
        full = jax.tree.map(lambda p: jnp.full_like(p, initial), parameters)
        return optax.ScaleByRssState(sum_of_squares=full)

    def update(
        updates: optax.Updates, state: Any, parameters: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.OptState]:
        squares = jax.tree.map(lambda g, a: a + g * g, updates, state.sum_of_squares)
        scaled = jax.tree.map(lambda g, a: g / (jnp.sqrt(a) + epsilon), updates, squares)
        return scaled, optax.ScaleByRssState(sum_of_squares=squares)

    return optax.GradientTransformation(init, update)


def scale_by_raw_amsgrad(b1: float, b2: float, eps: Any) -> optax.GradientTransformation:
    """AMSGrad with the largest of the moments before their correction, as PyTorch and Keras have
    it: optax.scale_by_amsgrad takes the largest of the corrected ones."""
    own = optax.scale_by_amsgrad(b1, b2, eps)

    def update(
        updates: optax.Updates, state: Any, parameters: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.OptState]:
        count = optax.safe_increment(state.count)
        first = optax.tree.update_moment(updates, state.mu, b1, 1)
        second = optax.tree.update_moment_per_elem_norm(updates, state.nu, b2, 2)
        largest = jax.tree.map(jnp.maximum, state.nu_max, second)
        first_hat = optax.tree.bias_correction(first, b1, count)
        largest_hat = optax.tree.bias_correction(largest, b2, count)
        scaled = jax.tree.map(lambda m, v: m / (jnp.sqrt(v) + eps), first_hat, largest_hat)
        return scaled, optax.ScaleByAmsgradState(count=count, mu=first, nu=second, nu_max=largest)

    return optax.GradientTransformation(own.init, update)


def clip(clipping: Clipping) -> optax.GradientTransformation:
    """Gradients held within the limit, by optax' own where it has such."""
    limit = clipping.limit
    if isinstance(clipping, ByValue):
        return optax.clip(limit)
    epsilon, together = clipping.epsilon, isinstance(clipping, ByGlobalNorm)
    assert epsilon is not None
    if together and not epsilon:
        return optax.clip_by_global_norm(limit)

    def factor(part: optax.Updates) -> Array:
        return limit / jnp.maximum(optax.tree.norm(part) + epsilon, limit)

    def held(gradients: optax.Updates, parameters: Any = None) -> optax.Updates:
        if together:
            return optax.tree.scale(factor(gradients), gradients)
        return jax.tree.map(lambda gradient: gradient * factor(gradient), gradients)

    return optax.stateless(held)


class ScaledState(NamedTuple):
    """State of `scaled`: of the transformation within, and of the scale; whether the last step was
    taken."""

    unscaled: Any
    loss_scale: Any
    finite_steps: Any
    taken: Any


def scaled(
    within: optax.GradientTransformation, spec: LossScale
) -> optax.GradientTransformationExtraArgs:
    """Gradients of a scaled loss unscaled ahead of a transformation, which leaves out those that
    are not finite: optax has none, and `flax.training.dynamic_scale` is of Linen's train state."""
    within = optax.with_extra_args_support(within)

    def init(parameters: optax.Params) -> ScaledState:
        initial = jnp.float32(spec.initial)
        return ScaledState(within.init(parameters), initial, jnp.int32(0), jnp.array(True))

    def update(
        gradients: optax.Updates, state: Any, parameters: Any = None, **extra: Any
    ) -> tuple[optax.Updates, ScaledState]:
        finite = jnp.all(
            jnp.stack([jnp.all(jnp.isfinite(one)) for one in jax.tree.leaves(gradients)])
        )
        own = jax.tree.map(lambda one: one / state.loss_scale.astype(one.dtype), gradients)
        updates, after = within.update(own, state.unscaled, parameters, **extra)
        updates = jax.tree.map(lambda one: jnp.where(finite, one, 0), updates)
        after = jax.tree.map(lambda new, old: jnp.where(finite, new, old), after, state.unscaled)
        count = jnp.where(finite, state.finite_steps + 1, 0)
        grown = count == spec.interval
        factor = jnp.where(finite, jnp.where(grown, GROWTH, 1.0), BACK_OFF)
        scale = state.loss_scale * factor.astype(jnp.float32)
        return updates, ScaledState(after, scale, jnp.where(grown, 0, count), finite)

    return optax.GradientTransformationExtraArgs(init, update)


def scaling(optimizer: nnx.Optimizer) -> Any | None:
    """The state of the scaled loss; None without one."""
    state = optimizer.opt_state
    return state if hasattr(state, "unscaled") else None


def update(model: nnx.Module, optimizer: nnx.Optimizer, gradients: Any) -> Any:
    """One step in place with the gradients of the scaled loss; whether it was taken, which counts
    as a step."""
    optimizer.update(model, gradients)
    state = scaling(optimizer)
    if state is None:
        return True
    taken = state.taken[...]
    optimizer.step[...] -= (~taken).astype(optimizer.step[...].dtype)
    return taken


def make(
    spec: recipes.Optimizer,
    clipping: Clipping | None = None,
    layer_rates: Mapping[str, float] | None = None,
    loss_scale: LossScale | None = None,
) -> optax.GradientTransformation:
    """The optimizer of `_unscaled`, behind the scaling of the loss where the recipe has it."""
    made = _unscaled(spec, clipping, layer_rates)
    return made if loss_scale is None else scaled(made, loss_scale)


def _unscaled(
    spec: recipes.Optimizer, clipping: Clipping | None, layer_rates: Mapping[str, float] | None
) -> optax.GradientTransformation:
    """The optimizer of a recipe whose fields are all stated; its state holds `learning_rate`.

    layer_rates: what the rate of a layer's weights is multiplied by, by the layer's name.
    """
    ahead = [] if clipping is None else [clip(clipping)]
    own = layer_rates if layer_rates and set(layer_rates.values()) != {1.0} else None
    behind = [] if own is None else [scale_by_layer(own)]
    around = ahead, behind
    if isinstance(spec, recipes.Adam | recipes.AdamW) and spec.epsilon_form == "hat":
        return _adjustable(_adam_with_epsilon(spec), spec.rate, around, epsilon=_hat(spec))
    return _adjustable(lambda learning_rate: _optax(spec, learning_rate), spec.rate, around)


def grouped(optimizer: optax.GradientTransformation, batches: int) -> optax.GradientTransformation:
    """The optimizer, which steps once after so many batches with the mean of their gradients."""
    dtype = jnp.zeros(()).dtype  # the run's
    return optax.MultiSteps(optimizer, batches, accumulator_dtype=dtype).gradient_transformation()


def scale_by_layer(factors: Mapping[str, float]) -> optax.GradientTransformation:
    """The updates of each layer times its factor."""

    def own(place: tuple[Any, ...], update: Array) -> Array:
        names = [str(getattr(key, "key", key)) for key in place]
        return update * factors[name_at(names[1:])]

    def scaled(updates: optax.Updates, parameters: Any = None) -> optax.Updates:
        return jax.tree_util.tree_map_with_path(own, updates)

    return optax.stateless(scaled)


def _adjustable(
    factory: Any, learning_rate: float, around: tuple[list[Any], list[Any]], **schedules: Any
) -> Any:
    """The optimizer that a factory makes, with the transformations ahead of it and behind."""
    ahead, behind = around

    @functools.wraps(factory)  # whose arguments optax looks at
    def held(**values: Any) -> optax.GradientTransformation:
        return optax.chain(*ahead, factory(**values), *behind)

    made = held if ahead or behind else factory
    return optax.inject_hyperparams(made)(learning_rate=learning_rate, **schedules)


def _optax(spec: recipes.Optimizer, learning_rate: Any) -> optax.GradientTransformation:
    if isinstance(spec, recipes.SGD):
        trace = optax.trace(spec.momentum, spec.nesterov) if spec.momentum else optax.identity()
        return _decayed(spec, trace, learning_rate)
    if isinstance(spec, recipes.Lion):
        return _decayed(spec, optax.scale_by_lion(spec.beta_1, spec.beta_2), learning_rate)
    assert spec.epsilon is not None
    if isinstance(spec, recipes.Adam | recipes.AdamW):
        return _adam_with_epsilon(spec)(learning_rate, spec.epsilon)
    if isinstance(spec, recipes.Adamax):
        if not spec.epsilon_in_norm:
            raise SpecificationError(
                "optimizer 'adamax': optax adds epsilon ahead of the maximum; state "
                "epsilon_in_norm = true."
            )
        return optax.adamax(learning_rate, spec.beta_1, spec.beta_2, spec.epsilon)
    if isinstance(spec, recipes.Adadelta):
        assert spec.rho is not None
        return optax.adadelta(learning_rate, rho=spec.rho, eps=spec.epsilon)
    if isinstance(spec, recipes.Adagrad):
        assert spec.initial_accumulator is not None
        if spec.epsilon_in_root:
            return optax.adagrad(learning_rate, spec.initial_accumulator, spec.epsilon)
        return optax.chain(
            scale_by_rss_outside(spec.initial_accumulator, spec.epsilon),
            optax.scale_by_learning_rate(learning_rate),
        )
    assert spec.rho is not None
    scale = optax.scale_by_stddev if spec.centered else optax.scale_by_rms
    # optax.rmsprop has the rate ahead of the trace; here it is where SGD's is
    return optax.chain(
        scale(decay=spec.rho, eps=spec.epsilon, eps_in_sqrt=bool(spec.epsilon_in_root)),
        optax.trace(spec.momentum) if spec.momentum else optax.identity(),
        optax.scale_by_learning_rate(learning_rate),
    )


def _decayed(
    spec: recipes.Optimizer, scale: optax.GradientTransformation, learning_rate: Any
) -> optax.GradientTransformation:
    """Scaled gradients times the rate, with the weight decay joined to the gradient or to what is
    scaled."""
    share, form = recipes.decay(spec)
    mask = _kernels if getattr(spec, "decayed", "all") == "kernels" else None
    join = [optax.add_decayed_weights(share, mask)] if share else []
    ahead, after = (join, []) if form == "coupled" else ([], join)
    return optax.chain(*ahead, scale, *after, optax.scale_by_learning_rate(learning_rate))


def _kernels(parameters: Any) -> Any:
    """True for each kernel, False for biases and the weights of norms."""
    return jax.tree_util.tree_map_with_path(
        lambda place, _: "kernel" in [str(getattr(key, "key", key)) for key in place[-2:]],
        parameters,
    )


def _adam_with_epsilon(spec: recipes.Adam | recipes.AdamW) -> Any:
    """Adam or AdamW as a function of the two values that may change from step to step."""

    def factory(learning_rate: Any, epsilon: Any) -> optax.GradientTransformation:
        scale = optax.scale_by_adam
        if spec.amsgrad:
            raw = spec.amsgrad_form == "raw"
            scale = scale_by_raw_amsgrad if raw else optax.scale_by_amsgrad
        return _decayed(spec, scale(spec.beta_1, spec.beta_2, epsilon), learning_rate)

    return factory


def _hat(spec: recipes.Adam | recipes.AdamW) -> optax.Schedule:
    """The epsilon that makes the paper's form the epsilon-hat form of Keras.

    sqrt(v) + e = sqrt(1 - beta_2^t) * (sqrt(v_hat) + e / sqrt(1 - beta_2^t)), so the paper's form
    with epsilon / sqrt(1 - beta_2^t) at step t is the same update. `count` is t - 1.
    """

    constant = spec.epsilon
    assert constant is not None

    def epsilon(count: Array) -> Array:
        return constant / jnp.sqrt(1 - spec.beta_2 ** (count + 1))

    return epsilon


class AveragingOptimizer(nnx.Optimizer):
    """An optimizer that keeps averages of the weights."""

    def __init__(self, model: Any, tx: Any, *, wrt: Any, average: AverageWeights) -> None:
        super().__init__(model, tx, wrt=wrt)
        self.spec = average
        self.average = nnx.data(jax.tree.map(jnp.zeros_like, nnx.state(model, wrt)))

    def take_average(self, model: nnx.Module) -> None:
        """Take the weights into their averages, where the optimizer has just stepped."""
        step, batches = _counts(self)
        weights = nnx.state(model, self.wrt)
        dtype = jax.tree.leaves(weights)[0].dtype
        t, decay = step.astype(dtype), jnp.asarray(self.spec.rate, dtype)
        share = jnp.where(t == 1, 1, 1 - decay)
        if self.spec.start == "debiased":
            share = (decay - 1) / jnp.expm1(jnp.maximum(t, 1) * jnp.log(decay))
        share = jnp.where(batches == 0, share, 0).astype(dtype)
        new = jax.tree.map(lambda one, weight: one + share * (weight - one), self.average, weights)
        nnx.update(self.average, new)


def learning_rate(optimizer: nnx.Optimizer) -> nnx.Variable:
    """The learning rate of the next step, a scalar in the run's dtype."""
    return _stepping(optimizer).hyperparams["learning_rate"]


def _stepping(optimizer: nnx.Optimizer) -> Any:
    """The state of what steps: of a scaled loss or an accumulation it is the state inside."""
    state = optimizer.opt_state
    return getattr(state, "unscaled", getattr(state, "inner_opt_state", state))


def set_learning_rate(
    optimizer: nnx.Optimizer, spec: recipes.Optimizer, rate: float | Array
) -> None:
    """Change the learning rate from the next step on, in a compiled step too.

    Optax keeps the rate outside the velocity. With "rate_inside", V = rate * v: going on from V
    under a new rate is going on from v * old / new.
    """
    current = learning_rate(optimizer)
    if recipes.velocity_form(spec) == "rate_inside":
        ratio = current[...] / rate
        for velocity in jax.tree.leaves(slot(optimizer, "trace"), is_leaf=_is_variable):
            velocity.set_value((velocity[...] * ratio).astype(velocity.dtype))
    current.set_value(jnp.asarray(rate, current.dtype))


def slots(spec: recipes.Optimizer) -> dict[str, str]:
    """Canonical slot names of an optimizer, and optax' fields."""
    return recipes.kept_slots(spec, SLOTS)


def slot(optimizer: nnx.Optimizer, field: str) -> nnx.State:
    """Optimizer state of every parameter under one of optax' fields."""
    if hasattr(optimizer.opt_state, field):  # of an accumulation
        return getattr(optimizer.opt_state, field)
    return next(_having(_stepping(optimizer).inner_state, field))


def _having(state: Any, field: str) -> Iterator[nnx.State]:
    """Yield the states under a field, from the parts of a chain and from the chains in it."""
    for part in state:
        if hasattr(part, field):
            yield getattr(part, field)
        elif isinstance(part, Sequence):
            yield from _having(part, field)


def steps(optimizer: nnx.Optimizer) -> tuple[int, int]:
    """The steps taken, and the batches since then, which NNX counts as steps."""
    step, batches = _counts(optimizer)
    return int(step), int(batches)


def _counts(optimizer: nnx.Optimizer) -> tuple[Array, Array]:
    state = optimizer.opt_state
    if hasattr(state, "mini_step"):
        return state.gradient_step[...], state.mini_step[...]
    return optimizer.step[...], jnp.zeros((), jnp.int32)


def set_steps(optimizer: nnx.Optimizer, step: int, batches: int, accumulation: int) -> None:
    """Set the number of steps taken, which optax counts in several places, and of the batches
    since then."""
    counts = dict.fromkeys(("count", "gradient_step"), step) | {"mini_step": batches}
    counts["step"] = step * accumulation + batches
    for path, variable in nnx.to_flat_state(nnx.state(optimizer)):
        if path[-1] in counts:
            variable.set_value(jnp.asarray(counts[path[-1]], variable.dtype))


def _is_variable(node: Any) -> bool:
    return isinstance(node, nnx.Variable)
