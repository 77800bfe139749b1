"""Triton beside TensorFlow in one process.

PyTorch's wheels with CUDA bring Triton, which the first optimizer of a process imports. Triton and
TensorFlow each have an LLVM of their own, and TensorFlow 2.20 and 2.21 put theirs where every
library that is loaded later looks for it: Triton then crashes as it is loaded
(https://github.com/tensorflow/tensorflow/issues/124205).
"""

from __future__ import annotations

import importlib
import os
import sys
from importlib.util import find_spec


def load_apart() -> None:
    """Load Triton so that it takes no symbol of another library's; half a second.

    Call it where PyTorch may compile or make an optimizer in a process that has, or may later
    have, TensorFlow. Where one of the two is not installed, or the system binds each library to
    its own symbols (macOS), nothing is done.
    """
    if "triton" in sys.modules or not hasattr(os, "RTLD_DEEPBIND"):
        return
    if find_spec("triton") is None or find_spec("tensorflow") is None:
        return
    flags = sys.getdlopenflags()
    sys.setdlopenflags(flags | os.RTLD_DEEPBIND)
    try:
        importlib.import_module("triton")
    except ImportError:  # for another processor; PyTorch does without, and says so where it matters
        pass
    finally:
        sys.setdlopenflags(flags)
