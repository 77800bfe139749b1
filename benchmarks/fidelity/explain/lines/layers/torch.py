"""Layers of PyTorch (siblings: keras, flax)."""

from __future__ import annotations

from functools import partial

from benchmarks.fidelity.explain.lines.layers.call import (
    Call,
    call,
    kernel_shape,
    padding,
    told,
    write,
)
from benchmarks.fidelity.explain.lines.layers.call import function as _function
from benchmarks.fidelity.explain.question import Placed
from frameworks.spec.layers import Conv, MaxPool, deviation
from frameworks.spec.shapes import zeros_around
from frameworks.spec.weights import fans, variance

_TRUNCATED = 0.87962566  # standard deviation of a normal cut off at twice its own
_WINDOW = ("size", "stride")
_of = partial(call, "torch")
CALLS = {
    "conv": _of(
        *("conv", ("inputs", "outputs", "kernel"), "stride", "padding", "dilation", "groups"),
        "bias",
    ),
    "dense": _of("dense", ("inputs", "outputs"), "bias"),
    "max_pool": _of("max_pool", _WINDOW, "padding"),
    "average_pool": _of("average_pool", _WINDOW, "padding", "count_padding"),
    "adaptive_average_pool": _of("adaptive_average_pool", ("size",)),
    "adaptive_max_pool": _of("adaptive_max_pool", ("size",)),
    "batch_norm": _of("batch_norm", ("inputs",), "epsilon", "momentum"),
    "layer_norm": _of("layer_norm", ("inputs",), "epsilon"),
    "group_norm": _of("group_norm", ("groups", "inputs"), "epsilon"),
    "dropout": _of("dropout", ("rate",)),
    "leaky_relu": Call("nn.LeakyReLU", ("negative_slope",)),
    "elu": Call("nn.ELU", ("alpha",)),
    "gelu": Call("nn.GELU", (), {"approximate": "approximate"}),
}
_GLOBAL = {"global_average_pool": "nn.AdaptiveAvgPool2d", "global_max_pool": "nn.AdaptiveMaxPool2d"}


def layer(placed: Placed, show: str = "") -> str:
    """A layer with its structure and constants, and the one further field to show."""
    name, kind, values = placed.layer.name, placed.kind, told(placed, show)
    if kind in _GLOBAL:
        return f"{name} = nn.Sequential({_GLOBAL[kind]}(1), nn.Flatten())"
    if kind == "flatten":
        return f"{name} = lambda x: x.permute(0, 2, 3, 1).flatten(1)"
    if kind == "normalize":
        mean, deviation = (
            f"torch.tensor({list(values[one])})[:, None, None]" for one in ("mean", "deviation")
        )
        return f"{name} = lambda x: (x - {mean}) / {deviation}"
    if kind == "dropout":
        return _dropout(placed)
    if kind.endswith("_norm"):
        return _norm(placed, show)
    before, after = "", _started(placed, show)
    if kind in ("conv", "max_pool", "average_pool"):
        sides = padding(placed)
        values["padding"] = 0 if sides is None else sides
        if kind == "conv" and placed.layer.padding == "same" and values["stride"] == 1:
            values["padding"] = "same"
        elif sides is None:
            (top, bottom), (left, right) = zeros_around(placed.layer, placed.source)
            zeros = f"({left}, {right}, {top}, {bottom})"
            if values.pop("count_padding", True) is False:
                after = (
                    f"\ny = {name}(F.pad(x, {zeros})) / {name}(F.pad(torch.ones_like(x), {zeros}))"
                )
            else:
                value = ", value=-torch.inf" if isinstance(placed.layer, MaxPool) else ""
                before = f"x = F.pad(x, {zeros}{value})\n"
    return before + write(name, CALLS[kind], values) + after


def function(placed: Placed) -> str:
    """The activation function of a layer, with its parameter."""
    form = "tanh" if getattr(placed.layer, "approximate", None) else "none"
    return _function(placed, CALLS, approximate=form)


def _started(placed: Placed, show: str) -> str:
    """The line that draws the kernel or the bias anew."""
    name, bound = placed.layer.name, fans(kernel_shape(placed))["fan_in"] ** -0.5 if show else 0
    if show == "kernel_initializer":
        return f"\n{_kernel(placed)}"
    if show != "bias_initializer":
        return ""
    if placed.layer.bias_initializer == "zeros":
        return f"\nnn.init.zeros_({name}.bias)"
    return f"\nnn.init.uniform_({name}.bias, -{bound:.7g}, {bound:.7g})"


def _kernel(placed: Placed) -> str:
    weight, word = f"{placed.layer.name}.weight", placed.layer.kernel_initializer
    if word == "glorot_uniform":
        return f"nn.init.xavier_uniform_({weight})"
    if word == "orthogonal":
        return f"nn.init.orthogonal_({weight})"
    spread = variance(word, kernel_shape(placed), deviation(placed.layer)) ** 0.5
    if word == "normal":
        return f"nn.init.normal_({weight}, std={spread:.7g})"
    if "uniform" in word:
        bound = f"{3**0.5 * spread:.7g}"
        return f"nn.init.uniform_({weight}, -{bound}, {bound})"
    whole = spread / _TRUNCATED
    return (
        f"nn.init.trunc_normal_({weight}, std={whole:.7g}, a=-{2 * whole:.7g}, b={2 * whole:.7g})"
    )


def _norm(placed: Placed, show: str) -> str:
    """A norm; a running variance that is biased, and channels that are not last, need a step."""
    name, kind, values = placed.layer.name, placed.kind, told(placed, show)
    picture, call = len(placed.source) == 3, CALLS[kind]
    if kind == "batch_norm":
        values["momentum"] = 1 - placed.layer.momentum
        call = call if picture else Call("nn.BatchNorm1d", call.places, call.names)
    made = write(name, call, values)
    if show == "variance" and placed.layer.variance == "fast":
        made += "  # in two passes: PyTorch has no fast form"
    if show == "gamma_initializer":
        return f"{made}\nnn.init.zeros_({name}.weight)"
    if kind == "layer_norm" and picture:
        return f"{made}\ny = {name}(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)"
    if show != "running_variance" or placed.layer.running_variance == "unbiased":
        return made
    return f"""{made}
before = {name}.running_var.clone()
y = {name}(x)  # in a training step
n = x.numel() // x.shape[1]
{name}.running_var.mul_((n - 1) / n).add_(before, alpha={placed.layer.momentum:.10g} / n)"""


def _dropout(placed: Placed) -> str:
    layer, picture = placed.layer, len(placed.source) == 3
    if layer.per == "picture":
        ones = ", ".join(["len(x)", *["1"] * len(placed.source)])
        kept = f"F.dropout(x.new_ones({ones}), {layer.rate:g})"
        return f"{layer.name} = lambda x: x * {kept}  # in training"
    kind = "nn.Dropout2d" if layer.per == "channel" and picture else "nn.Dropout"
    return f"{layer.name} = {kind}({layer.rate:g})"


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
