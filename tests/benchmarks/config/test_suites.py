"""Suites: the shipped ones, and files that are wrong."""

import pytest

from benchmarks.config import suite_file as suites
from frameworks.spec.reading import SpecificationError
from tests.helpers.planning import plan


@pytest.mark.parametrize("name", suites.available())
def test_shipped_suites_are_valid_and_can_be_planned(name: str) -> None:
    suite = suites.load(name)
    assert suite.name == name
    assert suite.description
    assert plan(suite)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("epochs = [", "not valid TOML"),
        ("epoch = 3", "unknown field 'epoch' \\(did you mean 'epochs'\\?\\)"),
        ("epochs = 'many'", "field 'epochs': Expected `int`"),
        ("epochs = -1", "field 'epochs': is -1"),
        ("seeds = [0, -1]", "field 'seeds': has -1"),
        ("batch_size = 0", "field 'batch_size': is 0"),
        ("frameworks = []", "field 'frameworks': is empty"),
        ("parity = ['macthed']", "field 'parity.*macthed'.*did you mean 'matched'"),
        ("optimizer = {name = 'sgd', momntum = 0.9}", "field 'optimizer'.*`momntum`"),
        ("optimizer = {name = 'sgd', learning_rate = -0.1}", "learning_rate"),
        ("fraction = 0", "field 'fraction': is 0.*; above 0, and at most 1"),
        ("fraction = 1.5", "field 'fraction': is 1.5"),
        ("augmentation = 'crop40'", "field 'augmentation'.*did you mean 'crops40'"),
        ("split_by = 'galaxies'", "field 'split_by'.*did you mean 'galaxy'"),
        ("crop_size = 63", "field 'crop_size': is 63, and nothing is cropped; use augmentation"),
        ("augmentation = 'crops40'\ncrop_size = 0", "field 'crop_size': is 0"),
        ("feed = 'streamd'", "field 'feed'.*did you mean 'streamed'"),
        (
            "feed = 'streamed'",
            "field 'feed': is 'streamed', and idiomatic runs .* use tuning tuned",
        ),
        ("warmup_epochs = 2\nepochs = 2", "field 'warmup_epochs': is 2, of 2 epochs"),
        ("fold = '6/5'", "field 'fold': is '6/5'; give K/N, as in 1/5"),
        ("fold = '1/5'\nsplit_from = 'split'", "field 'fold': deals a split of ours; leave it or"),
        ("test_copies = 'all'", "field 'test_copies': is 'all', and there are no copies"),
    ],
)
def test_a_bad_suite_file_is_named_with_its_field(tmp_path, content: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(content)
    with pytest.raises(SpecificationError, match=message) as caught:
        suites.load(str(path))
    assert str(caught.value).startswith(str(path))


def test_paths_in_a_suite_are_relative_to_it(tmp_path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('dataset = "data/a.h5"\narchitectures = ["unam", "nets/b.toml"]\nseeds = 4\n')
    suite = suites.load(str(path))
    assert suite.dataset == str(tmp_path / "data/a.h5")
    assert suite.architectures == ("unam", str(tmp_path / "nets/b.toml"))
    assert suite.seeds == (4,)


def test_unknown_suite_suggests_the_near_miss() -> None:
    with pytest.raises(SpecificationError, match="did you mean 'quick'"):
        suites.load("quik")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"early_stopping": {"patience": -1}}, r"early_stopping.patience is -1; must be"),
        ({"early_stopping": {"patiens": 1}}, r"'early_stopping': .*did you mean 'patience'"),
        ({"early_stopping": {"monitor": "validation_los"}}, "did you mean 'validation_loss'"),
        ({"reduce_on_plateau": {"factor": 2.0}}, r"reduce_on_plateau.factor is 2.0; must be in"),
        ({"class_weights": "balancd"}, "'class_weights': .*did you mean 'balanced'"),
        ({"class_weights": [1, -1]}, "class_weights must be finite and not negative"),
        (
            {"early_stopping": {"restore_best": True}, "keep_best": {}},
            "early_stopping.restore_best and keep_best both",
        ),
    ],
)
def test_a_suite_with_bad_callbacks_names_the_file_and_the_field(table, message) -> None:
    with pytest.raises(SpecificationError, match=f"^mine.toml: .*{message}"):
        suites.convert(table, origin="mine.toml")


def test_frameworks_own_weights_cannot_be_nudged() -> None:
    with pytest.raises(SpecificationError, match="nudge_repeats"):
        suites.convert({"nudge_repeats": True, "parity": "native"}, origin="my.toml")
