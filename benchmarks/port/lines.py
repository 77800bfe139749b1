"""The line that gives a constant a value, in each framework."""

from __future__ import annotations

from typing import Any

from benchmarks.port.difference import words
from benchmarks.port.operation import Operation
from benchmarks.port.recipes import AROUND
from frameworks.spec.calls import NAMES, argument

# Constants that are no argument of their own.
_WITHOUT = ("running_variance", "axes", "padding", "per", "scale", "center", "cut", "masked")
_OPTIMIZER = {
    "torch": {
        **{"learning_rate": "lr", "epsilon": "eps", "rho": "alpha"},
        "initial_accumulator": "initial_accumulator_value",
    },
    "keras": {"initial_accumulator": "initial_accumulator_value"},
    "jax": {
        **{"beta_1": "b1", "beta_2": "b2", "epsilon": "eps", "rho": "decay"},
        "initial_accumulator": "initial_accumulator_value",
    },
}


def layer(framework: str, one: Operation, constant: str, value: Any) -> str:
    """The argument that gives a constant of an operation this value; "" where none does."""
    framework, kind = framework.partition("@")[0].replace("jax", "flax"), one.kind
    name = (
        NAMES[framework].get(kind, "").replace("2d", f"{one.rank}d").replace("2D", f"{one.rank}D")
    )
    if constant == "padding" and kind == "conv":
        return _padding(framework, name, value)
    if constant == "function":
        return f"the activation {value}"
    if constant.endswith("_size") and framework != "keras":  # they follow from the heads
        return ""
    if not name or constant in _WITHOUT:
        return ""
    if framework == "torch" and kind == "batch_norm" and constant == "momentum":
        value = 1 - value  # PyTorch's is the weight of the new value
    return f"{name}(..., {argument(framework, kind, constant)}={_python(value)})"


def _padding(framework: str, name: str, value: Any) -> str:
    if isinstance(value, str):
        return ""
    around = ", ".join(f"({one}, {other})" for one, other in value)
    if framework == "torch":
        if all(one == other for one, other in value):
            return f"{name}(..., padding={_python([one for one, _ in value])})"
        sides = ", ".join(str(n) for pair in value[::-1] for n in pair)
        return f"F.pad(x, ({sides})) ahead of {name}(..., padding=0)"
    if framework == "keras":
        if not any(map(any, value)):
            return f'{name}(..., padding="valid")'
        zeros = f"keras.layers.ZeroPadding{len(value)}D"
        around = around if len(value) == 1 else f"({around})"
        return f'{zeros}({around}) ahead of {name}(..., padding="valid")'
    return f"{name}(..., padding=({around}{',' * (len(value) == 1)}))"


_CLIPPING = {
    ("torch", "norm of all gradients"): "torch.nn.utils.clip_grad_norm_(parameters, {0})",
    ("torch", "norm of each tensor"): "for p in parameters: torch.nn.utils.clip_grad_norm_(p, {0})",
    ("torch", "each value"): "torch.nn.utils.clip_grad_value_(parameters, {0})",
    ("keras", "norm of all gradients"): "global_clipnorm={0}",
    ("keras", "norm of each tensor"): "clipnorm={0}",
    ("keras", "each value"): "clipvalue={0}",
    ("jax", "norm of all gradients"): "optax.chain(optax.clip_by_global_norm({0}), ...)",
    ("jax", "each value"): "optax.chain(optax.clip({0}), ...)",
}


def clipping(framework: str, kind: str, limit: Any) -> str:
    """The line that clips gradients this way; "" where a framework has none."""
    return _CLIPPING.get((framework.partition("@")[0], kind), "").format(_python(limit))


_AROUND = {
    ("torch", "accumulation"): "(loss / {0}).backward(), and a step once in {0} batches",
    ("keras", "accumulation"): "gradient_accumulation_steps={0}",
    ("jax", "accumulation"): "optax.MultiSteps(optimizer, {0})",
    ("torch", "average_weights"): "AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn({0}))",
    ("keras", "average_weights"): "use_ema=True, ema_momentum={0}",
    ("jax", "average_weights"): "optax.ema({0}) of the weights after each step",
    ("keras", "average_overwrite_frequency"): "ema_overwrite_frequency={0}",
    ("torch", "loss_scale"): "torch.amp.GradScaler(init_scale={0})",
    ("keras", "loss_scale"): "keras.optimizers.LossScaleOptimizer(optimizer, {0})",
    ("jax", "loss_scale"): "DynamicScale(scale={0})",
    ("torch", "loss_scale_interval"): "torch.amp.GradScaler(growth_interval={0})",
    ("keras", "loss_scale_interval"): "dynamic_growth_steps={0}",
    ("jax", "loss_scale_interval"): "DynamicScale(growth_interval={0})",
}


def optimizer(framework: str, kind: str, constant: str, value: Any) -> str:
    """The argument that gives a constant of an optimizer this value; "" where none does."""
    framework = framework.partition("@")[0]
    if constant in ("clipping", "clipping_limit", "kind", "epsilon_form", "velocity_form"):
        return ""
    if constant in ("epsilon_in_root", "decay_form", "undecayed"):
        return ""
    if constant.startswith(AROUND):
        return _AROUND.get((framework, constant), "").format(words(value))
    own = _OPTIMIZER[framework].get(constant, constant)
    if framework == "torch" and kind == "adadelta" and constant == "rho":
        own = "rho"
    if framework == "torch" and constant in ("beta_1", "beta_2"):
        place = "(b1, ...)" if constant == "beta_1" else "(..., b2)"
        return f"betas={place} with {words(value)}"
    return f"{own}={_python(value)}"


def _python(value: Any) -> str:
    if isinstance(value, list | tuple):
        flat = [_python(v) for v in value]
        return flat[0] if len(set(flat)) == 1 else f"({', '.join(flat)})"
    if isinstance(value, float):
        return f"{value:.7g}"
    return str(value)
