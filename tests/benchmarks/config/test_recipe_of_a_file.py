"""The [recipe] of a network's file is read wherever the file is named, or the command says no."""

import pytest

from benchmarks.config.matrix import rate_note
from benchmarks.config.options import parser, requested
from benchmarks.config.suite import Suite
from datasets.drawn.settings import Augment
from frameworks.spec.architecture import load, load_with_recipe
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import SGD, Adadelta, Adam, EarlyStopping

LAYERS = """
[[layers]]
type = "flatten"
[[layers]]
type = "dense"
units = "classes"
"""


@pytest.fixture
def written(tmp_path):
    """A network's file with this [recipe]; its path."""

    def write(recipe: str, name: str = "mine.toml") -> str:
        path = tmp_path / name
        path.write_text((f"[recipe]\n{recipe}\n" if recipe else "") + LAYERS)
        return str(path)

    return write


def asked(*arguments: str) -> Suite:
    return requested(parser().parse_args(list(arguments)))


def test_the_main_command_trains_by_the_recipe_of_the_file(written):
    path = written(
        'optimizer = "adadelta"\nbatch_size = 128\nepochs = 12\nclass_weights = [1, 2]\n'
        "early_stopping = {patience = 3}"
    )
    suite = asked("--architectures", path)
    assert (suite.optimizer, suite.batch_size, suite.epochs) == (Adadelta(), (128,), 12)
    assert suite.class_weights == [1.0, 2.0]
    assert suite.early_stopping == EarlyStopping(patience=3)
    usual = asked("--architectures", written("batch_size = 3"))
    assert (usual.optimizer, usual.batch_size) == (Adam(), (3,))
    assert usual.epochs == asked("--architectures", "c1").epochs  # left open: the suite's


def test_what_a_file_draws_is_drawn(written):
    path = written("augment = {flip = 'both', rotation = 180, zoom = [0.9, 1.1]}")
    assert asked("--architectures", path).augment == Augment(
        flip="both", rotation=180, zoom=(0.9, 1.1)
    )
    assert asked("--architectures", path, "--augment", "none").augment is None
    assert asked("--architectures", path, "--augment", "crop=9").augment == Augment(crop=9)


def test_an_option_goes_before_the_file(written):
    path = written('optimizer = {name = "sgd", momentum = 0.5}\nbatch_size = 128')
    suite = asked("--architectures", path, "--batch-size", "16", "--learning-rate", "0.5")
    assert suite.batch_size == (16,)
    assert suite.optimizer == SGD(momentum=0.5, learning_rate=0.5)
    assert asked("--architectures", path, "--optimizer", "adam").optimizer == Adam()


def test_a_recipe_that_cannot_be_used_says_where_it_belongs(written, tmp_path):
    path = written("batch_size = 3")
    with pytest.raises(SpecificationError, match=r"mine\.toml: its \[recipe\] is of this network"):
        asked("--architectures", path, "c1")
    dropping = written('partial_batch = "drop"', "drop.toml")
    with pytest.raises(SpecificationError, match=r"drop\.toml: \[recipe\]: field 'partial_batch'"):
        asked("--architectures", dropping)
    suite = tmp_path / "suite.toml"
    suite.write_text('architectures = ["mine.toml"]')
    with pytest.raises(SpecificationError, match="a suite states its own recipe"):
        asked("--suite", str(suite))


def test_a_network_is_the_same_with_and_without_a_recipe(written):
    with_one, without = load(written("epochs = 3")), load(written("", "plain.toml"))
    assert with_one.sha256() == without.sha256()
    assert load_with_recipe(written("", "plain.toml"))[1].fields == frozenset()


def test_a_rate_left_open_is_told_with_each_framework_s_own():
    suite = Suite(frameworks=("keras", "torch"), parity=("matched", "native"), optimizer=SGD())
    assert rate_note(suite) == (
        "learning rate of sgd is left open: 0.01, the project's, in every framework (parity "
        "matched); each framework's own (parity native): keras 0.01, torch 0.001"
    )
    assert not rate_note(Suite(optimizer=SGD(learning_rate=0.01)))
    assert "0.001, torch's, in every framework" in rate_note(
        Suite(optimizer=SGD(), unstated="torch")
    )
