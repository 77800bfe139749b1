"""Runs printed lines that take steps of several batches, or average weights, batch by batch.

By kind of framework: `STEPPED` gives the weight after each batch of these gradients, under
gradient descent at a rate of 0.1; `AVERAGED` the average after each step of a weight that has these
values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def _stepped_keras(adapter: Any, code: str, gradients: Sequence[float]) -> list[float]:
    made, found = adapter.run(code)["optimizer"], []
    weight = adapter.keras.Variable(np.zeros(1, np.float32))
    for one in gradients:
        made.apply([adapter.given(np.array([one], np.float32))], [weight])
        found.append(float(adapter.output(weight)[0]))
    return found


def _averaged_keras(adapter: Any, code: str, values: Sequence[float]) -> list[float]:
    weight, average = (adapter.keras.Variable(np.zeros(1, np.float32)) for _ in range(2))
    made = adapter.run(code)["optimizer"] if "use_ema" in code else None
    found = []
    for step, value in enumerate(values, start=1):
        if made is None:
            weight.assign(np.array([value], np.float32))
            adapter.run(code, average=[average], weights=[weight], step=step)
        else:
            change = (adapter.output(weight) - np.float32(value)) / 0.1
            made.apply([adapter.given(change)], [weight])
            average = made._model_variables_moving_average[0]
        found.append(float(adapter.output(average)[0]))
    return found


def _stepped_torch(adapter: Any, code: str, gradients: Sequence[float]) -> list[float]:
    weight, found = adapter.torch.nn.Parameter(adapter.torch.zeros(1)), []
    optimizer = adapter.torch.optim.SGD([weight], lr=0.1)
    for step, one in enumerate(gradients):
        adapter.run(code, loss=(weight * one).sum(), step=step, optimizer=optimizer)
        found.append(weight.item())
    return found


def _averaged_torch(adapter: Any, code: str, values: Sequence[float]) -> list[float]:
    model = adapter.torch.nn.Linear(1, 1, bias=False)
    average, weights = [adapter.torch.zeros(1, 1)], [model.weight]
    first, last = code.split("\n")
    space, found = {**adapter.modules, "model": model}, []
    for step, value in enumerate(values, start=1):
        adapter.torch.nn.init.constant_(model.weight, value)
        space |= {"average": average, "weights": weights, "step": step}
        if step == 1 or "averaged" not in space:
            exec(first, space)
        exec(last, space)
        kept = space["averaged"].module.weight if "averaged" in space else average[0]
        found.append(kept.item())
    return found


def _stepped_flax(adapter: Any, code: str, gradients: Sequence[float]) -> list[float]:
    made, found = adapter.run(code)["optimizer"], []
    weight = adapter.given(np.zeros(1, np.float32))
    state = made.init(weight)
    for one in gradients:
        change, state = made.update(adapter.given(np.array([one], np.float32)), state)
        weight = weight + change
        found.append(float(weight[0]))
    return found


def _averaged_flax(adapter: Any, code: str, values: Sequence[float]) -> list[float]:
    first, last = code.split("\n")
    space, found = {**adapter.modules, "average": adapter.given(np.zeros(1, np.float32))}, []
    for step, value in enumerate(values, start=1):
        space |= {"weights": adapter.given(np.array([value], np.float32)), "step": step}
        exec(first, space)
        if "averages" in space:
            space.setdefault("state", space["averages"].init(space["weights"]))
        exec(last, space)
        found.append(float(space["average"][0]))
    return found


Run = Callable[[Any, str, Sequence[float]], list[float]]
STEPPED: dict[str, Run] = {"keras": _stepped_keras, "torch": _stepped_torch, "flax": _stepped_flax}
AVERAGED: dict[str, Run] = {
    "keras": _averaged_keras,
    "torch": _averaged_torch,
    "flax": _averaged_flax,
}
