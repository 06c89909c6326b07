"""PyTorch, the opponent: eager in its fastest configuration, and compiled."""

import torch

from benchmarks.engines.torch import kernels, models

OPERATIONS = {**kernels.OPERATIONS, **models.OPERATIONS}
set_threads = torch.set_num_threads


def use(device):
    """Work there from now on; returns what times calls."""
    torch.set_default_device(device)
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
    if torch.get_default_device().type == "cpu":
        return found
    gpu = f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    return {**found, "gpu": gpu}
