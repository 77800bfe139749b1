"""Lines of PyTorch (siblings: keras, flax)."""

from __future__ import annotations

from benchmarks.fidelity.explain.lines import losses
from benchmarks.fidelity.explain.lines.layers.torch import function as function
from benchmarks.fidelity.explain.lines.layers.torch import held as held
from benchmarks.fidelity.explain.lines.layers.torch import l2 as l2
from benchmarks.fidelity.explain.lines.layers.torch import layer as layer
from benchmarks.fidelity.explain.lines.schedules.torch import schedule as schedule
from frameworks.spec.recipe import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    Optimizer,
    Recipe,
    RMSprop,
    decay,
)


def loss(recipe: Recipe) -> str:
    """The loss of a batch, without class weights."""
    return losses.torch(recipe.loss)


def weighted_loss(recipe: Recipe) -> str:
    """The loss of a batch with class weights, divided as stated."""
    return losses.torch_weighted(recipe)


def optimizer(spec: Optimizer) -> str:
    """The optimizer with every constant, in the form stated."""
    start = f"optimizer = torch.optim.{type(spec).__name__}(model.parameters(), lr={spec.rate:g}"
    share, form = decay(spec)
    coupled = f", weight_decay={share:g}" if share and form == "coupled" else ""
    match spec:
        case SGD():
            made = f"{start}, momentum={spec.momentum:g}, nesterov={spec.nesterov}{coupled})"
            if coupled or not share:
                return made
            taken = f"p.mul_(1 - {spec.rate:g} * {share:g})"
            return f"""{made}
def take_off(o, *_):
    with torch.no_grad():
        [{taken} for p in o.param_groups[0]["params"]]
optimizer.register_step_pre_hook(take_off)"""
        case Adamax():
            betas = f"betas=({spec.beta_1:.10g}, {spec.beta_2:.10g})"
            return f"{start}, {betas}, eps={spec.epsilon:g})"
        case Adam() | AdamW():
            more = f", weight_decay={share:g}" if share or isinstance(spec, AdamW) else ""
            more += ", amsgrad=True" if spec.amsgrad else ""
            if isinstance(spec, Adam) and share and form == "decoupled":
                more += ", decoupled_weight_decay=True"
            betas = f"betas=({spec.beta_1:.10g}, {spec.beta_2:.10g})"
            made = f"{start}, {betas}, eps={spec.epsilon:g}{more})"
            if spec.epsilon_form == "paper":
                return made
            epsilon = f"{spec.epsilon:g} / (1 - {spec.beta_2:.10g} ** next(steps)) ** 0.5"
            return f"""{made}
import itertools
steps = itertools.count(1)
optimizer.register_step_pre_hook(lambda o, *_: o.param_groups[0].update(eps={epsilon}))"""
        case Lion():
            mean = f"({spec.beta_1:.10g} * m + {1 - spec.beta_1:.10g} * p.grad)"
            return f"""class Lion(torch.optim.Optimizer):
    @torch.no_grad()
    def step(self, closure=None):
        for p in self.param_groups[0]["params"]:
            m = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
            p.mul_(1 - {spec.rate:g} * {spec.weight_decay:g})
            p.sub_({spec.rate:g} * {mean}.sign())
            m.lerp_(p.grad, {1 - spec.beta_2:.10g})
optimizer = Lion(model.parameters(), {{}})"""
        case Adadelta():
            return f"{start}, rho={spec.rho:.10g}, eps={spec.epsilon:g})"
        case Adagrad():
            first = f"{spec.initial_accumulator:g}"
            follow = "s.addcmul_(p.grad, p.grad)"
            more = f"initial_accumulator_value={first}"
        case RMSprop():
            first, rest = "0.0", 1 - (spec.rho or 0)
            follow = f"s.mul_({spec.rho:.10g}).addcmul_(p.grad, p.grad, value={rest:.10g})"
            more = f"alpha={spec.rho:.10g}"
            if spec.centered or spec.momentum:
                return _rmsprop(spec, start)
    if not spec.epsilon_in_root:
        return f"{start}, {more}, eps={spec.epsilon:g})"
    name = type(spec).__name__
    return f"""class InRoot{name}(torch.optim.Optimizer):
    @torch.no_grad()
    def step(self, closure=None):
        for p in self.param_groups[0]["params"]:
            s = self.state[p].setdefault("s", torch.full_like(p, {first}))
            {follow}
            p.sub_(self.param_groups[0]["lr"] * p.grad / (s + {spec.epsilon:g}).sqrt())
optimizer = InRoot{name}(model.parameters(), {{"lr": {spec.rate:g}}})"""


def _rmsprop(spec: RMSprop, start: str) -> str:
    """RMSprop with momentum or centred, in the form stated."""
    more = f"alpha={spec.rho:.10g}, centered={spec.centered}, momentum={spec.momentum or 0:.10g}"
    if not spec.epsilon_in_root:
        return f"{start}, {more}, eps={spec.epsilon:g})"
    rest = f"{1 - (spec.rho or 0):.10g}"
    middle = f"m.lerp_(p.grad, {rest})\n            " if spec.centered else ""
    square = "s - m * m" if spec.centered else "s"
    divided = f"p.grad / ({square} + {spec.epsilon:g}).sqrt()"
    return f"""class InRootRMSprop(torch.optim.Optimizer):
    @torch.no_grad()
    def step(self, closure=None):
        for p in self.param_groups[0]["params"]:
            s, m, v = (self.state[p].setdefault(k, torch.zeros_like(p)) for k in "smv")
            s.lerp_(p.grad**2, {rest})
            {middle}v.mul_({spec.momentum or 0:.10g}).add_({divided})
            p.sub_(self.param_groups[0]["lr"] * v)
optimizer = InRootRMSprop(model.parameters(), {{"lr": {spec.rate:g}}})"""


def new_rate(spec: SGD) -> str:
    """Going on with another rate, `new` after `old`, in the velocity form stated."""
    change = 'optimizer.param_groups[0]["lr"] = new'
    if spec.velocity_form == "rate_outside":
        return change
    return f"""for state in optimizer.state.values():
    state["momentum_buffer"].mul_(old / new)
{change}"""
