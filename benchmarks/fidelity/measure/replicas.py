"""A training on several replicas, and the same on one."""

from __future__ import annotations

import numpy as np

from benchmarks.fidelity.cases.case import Material
from benchmarks.fidelity.cases.replicas import EPOCHS, NUDGED
from benchmarks.fidelity.measure.build import Arrays, make_ready, optimizer_state, train
from frameworks.backend import Backend
from frameworks.spec import weights as canonical

SIDES = ("one", "many")


def replicas(material: Material, backend: Backend, replicated: type[Backend]) -> Arrays:
    """`replicas/SIDE/...`: `EPOCHS` epochs on one replica and on as many as the case says.

    Of each `loss/EPOCH`, `accuracy/EPOCH`, and at the end `weight/KEY`, `state/...` and `logits`
    of the test pictures. In float32 also `replicas/nudgedN/...`, of one replica whose weights
    begin one rounding aside.
    """
    case, start = material.case, backend.get_optimizer_state()
    many = replicated(material.network, case.recipe, case.runtime, material.weights)
    found = _trained(material, backend, "one") | _trained(material, many, "many")
    for number in range(1, NUDGED + 1 if case.precision == "float32" else 1):
        backend.set_weights(canonical.nudged(material.network, material.weights, number))
        backend.set_optimizer_state(start)
        found |= _trained(material, backend, f"nudged{number}")
    return found


def _trained(material: Material, backend: Backend, side: str) -> Arrays:
    arrays = Arrays()
    make_ready(material, backend)
    for number in range(1, EPOCHS + 1):
        result = train(material, backend, number)
        arrays[f"loss/{number}"] = np.asarray(result.loss)
        arrays[f"accuracy/{number}"] = np.asarray(result.accuracy)
    arrays |= {f"weight/{key}": array for key, array in backend.get_weights().items()}
    arrays |= optimizer_state(backend)
    test = material.data[0][-material.case.test_images :]
    arrays["logits"] = backend.predict(np.ascontiguousarray(test))
    return {f"replicas/{side}/{name}": array for name, array in arrays.items()}
