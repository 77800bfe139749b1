"""Runs the lines that `--explain` prints, in one framework, and holds what they make against the
NumPy reference.

`check(framework)` runs every line of every question of `questions()`; a line of a field that has no
check here is a failure. Keras' other engines need a process of their own:
`python -m tests.helpers.explained_lines FRAMEWORK [NETWORK ...]`; with networks, of these alone.
"""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np

from benchmarks.fidelity.cases import ladder
from benchmarks.fidelity.explain.explain import explain
from benchmarks.fidelity.explain.question import SYMPTOMS, Placed, Question, ask
from frameworks.backend import framework
from frameworks.numpy import layers as reference
from frameworks.numpy import losses
from frameworks.numpy import optimizers as formulas
from frameworks.spec.architecture import Architecture
from frameworks.spec.averages import AverageWeights
from frameworks.spec.clipping import ByGlobalNorm, ByNorm, ByValue
from frameworks.spec.defaults import CANNOT, NATIVE, PROJECT, fill_architecture, fill_recipe
from frameworks.spec.layers import LAYER_TYPES
from frameworks.spec.loss_scale import LossScale
from frameworks.spec.recipe import (
    OPTIMIZERS,
    SGD,
    Adam,
    EarlyStopping,
    KeepBest,
    Recipe,
    ReduceOnPlateau,
)
from tests.helpers import explained_layers, explained_losses, explained_schedules
from tests.helpers.explained_layers import (
    BLOCKS,
    INITIALISERS,
    PLAIN,
    WINDOWS,
    close,
    input_of,
    network,
    weights_of,
)
from tests.helpers.explained_steps import AVERAGED, STEPPED
from tests.helpers.line_adapters import ADAPTERS, Adapter

CLASSES = 16
NETWORK = network(PLAIN, "lines")
SMALL = network('{type = "flatten"}, {type = "dense", units = "classes"}', "small")
NORMED = network(
    '{type = "conv", filters = 4, kernel = 3}, {type = "batch_norm"}, '
    '{type = "global_average_pool"}, {type = "dense", units = "classes"}',
    "normed",
)
DRAWN = network(
    f'{INITIALISERS}, {{type = "global_average_pool"}}, {{type = "dense", units = "classes"}}',
    "drawn",
)
_HE = {"conv.kernel_initializer": "he_normal"}


def questions(name: str) -> Iterator[Question]:
    """Every optimizer, in the project's form and in each framework's, stated; every symptom."""
    other = "torch" if name != "torch" else "keras"
    plateau = ReduceOnPlateau(patience=3, cooldown=2)
    full: dict[str, Any] = {
        "class_weights": tuple(float(one % 3 + 1) for one in range(CLASSES)),
        "early_stopping": EarlyStopping(patience=4),
        "keep_best": KeepBest(),
    }
    for number, column in enumerate((PROJECT, *NATIVE.values())):
        more = full if not number else {"partial_batch": "drop"}
        for kind in OPTIMIZERS.values():
            made = SGD(momentum=0.5, nesterov=not number) if kind is SGD else kind()
            recipe = Recipe(optimizer=made, batch_size=8, reduce_on_plateau=plateau, **more)
            if not number and kind in (SGD, Adam):
                mean = "weights" if kind is SGD else "images"
                recipe = msgspec.structs.replace(recipe, class_weight_mean=mean)
            yield asked(SMALL, fill_recipe(recipe, column), (name, other))
    for spec in ladder.FORMS.values():
        recipe = fill_recipe(Recipe(optimizer=spec, batch_size=8))
        if _has(name, recipe.optimizer):
            yield asked(SMALL, recipe, (name, other))
    for clipping in (ByValue(limit=1.0), ByNorm(limit=1.0), ByGlobalNorm(limit=1.0)):
        yield asked(SMALL, Recipe(clipping=clipping), (name, other))
    yield asked(SMALL, Recipe(accumulation=3), (name, other))
    for start in ("first", "debiased"):
        average = AverageWeights(decay=0.75, start=start)
        yield asked(SMALL, Recipe(average_weights=average), (name, other))
    yield asked(SMALL, Recipe(loss_scale=LossScale(initial=2.0**9)), (name, other))
    for recipe in (*explained_schedules.recipes(), *explained_losses.recipes()):
        yield asked(SMALL, recipe, (name, other))
    for column in ({}, NATIVE["torch"], {**NATIVE["flax"], **_HE}):
        yield asked(fill_architecture(NETWORK, column), Recipe(), (name, other, "jax"))
    for layers in (WINDOWS, BLOCKS):
        for column in ({}, NATIVE["torch"], NATIVE["flax"]):
            filled = fill_architecture(network(layers, "layers"), column) if column else None
            yield asked(filled or network(layers, "layers"), Recipe(), (name, other, "jax"))
    yield asked(DRAWN, Recipe(), (name, other))
    for norm in ("inference", "training"):
        yield asked(NORMED, Recipe(frozen=("batch_norm1",), frozen_norm=norm), (name, other))
    for symptom in SYMPTOMS:
        yield replace(asked(NETWORK, Recipe(), (name, other, "jax")), symptom=symptom)
    if name.startswith("keras"):
        rivals = ("keras", "keras@jax") if name == "keras" else (name, "keras")
        yield asked(NETWORK, Recipe(), rivals)


