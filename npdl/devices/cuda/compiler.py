"""From a kernel's Python source to what a GPU runs: PTX by numba-cuda, then the GPU's own code by nvJitLink.

No GPU is needed for either.
"""

import contextlib
import functools
import inspect
import re
import threading
import types as python_types

from npdl.devices.cuda import find, intrinsics
from npdl.kernels.cuda import wide
from npdl.kernels.cuda.kernel import Builtin, DeviceFunction, Guarded, outside_names

LEAST = find.CAPABILITY
"""The capability that PTX is made for, that of the oldest GPUs alone: for newer ones NVVM would say the same, as no
kernel uses what only those can do, and nvJitLink makes of it the very code of the GPU that is there."""

REGISTERS = 64
"""Of a thread at most, where it has four numbers at a time: then a processor of an A100 or later one holds 1,024
threads. Left alone, the assembler takes up to 80 to compute the four side by side."""

_lock = threading.Lock()


@functools.cache
def ptx(kernel):
    """The text of a `Kernel` in NVIDIA's intermediate language, for any GPU.

    Raises:
        RuntimeError: libnvvm is not found.
    """
    find.library("nvvm", "nvidia-nvvm==13.0.*")
    from numba import cuda  # heavy: loads LLVM

    with _least_gpu():
        function = _for_numba(kernel.function)
        if isinstance(kernel, Guarded):
            function = _behind_guard(function)
        text, _ = cuda.compile_ptx(function, kernel.kinds, device=False, cc=LEAST)
    return text


def _behind_guard(function):
    """The function of a `Guarded` kernel, in which that of the kernel is one that it calls: the compiler puts it in."""
    from numba import cuda

    names = ", ".join(inspect.signature(function).parameters)
    scope = {"inside": cuda.jit(device=True)(function)}
    exec(f"def {function.__name__}(_guard, {names}):\n    if _guard[0] == 0:\n        inside({names})", scope)
    return scope[function.__name__]


def entry(text):
    """The name under which PTX declares its kernel."""
    return re.search(r"\.visible \.entry (\S+?)\(", text).group(1)


def cubin(kernel, capability):
    """The code of GPUs of a capability, such as (9, 0) for an H100, and what its assembler says about it."""
    from cuda.core import Linker, LinkerOptions, ObjectCode

    source = ObjectCode.from_ptx(ptx(kernel).encode())
    options = LinkerOptions(arch="sm_{}{}".format(*capability), verbose=True, max_register_count=_most(kernel))
    linker = Linker(source, options=options)
    try:
        return bytes(linker.link("cubin").code), linker.get_info_log()
    except Exception as error:
        here = ", ".join(f"{name} {number}" for name, number in find.versions().items())
        raise RuntimeError(f"{kernel.name}: {error}; libnvvm must not be newer than nvJitLink: {here}") from error


def _most(kernel):
    """The most registers of a thread; None leaves it to the assembler."""
    return REGISTERS if wide.load in outside_names(kernel.function).values() else None


@contextlib.contextmanager
def _least_gpu():
    """Numba compiles a kernel for the capability that it is told, but what the kernel calls for the GPU it finds."""
    from numba.cuda import dispatcher

    with _lock:
        find = dispatcher.get_current_device
        dispatcher.get_current_device = lambda: python_types.SimpleNamespace(compute_capability=LEAST)
        try:
            yield
        finally:
            dispatcher.get_current_device = find


@functools.cache
def _device_function(function):
    from numba import cuda

    return cuda.jit(device=True)(_for_numba(function))


def _known(value):
    """What a name from outside of a function stands for, as Numba knows it."""
    if isinstance(value, Builtin):
        return intrinsics.of(value.__name__)
    return _device_function(value.function) if isinstance(value, DeviceFunction) else value


def _for_numba(function):
    """The function with the device functions that it calls as Numba knows them."""
    scope = {name: _known(value) for name, value in outside_names(function).items()}
    cells = tuple(python_types.CellType(scope[name]) for name in function.__code__.co_freevars)
    return python_types.FunctionType(function.__code__, scope, function.__name__, function.__defaults__, cells)
