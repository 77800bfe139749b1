"""Lines of Flax NNX and optax (siblings: keras, torch)."""

from __future__ import annotations

from benchmarks.fidelity.explain.lines import losses
from benchmarks.fidelity.explain.lines.layers.flax import function as function
from benchmarks.fidelity.explain.lines.layers.flax import held as held
from benchmarks.fidelity.explain.lines.layers.flax import l2 as l2
from benchmarks.fidelity.explain.lines.layers.flax import layer as layer
from benchmarks.fidelity.explain.lines.schedules.flax import schedule as schedule
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
    return losses.flax(recipe.loss)


def weighted_loss(recipe: Recipe) -> str:
    """The loss of a batch with class weights, divided as stated."""
    return losses.flax_weighted(recipe)


def optimizer(spec: Optimizer) -> str:
    """The optimizer with every constant, in the form stated."""
    match spec:
        case SGD():
            more = (
                f", momentum={spec.momentum:g}, nesterov={spec.nesterov}" if spec.momentum else ""
            )
            return _decayed(spec, f"optax.sgd({spec.rate:g}{more})")
        case Adamax():
            betas = f"b1={spec.beta_1:.10g}, b2={spec.beta_2:.10g}"
            return f"optimizer = optax.adamax({spec.rate:g}, {betas}, eps={spec.epsilon:g})"
        case Adam() | AdamW() if spec.amsgrad:
            return _amsgrad(spec)
        case Adam() | AdamW():
            name = type(spec).__name__.lower()
            more = f"b1={spec.beta_1:.10g}, b2={spec.beta_2:.10g}"
            if isinstance(spec, AdamW):
                more += f", weight_decay={spec.weight_decay:g}"
            if spec.epsilon_form == "paper":
                return _decayed(spec, f"optax.{name}({spec.rate:g}, {more}, eps={spec.epsilon:g})")
            root = f"jnp.sqrt(1 - {spec.beta_2:.10g} ** (count + 1))"
            return _decayed(
                spec,
                f"""optax.inject_hyperparams(optax.{name})(
    {spec.rate:g}, {more}, eps=lambda count: {spec.epsilon:g} / {root}
)""",
            )
        case Lion():
            more = f"b1={spec.beta_1:.10g}, b2={spec.beta_2:.10g}"
            more += f", weight_decay={spec.weight_decay:g}"
            return f"optimizer = optax.lion({spec.rate:g}, {more})"
        case Adadelta():
            more = f"rho={spec.rho:.10g}, eps={spec.epsilon:g}"
            return f"optimizer = optax.adadelta({spec.rate:g}, {more})"
        case RMSprop():
            more = (
                f"decay={spec.rho:.10g}, eps={spec.epsilon:g}, eps_in_sqrt={spec.epsilon_in_root}"
            )
            more += f", centered={spec.centered}" if spec.centered else ""
            if not spec.momentum:
                return f"optimizer = optax.rmsprop({spec.rate:g}, {more})"
            if spec.momentum_form == "rate_inside":
                more += f", momentum={spec.momentum:.10g}"
                return f"optimizer = optax.rmsprop({spec.rate:g}, {more})"
            return f"""optimizer = optax.chain(
    optax.rmsprop(1.0, {more}),
    optax.trace({spec.momentum:.10g}),
    optax.scale({spec.rate:g}),
)"""
        case Adagrad():
            first, epsilon = f"{spec.initial_accumulator:g}", f"{spec.epsilon:g}"
            more = f"initial_accumulator_value={first}, eps={epsilon}"
            if spec.epsilon_in_root:
                return f"optimizer = optax.adagrad({spec.rate:g}, {more})"
            return f"""def accumulate(g, s, parameters=None):
    s = jax.tree.map(lambda a, b: a + b * b, s, g)
    return jax.tree.map(lambda b, a: b / (jnp.sqrt(a) + {epsilon}), g, s), s
start = lambda parameters: jax.tree.map(lambda w: jnp.full_like(w, {first}), parameters)
optimizer = optax.chain(
    optax.GradientTransformation(start, accumulate), optax.scale_by_learning_rate({spec.rate:g})
)"""


def _decayed(spec: Adam | AdamW | SGD, made: str) -> str:
    """The optimizer with the weight decay that it has not by itself."""
    share = 0.0 if isinstance(spec, AdamW) else spec.weight_decay or 0.0
    if not share:
        return f"optimizer = {made}"
    if not isinstance(spec, AdamW) and spec.decay_form == "coupled":
        return f"optimizer = optax.chain(optax.add_decayed_weights({share:g}), {made})"
    taken = f"optax.add_decayed_weights(-{spec.rate * share:.10g})"
    return f"optimizer = optax.chain({made}, {taken})  # after the rate"


def _amsgrad(spec: Adam | AdamW) -> str:
    """AMSGrad in the form stated, with its weight decay."""
    share, form = decay(spec)
    ahead = f"optax.add_decayed_weights({share:g}), " if share and form == "coupled" else ""
    after = f"optax.add_decayed_weights({share:g}), " if share and form == "decoupled" else ""
    b1, b2, epsilon = f"{spec.beta_1:.10g}", f"{spec.beta_2:.10g}", f"{spec.epsilon:g}"
    place = epsilon if spec.epsilon_form == "paper" else f"{epsilon} / jnp.sqrt(1 - {b2}**t)"
    seen = f"b / (1 - {b2}**t)" if spec.amsgrad_form == "corrected" else "b"
    root = "c" if spec.amsgrad_form == "corrected" else f"c / (1 - {b2}**t)"
    return f"""def scale(g, state, parameters=None):
    t, m, v, largest = state[0] + 1, *state[1:]
    m = jax.tree.map(lambda a, b: {b1} * a + (1 - {b1}) * b, m, g)
    v = jax.tree.map(lambda a, b: {b2} * a + (1 - {b2}) * b**2, v, g)
    largest = jax.tree.map(lambda c, b: jnp.maximum(c, {seen}), largest, v)
    divide = lambda a, c: a / (1 - {b1}**t) / (jnp.sqrt({root}) + {place})
    return jax.tree.map(divide, m, largest), (t, m, v, largest)
start = lambda p: (0, *(jax.tree.map(jnp.zeros_like, p) for _ in range(3)))
optimizer = optax.chain(
    {ahead}optax.GradientTransformation(start, scale), {after}optax.scale(-{spec.rate:g})
)"""


def new_rate(spec: SGD) -> str:
    """Going on with another rate, `new` after `old`, in the velocity form stated."""
    if spec.velocity_form == "rate_outside":
        made = f"optax.sgd(rate, momentum={spec.momentum:g}, nesterov={spec.nesterov})"
    else:
        made = (
            "optax.chain(optax.scale_by_learning_rate(rate), "
            f"optax.trace({spec.momentum:g}, nesterov={spec.nesterov}))"
        )
    return f"""optimizer = optax.inject_hyperparams(lambda rate: {made})(rate=old)
state = optimizer.init(parameters)
state.hyperparams["rate"] = new  # at the change"""
