"""The losses of the reference against independent formulas, and the frameworks' against it."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from frameworks.numpy import losses
from frameworks.spec.losses import (
    LOSSES,
    BinaryCrossEntropy,
    CrossEntropy,
    Loss,
    MeanSquaredError,
    answers,
    check_votes,
    outputs,
    takes_root,
    targets_of,
)
from frameworks.spec.reading import SpecificationError
from frameworks.spec.recipe import EarlyStopping, Recipe, from_table

EVERY: tuple[Loss, ...] = (
    CrossEntropy(),
    CrossEntropy(label_smoothing=0.1),
    CrossEntropy(targets="votes"),
    CrossEntropy(targets="votes", label_smoothing=0.1),
    BinaryCrossEntropy(),
    BinaryCrossEntropy(label_smoothing=0.25),
    BinaryCrossEntropy(targets="one_hot", label_smoothing=0.1),
    BinaryCrossEntropy(targets="votes"),
    MeanSquaredError(),
    MeanSquaredError(outputs="sigmoid"),
    MeanSquaredError(targets="one_hot", outputs="sigmoid"),
    MeanSquaredError(outputs="sigmoid", root=True),
    MeanSquaredError(targets="one_hot", root=True),
)
CLASSES = 4


def material(loss: Loss, images: int = 9, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits float64 and targets that fit the loss."""
    generator = np.random.default_rng(seed)
    classes = (
        2
        if loss == BinaryCrossEntropy(label_smoothing=getattr(loss, "label_smoothing", 0))
        else CLASSES
    )
    count = outputs(loss, classes, votes=classes)
    logits = generator.normal(0, 3, (images, count))
    if targets_of(loss) == "votes":
        return logits, (generator.integers(0, 41, logits.shape) / 40).astype(np.float32)
    return logits, generator.integers(0, classes, images)


def recipes(loss: Loss) -> list[Recipe]:
    """Without weights, and with them divided in either way where there are classes."""
    if targets_of(loss) == "votes":
        return [Recipe(loss=loss)]
    weights = (0.3, 2.5, 0.0, 1.25)[: 2 if material(loss)[0].shape[1] == 1 else CLASSES]
    return [
        Recipe(loss=loss),
        Recipe(loss=loss, class_weights=weights, class_weight_mean="images"),
        Recipe(loss=loss, class_weights=weights, class_weight_mean="weights"),
    ]


ALL = [recipe for loss in EVERY for recipe in recipes(loss)]


def by_hand(recipe: Recipe, logits: np.ndarray, targets: np.ndarray) -> float:
    """One number at a time, by the textbook's formulas."""
    loss, (images, count) = recipe.loss, logits.shape
    total = norm = 0.0
    for row in range(images):
        wanted = [
            float(targets[row][place])
            if targets_of(loss) == "votes"
            else float(targets[row])
            if count == 1
            else float(place == targets[row])
            for place in range(count)
        ]
        smoothing = getattr(loss, "label_smoothing", 0.0)
        alike = 2 if isinstance(loss, BinaryCrossEntropy) else count
        wanted = [(1 - smoothing) * one + smoothing / alike for one in wanted]
        if isinstance(loss, CrossEntropy):
            logs = special.log_softmax(logits[row])
            value = -sum(w * log for w, log in zip(wanted, logs, strict=True))
        elif isinstance(loss, BinaryCrossEntropy):
            p = special.expit(logits[row])
            parts = [w * np.log(q) + (1 - w) * np.log1p(-q) for w, q in zip(wanted, p, strict=True)]
            value = -sum(parts) / count
        else:
            given_ = special.expit(logits[row]) if loss.outputs == "sigmoid" else logits[row]
            value = sum((g - w) ** 2 for g, w in zip(given_, wanted, strict=True)) / count
        weight = 1.0 if recipe.class_weights is None else recipe.class_weights[targets[row]]
        total += weight * value
        norm += weight if recipe.class_weight_mean == "weights" else 1.0
    mean = total / norm
    return mean**0.5 if takes_root(loss) else mean


@pytest.mark.parametrize("recipe", ALL, ids=str)
def test_a_loss_is_the_textbook_s_and_its_gradient_the_slope(recipe: Recipe) -> None:
    logits, targets = material(recipe.loss)
    value, gradient = losses.mean(recipe, logits, targets)
    assert value == pytest.approx(by_hand(recipe, logits, targets), rel=1e-12)
    for place in np.ndindex(*logits.shape):
        moved = [np.array(logits), np.array(logits)]
        moved[0][place] += 1e-6
        moved[1][place] -= 1e-6
        above, below = (losses.mean(recipe, one, targets)[0] for one in moved)
        assert gradient[place] == pytest.approx((above - below) / 2e-6, abs=2e-9)


