"""PyTorch optimizers of a recipe, and their state in canonical form.

PyTorch's own wherever they can express the recipe; small ones put epsilon under the root, and
there is a Lion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from frameworks.spec import recipe as recipes
from frameworks.spec.averages import AverageWeights
from frameworks.spec.clipping import ByGlobalNorm, ByValue, Clipping
from frameworks.spec.loss_scale import BACK_OFF, GROWTH, LossScale
from frameworks.spec.reading import SpecificationError

# canonical slot -> PyTorch's name in `optimizer.state[parameter]`
SLOTS: dict[str, dict[str, str]] = {
    "adam": {
        "first_moment": "exp_avg",
        "second_moment": "exp_avg_sq",
        "largest_second_moment": "max_exp_avg_sq",
    },
    "adamw": {
        "first_moment": "exp_avg",
        "second_moment": "exp_avg_sq",
        "largest_second_moment": "max_exp_avg_sq",
    },
    "adamax": {"first_moment": "exp_avg", "largest_gradient": "exp_inf"},
    "lion": {"first_moment": "exp_avg"},
    "adadelta": {"mean_square": "square_avg", "mean_square_update": "acc_delta"},
    "adagrad": {"accumulator": "sum"},
    "sgd": {"velocity": "momentum_buffer"},
    "rmsprop": {
        "mean_square": "square_avg",
        "mean_gradient": "grad_avg",
        "velocity": "momentum_buffer",
    },
}


class _EpsilonInRoot(torch.optim.Optimizer):
    """p -= lr * g / sqrt(s + epsilon); a subclass says how the slot s follows g."""

    slot: str
    initial = 0.0

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["step"] = torch.tensor(0.0)
                    state[self.slot] = torch.full_like(parameter, self.initial)
                state["step"] += 1
                accumulated = state[self.slot]
                self.accumulate(accumulated, parameter.grad)
                root = (self.under_root(accumulated, parameter) + group["eps"]).sqrt_()
                self.move(parameter, root, group["lr"])

    def under_root(self, accumulated: Tensor, parameter: Tensor) -> Tensor:
        """Number under the root, without epsilon."""
        return accumulated

    def move(self, parameter: Tensor, root: Tensor, rate: float) -> None:
        """Change the parameter in place."""
        assert parameter.grad is not None
        parameter.addcdiv_(parameter.grad, root, value=-rate)

    def accumulate(self, accumulated: Tensor, gradient: Tensor) -> None:
        """Update the slot in place."""
        raise NotImplementedError


class RMSpropInRoot(_EpsilonInRoot):
    """RMSprop with epsilon under the root, as Keras and optax have it."""

    slot = "square_avg"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        alpha: float,
        eps: float,
        *,
        centered: bool = False,
        momentum: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "eps": eps})
        self.alpha, self.centered, self.momentum = alpha, centered, momentum

    def accumulate(self, accumulated: Tensor, gradient: Tensor) -> None:
        accumulated.mul_(self.alpha).addcmul_(gradient, gradient, value=1 - self.alpha)

    def under_root(self, accumulated: Tensor, parameter: Tensor) -> Tensor:
        if not self.centered:
            return accumulated
        assert parameter.grad is not None
        mean = self.state[parameter].setdefault("grad_avg", torch.zeros_like(parameter))
        mean.lerp_(parameter.grad, 1 - self.alpha)
        return accumulated.addcmul(mean, mean, value=-1)

    def move(self, parameter: Tensor, root: Tensor, rate: float) -> None:
        if not self.momentum:
            super().move(parameter, root, rate)
            return
        assert parameter.grad is not None
        buffer = self.state[parameter].setdefault("momentum_buffer", torch.zeros_like(parameter))
        buffer.mul_(self.momentum).addcdiv_(parameter.grad, root)
        parameter.add_(buffer, alpha=-rate)


class AdagradInRoot(_EpsilonInRoot):
    """Adagrad with epsilon under the root, as Keras and optax have it."""

    slot = "sum"

    def __init__(self, params: Iterable[Any], lr: float, initial: float, eps: float) -> None:
        super().__init__(params, {"lr": lr, "eps": eps})
        self.initial = initial

    def accumulate(self, accumulated: Tensor, gradient: Tensor) -> None:
        accumulated.addcmul_(gradient, gradient)


class AdamEpsilonHat(torch.optim.Adam):
    """Adam in the epsilon-hat form of Keras: epsilon is added before the bias correction.

    sqrt(v) + e = sqrt(1 - beta_2^t) * (sqrt(v_hat) + e / sqrt(1 - beta_2^t)), so the paper's form
    with epsilon / sqrt(1 - beta_2^t) at step t is the same update.
    """

    decoupled = False

    def __init__(self, params: Iterable[Any], *, eps: float, **options: Any) -> None:
        super().__init__(params, eps=eps, decoupled_weight_decay=self.decoupled, **options)
        self.epsilon_hat = eps

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            state = self.state.get(group["params"][0])
            count = float(state["step"]) + 1 if state else 1.0
            group["eps"] = self.epsilon_hat / (1 - group["betas"][1] ** count) ** 0.5
        super().step()


class AdamWEpsilonHat(AdamEpsilonHat):
    """AdamW in the epsilon-hat form."""

    decoupled = True


class Lion(torch.optim.Optimizer):
    """Lion with decoupled weight decay, which PyTorch has not."""

    def __init__(
        self, params: Iterable[Any], lr: float, betas: tuple[float, float], weight_decay: float
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            (beta_1, beta_2), rate = group["betas"], group["lr"]
            weights = [one for one in group["params"] if one.grad is not None]
            gradients = [one.grad for one in weights]
            for one in weights:
                self.state[one].setdefault("exp_avg", torch.zeros_like(one))
            means = [self.state[one]["exp_avg"] for one in weights]
            if group["weight_decay"]:
                torch._foreach_mul_(weights, 1 - rate * group["weight_decay"])
            changes = torch._foreach_mul(means, beta_1)
            torch._foreach_add_(changes, gradients, alpha=1 - beta_1)
            torch._foreach_sign_(changes)
            torch._foreach_add_(weights, changes, alpha=-rate)
            torch._foreach_mul_(means, beta_2)
            torch._foreach_add_(means, gradients, alpha=1 - beta_2)


class DecoupledSGD(torch.optim.SGD):
    """SGD whose weight decay is taken off the weights, as Keras has it."""

    def __init__(self, params: Iterable[Any], *, share: float, **options: Any) -> None:
        super().__init__(params, **options)
        for group in self.param_groups:
            group.setdefault("share", share)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            torch._foreach_mul_(group["params"], 1 - group["lr"] * group["share"])
        super().step()


def make(
    spec: recipes.Optimizer,
    parameters: list[torch.nn.Parameter],
    *,
    factors: Sequence[float] = (),
    spared: Sequence[bool] = (),
    fused: bool = False,
) -> torch.optim.Optimizer:
    """The optimizer of a recipe whose fields are all stated.

    factors: what the rate of each parameter is multiplied by, where layers have rates of their own;
    those of one factor are a group, which holds it and the recipe's `rate`.
    spared: those that the weight decay leaves alone; they are groups of their own.
    fused: Adam and AdamW in one pass over the weights, where PyTorch's own do what is stated.
    """
    on_gpu = parameters[0].is_cuda
    if set(factors) <= {1.0} and not any(spared):
        return _made(spec, parameters, fused=fused, on_gpu=on_gpu)
    ones, none = [1.0] * len(parameters), [False] * len(parameters)
    kinds: dict[tuple[float, bool], list[torch.nn.Parameter]] = {}
    for parameter, factor, spare in zip(parameters, factors or ones, spared or none, strict=True):
        kinds.setdefault((factor, spare), []).append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": those, "factor": factor, "rate": spec.rate}
        | ({"weight_decay": 0.0, "share": 0.0} if spare else {})
        for (factor, spare), those in kinds.items()
    ]
    made = _made(spec, groups, fused=fused, on_gpu=on_gpu)
    put_rate(made, spec.rate)
    return made


def rate_of(optimizer: torch.optim.Optimizer) -> float:
    """The learning rate, but for the factors of layers."""
    group = optimizer.param_groups[0]
    return float(group.get("rate", group["lr"]))


def put_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of every group, with nothing else changed."""
    for group in optimizer.param_groups:
        if "factor" in group:
            group["rate"], group["lr"] = rate, rate * group["factor"]
        else:
            group["lr"] = rate


