"""The calls of one run of a PyTorch program, seen as they happen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode, resolve_name

from benchmarks.port.axes import (
    Axes,
    Axis,
    canonical,
    labelled,
    native,
    pictured,
    resized,
    spread,
    unknown,
)
from benchmarks.port.masks import dropped
from benchmarks.port.operation import PICTURES, PortError
from benchmarks.port.readers import torch_calls as calls
from benchmarks.port.readers import torch_names as names
from benchmarks.port.readers.calls import CALLS
from benchmarks.port.readers.meaning import Meaning, position
from benchmarks.port.readers.program import Pass
from benchmarks.port.readers.run import Run
from benchmarks.port.readers.torch_change import changed
from benchmarks.port.readers.torch_moves import MOVES

_SPLITS = ("split", "chunk", "tensor_split", "unbind")
# Calls whose weights are tensors like any other, and not a layer's own.
_WITH_WEIGHTS = (
    *("add", "sub", "rsub", "mul", "div", "cat", "max", "min", "maximum", "minimum"),
    *("pow", "matmul", "einsum"),
)
_OF_PICTURES = ("conv", "conv_transpose", "max_pool", "average_pool", "resize", "pixel_shuffle")
_FIRST = ("max", "min", "multi_head_attention_forward")  # whose first output is the one


class Watch(TorchFunctionMode, Run):
    """Sees the calls of one run."""

    def __init__(self, program: Any, x: Tensor, axes: Axes, how: Pass) -> None:
        TorchFunctionMode.__init__(self)
        Run.__init__(self, program, how)
        self.keep(x, PICTURES, axes)
        self.layouts: dict[str, Axes] = {}
        self.clashes: set[str] = set()
        self.cuts: dict[str, list[tuple[str, int]]] = {}  # as the program has them
        # by id of a weight that `weight_norm` computes: its direction, magnitude and axis
        self.normed: dict[int, tuple[Tensor, Tensor, int]] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        resolved = resolve_name(func) or getattr(func, "__name__", str(func))
        name = names.name_of(resolved)
        if name == "__iter__":  # of a tensor that is taken apart: q, k, v = qkv
            return iter(self.__torch_function__(Tensor.unbind, types, args, {}))
        if name == "_weight_norm":
            made = func(*args, **kwargs)
            direction, magnitude, axis = [*args, *kwargs.values(), 0][:3]
            self.normed[id(made)] = direction, magnitude, int(axis)
            self.alive.append(made)
            return made
        inputs = self._inputs([*args, *kwargs.values()])
        if (inputs and name in _WITH_WEIGHTS) or name in MOVES:
            self._take_weights([*args, *kwargs.values()], inputs)
            inputs = self._inputs([*args, *kwargs.values()])
        question = resolved.endswith(".__get__") and name not in ("mT", "T")
        if not inputs or question:
            return func(*args, **kwargs)
        if name in names.QUESTIONS:
            return func(*args, **kwargs)
        if name in names.DATA:
            raise PortError(
                f"{CALLS.where() or 'the model'}: the program looks at the values of a tensor "
                f"({name}), so that its way may depend on the data, and one run would not show the "
                "others; take the branch out of forward, or give the part before and the part "
                "after it one by one",
                status=4,
            )
        if name in names.CASTS and torch.is_floating_point(inputs[0]):
            CALLS.lowered(" ".join([name, *map(str, args[1:]), *map(str, kwargs.values())]))
            return inputs[0]  # all is float64 here
        before = [self.known[id(x)] for x in inputs]
        if name in names.SAME and len(inputs) == 1:
            out = func(*args, **kwargs)
            self.keep(out, *before[0])
            return out
        return self._operation(func, name, args, kwargs, inputs, before)

    def _inputs(self, values: list[Any]) -> list[Tensor]:
        return [x for x in _flat(values) if id(x) in self.known]

    def _take_weights(self, values: list[Any], beside: list[Tensor]) -> None:
        """Make an operation of each weight that is used as a tensor: a scale, a position."""
        for x in _flat(values):
            key = self.program.keys.get(id(x), "")
            if not isinstance(x, torch.nn.Parameter) or id(x) in self.known:
                continue
            self.add_weight(x, x, key, beside)

    def _operation(
        self,
        func: Any,
        name: str,
        args: Any,
        kwargs: Any,
        inputs: list[Tensor],
        before: list[tuple[str, Axes]],
    ) -> Any:
        number = self.next
        arguments = names.bound(name, args, kwargs)
        # masks inside of attention cannot be given; its rate is read
        if name == "multi_head_attention_forward":
            kwargs = {**kwargs, "training": False}
        if name == "scaled_dot_product_attention":
            args, kwargs = args[:4], {**kwargs, "dropout_p": 0.0}
        if name == "rms_norm" and arguments.get("eps") is None:  # of the type it would have
            kwargs = {**kwargs, "eps": torch.finfo(torch.float32).eps}
            args, arguments = args[:3], arguments | {"eps": kwargs["eps"]}
        call = changed(name, func, args, kwargs, arguments, self.program.changes.get(number, {}))
        if name == "hardsigmoid":  # whose gradient has 1/6 in float32
            call = _hardsigmoid(inputs[0])
        if name in calls.DROPOUTS:
            call = self._dropout(number, arguments, before[0][1], name)
        if (swapped := self.others(number, inputs)) is not None:
            self._by_itself(number, call, swapped)
        sizes = [tuple(x.shape) for x in inputs]
        out = call({})
        module, made = self.program.module_now()
        several = [inputs[0]] if out is None else out  # an assignment to an index
        outs = [out] if isinstance(out, Tensor) else [t for t in several if isinstance(t, Tensor)]
        meaning = None
        if len(outs) == 1 or name in _FIRST:
            shapes = arguments | {"input": torch.empty(sizes[0], device="meta")}
            meaning = calls.meaning_of(name, shapes, [axes for _, axes in before], outs[0])
        if meaning is None or meaning.axes is None:
            one = before[0][1] if sizes[0] == tuple(outs[0].shape) else unknown(outs[0].shape)
            meaning = Meaning(f"unread:{name}", one)
        parts: list[Meaning] = []
        if name in _SPLITS and len(outs) > 1:
            parts = _split(name, arguments, before[0][1], outs)
            meaning = parts[0]
        if meaning.kind in _OF_PICTURES:
            self._cut(before[0], sizes[0])
        if meaning.kind == "dense" and number in self.program.cuts:
            meaning = _as_picture(meaning, self.program.cuts[number])
        axes = meaning.axes or unknown(outs[0].shape)
        if name == "dropout" and id(module) in self.program.by_picture:
            meaning.constants["per"] = "picture"
        meaning.constants |= self.program.constants.get(id(module), {}).get(meaning.kind, {})
        meaning.constants |= self._out_of_mode(name, arguments)
        if meaning.kind == "batch_norm" and getattr(module, "momentum", 0.0) is None:
            meaning.constants["momentum"] = None  # a mean over all batches
        layer = made.where and type(module).__module__.startswith("torch.nn")
        sure = self._stated(name, made.stated) if layer else list(arguments)
        meaning.axes = axes
        self.add(
            meaning,
            outs[0],
            [source for source, _ in before],
            name=(self.program.names.get(id(module), "") if module is not None else "") or name,
            where=made.where if layer else CALLS.where(),
            stated=[c for c in meaning.constants if calls.STATED.get(c, c) in sure],
        )
        if number in self.alone:  # now, for a call in place takes over the tensor
            self.alone[number] = canonical(self.alone[number], axes)
        self.alive += outs
        for place, x in enumerate(outs[1:], start=1):
            if parts:
                self._further(parts[place], name, x, before)
            else:
                further = f"{name} output {place}"
                self._further(Meaning(f"unread:{further}", None), further, x, before)
        return out

    def _cut(self, given: tuple[str, Axes], sizes: Sequence[int]) -> None:
        """Note the dense layer whose outputs are the picture that an operation reads."""
        number, axes = given
        names = [axis.label for axis in axes[1:]]
        if not all(name[:1] == "C" and name != "C" for name in names):
            return
        by_number = dict(self.known.values())
        while number != PICTURES:
            one = self.operations[int(number)]
            if one.kind == "dense" and len(by_number[number]) == 2:
                wanted = pictured(sizes, first=True)[1:]
                self.cuts[number] = [(axis.label, axis.size) for axis in wanted]
            if one.kind == "dense" or len(one.sources) != 1:
                return
            number = one.sources[0]

    def _out_of_mode(self, name: str, arguments: dict[str, Any]) -> dict[str, bool]:
        """Constants of a call that does not follow the module's mode."""
        training = bool(arguments.get("training", True))
        if name in calls.DROPOUTS and training and not self.how.training:
            return {"drops_in_inference": True}
        if name == "batch_norm" and not training and self.how.training:
            return {"by_running_statistics": True}
        if name == "batch_norm" and training and not self.how.training:
            return {"by_batch_statistics": True}
        return {}

    def _further(
        self, meaning: Meaning, name: str, x: Tensor, before: list[tuple[str, Axes]]
    ) -> None:
        """An operation of its own: a call's output besides its first, or a weight."""
        self.add(meaning, x, [source for source, _ in before], name=name, where=CALLS.where())

    def array(self, tensor: Tensor) -> np.ndarray:
        return tensor.detach().numpy().copy()

    def tensor(self, value: np.ndarray) -> Tensor:
        return torch.from_numpy(value)

    @staticmethod
    def _stated(name: str, stated: list[str]) -> list[str]:
        """A layer's stated arguments, as the function names them."""
        own = {"out_channels": "filters", "out_features": "units", "kernel_size": "kernel"}
        return [*stated, *(own[s] for s in stated if s in own)]

    def carried(self, meaning: Meaning) -> dict[str, str]:
        found, parameters = {}, dict(meaning.parameters)
        for role, (tensor, axes) in meaning.parameters.items():
            if id(tensor) in self.normed:
                direction, magnitude, axis = self.normed[id(tensor)]
                labels = [one.words for one in axes]
                meaning.constants["weight_norm"] = labels[axis] if axis >= 0 else "all"
                sizes = magnitude.shape or [1] * len(axes)
                parameters |= {role: (direction, axes)}
                parameters[f"{role}_magnitude"] = magnitude, labelled(labels, sizes)
        for role, (tensor, axes) in parameters.items():
            whole, place = tensor if isinstance(tensor, tuple) else (tensor, None)
            if whole is None:
                continue
            key = self.program.keys.get(id(whole))
            if key is not None and place is not None:
                size, name = axes[0].size, key
                key = f"{key}[{('query', 'key', 'value')[place]}]"
                self.program.parts[key] = name, slice(place * size, (place + 1) * size)
            if key is None:
                meaning.kind = f"unread:{meaning.kind} with a computed {role}"
                continue
            found[role] = key
            if key in self.layouts and self.layouts[key] != axes:
                self.clashes.add(key)
            self.layouts[key] = axes
        return found

    def _by_itself(self, number: str, call: Any, swapped: dict[int, Tensor]) -> None:
        with torch.no_grad():
            out = call(swapped)
        out = out[0] if isinstance(out, tuple) else out
        if isinstance(out, Tensor):
            self.alone[number] = out.detach().numpy().copy()

    def _dropout(self, number: str, arguments: dict[str, Any], axes: Axes, name: str) -> Any:
        rate, on = float(arguments.get("p", 0.5)), bool(arguments.get("training", True))
        rate = self.program.changes.get(number, {}).get("rate", rate)
        x = arguments["input"]

        def call(swapped: dict[int, Tensor]) -> Tensor:
            value = swapped.get(id(x), x)
            if not on:
                return value * 1.0
            whole = name[-2:] in ("1d", "2d", "3d") and x.dim() > 2
            shape = (*x.shape[:2], *(1,) * (x.dim() - 2)) if whole else x.shape
            if id(self.program.module_now()[0]) in self.program.by_picture:
                shape = (len(x), *(1,) * (x.dim() - 1))
            uniforms = self.how.uniforms.get(number)
            if uniforms is None:
                uniforms = np.random.default_rng(int(number)).random(spread(shape, axes))
            keep = torch.from_numpy(native(uniforms, axes)) >= rate
            form = "alpha" if name == "alpha_dropout" else ""
            return dropped(value, keep.to(value.dtype), rate, form)

        return call


