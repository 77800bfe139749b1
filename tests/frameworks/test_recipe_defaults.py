"""Recipes, and the table of defaults that fills in what is not stated."""

from __future__ import annotations

import msgspec
import pytest

from frameworks.spec import architecture
from frameworks.spec.architecture import LAYER_TYPES, BatchNorm, Conv
from frameworks.spec.averages import AverageWeights
from frameworks.spec.clipping import CLIPPINGS
from frameworks.spec.defaults import NATIVE, PROJECT, fill_architecture, fill_recipe, stated
from frameworks.spec.graph import every_layer
from frameworks.spec.layers import applies
from frameworks.spec.loss_scale import LossScale
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import OPTIMIZERS, SGD, Adadelta, Adagrad, Adam, AdamW, Recipe, RMSprop
from frameworks.spec.schedules import SCHEDULES

COLUMNS = {"project": PROJECT, **NATIVE}
# what a layer may leave unstated for good: no default differs between frameworks
AVERAGE = {"average_weights": AverageWeights}
WITH_WEIGHTS = {"recipe.class_weight_mean"}  # filled in where the recipe has class weights
OPTIONAL = {"conv.max_norm", "dense.max_norm", "max_pool.stride", "average_pool.stride"}
OPTIONAL |= {"sgd.weight_decay", "adam.weight_decay", "rmsprop.momentum"}
OPTIONAL |= {"cosine.length", "polynomial.length", "one_cycle.length"}
OPTIONAL |= {"conv.kernel_deviation", "dense.kernel_deviation"}  # stated with their initialiser


def unstated_fields() -> set[str]:
    """`tag.field` of everything that is None unless stated."""
    return {
        f"{tag}.{field.name}"
        for tag, struct in {
            **LAYER_TYPES,
            **OPTIMIZERS,
            **SCHEDULES,
            **CLIPPINGS,
            **AVERAGE,
            "loss_scale": LossScale,
        }.items()
        for field in msgspec.structs.fields(struct)
        if field.default is None
    }


# ---- defaults


@pytest.mark.parametrize("column", COLUMNS)
def test_each_column_states_every_field_that_differs_and_no_other(column):
    assert set(COLUMNS[column]) == unstated_fields() - OPTIONAL | WITH_WEIGHTS


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("name", architecture.available())
def test_a_filled_architecture_states_everything_and_keeps_what_was_stated(name, column):
    before = architecture.load(name)
    after = fill_architecture(before, COLUMNS[column])
    pairs = zip(every_layer(before.layers), every_layer(after.layers), strict=True)
    for raw, filled in pairs:
        tag = raw.__struct_config__.tag
        for field in raw.__struct_fields__:
            value = getattr(raw, field)
            if field in ("layers", "shortcut", "branches"):
                continue  # their layers are looked at by themselves
            if value is not None:
                assert getattr(filled, field) == value
            elif f"{tag}.{field}" not in OPTIONAL and applies(raw, field):
                assert getattr(filled, field) == COLUMNS[column][f"{tag}.{field}"]
    assert fill_architecture(after, NATIVE["torch"]) == after


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_filled_recipe_states_everything(optimizer, column):
    recipe = fill_recipe(Recipe(optimizer=OPTIMIZERS[optimizer](), epochs=3), COLUMNS[column])
    made = recipe.optimizer
    left = [field for field in made.__struct_fields__ if getattr(made, field) is None]
    assert all(f"{optimizer}.{one}" in OPTIONAL or not applies(made, one) for one in left)
    if optimizer in ("adam", "sgd"):
        decayed = msgspec.structs.replace(made, weight_decay=0.1)
        filled = fill_recipe(Recipe(optimizer=decayed), COLUMNS[column]).optimizer
        assert filled.decay_form == COLUMNS[column][f"{optimizer}.decay_form"]
    assert recipe.epochs == 3


@pytest.mark.parametrize("column", COLUMNS)
def test_what_weighted_losses_are_divided_by_is_filled_in_where_there_are_weights(column):
    expected = "weights" if column == "torch" else "images"
    weighted = Recipe(class_weights=(1.0, 2.0))
    assert fill_recipe(weighted, COLUMNS[column]).class_weight_mean == expected
    assert fill_recipe(Recipe(), COLUMNS[column]).class_weight_mean is None
    for mean in ("images", "weights"):
        stated_one = msgspec.structs.replace(weighted, class_weight_mean=mean)
        assert fill_recipe(stated_one, COLUMNS[column]).class_weight_mean == mean


