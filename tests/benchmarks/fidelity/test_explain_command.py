"""The command --explain: its options, the file's recipe, and bad questions."""

import pytest

from benchmarks.fidelity import __main__ as command
from benchmarks.fidelity.explain.question import ask
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import SGD, Adam, Recipe


def test_options_go_before_the_file_s_recipe(tmp_path, capsys):
    path = tmp_path / "mine.toml"
    path.write_text(
        '[recipe]\nbatch_size = 8\noptimizer = {name = "sgd", momentum = 0.5}\n'
        '[[layers]]\ntype = "flatten"\n[[layers]]\ntype = "dense"\nunits = "classes"\n'
    )
    assert ask(path).recipe == Recipe(optimizer=SGD(momentum=0.5), batch_size=8)
    changed = ask(path, optimizer="adam", learning_rate=0.5, batch_size=3)
    assert changed.recipe == Recipe(optimizer=Adam(learning_rate=0.5), batch_size=3)
    told = ["--explain", str(path), "--frameworks", "torch", "jax", "--size", "12"]
    assert command.main([*told, "--image-channels", "2", "--classes", "4"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("PyTorch and Flax: mine on pictures of 12x12x2, 4 classes, sgd, ")
    assert "batches of 8" in first
    assert command.main([*told, "--optimizers", "adagrad", "rmsprop", "--batch-size", "5"]) == 0
    heads = [
        line for line in capsys.readouterr().out.splitlines() if line.startswith("PyTorch and")
    ]
    assert ["adagrad, batches of 5" in heads[0], "rmsprop, batches of 5" in heads[1]] == [True] * 2


def test_bad_questions_are_one_message(tmp_path, capsys):
    for arguments, expected in (
        (["--explain", "c22"], "unknown architecture 'c22' (did you mean"),
        (["--explain", "c2", "--frameworks", "keras"], "give --frameworks two of them"),
        (["--explain", "c2", "--optimizers", "adm"], "unknown optimizer 'adm'"),
        (["--explain", "c2", "--learning-rate", "-1"], "learning_rate is -1.0; must be"),
        (["--explain", "c2", "--size", "4"], "runs out of pixels"),
    ):
        assert command.main(arguments) == 2
        assert expected in capsys.readouterr().err
    with pytest.raises(SpecificationError, match="unknown framework 'kears'"):
        ask("c2", frameworks=("kears", "torch"))


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ('optimizer = "adm"', r"unknown optimizer 'adm' \(did you mean 'adam'"),
        ("optimizer = 3", "field 'optimizer': expected a name or a table"),
        ("batchsize = 3", r"unknown field 'batchsize' \(did you mean 'batch_size'"),
        ('optimizer = {name = "adam", rho = 0.9}', "optimizer 'adam': unknown field 'rho'"),
        ("batch_size = 0", "batch_size is 0; must be at least 1"),
        ('batch_size = "many"', "batch_size"),
    ],
)
def test_a_bad_recipe_names_the_file_and_the_field(tmp_path, recipe, expected):
    path = tmp_path / "mine.toml"
    path.write_text(
        f'[recipe]\n{recipe}\n[[layers]]\ntype = "flatten"\n'
        '[[layers]]\ntype = "dense"\nunits = "classes"\n'
    )
    with pytest.raises(SpecificationError, match=expected) as error:
        ask(path)
    assert "mine.toml: [recipe]" in str(error.value)
