"""What is said of a specification and a recipe follows from what they state."""

import math
import os
import subprocess
import sys

import pytest

from benchmarks.fidelity.explain import explain as explaining
from benchmarks.fidelity.explain import ranking
from benchmarks.fidelity.explain.explain import VERDICTS, explain
from benchmarks.fidelity.explain.facts import SCHEDULES as SPOKEN
from benchmarks.fidelity.explain.question import SYMPTOMS, Question, ask
from benchmarks.fidelity.explain.show import text
from frameworks.backend import framework
from frameworks.spec.defaults import NATIVE, PROJECT
from frameworks.spec.layers import PARAMETER_OF, applies
from frameworks.spec.losses import CrossEntropy, MeanSquaredError
from frameworks.spec.recipe import OPTIMIZERS, EarlyStopping, Recipe, ReduceOnPlateau
from frameworks.spec.schedules import SCHEDULES
from tests.conftest import ROOT
from tests.helpers.questions import CONV, KERAS_TORCH, OUTPUT, flat, found, lines, question

# ---- stated and left open


@pytest.mark.parametrize(
    ("name", "times"), [("adadelta", 1000), ("adagrad", 10), ("rmsprop", 10), ("sgd", 10)]
)
def test_a_rate_left_open_is_each_framework_s_own_and_ranked_by_the_ratio(name, times):
    asked = question(f'{{type = "flatten"}}, {OUTPUT}', f'optimizer = "{name}"', KERAS_TORCH)
    rate = found(asked)[f"{name}.learning_rate"]
    assert rate.matters == "yes"
    assert rate.effect.times == pytest.approx(times)
    assert "left open by the recipe" in rate.why
    own = {title: float(value) for title, value in rate.told.items()}
    assert own == {
        "Keras": NATIVE["keras"][f"{name}.learning_rate"],
        "PyTorch": NATIVE["torch"][f"{name}.learning_rate"],
    }
    stated = flat(f'optimizer = {{name = "{name}", learning_rate = 0.5}}')
    assert stated[f"{name}.learning_rate"].matters == "no"
    assert "it is stated: 0.5" in stated[f"{name}.learning_rate"].why
    assert "0.5" in lines(stated[f"{name}.learning_rate"], "torch")[0]


def test_a_framework_that_asks_for_a_rate_is_not_said_to_default_like_another():
    rate = flat('optimizer = "adam"', ("keras", "jax"))["adam.learning_rate"]
    assert rate.matters == "no"
    assert rate.why == "Flax asks for one, and is given the project's here"


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_field_that_frameworks_default_differently_is_explained(optimizer):
    asked = ask("dieleman_bn", optimizer=optimizer)
    differences, plain = found(asked), OPTIMIZERS[optimizer]()
    own = ("conv.", "dense.", "batch_norm.", f"{optimizer}.")
    fields = {field for field in PROJECT if field.startswith(own)}
    # of functions that this network has not
    fields -= {field for field in fields if field.partition(".")[2] in PARAMETER_OF}
    assert fields <= set(differences)
    for field in fields:
        natives = [NATIVE[name][field] for name in ("keras", "torch", "flax")]
        differs = len(set(natives)) > 1
        unmet = field in ("sgd.velocity_form", "rmsprop.momentum_form") or not applies(
            plain, field.partition(".")[2]
        )
        assert (differences[field].matters != "no") == (differs and not unmet), field
        if differs and not unmet:
            assert {line.framework for line in differences[field].lines} == {
                *("keras", "torch", "jax")
            }


SCHEDULED = 'optimizer = {name = "sgd", momentum = 0.9}\n'


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ('schedule = {name = "step", every = 3}', "unless staircase=True"),
        ('schedule = {name = "one_cycle"}', "OneCycleLR changes the momentum too"),
        ("warm_up = {length = 2}", "LinearLR begins at a third unless told"),
    ],
)
def test_a_schedule_has_lines_in_every_framework_and_what_its_classes_do(told, words):
    differences = flat(SCHEDULED + told, ("keras", "torch", "jax"))
    schedule = differences["learning-rate schedule"]
    assert {line.framework for line in schedule.lines} == {"keras", "torch", "jax"}
    assert words in schedule.why
    assert differences["sgd.velocity_form"].effect.times > 1.01  # the rate changes
    assert flat(SCHEDULED)["sgd.velocity_form"].matters == "no"
    assert not flat(SCHEDULED)["learning-rate schedule"].lines


