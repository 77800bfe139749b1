"""Every optimizer in every form against its formula in plain Python floats, written anew."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frameworks.numpy import optimizers
from frameworks.spec.architecture import Conv, Dense, Flatten
from frameworks.spec.clipping import ByGlobalNorm, ByNorm, ByValue
from frameworks.spec.defaults import NATIVE, PROJECT, stated
from frameworks.spec.recipe import (
    OPTIMIZERS,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    RMSprop,
    decay,
)
from tests.helpers.small_networks import network, reference

STEPS, RATES = 40, (0.05, 0.005)  # the learning rate falls half way


def by_scalars(optimizer, weight: float, gradients: list[float]) -> list[float]:
    """The weight after every step, one float at a time, sums in place of recursions where possible.

    Moving averages are written as what they stand for, (1 - b) sum_i b^(t-i) x_i, and velocities as
    sum_i mu^(t-i) x_i, so that nothing is shared with the code under test but the definition.
    """

    def average(values: list[float], beta: float) -> float:
        last = len(values) - 1
        return (1 - beta) * math.fsum(beta ** (last - i) * x for i, x in enumerate(values))

    def velocity(values: list[float], mu: float) -> float:
        last = len(values) - 1
        return math.fsum(mu ** (last - i) * x for i, x in enumerate(values))

    path, updates, largest, joined = [], [], 0.0, []
    for t in range(1, len(gradients) + 1):
        rate = RATES[t > STEPS / 2]
        share, form = decay(optimizer)
        coupled = share if form == "coupled" else 0.0
        joined.append(gradients[t - 1] + coupled * weight)
        seen, g = joined, joined[-1]
        squares = [x * x for x in seen]
        match optimizer:
            case Adam() | AdamW():
                m, v = average(seen, optimizer.beta_1), average(squares, optimizer.beta_2)
                m_hat, v_hat = m / (1 - optimizer.beta_1**t), v / (1 - optimizer.beta_2**t)
                if optimizer.amsgrad and optimizer.amsgrad_form == "corrected":
                    largest = v_hat = max(largest, v_hat)
                elif optimizer.amsgrad:
                    largest = max(largest, v)
                    v_hat = largest / (1 - optimizer.beta_2**t)
                epsilon = optimizer.epsilon
                if optimizer.epsilon_form == "hat":
                    epsilon /= math.sqrt(1 - optimizer.beta_2**t)
                change = rate * m_hat / (math.sqrt(v_hat) + epsilon)
            case Adamax():
                inside = optimizer.epsilon if optimizer.epsilon_in_norm else 0.0
                sizes = [
                    optimizer.beta_2 ** (t - 1 - i) * (abs(x) + inside) for i, x in enumerate(seen)
                ]
                m_hat = average(seen, optimizer.beta_1) / (1 - optimizer.beta_1**t)
                change = rate * m_hat / (max(sizes) + optimizer.epsilon - inside)
            case Lion():
                kept = average(seen[:-1], optimizer.beta_2) if t > 1 else 0.0
                mean = optimizer.beta_1 * kept + (1 - optimizer.beta_1) * g
                change = math.copysign(rate, mean) if mean else 0.0
            case Adadelta():
                earlier = average([x * x for x in updates], optimizer.rho) if updates else 0.0
                top = math.sqrt(earlier + optimizer.epsilon)
                updates.append(
                    top / math.sqrt(average(squares, optimizer.rho) + optimizer.epsilon) * g
                )
                change = rate * updates[-1]
            case Adagrad() | RMSprop():
                if isinstance(optimizer, Adagrad):
                    total = optimizer.initial_accumulator + math.fsum(squares)
                else:
                    total = average(squares, optimizer.rho)
                    if optimizer.centered:
                        total -= average(seen, optimizer.rho) ** 2
                if optimizer.epsilon_in_root:
                    root = math.sqrt(total + optimizer.epsilon)
                else:
                    root = math.sqrt(total) + optimizer.epsilon
                change = rate * g / root if g else 0.0
                if isinstance(optimizer, RMSprop) and optimizer.momentum:
                    updates.append(change if optimizer.momentum_form == "rate_inside" else g / root)
                    outer = 1.0 if optimizer.momentum_form == "rate_inside" else rate
                    change = outer * velocity(updates, optimizer.momentum)
            case SGD():
                mu = optimizer.momentum
                if optimizer.velocity_form == "rate_inside":
                    pushes = [RATES[i + 1 > STEPS / 2] * x for i, x in enumerate(seen)]
                    outer = 1.0
                else:
                    pushes, outer = seen, rate
                change = outer * velocity(pushes, mu)
                if optimizer.nesterov:
                    change = outer * (pushes[-1] + mu * velocity(pushes, mu))
        if form == "decoupled":
            change += rate * share * weight
        weight -= change
        path.append(weight)
    return path


def by_update(optimizer, weight: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """The same by the code under test: (steps, *shape)."""
    slots, path = optimizers.initial_slots(optimizer, weight), []
    for t, gradient in enumerate(gradients, start=1):
        rate = RATES[t > STEPS / 2]
        weight, slots = optimizers.update(optimizer, weight, gradient, slots, rate, t)
        path.append(weight)
    return np.array(path)


FORMS = {
    "adam_paper": Adam(epsilon=1e-3, epsilon_form="paper"),
    "adam_hat": Adam(epsilon=1e-3, epsilon_form="hat"),
    "adam_other_betas": Adam(beta_1=0.5, beta_2=0.75, epsilon=1e-7, epsilon_form="paper"),
    "adamw_paper": AdamW(epsilon=1e-3, epsilon_form="paper", weight_decay=0.1),
    "adamw_hat": AdamW(epsilon=1e-3, epsilon_form="hat", weight_decay=0.1),
    "adadelta": Adadelta(rho=0.9, epsilon=1e-4),
    "adagrad_in_root": Adagrad(initial_accumulator=0.1, epsilon=0.01, epsilon_in_root=True),
    "adagrad_outside": Adagrad(initial_accumulator=0.0, epsilon=0.01, epsilon_in_root=False),
    "sgd": SGD(),
    "momentum_outside": SGD(momentum=0.9, velocity_form="rate_outside"),
    "momentum_inside": SGD(momentum=0.9, velocity_form="rate_inside"),
    "nesterov_outside": SGD(momentum=0.9, nesterov=True, velocity_form="rate_outside"),
    "nesterov_inside": SGD(momentum=0.9, nesterov=True, velocity_form="rate_inside"),
    "adam_coupled": Adam(epsilon=1e-3, epsilon_form="hat", weight_decay=0.1, decay_form="coupled"),
    "adam_decoupled": Adam(
        epsilon=1e-3, epsilon_form="paper", weight_decay=0.1, decay_form="decoupled"
    ),
    "adam_amsgrad": Adam(
        beta_2=0.5, epsilon=1e-3, epsilon_form="paper", amsgrad=True, amsgrad_form="raw"
    ),
    "adamw_corrected": AdamW(
        beta_2=0.5,
        epsilon=1e-3,
        epsilon_form="paper",
        weight_decay=0.1,
        amsgrad=True,
        amsgrad_form="corrected",
    ),
    "lion": Lion(beta_2=0.75, weight_decay=0.1),
    "adamax_in_norm": Adamax(beta_2=0.5, epsilon=1e-2, epsilon_in_norm=True),
    "adamax_outside": Adamax(beta_2=0.5, epsilon=1e-2, epsilon_in_norm=False),
    "momentum_coupled": SGD(
        momentum=0.9, velocity_form="rate_outside", weight_decay=0.1, decay_form="coupled"
    ),
    "nesterov_decoupled": SGD(
        momentum=0.9,
        nesterov=True,
        velocity_form="rate_inside",
        weight_decay=0.1,
        decay_form="decoupled",
    ),
    "rmsprop_centered": RMSprop(rho=0.9, epsilon=0.01, epsilon_in_root=True, centered=True),
    "rmsprop_momentum": RMSprop(
        rho=0.9, epsilon=0.01, epsilon_in_root=True, momentum=0.5, momentum_form="rate_outside"
    ),
    "rmsprop_inside": RMSprop(
        rho=0.9,
        epsilon=0.01,
        epsilon_in_root=False,
        centered=True,
        momentum=0.5,
        momentum_form="rate_inside",
    ),
    "rmsprop_in_root": RMSprop(rho=0.9, epsilon=0.01, epsilon_in_root=True),
    "rmsprop_outside": RMSprop(rho=0.9, epsilon=0.01, epsilon_in_root=False),
}


def stream(seed: int, size: int = 3) -> np.ndarray:
    """Gradients of very different sizes, with zeros, the first included: (steps, size)."""
    generator = np.random.default_rng(seed)
    gradients = generator.normal(size=(STEPS, size)) * 10.0 ** generator.integers(-4, 2, size)
    gradients[generator.random((STEPS, size)) < 0.1] = 0
    gradients[0, 0] = 0
    return gradients


@pytest.mark.parametrize("form", FORMS)
def test_every_step_of_every_form_is_its_formula(form):
    optimizer, gradients, start = FORMS[form], stream(0), np.array([0.5, -2.0, 0.0])
    path = by_update(optimizer, start, gradients)
    for column in range(3):
        expected = by_scalars(optimizer, start[column], gradients[:, column].tolist())
        np.testing.assert_allclose(path[:, column], expected, rtol=1e-12, atol=1e-14)


@given(st.sampled_from(sorted(FORMS)), st.integers(0, 1000))
def test_formulas_hold_for_any_gradients(form, seed):
    gradients = stream(seed, size=1)
    path = by_update(FORMS[form], np.array([1.0]), gradients)[:, 0]
    expected = by_scalars(FORMS[form], 1.0, gradients[:, 0].tolist())
    np.testing.assert_allclose(path, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("defaults", [PROJECT, *NATIVE.values()])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_forms_that_no_default_leaves_out(name, defaults):
    """Every framework's own defaults are a form that the formulas cover."""
    optimizer, gradients = stated(OPTIMIZERS[name](), defaults), stream(1)
    path = by_update(optimizer, np.ones(3), gradients)
    expected = by_scalars(optimizer, 1.0, gradients[:, 1].tolist())
    np.testing.assert_allclose(path[:, 1], expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("form", FORMS)
def test_dtype_is_kept_and_arguments_are_left_alone(form):
    optimizer, weight = FORMS[form], np.ones((2, 3), np.float32)
    gradient = np.full((2, 3), 0.25, np.float32)
    slots = optimizers.initial_slots(optimizer, weight)
    before = {name: slot.copy() for name, slot in slots.items()}
    moved, after = optimizers.update(optimizer, weight, gradient, slots, 0.1, 1)
    assert moved.dtype == np.float32
    assert {slot.dtype for slot in after.values()} <= {np.dtype(np.float32)}
    assert (weight == 1).all()
    assert (gradient == 0.25).all()
    assert list(after) == list(before)
    for name, slot in slots.items():
        np.testing.assert_array_equal(slot, before[name])


# ---- what tells the forms apart


def test_first_adam_step_is_the_learning_rate_whatever_the_gradient():
    tiny = Adam(epsilon=0.0, epsilon_form="paper")
    path = by_update(tiny, np.zeros(3), np.array([[1e-3, 7.0, -40.0]]))
    np.testing.assert_allclose(path[0], [-0.05, -0.05, 0.05], rtol=1e-12)


def test_epsilon_hat_acts_as_a_larger_epsilon_at_first():
    """At step 1, e in the "hat" form is e / sqrt(1 - beta_2) in the "paper" form."""
    hat = Adam(epsilon=1e-4, epsilon_form="hat")
    paper = Adam(epsilon=1e-4 / math.sqrt(1 - hat.beta_2), epsilon_form="paper")
    gradients, start = stream(2)[1:2], np.zeros(3)
    np.testing.assert_allclose(
        by_update(hat, start, gradients), by_update(paper, start, gradients), rtol=1e-13
    )
    longer = stream(2)
    difference = by_update(hat, start, longer) - by_update(paper, start, longer)
    assert np.abs(difference[-1]).max() > 1e-4


@pytest.mark.parametrize("nesterov", [False, True])
def test_velocity_forms_agree_until_the_rate_changes(nesterov):
    outside, inside = (
        SGD(momentum=0.9, nesterov=nesterov, velocity_form=form)
        for form in ("rate_outside", "rate_inside")
    )
    gradients, half = stream(3), STEPS // 2
    one, other = (by_update(form, np.zeros(3), gradients) for form in (outside, inside))
    np.testing.assert_allclose(one[:half], other[:half], rtol=1e-12, atol=1e-15)
    assert np.abs(one[half] - other[half]).max() > 0.01 * np.abs(one[half]).max()


def test_weight_decay_is_decoupled_from_the_gradient():
    decayed = AdamW(epsilon=1e-7, epsilon_form="paper", weight_decay=0.5)
    path = by_update(decayed, np.array([2.0]), np.zeros((2, 1)))
    np.testing.assert_allclose(path[:, 0], [2 * 0.975, 2 * 0.975**2], rtol=1e-14)


@pytest.mark.parametrize("limit", [0.5, 4.0, 100.0])
def test_clipping_holds_numbers_tensors_or_all_together(limit):
    gradients = {"a": np.array([3.0, -4.0]), "b": np.array([[12.0]]), "c": np.zeros(2)}
    by_value = optimizers.clipped(ByValue(limit=limit), gradients)
    assert max(np.abs(one).max() for one in by_value.values()) == min(limit, 12.0)
    for epsilon in (0.0, 0.25):
        each = optimizers.clipped(ByNorm(limit=limit, epsilon=epsilon), gradients)
        for key, norm in {"a": 5.0, "b": 12.0}.items():
            expected = gradients[key] * min(1.0, limit / (norm + epsilon))
            np.testing.assert_allclose(each[key], expected, rtol=1e-14)
        whole = optimizers.clipped(ByGlobalNorm(limit=limit, epsilon=epsilon), gradients)
        for key, gradient in gradients.items():
            expected = gradient * min(1.0, limit / (13.0 + epsilon))
            np.testing.assert_allclose(whole[key], expected, rtol=1e-14)
        assert not each["c"].any()
        assert not whole["c"].any()


# ---- max-norm


@given(
    st.lists(st.integers(1, 4), min_size=2, max_size=4).filter(lambda shape: len(shape) != 3),
    st.floats(0.1, 4),
)
def test_max_norm_bounds_what_enters_each_unit_and_keeps_its_direction(shape, limit):
    kernel = np.random.default_rng(0).normal(size=shape)
    projected = optimizers.project_max_norm(kernel, limit)
    for unit in range(shape[-1]):
        before, after = kernel[..., unit].ravel(), projected[..., unit].ravel()
        norm = math.sqrt(math.fsum(before**2))
        np.testing.assert_allclose(after, before * min(norm, limit) / (norm + 1e-7), rtol=1e-12)
        assert np.linalg.norm(after) <= limit


def test_max_norm_of_a_unit_without_weights_is_not_nan():
    assert (optimizers.project_max_norm(np.zeros((3, 2)), 1.0) == 0).all()


# ---- in the reference


MAX_NORMED = network(
    Conv(name="conv", filters=2, kernel=2, max_norm=0.3),
    Flatten(),
    Dense(name="dense", units=4, max_norm=0.6),
)


def test_the_reference_projects_after_each_step():
    backend = reference(MAX_NORMED, SGD(learning_rate=0.1))
    start = backend.get_weights()
    gradients = {key: np.ones(MAX_NORMED.weight_shapes[key]) for key in MAX_NORMED.trainable_keys}
    backend.apply_gradients(gradients)
    moved = {key: start[key] - 0.1 for key in start}
    for name, limit in (("conv", 0.3), ("dense", 0.6)):
        key = f"{name}/kernel"
        moved[key] = optimizers.project_max_norm(moved[key], limit)
    for key, array in backend.get_weights().items():
        np.testing.assert_allclose(array, moved[key], rtol=1e-14, err_msg=key)


@pytest.mark.parametrize("form", ["rate_outside", "rate_inside"])
def test_velocity_is_given_and_taken_without_the_learning_rate(form):
    optimizer = SGD(learning_rate=0.25, momentum=0.5, velocity_form=form)
    backend = reference(MAX_NORMED, optimizer)
    ones = {key: np.ones(MAX_NORMED.weight_shapes[key]) for key in MAX_NORMED.trainable_keys}
    for _ in range(2):
        backend.apply_gradients(ones)
    state = backend.get_optimizer_state()
    assert (state["velocity/dense/bias"] == 1.5).all()
    other = reference(MAX_NORMED, optimizer)
    other.set_weights(backend.get_weights())
    other.set_optimizer_state(state)
    for which in (backend, other):
        which.apply_gradients(ones)
    np.testing.assert_array_equal(
        other.get_weights()["dense/bias"], backend.get_weights()["dense/bias"]
    )


@pytest.mark.parametrize(
    ("optimizer", "slots"),
    [
        (Adam(), {"first_moment", "second_moment"}),
        (AdamW(), {"first_moment", "second_moment"}),
        (Adadelta(), {"mean_square", "mean_square_update"}),
        (Adagrad(), {"accumulator"}),
        (SGD(), set()),
        (SGD(momentum=0.5), {"velocity"}),
        (RMSprop(), {"mean_square"}),
        (RMSprop(centered=True, momentum=0.5), {"mean_square", "mean_gradient", "velocity"}),
        (Adam(amsgrad=True), {"first_moment", "second_moment", "largest_second_moment"}),
        (Adamax(), {"first_moment", "largest_gradient"}),
        (Lion(), {"first_moment"}),
    ],
)
def test_optimizer_state_has_the_slots_of_the_protocol(optimizer, slots):
    backend = reference(MAX_NORMED, optimizer)
    state = backend.get_optimizer_state()
    expected = {f"{slot}/{key}" for slot in slots for key in MAX_NORMED.trainable_keys}
    assert set(state) == {"step", "learning_rate"} | expected
    for name in expected:
        slot, key = name.split("/", 1)
        assert state[name].shape == MAX_NORMED.weight_shapes[key]
        assert (state[name] == (0.1 if slot == "accumulator" else 0)).all()
