"""PyTorch, the opponent: eager in its fastest configuration, and compiled."""

import torch

from benchmarks.engines.torch import kernels, models

OPERATIONS = {**kernels.OPERATIONS, **models.OPERATIONS}
set_threads = torch.set_num_threads


def about():
    return {"name": "PyTorch", "version": torch.__version__, "config": torch.__config__.show()}