def _has(name: str, spec: Any) -> bool:
    """Whether a framework has every form that an optimizer states."""
    refused, tag = CANNOT[framework(name).defaults], spec.__struct_config__.tag
    forms = ("amsgrad_form", "epsilon_in_norm")  # the others have lines where they are lacking
    return all(refused.get(f"{tag}.{one}", ...) != getattr(spec, one, None) for one in forms)


def asked(network: Architecture, recipe: Recipe, names: tuple[str, ...]) -> Question:
    return Question(network, recipe, (19, 18, 3), CLASSES, tuple(dict.fromkeys(names)))


def check(name: str, chosen: Iterable[Question] = ()) -> list[str]:
    """Problems with the lines of a framework; of all `questions` unless some are chosen."""
    adapter = ADAPTERS[framework(name).defaults](name)
    ran: set[tuple[str, str]] = set()
    wrong = []
    for question in chosen or questions(name):
        for difference in explain(question):
            for line in difference.lines:
                if line.framework != name or (difference.field, line.code) in ran:
                    continue
                ran.add((difference.field, line.code))
                placed = question.placed(*_KINDS)
                place = next((one for one in placed if one.layer.name == line.part), None)
                written = difference.written_by or difference.field.split(": ")[-1]
                try:
                    _CHECKS[written](adapter, line.code, place, question)
                except Exception as error:
                    problem = str(error).strip().splitlines()[:6]
                    wrong.append(
                        f"{difference.field}: {line.code}\n  {type(error).__name__} {problem}"
                    )
    assert chosen or len(ran) > 200, len(ran)
    return wrong


_KINDS = (*LAYER_TYPES, "add", "multiply", "concatenation")
_LABELS = np.array([1, 0, 3, 2, 1])
_LOGITS = np.random.default_rng(1).normal(size=(5, CLASSES)).astype(np.float32)


def held(adapter: Adapter, code: str, place: Placed, question: Question) -> None:
    """The kernel is projected as in the reference."""
    made = adapter.made(place, weights_of(place), code)
    kernel = adapter.projected(made, code, place.layer.name)
    expected = formulas.project_max_norm(weights_of(place)["kernel"], place.layer.max_norm)
    close(kernel, expected)


def l2(adapter: Adapter, code: str, place: Placed, question: Question) -> None:
    """What is added to the loss."""
    made = adapter.made(place, weights_of(place), code)
    added = adapter.l2(made, code, place.layer.name)
    close(added, place.layer.l2 * np.sum(weights_of(place)["kernel"].astype(np.float64) ** 2))


_GRADIENTS = np.random.default_rng(3).normal(size=(12, 6)) * np.logspace(-6, 0, 6)


def _way(spec: Any, new: float | None = None) -> np.ndarray:
    weight = np.linspace(-1, 1, 6)
    slots = formulas.initial_slots(spec, weight)
    rate = spec.rate
    for step, gradient in enumerate(_GRADIENTS, start=1):
        if new is not None and step == 7:
            rate = new
        weight, slots = formulas.update(spec, weight, gradient, slots, rate, step)
    return weight