@pytest.mark.parametrize(
    ("loss", "field", "words"),
    [
        ('{name = "cross_entropy", label_smoothing = 0.1}', "loss.takes", "smooths labels"),
        ('"binary_cross_entropy"', "binary loss.takes", "its BCELoss probabilities"),
        ('"mean_squared_error"', "squared error", "optax.l2_loss is half of it"),
    ],
)
def test_a_loss_that_is_stated_has_lines_in_every_framework(loss, field, words):
    differences = flat(f"loss = {loss}", ("torch", "jax", "keras"))
    assert words in differences[field].why
    assert {line.framework for line in differences[field].lines} == {"torch", "jax", "keras"}
    others = {"loss.takes", "binary loss.takes", "squared error"} - {field}
    assert not any(differences[other].lines for other in others)


def test_every_schedule_is_spoken_of():
    assert set(SPOKEN) == {*SCHEDULES, "warm_up"}


def test_every_entry_is_reached_by_some_question():
    optimizers = [f'optimizer = "{name}"' for name in OPTIMIZERS]
    seen = {field for recipe in optimizers for field in flat(recipe)}
    for name in explaining._table():
        assert any(name.format(optimizer=one) in seen for one in OPTIMIZERS), name


# ---- conventions keep their line


def test_a_momentum_that_is_stated_needs_another_number_in_pytorch():
    norm = '{type="batch_norm", momentum=0.15}, {type="flatten"}, '
    layers = CONV.format(3) + norm + OUTPUT
    momentum = found(question(layers, names=KERAS_TORCH))["batch_norm.momentum"]
    assert momentum.matters == "yes"
    assert "batch_norm1 states 0.15" in momentum.why
    assert momentum.effect.times == pytest.approx(0.85 / 0.15)  # 1 / (1 - 0.15) against 1 / 0.15
    assert "momentum=0.85" in lines(momentum, "torch")[0]
    assert "momentum=0.15" in lines(momentum, "keras")[0]
    assert not momentum.measured  # R7 measured what is left open
    same = found(question(layers, names=("keras", "jax")))["batch_norm.momentum"]
    assert same.matters == "no"


def test_what_has_another_name_keeps_its_line_when_stated():
    stated = 'optimizer = {name = "rmsprop", rho = 0.75, epsilon_in_root = false}'
    rho = flat(stated, ("torch", "jax"))["rmsprop.rho"]
    assert rho.matters == "no"
    assert "alpha=0.75" in lines(rho, "torch")[0]
    assert "decay=0.75" in lines(rho, "jax")[0]
    decay = flat('optimizer = {name = "adamw", weight_decay = 0.5}')["adamw.weight_decay"]
    assert "weight_decay=0.5" in lines(decay, "torch")[0]


@pytest.mark.parametrize("form", ["paper", "hat"])
def test_a_form_that_no_argument_states_is_each_framework_s_own(form):
    stated = flat(f'optimizer = {{name = "adam", epsilon_form = "{form}"}}')["adam.epsilon_form"]
    assert stated.matters == "yes"
    assert ("class Paper" in lines(stated, "keras")[0]) == (form == "paper")
    assert ("register_step_pre_hook" in lines(stated, "torch")[0]) == (form == "hat")


def test_epsilon_of_zero_has_no_form():
    assert flat('optimizer = {name = "adam", epsilon = 0.0}')["adam.epsilon_form"].matters == "no"
    form = flat('optimizer = {name = "adam", beta_2 = 0.9375}')["adam.epsilon_form"]
    assert "4 times" in form.why  # 1 / sqrt(1 - 0.9375)


def test_the_form_of_the_velocity_matters_when_the_rate_changes():
    sgd = 'optimizer = {name = "sgd", momentum = 0.9}\n'
    assert "constant" in flat(sgd)["sgd.velocity_form"].why
    assert "no momentum" in flat('optimizer = "sgd"')["sgd.velocity_form"].why
    lowered = flat(sgd + "reduce_on_plateau = {factor = 0.1}")["sgd.velocity_form"]
    assert lowered.matters == "yes"
    assert lowered.effect.times > 1.01


# ---- each layer its own value


def test_every_layer_has_a_line_with_its_own_value():
    layers = (
        '{type="conv", filters=4, kernel=3, l2=0.25}, {type="batch_norm", epsilon=0.5}, '
        '{type="average_pool", size=4}, {type="conv", filters=4, kernel=1, l2=0.125}, '
        '{type="batch_norm", momentum=0.75}, {type="average_pool", size=2}, {type="flatten"}, '
        '{type="dense", units=5, max_norm=2}, {type="dense", units="classes", max_norm=3}'
    )
    said = found(question(layers))
    assert [line.split(" * ")[0][-5:] for line in lines(said["l2"], "torch")] == [" 0.25", "0.125"]
    first, second = lines(said["batch_norm.epsilon"], "torch")
    assert ("eps=0.5," in first, "eps=0.001," in second) == (True, True)
    first, second = lines(said["batch_norm.momentum"], "torch")
    assert ("momentum=0.01" in first, "momentum=0.25" in second) == (True, True)
    pools = lines(said["max_pool.stride"], "jax")
    assert ["(4, 4)" in pools[0], "(2, 2)" in pools[1]] == [True, True]
    assert [("MaxNorm(2, axis=0)" in line) for line in lines(said["max_norm"], "keras")] == [
        *(True, False)
    ]


