"""Whether there is a GPU that this process can use, and what is in the way where there is none."""

import functools
import importlib.util
import os
import pathlib
import re
import shutil

from npdl.devices.versions import version

PACKAGES = ("cuda.core", "cuda.bindings", "numba_cuda")
DISTRIBUTIONS = ("numba-cuda", "cuda-core", "cuda-bindings", "nvidia-nvvm", "nvidia-nvjitlink", "nvidia-cublas")
LEAST = {"numba-cuda": "0.22", "cuda-core": "0.5", "cuda-bindings": "13.0"}
"""The oldest versions with which the GPU path runs: before, cuda.core was cuda.core.experimental."""
CAPABILITY = 7, 5
"""Of the oldest GPUs that CUDA 13 compiles for, of 2018."""
OLDEST = 13000
"""The CUDA that NVIDIA's driver must run: 13.0, by whose tools kernels are compiled; drivers from 580 on do."""
TOOLKIT = "/usr/local/cuda"
"""Where NVIDIA's installer puts its tools."""
INSTALL = 'pip install "npdl-engine[cuda]"'


def count():
    """How many GPUs there are; 0 where the packages or NVIDIA's driver are missing."""
    return 0 if _missing() or _outdated() else _gpus()[0]


def obstacle(number):
    """What stands in the way of using the GPU of that number, and how to get past it; None: nothing."""
    if missing := _missing():
        return f"it needs packages that are not installed, {', '.join(missing)}: {INSTALL}"
    if outdated := _outdated():
        return f"it needs {', '.join(outdated)}: {INSTALL} --upgrade"
    gpus, error = _gpus()
    if error:
        return f"{error}; it needs an NVIDIA GPU and NVIDIA's driver, 580 or newer"
    if number >= gpus:
        many = "is one GPU" if gpus == 1 else f"are {gpus} GPUs"
        return f"there {many} here, numbered from 0; CUDA_VISIBLE_DEVICES may hide some"
    if (own := _capability(number)) < CAPABILITY:
        (a, b), (c, d) = own, CAPABILITY
        return f"this GPU is of capability {a}.{b}, and CUDA 13 compiles for {c}.{d} (Turing, 2018) and newer"
    return None


def library(name, package):
    """The path of a library of NVIDIA's toolkit.

    Args:
        name: without "lib".
        package: that brings it.

    Raises:
        RuntimeError: it is not found.
    """
    show_toolkit()
    from cuda.pathfinder import DynamicLibNotFoundError, load_nvidia_dynamic_lib

    try:
        return load_nvidia_dynamic_lib(name).abs_path
    except DynamicLibNotFoundError as error:
        raise RuntimeError(
            f"lib{name} is not here, which serves GPUs: pip install '{package}', or let CUDA_HOME be the folder of a "
            "CUDA toolkit"
        ) from error


def versions():
    """{name of a distribution that serves GPUs: its version, None where it is not installed}"""
    return {name: version(name) for name in DISTRIBUTIONS}


@functools.cache
def show_toolkit():
    """Where the compiler is not installed as a package, make the folder of a CUDA toolkit $CUDA_HOME: NVIDIA's search
    for libraries reads that, once, and does not look beside nvcc."""
    if version("nvidia-nvvm") is None and not os.environ.get("CUDA_PATH"):
        for nvcc in filter(None, (shutil.which("nvcc"), f"{TOOLKIT}/bin/nvcc")):
            toolkit = pathlib.Path(nvcc).resolve().parents[1]
            if toolkit.joinpath("nvvm").is_dir():
                os.environ.setdefault("CUDA_HOME", str(toolkit))


def _missing():
    return [name for name in PACKAGES if not _is_installed(name)]


def _outdated():
    """Packages that are too old, and what is needed."""
    found = {name: version(name) for name in LEAST}
    return [
        f"{name} {least} or newer, here is {found[name]}"
        for name, least in LEAST.items()
        if found[name] and _numbers(found[name]) < _numbers(least)
    ]


def _numbers(text):
    return [int(number) for number in re.findall(r"\d+", text)[:3]]


def _is_installed(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # not even what the name begins with
        return False


@functools.cache
def _gpus():
    """(how many, what was wrong)"""
    show_toolkit()
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
        hidden = " (CUDA_VISIBLE_DEVICES may hide it)" if status == cu.CUresult.CUDA_ERROR_NO_DEVICE else ""
        return 0, f"NVIDIA's driver says {status.name}{hidden}"
    except RuntimeError:
        return 0, "NVIDIA's driver is not installed here (libcuda.so.1)"


@functools.cache
def _capability(number):
    """(major, minor) of a GPU that is there."""
    from cuda.bindings import driver as cu

    kinds = cu.CUdevice_attribute
    major = kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
    minor = kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR
    return tuple(cu.cuDeviceGetAttribute(which, number)[1] for which in (major, minor))
