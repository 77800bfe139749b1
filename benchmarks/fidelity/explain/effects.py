"""Size of a difference between frameworks, computed for the network and recipe at hand.

Each function takes the question, the part that it is about (a placed layer, or None) and what each
framework does, by name, and returns an `Effect`. `times` puts all on one scale: 1 is no difference,
10 is ten times as much (a step, a spread, a time constant), infinity another shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, cast

import msgspec
import numpy as np

from benchmarks.fidelity.explain.effect import Effect, Values, furthest
from benchmarks.fidelity.explain.lines.layers.call import kernel_shape
from benchmarks.fidelity.explain.noise import asymmetry, copied_edge, counted, cut, function
from benchmarks.fidelity.explain.question import Placed, Question
from frameworks.numpy import optimizers as formulas
from frameworks.spec import schedules
from frameworks.spec.layers import (
    deviation,
)
from frameworks.spec.recipe import Optimizer
from frameworks.spec.weights import fans, variance

_STEPS = 20
_EPOCH = 100  # steps
_TRAINING = 10_000  # steps: as fifty epochs of 12,800 images in batches of 64
_SCALES = np.logspace(-6, -2, 64)  # of gradients: what single weights of these networks get


def _ratio(values: Mapping[str, float]) -> float:
    low, high = min(values.values()), max(values.values())
    return 1.0 if low == high else float("inf") if low <= 0 else high / low


def _each(values: Values, show: Callable[[Any], str] = "{:.3g}".format) -> str:
    return ", ".join(f"{name} {show(value)}" for name, value in values.items())


def rate(question: Question, part: None, values: Values) -> Effect:
    """Steps are as far apart as the rates."""
    times = _ratio(values)
    return Effect(times, f"computed: the rates, and so the steps, are {times:.3g} times apart")


def kernel_spread(question: Question, part: Placed, values: Values) -> Effect:
    """Standard deviation of a layer's output for inputs of variance 1."""
    shape, spread = kernel_shape(part), deviation(part.layer)
    drawn = {name: variance(word, shape, spread) for name, word in values.items()}
    times = _ratio(drawn)
    words = f"computed: variance of the kernel {times:.3g} times apart ({_each(drawn)})"
    return Effect(times**0.5, words)


def bias_spread(question: Question, part: Placed, values: Values) -> Effect:
    """Spread that a drawn bias adds to a layer's output for inputs of variance 1."""
    bound = fans(kernel_shape(part))["fan_in"] ** -0.5
    words = f"computed: the drawn biases are uniform within {bound:.3g}, the others 0"
    return Effect((1 + bound**2) ** 0.5, words)


def epsilon_of_norm(question: Question, part: Placed, values: Values) -> Effect:
    """Output of a norm where the variance is small beside 1."""

    def times(variance: float) -> float:
        return _ratio({name: (variance + value) ** -0.5 for name, value in values.items()})

    shares = f"{100 * (times(0.01) - 1):.2g} % at variance 0.01, {100 * (times(1) - 1):.2g} % at 1"
    return Effect(
        times(0.01), f"computed: what is normalised comes out larger or smaller by {shares}"
    )


def time_constant(question: Question, part: Placed, values: Values) -> Effect:
    """Steps in which running statistics forget."""
    steps = {name: 1 / (1 - value) for name, value in values.items()}
    left = _each({name: 100 * value**100 for name, value in values.items()}, "{:.2g} %".format)
    words = (
        f"computed: they forget in {_each(steps)} steps; of the first value 100 steps leave {left}"
    )
    return Effect(_ratio(steps), words)


def bessel(question: Question, part: Placed, values: Values) -> Effect:
    """n / (n - 1) of the running variance."""
    n = question.recipe.batch_size * int(np.prod(part.source[:-1]))
    times = n / (n - 1) if n > 1 else float("inf")
    words = f"computed: {100 * (times - 1):.2g} % of the running variance, n being {n:,}"
    return Effect(times, words)


def _way(spec: Optimizer, rates: Sequence[float]) -> np.ndarray:
    """Weights after a step at each rate on a fixed stream of gradients.

    The optimizer's state stays as it is where the rate changes.
    """
    generator = np.random.default_rng(0)
    weight = np.zeros(len(_SCALES))
    slots = formulas.initial_slots(spec, weight)
    for step, now in enumerate(rates, start=1):
        gradient = _SCALES * generator.normal(1.0, 0.5, len(_SCALES))
        weight, slots = formulas.update(spec, weight, gradient, slots, now, step)
    return weight


def steps(
    question: Question,
    part: None,
    values: Values,
    rates: Sequence[float] | None = None,
    change: str = "",
) -> Effect:
    """The optimizer's way with one field as each framework has it, all else equal.

    rates: of the steps, by default the optimizer's; `change`: in words.
    """
    filled, field = question.filled.optimizer, str(values["field"])
    told = {name: value for name, value in values.items() if name != "field"}
    ways = {
        value: _way(
            msgspec.structs.replace(filled, **{field: value}), rates or [filled.rate] * _STEPS
        )
        for value in set(told.values())
    }
    apart = furthest(list(ways.values()))
    far = f"{1 + apart:.3g} times as far" if apart > 1 else f"apart by {100 * apart:.2g} %"
    words = f"computed: {far} after {_STEPS} steps on gradients of 1e-6 to 1e-2{change}"
    return Effect(1 + apart, words)


