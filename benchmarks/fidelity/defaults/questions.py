"""Questions to every framework left to its defaults, and how an answer is read.

A probe (`keras`, `torch`, `flax` beside this file) does things with its framework; this file
recognises what it did. Names alone are not trusted: a hyper-parameter that is stated must also show
in the framework's steps, compared with the formulas of `frameworks.numpy.optimizers`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from types import ModuleType
from typing import Any, get_args

import msgspec
import numpy as np

from frameworks.numpy import optimizers as formulas
from frameworks.spec.averages import AverageStart, AverageWeights
from frameworks.spec.defaults import PROJECT
from frameworks.spec.recipe import OPTIMIZERS, Adagrad, Adam, Adamax, Lion, RMSprop

Answer = str | float | bool | None

FORMS: Mapping[str, tuple[Answer, ...]] = {
    "epsilon_form": ("paper", "hat"),
    "epsilon_in_root": (True, False),
    "epsilon_in_norm": (True, False),
    "velocity_form": ("rate_outside", "rate_inside"),
}
# Asked by themselves: fields that an optimizer uses beside another, and these others.
_APART = {
    "adam": {"weight_decay", "decay_form", "amsgrad", "amsgrad_form"},
    "adamw": {"amsgrad", "amsgrad_form"},
    "sgd": {"weight_decay", "decay_form"},
    "rmsprop": {"centered", "momentum", "momentum_form"},
}
_CHOSEN = {"decayed"}  # in groups or masks of the user's, by no argument
FURTHER = {"adam": ("amsgrad",), "adamw": ("amsgrad",), "rmsprop": ("centered", "momentum")}
_GRADIENTS = (0.5, -0.2, 0.05, 0.3)
_RATES = (0.1, 0.1, 0.02, 0.02)
_UNKNOWN = "like no known form"


def answers(probe: ModuleType) -> dict[str, Answer]:
    """Every default by field, named as in `frameworks.spec.defaults` where it is there."""
    found: dict[str, Answer] = dict(_initialisers(probe))
    found |= probe.stated()
    found |= _batch_norm(probe, float(found["batch_norm.epsilon"]))  # type: ignore[arg-type]
    for kind in ("layer_norm", "group_norm"):
        found |= _picture_norm(probe, kind)
    found |= _functions(probe)
    found |= _shapes(probe)
    found |= _kinks(probe)
    found |= _loss(probe)
    found |= _class_weights(probe)
    for name in OPTIMIZERS:
        found |= _optimizer(probe, name)
    found |= _decay(probe) | _forms(probe, found)
    return found | _clipping(probe) | _cosine(probe) | _average(probe)


def _initialisers(probe: ModuleType) -> dict[str, Answer]:
    layouts = {
        (3, 3, 8, 512): "height, width, in, out",
        (512, 8, 3, 3): "out, in, height, width",
        (512, 256): "in, out",
        (256, 512): "out, in",
    }
    found: dict[str, Answer] = {}
    for kind, fans in {"conv": (9 * 8, 9 * 512), "dense": (512, 256)}.items():
        kernel, bias = probe.weights(kind)
        found[f"{kind}.kernel_initializer"] = initialiser(kernel, *fans)
        found[f"{kind}.bias_initializer"] = initialiser(bias, *fans)
        found[f"{kind}.kernel_layout"] = layouts.get(kernel.shape, str(kernel.shape))
    return found


def initialiser(drawn: np.ndarray, fan_in: int, fan_out: int) -> str:
    """The initialiser of `frameworks.spec.weights.draw` that these values are a draw of.

    Told by the largest value and the standard deviation of at least 256 values; otherwise those
    two, in words.
    """
    deviation, largest = float(drawn.std()), float(np.abs(drawn).max())
    if largest == 0:
        return "zeros"
    uniform = {
        "glorot_uniform": (6 / (fan_in + fan_out)) ** 0.5,
        "torch_uniform": fan_in**-0.5,
    }
    truncated = {"lecun_normal": fan_in**-0.5, "he_normal": (2 / fan_in) ** 0.5}
    expected = {name: (limit, limit / 3**0.5) for name, limit in uniform.items()}
    expected |= {name: (2 * sd / 0.87962566, sd) for name, sd in truncated.items()}
    for name, (limit, spread) in expected.items():
        if 0.94 * limit < largest <= 1.0001 * limit and abs(deviation / spread - 1) < 0.1:
            return name
    return f"standard deviation {deviation:.4g}, largest {largest:.4g}"


def _batch_norm(probe: ModuleType, stated_epsilon: float) -> dict[str, Answer]:
    generator = np.random.default_rng(0)
    x = (3 + 2 * generator.standard_normal((8, 4))).astype(np.float32)
    _, mean, variance = probe.batch_norm(x)
    momentum = round(float(np.mean(1 - mean / x.mean(axis=0))), 4)
    ratio = float(np.mean((variance - momentum) / (1 - momentum) / x.var(axis=0)))
    forms = {"biased": 1.0, "unbiased": len(x) / (len(x) - 1)}
    running = [name for name, expected in forms.items() if abs(ratio / expected - 1) < 0.01]

    faint = np.array(
        [[-1e-3], [1e-3]], np.float32
    )  # of variance 1e-6: epsilon decides what comes out
    output, _, _ = probe.batch_norm(faint)
    epsilon = 1e-6 * (float(np.var(output)) ** -1 - 1)
    # E[x^2] - E[x]^2 in float32 loses all digits here; of 64 channels a few by luck lose fewer
    far = (3000 + generator.standard_normal((1024, 64))).astype(np.float32)
    exact = (far - far.mean(axis=0, dtype=np.float64)) / far.std(axis=0, dtype=np.float64)
    output, _, _ = probe.batch_norm(far)
    return {
        "batch_norm.epsilon": _agreed("batch_norm.epsilon", stated_epsilon, epsilon),
        "batch_norm.momentum": momentum,
        "batch_norm.running_variance": running[0] if running else f"{ratio:.4g} times the biased",
        "batch_norm.variance": "fast" if np.abs(output - exact).max() > 0.1 else "two_pass",
    }


def _picture_norm(probe: ModuleType, kind: str) -> dict[str, Answer]:
    """Epsilon and form of the variance of a norm over rows."""
    faint = np.array([[-1e-3, 1e-3]], np.float32)
    output, stated = probe.picture_norm(kind, faint)
    epsilon = 1e-6 * (float(np.var(output)) ** -1 - 1)
    far = (3000 + np.random.default_rng(0).standard_normal((64, 1024))).astype(np.float32)
    mean = far.mean(axis=1, keepdims=True, dtype=np.float64)
    exact = (far - mean) / far.std(axis=1, keepdims=True, dtype=np.float64)
    output, _ = probe.picture_norm(kind, far)
    return {
        f"{kind}.epsilon": _agreed(f"{kind}.epsilon", stated, epsilon),
        f"{kind}.variance": "fast" if np.abs(output - exact).max() > 0.1 else "two_pass",
    }


def _functions(probe: ModuleType) -> dict[str, Answer]:
    """The parameters of activation functions, from what they give."""
    at = np.array([-1.0, -30.0], np.float32)
    given = probe.functions(at)
    found: dict[str, Answer] = {}
    for kind, form in {"conv": "word", "dense": "word", "activation": "layer"}.items():
        found[f"{kind}.negative_slope"] = round(-float(given[f"{form} leaky_relu"][0]), 6)
        found[f"{kind}.alpha"] = round(-float(given[f"{form} elu"][1]), 6)
        # gelu(-1) is -0.158655, its form with tanh -0.158808
        found[f"{kind}.approximate"] = float(given[f"{form} gelu"][0]) < -0.15873
    return found


def _agreed(field: str, stated: float, measured: float) -> float:
    """The value stated, when the framework behaves so."""
    if not abs(measured / stated - 1) < 0.02:
        raise ValueError(f"{field} is stated as {stated:g}, but acts as {measured:.4g}.")
    return stated


def _shapes(probe: ModuleType) -> dict[str, Answer]:
    ones = np.ones((1, 4, 4, 1), np.float32)
    padding = {2: "valid", 4: "same"}
    windows = probe.pool("max", np.ones((1, 8, 8, 1), np.float32)).shape[1]
    try:
        corner = probe.convolve(ones, padding="same", stride=2)[0, 0, 0, 0]
        same = {9.0: "after", 4.0: "before and after"}.get(float(corner), f"corner {corner}")
    except ValueError:
        same = "refused"
    # odd, so that "same" pads: what the mean at the padded end divides by
    averaged = probe.pool("average", np.ones((1, 3, 3, 1), np.float32), stride=2, padding="same")
    picture = np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)
    channels_last = (probe.flatten(picture) == picture.reshape(1, -1)).all()
    dropped = probe.dropout(np.ones((100, 100), np.float32), 0.25)
    share, rest = float((dropped == 0).mean()), float(dropped.max())
    scaled = abs(rest - 1 / 0.75) < 1e-5
    return {
        "conv.padding": padding.get(probe.convolve(ones).shape[1], "?"),
        "conv.odd_zero_of_same_at_stride_2": same,
        "max_pool.stride": {4: "size", 7: "1"}.get(windows, "?"),
        "average_pool.count_padding": bool(averaged.min() < 1),
        "flatten.order": "row, column, channel" if channels_last else "channel, row, column",
        "dropout.rate": "share dropped" if abs(share - 0.25) < 0.03 else "share kept",
        "dropout.rest": "times 1 / (1 - rate)" if scaled else f"times {rest:.4g}",
    }


def _kinks(probe: ModuleType) -> dict[str, Answer]:
    zero, tied = np.zeros((1, 1, 1, 1), np.float32), np.ones((1, 2, 2, 1), np.float32)
    first = probe.gradient("max_pool", tied).ravel()
    return {
        "relu.gradient_at_0": probe.gradient("relu", zero).item(),
        "relu6.gradient_at_0": probe.gradient("relu6", zero).item(),
        "maximum.gradient_at_0": probe.gradient("maximum", zero).item(),
        "max_pool.tie": "first" if first.tolist() == [1, 0, 0, 0] else str(first.tolist()),
    }


def _loss(probe: ModuleType) -> dict[str, Answer]:
    labels = np.zeros(1, np.int64)
    value = float(np.mean(probe.cross_entropy(np.array([[2.0, 1.0]], np.float32), labels)))
    logits = abs(value - np.log1p(np.exp(-1.0))) < 1e-4
    impossible = np.array([[0.0, 1000.0 if logits else 1.0]], np.float32)
    largest = float(np.mean(probe.cross_entropy(impossible, labels)))
    several = probe.cross_entropy(np.array([[2.0, 1.0]] * 3, np.float32), np.zeros(3, np.int64))
    close = np.allclose(several, value)
    return {
        "loss.takes": "logits" if logits else "probabilities",
        "loss.largest": "unbounded" if largest > 500 else round(largest, 3),
        "loss.of_a_batch": "one by one" if several.ndim else "mean" if close else "sum",
    }


def _class_weights(probe: ModuleType) -> dict[str, Answer]:
    """Divisor of the sum of weighted losses: the number of images, or the sum of their weights."""
    values = np.array([[2.0, 1.0], [0.5, 1.0], [1.0, -1.0]], np.float32)
    labels, weights = np.array([0, 1, 1]), np.array([1.0, 4.0], np.float32)
    found = probe.weighted_mean(values, labels, weights)
    if found is None:
        return {"recipe.class_weight_mean": "required"}
    each = np.log(np.exp(values).sum(axis=1)) - values[np.arange(3), labels]
    total = float((weights[labels] * each).sum())
    forms = {"images": total / 3, "weights": total / float(weights[labels].sum())}
    named = [name for name, expected in forms.items() if abs(found / expected - 1) < 1e-4]
    return {"recipe.class_weight_mean": named[0] if named else _UNKNOWN}


def _optimizer(probe: ModuleType, name: str) -> dict[str, Answer]:
    """The arguments as stated, and the form of the update recognised by its steps."""
    kind = OPTIMIZERS[name]
    own = [field.name for field in msgspec.structs.fields(kind) if field.name not in _CHOSEN]
    if name not in getattr(probe, "OPTIMIZERS", OPTIMIZERS):
        fields = [f"{name}.{field}" for field in own]
        return {field: "required" if field in PROJECT else None for field in fields}
    fields = [field for field in own if field not in _APART.get(name, set())]
    stated = {field: probe.hyper_parameter(name, field) for field in fields if field not in FORMS}
    forms = [field for field in fields if field in FORMS]
    further = {field: probe.hyper_parameter(name, field) for field in FURTHER.get(name, ())}

    # large enough that where epsilon is added decides the step; with momentum, where the rate is
    told: dict[str, Any] = {"epsilon": 0.1} if "epsilon" in fields else {"momentum": 0.75}
    if kind is Lion:
        told = {}
    if kind is Adagrad:
        told["initial_accumulator"] = 0.0
    if kind is Adamax:
        told["beta_2"] = 0.5  # else what was added ahead of the maximum stays in it
    numbers = {key: value for key, value in stated.items() if value != "required"}
    recognised = dict.fromkeys(forms, _UNKNOWN) | _recognise(probe, name, numbers | told, told)
    usual = _RATES if stated["learning_rate"] == "required" else (None,) * len(_RATES)
    shown = probe.descend(name, {}, _GRADIENTS, usual)
    if _UNKNOWN not in recognised.values():
        expected = _steps(kind(**{**numbers, **recognised}), usual)
        if not np.allclose(shown, expected, rtol=0, atol=1e-4 * abs(1 - expected[0]) + 1e-7):
            raise ValueError(f"{name}: its default steps {shown} are not those of its arguments.")
    return {f"{name}.{key}": value for key, value in {**stated, **recognised, **further}.items()}


def _recognise(
    probe: ModuleType, name: str, fields: Mapping[str, Any], told: Mapping[str, Any]
) -> dict[str, Answer]:
    """The one form whose formula gives the framework's steps; none or several is no answer."""
    kind = OPTIMIZERS[name]
    forms = [f.name for f in msgspec.structs.fields(kind) if f.name in FORMS]
    shown = probe.descend(name, told, _GRADIENTS, _RATES)
    matching = []
    for values in product(*(FORMS[form] for form in forms)):
        candidate = dict(zip(forms, values, strict=True))
        expected = _steps(kind(**{**fields, **candidate}), _RATES)
        if np.allclose(shown, expected, rtol=0, atol=1e-4 * abs(1 - expected[0])):
            matching.append(candidate)
    return matching[0] if len(matching) == 1 else {}


