"""The defaults of the installed frameworks are those that the project knows of."""

import io
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from rich.console import Console

from benchmarks.fidelity.defaults import live as live_defaults
from benchmarks.fidelity.defaults import questions
from benchmarks.fidelity.defaults.live import PROBES, Reading, Row, read, recorded, render, table
from benchmarks.fidelity.defaults.questions import FORMS, initialiser
from frameworks.backend import framework
from frameworks.numpy import optimizers as formulas
from frameworks.spec.defaults import NATIVE, PROJECT, REQUIRED
from frameworks.spec.recipe import OPTIMIZERS
from frameworks.spec.weights import draw

INSTALLED = [name for name in PROBES if not framework(name).missing_packages()]


@pytest.fixture(scope="module")
def live():
    """What every installed framework answers."""
    return {reading.framework: reading for reading in read(INSTALLED)}


@pytest.mark.parametrize("name", INSTALLED)
def test_the_installed_framework_has_the_native_defaults(live, name):
    """A default changed by a new version fails here: change frameworks/spec/defaults.py too."""
    assert not live[name].reason
    which = framework(name).defaults
    known = {**NATIVE[which], **dict.fromkeys(REQUIRED[which], "required")}
    assert {field: live[name].answers[field] for field in known} == known


def test_a_rate_that_a_framework_asks_for_is_the_project_s():
    for name, fields in REQUIRED.items():
        assert {NATIVE[name][field] == PROJECT[field] for field in fields} <= {True}


@pytest.mark.parametrize("name", INSTALLED)
def test_the_installed_framework_answers_as_recorded(live, name):
    """Then look at what changed, and: python -m benchmarks.fidelity.defaults.live --record."""
    kept = {reading.framework: reading for reading in recorded()}
    assert live[name].answers == kept[name].answers


@pytest.mark.parametrize("name", INSTALLED)
def test_the_versions_are_read(live, name):
    assert live[name].versions
    assert all(version[0].isdigit() for version in live[name].versions.values())


def test_the_record_covers_all_frameworks_and_fields():
    kept = recorded()
    assert [reading.framework for reading in kept] == list(PROBES)
    assert len({frozenset(reading.answers) for reading in kept}) == 1
    assert set(PROJECT) <= set(kept[0].answers)


def test_differences_that_cost_users_most_are_in_the_table():
    rows = {row.field: row for row in table(recorded())}
    assert rows["adam.epsilon_form"].answers == {"keras": "hat", "torch": "paper", "jax": "paper"}
    assert rows["max_pool.stride"].answers["jax"] == "1"
    assert rows["max_pool.stride"].differs
    assert rows["batch_norm.running_variance"].answers["torch"] == "unbiased"
    assert not rows["adam.beta_2"].differs
    assert rows["adam.beta_2"].project == 0.999
    assert rows["batch_norm.epsilon"].project == PROJECT["batch_norm.epsilon"]


def test_a_framework_without_such_a_thing_does_not_make_a_difference():
    assert not Row("f", {"keras": True, "jax": None}, None).differs
    assert Row("f", {"keras": True, "torch": False}, None).differs


def test_the_table_is_printed_and_a_missing_framework_says_why():
    text = io.StringIO()
    keras, torch, _ = recorded()
    readings = [keras, torch, Reading("jax", reason="not installed: flax")]
    render(readings, Console(file=text, width=200), all_rows=False)
    printed = text.getvalue()
    assert "Flax/optax: not run: not installed: flax" in printed
    assert "adam.epsilon_form" in printed
    assert "adam.beta_2" not in printed
    assert f"torch {torch.versions['torch']}" in printed


def test_nothing_is_recorded_of_a_framework_that_did_not_answer():
    before = live_defaults.RECORDED.read_bytes()
    with pytest.raises(ValueError, match="nothing recorded: jax no answer"):
        live_defaults.record([Reading("jax", reason="no answer after 1 s")])
    assert live_defaults.RECORDED.read_bytes() == before


@pytest.mark.parametrize("name", ["glorot_uniform", "he_normal", "lecun_normal", "torch_uniform"])
def test_an_initialiser_is_recognised_by_a_draw(name):
    generator = np.random.default_rng(0)
    for shape in ((512, 256), (3, 3, 8, 512)):
        receptive = int(np.prod(shape[:-2]))
        drawn = draw(name, shape, shape, generator)
        assert initialiser(drawn, shape[-2] * receptive, shape[-1] * receptive) == name


def test_an_unknown_initialiser_is_described():
    drawn = np.random.default_rng(0).normal(0, 0.02, (512, 256))
    assert initialiser(drawn, 512, 256).startswith("standard deviation 0.02")
    assert initialiser(np.zeros(9), 1, 1) == "zeros"


def numpy_probe(**actual):
    """A framework made of the formulas, whose forms and constants are `actual`."""

    def native(name):
        kind = OPTIMIZERS[name]
        known = {f.name: NATIVE["keras"].get(f"{name}.{f.name}", f.default) for f in kind_of(kind)}
        return kind(**{**known, **{k: v for k, v in actual.items() if k in known}})

    def descend(name, options, gradients, rates):
        spec = msgspec.structs.replace(native(name), **options)
        weight = np.ones(1)
        slots, trace = formulas.initial_slots(spec, weight), []
        for step, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
            now = spec.learning_rate if rate is None else rate
            weight, slots = formulas.update(spec, weight, np.array([gradient]), slots, now, step)
            trace.append(float(weight[0]))
        return trace

    stated = NATIVE["keras"]
    return SimpleNamespace(
        descend=descend,
        hyper_parameter=lambda name, field: stated.get(
            f"{name}.{field}", getattr(OPTIMIZERS[name](), field, False)
        ),
    )


def kind_of(kind):
    return msgspec.structs.fields(kind)


@pytest.mark.parametrize(("field", "form"), [(f, form) for f in FORMS for form in FORMS[f]])
def test_the_form_of_an_update_is_recognised_by_its_steps(field, form):
    for name, kind in OPTIMIZERS.items():
        if any(part.name == field for part in kind_of(kind)):
            found = questions._optimizer(numpy_probe(**{field: form}), name)
            assert found[f"{name}.{field}"] == form


@pytest.mark.parametrize(
    ("name", "field", "value", "form"),
    [("adam", "beta_2", 0.99, "epsilon_form"), ("rmsprop", "rho", 0.99, "epsilon_in_root")],
)
def test_steps_that_no_form_explains_are_not_given_one(name, field, value, form):
    found = questions._optimizer(numpy_probe(**{field: value}), name)
    assert found[f"{name}.{form}"] == "like no known form"


@pytest.mark.parametrize(("field", "value"), [("learning_rate", 0.001), ("momentum", 0.5)])
def test_a_default_that_acts_otherwise_than_stated_is_found(field, value):
    with pytest.raises(ValueError, match=r"sgd: its default steps .* are not those"):
        questions._optimizer(numpy_probe(**{field: value}), "sgd")