@given(st.integers(0, 2**32 - 1), st.sampled_from(EVERY))
@settings(max_examples=60, deadline=None)
def test_of_equal_weights_nothing_changes(seed: int, loss: Loss) -> None:
    logits, targets = material(loss, seed=seed)
    plain = losses.mean(Recipe(loss=loss), logits, targets)
    for recipe in recipes(loss)[1:]:
        alike = (3.0,) * len(recipe.class_weights or ())
        found = losses.mean(msgspec.structs.replace(recipe, class_weights=alike), logits, targets)
        factor = 1 if recipe.class_weight_mean == "weights" else 3
        factor **= 0.5 if takes_root(loss) else 1
        assert found[0] == pytest.approx(factor * plain[0], rel=1e-12)
        np.testing.assert_allclose(found[1], factor * plain[1], rtol=1e-11)


def test_large_logits_are_neither_clipped_nor_infinite() -> None:
    plain = losses.mean(Recipe(), np.array([[1000.0, 0.0]]), np.array([1]))
    assert plain[0] == 1000
    np.testing.assert_array_equal(plain[1], [[1, -1]])
    binary = Recipe(loss=BinaryCrossEntropy())
    found = losses.mean(binary, np.array([[1000.0], [-1000.0]]), np.array([0, 1]))
    assert found[0] == 1000
    np.testing.assert_array_equal(found[1], [[0.5], [-0.5]])
    squares = Recipe(loss=MeanSquaredError(outputs="sigmoid"))
    assert losses.mean(squares, np.array([[-1e4]]), np.array([[1.0]])) == (1.0, 0.0)


def test_a_batch_without_any_weight_has_no_mean_over_the_weights() -> None:
    recipe = Recipe(class_weights=(0.0, 1.0), class_weight_mean="weights")
    assert np.isnan(losses.mean(recipe, np.zeros((2, 2)), np.array([0, 0]))[0])


def test_an_answer_is_right_on_its_side_of_one_half() -> None:
    one, votes = BinaryCrossEntropy(), BinaryCrossEntropy(targets="votes")
    logits = np.array([[-0.1], [0.1], [0.0]])
    assert losses.right(one, logits, np.array([0, 0, 0])).tolist() == [True, False, True]
    shares = np.array([[0.4, 0.6]], np.float32)
    assert losses.right(votes, np.array([[-1.0, -1.0]]), shares).tolist() == [[True, False]]
    linear = MeanSquaredError()
    assert losses.right(linear, np.array([[0.4, 0.4]]), shares).tolist() == [[True, False]]
    sigmoid = MeanSquaredError(outputs="sigmoid")
    assert losses.right(sigmoid, np.array([[0.4, 0.4]]), shares).tolist() == [[False, True]]
    assert answers(votes, 37) == 37
    assert answers(one, 1) == answers(CrossEntropy(), 10) == 1


def of_torch(recipe: Recipe, logits: np.ndarray, targets: np.ndarray) -> tuple[Any, Any, Any]:
    torch = pytest.importorskip("torch")
    from frameworks.torch.losses import BatchLoss

    made = BatchLoss(recipe, torch.float64, torch.device("cpu"))
    z, y = torch.tensor(logits, requires_grad=True), torch.from_numpy(targets)
    loss = made(z, y)
    loss.backward()
    return loss.item(), z.grad.numpy(), made.right(z, y).item()


def of_flax(recipe: Recipe, logits: np.ndarray, targets: np.ndarray) -> tuple[Any, Any, Any]:
    jax = pytest.importorskip("jax")
    from frameworks.flax.losses import BatchLoss

    made = BatchLoss.of(recipe)
    with jax.enable_x64(True):
        value, slope = jax.jit(jax.value_and_grad(made))(logits, targets)
        return float(value), np.asarray(slope), int(made.right(jax.numpy.asarray(logits), targets))


@pytest.mark.parametrize("framework", [of_torch, of_flax])
@pytest.mark.parametrize("recipe", ALL, ids=str)
def test_a_framework_computes_the_reference_s(recipe: Recipe, framework: Any) -> None:
    logits, targets = material(recipe.loss)
    value, gradient = losses.mean(recipe, logits, targets)
    found, slope, right = framework(recipe, logits, targets)
    assert found == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(slope, gradient, rtol=1e-11, atol=1e-15)
    assert right == losses.right(recipe.loss, logits, targets).sum()


# ---- as written by users


