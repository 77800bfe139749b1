"""The words of a network: what other frameworks call them, blocks, and hashes that stay."""

from __future__ import annotations

import pytest

from benchmarks.fidelity.cases.vocabulary import VOCABULARY
from frameworks.spec.architecture import Architecture, load, parse
from frameworks.spec.defaults import fill_architecture
from frameworks.spec.graph import PICTURES, every_layer
from frameworks.spec.layers import Conv, Flatten, MaxPool
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError

OUTPUT = '{type = "flatten"}, {type = "dense", units = "classes"}'


def read(text: str, output: str = OUTPUT) -> Architecture:
    content = f"layers = [{text}, {output}]"
    return parse(content, origin="my.toml", default_name="my")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{type = "activation", function = "swish"}', "'swish' is silu here"),
        ('{type = "activation", function = "softmax"}', "the softmax is part of the loss"),
        ('{type = "activation", function = "LeakyReLU"}', "did you mean 'leaky_relu'"),
        ('{type = "conv2d"}', "is conv here"),
        ('{type = "GlobalAveragePooling2D"}', "is global_average_pool here"),
        ('{type = "separable_conv"}', 'groups = "channels" and bias = false'),
        ('{type = "depthwise_conv"}', 'is a conv with groups = "channels" here'),
        (
            '{type = "conv", filters = 2, kernel = 3, kernel_initializer = "kaiming_normal"}',
            "he_normal_fan_out",
        ),
        (
            '{type = "conv", filters = 2, kernel = 3, alpha = 0.5}',
            "layer 1 (conv), field 'alpha': belongs to activation = \"elu\"",
        ),
        (
            '{type = "conv", filters = 2, kernel = 3, stride = 2, dilation = 2}',
            "field 'dilation': goes with stride = 1 alone",
        ),
        ('{type = "max_pool", size = 2, padding = 2}', "at most half the size of the window"),
        (
            '{type = "residual", layers = [{type = "conv", filters = 2, kernal = 3}]}',
            "layer 1.layers.1 (conv): unknown field 'kernal' (did you mean 'kernel'?)",
        ),
        (
            '{type = "residual", layers = [{type = "flatten"}]}',
            "layer 1.layers.1 (flatten), field 'type': a block ends in images; flatten them after",
        ),
        (
            '{type = "concatenate", branches = [[], [{type = "conv", filtres = 2, kernel = 1}]]}',
            "layer 1.branches.2.1 (conv): unknown field 'filtres' (did you mean 'filters'?)",
        ),
        (
            '{type = "concatenate", branches = [[], [{type = "conv", filters = "x", kernel = 1}]]}',
            "layer 1.branches.2.1 (conv), field 'filters': Invalid enum value 'x'",
        ),
        (
            '{type = "concatenate", branches = [[]]}',
            "layer 1 (concatenate), field 'branches': has 1; at least 2",
        ),
        (
            '{type = "concatenate", branches = [[], {type = "flatten"}]}',
            "layer 1.branches.2: expected a list of layers, got dict",
        ),
        ('{type = "batch_norm"}, {type = "normalize", mean = [0], deviation = [1]}', "the first"),
        ('{type = "normalize", mean = [0.0], deviation = [0.0]}', "must be finite and positive"),
        (
            '{type = "global_average_pool"}, {type = "conv", filters = 2, kernel = 1}',
            "needs an image",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(text: str, expected: str) -> None:
    with pytest.raises(SpecificationError) as caught:
        read(text)
    assert str(caught.value).startswith("my.toml: layer ")
    assert expected in str(caught.value)


def test_blocks_within_blocks_have_a_limit() -> None:
    for begins, ends in (('"residual", layers = [', "]}"), ('"concatenate", branches = [[', "]]}")):
        text = f"{{type = {begins}" * 40 + '{type = "batch_norm"}' + ends * 40
        with pytest.raises(SpecificationError, match="at most 16 deep"):
            read(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{type = "residual", layers = [{type = "conv", filters = 5, kernel = 3}]}',
            r"layer 1 \(residual 'residual1'\): its layers end in 6x6x5, its shortcut in 8x8x3",
        ),
        (
            '{type = "gate", layers = [{type = "conv", filters = 2, kernel = 3}]}',
            r"layer 1 \(gate 'gate1'\): its layers end in 6x6x2, and it multiplies 8x8x3",
        ),
        (
            '{type = "concatenate", branches = [[], [{type = "max_pool", size = 2}]]}',
            r"layer 1 \(concatenate 'concatenate1'\): branch 1 ends in 8x8x3, branch 2 in 4x4x3",
        ),
        (
            '{type = "conv", filters = 4, kernel = 1, groups = 2}',
            r"layer 1 \(conv 'conv1'\): 3 channels do not divide into groups = 2",
        ),
        (
            '{type = "conv", filters = 4, kernel = 1, groups = "channels"}',
            "filters = 4 do not divide into groups = 3",
        ),
        (
            '{type = "normalize", mean = [0, 0], deviation = [1, 1]}',
            "mean has 2 values; the pictures have 3 channels",
        ),
    ],
)
def test_shapes_that_do_not_add_up_name_both(text: str, expected: str) -> None:
    with pytest.raises(SpecificationError, match=expected):
        Network(read(text), (8, 8, 3), 4)


