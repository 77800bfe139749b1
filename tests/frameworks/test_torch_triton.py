"""Triton takes no symbol of TensorFlow's, and PyTorch's optimizers work beside it."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from frameworks.torch import triton

FLAGS = "import sys\nfrom tests.frameworks import test_torch_triton as t\n"
FLAGS += "t.SEEN.append(sys.getdlopenflags())\n"
SEEN: list[int] = []


@pytest.mark.skipif(not hasattr(os, "RTLD_DEEPBIND"), reason="each library has its own symbols")
@pytest.mark.parametrize("ending", ["", "raise ImportError\n"])
def test_it_is_bound_to_itself_and_nothing_else_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    (tmp_path / "triton.py").write_text(FLAGS + ending)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(triton, "find_spec", lambda name: name)
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    SEEN.clear()
    before = sys.getdlopenflags()
    triton.load_apart()
    assert [flags & os.RTLD_DEEPBIND for flags in SEEN] == [os.RTLD_DEEPBIND]
    assert sys.getdlopenflags() == before


@pytest.mark.skipif(
    find_spec("triton") is None or find_spec("tensorflow") is None,
    reason="PyTorch came without Triton, or TensorFlow is not installed",
)
def test_an_optimizer_after_tensorflow() -> None:
    script = "import tensorflow, torch\nfrom frameworks.torch import triton\ntriton.load_apart()\n"
    script += "torch.optim.Adam([torch.nn.Parameter(torch.ones(2))])"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
