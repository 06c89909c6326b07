"""Whether there is a GPU that this process can use, and what is in the way where there is none."""

import functools
import importlib.util

from npdl.devices.versions import version

PACKAGES = ("cuda.core", "cuda.bindings", "numba_cuda")
DISTRIBUTIONS = ("numba-cuda", "cuda-core", "cuda-bindings", "nvidia-nvvm", "nvidia-nvjitlink", "nvidia-cublas")
OLDEST = 13000
"""The CUDA that NVIDIA's driver must run: 13.0, by whose tools kernels are compiled; drivers from 580 on do."""
INSTALL = 'pip install "npdl-engine[cuda]"'


def count():
    """How many GPUs there are; 0 where the packages or NVIDIA's driver are missing."""
    return 0 if _missing() else _gpus()[0]


def obstacle(number):
    """What stands in the way of using the GPU of that number, and how to get past it; None: nothing."""
    if missing := _missing():
        return f"it needs packages that are not installed, {', '.join(missing)}: {INSTALL}"
    gpus, error = _gpus()
    if error:
        return f"{error}; it needs an NVIDIA GPU and NVIDIA's driver, 580 or newer"
    if number >= gpus:
        return f"there are {gpus} GPUs here, numbered from 0; CUDA_VISIBLE_DEVICES may hide some"
    return None


def versions():
    """{name of a distribution that serves GPUs: its version, None where it is not installed}"""
    return {name: version(name) for name in DISTRIBUTIONS}


def _missing():
    return [name for name in PACKAGES if not _is_installed(name)]


def _is_installed(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # not even what the name begins with
        return False


@functools.cache
def _gpus():
    """(how many, what was wrong)"""
    from cuda.bindings import driver as cu  # heavy, and an extra

    try:
        (status,) = cu.cuInit(0)
        if status == cu.CUresult.CUDA_SUCCESS:
            status, version = cu.cuDriverGetVersion()
            if status == cu.CUresult.CUDA_SUCCESS and version < OLDEST:
                return 0, f"NVIDIA's driver runs CUDA {version // 1000}.{version % 1000 // 10} at most"
        if status == cu.CUresult.CUDA_SUCCESS:
            status, number = cu.cuDeviceGetCount()
            if status == cu.CUresult.CUDA_SUCCESS:
                return number, None
        return 0, f"NVIDIA's driver says {status.name}"
    except RuntimeError:
        return 0, "NVIDIA's driver is not installed here (libcuda.so.1)"