def test_an_output_of_a_convolution_has_a_pixel_a_class() -> None:
    head = read('{type = "conv", filters = "classes", kernel = 3}', '{type = "global_max_pool"}')
    assert Network(head, (8, 8, 3), 5).output_shapes["global_max_pool1"] == (5,)
    flat = read('{type = "conv", filters = "classes", kernel = 3}', '{type = "flatten"}')
    with pytest.raises(SpecificationError, match="ends in 180 numbers a picture"):
        Network(flat, (8, 8, 3), 5)
    assert Network(flat, (3, 3, 3), 5).output == "flatten1"


def test_a_norm_and_a_function_may_stand_between_the_classes_and_their_pool() -> None:
    classes = '{type = "conv", filters = "classes", kernel = 1}, {type = "batch_norm"}'
    head = read(classes, '{type = "activation", function = "relu"}, {type = "global_max_pool"}')
    network = Network(head, (8, 8, 3), 5)
    assert network.output_shapes[network.output] == (5,)
    assert network.dead_biases == ("conv1/bias",)
    with pytest.raises(SpecificationError, match=r"layer 1 \(conv\), .*end with a global pool"):
        read(classes, '{type = "activation", function = "relu"}')
    with pytest.raises(SpecificationError, match="the last layer must be a dense layer"):
        read(OUTPUT, '{type = "activation", function = "relu"}')


def test_a_block_is_opened_into_layers_with_sources() -> None:
    network = Network(fill_architecture(VOCABULARY["blocks"]), (16, 18, 3), 4)
    assert network.sources["conv1"] == (PICTURES,)
    assert network.sources["residual1"] == ("residual1_batch_norm2", "activation1")
    assert network.sources["residual1_relu"] == ("residual1",)
    assert network.sources["residual2"] == (
        "residual2_residual1_silu",
        "residual2_shortcut_batch_norm1",
    )
    assert network.output == "global_average_pool1"
    assert set(network.readers["activation1"]) == {"residual1_conv1", "residual1"}


def test_branches_are_opened_into_layers_whose_names_differ() -> None:
    conv = '{type = "conv", filters = 2, kernel = 1}'
    own = '{type = "conv", filters = 3, kernel = 1, name = "own"}'
    text = f'{{type = "concatenate", branches = [[], [{conv}], [{own}, {conv}]]}}'
    network = Network(read(text + ', {type = "batch_norm"}'), (8, 8, 3), 4)
    names = [f"concatenate1_{one}" for one in ("branch2_conv1", "own", "branch3_conv2")]
    assert list(network.sources)[:3] == names
    assert network.sources["concatenate1"] == (PICTURES, names[0], names[2])
    assert network.output_shapes["concatenate1"] == (8, 8, 7)
    assert network.places[names[2]] == ("concatenate1", "branch3", "branch3_conv2")
    assert network.dead_biases == tuple(f"{name}/bias" for name in names)


def test_a_bias_is_dead_where_every_way_from_it_meets_a_norm() -> None:
    block = '{{type = "residual", layers = [{{type = "batch_norm"}}{more}], shortcut = [{side}]}}'
    conv = '{type = "conv", filters = 3, kernel = 1, name = "a"}, '
    norm = '{type = "batch_norm"}'
    both = Network(read(conv + block.format(more="", side=norm)), (4, 4, 3), 2)
    one = Network(read(conv + block.format(more="", side="")), (4, 4, 3), 2)
    assert both.dead_biases == ("a/bias",)
    assert one.dead_biases == ()


@pytest.mark.parametrize(
    ("name", "sha256"),
    [
        ("unam", "ef1ae23d8b77541c76955f7a40300da019a9439a4d238d4933f62a124ec5b98e"),
        ("c2", "910c6035e3ca3e7adaeb0c9f67ac80f8f4e8e268d6ddce47a3c3ef0075c904d8"),
    ],
)
def test_the_networks_of_earlier_runs_keep_their_hashes(name: str, sha256: str) -> None:
    """As commit 23b7b0d computed them: a field that joins a layer changes none."""
    assert load(name).sha256() == sha256


def test_a_field_that_joined_later_counts_where_it_is_no_default() -> None:
    plain = Architecture(name="a", layers=(Conv(filters=2, kernel=3), MaxPool(size=2), Flatten()))
    for changed in (Conv(filters=2, kernel=3, bias=False), Conv(filters=2, kernel=3, groups=2)):
        assert (
            Architecture(name="a", layers=(changed, *plain.layers[1:])).sha256() != plain.sha256()
        )
    padded = (plain.layers[0], MaxPool(size=2, padding=1), Flatten())
    assert Architecture(name="a", layers=padded).sha256() != plain.sha256()


def test_every_layer_of_a_block_is_filled_in() -> None:
    filled = fill_architecture(VOCABULARY["blocks"])
    convolutions = [one for one in every_layer(filled.layers) if isinstance(one, Conv)]
    assert len(convolutions) == 7
    assert {one.kernel_initializer for one in convolutions} == {"glorot_uniform"}
