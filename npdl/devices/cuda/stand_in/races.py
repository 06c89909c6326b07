"""Finds races: what two threads of a launch do to one element with no barrier between, one of them writing it.

Slow and exact, for small launches. A thread is a Python generator and a barrier its `yield`: all threads of a block run
to the barrier, one after the other, before any goes on, so that the number of barriers behind a thread is its phase.
Every element of shared and of global memory remembers who wrote it last, and who read it since:

- two threads of one block may not meet at an element in one phase, unless both read
- two blocks may not at all, unless both read: nothing says which of them runs first

replay.py computes the same faster and shows some races by their results; this finds those too that change none, such
as a barrier missing at the edge of a loop that holds another one. Floats are rounded as on a GPU, integers do not
overflow.
"""

import ast
import functools
import inspect
import itertools
import math
import types as python_types

import numpy as np
from numba import types as numba_types
from numba.np.numpy_support import as_dtype

from npdl.devices.cuda.stand_in.source import BARRIER, PLACES, Inlined, Places, is_shared, shared_array, source
from npdl.kernels.cuda.kernel import DeviceFunction, outside_names


class Race(RuntimeError):
    """The result of a launch depends on which thread is first."""


def races(kernel, blocks, threads, *arguments):
    """What is wrong with a launch: a sentence for each array and kind of race, at the first place where it shows.

    Args:
        kernel: a `Kernel`.
        blocks, threads: (x, y, z), as of a launch.
        arguments: flat NumPy arrays, which are written, and numbers; arrays may share memory.
    """
    function, shared = _threads_of(kernel.function)
    watch = _Watch(kernel.name)
    names = inspect.signature(kernel.function).parameters
    given = [_given(watch, *pair) for pair in zip(names, arguments, strict=True)]
    with np.errstate(all="ignore"):
        for place in itertools.product(*map(range, reversed(blocks))):
            watch.next_block(place)
            made = [_Watched(watch, name, _rubbish(array), True) for name, array in shared.items()]
            alive = [
                (t, function(*t[::-1], *place[::-1], *threads, *blocks, *made, *given))
                for t in itertools.product(*map(range, reversed(threads)))
            ]
            while alive:
                waiting = [one for one in alive if watch.runs(*one)]
                if waiting and len(waiting) < len(alive):
                    watch.note("barrier", "", f"{len(waiting)} of {len(alive)} threads came to a barrier, others end")
                alive = waiting
                watch.phase += 1
    return list(watch.found.values())


class _Watch:
    """Who touched which element when: (block, thread, phase)."""

    def __init__(self, kernel):
        self.kernel, self.found, self.writers, self.readers = kernel, {}, {}, {}

    def next_block(self, block):
        self.block, self.phase = block, 0

    def runs(self, thread, generator):
        """Runs a thread to its next barrier; whether it came to one."""
        self.thread = thread
        return next(generator, "end") != "end"

    def note(self, name, kind, text):
        self.found.setdefault((name, kind), f"{self.kernel}: {text}")

    def read(self, name, index, place):
        me = self.block, self.thread, self.phase
        if place in self.writers:
            self._meet(name, index, "reads what", self.writers[place], "wrote")
        self.readers.setdefault(place, set()).add(me)

    def write(self, name, index, place):
        if place in self.writers:
            self._meet(name, index, "writes what", self.writers[place], "wrote")
        for other in self.readers.pop(place, ()):
            self._meet(name, index, "writes what", other, "read")
        self.writers[place] = self.block, self.thread, self.phase

    def _meet(self, name, index, mine, other, theirs):
        block, thread, phase = other
        if block != self.block:
            who = f"one of block {block[::-1]} {theirs}"
        elif thread != self.thread and phase == self.phase:
            who = f"thread {thread[::-1]} {theirs}, with no barrier between"
        else:
            return
        where = f"{name}[{', '.join(map(str, index))}]"
        text = f"thread {self.thread[::-1]} of block {self.block[::-1]} {mine} {who}: {where}"
        self.note(name, (mine, theirs, block != self.block), text)


