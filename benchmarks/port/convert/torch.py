"""A network as a `torch.nn.Module`."""

from __future__ import annotations

from benchmarks.port.convert.flow import (
    LackingError,
    Step,
    Text,
    call,
    one_or_two,
    steps,
)
from benchmarks.port.operation import Listing

NAME = "Net"
_FUNCTIONS = {
    **{name: f"F.{name}" for name in ("relu", "silu", "selu", "softplus", "relu6", "mish")},
    **{name: f"F.{name}" for name in ("hardswish", "hardsigmoid", "gelu", "elu", "leaky_relu")},
    **{"tanh": "torch.tanh", "sigmoid": "torch.sigmoid"},
    **{"softmax": "F.softmax", "log_softmax": "F.log_softmax"},
}
_OF = {"slope": "negative_slope", "alpha": "alpha", "approximate": "approximate"}


def module(listing: Listing, title: str) -> tuple[list[str], list[str]]:
    """Lines of the imports, and of a class NAME that takes pictures (batch, channels, h, w).

    Raises:
        PortError: an operation has no plain form; it is named.
    """
    layers, forward = [], []
    argument = "x"
    for step in steps(listing, title):
        if step.read[0] == "pictures":
            argument = "pictures"
        with step.named(title, "torch"):
            layer = _layer(step)
            forward += [f"        {line}" for line in _applied(step, bool(layer))]
        if layer and step.first:
            layers.append(f"        self.{step.name} = {layer}")
    body = "\n".join(forward)
    imports = ["from torch import nn"]
    if "torch." in body:
        imports.insert(0, "import torch")
    if "F." in body:
        imports.append("from torch.nn import functional as F")
    return imports, [
        f"class {NAME}(nn.Module):",
        "    def __init__(self):",
        "        super().__init__()",
        *layers,
        "",
        f"    def forward(self, {argument}):",
        *forward,
        "        return x",
    ]


def _layer(step: Step) -> str:
    """The module of an operation; "" of a function."""
    c, channels, n = step.constants, step.given[-1], step.rank
    match step.one.kind:
        case "conv":
            named = _usual(step)
            before = _outside(step)
            if not before and step.padded:
                named["padding"] = one_or_two([pair[0] for pair in step.zeros()])
            return call(f"nn.Conv{n}d", channels, c["filters"], one_or_two(c["kernel"]), **named)
        case "conv_transpose":
            named = _usual(step)
            if any(before < after for before, after in c["cut"]):
                raise LackingError("a transposed convolution that cuts more behind than ahead")
            own = {
                "padding": [ahead for ahead, _ in c["cut"]],
                "output_padding": [ahead - behind for ahead, behind in c["cut"]],
            }
            named |= {name: one_or_two(pair) for name, pair in own.items() if any(pair)}
            kernel = one_or_two(c["kernel"])
            return call(f"nn.ConvTranspose{n}d", channels, c["filters"], kernel, **named)
        case "dense":
            bias = {} if c["bias"] else {"bias": False}
            return call("nn.Linear", channels, c["units"], **bias)
        case "batch_norm":
            kind = f"nn.BatchNorm{1 if step.flat else n}d"
            momentum = None if c["momentum"] is None else round(1 - c["momentum"], 12)
            named = {"eps": c["epsilon"], "momentum": momentum, **_affine(step)}
            return call(kind, channels, **named)
        case "layer_norm":
            shape = [channels, *step.given[:-1]] if len(c["axes"]) > 1 else channels
            return call("nn.LayerNorm", shape, eps=c["epsilon"], **_affine(step))
        case "group_norm":
            named = {"eps": c["epsilon"], **_affine(step)}
            return call("nn.GroupNorm", c["groups"], channels, **named)
        case "prelu":
            return call("nn.PReLU", *([channels] if c["per"] == "channel" else []))
        case "dropout":
            if c.get("per") == "picture":
                raise LackingError("dropout of whole pictures")
            return call(f"nn.Dropout{n}d" if c.get("per") == "channel" else "nn.Dropout", c["rate"])
    return ""


def _affine(step: Step) -> dict[str, bool]:
    scale, center = (step.constants.get(name, True) for name in ("scale", "center"))
    if scale != center:
        raise LackingError(f"{step.one.kind} with a scale or a center alone")
    return {} if scale else {"affine": False}


def _usual(step: Step) -> dict:
    c = step.constants
    found: dict = {
        name: one_or_two(c[name]) for name in ("stride", "dilation") if not step.usual(name)
    }
    if c["groups"] != 1:
        found["groups"] = c["groups"]
    return found | ({} if c["bias"] else {"bias": False})


