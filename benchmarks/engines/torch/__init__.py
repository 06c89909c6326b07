"""PyTorch, the opponent: eager in its fastest configuration, and compiled."""

import torch

from benchmarks.engines.torch import kernels, models

OPERATIONS = {**kernels.OPERATIONS, **models.OPERATIONS}
set_threads = torch.set_num_threads
torch.set_flush_denormal(True)  # or Adam slows down thirty-fold once a unit's gradient has stayed 0 for 800 steps


def about():
    return {"name": "PyTorch", "version": torch.__version__, "config": torch.__config__.show()}
