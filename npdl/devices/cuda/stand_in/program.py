"""Functions made of a kernel's rewritten source and compiled by Numba, once for each set of argument types."""

import ast
import functools

import numpy as np
from numba import njit, typeof
from numba.core import compiler, registry

from npdl.devices.cuda.cache import described
from npdl.devices.cuda.stand_in.generator import quick
from npdl.devices.cuda.stand_in.indexing import LOADS, STORES, at_16_bytes, own_array
from npdl.devices.cuda.stand_in.shelf import digest, folder, kept
from npdl.devices.cuda.stand_in.source import AXES, Indices, source
from npdl.kernels.cuda.kernel import Builtin, DeviceFunction, outside_names

SIZES = ("_gx", "_gy", "_gz", "_bx", "_by", "_bz", "_order", "_xs", "_ys", "_zs")
"""What a program is told of a launch: the grid, a block, which thread is first, and what `coordinates` returns."""


class Program:
    """A function `_launch` compiled for each set of argument types, or found in a file (shelf.py).

    Args:
        tree: its source; it gets a name of its own, for files bring functions of many processes together.
        scope: what names from outside stand for.
        function: the kernel's Python function.
    """

    def __init__(self, tree, scope, function):
        self._text = f"{described(function)}\0{ast.unparse(tree)}"
        name = tree.name = f"_launch_{digest(self._text)}"
        self._function = compiled(tree, scope, name)

    def __call__(self, *arguments):
        types = tuple(map(typeof, arguments))
        if types not in self._function.overloads:
            with quick():
                self._take(types)
        return self._function(*arguments)

    def _take(self, types):
        """Compile, or take from a file."""
        if folder() is None:
            self._function.compile(types)
            return

        def parts():
            self._function.compile(types)
            return self._function.overloads[types]._reduce()

        found = kept(f"{self._text}\0{types}", parts)
        if types not in self._function.overloads:
            context = registry.cpu_target.target_context
            self._function.add_overload(compiler.CompileResult._rebuild(context, *found))


def compiled(tree, scope, name, inner=False):
    """Compiled when it is first called; `inner` is for what compiled functions alone call.

    Nothing in a kernel allocates memory, so that no array's users need be counted (`_nrt`).
    """
    made = function_of(tree, scope, name)
    return njit(made, error_model="numpy", no_cfunc_wrapper=True, no_cpython_wrapper=inner, _nrt=False)


def function_of(tree, scope, name):
    """The Python function of a tree, its names from outside in `scope`."""
    module = ast.fix_missing_locations(ast.Module([tree], []))
    exec(compile(module, f"<replay of {name}>", "exec"), scope)
    return scope[name]


def scope_of(function):
    """What a function's names from outside of it stand for here."""
    own = {f"_load_{n}": load for n, load in LOADS.items()} | {f"_store_{n}": store for n, store in STORES.items()}
    own["__name__"] = __name__  # where compiled code that is kept in files (shelf.py) finds its module
    own |= {"_at_16_bytes": at_16_bytes, "_full": own_array, "_nan": np.nan}
    return {**{name: _on_cpu(value) for name, value in outside_names(function).items()}, **own}


def _on_cpu(value):
    """A device function becomes one of the CPU's."""
    if not isinstance(value, DeviceFunction):
        return value
    return _device_function(value.function, isinstance(value, Builtin))


@functools.cache
def _device_function(function, wide=False):
    scope = scope_of(function)
    tree = Indices(scope).visit(source(function))
    if wide:  # what it does is known element by element; where it may, by its first two arguments
        array, index = (argument.arg for argument in tree.args.args[:2])
        tree.body.insert(1, ast.parse(f"_at_16_bytes({array}, {index})").body[0])
    return compiled(tree, scope, function.__name__, inner=True)


def coordinates(bx, by, bz, order):
    """x, y and z of a block's threads in the order in which they run."""
    t = np.arange(bx * by * bz)[::order]
    return t % bx, t // bx % by, t // (bx * by)


def each_block(wanted):
    """The lines before what a block does: its place and the sizes, as far as they are wanted."""
    found = {
        "_blockDim_x": "_bx", "_blockDim_y": "_by", "_blockDim_z": "_bz",
        "_gridDim_x": "_gx", "_gridDim_y": "_gy", "_gridDim_z": "_gz",
        "_blockIdx_x": "_b % _gx", "_blockIdx_y": "_b // _gx % _gy", "_blockIdx_z": "_b // (_gx * _gy)",
    }  # fmt: skip
    return [
        "    _threads, _blocks = _bx * _by * _bz, _gx * _gy * _gz",
        "    for _turn in range(_blocks):",
        "        _b = _turn if _order > 0 else _blocks - 1 - _turn",
        *(f"        {place} = {value}" for place, value in found.items() if place in wanted),
    ]


def each_thread(wanted, pad):
    """The lines before what a thread does: its place."""
    places = [axis for axis in AXES if f"_threadIdx_{axis}" in wanted]
    return [f"{pad}_threadIdx_{axis} = _load_1(_{axis}s, _number)" for axis in places]