def _outside(step: Step) -> bool:
    """True if zeros have to be put around a picture ahead of the operation."""
    return any(one != other for one, other in step.zeros())


def _padded(step: Step, value: float = 0.0) -> list[str]:
    sides = tuple(side for pair in step.zeros()[::-1] for side in pair)
    named = {"value": Text('float("-inf")') if value == float("-inf") else value} if value else {}
    padded = call("F.pad", Text(step.read[0]), sides, **named)
    return [f"x = {padded}"]


def _applied(step: Step, layer: bool) -> list[str]:
    """The lines of forward."""
    c, kind, into = step.constants, step.one.kind, step.into
    x, before = Text(step.read[0]), []
    wide = any(len(shape) > 1 for shape in step.shapes)
    pixel = f"[:, :{', None' * step.rank}]"
    read = [
        Text(f"{name}{pixel}" if wide and len(shape) == 1 else name)
        for name, shape in zip(step.read, step.shapes, strict=True)
    ]
    if kind == "conv":
        if step.flat:
            x = Text(f"{x}{pixel}")
        if _outside(step):
            before, x = _padded(step), Text("x")
    if step.flattens:
        x = Text(f"{x}.flatten(1)")
    by_channel = kind == "dense" or (kind == "layer_norm" and c["axes"] == ["C"])
    if by_channel and not step.flat:
        return [f"{into} = self.{step.name}({x}.movedim(1, -1)).movedim(-1, 1)"]
    if layer:
        return [*before, f"{into} = self.{step.name}({x})"]
    made, inner = "", tuple(range(2, step.rank + 2))
    match kind:
        case "activation":
            function = c["function"]
            if function not in _FUNCTIONS:
                raise LackingError(function)
            named = {_OF[name]: value for name, value in c.items() if name in _OF}
            if function in ("softmax", "log_softmax"):
                named["dim"] = 1
            made = call(_FUNCTIONS[function], x, **named)
        case "max_pool" | "average_pool" if step.whole:
            made = f"{x}.{'amax' if kind == 'max_pool' else 'mean'}({inner})"
        case "max_pool" | "average_pool":
            before, made = _pooled(step, x)
        case "adaptive_max_pool" | "adaptive_average_pool":
            short = "max" if "max" in kind else "avg"
            made = call(f"F.adaptive_{short}_pool{step.rank}d", x, one_or_two(c["parts"]))
        case "add" | "subtract" | "multiply":
            made = {"add": " + ", "subtract": " - ", "multiply": " * "}[kind].join(read)
        case "concatenate" if c["axis"] == "C":
            made = f"torch.cat([{', '.join(read)}], dim=1)"
        case "rescale" if not isinstance(c["scale"], list):
            made = f"{x} * {c['scale']!r}" + (f" + {c['offset']!r}" if c["offset"] else "")
        case "pad":
            return [_padded(step, c["value"])[0].replace("x =", f"{into} =", 1)]
        case "resize":
            named = {} if c["method"] == "nearest" else {"mode": c["method"]}
            if "align_corners" in c:
                named["align_corners"] = c["align_corners"]
            factor = [int(f) if f == int(f) else f for f in c["factor"]]
            made = call("F.interpolate", x, scale_factor=one_or_two(factor), **named)
    if not made:
        raise LackingError(kind.replace("_", " "))
    return [*before, f"{into} = {made}"]


def _pooled(step: Step, x: Text) -> tuple[list[str], str]:
    c, kind = step.constants, step.one.kind
    named: dict = {}
    if c["stride"] != c["size"]:
        named["stride"] = one_or_two(c["stride"])
    if "dilation" in c:
        named["dilation"] = one_or_two(c["dilation"])
    before: list[str] = []
    counted = c.get("count_padding", True)
    zeros = step.zeros()
    half = all(2 * pair[0] <= k for pair, k in zip(zeros, c["size"], strict=True))
    if _outside(step) or not half:
        if kind == "average_pool" and not counted:
            raise LackingError("an average over a padded picture that leaves uneven zeros out")
        before, x = _padded(step, float("-inf") if kind == "max_pool" else 0.0), Text("x")
    elif step.padded:
        named["padding"] = one_or_two([pair[0] for pair in zeros])
        if not counted:
            named["count_include_pad"] = False
    short = "max" if kind == "max_pool" else "avg"
    return before, call(f"F.{short}_pool{step.rank}d", x, one_or_two(c["size"]), **named)
