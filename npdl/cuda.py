"""NVIDIA GPUs: `model.to("cuda")` computes there, `model.to("cuda:1")` on the second one.

They need the packages of `pip install "npdl-engine[cuda]"` and NVIDIA's driver. The kernels are Python, compiled by
numba-cuda when they are first called and kept in a folder on disk (`$NPDL_CUDA_CACHE`).
"""

from npdl import devices
from npdl.devices.cuda import find
from npdl.devices.cuda.debug import set_debug
from npdl.devices.registry import gpu_number

__all__ = ["allow_tf32", "count", "debug", "info", "is_available"]


def is_available():
    """Whether `model.to("cuda")` will do: the packages, the driver and a GPU are there."""
    return find.obstacle(0) is None


def count():
    """How many GPUs there are."""
    return find.count()


def info(device="cuda"):
    """A GPU's name, capability and memory in bytes, and the versions of the packages that serve it.

    Raises:
        ValueError: `device` is no GPU's name.
        RuntimeError: it cannot be used; the message says what is missing.
    """
    driver = _driver(device)
    free, total = driver.memory_left()
    return {
        "name": driver.device.name,
        "capability": driver.capability,
        "memory": {"free": free, "total": total},
        "tf32": driver.tf32,
        "versions": find.versions(),
    }


def allow_tf32(on=True, device="cuda"):
    """Let matrix products round their factors to TF32, with 10 bits instead of 23: several times as fast on an A100
    or newer, and about three digits exact. Off to begin with, as for PyTorch's products.

    Raises:
        ValueError, RuntimeError: as of `info`.
    """
    _driver(device).tf32 = on


def _driver(device):
    if gpu_number(str(device)) is None:
        raise ValueError(f"GPUs are called 'cuda', 'cuda:1' and so on, got {device!r}")
    return devices.get(device).driver


def debug(on=True):
    """Wait for every kernel, so that what went wrong in it is raised by the line that called it, with the name of the
    layer, loss or optimizer; slow. `fit` then does each step by itself, not as a graph, and looks at each loss before
    it changes weights.

    Returns:
        what it was before.
    """
    return set_debug(on)