def _steps(spec: Any, rates: Sequence[float | None]) -> list[float]:
    """The weight after each step by the formula."""
    weight = np.ones(1)
    slots = formulas.initial_slots(spec, weight)
    trace = []
    for number, (gradient, rate) in enumerate(zip(_GRADIENTS, rates, strict=True), start=1):
        now = spec.rate if rate is None else rate
        weight, slots = formulas.update(spec, weight, np.array([gradient]), slots, now, number)
        trace.append(float(weight[0]))
    return trace


def _decay(probe: ModuleType) -> dict[str, Answer]:
    """Form of `weight_decay` in Adam and SGD, from two steps without a gradient.

    Decoupled decay multiplies the weight by the same share each time. Coupled decay joins the
    gradient: Adam then makes a step of about the rate, and SGD's momentum remembers it.
    """
    found: dict[str, Answer] = {}
    asked: dict[str, dict[str, float]] = {"adam": {}, "sgd": {"momentum": 0.75}}
    for name, more in asked.items():
        try:
            *_, after = probe.descend(name, {"weight_decay": 0.1, **more}, [0.0] * 2, [0.1] * 2)
        except TypeError:
            found[f"{name}.decay_form"] = "required"  # no such argument: as it is chained
            continue
        decoupled = abs(after - 0.99**2) < 1e-4
        found[f"{name}.decay_form"] = "decoupled" if decoupled else "coupled"
    return found