@pytest.mark.parametrize(
    ("table", "loss"),
    [
        ("cross_entropy", CrossEntropy()),
        ({"name": "cross_entropy", "label_smoothing": 0.1}, CrossEntropy(label_smoothing=0.1)),
        ({"name": "binary_cross_entropy"}, BinaryCrossEntropy()),
        (
            {"name": "mean_squared_error", "outputs": "sigmoid"},
            MeanSquaredError(outputs="sigmoid"),
        ),
    ],
)
def test_a_loss_is_a_name_or_a_table(table: Any, loss: Loss) -> None:
    assert from_table({"loss": table}, "mine").loss == loss


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"loss": "mse"}, r"mine: unknown loss 'mse' \('mse' is mean_squared_error here\)"),
        ({"loss": "BCEWithLogitsLoss"}, "is binary_cross_entropy, of the logits, here"),
        ({"loss": "categorical_crossentropy"}, "is cross_entropy, of the logits, here"),
        ({"loss": "cross_entropi"}, "did you mean 'cross_entropy'.*Known: cross_entropy, bin"),
        ({"loss": 3}, "field 'loss': expected a name or a table"),
        ({"loss": {"label_smoothing": 0.1}}, "unknown loss ''"),
        (
            {"loss": {"name": "mean_squared_error", "label_smoothing": 0.1}},
            "loss 'mean_squared_error': unknown field 'label_smoothing'",
        ),
        ({"loss": {"name": "cross_entropy", "label_smoothing": 1.0}}, r"must be in \[0, 1\)"),
        ({"loss": {"name": "binary_cross_entropy", "targets": "vote"}}, "'vote'"),
        ({"class_weight_mean": "weights"}, "there are no class_weights; state them"),
        ({"loss": "mean_squared_error", "class_weights": [1, 2]}, "the loss is of votes"),
        (
            {
                "loss": "mean_squared_error",
                "keep_best": {"monitor": "validation_cross_entropy"},
            },
            "keep_best.monitor is validation_cross_entropy, .*use validation_loss",
        ),
    ],
)
def test_what_cannot_be_a_loss_says_what_can(table: Any, message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        from_table(table, "mine")


def test_a_head_that_does_not_fit_the_labels_says_which_it_needs() -> None:
    with pytest.raises(SpecificationError, match=r"needs labels of 2 classes.*have 10; use target"):
        outputs(BinaryCrossEntropy(), 10)
    with pytest.raises(SpecificationError, match="needs galaxies with votes: a dataset 'votes'"):
        outputs(MeanSquaredError(), 10)
    with pytest.raises(SpecificationError, match="at least 2 classes, got 1"):
        outputs(CrossEntropy(), 1)
    fitting = {"cross_entropy": 10, "binary_cross_entropy": 1, "mean_squared_error": 37}
    for name, count in fitting.items():
        assert outputs(LOSSES[name](), 2 if count == 1 else 10, 37) == count
    assert outputs(BinaryCrossEntropy(targets="one_hot"), 10) == 10


def test_votes_that_cannot_be_trained_towards_are_counted() -> None:
    votes = np.array([[0.5, 1.0], [0.0, np.nan], [np.inf, 0.2]], np.float32)
    with pytest.raises(
        SpecificationError, match=r"f.h5: 'votes' of 2 of 3 .* row 1, column 1 is nan"
    ):
        check_votes(MeanSquaredError(), votes, "f.h5")
    counts = np.array([[0.5, 1.0], [12.0, 3.0]], np.float32)
    check_votes(MeanSquaredError(), counts, "f.h5")
    for loss in (MeanSquaredError(outputs="sigmoid"), BinaryCrossEntropy(targets="votes")):
        with pytest.raises(SpecificationError, match=r"row 1, column 0 is 12, .*divide counts"):
            check_votes(loss, counts, "f.h5")


def test_counts_of_one_question_are_trained_towards_but_not_none() -> None:
    loss = CrossEntropy(targets="votes")
    check_votes(loss, np.array([[12, 0, 3]], np.float32), "f.h5")
    for row in ([0.0, 0.0, 0.0], [1.0, -1.0, 2.0]):
        with pytest.raises(SpecificationError, match=r"row 1, .*below 0, or in a galaxy without"):
            check_votes(loss, np.array([[1, 2, 3], row], np.float32), "f.h5")
    logits = np.array([[0.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    assert losses.right(loss, logits, np.array([[1, 5, 0], [0, 0, 4.0]])).tolist() == [True, False]
    assert answers(loss, 3) == 1


def test_what_a_recipe_has_besides_is_in_its_runs_names() -> None:
    stopping = EarlyStopping(patience=3)
    assert Recipe(early_stopping=stopping).extras() == ["stopping"]
    assert Recipe(loss=CrossEntropy(label_smoothing=0.1)).extras() == ["cross_entropy"]