def optimizer(adapter: Adapter, code: str, place: None, question: Question) -> None:
    """Twelve steps are those of the formulas."""
    spec = question.filled.optimizer
    found = adapter.steps(adapter.run, code, np.linspace(-1, 1, 6), _GRADIENTS)
    start = np.linspace(-1, 1, 6)
    close(found - start, _way(spec) - start, rtol=1e-3, atol=1e-6)


def new_rate(adapter: Adapter, code: str, place: None, question: Question) -> None:
    """Going on with a tenth of the rate half way."""
    spec = question.filled.optimizer
    found = adapter.steps(
        adapter.run, code, np.linspace(-1, 1, 6), _GRADIENTS, spec=spec, new=spec.rate / 10
    )
    start = np.linspace(-1, 1, 6)
    close(found - start, _way(spec, spec.rate / 10) - start, rtol=1e-3, atol=1e-6)


def spared(adapter: Adapter, code: str, place: None, question: Question) -> None:
    """A kernel decays, a bias does not."""
    if adapter.kind == "keras":
        import keras

        made, layer = keras.optimizers.AdamW(0.1), keras.layers.Dense(2)
        layer.build((None, 3))
        adapter.run(code, optimizer=made)
        assert [made._use_weight_decay(one) for one in layer.trainable_variables] == [True, False]
    elif adapter.kind == "torch":
        from torch import nn

        model = nn.Linear(3, 2)
        kernels, others = adapter.run(code, model=model)["groups"]
        assert kernels == {"params": [model.weight]}
        assert others == {"params": [model.bias], "weight_decay": 0.0}
    else:
        weights = {"kernel": np.ones((3, 2)), "bias": np.ones(2)}
        assert adapter.run(code)["mask"](weights) == {"kernel": True, "bias": False}


def mode(adapter: Adapter, code: str, place: Any, question: Question) -> None:
    x = np.ones((3, 8), np.float32)
    space = adapter.run(code, model=adapter.dropping(), x=adapter.given(x))
    close(adapter.output(space["y"]), x)


def masks(adapter: Adapter, code: str, place: Placed, question: Question) -> None:
    x, mask = input_of(place), (np.random.default_rng(0).random((4, *place.source)) > 0.5) * 1.0
    mask = mask.astype(np.float32)
    space = adapter.run(code, x=adapter.given(x), mask=adapter.given(mask))
    expected = reference.apply(place.layer, x, {}, training=True, mask=mask).output
    close(adapter.output(space["x"]), expected)


def betas(adapter: Adapter, code: str, place: Any, question: Question) -> None:
    space = adapter.run(code)
    assert np.float32(space["beta_1"]) == space["beta_1"]
    assert np.float32(space["beta_2"]) == space["beta_2"]


def loss(adapter: Adapter, code: str, place: Any, question: Question) -> None:
    space = adapter.run(code, logits=adapter.vector(_LOGITS), labels=adapter.vector(_LABELS))
    close(adapter.output(space["loss"]), losses.mean(Recipe(), _LOGITS.astype(float), _LABELS)[0])


def order(adapter: Adapter, code: str, place: Any, question: Question) -> None:
    given = np.arange(19)
    space = adapter.run(code, order=given, n=19, epoch=1)
    size = question.recipe.batch_size if question.recipe.partial_batch == "drop" else 1
    kept = 19 if "permutation" in code else 19 // size * size
    assert sorted(space["order"].tolist()) == list(range(kept)) or kept == len(space["order"])


def reported(adapter: Adapter, code: str, place: Any, question: Question) -> None:
    space = adapter.run(code, batches=[(10.0, [1, 2]), (9.0, [1])])
    assert abs(space["reported"] - 29 / 3) < 1e-12


def precision(adapter: Adapter, code: str, place: Any, question: Question) -> None:
    before = adapter.precision()
    adapter.run(code)
    assert adapter.precision() != before or adapter.exact(adapter.precision())
    adapter.restore(before)


