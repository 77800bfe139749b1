"""CUDA graphs without a GPU: the operations of a capture are kept and run again on the same memory.

As on a GPU, no Python runs in a replay, numbers are those of the capture, and a capture changes
nothing; what a GPU would refuse to capture is refused here: tensors made of the host's numbers, and
reading a number back.
"""

from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_ATEN = torch.ops.aten
_OF_THE_HOST = (
    _ATEN.lift_fresh.default,
    _ATEN._local_scalar_dense.default,
    _ATEN.nonzero.default,
)

_READ_OR_SENT = (
    torch.Tensor.numpy,
    torch.Tensor.__array__,
    torch.Tensor.cpu,
    torch.from_numpy,
)


class CPUGraph:
    """In place of `torch.cuda.CUDAGraph`."""

    def __init__(self):
        self.calls = []

    @torch.no_grad()
    def replay(self):
        for function, arguments, options, before in self.calls:
            after = function(*arguments, **options)
            for old, new in zip(tree_leaves(before), tree_leaves(after), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


class _Capture(TorchDispatchMode):
    def __init__(self, graph):
        super().__init__()
        self.graph = graph
        self.known, self.outside = set(), []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in _OF_THE_HOST:
            raise RuntimeError(f"operation not permitted when stream is capturing: {func}")
        kwargs = kwargs or {}
        for one in tree_leaves((args, kwargs)):
            if isinstance(one, torch.Tensor) and self._is_new(one):
                self.outside.append((one.untyped_storage(), one.untyped_storage().clone()))
        out = func(*args, **kwargs)
        for one in tree_leaves(out):
            if isinstance(one, torch.Tensor):
                self._is_new(one)
        self.graph.calls.append((func, args, kwargs, out))  # which keeps the memory, too
        return out

    def _is_new(self, tensor):
        place = tensor.untyped_storage().data_ptr()
        new = place not in self.known
        self.known.add(place)
        return new


class _Unread(TorchFunctionMode):
    """Refuses what a GPU would wait for and a CPU hands over."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in _READ_OR_SENT:
            raise RuntimeError(f"operation not permitted when stream is capturing: {func}")
        return func(*args, **(kwargs or {}))


@contextmanager
def _graph(graph, pool=None):
    with _Unread(), _Capture(graph) as capture:
        yield
    for storage, before in capture.outside:
        storage.copy_(before)


def install(monkeypatch):
    """Have PyTorch record on this CPU."""
    stream = SimpleNamespace(wait_stream=lambda other: None)
    for name, value in {
        "CUDAGraph": CPUGraph,
        "graph": _graph,
        "graph_pool_handle": lambda: None,
        "Stream": lambda: stream,
        "current_stream": lambda: stream,
        "stream": lambda one: nullcontext(),
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
