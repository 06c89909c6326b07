"""What the files of this package are written with: kernels, device functions, and how one is launched.

A kernel is a Python function whose annotations are its signature, over flat memory as in C:

    @kernel
    def add(a: Floats, b: Floats, out: Floats, n: Long):
        i = cuda.grid(1)
        while i < n:
            out[i] = a[i] + b[i]
            i += cuda.gridsize(1)

Numba compiles it to PTX with an address and not an array behind each name: that makes a launch cheap, for an array
would be seven arguments. A literal is a float64 to Numba, and a GPU is slow in these: `float32(0.5)`.
"""

import dis
import functools
import importlib
import inspect
import pathlib
import pkgutil

from numba import types

Floats = types.CPointer(types.float32)
Doubles = types.CPointer(types.float64)
Ints = types.CPointer(types.int32)
Longs = types.CPointer(types.int64)
Bytes = types.CPointer(types.uint8)
Shorts = types.CPointer(types.uint16)
"""Numbers of 16 bits: whole ones, or the bits of a bfloat16 or float16."""
Float = types.float32
Double = types.float64
UInt = types.uint32
Int = types.int32
"""Sizes and strides below 2³¹: a division of 64-bit integers takes a GPU dozens of instructions."""
Long = types.int64

TOO_MANY = 1 << 32
"""Places, for kernels that divide them by `over` (index.py)."""

THREADS = 256
"""Threads a block, where each does something of its own."""
MOST_BLOCKS = 16 * 132
"""Blocks of a launch at most; their threads take one element after another. 16 for each of an H100's processors."""


class Kernel:
    """A kernel by its Python source.

    Attributes:
        function: the Python function.
        kinds: the Numba type of each argument.
    """

    def __init__(self, function, **kinds):
        self.function, self.name = function, function.__name__
        parameters = inspect.signature(function).parameters.values()
        self.kinds = tuple(kinds.get(p.name, p.annotation) for p in parameters)

    def admitted(self, arguments):
        """The arguments as `function` takes them; None: it is not to run."""
        return arguments

    def retyped(self, **kinds):
        """The same kernel for other types of some arguments."""
        return Kernel(self.function, **kinds)

    def __repr__(self):
        return f"<kernel {self.function.__module__}.{self.name}>"


class Guarded(Kernel):
    """A kernel behind a guard: it does nothing where the number that its first argument points to is not 0.

    Args:
        kernel: a `Kernel`.
    """

    def __init__(self, kernel):
        self.function, self.name, self.kinds = kernel.function, kernel.name, (Ints, *kernel.kinds)

    def admitted(self, arguments):
        return None if arguments[0][0] else arguments[1:]


@functools.cache
def guarded(kernel):
    """The `Guarded` of a kernel."""
    return Guarded(kernel)


class DeviceFunction:
    """A function that kernels call; Numba compiles it into them."""

    def __init__(self, function):
        self.function, self.__name__ = function, function.__name__

    def __call__(self, *arguments):
        return self.function(*arguments)


class Builtin(DeviceFunction):
    """A device function that a GPU has an instruction for (npdl/devices/cuda/intrinsics.py); its source says what."""


def outside_names(function):
    """What the names that a function reads from outside of it stand for."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    read = {step.argval for step in dis.get_instructions(function) if step.opname == "LOAD_GLOBAL"}
    named = {name: function.__globals__[name] for name in read if name in function.__globals__}
    return {**named, **{name: cell.cell_contents for name, cell in cells}}


kernel, device, builtin = Kernel, DeviceFunction, Builtin


def variants(*keys):
    """Makes a function of a few arguments that returns a kernel remember it; `keys` are the calls that there are."""

    def decorate(function):
        made = functools.cache(function)
        made.keys_of_kernels = tuple(keys)
        return made

    return decorate


def every_kernel():
    """{name: kernel} of this package, and of each variant that a function makes."""
    found = {}
    for module in pkgutil.walk_packages([str(pathlib.Path(__file__).parent)], f"{__package__}."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, Kernel):
                found[value] = name
            elif hasattr(value, "keys_of_kernels"):
                found.update({value(*key): f"{name}{key}" for key in value.keys_of_kernels})
    return {name: kernel for kernel, name in found.items()}


def launch(kernel, blocks, threads, *arguments):
    """Start `blocks` times `threads` threads on the device where the arrays lie; a size is a number or (x, y, z).

    Args:
        kernel: a `Kernel`.
        arguments: its arguments; arrays lie on one device, None is an array that is not read.
    """
    where = next(a for a in arguments if hasattr(a, "memory")).memory.driver
    where.launch(kernel, _three(blocks), _three(threads), arguments)


def launch_each(kernel, count, *arguments):
    """Start about one thread for each of `count` elements; the kernel's threads go on by `cuda.gridsize(1)`."""
    if count >= TOO_MANY and "over" in _called(kernel.function):
        raise ValueError(f"{kernel.name} counts places in 32 bits, got {count:,} of them; use a smaller batch_size")
    if count:
        launch(kernel, min(-(-count // THREADS), MOST_BLOCKS), THREADS, *arguments)


def _called(function):
    """Names of the device functions that a kernel calls, and that those call."""
    inside = [value for value in outside_names(function).values() if isinstance(value, DeviceFunction)]
    return {name for one in inside for name in (one.__name__, *_called(one.function))}


def expect(kernel, name, array, shape):
    """Raise where an array has another shape; None, an array that is not asked for, has none.

    Raises:
        ValueError: so.
    """
    if array is not None and array.shape != tuple(shape):
        raise ValueError(f"{kernel}: {name} must have shape {tuple(shape)}, got {array.shape}")


def _three(size):
    return (size, 1, 1) if isinstance(size, int) else (*size, *(1,) * (3 - len(size)))
