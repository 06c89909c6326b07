"""PyTorch, the opponent: eager in its fastest configuration, and compiled."""

import contextlib
import functools

import torch

from benchmarks.engines.torch import kernels, models

set_threads = torch.set_num_threads
_device = "cpu"


def _made_there(function):
    """`function` with its tensors made on the device that is measured. The calls that it returns run without this
    context, and there is no `torch.set_default_device`: either costs every call of PyTorch's some microseconds, on the
    processor too."""

    @functools.wraps(function)
    def make(**options):
        with contextlib.nullcontext() if _device == "cpu" else torch.device(_device):
            return function(**options)

    return make


OPERATIONS = {name: _made_there(function) for name, function in {**kernels.OPERATIONS, **models.OPERATIONS}.items()}


def use(device):
    """Work there from now on; returns what times calls."""
    global _device
    _device = device
    if device == "cpu":
        return None
    torch.backends.cudnn.benchmark = True  # the fastest algorithm of each convolution

    def seconds(call, repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(repeats):
            call()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1000  # milliseconds

    return seconds


def set_tf32(on):
    """Whether matrix products and, by a switch of their own, cuDNN's convolutions and LSTM round their factors."""
    torch.backends.cuda.matmul.allow_tf32 = on
    torch.backends.cudnn.allow_tf32 = on


torch.set_flush_denormal(True)  # or Adam slows down thirty-fold once a unit's gradient has stayed 0 for 800 steps


def about():
    found = {"name": "PyTorch", "version": torch.__version__, "config": torch.__config__.show()}
    if _device == "cpu":
        return found
    gpu = f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    return {**found, "gpu": gpu}