def _forms(probe: ModuleType, known: Mapping[str, Answer]) -> dict[str, Answer]:
    """The forms of AMSGrad and of RMSprop's momentum, by the formula that gives the steps."""
    adam: dict[str, Any] = {"epsilon_form": known["adam.epsilon_form"], "epsilon": 0.1}
    rmsprop: dict[str, Any] = {"rho": known["rmsprop.rho"], "epsilon": 0.1}
    rmsprop |= {"epsilon_in_root": known["rmsprop.epsilon_in_root"], "momentum": 0.75}
    told = {"amsgrad": True, "epsilon": 0.1}
    raw = _form(probe, "adam", told, Adam(**adam, amsgrad=True), "amsgrad_form", "raw", "corrected")
    told = {"momentum": 0.75, "epsilon": 0.1}
    inside = ("momentum_form", "rate_outside", "rate_inside")
    return {
        "adam.amsgrad_form": raw,
        "adamw.amsgrad_form": raw,
        "rmsprop.momentum_form": _form(probe, "rmsprop", told, RMSprop(**rmsprop), *inside),
    }


def _form(
    probe: ModuleType, name: str, told: Mapping[str, Any], spec: Any, field: str, *forms: str
) -> Answer:
    shown = probe.descend(name, told, _GRADIENTS, _RATES)
    for form in forms:
        expected = _steps(msgspec.structs.replace(spec, **{field: form}), _RATES)
        if np.allclose(shown, expected, rtol=0, atol=1e-4 * abs(1 - expected[0])):
            return form
    return _UNKNOWN