def _made(
    spec: recipes.Optimizer, parameters: list[Any], *, fused: bool, on_gpu: bool
) -> torch.optim.Optimizer:
    lr = spec.rate
    share, form = recipes.decay(spec)
    if isinstance(spec, recipes.SGD):
        options: dict[str, Any] = {"lr": lr, "momentum": spec.momentum, "nesterov": spec.nesterov}
        if share and form == "decoupled":
            return DecoupledSGD(parameters, share=share, **options)
        return torch.optim.SGD(parameters, weight_decay=share, **options)
    if isinstance(spec, recipes.Lion):
        return Lion(parameters, lr, (spec.beta_1, spec.beta_2), share)
    assert spec.epsilon is not None
    if isinstance(spec, recipes.Adamax):
        if not spec.epsilon_in_norm:
            raise _lacks(spec, "epsilon_in_norm = true", "adds epsilon ahead of the maximum")
        betas = (spec.beta_1, spec.beta_2)
        return torch.optim.Adamax(parameters, lr=lr, betas=betas, eps=spec.epsilon)
    if isinstance(spec, recipes.Adam | recipes.AdamW):
        options = {
            "lr": lr,
            "betas": (spec.beta_1, spec.beta_2),
            "eps": spec.epsilon,
            "weight_decay": share,
        }
        if spec.amsgrad:
            if spec.amsgrad_form == "corrected":
                raise _lacks(spec, 'amsgrad_form = "raw"', "takes the largest of the raw moments")
            options["amsgrad"] = True
        hat = spec.epsilon_form == "hat"
        if fused and not hat:
            options["fused"] = True
            options["capturable"] = on_gpu  # a CUDA graph may hold the step
        if form == "decoupled":
            return (AdamWEpsilonHat if hat else torch.optim.AdamW)(parameters, **options)
        return (AdamEpsilonHat if hat else torch.optim.Adam)(parameters, **options)
    if isinstance(spec, recipes.Adadelta):
        assert spec.rho is not None
        return torch.optim.Adadelta(parameters, lr=lr, rho=spec.rho, eps=spec.epsilon)
    if isinstance(spec, recipes.Adagrad):
        assert spec.initial_accumulator is not None
        if spec.epsilon_in_root:
            return AdagradInRoot(parameters, lr, spec.initial_accumulator, spec.epsilon)
        return torch.optim.Adagrad(
            parameters, lr=lr, eps=spec.epsilon, initial_accumulator_value=spec.initial_accumulator
        )
    assert spec.rho is not None
    more: dict[str, Any] = {"centered": spec.centered, "momentum": spec.momentum or 0.0}
    if spec.epsilon_in_root:
        return RMSpropInRoot(parameters, lr, spec.rho, spec.epsilon, **more)
    return torch.optim.RMSprop(parameters, lr=lr, alpha=spec.rho, eps=spec.epsilon, **more)


