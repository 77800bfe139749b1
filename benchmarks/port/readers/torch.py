"""A PyTorch module as operations: run as it is, with every call of the library seen as it happens.

Nothing is exported or traced symbolically, so `x.view(int(x.size(0)), -1)`, functions of
`torch.nn.functional` and modules are read alike (`torch.overrides.TorchFunctionMode`). A program
whose way depends on the data is refused: one run would not show the others.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.port.axes import canonical, native, pictured
from benchmarks.port.operation import Listing, PortError
from benchmarks.port.readers import torch_around
from benchmarks.port.readers.calls import CALLS, Made
from benchmarks.port.readers.program import (
    Arrays,
    Gradients,
    Outputs,
    Pass,
    Program,
    clash,
    roles_of,
    same_way,
    uncarried,
)
from benchmarks.port.readers.torch_calls import FUNCTIONS
from benchmarks.port.readers.torch_change import CHANGES
from benchmarks.port.readers.torch_modules import drops_pictures, refuse_spectral
from benchmarks.port.readers.torch_recipe import Training
from benchmarks.port.readers.torch_steps import TorchSteps
from benchmarks.port.readers.torch_watch import Watch, output_of

# By id of a module and kind of its operation: what it computes with besides.
Constants = dict[int, dict[str, dict[str, Any]]]


def prepare(seed: int, precision: str) -> None:
    """Before the user's file is imported: the precision, and who makes what is noted.

    Args:
        seed: of weights that the program draws without a seed of its own.
        precision: float32 or float64.
    """
    torch.set_default_dtype(getattr(torch, precision))
    torch.manual_seed(seed)
    torch_around.install_plain()
    CALLS.watch_new([nn.Module, torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler])
    torch_around.install()


class TorchProgram(Program):
    """A module, read on pictures of one size."""

    def __init__(
        self,
        model: nn.Module,
        size: list[int],
        training: Training,
        *,
        names: Mapping[str, str] | None = None,
        constants: Constants | None = None,
    ) -> None:
        """Read a module.

        Args:
            size: of a picture.
            names: of layers, by the path of their modules, where that is not the name.
            constants: what the modules' own attributes do not say.
        """
        self.constants = constants or {}
        refuse_spectral(model)
        self.model = model.to(torch.get_default_dtype())
        self.training = training
        self.changes: dict[str, dict[str, Any]] = {}
        self.bare = model.training
        self.by_picture = {id(m) for m in model.modules() if drops_pictures(m)}
        self.names = {id(m): (names or {}).get(path, path) for path, m in model.named_modules()}
        self._stack: list[nn.Module] = []
        named = [*model.named_parameters(), *model.named_buffers()]
        self.keys = {id(tensor): name for name, tensor in named}
        self.tensors = dict(named)
        self.trained = [name for name, p in model.named_parameters() if p.requires_grad]
        self.parts: dict[str, tuple[str, slice]] = {}  # of tensors that are several weights
        # by number of a dense layer whose outputs become a picture: the axes of that
        self.cuts: dict[str, list[tuple[str, int]]] = {}
        self._choose_layout(size)
        self._list(size)

    def _left(self, *_: Any) -> None:
        if self._stack:
            self._stack.pop()

    @contextmanager
    def _hooked(self) -> Iterator[None]:
        """Inside, the innermost module under way is known."""
        handles = []
        for module in self.model.modules():
            inner = any(name != "parametrizations" for name, _ in module.named_children())
            if not inner or isinstance(module, nn.MultiheadAttention):
                handles += [
                    module.register_forward_pre_hook(lambda m, _: self._stack.append(m)),
                    module.register_forward_hook(self._left, always_call=True),
                ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def module_now(self) -> tuple[nn.Module | None, Made]:
        """The innermost module under way, and how it was made."""
        if not self._stack:
            return None, Made([], "")
        return self._stack[-1], CALLS.of(self._stack[-1])

    def _choose_layout(self, size: list[int]) -> None:
        """Find the layout of pictures that the module takes: channels first, or as they are.

        Raises:
            RuntimeError: neither runs.
        """
        pictures = np.random.default_rng(0).random((2, *size))
        errors = []
        for self.first in (True, False) if len(size) > 1 else (False,):
            try:
                self._run(pictures, Pass())
                return
            except RuntimeError as error:
                self._stack.clear()
                errors.append(error)
        raise errors[0]

    def _list(self, size: list[int]) -> None:
        pictures = np.random.default_rng(0).random((2, *size))
        watch, out = self._run(pictures, Pass())
        if watch.cuts:  # known from now on, so that the layers' outputs have the picture's order
            self.cuts = watch.cuts
            watch, out = self._run(pictures, Pass())
        if not self.constants:  # the modules of a network in TOML are known
            with _Kept(self.model):
                training, _ = self._run(pictures, Pass(training=True))
            remedy = "write it as nn.Dropout or another module that knows its mode, or take it out"
            same_way(watch.operations, training.operations, remedy)
        self.layouts = watch.layouts
        if id(out) not in watch.known:
            raise PortError(
                "the model's output is not made of its pictures by calls of PyTorch that can be "
                "seen; return the tensor of forward itself",
                status=4,
            )
        roles, buffers = roles_of(watch.operations), dict(self.model.named_buffers())
        roles |= {name: roles[key] for key, (name, _) in self.parts.items()}
        recipe = self.training.recipe(self.model, roles)
        self.trained = [name for name in self.trained if name not in self.training.left]
        carried = {self._of(key)[0] for one in watch.operations for key in one.parameters.values()}
        parametrized = "; torch.nn.utils.parametrize.remove_parametrizations makes it a weight"
        computed = ("parametrizations", "weight_g", "weight_v")
        notes = [clash(key) for key in sorted(watch.clashes)]
        notes += [
            note + parametrized * any(word in note for word in computed)
            for note in uncarried(key for key in self.trained if key not in carried)
        ]
        self.listing = Listing(
            framework="torch",
            operations=watch.operations,
            output=watch.known[id(out)][0],
            input=size,
            parameters={k: list(v.shape) for k, v in self.weights().items()},
            fixed=[key for key in self.layouts if not self._trains(key)],
            constants=[
                key
                for key in self.layouts
                if key in buffers and not roles[key].startswith("moving_")
            ],
            recipe=recipe,
            bare="training" if self.bare else "inference",
            settings={
                "products on a GPU": "TF32" if torch.backends.cuda.matmul.allow_tf32 else "float32",
                "convolutions on a GPU": "TF32" if torch.backends.cudnn.allow_tf32 else "float32",
            },
            notes=notes,
        )

    def _run(self, pictures: np.ndarray, how: Pass) -> tuple[Watch, Tensor]:
        self.model.train(how.training)
        x = self.tensor(pictures)
        watch = Watch(self, x, pictured(x.shape, first=self.first), how)
        with self._hooked(), watch:
            out = output_of(self.model(x))
        return watch, out

    def tensor(self, pictures: np.ndarray) -> Tensor:
        """Pictures in the layout that the module takes."""
        made = np.asarray(pictures)
        made = np.moveaxis(made, -1, 1) if self.first else made
        return torch.from_numpy(np.array(made, order="C")).to(torch.get_default_dtype())

    def _of(self, key: str) -> tuple[str, slice]:
        """The tensor that a weight is, and its rows there."""
        return self.parts.get(key, (key, slice(None)))

    def _rows(self, key: str, tensor: Tensor) -> Tensor:
        return tensor[self._of(key)[1]] if key in self.parts else tensor

    def _trains(self, key: str) -> bool:
        return self._of(key)[0] in self.trained

    def _canonical(self, key: str, tensor: Tensor) -> np.ndarray:
        return canonical(self._rows(key, tensor).detach().numpy(), self.layouts[key])

    def weights(self) -> Arrays:
        return {key: self._canonical(key, self.tensors[self._of(key)[0]]) for key in self.layouts}

    def load(self, weights: Arrays) -> None:
        with torch.no_grad():
            for key, value in weights.items():
                tensor = self._rows(key, self.tensors[self._of(key)[0]])
                tensor.copy_(torch.from_numpy(native(value, self.layouts[key])))

    def forward(self, pictures: np.ndarray, how: Pass) -> Outputs:
        with _Kept(self.model), torch.no_grad():
            watch, _ = self._run(pictures, how)
        return Outputs(watch.values, watch.alone)

    def call_bare(self, pictures: np.ndarray) -> np.ndarray:
        with _Kept(self.model), torch.no_grad():
            watch, out = self._run(pictures, Pass(training=self.bare))
        return watch.values[watch.known[id(out)][0]]

    def gradients(self, pictures: np.ndarray, labels: np.ndarray, how: Pass) -> Gradients:
        with _Kept(self.model):
            loss, extra = self._backward(pictures, labels, how)
            found = {
                key: self._canonical(key, self._gradient(self._of(key)[0]))
                for key in self.layouts
                if self._trains(key)
            }
            now = self.weights()
            fixed = {key: now[key] for key in self.layouts if not self._trains(key)}
        return Gradients(loss, extra, found, fixed)

    def _gradient(self, name: str) -> Tensor:
        gradient = self.tensors[name].grad
        return torch.zeros_like(self.tensors[name]) if gradient is None else gradient

    def _backward(self, pictures: np.ndarray, labels: np.ndarray, how: Pass) -> tuple[float, float]:
        self.model.zero_grad()
        _, out = self._run(pictures, how)
        whole, extra = self.whole_loss(out, labels)
        whole.backward()
        return float(whole.detach()), float(extra.detach())

    def whole_loss(self, out: Tensor, labels: np.ndarray) -> tuple[Tensor, Tensor]:
        """The loss as it is minimised, and the part of it that the model adds."""
        extra = self.training.regularizer() if self.training.regularizer else torch.zeros(())
        return self.training.loss_of(out, labels) + extra, extra

    def loss_on(
        self, outputs: np.ndarray, labels: np.ndarray, through: str
    ) -> tuple[float, np.ndarray]:
        given = np.moveaxis(outputs, -1, 1) if outputs.ndim > 2 else outputs
        x = torch.from_numpy(np.array(given, np.float64)).requires_grad_()
        functions = {"softmax": torch.softmax, "log_softmax": torch.log_softmax}
        out = torch.sigmoid(x) if through == "sigmoid" else x
        if through in functions:
            out = functions[through](x, 1)
        loss = self.training.loss_of(out, labels)
        loss.backward()
        assert x.grad is not None
        slope = x.grad.numpy()
        return float(loss.detach()), np.moveaxis(slope, 1, -1) if slope.ndim > 2 else slope

    def steps(self, gradients: list[Arrays]) -> list[Arrays]:
        after = []
        with _Kept(self.model):
            optimizer = self.training.fresh(self.model)
            for given in gradients:
                whole: dict[str, Tensor] = {}
                for key, value in given.items():
                    name = self._of(key)[0]
                    into = whole.setdefault(name, torch.zeros_like(self.tensors[name]))
                    self._rows(key, into).copy_(torch.from_numpy(native(value, self.layouts[key])))
                for name, gradient in whole.items():
                    self.training.gather(self.tensors[name], gradient)
                self.training.step(optimizer, self.model)
                now = self.weights()
                after.append({key: now[key] for key in given})
        return after

    def train(
        self, pictures: np.ndarray, labels: np.ndarray, passes: Iterable[tuple[int, Pass]]
    ) -> tuple[list[float], Arrays]:
        losses = []
        with _Kept(self.model):
            optimizer = self.training.fresh(self.model)
            for place, how in passes:
                before = {key: self.tensors[key].grad for key in self.trained}
                losses.append(self._backward(pictures[place], labels[place], how)[0])
                for key, kept in before.items():
                    tensor = self.tensors[key]
                    now, tensor.grad = tensor.grad, kept
                    if now is not None:
                        self.training.gather(tensor, now)
                self.training.step(optimizer, self.model)
            return losses, self.weights()

    def own_steps(self) -> TorchSteps:
        return TorchSteps(self)

    def change(self, operation: str, constant: str, value: Any) -> bool:
        one = self.listing.operations[int(operation)]
        if value == one.constants.get(constant):
            self.changes.get(operation, {}).pop(constant, None)
            return True
        unknown = constant == "function" and value not in FUNCTIONS
        if unknown or (one.kind, constant) not in CHANGES:
            return False
        self.changes.setdefault(operation, {})[constant] = value
        return True

    def change_optimizer(self, constant: str, value: Any) -> bool:
        return self.training.change(constant, value)


class _Kept:
    """Inside, weights, running statistics and the mode may change; they are put back."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def __enter__(self) -> None:
        self.state = copy.deepcopy(self.model.state_dict())
        self.mode = self.model.training

    def __exit__(self, *_: object) -> None:
        with torch.no_grad():
            own = self.model.state_dict()
            for name, value in self.state.items():
                own[name].copy_(value)
        self.model.train(self.mode)
        self.model.zero_grad()
