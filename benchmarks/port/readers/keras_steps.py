"""A Keras program's own training steps, on any engine."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.port.readers.program import Arrays, targets
from benchmarks.port.readers.steps import Steps


class KerasSteps(Steps):
    """`train_on_batch` of the user's own model, compiled with its own loss and optimizer."""

    def __init__(self, program: Any) -> None:
        self.program, self.training, self.model = program, program.training, program.own
        given = {"jit_compile": self.model.jit_compile} if self.model.compiled else {}
        self.optimizer = self.training.fresh(scheduled=True)
        loss, metrics = self.training.loss, ["accuracy"]
        self.model.compile(optimizer=self.optimizer, loss=loss, metrics=metrics, **given)

    def step(self, pictures: np.ndarray, labels: np.ndarray) -> tuple[float, int]:
        shape = (len(labels), *self.program.model.output_shape[1:])
        truth = targets(labels, shape, self.training.target_form())
        self.model.reset_metrics()
        given = self.program.laid_out(pictures)
        found = self.model.train_on_batch(given, truth, return_dict=True)
        return float(found["loss"]), round(float(found["accuracy"]) * len(labels))

    def _variables(self) -> list[Any]:
        seeds = [v for v in self.model.variables if "seed_generator" in v.path]
        if not self.optimizer.built:
            self.optimizer.build(self.model.trainable_variables)
        return [*self.optimizer.variables, *seeds]

    def put_averages(self) -> bool:
        own = self.training.optimizer  # the one of the steps may have a scale of the loss around it
        if not own.use_ema or not int(self.optimizer.iterations):
            return False
        self.optimizer.finalize_variable_values(self.model.trainable_variables)
        return True

    def rate(self) -> float:
        return float(self.optimizer.learning_rate)

    def state(self) -> Arrays:
        return {str(place): np.array(v) for place, v in enumerate(self._variables())}

    def restore(self, state: Arrays) -> None:
        for place, variable in enumerate(self._variables()):
            variable.assign(state[str(place)])
