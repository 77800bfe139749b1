"""Predictions as stored: they agree with the test that wrote them, or the fault is told."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import log_softmax

from benchmarks.data.staging import StagedData
from benchmarks.worker.evaluate import test as wrote
from benchmarks.worker.predictions import contradictions
from benchmarks.worker.timer import Clock
from datasets.augment import copies_of
from datasets.splits import Split
from frameworks.spec.defaults import fill_recipe
from frameworks.spec.losses import BinaryCrossEntropy, CrossEntropy, MeanSquaredError
from frameworks.spec.recipe import Recipe

LOSSES = [
    CrossEntropy(label_smoothing=0.1),
    BinaryCrossEntropy(),
    BinaryCrossEntropy(targets="one_hot"),
    MeanSquaredError(targets="one_hot"),
    BinaryCrossEntropy(targets="votes"),
]


def written(directory, loss, augmentation="none", send=lambda event, **content: None):
    """The arguments of `contradictions` for a test whose logits are drawn."""
    random = np.random.default_rng(0)
    size = 1 if loss == BinaryCrossEntropy() else 3
    copies = copies_of(8, 8, augmentation, None)
    galaxies = np.array([7, 3, 11, 0, 5, 2, 8])
    number = len(galaxies) * copies.count
    labels = np.repeat(random.integers(0, max(size, 2), len(galaxies)), copies.count)
    rows = random.permutation(number)
    split = Split(rows[:2], rows[2:3], rows[3:])
    votes = random.random((number, size)).astype(np.float32)
    data = StagedData(np.zeros((number, 8, 8, 3), np.uint8), labels, split, galaxies, copies, votes)
    logits = random.normal(size=(number - 3, size)).astype(np.float32)
    backend = SimpleNamespace(
        recipe=fill_recipe(Recipe(loss=loss, batch_size=4)),
        network=SimpleNamespace(penalised={}),
        predict=lambda images: logits,
        get_weights=dict,
        synchronize=lambda: None,
    )
    clock = Clock(SimpleNamespace(send=send))
    path = directory / "predictions.npz"
    found, score = wrote(backend, data, path, clock)
    return path, data, loss, found, score.accuracy


@pytest.mark.parametrize("augmentation", ["none", "dihedral"])
@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_what_a_test_writes_agrees_with_it(tmp_path, loss, augmentation) -> None:
    assert not list(contradictions(*written(tmp_path, loss, augmentation)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"index": np.sort}, "not the galaxies of the test set"),
        ({"index": lambda index: index + 1}, "not the galaxies of the test set"),
        ({"label": np.flip}, "label is not the label of its galaxy"),
        ({"probabilities": np.fliplr}, "rank the outputs otherwise"),
        ({"probabilities": lambda shares: np.roll(shares, 1, axis=0)}, "rank the outputs"),
        ({"predicted": np.roll}, "not the class of the largest"),
        ({"predicted": np.zeros_like}, "not the class of the largest"),
    ],
    ids=["sorted", "shifted", "labels", "classes", "rows", "predicted", "zeros"],
)
def test_a_row_that_is_of_something_else_is_told(tmp_path, change, words) -> None:
    path, *asked = written(tmp_path, CrossEntropy())
    with np.load(path) as file:
        content = dict(file)
    ((name, function),) = change.items()
    more = (1,) if function is np.roll else ()
    np.savez(path, **content | {name: function(content[name], *more)})
    assert any(words in one for one in contradictions(path, *asked))


def test_an_accuracy_of_another_test_is_told(tmp_path) -> None:
    *asked, accuracy = written(tmp_path, CrossEntropy())
    (told,) = contradictions(*asked, accuracy - 0.25)
    assert f"the row says {accuracy - 0.25:.4f}" in told


def test_the_row_has_the_spread_between_images(tmp_path) -> None:
    facts = {}
    send = lambda event, **content: facts.update(content.get("values", {}))  # noqa: E731
    _, data, _, logits, accuracy = written(tmp_path, CrossEntropy(), send=send)
    labels = data.labels[data.split.test]
    each = -log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(labels)), labels]
    assert facts["test_accuracy"] == accuracy
    assert facts["test_loss"] == facts["test_cross_entropy"] == pytest.approx(each.mean())
    assert facts["extra"]["test_cross_entropy_deviation"] == pytest.approx(each.std())
