"""The compiled module that serves this processor, and its threads.

`lib` is the module: npdl.kernels.cpu._v4, _v3 or _v2 on x86-64 (AVX-512, AVX2, SSE4), _neon on arm64, else _plain. The
environment variable NPDL_BUILD=v3 asks for one by name. The number of threads is NPDL_NUM_THREADS or OMP_NUM_THREADS,
else the number of processors that this process may use.

Where npdl was installed without compiled kernels, `lib` is a stand-in that runs Numba's kernels on one thread.
"""

import ctypes
import importlib
import numbers
import os

from npdl.kernels.cpu import compiled


class NoKernels:
    """What the rest needs of a compiled module where there is none."""

    HAS_FMA, COMPILER = False, "none"

    @staticmethod
    def get_num_threads():
        return 1

    @staticmethod
    def set_num_threads(n):
        """Stays at one."""

    @staticmethod
    def run_blocks(function, context, blocks):
        """Call void f(void *context, int64_t block, void *work) of that address for every block."""
        call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)(function)
        for block in range(blocks):
            call(context, block, None)


def _load(name):
    return importlib.import_module(f"npdl.kernels.cpu._{name}")


def _choose():
    """(name, module) of the build to use."""
    there, asked = compiled(), os.environ.get("NPDL_BUILD")
    if not there:
        return "none", NoKernels
    levels = [name for name in there if name.startswith("v")]
    level = _load(levels[-1]).cpu_level() if levels else 0  # the lowest runs on the most processors
    runs = [name for name in there if not name.startswith("v") or int(name[1:]) <= level]
    if asked and asked not in runs:
        why = f"the processor is x86-64-v{level}" if asked in there else "it is not installed"
        raise ImportError(f"NPDL_BUILD={asked} cannot be used here: {why}; this machine runs {', '.join(runs)}")
    if not runs:
        raise ImportError(
            f"npdl's kernels were compiled for {', '.join(there)}, the processor is x86-64-v{level}; build them "
            "on this machine: pip install --force-reinstall ., in the folder of npdl's sources"
        )
    name = asked or runs[0]
    return name, _load(name)


def _default_threads():
    for variable in ("NPDL_NUM_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(variable, "").split(",")[0]
        if value.isdecimal() and int(value) > 0:
            return int(value)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _start():
    name, module = _choose()
    module.set_num_threads(_default_threads())
    return name, module


name, lib = _start()


def get_num_threads():
    """How many threads the kernels use."""
    return lib.get_num_threads()


def set_num_threads(n):
    """Use n threads in all kernels of this process from now on; results do not depend on it, to the last bit.

    Raises:
        ValueError: n is not a whole number of at least 1, or of more than 31 bits.
    """
    if not isinstance(n, numbers.Integral) or isinstance(n, bool) or not 1 <= n < 1 << 31:
        raise ValueError(
            f"set_num_threads needs a whole number of at least 1 and below 2**31, got {n!r}; "
            f"pass e.g. {_default_threads()}"
        )
    lib.set_num_threads(int(n))


def info():
    """What runs here, for `npdl.show_config()`: a dictionary of build, fma, bits, threads, compiler."""
    return {
        "build": name,
        "fma": lib.HAS_FMA,
        "bits": "portable" if lib.HAS_FMA else "this build only",
        "threads": get_num_threads(),
        "compiler": lib.COMPILER,
    }