def memory(adapter: Adapter, code: str, place: Any, question: Question) -> None:
    kept = dict(os.environ)
    adapter.run(code, os=os)
    if "environ" in code:
        assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    os.environ.clear()
    os.environ.update(kept)


def pixels(adapter: Adapter, code: str, place: Any, question: Question) -> None:
    given = np.arange(0, 255, 5, dtype=np.uint8).reshape(1, 51)
    close(adapter.output(adapter.run(code, pixels=given)["x"]), given / 255)


def clipping(adapter: Adapter, code: str, place: Any, question: Question) -> None:
    """The norm over all tensors of what is applied: both tensors' own is 5 or more ahead."""
    name = "global_norm"
    if question.recipe.clipping is not None:
        name = str(question.recipe.clipping.__struct_config__.tag)
    numbers = 4 if adapter.kind != "torch" else 6  # of both tensors, none below the limit
    expected = {"global_norm": 1.0, "norm": 2.0**0.5, "value": numbers**0.5}[name]
    assert abs(adapter.clipped(code) - expected) < 1e-5


def accumulation(adapter: Adapter, code: str, place: Any, question: Question) -> None:
    """The third batch and the sixth step, each at the mean of three gradients."""
    found = STEPPED[adapter.kind](adapter, code, [1.0, 2.0, 6.0, 3.0, 0.0, 3.0, 9.0])
    close(np.array(found), np.array([0, 0, -0.3, -0.3, -0.3, -0.5, -0.5]))


def average(adapter: Adapter, code: str, place: Any, question: Question) -> None:
    spec, values = question.recipe.average_weights, (1.0, -0.5, 2.0)
    assert spec is not None
    mean, expected = 0.0, []
    for step, value in enumerate(values, start=1):
        mean += spec.share(step) * (value - mean)
        expected.append(mean)
    close(np.array(AVERAGED[adapter.kind](adapter, code, values)), np.array(expected))


def loss_scale(adapter: Adapter, code: str, place: Any, question: Question) -> None:
    space = adapter.run(code, device=SimpleNamespace(type="cpu"))
    if scaler := space.get("scaler"):
        scale = scaler.get_scale() if adapter.kind == "torch" else scaler.scale
        interval = getattr(scaler, "growth_interval", 0) or scaler.get_growth_interval()
    else:
        made = space["optimizer"]
        scale, interval = made.initial_scale, made.dynamic_growth_steps
    asked = question.filled.loss_scale
    assert (scale, interval) == (asked.initial, asked.interval)


def runs(adapter: Adapter, code: str, place: Any, question: Question) -> None:
    """The callbacks' meaning is held by tests/benchmarks/worker/test_callbacks.py."""
    model = adapter.dropping()
    adapter.run(code, model=model, optimizer=adapter.some_optimizer(), waited=3, copy=copy)


_CHECKS: dict[str, Callable[..., None]] = {
    **explained_layers.CHECKS,
    **{"held": held, "l2": l2},
    **{"optimizer": optimizer, "new_rate": new_rate, "mode of a bare call": mode},
    **{"dropout masks": masks, "bias correction in float32": betas, "loss": explained_losses.check},
    **{
        "loss of a softmax layer": loss,
        "weighted_loss": explained_losses.weighted,
        "batches.shuffled": order,
    },
    **{"batches.partial": order, "reported loss of an epoch": reported},
    **{"precision of products on an accelerator": precision, "scale of the pixels": pixels},
    **{"memory taken at the start": memory, "clipping by norm": clipping, "clipping": clipping},
    **{"clipping of all together": clipping, "clipping of numbers": clipping},
    **{"spared weights": spared, "accumulation": accumulation, "average of the weights": average},
    "loss scale": loss_scale,
    **{"early_stopping.patience": runs, "reduce_on_plateau.min_delta": runs},
    **{"reduce_on_plateau.patience": runs, "weights to end with": runs},
    **{"schedule": explained_schedules.check},
}


if __name__ == "__main__":
    _, framework_name, *networks = sys.argv
    pair = (framework_name, "keras" if framework_name == "torch" else "torch")
    print("\n".join(check(framework_name, [ask(one, frameworks=pair) for one in networks])))
