"""Lines of PyTorch (siblings: keras, flax)."""

from __future__ import annotations

from benchmarks.fidelity.explain.lines import losses
from benchmarks.fidelity.explain.lines.keras import fan_in
from benchmarks.fidelity.explain.lines.schedules.torch import schedule as schedule
from benchmarks.fidelity.explain.question import Placed
from frameworks.spec.layers import Conv, pair
from frameworks.spec.recipe import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Optimizer,
    Recipe,
    RMSprop,
    decay,
)
from frameworks.spec.shapes import same_padding

_TRUNCATED = 0.87962566  # standard deviation of a normal cut off at twice its own


def weighted(placed: Placed, show: str = "") -> str:
    """A convolution or a dense layer, with its structure and the one further field to show."""
    layer, before = placed.layer, ""
    if isinstance(layer, Conv):
        parts = [f"{placed.source[-1]}", f"{layer.filters}", f"{layer.kernel}"]
        (step, _) = pair(layer.stride)
        parts += [f"stride={step}"] if step > 1 else []
        if layer.padding == "same" and step == 1:
            parts.append('padding="same"')
        elif layer.padding == "same":
            sides = zip(placed.source[:2], layer.kernel_size, strict=True)
            (top, bottom), (left, right) = (same_padding(n, k, step) for n, k in sides)
            before = f"x = F.pad(x, ({left}, {right}, {top}, {bottom}))\n"
        made = f"{layer.name} = nn.Conv2d({', '.join(parts)})"
    else:
        made = f"{layer.name} = nn.Linear({placed.source[0]}, {placed.target[0]})"
    bound = fan_in(placed) ** -0.5
    after = {
        "kernel_initializer": _kernel(placed),
        "bias_initializer": f"nn.init.zeros_({layer.name}.bias)"
        if layer.bias_initializer == "zeros"
        else f"nn.init.uniform_({layer.name}.bias, -{bound:.7g}, {bound:.7g})",
    }
    return before + made + (f"\n{after[show]}" if show in after else "")


def _kernel(placed: Placed) -> str:
    weight, word, inputs = (
        f"{placed.layer.name}.weight",
        placed.layer.kernel_initializer,
        fan_in(placed),
    )
    if word == "glorot_uniform":
        return f"nn.init.xavier_uniform_({weight})"
    if word == "torch_uniform":
        return f"nn.init.uniform_({weight}, -{inputs**-0.5:.7g}, {inputs**-0.5:.7g})"
    spread = ((2 if word == "he_normal" else 1) / inputs) ** 0.5 / _TRUNCATED
    limits = f"a=-{2 * spread:.7g}, b={2 * spread:.7g}"
    return f"nn.init.trunc_normal_({weight}, std={spread:.7g}, {limits})"


def batch_norm(placed: Placed, show: str = "") -> str:
    """A batch norm with its constants; `running_variance` that is biased needs a step more."""
    layer = placed.layer
    kind = "BatchNorm2d" if len(placed.source) == 3 else "BatchNorm1d"
    constants = f"eps={layer.epsilon:g}, momentum={1 - layer.momentum:.10g}"
    made = f"{layer.name} = nn.{kind}({placed.source[-1]}, {constants})"
    if show == "variance" and layer.variance == "fast":
        return f"{made}  # in two passes: PyTorch has no fast form"
    if show != "running_variance" or layer.running_variance == "unbiased":
        return made
    return f"""{made}
before = {layer.name}.running_var.clone()
y = {layer.name}(x)  # in a training step
n = x.numel() // x.shape[1]
{layer.name}.running_var.mul_((n - 1) / n).add_(before, alpha={layer.momentum:.10g} / n)"""


def pool(placed: Placed) -> str:
    """A pool."""
    layer = placed.layer
    kind = "MaxPool2d" if placed.kind == "max_pool" else "AvgPool2d"
    return f"{layer.name} = nn.{kind}({layer.size}, {layer.stride or layer.size})"


def flatten(placed: Placed) -> str:
    """To one axis in the order row, column, channel."""
    return f"{placed.layer.name} = lambda x: x.permute(0, 2, 3, 1).flatten(1)"


def held(placed: Placed) -> str:
    """The norm of the incoming weights of a unit, held."""
    name, limit = placed.layer.name, placed.layer.max_norm
    axes = "(1, 2, 3)" if isinstance(placed.layer, Conv) else "1"
    return f"""with torch.no_grad():  # after each step
    norm = {name}.weight.square().sum({axes}, keepdim=True).sqrt()
    {name}.weight.mul_(norm.clamp(max={limit:g}) / (1e-7 + norm))"""


def l2(placed: Placed) -> str:
    """The layer's L2 term."""
    return f"loss = loss + {placed.layer.l2:g} * {placed.layer.name}.weight.square().sum()"


def loss(recipe: Recipe) -> str:
    """The loss of a batch, without class weights."""
    return losses.torch(recipe.loss)


def weighted_loss(recipe: Recipe) -> str:
    """Cross-entropy with class weights, divided as stated."""
    weights = f"weight=torch.tensor({list(recipe.class_weights or ())})"
    if recipe.class_weight_mean == "weights":
        return f"loss = F.cross_entropy(logits, labels, {weights})"
    return f'loss = F.cross_entropy(logits, labels, {weights}, reduction="sum") / len(labels)'


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
