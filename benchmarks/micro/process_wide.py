"""Settings that hold for a whole process, so that one contestant would pass them on to the next."""

from __future__ import annotations

import sys
from collections.abc import Callable


def settings_now() -> Callable[[], None]:
    """A function that restores the settings of this moment.

    PyTorch alone has settings in which contestants of a process differ: the idiomatic backend
    turns cuDNN's search for the fastest kernel off, the tuned one turns it on. Those of JAX, Keras
    and TensorFlow follow from the device, the threads and the precision, which all share.
    """
    if "torch" not in sys.modules:
        return lambda: None
    import torch

    cuda = torch.backends.cuda.matmul
    cudnn = torch.backends.cudnn
    convolution = cudnn.conv  # type: ignore[attr-defined]
    benchmark, threads = cudnn.benchmark, torch.get_num_threads()
    products, convolutions = cuda.fp32_precision, convolution.fp32_precision

    def set_again() -> None:
        cudnn.benchmark = benchmark
        cuda.fp32_precision = products
        convolution.fp32_precision = convolutions
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)

    return set_again