# ---- computed here, of who is asked for


def test_the_spread_of_kernels_is_that_of_the_network_at_hand():
    layers = f'{{type="conv", filters=64, kernel=7}}, {{type="flatten"}}, {OUTPUT}'
    spread = found(question(layers, names=KERAS_TORCH))["conv.kernel_initializer"]
    expected = (2 / (49 + 49 * 64)) / (1 / (3 * 49))  # 2 / (fan_in + fan_out) and 1 / (3 fan_in)
    assert spread.effect.times == pytest.approx(max(expected, 1 / expected) ** 0.5)
    assert "10.8 times apart" in spread.effect.words


def test_only_frameworks_that_are_asked_for_are_spoken_of():
    for names, absent in ((KERAS_TORCH, ("Flax", "optax", "jax")), (("torch", "jax"), ("Keras",))):
        for symptom in SYMPTOMS:
            said = "\n".join(
                line
                for optimizer in OPTIMIZERS
                for asked in [ask("c2", frameworks=names, optimizer=optimizer, symptom=symptom)]
                for line in text(asked, explain(asked))
                if "keras#" not in line and "flax#" not in line and "Keras 3.0.2" not in line
            )
            assert not [word for word in absent if word in said], symptom


def test_what_matters_is_ranked_by_its_effect_and_what_was_measured_goes_before_its_equals():
    for optimizer in OPTIMIZERS:
        said = explain(ask("c2", frameworks=KERAS_TORCH, optimizer=optimizer))
        for verdict in VERDICTS:
            some = [one for one in said if one.matters == verdict]
            keys = [(ranking.first(one.effect, one.stated), one.effect.times) for one in some]
            rounded = [(ahead, round(times, 6)) for ahead, times in keys]
            assert rounded == sorted(rounded, reverse=True)
    first = explain(ask("c2", frameworks=KERAS_TORCH))[0]
    assert (first.field, "28.8" in first.measured) == ("batch_norm.momentum", True)
    assert "28.8" not in explain(ask("c2", frameworks=("keras", "jax")))[0].measured


@pytest.mark.parametrize(
    ("recipe", "names", "first"),
    [
        # a large epsilon is stated, and has two forms; a small one that R7 found not to matter
        ('optimizer = {name = "adam", epsilon = 0.1}', KERAS_TORCH, "adam.epsilon_form"),
        ('optimizer = {name = "adam", epsilon = 1e-8}', KERAS_TORCH, "loss.takes"),
        # what is left open comes first where it is a hundred times apart
        (
            'optimizer="adadelta"\nclipping={name="norm", limit=1}',
            KERAS_TORCH,
            "adadelta.learning_rate",
        ),
        ('optimizer = {name = "adam", weight_decay = 5e-4}', ("torch", "jax"), "adam.decay_form"),
    ],
)
def test_what_is_stated_and_means_something_else_comes_first_unless_it_is_small(
    recipe, names, first
):
    assert next(iter(flat(recipe, names))) == first


def test_a_clipping_is_told_apart_only_where_frameworks_do_it_otherwise():
    names = ["clipping", "clipping of all together", "clipping of numbers"]
    for name, apart in zip(("norm", "global_norm", "value"), names, strict=True):
        said = flat(f'clipping = {{name = "{name}", limit = 1.0}}', ("keras", "torch", "jax"))
        assert [one for one in names if said[one].lines] == [apart]
        assert said[apart].matters == ("no" if name == "value" else "yes")
    assert flat('clipping = {name = "global_norm", limit = 1.0}')[names[1]].effect.times < 1.001


def test_what_was_seen_decides_what_can_be_to_blame():
    outputs = found(ask("c1", symptom="outputs"))
    assert outputs["flatten.order"].matters == "yes"
    assert outputs["conv.kernel_initializer"].matters == "no"
    assert found(ask("c1"))["flatten.order"].matters == "sometimes"
    memory = [one.field for one in explain(ask("c1", symptom="memory")) if one.matters != "no"]
    assert memory == ["memory taken at the start"]


def test_an_accelerator_s_precision_is_certain_on_an_accelerator():
    field = "precision of products on an accelerator"
    assert found(ask("c1"))[field].matters == "sometimes"
    assert found(ask("c1", device="cuda"))[field].matters == "yes"