def output_of(given: Any) -> Tensor:
    """The tensor that a model gives, or the logits among its outputs.

    Raises:
        PortError: it gives several, none of them named so.
    """
    logits = given.get("logits") if isinstance(given, Mapping) else getattr(given, "logits", None)
    made = given if isinstance(given, Tensor) else logits
    if not isinstance(made, Tensor):
        raise PortError(
            f"the model gives a {type(given).__name__}, not one tensor; wrap it in a module that "
            "returns the one to compare"
        )
    return made


def _as_picture(dense: Meaning, atoms: list[tuple[str, int]]) -> Meaning:
    """A dense layer whose outputs are the axes of a picture, in the order of these atoms."""
    assert dense.axes is not None
    kernel, layout = dense.parameters["kernel"]
    outputs = Axis(tuple((f"O{'DHWC'.index(label)}", n) for label, n in atoms))
    one = Axis(tuple(atoms))
    parameters = {
        "kernel": (kernel, (outputs, layout[1])),
        "bias": (dense.parameters["bias"][0], (one,)),
    }
    return Meaning("dense", (dense.axes[0], one), dense.constants, parameters)


def _split(name: str, arguments: dict[str, Any], axes: Axes, outs: list[Tensor]) -> list[Meaning]:
    """Meaning of each output of a call that takes a tensor apart."""
    at = "1" if name == "unbind" else "2"
    place = arguments.get("dim", arguments.get(at, 0)) % len(axes)
    if name == "unbind":
        return [position(axes, place, number, len(outs)) for number in range(len(outs))]
    labels = [axis.label or axis.words or "?" for axis in axes]
    told = {"axis": labels[place], "sizes": [x.shape[place] for x in outs]}
    return [
        Meaning("split", resized(axes, x.shape), {"part": number, **told})
        for number, x in enumerate(outs)
    ]


def _flat(values: list[Any]) -> list[Tensor]:
    """The tensors among arguments, and in their lists."""
    flat: list[Any] = []
    for value in values:
        flat += value if isinstance(value, list | tuple) else [value]
    return [x for x in flat if isinstance(x, Tensor)]


def _hardsigmoid(x: Tensor) -> Any:
    return lambda swapped: functional.relu6(swapped.get(id(x), x) + 3) / 6