def steps_of_changing_rates(question: Question, part: None, values: Values) -> Effect:
    """The effect of `steps` where the rate changes: half way, or as the schedule says."""
    recipe = question.filled
    rate_, plateau = recipe.optimizer.rate, recipe.reduce_on_plateau
    if schedules.scheduled(recipe):
        total = max(_STEPS, recipe.epochs)
        rates = [schedules.rate(recipe, place, total) for place in range(_STEPS)]
        change = ", the rate by the schedule as if it counted them"
    else:
        factor = plateau.factor if plateau else 1.0
        rates = [rate_] * (_STEPS // 2) + [rate_ * factor] * (_STEPS // 2)
        change = f", the rate times {factor:g} half way" if plateau else ""
    return steps(question, part, values, rates, change)


def counted_rates(question: Question, part: None, values: Values) -> Effect:
    """Mean rate of a training whose schedule is counted by step, and by epoch."""
    counts = {str(value).partition(";")[0] for value in values.values()}
    if len(counts) == 1:
        return Effect(1.01, "they part for one step at a boundary")
    recipe = question.filled
    total = recipe.epochs * _EPOCH if schedules.by_step(recipe) else recipe.epochs
    rates = [schedules.rate(recipe, step, total) for step in range(recipe.epochs * _EPOCH)]
    by_epoch = [schedules.rate(recipe, epoch, total) for epoch in range(recipe.epochs)]
    times = _ratio({"steps": sum(rates) / _EPOCH, "epochs": sum(by_epoch)})
    words = f"computed: with {_EPOCH} steps an epoch the mean rate is {times:.3g} times apart"
    return Effect(times, words)


def decay_form(question: Question, part: None, values: Values) -> Effect:
    """Weights that a training leaves, the decay in each framework's form, on noise as gradients."""
    filled = question.filled.optimizer
    told = {name: value for name, value in values.items() if name != "field"}
    ways = {value: _decayed(filled, value) for value in set(told.values())}
    apart = furthest(list(ways.values()))
    far = f"{1 + apart:.3g} times as large" if apart > 1 else f"apart by {100 * apart:.2g} %"
    words = f"computed: {_TRAINING:,} steps leave weights {far}, of gradients of 1e-6 to 1e-2"
    return Effect(1 + apart, words)


@cache
def _decayed(filled: Optimizer, form: str) -> np.ndarray:
    """Size of weights of 0.05 after a training, for each scale of gradients without a direction."""
    spec = msgspec.structs.replace(filled, decay_form=form)
    generator, scales = np.random.default_rng(0), _SCALES[::8, None]
    weight = np.full((len(scales), 16), 0.05)
    slots = formulas.initial_slots(spec, weight)
    for step in range(1, _TRAINING + 1):
        gradient = scales * generator.normal(size=weight.shape)
        weight, slots = formulas.update(spec, weight, gradient, slots, filled.rate, step)
    return np.asarray(np.abs(weight).mean(axis=1))


def clipping(question: Question, part: None, values: Values) -> Effect:
    """The norm of all gradients where that of each tensor is held, against the norm of all."""
    tensors = len(question.network.trainable_keys)
    words = (
        f"by formula: with {tensors} tensors beyond the limit the gradient is "
        f"{tensors**0.5:.3g} times as long"
    )
    return Effect(tensors**0.5, words)


def added_to_norm(question: Question, part: None, values: Values) -> Effect:
    """1e-6 beside a norm that reaches the limit."""
    limit = question.filled.clipping.limit if question.filled.clipping else 1.0
    times = 1 + 1e-6 / limit
    return Effect(times, f"by formula: {100 * (times - 1):.2g} % of a gradient beyond the limit")


def pixels(question: Question, part: None, values: Values) -> Effect:
    """A byte against its share of 255."""
    return Effect(255.0, "")  # its reason says so


def decay(question: Question, part: None, values: Values) -> Effect:
    """Share of a weight that a training takes away."""
    rate_ = question.filled.optimizer.rate
    left = {name: float(np.exp(-_TRAINING * rate_ * value)) for name, value in values.items()}
    shares = _each({name: 100 * (1 - value) for name, value in left.items()}, "{:.2g} %".format)
    return Effect(_ratio(left), f"computed: {_TRAINING:,} steps take away {shares} of a weight")


def fans_of_all(question: Question, part: Placed, values: Values) -> Effect:
    """Spread of a depthwise kernel whose fans are counted over all channels, as Keras does."""
    height, width, one, outputs = kernel_shape(part)
    channels = part.source[-1]
    shapes = (height, width, one, outputs), (height, width, channels, outputs // channels)
    word, spread = part.layer.kernel_initializer, deviation(part.layer)
    times = _ratio(
        {str(shape): variance(word, cast("tuple[int, ...]", shape), spread) for shape in shapes}
    )
    words = f"computed: {word} draws kernels whose variance is {times:.3g} times apart"
    return Effect(times**0.5, words)


def slope_at_zero(question: Question, part: Placed, values: Values) -> Effect:
    """A gradient of 1 against that of the slope below zero."""
    slope = part.layer.negative_slope
    times = max(slope, 1 / slope) if slope > 0 else float("inf")
    return Effect(times, f"computed: {times:.3g} times as large a gradient there")


def branch(question: Question, part: Placed, values: Values) -> Effect:
    """A residual block's output at the start, with a gamma of 1 against 0."""
    words = (
        "by formula: with gamma 1 the layers of a block add variance 1 to what its shortcut has at "
        "the start, with 0 nothing"
    )
    return Effect(2**0.5, words)


def root(question: Question, part: Placed, values: Values) -> Effect:
    """Pictures divided by the root of the deviation in place of the deviation."""
    times = max(max(value, 1 / value) for value in part.layer.deviation) ** 0.5
    words = f"computed: the deviation taken for a variance scales pictures {times:.3g} times apart"
    return Effect(times, words)


def another_shape(question: Question, part: Placed, values: Values) -> Effect:
    """Nothing fits after it, or another network is trained."""
    return Effect(float("inf"), "another shape: an error, or another network")


def another_order(question: Question, part: Placed, values: Values) -> Effect:
    """A dense kernel of random weights on permuted inputs."""
    words = (
        "by formula: the next layer's output is another altogether, apart by sqrt(2) of its size"
    )
    return Effect(1 + 2**0.5, words)


def mode(question: Question, part: Placed, values: Values) -> Effect:
    """A batch's statistics, or a mask, against inference."""
    if part.kind == "dropout":
        share = (part.layer.rate / (1 - part.layer.rate)) ** 0.5
        return Effect(1 + share, f"by formula: the mask's spread is {100 * share:.0f} % of a value")
    n = question.recipe.batch_size * int(np.prod(part.source[:-1]))
    words = f"by formula: about {100 * n**-0.5:.1g} % once trained (n = {n:,}); any size before"
    return Effect(1 + n**-0.5, words)


def softmax(question: Question, part: None, values: Values) -> Effect:
    """A softmax twice: at the start its gradient is that of one over the number of classes."""
    classes = float(question.classes)
    words = (
        f"by formula: a softmax ahead of one that takes logits makes the gradient at the start "
        f"{classes:.0f} times smaller"
    )
    return Effect(classes, words)


def sigmoid(question: Question, part: None, values: Values) -> Effect:
    """A sigmoid twice: at the start its slope, on the average of yes and no."""
    words = "by formula: a sigmoid twice makes the gradient at the start 4 times smaller on average"
    return Effect(4.0, words)


def clipped(question: Question, part: None, values: Values) -> Effect:
    """The largest loss that clipped probabilities give."""
    largest = -float(np.log(1e-7))
    words = (
        f"by formula: on that engine the loss is at most {largest:.3f}, with no gradient beyond it"
    )
    return Effect(2.0, words)


def last_batch(question: Question, part: None, values: Values) -> Effect:
    """Factor by which an image counts more in a last batch of one."""
    size = question.recipe.batch_size
    words = f"by formula: an image of a last batch of one counts {size} times, of two {size / 2:g}"
    return Effect(float(size), words)


def weights_of_classes(question: Question, part: None, values: Values) -> Effect:
    """The mean weight, which one framework divides by."""
    mean = float(np.mean(question.recipe.class_weights or (1.0,)))
    times = max(mean, 1 / mean) if mean else float("inf")
    words = f"computed: with as many images of each class the losses are {times:.3g} times apart"
    return Effect(times, words)


def twice(question: Question, part: Placed, values: Values) -> Effect:
    """The gradient of l2 * sum(w ** 2) against weight_decay * w."""
    return Effect(
        2.0, "by formula: 2 times; the gradient is 2 * l2 * w, of weight_decay l2 it is l2 * w"
    )


def nothing(question: Question, part: Any, values: Values) -> Effect:
    """Not computed: it depends on what is not stated."""
    return Effect()


EFFECTS: Mapping[str, Callable[[Question, Any, Values], Effect]] = {
    one.__name__: one
    for one in (
        *(rate, kernel_spread, bias_spread, epsilon_of_norm, time_constant, bessel, steps),
        *(fans_of_all, function, slope_at_zero, copied_edge, counted, cut, branch, root),
        *(steps_of_changing_rates, decay, asymmetry, another_shape, another_order, mode, softmax),
        *(sigmoid, decay_form, clipping, added_to_norm, pixels, counted_rates),
        *(clipped, last_batch, weights_of_classes, twice, nothing),
    )
}
