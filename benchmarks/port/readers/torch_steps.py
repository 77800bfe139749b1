"""A PyTorch program's own training steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.port.readers.program import Arrays
from benchmarks.port.readers.steps import Steps
from benchmarks.port.readers.torch_around import averaged, own_scaler
from benchmarks.port.readers.torch_watch import output_of
from frameworks.torch.optimizers import put_scale_state, scale_state


class TorchSteps(Steps):
    """Eager steps: forward, loss, backward, clip, step, and the schedule's own step."""

    def __init__(self, program: Any) -> None:
        self.program, self.training = program, program.training
        self.count = 0  # calls of the schedule
        self._begin()

    def _begin(self) -> None:
        self.optimizer = self.training.fresh(self.program.model, scheduled=True)
        self.schedule = self.training.scheduler(self.optimizer)
        given, model = self.training.average, self.program.model
        self.average = None if given is None else averaged(given, model)
        self.scaler = own_scaler(self.training.scale)

    def step(self, pictures: np.ndarray, labels: np.ndarray) -> tuple[float, int]:
        self.program.model.train()
        group = self.training.accumulation
        if not self.training.batches:
            self.optimizer.zero_grad()
        out = output_of(self.program.model(self.program.tensor(pictures)))
        loss = self.program.whole_loss(out, labels)[0]
        self.scaler.scale(loss / group if group > 1 else loss).backward()
        if self.training.step(self.optimizer, self.program.model, self.scaler):
            if self.average is not None:
                self.average.update_parameters(self.program.model)
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

    def put_averages(self) -> bool:
        if self.average is None or not self.average.n_averaged:
            return False
        model, own = self.program.model, self.average.module
        pairs: list[tuple[Any, Any]] = [(model.parameters(), own.parameters())]
        pairs += [(model.buffers(), own.buffers())] if self.average.use_buffers else []
        with torch.no_grad():
            for weights, averages in pairs:
                for weight, one in zip(weights, averages, strict=True):
                    weight.copy_(one)
        return True

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
        if self.average is not None:
            own = self.average.state_dict()
            found |= {f"average/{name}": np.array(value) for name, value in own.items()}
        if self.training.batches:
            weights = self.program.model.named_parameters()
            found |= {f"gradient/{k}": np.array(p.grad) for k, p in weights if p.grad is not None}
        found |= {f"scale/{name}": value for name, value in scale_state(self.scaler).items()}
        found["batches"] = np.array(self.training.batches)
        return found | {"calls": np.array(self.count), "random": torch.get_rng_state().numpy()}

    def restore(self, state: Arrays) -> None:
        self._begin()
        self.count = 0
        self.optimizer.zero_grad()
        for _ in range(int(state["calls"])):
            self.optimizer.step()  # without gradients: PyTorch wants it ahead of the schedule's
            self._scheduled()
        slots: dict[int, dict[str, torch.Tensor]] = {}
        others: dict[str, dict[str, torch.Tensor]] = {"average": {}, "gradient": {}}
        scale = {k.partition("/")[2]: v for k, v in state.items() if k.startswith("scale/")}
        if scale:
            put_scale_state(self.scaler, scale)
        for key, value in state.items():
            if key.startswith("scale/"):
                continue
            place, _, name = key.partition("/")
            if name:
                of = others[place] if place in others else slots.setdefault(int(place), {})
                of[name] = torch.from_numpy(np.array(value))
        self.training.batches = int(state.get("batches", 0))
        for name, weight in self.program.model.named_parameters():
            weight.grad = others["gradient"].get(name)
        if self.average is not None:
            self.average.load_state_dict(others["average"])
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": slots, "param_groups": groups})
        torch.set_rng_state(torch.from_numpy(state["random"].copy()))