def _lacks(spec: recipes.Optimizer, remedy: str, does: str) -> SpecificationError:
    tag = spec.__struct_config__.tag
    return SpecificationError(f"optimizer '{tag}': PyTorch {does}; state {remedy}.")


_PYTORCH_S = 1e-6  # what clip_grad_norm_ adds to the norm


@torch.no_grad()
def clip(parameters: list[torch.nn.Parameter], clipping: Clipping | None) -> None:
    """Hold the gradients in place within the limit, by PyTorch's own where it has the epsilon."""
    if clipping is None:
        return
    if isinstance(clipping, ByValue):
        torch.nn.utils.clip_grad_value_(parameters, clipping.limit)
        return
    together = isinstance(clipping, ByGlobalNorm)
    for group in [parameters] if together else [[one] for one in parameters]:
        if clipping.epsilon == _PYTORCH_S:
            torch.nn.utils.clip_grad_norm_(group, clipping.limit)
            continue
        gradients = [one.grad for one in group if one.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        factor = clipping.limit / (norm + (clipping.epsilon or 0.0)).clamp(min=clipping.limit)
        torch._foreach_mul_(gradients, factor)


def set_learning_rate(
    optimizer: torch.optim.Optimizer, spec: recipes.Optimizer, rate: float
) -> None:
    """Change the learning rate from the next step on.

    PyTorch keeps the rate outside the velocity. With "rate_inside", V = rate * v: going on from V
    under a new rate is going on from v * old / new.
    """
    inside, before = recipes.velocity_form(spec) == "rate_inside", rate_of(optimizer)
    for group in optimizer.param_groups:
        if inside:
            for parameter in group["params"]:
                velocity = optimizer.state[parameter].get("momentum_buffer")
                if velocity is not None:
                    velocity.mul_(before / rate)
    put_rate(optimizer, rate)


def average_function(average: AverageWeights) -> Callable[[Any, Any, Any], None]:
    """The function of AveragedModel for averages, weights and the number of steps averaged."""
    if average.start == "first":
        return get_ema_multi_avg_fn(average.rate)

    @torch.no_grad()
    def debiased(averages: Any, weights: Any, count: Any) -> None:
        torch._foreach_lerp_(averages, weights, average.share(int(count) + 1))

    return debiased


def scaler(spec: LossScale | None, device: str) -> torch.amp.GradScaler:
    """PyTorch's own scaler of the loss; one that does nothing without a scale in the recipe."""
    if spec is None:
        return torch.amp.GradScaler(device, enabled=False)
    assert spec.initial is not None
    assert spec.interval is not None
    return torch.amp.GradScaler(device, spec.initial, GROWTH, BACK_OFF, spec.interval)


def scale_state(scaler: torch.amp.GradScaler) -> dict[str, np.ndarray]:
    """Canonical state of the scaler; empty of one that does nothing."""
    own = scaler.state_dict()
    names = {"loss_scale": "scale", "finite_steps": "_growth_tracker"} if own else {}
    return {name: np.asarray(own[field]) for name, field in names.items()}


def put_scale_state(scaler: torch.amp.GradScaler, state: Mapping[str, np.ndarray]) -> None:
    """Load what `scale_state` gave."""
    if own := scaler.state_dict():
        own |= {"scale": float(state["loss_scale"]), "_growth_tracker": int(state["finite_steps"])}
        scaler.load_state_dict(own)


def slots(spec: recipes.Optimizer) -> dict[str, str]:
    """Canonical slot names of an optimizer, and PyTorch's."""
    return recipes.kept_slots(spec, SLOTS)


def initial_slot_value(spec: recipes.Optimizer) -> float:
    """Value of every slot before the first step."""
    if isinstance(spec, recipes.Adagrad):
        assert spec.initial_accumulator is not None
        return spec.initial_accumulator
    return 0.0
