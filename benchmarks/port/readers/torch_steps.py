"""A PyTorch program's own training steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.port.readers.program import Arrays
from benchmarks.port.readers.steps import Steps


class TorchSteps(Steps):
    """Eager steps: forward, loss, backward, clip, step, and the schedule's own step."""

    def __init__(self, program: Any) -> None:
        self.program, self.training = program, program.training
        self.count = 0  # calls of the schedule
        self._begin()

    def _begin(self) -> None:
        self.optimizer = self.training.fresh(self.program.model, scheduled=True)
        self.schedule = self.training.scheduler(self.optimizer)

    def step(self, pictures: np.ndarray, labels: np.ndarray) -> tuple[float, int]:
        self.program.model.train()
        self.optimizer.zero_grad()
        out = self.program.model(self.program.tensor(pictures))
        loss = self.program.whole_loss(out, labels)[0]
        loss.backward()
        self.training.step(self.optimizer, self.program.model)
        if not self.training.by_epoch:
            self._scheduled()
        return loss.item(), int((out.detach().flatten(1).argmax(1).numpy() == labels).sum())

    def epoch_ends(self) -> None:
        if self.training.by_epoch:
            self._scheduled()

    def _scheduled(self) -> None:
        if self.schedule is not None:
            self.schedule.step()
            self.count += 1

    def rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def state(self) -> Arrays:
        slots = self.optimizer.state_dict()["state"]
        found = {
            f"{place}/{name}": np.array(value)
            for place, of in slots.items()
            for name, value in of.items()
            if value is not None
        }
        return found | {"calls": np.array(self.count), "random": torch.get_rng_state().numpy()}

    def restore(self, state: Arrays) -> None:
        self._begin()
        self.count = 0
        self.optimizer.zero_grad()
        for _ in range(int(state["calls"])):
            self.optimizer.step()  # without gradients: PyTorch wants it ahead of the schedule's
            self._scheduled()
        slots: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in state.items():
            place, _, name = key.partition("/")
            if name:
                slots.setdefault(int(place), {})[name] = torch.from_numpy(value.copy())
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": slots, "param_groups": groups})
        torch.set_rng_state(torch.from_numpy(state["random"].copy()))
