"""The differences that the recipe decides: optimizer, loss, L2, batches, precision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.fidelity.explain.difference import TITLES, Difference, Lines, Verdict
from benchmarks.fidelity.explain.network import native
from frameworks.spec.architecture import Architecture, Conv, Dense
from frameworks.spec.defaults import PROJECT, stated
from frameworks.spec.recipe import SGD, Adam, AdamW, Recipe

NATIVE_RATES: Mapping[str, Lines] = {  # Flax: optax asks for one
    "adam": {"keras": "0.001", "torch": "0.001"},
    "adamw": {"keras": "0.001", "torch": "0.001"},
    "adadelta": {"keras": "0.001", "torch": "1"},
    "adagrad": {"keras": "0.001", "torch": "0.01"},
    "sgd": {"keras": "0.01", "torch": "0.001"},
    "rmsprop": {"keras": "0.001", "torch": "0.01"},
}
_NAMES = {  # of Keras and PyTorch; optax has the lower case
    "adam": "Adam",
    "adamw": "AdamW",
    "adadelta": "Adadelta",
    "adagrad": "Adagrad",
    "sgd": "SGD",
    "rmsprop": "RMSprop",
}
# What the optimizer's defaults are worth together.
_FIRST_UPDATE = {
    "adam": "measured in trials: Keras' defaults against PyTorch's move the first update by 13.7 %",
    "adamw": "measured in trials, of Adam: the first update by 13.7 % between Keras and PyTorch",
    "rmsprop": "measured in trials: all of RMSprop's defaults, its rate too, 93 % of the way",
    "adagrad": "measured in trials: all of Adagrad's defaults, its rate too, 96 % of the way",
    "adadelta": "not measured; between rates of 0.001 and 1 by formula a factor of 1000",
}


def differences(architecture: Architecture, recipe: Recipe) -> Iterator[Difference]:
    """Of the recipe, and of the losses that the layers state."""
    yield _learning_rate(recipe)
    yield from _optimizer(recipe)
    yield _l2(architecture, recipe)
    yield from _loss()
    yield from _batches(recipe)
    yield from _machine()


def _tag(recipe: Recipe) -> str:
    return str(recipe.optimizer.__struct_config__.tag)


def _learning_rate(recipe: Recipe) -> Difference:
    tag, rate = _tag(recipe), recipe.optimizer.learning_rate
    return Difference(
        f"{tag}.learning_rate",
        "no",
        f"the recipe states it: {rate:g}",
        "",
        {**NATIVE_RATES[tag], "flax": "required"},
        {
            "keras": f"keras.optimizers.{_NAMES[tag]}({rate:g})",
            "torch": f"torch.optim.{_NAMES[tag]}(parameters, lr={rate:g})",
            "flax": f"optax.{tag}({rate:g})",
        },
    )


def _optimizer(recipe: Recipe) -> Iterator[Difference]:
    """The fields of the optimizer that frameworks default differently, then what only a schedule,
    clipping or a decay would bring in."""
    optimizer, tag = recipe.optimizer, _tag(recipe)
    target = stated(optimizer)
    for field in optimizer.__struct_fields__:
        if f"{tag}.{field}" not in PROJECT:
            continue
        if field == "velocity_form":
            yield _velocity(recipe)
            continue
        given = getattr(optimizer, field) is not None
        value = getattr(target, field)
        matters: Verdict = "no" if given else "yes"
        why = f"the recipe states it: {_word(value)}" if given else "left open by the recipe"
        if field == "epsilon_form":
            matters, why = _epsilon_form(optimizer, why)
        yield Difference(
            f"{tag}.{field}",
            matters,
            why,
            _size(tag, field),
            native(f"{tag}.{field}"),
            _lines(tag, field, value),
        )
    if isinstance(optimizer, Adam | AdamW):
        yield Difference(
            f"{tag}: bias correction in float32",
            "sometimes",
            "Keras and optax compute 1 - beta^t in float32, PyTorch in double; seen only where "
            "nothing else differs",
            "measured in trials: Adam's steps are 6.6e-6 off at first; 3e-4 of the way by step "
            "200 of a smooth network, 700 times less with betas such as 1 - 2^-10",
            {"keras": "float32", "torch": "double", "flax": "float32"},
            dict.fromkeys(TITLES, "betas that binary holds: 29/32, 1 - 2**-10"),
        )
    yield Difference(
        "weight decay given to the optimizer",
        "no",
        "AdamW's is decoupled in all three"
        if isinstance(optimizer, AdamW)
        else "the recipe has none",
        "measured in trials: 61 % of the way after 200 steps of SGD with momentum and 0.01",
        {"keras": "decoupled", "torch": "coupled, but in AdamW", "flax": "as it is chained"},
    )
    yield Difference(
        "clipping by norm",
        "no",
        "the recipe does not clip",
        "measured in trials: PyTorch's 1e-6 in the denominator is 1e-4 at a limit of 0.01",
        {"keras": "each tensor", "torch": "all together", "flax": "all together"},
        {"keras": "global_clipnorm=", "torch": "clip_grad_norm_", "flax": "clip_by_global_norm"},
    )


def _velocity(recipe: Recipe) -> Difference:
    optimizer = recipe.optimizer
    assert isinstance(optimizer, SGD)
    matters: Verdict = "no"
    if not optimizer.momentum:
        why = "there is no momentum"
    elif optimizer.velocity_form is not None:
        why = f"the recipe states it: {optimizer.velocity_form}"
    elif recipe.reduce_on_plateau is None:
        why = "the recipe's rate is constant; the two forms part only when it changes"
    else:
        matters, why = "yes", "the two forms part when reduce_on_plateau lowers the rate"
    return Difference(
        "sgd.velocity_form",
        matters,
        why,
        "measured in trials: after a rate of 0.1 is made 0.01, 2.2 of a way of 8.9 at step 200",
        native("sgd.velocity_form"),
        {
            "keras": "scale the velocities by new / old rate when it changes",
            "torch": "as it is",
            "flax": "as it is",
        },
    )


def _epsilon_form(optimizer: Any, why: str) -> tuple[Verdict, str]:
    """Keras adds epsilon before the bias correction: it acts as epsilon / sqrt(1 - beta_2^t)."""
    if optimizer.epsilon == 0:
        return "no", "epsilon is 0: there is nothing to place"
    if optimizer.epsilon_form is not None:
        return "no", why
    factor = (1 - optimizer.beta_2) ** -0.5
    return "yes", (
        f"{why}; Keras adds epsilon before the bias correction, where it acts {factor:.3g} times "
        "larger at the first step and fades within 1 / (1 - beta_2) steps"
    )


def _size(tag: str, field: str) -> str:
    if field == "epsilon_form":
        return "measured in trials: 4.6 % of the first update with epsilon 1e-8 in both forms"
    if tag in ("adam", "adamw") and field == "epsilon":
        return f"{_FIRST_UPDATE[tag]}; 2.3 % from epsilon 1e-7 against 1e-8 alone"
    if field == "weight_decay":
        return "by formula: Keras 0.004, PyTorch 0.01, optax 1e-4: up to 100 times apart"
    return _FIRST_UPDATE.get(tag, "")


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _lines(tag: str, field: str, value: Any) -> Lines:
    """The line that gives the field this value in each framework."""
    if field == "epsilon_form":
        return {
            "keras": "a subclass whose update_step sets epsilon * sqrt(1 - beta_2**t)",
            "torch": "as it is",
            "flax": "as it is",
        }
    if field == "epsilon_in_root":
        if value:
            torch = "an optimizer of one's own: p -= lr * g / (s + eps).sqrt()"
            return {"keras": "as it is", "torch": torch, "flax": "as it is"}
        keras = "an optimizer of one's own: w -= lr * g / (sqrt(s) + epsilon)"
        flax = "optax.rmsprop(..., eps_in_sqrt=False)" if tag == "rmsprop" else keras
        return {"keras": keras, "torch": "as it is", "flax": flax}
    words = {
        "epsilon": ("epsilon", "eps", "eps"),
        "rho": ("rho", "alpha", "decay") if tag == "rmsprop" else ("rho",) * 3,
        "initial_accumulator": ("initial_accumulator_value",) * 3,
        "weight_decay": ("weight_decay",) * 3,
    }[field]
    return {
        "keras": f"keras.optimizers.{_NAMES[tag]}(..., {words[0]}={_word(value)})",
        "torch": f"torch.optim.{_NAMES[tag]}(..., {words[1]}={_word(value)})",
        "flax": f"optax.{tag}(..., {words[2]}={_word(value)})",
    }


def _l2(architecture: Architecture, recipe: Recipe) -> Difference:
    layers = [layer for layer in architecture.layers if isinstance(layer, Conv | Dense)]
    factors = sorted({layer.l2 for layer in layers if layer.l2})
    held = sum(layer.l2 > 0 for layer in layers)
    factor = factors[0] if factors else 1e-3
    own = "decoupled" if isinstance(recipe.optimizer, AdamW) else "added to the gradient"
    return Difference(
        "l2",
        "yes" if factors else "no",
        f"{held} of {len(layers)} layers add l2 * sum(w ** 2) to the loss. PyTorch's weight_decay "
        f"is not that: it is {own}, on biases too, and not in the loss that is reported"
        if factors
        else "no layer states one",
        "by formula: the gradient is 2 * l2 * w, that of weight_decay is weight_decay * w",
        {"keras": "none", "torch": "none", "flax": "none"},
        {
            "keras": f"kernel_regularizer=keras.regularizers.L2({factor:g})",
            "torch": f"loss = loss + {factor:g} * sum(w.square().sum() for w in kernels)",
            "flax": f"loss = loss + {factor:g} * sum(jnp.sum(w**2) for w in kernels)",
        },
    )


def _loss() -> Iterator[Difference]:
    yield Difference(
        "loss.takes",
        "yes",
        "the network gives logits; Keras' cross-entropy expects probabilities unless told, and "
        "clips them; softmax ahead of PyTorch's or optax' is a softmax twice",
        "measured in trials: a loss of 40.0 is reported as 16.118, with no gradient beyond it",
        {"keras": "probabilities", "torch": "logits", "flax": "logits"},
        {
            "keras": "keras.losses.SparseCategoricalCrossentropy(from_logits=True)",
            "torch": "nn.CrossEntropyLoss() of the logits",
            "flax": "optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()",
        },
    )


def _batches(recipe: Recipe) -> Iterator[Difference]:
    yield Difference(
        "batches.shuffled",
        "yes",
        "fit draws a new order each epoch; a DataLoader and a loop over arrays keep one",
        "",
        {"keras": "shuffled", "torch": "in order", "flax": "one's own loop"},
        dict.fromkeys(TITLES, "one order per epoch drawn by NumPy, for all"),
    )
    drop = recipe.partial_batch == "drop"
    yield Difference(
        "batches.partial",
        "sometimes",
        f"the recipe {'drops' if drop else 'keeps'} the last, smaller batch; fit and DataLoader "
        "keep it, most JAX examples drop it. Nothing when the images divide by "
        f"{recipe.batch_size}",
        "by formula: a step more or fewer per epoch",
        {"keras": "kept", "torch": "kept", "flax": "one's own loop"},
        {
            "keras": "cut the arrays to whole batches" if drop else "as it is",
            "torch": f"DataLoader(..., drop_last={drop})",
            "flax": f"{'leave out' if drop else 'train on'} the remainder of the loop",
        },
    )


def _machine() -> Iterator[Difference]:
    yield Difference(
        "precision.tf32",
        "sometimes",
        "on a GPU of the Ampere generation or later alone",
        "reported: 1e-3 of a dense layer's output (flax#3128)",
        {"keras": "on (TensorFlow)", "torch": "on in convolutions", "flax": "on"},
        {
            "keras": "tf.config.experimental.enable_tensor_float_32_execution(False)",
            "torch": "torch.backends.cudnn.allow_tf32 = False",
            "flax": 'jax.config.update("jax_default_matmul_precision", "highest")',
        },
    )
    yield Difference(
        "compilation and memory layout",
        "no",
        "they reorder sums, which is rounding",
        "measured in trials: over a long training as much as one weight moved by one ulp",
        {"keras": "graph", "torch": "eager", "flax": "nnx.jit"},
    )
