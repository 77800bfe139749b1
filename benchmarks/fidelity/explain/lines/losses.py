"""Lines of the losses of logits in each framework, with class weights and without.

`labels` are class numbers, `votes` rows of numbers.
"""

from __future__ import annotations

import msgspec

from frameworks.spec.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Loss,
    MeanSquaredError,
    is_single,
    targets_of,
)
from frameworks.spec.recipe import Recipe


def _towards(loss: Loss, rows: str, column: str) -> str:
    """The target as code: rows of a class each, a column of yes or no, or the votes.

    rows, column: what the framework makes of the labels.
    """
    if targets_of(loss) == "votes":
        return "votes"
    return column if is_single(loss) else rows


def keras(loss: Loss, more: str = "") -> str:
    """Keras' loss; `more` is a further argument of the call."""
    smooths = not isinstance(loss, MeanSquaredError) and loss.label_smoothing
    smoothing = f", label_smoothing={smooths!r}" if smooths else ""
    rows = "keras.ops.one_hot(labels, logits.shape[1])"
    target = _towards(loss, rows, "keras.ops.reshape(labels, (-1, 1))")
    match loss:
        case CrossEntropy() if not smoothing and loss.targets == "labels":
            made, target = "SparseCategoricalCrossentropy(from_logits=True)", "labels"
        case CrossEntropy() if loss.targets == "votes":
            s = loss.label_smoothing
            target = f"((1 - {s!r}) * votes + {s!r} / votes.shape[1])" if s else target
            summed = f"keras.ops.sum({target} * keras.ops.log_softmax(logits, axis=1), axis=1)"
            return f"loss = -keras.ops.mean({summed})"
        case CrossEntropy():
            made = f"CategoricalCrossentropy(from_logits=True{smoothing})"
        case BinaryCrossEntropy():
            made = f"BinaryCrossentropy(from_logits=True{smoothing})"
        case MeanSquaredError():
            found = "keras.ops.sigmoid(logits)" if loss.outputs == "sigmoid" else "logits"
            call = f"keras.losses.MeanSquaredError()({target}, {found}{more})"
            return f"loss = keras.ops.sqrt({call})" if loss.root else f"loss = {call}"
    return f"loss = keras.losses.{made}({target}, logits{more})"


def keras_weighted(recipe: Recipe) -> str:
    """Keras' loss with class weights, divided as stated."""
    mean = "\nweights = weights / weights.mean()" if recipe.class_weight_mean == "weights" else ""
    return (
        _weights(recipe, "np.array") + mean + "\n" + keras(recipe.loss, ", sample_weight=weights")
    )


def torch(loss: Loss) -> str:
    """PyTorch's loss."""
    rows = "F.one_hot(labels, logits.shape[1]).float()"
    target = _towards(loss, rows, "labels[:, None].float()")
    match loss:
        case CrossEntropy():
            more = f"label_smoothing={loss.label_smoothing!r}" if loss.label_smoothing else ""
            return f"loss = nn.CrossEntropyLoss({more})(logits, {loss.targets})"
        case BinaryCrossEntropy():
            s = loss.label_smoothing
            target = f"(1 - {s!r}) * {target} + {s!r} / 2" if s else target
            return f"loss = nn.BCEWithLogitsLoss()(logits, {target})"
        case MeanSquaredError():
            found = "logits.sigmoid()" if loss.outputs == "sigmoid" else "logits"
            return f"loss = nn.MSELoss()({found}, {target})" + (".sqrt()" if loss.root else "")


def flax(loss: Loss) -> str:
    """Optax' loss, a mean over the images and over the outputs."""
    rows = "jax.nn.one_hot(labels, logits.shape[1])"
    target = _towards(loss, rows, "labels[:, None]")
    match loss:
        case CrossEntropy():
            if loss.label_smoothing:
                target = f"optax.smooth_labels({target}, {loss.label_smoothing!r})"
            call = f"softmax_cross_entropy(logits, {target})"
            if loss == CrossEntropy():
                call = "softmax_cross_entropy_with_integer_labels(logits, labels)"
        case BinaryCrossEntropy():
            s = loss.label_smoothing
            target = f"(1 - {s!r}) * {target} + {s!r} / 2" if s else target
            call = f"sigmoid_binary_cross_entropy(logits, {target})"
        case MeanSquaredError():
            found = "jax.nn.sigmoid(logits)" if loss.outputs == "sigmoid" else "logits"
            call = f"squared_error({found}, {target})"
            if loss.root:
                return f"loss = jnp.sqrt(optax.{call}.mean())"
    return f"loss = optax.{call}.mean()"


def torch_weighted(recipe: Recipe) -> str:
    """PyTorch's loss with class weights, divided as stated."""
    if recipe.loss == CrossEntropy() and recipe.class_weight_mean == "weights":
        weights = f"weight=torch.tensor({list(recipe.class_weights or ())})"
        return f"loss = F.cross_entropy(logits, labels, {weights})"
    made = torch(_unrooted(recipe.loss)).removeprefix("loss = ")
    start, _, rest = made.partition("Loss(")
    each = f'{start}Loss(reduction="none"{", " * (rest[0] != ")")}{rest}'
    return _weighted(recipe, "torch.tensor", each, "torch.sqrt")


def flax_weighted(recipe: Recipe) -> str:
    """Optax' loss with class weights, divided as stated."""
    each = flax(_unrooted(recipe.loss)).removeprefix("loss = ").removesuffix(".mean()")
    return _weighted(recipe, "jnp.array", each, "jnp.sqrt")


def _unrooted(loss: Loss) -> Loss:
    return msgspec.structs.replace(loss, root=False) if isinstance(loss, MeanSquaredError) else loss


def _weighted(recipe: Recipe, array: str, each: str, root: str) -> str:
    """The weighted mean of losses, one of each image, or one of each output before their mean."""
    mean = "" if isinstance(recipe.loss, CrossEntropy) else ".mean(1)"
    by = "weights.sum()" if recipe.class_weight_mean == "weights" else "len(labels)"
    lines = f"{_weights(recipe, array)}\nloss = (weights * {each}{mean}).sum() / {by}"
    return f"{lines}\nloss = {root}(loss)" if getattr(recipe.loss, "root", False) else lines


def _weights(recipe: Recipe, array: str) -> str:
    return f"weights = {array}({list(recipe.class_weights or ())})[labels]"
