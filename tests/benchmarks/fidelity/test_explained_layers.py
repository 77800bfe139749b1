"""Explained layers: every shipped network, blocks, padding, pools, norms and functions."""

import pytest

from benchmarks.fidelity.explain import explain as explaining
from benchmarks.fidelity.explain.explain import explain
from benchmarks.fidelity.explain.question import ask
from benchmarks.fidelity.explain.show import ranges, text
from frameworks.spec.architecture import available, public
from frameworks.spec.defaults import PROJECT
from frameworks.spec.layers import LAYER_TYPES
from tests.helpers.questions import CONV, KERAS_TORCH, OUTPUT, found, lines, question

FEW = ("c2", "convnext_like", "efficientnet_like", "resnet18", "public/akshataman_leaky")
REST = [name for name in (*available(), *public()) if name not in FEW]


@pytest.mark.parametrize(
    "name", [*FEW, *(pytest.param(name, marks=pytest.mark.slow) for name in REST)]
)
def test_a_shipped_network_is_explained_and_every_field_of_it_spoken_of(name):
    asked = ask(name)
    said = explain(asked)
    assert list(text(asked, said))
    layers = {layer.name: f"{layer.__struct_config__.tag}." for layer in asked.network.layers}
    own = {field for field in PROJECT if field.startswith(tuple(layers.values()))}
    assert own <= {one.field for one in said}
    named = {part for one in said for line in one.lines for part in (line.part, *line.alike)}
    assert named <= {*layers, ""}
    for line in (line for one in said for line in one.lines):
        compile(line.code, name, "exec")


def test_every_field_of_layers_that_frameworks_default_differently_is_spoken_of():
    assert {one for one in PROJECT if one.split(".")[0] in LAYER_TYPES} <= set(explaining._table())


def test_lines_of_a_layer_within_a_block_name_it_and_layers_alike_share_a_line():
    norms = found(ask("resnet18"))["batch_norm.momentum"]
    keras = [line for line in norms.lines if line.framework == "keras"]
    assert (keras[0].part, len(keras)) == ("batch_norm1", 1)
    assert "residual3_shortcut_batch_norm1" in keras[0].alike
    of_torch = [line for line in norms.lines if line.framework == "torch"]
    assert [line.part for line in of_torch] == [
        *("batch_norm1", "residual3_batch_norm1", "residual5_batch_norm1", "residual7_batch_norm1")
    ]
    said = list(text(ask("resnet18"), [norms]))
    assert any(line.strip().startswith("# as well: residual1_batch_norm1") for line in said)


def test_a_deep_network_has_one_line_for_layers_that_differ_in_size_alone():
    asked = ask("resnet50", frameworks=KERAS_TORCH)
    differences = explain(asked)
    short, long = (list(text(asked, differences, details)) for details in (False, True))
    assert len(short) <= 120 < len(long)
    of_norms = [line for line in short if "own sizes: residual1-16_batch_norm1-3" in line]
    assert len(of_norms) == 2  # momentum, running variance
    assert "  no layer states one: max_norm, l2" in short


def test_names_that_differ_in_a_number_are_one():
    names = [f"residual{a}_conv{b}" for a in (1, 2, 4) for b in (1, 2)]
    assert ranges([*names, "conv1", "stem"]) == ["residual1-2+4_conv1-2", "conv1", "stem"]


def test_a_number_of_zeros_is_keras_same_only_where_that_puts_them_alike():
    layers = CONV.format("3, padding=1, stride={}") + '{{type="flatten"}}, '.format() + OUTPUT
    strided, plain = (
        found(question(layers.replace("{}", str(stride)), names=KERAS_TORCH))["padding in numbers"]
        for stride in (2, 1)
    )
    assert (strided.matters, plain.matters) == ("yes", "no")
    assert lines(strided, "keras")[0].startswith("x = keras.layers.ZeroPadding2D(((1, 1), (1, 1)))")
    assert "padding=1" in lines(strided, "torch")[0]
    pool = '{type="max_pool", size=3, stride=2, padding=1}, '
    pooled = found(question(pool + '{type="flatten"}, ' + OUTPUT))["padding in numbers"]
    assert "constant_values=-np.inf" in lines(pooled, "keras")[0]


def test_a_slope_is_keras_own_by_word_and_by_layer():
    leaky = 'activation="leaky_relu"'
    layers = (
        CONV.format(f"3, {leaky}")
        + '{type="activation", function="leaky_relu", negative_slope=0.25}, {type="flatten"}, '
        + OUTPUT
    )
    said = found(question(layers, names=KERAS_TORCH))
    word, layer = said["conv.negative_slope"], said["activation.negative_slope"]
    assert word.told == {"Keras": "0.2", "PyTorch": "0.01"}
    assert "computed: on noise leaky_relu" in word.effect.words
    assert (layer.matters, "it is stated" in layer.why) == ("no", True)
    assert said["dense.negative_slope"].why == "no layer has it"


def test_norms_of_a_block_and_means_at_the_border_are_computed():
    layers = (
        '{type="residual", layers=[{type="conv", filters=1, kernel=3, padding="same"}, '
        '{type="batch_norm", gamma_initializer="zeros"}]}, '
        '{type="average_pool", size=3, stride=2, padding=1}, '
        '{type="adaptive_max_pool", size=3}, {type="flatten"}, ' + OUTPUT
    )
    said = found(question(layers))
    gamma = said["batch_norm.gamma_initializer"]
    assert "nn.init.zeros_(residual1_batch_norm1.weight)" in lines(gamma, "torch")[0]
    count = said["average_pool.count_padding"]
    assert count.effect.times == pytest.approx(9 / 4)
    assert count.told == {"Keras": "False", "PyTorch": "True", "Flax": "True"}
    assert said["adaptive_pool.parts"].matters == "yes"  # 3 of 14
    assert "(0, 5), (4, 10), (9, 14)" in lines(said["adaptive_pool.parts"], "jax")[0]


def test_a_depthwise_kernel_is_drawn_otherwise_only_by_its_inputs():
    def told(word):
        layers = CONV.format(f'3, groups="channels", kernel_initializer="{word}"')
        layers = '{type="conv", filters=4, kernel=1}, ' + layers
        return found(question(layers + '{type="flatten"}, ' + OUTPUT))["conv.depthwise"].effect

    assert told("glorot_uniform").times == pytest.approx(1)
    assert told("he_normal").times == pytest.approx(2)  # of 4 channels, the root of their number