def test_the_odd_zero_is_computed_for_the_size_of_the_pictures():
    layers = CONV.format('3, stride=2, padding="same"') + '{type="flatten"}, ' + OUTPUT
    even = found(question(layers, names=KERAS_TORCH))["conv.odd_zero_of_same_at_stride_2"]
    assert even.matters == "yes"
    assert lines(even, "torch") == [
        "x = F.pad(x, (0, 1, 0, 1))\nconv1 = nn.Conv2d(1, 4, 3, stride=2)"
    ]
    odd = found(question(layers, names=KERAS_TORCH, size=(29, 29, 1)))
    assert odd["conv.odd_zero_of_same_at_stride_2"].matters == "no"


def test_padding_left_open_is_flax_own_and_stated_is_not():
    after = '{type="flatten"}, ' + OUTPUT
    left, stated = CONV.format(3), CONV.format('3, padding="valid"')
    padding = found(question(left + after))["conv.padding"]
    assert (padding.matters, padding.effect.times) == ("yes", math.inf)
    assert found(question(stated + after))["conv.padding"].matters == "no"
    assert found(question(left + after, names=KERAS_TORCH))["conv.padding"].matters == "no"


def test_the_clipped_loss_is_of_keras_other_engines_alone():
    field = "loss of a softmax layer"
    assert flat("", ("keras", "torch", "jax"))[field].matters == "no"
    between = flat("", ("keras", "keras@torch"))[field]
    assert (between.matters, "16.118" in between.effect.words) == ("yes", True)
    assert "16.118" not in "".join(one.effect.words for one in flat("").values())


_ONE_STEP = """
import numpy as np, keras
layer = keras.layers.Dense(10, activation="softmax")
model = keras.Sequential([keras.Input((3,)), layer])
kernel, bias = np.zeros((3, 10)), np.eye(10)[0] * 40
layer.set_weights([kernel, bias])
model.compile(keras.optimizers.SGD(1.0), loss="sparse_categorical_crossentropy")
x, y = np.zeros((1, 3), "float32"), np.array([1])
loss = model.evaluate(x, y, verbose=0)
model.fit(x, y, epochs=1, verbose=0)
print(f"{loss:.3f} {abs(layer.get_weights()[1][1]):.3f}")
"""


@pytest.mark.slow
@pytest.mark.extended
@pytest.mark.parametrize(
    ("name", "expected"),
    [("keras", "40.000 1.000"), ("keras@torch", "16.118 0.000"), ("keras@jax", "16.118 0.000")],
)
def test_a_softmax_with_the_wrong_label_does_as_is_said_on_each_engine(name, expected):
    if framework(name).missing_packages():
        pytest.skip(f"{name} is not installed")
    environment = {**os.environ, **framework(name).environment}
    made = subprocess.run(
        [sys.executable, "-c", _ONE_STEP],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert made.stdout.strip() == expected, made.stderr[-2000:]


# ---- recipes


def test_class_weights_and_callbacks_matter_where_the_recipe_has_them():
    names = ["recipe.class_weight_mean", "early_stopping.patience", "weights to end with"]
    names += ["reduce_on_plateau.min_delta", "reduce_on_plateau.patience"]
    plain = found(ask("c1", symptom="training"))
    assert {plain[name].matters for name in names} == {"no"}
    recipe = Recipe(
        class_weights=(1.0, 2.0),
        early_stopping=EarlyStopping(patience=4, restore_best=True),
        reduce_on_plateau=ReduceOnPlateau(patience=3, cooldown=2),
    )
    base = ask("c1")
    asked = found(Question(base.architecture, recipe, base.input_shape, 2))
    assert asked["recipe.class_weight_mean"].effect.times == pytest.approx(1.5)
    assert "patience=3)" in lines(asked["early_stopping.patience"], "jax")[0]
    assert "patience=2, cooldown=1" in lines(asked["reduce_on_plateau.patience"], "torch")[0]
    assert {asked[name].matters for name in names[:2]} == {"yes"}


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (CrossEntropy(label_smoothing=0.1), 'reduction="none", label_smoothing=0.1'),
        (MeanSquaredError(targets="one_hot"), 'reduction="none")(logits'),
    ],
)
def test_class_weights_have_lines_with_every_loss_of_labels(loss, expected):
    base = ask("c1")
    recipe = Recipe(loss=loss, class_weights=(1.0,) * 10)
    weighted = found(Question(base.architecture, recipe, base.input_shape, 10))
    assert expected in lines(weighted["recipe.class_weight_mean"], "torch")[0]


def test_the_text_has_three_groups_and_says_lines_once():
    asked = ask("c2", frameworks=KERAS_TORCH, size=40)
    said = list(text(asked, explain(asked)))
    heads = [line.split(" (")[0] for line in said[1:] if line and line[0] != " "]
    assert heads == list(VERDICTS.values())
    assert "    lines as above" in said
    start = said.index(next(line for line in said if line.startswith("  batch_norm.momentum")))
    assert said[start + 4].startswith("    Keras    batch_norm1 = keras.layers.BatchNorm")
