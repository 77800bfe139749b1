"""Architecture files: what ships, what is read, and a message for everything that is wrong."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frameworks.spec import architecture
from frameworks.spec.architecture import Conv, Dense, load, parse
from frameworks.spec.network import Network
from frameworks.spec.reading import SpecificationError
from results.vocabulary import near_miss
from tests.helpers.small_networks import networks

OUTPUT = """
[[layers]]
type = "flatten"
[[layers]]
type = "dense"
units = "classes"
"""
SHIPPED = [*architecture.available(), *architecture.public()]
PUBLISHED = [(name, count) for name in SHIPPED for count in load(name).published]


def read(text: str, output: str = OUTPUT) -> architecture.Architecture:
    return parse(text + output, origin="my.toml", default_name="my")


def layer(fields: str) -> str:
    return "[[layers]]\n" + fields.replace("; ", "\n")


def message(text: str, output: str = OUTPUT) -> str:
    with pytest.raises(SpecificationError) as caught:
        read(text, output)
    assert str(caught.value).startswith("my.toml: ")
    return str(caught.value).removeprefix("my.toml: ")


# ---- what ships


def test_the_architectures_of_the_papers_ship():
    assert set(architecture.available()) >= {
        *("unam", "c1", "c1_bn", "c2", "dieleman", "alexnet", "astronn")
    }


@pytest.mark.parametrize("name", architecture.available())
def test_every_shipped_file_states_its_source_and_a_published_count(name):
    spec = load(name)
    assert spec.name == name
    assert spec.title
    assert spec.source
    assert spec.published


@pytest.mark.parametrize("name", architecture.public())
def test_every_public_network_names_its_repository_and_file(name):
    spec = load(name)
    assert f"public/{spec.name}" == name
    assert spec.title
    assert re.match(r"github\.com/[\w-]+/[\w.-]+, \S", spec.source)


def test_no_two_public_networks_are_one_layer_list():
    hashes = [load(name).sha256() for name in SHIPPED]
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize(("name", "count"), PUBLISHED)
def test_parameter_counts_are_the_published_ones(name, count):
    network = Network(load(name), count.input, count.classes)
    assert network.parameters() == count.parameters
    if count.trainable is not None:
        assert network.parameters(trainable_only=True) == count.trainable


@pytest.mark.parametrize(
    ("name", "input_shape", "classes", "trainable"),
    [
        ("unam", (69, 69, 3), 10, 1_799_964),
        ("c1", (100, 100, 1), 4, 34_721_924),
        ("c1", (100, 100, 1), 3, 34_721_667),
        ("c1_bn", (100, 100, 1), 4, 34_722_052),
        ("c2", (100, 100, 1), 4, 2_393_860),
        ("c2", (69, 69, 3), 10, 825_674),
        ("c2_no_bn", (100, 100, 1), 4, 2_393_412),
        ("dieleman", (100, 100, 1), 4, 2_438_116),
        ("dieleman_bn", (100, 100, 1), 4, 2_438_820),
        ("alexnet", (100, 100, 1), 4, 29_965_700),
        ("alexnet_valid", (200, 200, 1), 4, 37_305_732),
        ("astronn", (69, 69, 3), 10, 1_219_578),
    ],
)
def test_counts_that_papers_and_notebooks_print(name, input_shape, classes, trainable):
    """The same figures once more, so that nobody changes a file and its count together."""
    network = Network(load(name), input_shape, classes)
    assert network.parameters(trainable_only=True) == trainable


def test_details_that_counts_do_not_show():
    unam = load("unam").layers
    assert [x.l2 for x in unam if isinstance(x, Conv | Dense)] == [1e-3] * 6 + [0]
    assert [x.activation for x in unam if isinstance(x, Dense)] == ["tanh", "tanh", "linear"]
    astronn = load("astronn").layers
    assert [x.l2 for x in astronn if isinstance(x, Conv | Dense)] == [1e-4] * 4 + [0]
    assert [x.max_norm for x in astronn if isinstance(x, Dense)] == [None, 2.0, None]
    initializers = [x.kernel_initializer for x in astronn if isinstance(x, Conv | Dense)]
    assert initializers == ["he_normal"] * 4 + [None]


# ---- reading


def test_nameless_layers_are_named_after_type_and_count():
    text = layer('type = "conv"; filters = 2; kernel = 3\n') * 2
    text += layer('type = "max_pool"; size = 2; name = "shrink"\n')
    assert [x.name for x in read(text).layers] == [
        *("conv1", "conv2", "shrink", "flatten1", "dense1")
    ]
    assert read(text).name == "my"


def test_a_file_of_ones_own_is_read_by_its_path(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(layer('type = "conv"; filters = 2; kernel = [3, 5]') + OUTPUT)
    spec = load(path)
    assert spec.name == "mine"
    assert isinstance(spec.layers[0], Conv)
    assert spec.layers[0].kernel_size == (3, 5)
    assert load(str(path)) == spec


def test_hash_is_of_what_is_computed_alone():
    text = layer('type = "conv"; filters = 2; kernel = 3\n')
    plain = read(text)
    assert read('title = "Another"\nsource = "me"\n' + text).sha256() == plain.sha256()
    assert read(text.replace("kernel = 3", "kernel = 5")).sha256() != plain.sha256()
    assert read(text + "l2 = 0.1\n").sha256() != plain.sha256()
    assert read(text + "l2 = 0.0\npadding = 'valid'\nname = 'first'").sha256() == plain.sha256()


@given(networks())
def test_layers_survive_being_written_and_read(network):
    layers = network.architecture.layers
    table = msgspec.json.encode(layers)
    again = msgspec.json.decode(table, type=tuple[architecture.Layer, ...])
    assert again == layers


# ---- what is wrong


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ('type = "convolution"', "layer 1: field 'type' is 'convolution'"),
        ('type = "Conv"; filters = 3', "'Conv' (did you mean 'conv'?). Known types: activation, "),
        ("filters = 3", "layer 1: field 'type' is missing. Known types: "),
        ("type = 3", "layer 1: field 'type' is 3. Known types: "),
        ('type = ["conv"]', "layer 1: field 'type' is ['conv']"),
        (
            'type = "conv"; filtres = 3; kernel = 3',
            "layer 1 (conv): unknown field 'filtres' (did you mean 'filters'?). "
            "Known fields: name, ",
        ),
        ('type = "conv"; kernel = 3', "layer 1 (conv): Object missing required field `filters`"),
        (
            'type = "conv"; filters = "many"; kernel = 3',
            "layer 1 (conv), field 'filters': Invalid enum value 'many'; known: a number or class",
        ),
        (
            'type = "conv"; filters = true; kernel = 3',
            "layer 1 (conv), field 'filters': Expected `int | str`, got `bool`",
        ),
        (
            'type = "conv"; filters = 3; kernel = [3, 3, 3]',
            "layer 1 (conv), field 'kernel': Expected `array` of length 2, got 3",
        ),
        (
            'type = "conv"; filters = 3; kernel = 3; activation = "rellu"',
            "layer 1 (conv), field 'activation': Invalid enum value 'rellu' "
            "(did you mean 'relu'?); known: linear, relu, tanh, sigmoid, silu, ",
        ),
        (
            'type = "conv"; filters = 3; kernel = 3; kernel_initializer = "glorot"',
            "field 'kernel_initializer': Invalid enum value 'glorot' "
            "(did you mean 'glorot_normal'?); known: glorot_uniform, glorot_normal, he_uniform",
        ),
        (
            'type = "conv"; filters = 3; kernel = 3; padding = "SAME"',
            "field 'padding': Invalid enum value 'SAME' (did you mean 'same'?); known: a number",
        ),
        ('type = "conv"; filters = 0; kernel = 3', "'filters': is 0; must be at least 1."),
        ('type = "conv"; filters = 3; kernel = 0', "field 'kernel': is 0; must be at least 1."),
        ('type = "conv"; filters = 3; kernel = [3, 0]', "field 'kernel': is [3, 0]; must be"),
        ('type = "conv"; filters = 3; kernel = 3; stride = 0', "field 'stride': is 0; must be"),
        ('type = "max_pool"; size = -2', "layer 1 (max_pool), field 'size': is -2; must be"),
        ('type = "average_pool"; size = 2; stride = 0', "field 'stride': is 0; must be at least 1"),
        ('type = "dropout"; rate = 1.0', "layer 1 (dropout), field 'rate': is 1.0; must be in [0,"),
        ('type = "dropout"; rate = nan', "field 'rate': is nan; must be in [0, 1)."),
        (
            'type = "conv"; filters = 3; kernel = 3; l2 = -0.1',
            "field 'l2': is -0.1; must be finite and not negative.",
        ),
        (
            'type = "conv"; filters = 3; kernel = 3; max_norm = 0.0',
            "field 'max_norm': is 0.0; must be finite and positive.",
        ),
        ('type = "conv"; filters = 3; kernel = 3; max_norm = nan', "'max_norm': is nan; must be"),
        ('type = "batch_norm"; epsilon = inf', "field 'epsilon': is inf; must be finite and posit"),
        ('type = "batch_norm"; momentum = 1.0', "field 'momentum': is 1.0; the weight on the old"),
        ('type = "batch_norm"; name = "a/b"', "field 'name': 'a/b' must be letters, digits and"),
        ('type = "batch_norm"; name = "dense1"', "'dense1' is used twice; names must differ."),
        ('type = "flatten"', "layer 2 (flatten), field 'type': a second flatten"),
        ('type = "dense"; units = 3', "layer 1 (dense), field 'type': a dense layer needs a flat"),
        (
            'type = "flatten"\n[[layers]]; type = "conv"; filters = 3; kernel = 3',
            "layer 2 (conv), field 'type': needs an image, but a flatten layer came before it.",
        ),
    ],
)
def test_a_bad_layer_is_named_with_its_field(fields, expected):
    assert expected in message(layer(fields))


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (layer('type = "flatten"'), "layer 2 (flatten), field 'type': the last layer must be"),
        (
            layer('type = "flatten"\n[[layers]]; type = "dense"; units = 10'),
            "layer 3 (dense), field 'units': is 10; the last layer must be a dense layer wi",
        ),
        (
            layer('type = "flatten"\n[[layers]]; type = "dense"; units = "clases"'),
            "layer 3 (dense), field 'units': Invalid enum value 'clases' (did you mean 'classes'?)",
        ),
        (
            OUTPUT + 'activation = "relu"',
            "layer 3 (dense), field 'activation': the output layer gives logits",
        ),
        (
            OUTPUT + '[[layers]]\ntype = "dense"\nunits = "classes"',
            "layer 3 (dense), field 'units': 'classes' belongs to the last layer alone.",
        ),
    ],
)
def test_a_bad_end_is_named(output, expected):
    assert expected in message(layer('type = "batch_norm"\n'), output)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("layers = = 3", "not valid TOML: Invalid value (at line 1, column 10)"),
        ("", "no layers; write one [[layers]] table per layer."),
        ("layers = []", "no layers"),
        ("layers = 3", "no layers"),
        ("layers = [3]", "layer 1: expected a table, got int."),
    ],
)
def test_a_file_that_is_no_architecture(text, expected):
    assert expected in message(text, output="")


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ('titel = "x"', "unknown field 'titel' (did you mean 'title'?). Known fields: name, title"),
        ("name = 3", "field 'name': Expected `str`, got `int`."),
        (
            '[[published]]\ninput = [69, 69]\nclasses = 3\nparameters = 2\nsource = "x"',
            "published 1, field 'input': Expected `array` of length 3, got 2.",
        ),
    ],
)
def test_a_bad_field_beside_the_layers(head, expected):
    assert expected in message(f"{head}\n" + layer('type = "batch_norm"'))


def test_unknown_names_suggest_the_near_miss_whatever_their_case():
    for wrong, right in (("unm", "unam"), ("UNAM", "unam"), ("C2", "c2"), ("astroN", "astronn")):
        with pytest.raises(SpecificationError, match=f"did you mean '{right}'") as caught:
            load(wrong)
        assert "Known: alexnet, " in str(caught.value)
    for wrong in ("public/avid0", "avid00", "public/AVID00"):
        with pytest.raises(SpecificationError, match="did you mean 'public/avid00'"):
            load(wrong)
    with pytest.raises(SpecificationError, match=r"unknown architecture 'swin'\. Known: "):
        load("swin")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(SpecificationError, match=r"gone\.toml: no such file"):
        load(tmp_path / "gone.toml")
    with pytest.raises(SpecificationError, match=r"is a directory"):
        load(f"{tmp_path}/")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecificationError, match=r"binary\.toml: cannot be read .*not UTF-8"):
        load(tmp_path / "binary.toml")


def complaint(text: str) -> str | None:
    """What is said about a file; any other exception is a failure."""
    try:
        read(text)
    except SpecificationError as error:
        return str(error)
    return None


@given(st.text(max_size=40))
def test_no_text_is_worth_a_traceback(text):
    said = complaint(text)
    assert said is None or said.startswith("my.toml: ")


@given(
    st.dictionaries(
        st.sampled_from(("type", "filters", "kernel", "units", "rate", "size", "l2", "name")),
        st.one_of(
            st.sampled_from(("conv", "dense", "dropout", "classes", "relu")),
            st.integers(-1, 3),
            st.floats(),
            st.booleans(),
            st.lists(st.integers(), max_size=2),
        ),
    )
)
def test_no_layer_is_worth_a_traceback(fields):
    lines = [f"{key} = {_toml(value)}" for key, value in fields.items()]
    said = complaint("[[layers]]\n" + "\n".join(lines) + "\n")
    assert said is None or said.startswith("my.toml: layer ")


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)


def test_near_miss_is_silent_when_nothing_is_near():
    assert near_miss("xyz", ["conv", "dense"]) == ""
    assert near_miss("Dens", ["conv", "dense"]) == " (did you mean 'dense'?)"