def _clipping(probe: ModuleType) -> dict[str, Answer]:
    gradients = [np.array([3, 4], np.float32), np.array([12], np.float32)]
    first, second = probe.clipped(gradients, 1.0)
    together = float(np.hypot(np.linalg.norm(first), np.linalg.norm(second)))
    (small,) = probe.clipped([np.array([2e-6], np.float32)], 1e-6)
    added = float(2e-6 * 1e-6 / small[0] - 2e-6)  # limit / (norm + added) * norm
    return {
        "clip_by_norm.of": "all tensors together" if together < 1.01 else "each tensor",
        **dict.fromkeys(
            ("norm.epsilon", "global_norm.epsilon"),
            0.0 if abs(added) < 1e-8 else float(f"{added:.2g}"),
        ),
    }


def _average(probe: ModuleType) -> dict[str, Answer]:
    """The decay of an average of weights, and how it begins, by the averages of a weight."""
    weights = (1.0, -0.5, 2.0)
    decay, shown = probe.average(weights, 0.75)
    found: Answer = _UNKNOWN
    for start in get_args(AverageStart):
        spec, average, expected = AverageWeights(decay=0.75, start=start), 0.0, []
        for step, weight in enumerate(weights, start=1):
            average += spec.share(step) * (weight - average)
            expected.append(average)
        found = start if np.allclose(shown, expected, rtol=0, atol=1e-6) else found
    return {"average_weights.decay": decay, "average_weights.start": found}


def _cosine(probe: ModuleType) -> dict[str, Answer]:
    rises = probe.cosine(10, 15) > 0.1
    return {"cosine.after_end": "rise" if rises else "stay"}