class _Watched:
    """An array that tells a `_Watch` of each access."""

    def __init__(self, watch, name, array, shared=False):
        self.watch, self.name, self.array, self.shared = watch, name, array, shared
        self.start = array.ctypes.data

    def _place(self, index):
        """(the index, what stands for the element: its address, or its place in the block's shared memory)"""
        index = index if isinstance(index, tuple) else (index,)
        for i, n in zip(index, self.array.shape, strict=True):
            if not 0 <= i < n:
                shape = self.array.shape
                raise IndexError(f"{self.watch.kernel}: {self.name}{list(index)} of an array of shape {shape}")
        if self.shared:
            return index, (self.watch.block, self.name, index)
        return index, self.start + int(index[0]) * self.array.itemsize

    def __getitem__(self, index):
        index, place = self._place(index)
        self.watch.read(self.name, index, place)
        value = self.array[index]
        return value if value.dtype.kind == "f" else value.item()

    def __setitem__(self, index, value):
        index, place = self._place(index)
        self.watch.write(self.name, index, place)
        self.array[index] = value


def _given(watch, name, value):
    """An argument as a thread gets it; numbers but floats and unsigned ones are Python's."""
    if isinstance(value, np.ndarray):
        return _Watched(watch, name, value)
    return int(value) if isinstance(value, np.integer) and value.dtype.kind == "i" else value


def _rubbish(array):
    return np.full_like(array, np.nan if array.dtype.kind == "f" else 0)


# ---- a kernel as generators


@functools.cache
def _threads_of(function):
    """(a generator function of the places, the shared arrays and the arguments; the shared arrays by their names)"""
    names = outside_names(function)
    kernel = Places().visit(Inlined(names).visit(source(function)))
    shared = {
        ast.unparse(statement.targets[0]): shared_array(statement.value, names)
        for statement in kernel.body
        if is_shared(statement)
    }
    kernel = _Yields().visit(kernel)
    kernel.body += ast.parse("if False:\n    yield").body  # a generator without barriers, too
    kernel.args.args = [ast.arg(name) for name in (*PLACES, *shared)] + kernel.args.args
    module = ast.fix_missing_locations(ast.Module([kernel], []))
    scope = {**{name: _in_python(value) for name, value in names.items()}, "_full": np.full, "_nan": np.nan}
    exec(compile(module, f"<threads of {function.__name__}>", "exec"), scope)
    return scope[kernel.name], shared


class _Yields(ast.NodeTransformer):
    """A barrier is a `yield`; shared memory is an argument."""

    def visit_Expr(self, node):
        return ast.Expr(ast.Yield(None)) if ast.unparse(node) == BARRIER else node

    def visit_Assign(self, node):
        return ast.Pass() if is_shared(node) else node


def _in_python(value):
    """What a name from outside of a kernel stands for here."""
    if isinstance(value, DeviceFunction):
        return _device_function(value.function)
    if isinstance(value, numba_types.Integer):
        return functools.partial(_whole, as_dtype(value))
    if isinstance(value, numba_types.Float):
        return as_dtype(value).type
    return _Float32Math() if value is math else value


@functools.cache
def _device_function(function):
    scope = {name: _in_python(value) for name, value in outside_names(function).items()}
    cells = tuple(python_types.CellType(scope[name]) for name in function.__code__.co_freevars)
    return python_types.FunctionType(function.__code__, scope, function.__name__, None, cells)


def _whole(dtype, value):
    """An integer of that type; the upper bits are cut off, as in C. Signed ones are Python's."""
    bits = 8 * dtype.itemsize
    return dtype.type(int(value) % (1 << bits)) if dtype.kind == "u" else int(value)


class _Float32Math:
    """`math`, which gives infinities and NaN instead of errors, in the argument's type."""

    def __getattr__(self, name):
        function = getattr(math, name)
        return functools.partial(_value, function) if callable(function) else function


def _value(function, *numbers):
    try:
        value = function(*numbers)
    except OverflowError:
        value = math.inf
    except ValueError:  # outside of where it is defined; ln 0 is −∞
        value = -math.inf if numbers[0] == 0 else math.nan
    return np.result_type(*numbers).type(value)
