"""Loss, optimizer, clipping and schedule of a PyTorch program."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.port.operation import PortError, Recipe
from benchmarks.port.readers import torch_around
from benchmarks.port.readers.calls import CALLS
from benchmarks.port.readers.program import PROBED, listed, targets
from results.words import count

_GROUP = {  # PyTorch's name to ours
    "lr": "learning_rate",
    "eps": "epsilon",
    "weight_decay": "weight_decay",
    "amsgrad": "amsgrad",
    "momentum": "momentum",
    "nesterov": "nesterov",
    "dampening": "dampening",
    "alpha": "rho",
    "rho": "rho",
    "centered": "centered",
    "initial_accumulator_value": "initial_accumulator",
    "lr_decay": "learning_rate_decay",
    "momentum_decay": "momentum_decay",
    "maximize": "maximize",
}
_KINDS = {
    torch.optim.Adam: "adam",
    torch.optim.SGD: "sgd",
    torch.optim.RMSprop: "rmsprop",
    torch.optim.Adagrad: "adagrad",
    torch.optim.Adadelta: "adadelta",
    torch.optim.Adamax: "adamax",
    torch.optim.NAdam: "nadam",
}
_OURS = {theirs: ours for ours, theirs in _GROUP.items() if ours != "alpha"}


class Training:
    """Loss, optimizer, clipping, schedule and regularizer of a program; each part may be None.

    loss: a loss module, or a function of (outputs, targets).
    optimizer: an optimizer, or a function of the parameters that makes one.
    clip: a function of the parameters, called between backward and step.
    schedule: a function of the optimizer that makes a scheduler, or a scheduler.
    regularizer: a function without arguments; it gives the term added to the loss.
    known: the optimizer's constants, where it is not one of PyTorch's own.
    by_epoch: the program calls its scheduler once an epoch, not after each step.
    accumulation: batches of a step, whose mean gradient it takes.
    average: an AveragedModel, or a function of the model that makes one.
    scale: a GradScaler. The program's own steps have it; a comparison in float64, where it moves
    nothing, leaves it out.
    """

    def __init__(
        self,
        loss: Any,
        optimizer: Any,
        clip: Any = None,
        schedule: Any = None,
        regularizer: Any = None,
        known: dict[str, Any] | None = None,
        by_epoch: bool = False,
        accumulation: int = 1,
        average: Any = None,
        scale: Any = None,
    ) -> None:
        self.loss, self.clip, self.schedule = loss, clip, schedule
        if inspect.isclass(loss):
            self.loss = loss()
        self.optimizer = optimizer
        self.changes: dict[str, Any] = {}
        self.regularizer, self.known = regularizer, known
        self.by_epoch, self.accumulation = by_epoch, accumulation
        self.average, self.scale = average, scale
        self.targets = ""  # the form that the other program's loss takes
        self.batches = 0  # since the last step
        self.left: list[str] = []  # weights that the optimizer is not given
        self.largest: float | None = None  # rate of the schedule
        self._initial: Any = None
        self._schedule_state: Any = None

    # ---- loss

    def loss_of(self, out: Tensor, labels: np.ndarray) -> Tensor:
        """The loss of a batch; what gives one number for each picture is averaged."""
        form = self.target_form()
        forms = [form] if form else [*filter(None, [self.targets]), "sparse", "one_hot", "binary"]
        for place, one in enumerate(forms):
            truth = torch.from_numpy(targets(labels, tuple(out.shape), one, first=True))
            try:
                found = self.loss(out, truth)
                break
            except (RuntimeError, ValueError, IndexError, TypeError):
                if place == len(forms) - 1:
                    raise
        if not isinstance(found, Tensor):
            raise PortError(f"the loss gives a {type(found).__name__}, not a tensor")
        return found.mean() if found.dim() else found

    def target_form(self) -> str:
        """sparse, one_hot or binary; "" where only a try shows what the loss takes."""
        if isinstance(self.loss, nn.CrossEntropyLoss | nn.NLLLoss):
            return "sparse"
        if isinstance(self.loss, nn.BCELoss | nn.BCEWithLogitsLoss):
            return "binary"
        return "one_hot" if isinstance(self.loss, nn.MSELoss | nn.L1Loss) else ""

    def _loss(self) -> dict[str, Any]:
        loss = self.loss
        if loss is None:
            return {}
        weights = getattr(loss, "weight", None)
        found: dict[str, Any] = {"reduction": getattr(loss, "reduction", "mean")}
        found["class_weights"] = None if weights is None else weights.tolist()
        if getattr(loss, "ignore_index", -1) >= 0:
            found["ignored_class"] = int(loss.ignore_index)
        if isinstance(loss, nn.CrossEntropyLoss):
            smoothing = {"label_smoothing": float(loss.label_smoothing)}
            return {"kind": "cross_entropy", "takes": "logits", **smoothing, **found}
        if isinstance(loss, nn.NLLLoss):
            logs = {"takes": "log_probabilities", "label_smoothing": 0.0}
            return {"kind": "cross_entropy", **logs, **found}
        if isinstance(loss, nn.BCEWithLogitsLoss):
            if loss.pos_weight is not None:
                found["positive_weight"] = loss.pos_weight.tolist()
            return {"kind": "binary_cross_entropy", "takes": "logits", **found}
        if isinstance(loss, nn.BCELoss):
            return {"kind": "binary_cross_entropy", "takes": "probabilities", **found}
        if isinstance(loss, nn.MSELoss):
            return {"kind": "mean_squared_error", **found}
        if isinstance(loss, nn.L1Loss):
            return {"kind": "mean_absolute_error", **found}
        return {"kind": f"unread:{getattr(loss, '__name__', type(loss).__name__)}"}

    # ---- optimizer

    def fresh(self, model: nn.Module, *, scheduled: bool = False) -> torch.optim.Optimizer:
        """The optimizer without any state, over the parameters of the model; at the largest rate of
        its schedule unless `scheduled`."""
        if self.optimizer is None:
            raise PortError("the program has no optimizer; name one with --optimizer", status=4)
        if isinstance(self.optimizer, torch.optim.Optimizer):
            made = self.optimizer
            if self._initial is None:
                self._initial = copy.deepcopy(made.state_dict()["param_groups"])
            made.state.clear()
            if isinstance(made, torch.optim.Adagrad):  # whose state is there from the start
                for group in made.param_groups:
                    for p in group["params"]:
                        value = group["initial_accumulator_value"]
                        made.state[p] = {
                            "step": torch.tensor(0.0),
                            "sum": torch.full_like(p, value),
                        }
            for group, given in zip(made.param_groups, self._initial, strict=True):
                group.update({k: v for k, v in given.items() if k != "params"})
        else:
            made = self._called(model)
        self.batches = 0
        stepped = {id(p) for group in made.param_groups for p in group["params"]}
        self.left = [name for name, p in model.named_parameters() if id(p) not in stepped]
        first = max(group["lr"] for group in made.param_groups)
        for group in made.param_groups:
            share = group["lr"] / first if first else 1.0  # of the largest rate
            if self.largest is not None and not scheduled:
                group["lr"] = self.largest * share
            for constant, value in self.changes.items():
                _put(group, constant, value * share if constant == "learning_rate" else value)
        return made

    def _called(self, model: nn.Module) -> torch.optim.Optimizer:
        try:
            made = self.optimizer(list(model.parameters()))
        except (TypeError, AttributeError):
            made = self.optimizer(model)
        if not isinstance(made, torch.optim.Optimizer):
            raise PortError(
                f"the optimizer is a {type(made).__name__}; give an optimizer of torch.optim, or a "
                "function of the parameters that makes one"
            )
        return made

    def gather(self, weight: Tensor, gradient: Tensor) -> None:
        """Put a batch's gradient in place, or add it to those of the batches before it."""
        share = gradient / self.accumulation if self.accumulation > 1 else gradient
        weight.grad = share if not self.batches or weight.grad is None else weight.grad + share

    def step(
        self,
        optimizer: torch.optim.Optimizer,
        model: nn.Module,
        scaler: torch.amp.GradScaler | None = None,
    ) -> bool:
        """Clip, where the program does, and step; False of a batch whose group goes on.

        Args:
            scaler: of the loss behind the gradients.
        """
        self.batches = (self.batches + 1) % self.accumulation
        if self.batches:
            return False
        if scaler is not None:
            scaler.unscale_(optimizer)
        if self.clip is not None:
            self.clip([p for p in model.parameters() if p.grad is not None])
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()
        return True

    def scheduler(self, optimizer: torch.optim.Optimizer) -> Any:
        """The schedule of a fresh optimizer, at its start; None without one."""
        made = self.schedule
        if made is None:
            return None
        if not isinstance(made, torch.optim.lr_scheduler.LRScheduler):
            made = made(optimizer)
            if isinstance(made, torch.optim.lr_scheduler.ReduceLROnPlateau):
                raise PortError(
                    "the schedule is a ReduceLROnPlateau, which follows a score that a model's "
                    "program does not have; name another one with --schedule, or give the name "
                    "`schedule` to none",
                    status=4,
                )
            return made
        if self._schedule_state is None:
            self._schedule_state = copy.deepcopy(made.state_dict())
        made.load_state_dict(copy.deepcopy(self._schedule_state))
        return made

    def change(self, constant: str, value: Any) -> bool:
        """Set a constant of the optimizer; False where it has none of that name."""
        if constant == "accumulation":
            self.accumulation = int(value or 1)
            return True
        if constant in ("beta_1", "beta_2", *_OURS):
            self.changes[constant] = value
            return True
        return False

    def recipe(self, model: nn.Module, roles: dict[str, str]) -> Recipe:
        """Loss, optimizer and rates, in the words of all frameworks.

        Args:
            roles: of weights by name.
        """
        made = CALLS.of(self.loss)
        found = Recipe(loss=self._loss(), loss_stated=made.stated, loss_where=made.where)
        found.loss_targets = self.target_form()
        if self.optimizer is None:
            return found
        optimizer = self.fresh(model, scheduled=True)
        how = CALLS.of(optimizer)
        found.optimizer = self.known or self._constants(optimizer, model, roles)
        found.optimizer_where = how.where
        stated = {_GROUP.get(name, name) for name in how.stated}
        stated |= {"beta_1", "beta_2"} if "betas" in how.stated else set()
        found.optimizer_stated = sorted(stated & set(found.optimizer))
        if self.clip is not None:
            found.optimizer |= self._clipping()
            found.optimizer_stated += ["clipping"]
        told = {"accumulation": self.accumulation} if self.accumulation > 1 else {}
        told |= torch_around.average(self.average) if self.average is not None else {}
        told |= torch_around.scale(self.scale) if self.scale is not None else {}
        found.optimizer |= told
        found.optimizer_stated += [*told]
        if self.schedule is not None:
            found.rates, found.momenta = self._rates(optimizer)
            self.largest = found.optimizer["learning_rate"] = max(found.rates.values())
        return found

    def _constants(
        self, optimizer: torch.optim.Optimizer, model: nn.Module, roles: dict[str, str]
    ) -> dict[str, Any]:
        group = max(optimizer.param_groups, key=lambda one: one.get("weight_decay") or 0.0)
        kind = next((name for one, name in _KINDS.items() if isinstance(optimizer, one)), "")
        decoupled = bool(group.get("decoupled_weight_decay", False))
        if isinstance(optimizer, torch.optim.AdamW):
            kind, decoupled = "adam", True
        if torch_around.is_lion(optimizer):
            kind, decoupled = "lion", True
        if not kind:
            kind = f"unread:{type(optimizer).__name__}"
        found: dict[str, Any] = {"kind": kind}
        found |= {ours: group[theirs] for theirs, ours in _GROUP.items() if theirs in group}
        if "betas" in group:
            found["beta_1"], found["beta_2"] = group["betas"]
        if kind == "adam":
            found["epsilon_form"] = "paper"
        if kind == "adamax":
            found["epsilon_form"] = "within the maximum"
        if kind in ("rmsprop", "adagrad"):
            found["epsilon_in_root"] = False
        if kind == "sgd" and not found["dampening"]:
            del found["dampening"]
        if kind == "adagrad" and not found["learning_rate_decay"]:
            del found["learning_rate_decay"]
        if kind in ("sgd", "rmsprop") and found.get("momentum"):
            found["velocity_form"] = "rate_outside"
        if found.get("weight_decay"):
            found["decay_form"] = "decoupled" if decoupled else "coupled"
            names = {id(p): roles.get(name, "") for name, p in model.named_parameters()}
            left = [g for g in optimizer.param_groups if not g["weight_decay"]]
            found["undecayed"] = listed({names.get(id(p), "") for g in left for p in g["params"]})
        rates = [float(g["lr"]) for g in optimizer.param_groups]
        if len(set(rates)) > 1:
            found["learning_rate"] = max(rates)
            found["rates_of_groups"] = sorted(set(rates))
        ours = ("params", "weight_decay", "lr", "initial_lr")
        groups = [{k: v for k, v in g.items() if k not in ours} for g in optimizer.param_groups]
        if len({g.get("weight_decay") for g in optimizer.param_groups} - {0.0}) > 1:
            groups.append({})
        if any(g != groups[0] for g in groups):
            found["kind"] = (
                f"{kind} with {count(len(optimizer.param_groups), 'group')} of parameters"
            )
        return {k: float(v) if type(v) is int else v for k, v in found.items()}

    def _clipping(self) -> dict[str, Any]:
        """Kind and limit of the clip function, measured on two tensors of known norms."""
        values = [torch.full((3,), 30.0), torch.full((4,), 40.0)]
        tensors = [nn.Parameter(torch.zeros_like(v)) for v in values]
        for p, v in zip(tensors, values, strict=True):
            p.grad = v.clone()
        self.clip(tensors)
        after = [p.grad for p in tensors if p.grad is not None]
        shares = [float((a / v).mean()) for a, v in zip(after, values, strict=True)]
        norms = [float(a.norm()) for a in after]
        total = sum(n**2 for n in norms) ** 0.5
        if abs(shares[0] - shares[1]) < 1e-9 and shares[0] < 1:
            limit, norm = float(f"{total:.5g}"), sum(float((v**2).sum()) for v in values) ** 0.5
            added = float(f"{norm * (limit / total - 1):.2g}")  # clip_grad_norm_'s own 1e-6
            told = {"clipping_epsilon": added} if added > 1e-9 else {}
            return {"clipping": "norm of all gradients", "clipping_limit": limit, **told}
        if abs(norms[0] - norms[1]) < 1e-4 * norms[0]:
            return {"clipping": "norm of each tensor", "clipping_limit": float(f"{norms[0]:.5g}")}
        largest = float(after[0].abs().max())
        if abs(largest - float(after[1].abs().max())) < 1e-9:
            return {"clipping": "each value", "clipping_limit": float(f"{largest:.5g}")}
        return {"clipping": "none seen" if shares == [1.0, 1.0] else "of its own kind"}

    def _rates(self, optimizer: torch.optim.Optimizer) -> tuple[dict[int, float], dict[int, float]]:
        """The rate by step, and the momentum where the schedule moves it too."""
        schedule = self.scheduler(optimizer)
        rates, momenta, number = {}, {}, 0
        group = max(optimizer.param_groups, key=lambda one: one["lr"])
        optimizer.zero_grad()
        for wanted in PROBED:
            try:
                while number < wanted:
                    optimizer.step()
                    schedule.step()
                    number += 1
            except ValueError:  # it has so many steps and no more
                break
            rates[wanted] = float(group["lr"])
            momenta[wanted] = float(group.get("momentum", group.get("betas", [0.0])[0]))
        return rates, momenta if len(set(momenta.values())) > 1 else {}


def _put(group: dict[str, Any], constant: str, value: Any) -> None:
    if constant in ("beta_1", "beta_2"):
        betas = list(group["betas"])
        betas[constant == "beta_2"] = value
        group["betas"] = tuple(betas)
    elif constant == "rho" and "alpha" in group:
        group["alpha"] = value
    else:
        group[_OURS[constant]] = value
