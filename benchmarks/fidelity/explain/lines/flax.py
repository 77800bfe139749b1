"""Lines of Flax NNX and optax (siblings: keras, torch)."""

from __future__ import annotations

from benchmarks.fidelity.explain.lines import losses
from benchmarks.fidelity.explain.lines.keras import fan_in
from benchmarks.fidelity.explain.lines.schedules.flax import schedule as schedule
from benchmarks.fidelity.explain.question import Placed
from frameworks.spec.architecture import Conv
from frameworks.spec.recipe import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Optimizer,
    Recipe,
    RMSprop,
    decay,
)

_KERNELS = {"torch_uniform": 'variance_scaling(1 / 3, "fan_in", "uniform")'}


def weighted(placed: Placed, show: str = "") -> str:
    """A convolution or a dense layer, with its structure and the one further field to show."""
    layer, parts = placed.layer, [f"{placed.source[-1]}"]
    if isinstance(layer, Conv):
        parts += [
            f"{layer.filters}",
            f"{layer.kernel_size}",
            f'padding="{str(layer.padding).upper()}"',
        ]
        parts += [f"strides={layer.stride}"] if layer.stride != 1 else []
    else:
        parts.append(f"{placed.target[0]}")
    if show == "kernel_initializer":
        word = layer.kernel_initializer
        parts.append(f"kernel_init=nnx.initializers.{_KERNELS.get(word, f'{word}()')}")
    elif show == "bias_initializer" and layer.bias_initializer == "zeros":
        parts.append("bias_init=nnx.initializers.zeros")
    elif show == "bias_initializer":
        bound = fan_in(placed) ** -0.5
        draw = f"jax.random.uniform(key, shape, dtype, -{bound:.7g}, {bound:.7g})"
        parts.append(f"bias_init=lambda key, shape, dtype, **_: {draw}")
    kind = "Conv" if isinstance(layer, Conv) else "Linear"
    return f"{layer.name} = nnx.{kind}({', '.join(parts)}, rngs=rngs)"


def batch_norm(placed: Placed, show: str = "") -> str:
    """A batch norm with its constants; `running_variance` that is unbiased needs a step more."""
    layer = placed.layer
    constants = f"epsilon={layer.epsilon:g}, momentum={layer.momentum:.10g}"
    if show == "variance":
        constants += f", use_fast_variance={layer.variance == 'fast'}"
    made = f"{layer.name} = nnx.BatchNorm({placed.source[-1]}, {constants}, rngs=rngs)"
    if show != "running_variance" or layer.running_variance == "biased":
        return made
    return f"""{made}
before = {layer.name}.var[...]
y = {layer.name}(x)  # in a training step
n = x.size // x.shape[-1]
v, kept = {layer.name}.var, {layer.momentum:.10g} * before
v[...] = kept + (v[...] - kept) * n / (n - 1)"""


def pool(placed: Placed) -> str:
    """A pool."""
    layer, size = placed.layer, (placed.layer.size,) * 2
    kind = "max_pool" if placed.kind == "max_pool" else "avg_pool"
    strides = (layer.stride or layer.size,) * 2
    return f"{layer.name} = lambda x: nnx.{kind}(x, {size}, strides={strides})"


def flatten(placed: Placed) -> str:
    """To one axis in the order row, column, channel."""
    return f"{placed.layer.name} = lambda x: x.reshape(len(x), -1)"


def held(placed: Placed) -> str:
    """The norm of the incoming weights of a unit, held."""
    name, limit = placed.layer.name, placed.layer.max_norm
    axes = "(0, 1, 2)" if isinstance(placed.layer, Conv) else "0"
    return f"""w = {name}.kernel[...]  # after each step
norm = jnp.sqrt(jnp.sum(w**2, axis={axes}, keepdims=True))
{name}.kernel[...] = w * jnp.minimum(norm, {limit:g}) / (1e-7 + norm)"""


def l2(placed: Placed) -> str:
    """The layer's L2 term."""
    return f"loss = loss + {placed.layer.l2:g} * jnp.sum({placed.layer.name}.kernel[...] ** 2)"


def loss(recipe: Recipe) -> str:
    """The loss of a batch, without class weights."""
    return losses.flax(recipe.loss)


def weighted_loss(recipe: Recipe) -> str:
    """Cross-entropy with class weights, divided as stated."""
    weights = f"weights = jnp.array({list(recipe.class_weights or ())})[labels]"
    losses = "optax.softmax_cross_entropy_with_integer_labels(logits, labels)"
    by = "weights.sum()" if recipe.class_weight_mean == "weights" else "len(labels)"
    return f"{weights}\nloss = (weights * {losses}).sum() / {by}"


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
