"""Every optimizer of `recipe`, in every form, one array at a time, in NumPy.

The formulas that the backends are held against. Throughout: w the weight, g its gradient, r the
learning rate of this step, t the number of the step, counted from 1. All arithmetic is in the
dtype of w, except the powers of beta and the scalars made of them, which are Python floats.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from frameworks.backend import MAX_NORM_EPSILON
from frameworks.spec.clipping import ByGlobalNorm, ByValue, Clipping
from frameworks.spec.layers import applies
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    Optimizer,
    RMSprop,
    decay,
    velocity_form,
)

Slots = dict[str, np.ndarray]


def clipped(clipping: Clipping | None, gradients: Mapping[str, np.ndarray]) -> Slots:
    """The gradients held within the limit.

    value: min(max(g, -l), l). norm, global_norm: g * l / max(n + e, l), n the norm of the tensor or
    of all; with e = 0 Keras' and optax', with 1e-6 torch/nn/utils/clip_grad.py.
    """
    if clipping is None:
        return dict(gradients)
    limit = clipping.limit
    if isinstance(clipping, ByValue):
        return {key: np.clip(array, -limit, limit) for key, array in gradients.items()}
    assert clipping.epsilon is not None
    norms = {key: float(np.sqrt(np.sum(array**2))) for key, array in gradients.items()}
    if isinstance(clipping, ByGlobalNorm):
        norms = dict.fromkeys(norms, math.sqrt(math.fsum(norm**2 for norm in norms.values())))
    return {
        key: array * (limit / max(norms[key] + clipping.epsilon, limit))
        for key, array in gradients.items()
    }


def initial_slots(optimizer: Optimizer, weight: np.ndarray) -> Slots:
    """State of an optimizer for one weight before its first step: arrays of its shape, by slot."""
    if isinstance(optimizer, SGD):
        return {"velocity": np.zeros_like(weight)} if optimizer.momentum else {}
    names: tuple[str, ...]
    if isinstance(optimizer, Adagrad):
        return {"accumulator": np.full_like(weight, optimizer.initial_accumulator)}
    if isinstance(optimizer, RMSprop):
        names = ("mean_square",)
        names += ("mean_gradient",) if optimizer.centered else ()
        names += ("velocity",) if optimizer.momentum else ()
    elif isinstance(optimizer, Adadelta):
        names = ("mean_square", "mean_square_update")
    elif isinstance(optimizer, Adamax):
        names = ("first_moment", "largest_gradient")
    elif isinstance(optimizer, Lion):
        names = ("first_moment",)
    else:
        names = ("first_moment", "second_moment")
        names += ("largest_second_moment",) if optimizer.amsgrad else ()
    return {name: np.zeros_like(weight) for name in names}


def update(
    optimizer: Optimizer,
    weight: np.ndarray,
    gradient: np.ndarray,
    slots: Slots,
    learning_rate: float,
    step: int,
) -> tuple[np.ndarray, Slots]:
    """One step of one weight: its new value and slots; the arguments are left as they are.

    Args:
        step: number of this step, 1 for the first.
    """
    share, form = decay(optimizer)
    if share and form == "coupled":
        gradient = gradient + share * weight
    match optimizer:
        case Adamax():
            change, slots = _adamax(optimizer, gradient, slots, learning_rate, step)
        case Lion():
            change, slots = _lion(optimizer, gradient, slots, learning_rate)
        case Adam() | AdamW():
            change, slots = _adam(optimizer, gradient, slots, learning_rate, step)
        case Adadelta():
            change, slots = _adadelta(optimizer, gradient, slots, learning_rate)
        case Adagrad():
            change, slots = _adagrad(optimizer, gradient, slots, learning_rate)
        case SGD():
            change, slots = _sgd(optimizer, gradient, slots, learning_rate)
        case RMSprop():
            change, slots = _rmsprop(optimizer, gradient, slots, learning_rate)
    if share and form == "decoupled":
        change = change + learning_rate * share * weight
    return weight - change, slots


def _adam(
    optimizer: Adam | AdamW, gradient: np.ndarray, slots: Slots, learning_rate: float, step: int
) -> tuple[np.ndarray, Slots]:
    """m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  c1 = 1 - b1^t;  c2 = 1 - b2^t.

    paper: w -= r (m / c1) / (sqrt(v / c2) + e)         Kingma & Ba 2015 (arXiv 1412.6980), alg. 1
    hat:   w -= r sqrt(c2) / c1 * m / (sqrt(v) + e)     end of their section 2;
           keras/src/optimizers/adam.py. Equal to "paper" with epsilon e / sqrt(c2).
    AdamW adds r * weight_decay * w to the change, w being the value before the step
    (Loshchilov & Hutter 2019, arXiv 1711.05101, alg. 2, with the decay times r as all three
    frameworks have it).
    AMSGrad puts the largest v so far in v's place (Reddi et al. 2018, arXiv 1904.09237, alg. 2,
    which corrects nothing): raw, before c2 (torch/optim/adam.py, keras/src/optimizers/adam.py), or
    corrected, of v / c2 (optax.scale_by_amsgrad).
    """
    assert optimizer.epsilon is not None
    beta_1, beta_2 = optimizer.beta_1, optimizer.beta_2
    first = beta_1 * slots["first_moment"] + (1 - beta_1) * gradient
    second = beta_2 * slots["second_moment"] + (1 - beta_2) * gradient**2
    correction_1, correction_2 = 1 - beta_1**step, 1 - beta_2**step
    slots_after = {"first_moment": first, "second_moment": second}
    if optimizer.amsgrad:
        corrected = optimizer.amsgrad_form == "corrected"
        seen = second / correction_2 if corrected else second
        largest = np.maximum(slots["largest_second_moment"], seen)
        slots_after["largest_second_moment"] = largest
        second = largest * correction_2 if corrected else largest
    if optimizer.epsilon_form == "hat":
        rate = learning_rate * math.sqrt(correction_2) / correction_1
        change = rate * first / (np.sqrt(second) + optimizer.epsilon)
    else:
        root = np.sqrt(second / correction_2)
        change = learning_rate * (first / correction_1) / (root + optimizer.epsilon)
    return change, slots_after


def _adamax(
    optimizer: Adamax, gradient: np.ndarray, slots: Slots, learning_rate: float, step: int
) -> tuple[np.ndarray, Slots]:
    """m = b1 m + (1 - b1) g;  u = max(b2 u, |g|);  w -= r (m / (1 - b1^t)) / u.

    Kingma & Ba 2015 (arXiv 1412.6980), alg. 2. Epsilon is added to |g| (torch/optim/adamax.py,
    optax.scale_by_adamax) or to u (keras/src/optimizers/adamax.py).
    """
    assert optimizer.epsilon is not None
    beta_1, beta_2 = optimizer.beta_1, optimizer.beta_2
    first = beta_1 * slots["first_moment"] + (1 - beta_1) * gradient
    inside = optimizer.epsilon if optimizer.epsilon_in_norm else 0.0
    largest = np.maximum(beta_2 * slots["largest_gradient"], np.abs(gradient) + inside)
    divisor = largest if optimizer.epsilon_in_norm else largest + optimizer.epsilon
    change = learning_rate * (first / (1 - beta_1**step)) / divisor
    return change, {"first_moment": first, "largest_gradient": largest}


def _lion(
    optimizer: Lion, gradient: np.ndarray, slots: Slots, learning_rate: float
) -> tuple[np.ndarray, Slots]:
    """w -= r sign(b1 m + (1 - b1) g);  m = b2 m + (1 - b2) g.

    Chen et al. 2023 (arXiv 2302.06675), alg. 2; decoupled decay as AdamW's.
    """
    beta_1, beta_2, first = optimizer.beta_1, optimizer.beta_2, slots["first_moment"]
    change = learning_rate * np.sign(beta_1 * first + (1 - beta_1) * gradient)
    return change, {"first_moment": beta_2 * first + (1 - beta_2) * gradient}


def _adadelta(
    optimizer: Adadelta, gradient: np.ndarray, slots: Slots, learning_rate: float
) -> tuple[np.ndarray, Slots]:
    """s = rho s + (1 - rho) g^2;  d = sqrt(u + e) / sqrt(s + e) * g;  u = rho u + (1 - rho) d^2;
    w -= r d.

    Zeiler 2012 (arXiv 1212.5701), alg. 1, whose r is 1.
    """
    assert optimizer.rho is not None
    assert optimizer.epsilon is not None
    rho, epsilon = optimizer.rho, optimizer.epsilon
    mean_square = rho * slots["mean_square"] + (1 - rho) * gradient**2
    root = np.sqrt(slots["mean_square_update"] + epsilon) / np.sqrt(mean_square + epsilon)
    delta = root * gradient
    mean_square_update = rho * slots["mean_square_update"] + (1 - rho) * delta**2
    return learning_rate * delta, {
        "mean_square": mean_square,
        "mean_square_update": mean_square_update,
    }


def _adagrad(
    optimizer: Adagrad, gradient: np.ndarray, slots: Slots, learning_rate: float
) -> tuple[np.ndarray, Slots]:
    """a += g^2, from `initial_accumulator`.

    in root:  w -= r g / sqrt(a + e)     keras/src/optimizers/adagrad.py, optax.scale_by_rss
    outside:  w -= r g / (sqrt(a) + e)   torch/optim/adagrad.py; Duchi et al. 2011, fig. 1, has the
              diagonal matrix delta I + diag(G)^(1/2)
    """
    accumulator = slots["accumulator"] + gradient**2
    root = _root(accumulator, optimizer.epsilon, optimizer.epsilon_in_root)
    return learning_rate * gradient / root, {"accumulator": accumulator}


def _rmsprop(
    optimizer: RMSprop, gradient: np.ndarray, slots: Slots, learning_rate: float
) -> tuple[np.ndarray, Slots]:
    """s = rho s + (1 - rho) g^2, from 0 (Tieleman & Hinton 2012, lecture 6.5).

    in root:  w -= r g / sqrt(s + e)     keras/src/optimizers/rmsprop.py, optax.scale_by_rms
    outside:  w -= r g / (sqrt(s) + e)   torch/optim/rmsprop.py
    centered: s - m^2 in place of s, m = rho m + (1 - rho) g
    momentum mu, with q = g / root: rate_outside: v = mu v + q;  w -= r v   torch/optim/rmsprop.py
                                    rate_inside:  v = mu v + r q;  w -= v   Keras, optax
    """
    rho = optimizer.rho
    assert rho is not None
    mean_square = rho * slots["mean_square"] + (1 - rho) * gradient**2
    after, square = {"mean_square": mean_square}, mean_square
    if optimizer.centered:
        after["mean_gradient"] = rho * slots["mean_gradient"] + (1 - rho) * gradient
        square = mean_square - after["mean_gradient"] ** 2
    push = gradient / _root(square, optimizer.epsilon, optimizer.epsilon_in_root)
    if not optimizer.momentum:
        return learning_rate * push, after
    inside = optimizer.momentum_form == "rate_inside"
    velocity = optimizer.momentum * slots["velocity"] + (learning_rate * push if inside else push)
    return velocity if inside else learning_rate * velocity, {**after, "velocity": velocity}


def _sgd(
    optimizer: SGD, gradient: np.ndarray, slots: Slots, learning_rate: float
) -> tuple[np.ndarray, Slots]:
    """Without momentum: w -= r g. With momentum mu:

    rate_outside: v = mu v + g;    w -= r v;  Nesterov: w -= r (g + mu v)
                  torch/optim/sgd.py, optax.trace
    rate_inside:  v = mu v + r g;  w -= v;    Nesterov: w -= r g + mu v
                  keras/src/optimizers/sgd.py, whose velocity has the opposite sign
    Nesterov's form is that of Sutskever et al. 2013, rewritten for the look-ahead weights.
    """
    if not optimizer.momentum:
        return learning_rate * gradient, {}
    inside = optimizer.velocity_form == "rate_inside"
    push = learning_rate * gradient if inside else gradient
    velocity = optimizer.momentum * slots["velocity"] + push
    applied = push + optimizer.momentum * velocity if optimizer.nesterov else velocity
    change = applied if inside else learning_rate * applied
    return change, {"velocity": velocity}


def slot_factor(optimizer: Optimizer, slot: str, learning_rate: float) -> float:
    """Factor that makes a slot canonical: a "rate_inside" velocity is r times the canonical one."""
    inside = slot == "velocity" and velocity_form(optimizer) == "rate_inside"
    return 1 / learning_rate if inside else 1.0


def _root(square: np.ndarray, epsilon: float | None, in_root: bool | None) -> np.ndarray:
    assert epsilon is not None
    return np.sqrt(square + epsilon) if in_root else np.sqrt(square) + epsilon


def project_max_norm(kernel: np.ndarray, limit: float) -> np.ndarray:
    """The kernel with the norm of each unit's incoming weights brought down to `limit`.

    w *= clip(norm, 0, limit) / (1e-7 + norm), keras/src/constraints/constraints.py, MaxNorm. The
    norm is over all axes but the last: for a dense kernel (in, out) that is Keras' `axis=0`; for a
    convolution kernel (height, width, in, out), where Keras' default would take the rows alone,
    the project takes all weights that enter one filter. Kernels within the limit shrink by a
    factor of 1 - 1e-7 / norm, as in Keras.
    """
    axes = tuple(range(kernel.ndim - 1))
    norm = np.sqrt(np.sum(kernel**2, axis=axes, keepdims=True))
    return kernel * (np.clip(norm, 0, limit) / (MAX_NORM_EPSILON + norm))


def require_stated(optimizer: Optimizer) -> None:
    """Raise SpecificationError when a field of the optimizer is not stated."""
    for field in optimizer.__struct_fields__:
        open_for_good = field in ("weight_decay", "momentum") and not isinstance(
            optimizer, AdamW | Lion
        )
        needed = applies(optimizer, field) and not open_for_good
        if needed and getattr(optimizer, field) is None:
            raise SpecificationError(
                f"optimizer '{optimizer.__struct_config__.tag}': field '{field}' is not stated; "
                "fill it in with frameworks.spec.defaults.fill_recipe."
            )