def test_stating_a_field_wins_over_any_default():
    assert stated(BatchNorm(epsilon=0.5), NATIVE["torch"]).epsilon == 0.5
    assert stated(Adam(epsilon=0.0), NATIVE["keras"]).epsilon == 0
    conv = Conv(filters=1, kernel=1, kernel_initializer="he_normal")
    assert stated(conv, NATIVE["torch"]).kernel_initializer == "he_normal"
    assert stated(conv, NATIVE["torch"]).bias_initializer == "torch_uniform"


def test_matched_parity_is_one_formula_that_every_framework_has():
    """The project's choice where the three cannot all do a form (Flax alone has fast variance)."""
    assert PROJECT["batch_norm.variance"] == "two_pass"
    assert PROJECT["adam.epsilon_form"] == PROJECT["adamw.epsilon_form"] == "paper"
    assert PROJECT["sgd.velocity_form"] == "rate_outside"


def test_differences_that_users_trip_over():
    """Figures of each framework's documentation; a conformance test reads them live."""
    assert [NATIVE[name]["batch_norm.momentum"] for name in ("keras", "torch", "flax")] == [
        *(0.99, 0.9, 0.99)
    ]
    assert [NATIVE[name]["batch_norm.epsilon"] for name in ("keras", "torch", "flax")] == [
        *(1e-3, 1e-5, 1e-5)
    ]
    assert [NATIVE[name]["adam.epsilon"] for name in ("keras", "torch", "flax")] == [
        *(1e-7, 1e-8, 1e-8)
    ]


# ---- recipes


def test_a_recipe_is_read_from_a_table():
    table = {"optimizer": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9}, "batch_size": 8}
    recipe = msgspec.convert(table, Recipe)
    assert recipe == Recipe(optimizer=SGD(learning_rate=0.1, momentum=0.9), batch_size=8)
    assert msgspec.json.decode(msgspec.json.encode(recipe), type=Recipe) == recipe


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"batch_size": 0}, "batch_size is 0; must be at least 1"),
        ({"epochs": -1}, "epochs is -1; must not be negative"),
        ({"optimizer": Adam(learning_rate=0)}, "learning_rate is 0; must be finite and positive"),
        ({"optimizer": Adam(learning_rate=float("nan"))}, "learning_rate is nan; must be finite"),
        ({"optimizer": Adam(beta_1=1.0)}, r"beta_1 is 1.0; must be in \[0, 1\)"),
        ({"optimizer": Adam(beta_2=-0.1)}, r"beta_2 is -0.1; must be in \[0, 1\)"),
        ({"optimizer": Adam(epsilon=-1e-8)}, "epsilon is -1e-08; must be finite and not negative"),
        ({"optimizer": AdamW(weight_decay=float("inf"))}, "weight_decay is inf; must be finite"),
        ({"optimizer": Adadelta(rho=1.5)}, r"rho is 1.5; must be in \[0, 1\)"),
        ({"optimizer": Adagrad(initial_accumulator=-1)}, "initial_accumulator is -1; must be fin"),
        ({"optimizer": SGD(momentum=1.0)}, r"momentum is 1.0; must be in \[0, 1\)"),
        ({"optimizer": SGD(decayed="kernels")}, "decayed is kernels, and the optimizer has no"),
        ({"optimizer": SGD(nesterov=True)}, "nesterov needs a momentum"),
        ({"optimizer": RMSprop(rho=float("nan"))}, r"rho is nan; must be in \[0, 1\)"),
    ],
)
def test_a_bad_recipe_names_the_field(fields, expected):
    with pytest.raises(SpecificationError, match=f"recipe: {expected}"):
        Recipe(**fields)


@pytest.mark.parametrize(
    "table",
    [
        {"optimizer": {"name": "adamm"}},
        {"optimizer": {"name": "adam", "rho": 0.9}},
        {"batch": 3},
        {"batch_size": "many"},
        {"partial_batch": "pad"},
    ],
)
def test_a_recipe_table_with_unknown_fields_or_types_is_refused(table):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, Recipe)
