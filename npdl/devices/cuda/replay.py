"""A CUDA kernel's Python source, run on the CPU at compiled speed: what the stand-in driver launches.

A kernel without barriers becomes a function of one thread that loops call for every thread of every block. A kernel
with barriers is cut at them: each piece runs for all threads of a block before the next begins, and a variable that
lives across a barrier becomes an array with an element a thread (the loop fission of MCUDA: Stratton, Stone and Hwu,
"MCUDA: An Efficient Implementation of CUDA Kernels for Multi-core CPUs", 2008). Both are compiled by Numba, so that its
typing rules hold as on the GPU, at sizes that a simulator with one thread a thread cannot reach.

What a GPU leaves undefined is an error here, or shows:

- threads that disagree about a branch or loop around a barrier: `DivergentBarrier`
- an element read and written by two threads without a barrier between, or by two blocks: threads and blocks run in
  ascending or in descending order, and the results differ (`order`)
- shared memory or, in a kernel with barriers, a variable read before it is written: it is NaN, a large negative
  integer, or False
- an index outside an array, below 0 too: IndexError
- four numbers moved at once from or to an address that is no multiple of 16: ValueError

It does not see that a barrier is missing at the edge of a loop or branch that holds another one: here all threads have
come to such an edge before one goes on, as if a barrier stood there. On a GPU some would be ahead. races.py sees it.
"""

import ast
import functools
import inspect
import textwrap

import numpy as np
from numba import njit, typeof
from numba import types as numba_types
from numba.core import compiler, registry, typed_passes
from numba.np.numpy_support import as_dtype

from npdl.kernels.cuda.kernel import Builtin, DeviceFunction, outside_names

AXES = "xyz"
PLACES = tuple(f"_{name}_{axis}" for name in ("threadIdx", "blockIdx", "blockDim", "gridDim") for axis in AXES)
BARRIER, LOCAL = "cuda.syncthreads()", "cuda.local.array("
DIVERGED = "threads of one block disagree about a branch or loop that holds a barrier"


@njit
def _inside(index, count):
    if index < 0:
        raise IndexError("index below 0: a GPU would read or write before the array")
    if index >= count:
        raise IndexError("index beyond the end: a GPU would read or write behind the array")
    return index


@njit
def _at_16_bytes(array, index):
    if (array.ctypes.data + array.itemsize * index) % 16 != 0:
        raise ValueError("four numbers at once at an address that is no multiple of 16: a GPU would refuse")


class DivergentBarrier(RuntimeError):
    """Some threads of a block reach a barrier that others do not: on a GPU the block would hang, or worse."""


@functools.cache
def replay(function):
    """call(grid, block, *arguments, order=1) for a kernel's Python function; grid and block are (x, y, z).

    Raises:
        NotImplementedError: the kernel uses what is not known here.
    """
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    kernel = tree.body[0]
    kernel.decorator_list = []
    for argument in kernel.args.args:
        argument.annotation = None
    names = [argument.arg for argument in kernel.args.args]
    scope = _scope(function)
    kernel = Inlined(outside_names(function)).visit(kernel)
    own = {n.id for n in ast.walk(kernel) if isinstance(n, ast.Name)}
    if any(name.startswith("_") for name in own.union(names)):
        raise NotImplementedError("names that begin with an underscore: they are the stand-in's own")
    kernel = _Indices(scope).visit(Places().visit(kernel))
    build = _with_barriers if _has_barrier(kernel) else _without_barriers
    run = build(kernel, names, scope, function)

    def call(grid, block, *arguments, order=1):
        try:
            run(*grid, *block, order, *arguments)
        except RuntimeError as error:
            if str(error) == DIVERGED:
                raise DivergentBarrier(f"{function.__name__}: {DIVERGED}") from None
            raise

    return call


def _scope(function):
    """What a function's names from outside of it stand for here."""
    own = {"_inside": _inside, "_at_16_bytes": _at_16_bytes, "_full": np.full, "_nan": np.nan}
    return {**{name: _on_cpu(value) for name, value in outside_names(function).items()}, **own}


def _on_cpu(value):
    """A device function becomes one of the CPU's."""
    if not isinstance(value, DeviceFunction):
        return value
    return _device_function(value.function, isinstance(value, Builtin))


@functools.cache
def _device_function(function, wide=False):
    scope = _scope(function)
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    tree.body[0].decorator_list = []
    tree = _Indices(scope).visit(tree)
    if wide:  # what it does is known element by element; where it may, by its first two arguments
        array, index = (argument.arg for argument in tree.body[0].args.args[:2])
        tree.body[0].body.insert(1, ast.parse(f"_at_16_bytes({array}, {index})").body[0])
    return _compiled(tree, scope, function.__name__)


def _compiled(tree, scope, name):
    return njit(_made(tree, scope, name), error_model="numpy", no_cfunc_wrapper=True)


def _made(tree, scope, name):
    """The Python function of a tree."""
    tree = ast.Module([tree] if isinstance(tree, ast.FunctionDef) else tree.body, [])
    ast.fix_missing_locations(tree)
    exec(compile(tree, f"<replay of {name}>", "exec"), scope)
    return scope[name]


def _without_barriers(kernel, names, scope, function):
    """A function of one thread, and loops over all."""
    kernel.args.args = [ast.arg(place) for place in PLACES] + kernel.args.args
    scope["_thread"] = _compiled(kernel, scope, function.__name__)
    arguments = ", ".join(names)
    return _compiled(
        ast.parse(f"""
def _launch(_gx, _gy, _gz, _bx, _by, _bz, _order, {arguments}):
    _threads, _blocks = _bx * _by * _bz, _gx * _gy * _gz
    for _turn in range(_blocks):
        _b = _turn if _order > 0 else _blocks - 1 - _turn
        for _number in range(_threads):
            _t = _number if _order > 0 else _threads - 1 - _number
            _thread(_t % _bx, _t // _bx % _by, _t // (_bx * _by), _b % _gx, _b // _gx % _gy, _b // (_gx * _gy),
                    _bx, _by, _bz, _gx, _gy, _gz, {arguments})
"""),
        scope,
        "_launch",
    )


class Places(ast.NodeTransformer):
    """cuda.threadIdx.x becomes _threadIdx_x, cuda.grid(1) what it stands for, a thread's own array one of NaN."""

    def visit_Attribute(self, node):
        self.generic_visit(node)
        name = ast.unparse(node).replace("cuda", "", 1).replace(".", "_")
        return ast.Name(name, ast.Load()) if name in PLACES else node

    def visit_Call(self, node):
        self.generic_visit(node)
        called = ast.unparse(node)
        if called == "cuda.grid(1)":
            return ast.parse("(_blockIdx_x * _blockDim_x + _threadIdx_x)", mode="eval").body
        if called == "cuda.gridsize(1)":
            return ast.parse("(_gridDim_x * _blockDim_x)", mode="eval").body
        if called.startswith(LOCAL):
            shape, kind = node.args
            return ast.parse(f"_full({ast.unparse(shape)}, {ast.unparse(kind)}(_nan))", mode="eval").body
        if called.startswith("cuda.") and called != BARRIER and not called.startswith("cuda.shared.array("):
            raise NotImplementedError(f"{called}: not known to the stand-in")
        return node


class _Indices(ast.NodeTransformer):
    """x[i, j] becomes x[_inside(i, x.shape[0]), _inside(j, x.shape[1])], but for what lies outside: tuples."""

    def __init__(self, scope):
        self.scope = scope

    def visit_Subscript(self, node):
        self.generic_visit(node)
        if not (isinstance(node.value, ast.Name) and node.value.id in self.scope):
            parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            parts = [self._inside(node.value, axis, part) for axis, part in enumerate(parts)]
            node.slice = ast.Tuple(parts, ast.Load()) if len(parts) > 1 else parts[0]
        return node

    @staticmethod
    def _inside(array, axis, index):
        return ast.parse(f"_inside({ast.unparse(index)}, {ast.unparse(array)}.shape[{axis}])", mode="eval").body


class Inlined(ast.NodeTransformer):
    """A call of a device function that holds barriers becomes its statements, with names of their own."""

    def __init__(self, scope):
        self.scope = scope

    def visit_Expr(self, node):
        called = self.scope.get(node.value.func.id) if _is_call_by_name(node.value) else None
        if not isinstance(called, DeviceFunction) or not holds_barrier(called.function):
            return node
        body = ast.parse(textwrap.dedent(inspect.getsource(called.function))).body[0]
        given = dict(zip((a.arg for a in body.args.args), node.value.args, strict=True))
        own = {n.id for n in ast.walk(body) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        for part in ast.walk(body):
            if isinstance(part, ast.Name) and part.id in given:
                part.id = given[part.id].id
            elif isinstance(part, ast.Name) and part.id in own:
                part.id = f"{called.__name__}_{part.id}"
        return [s for s in body.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]


def _is_call_by_name(node):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


@functools.cache
def holds_barrier(function):
    """Whether a kernel's Python function has a barrier, or one of the device functions that it calls."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return _has_barrier(Inlined(outside_names(function)).visit(tree))


def _has_barrier(node):
    return any(isinstance(part, ast.Call) and ast.unparse(part) == BARRIER for part in ast.walk(node))


# ---- kernels with barriers


def _with_barriers(kernel, names, scope, function):
    """The kernel cut at its barriers; compiled for each set of argument types, which the variables' types follow."""
    if any(isinstance(node, ast.Return) for node in ast.walk(kernel)):
        raise NotImplementedError("return in a kernel with barriers: not known to the stand-in")
    if "_full(" in ast.unparse(kernel):
        raise NotImplementedError("cuda.local.array in a kernel with barriers: not known to the stand-in")
    cut = _Cut(kernel, names, scope)
    if cut.private.intersection(names):
        raise NotImplementedError("a new value for an argument in a kernel with barriers: not known to the stand-in")
    one_thread = _made(_one_thread(kernel, names, cut.shared), dict(scope), "_one")
    run = _compiled(cut.program(), scope, "_launch")
    variables = {}

    def call(gx, gy, gz, bx, by, bz, order, *arguments):
        types = tuple(map(typeof, arguments))
        if types not in variables:
            variables[types] = _variable_types(one_thread, (*types, *map(typeof, cut.shared.values())), cut.private)
        threads = bx * by * bz
        lasting = [np.zeros(threads, variables[types][name]) for name in cut.lasting]
        shared = [array.copy() for array in cut.shared.values()]
        rubbish = [_rubbish(array.dtype) for array in shared]
        rubbish += [_rubbish(variables[types].get(name, np.dtype(np.int64))) for name in cut.ordered]
        run(gx, gy, gz, bx, by, bz, order, *arguments, *shared, *lasting, *rubbish, np.zeros(threads, np.bool_))

    return call


def _rubbish(dtype):
    """What stands where nothing has been written."""
    if dtype.kind == "f":
        return dtype.type(np.nan)
    return dtype.type(
        np.iinfo(dtype).min // 3 if dtype.kind == "i" else np.iinfo(dtype).max if dtype.kind == "u" else 0
    )


def _one_thread(kernel, names, shared):
    """The kernel as if it had one thread and no barrier: only to learn the types of its variables."""
    tree = ast.parse(ast.unparse(kernel)).body[0]
    tree.args.args = [ast.arg(name) for name in (*names, *shared)]
    tree.body = [*ast.parse("\n".join(f"{place} = 0" for place in PLACES)).body, *tree.body]
    tree = _Plain().visit(tree)
    tree.name = "_one"
    return tree


class _Plain(ast.NodeTransformer):
    """No barriers, and shared memory is an argument."""

    def visit_Expr(self, node):
        return ast.Pass() if ast.unparse(node) == BARRIER else node

    def visit_Assign(self, node):
        return ast.Pass() if is_shared(node) else node


def is_shared(node):
    return isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("cuda.shared.array(")


def _variable_types(function, types, names):
    """{variable: dtype} by Numba's inference alone, without compiling."""
    target = registry.cpu_target
    typing, lowering = target.typing_context, target.target_context
    typing.refresh()
    inferred = typed_passes.type_inference_stage(typing, lowering, compiler.run_frontend(function), types, None)
    found = {}
    for name, kind in inferred.typemap.items():
        base = name.split(".")[0]
        if base in names and isinstance(kind, numba_types.Number | numba_types.Boolean):
            dtype = as_dtype(kind)
            found[base] = np.promote_types(found.get(base, dtype), dtype)
    return found


class _ReadFirst(ast.NodeVisitor):
    """Which variables statements may read before they write them."""

    def __init__(self):
        self.known, self.found = set(), set()

    def visit_Name(self, node):
        if isinstance(node.ctx, ast.Store):
            self.known.add(node.id)
        elif node.id not in self.known:
            self.found.add(node.id)

    def visit_Assign(self, node):
        self._visit_all([node.value, *node.targets])

    def visit_AugAssign(self, node):
        if isinstance(node.target, ast.Name):
            self.visit_Name(ast.Name(node.target.id, ast.Load()))
        self._visit_all([node.value, node.target])

    def visit_If(self, node):
        self.visit(node.test)
        before = set(self.known)
        self._visit_all(node.body)
        after_one, self.known = self.known, before
        self._visit_all(node.orelse)
        self.known &= after_one

    def visit_For(self, node):
        self.visit(node.iter)
        before = set(self.known)
        self._visit_all([node.target, *node.body])
        self.known = before  # it may have run no time

    def visit_While(self, node):
        self.visit(node.test)
        before = set(self.known)
        self._visit_all(node.body)
        self.known = before

    def _visit_all(self, nodes):
        for node in nodes:
            self.visit(node)


class _Cut:
    """Splits a kernel's statements into pieces between barriers."""

    def __init__(self, kernel, names, scope):
        self.names = names
        self.body = [statement for statement in kernel.body if not is_shared(statement)]
        self.shared = {
            ast.unparse(statement.targets[0]): shared_array(statement.value, scope)
            for statement in kernel.body
            if is_shared(statement)
        }
        parts = [node for statement in self.body for node in ast.walk(statement)]
        self.private = {n.id for n in parts if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        self.lasting, self.ordered = self._lasting(), sorted(self.private)

    def _lasting(self):
        """Variables that some piece may read before it writes them: an element a thread."""
        found = set()
        for piece in self._pieces(self.body):
            reads = _ReadFirst()
            reads.visit(piece)
            found |= reads.found & self.private
        return sorted(found)

    def _pieces(self, statements):
        """Every run of statements without a barrier, and every condition, as one tree each."""
        run = []
        for statement in statements:
            if not _has_barrier(statement):
                run.append(statement)
                continue
            yield ast.Module(run, [])
            run = []
            if isinstance(statement, ast.While | ast.If):
                yield ast.Expr(statement.test)
                yield from self._pieces(statement.body)
                yield from self._pieces(statement.orelse)
            elif isinstance(statement, ast.For):
                yield ast.Expr(statement.target)
                yield ast.Expr(statement.iter)
                yield from self._pieces(statement.body)
        yield ast.Module(run, [])

    def program(self):
        """The function `_launch`."""
        rubbish = [f"_rubbish_{name}" for name in (*self.shared, *self.ordered)]
        given = (*self.names, *self.shared, *map(_each, self.lasting), *rubbish, "_agreed")
        filled = [f"{name}.fill(_rubbish_{name})" for name in self.shared]
        filled += [f"{_each(name)}.fill(_rubbish_{name})" for name in self.lasting]
        lines = f"""
def _launch(_gx, _gy, _gz, _bx, _by, _bz, _order, {", ".join(given)}):
    _threads, _blocks = _bx * _by * _bz, _gx * _gy * _gz
    _blockDim_x, _blockDim_y, _blockDim_z = _bx, _by, _bz
    _gridDim_x, _gridDim_y, _gridDim_z = _gx, _gy, _gz
    for _turn in range(_blocks):
        _b = _turn if _order > 0 else _blocks - 1 - _turn
        _blockIdx_x, _blockIdx_y, _blockIdx_z = _b % _gx, _b // _gx % _gy, _b // (_gx * _gy)
""".splitlines()
        lines += [f"        {line}" for line in filled]
        return ast.parse("\n".join([*lines, *self._emit(self.body, " " * 8)]))

    def _emit(self, statements, pad):
        run, lines = [], []
        for statement in statements:
            if not _has_barrier(statement):
                run.append(statement)
                continue
            lines += self._for_all(run, pad)
            run = []
            if isinstance(statement, ast.Expr):
                continue
            if any(isinstance(part, ast.Break | ast.Continue) for part in ast.walk(statement)):
                raise NotImplementedError("break and continue around a barrier: not known to the stand-in")
            if isinstance(statement, ast.If):
                lines += self._agree(statement.test, pad)
                lines += [f"{pad}if _agreed[0]:", *self._emit(statement.body, pad + "    "), f"{pad}    pass"]
                if statement.orelse:
                    lines += [f"{pad}else:", *self._emit(statement.orelse, pad + "    "), f"{pad}    pass"]
            elif isinstance(statement, ast.While):
                lines += [f"{pad}while True:", *self._agree(statement.test, pad + "    ")]
                lines += [f"{pad}    if not _agreed[0]:", f"{pad}        break"]
                lines += self._emit(statement.body, pad + "    ")
            else:
                raise NotImplementedError("a for loop around a barrier: write it as a while loop")
        return lines + self._for_all(run, pad)

    def _for_all(self, statements, pad):
        """The statements for every thread of the block."""
        if not statements:
            return []
        lines = [f"{pad}for _number in range(_threads):"]
        lines += [f"{pad}    _t = _number if _order > 0 else _threads - 1 - _number"]
        lines += [f"{pad}    _threadIdx_x, _threadIdx_y, _threadIdx_z = _t % _bx, _t // _bx % _by, _t // (_bx * _by)"]
        stored = {n.id for s in statements for n in ast.walk(s) if isinstance(n, ast.Name)} & self.private
        lines += [f"{pad}    {name} = _rubbish_{name}" for name in sorted(stored.difference(self.lasting))]
        for statement in statements:
            text = ast.unparse(_Elements(self.lasting).visit(ast.parse(ast.unparse(statement))))
            lines += [f"{pad}    {line}" for line in text.splitlines()]
        return lines

    def _agree(self, test, pad):
        """_agreed[t] = test for every thread; they must be equal."""
        lines = self._for_all([ast.parse(f"_agreed[_t] = {ast.unparse(test)}").body[0]], pad)
        return [*lines, f"{pad}if _agreed.any() != _agreed.all():", f"{pad}    raise RuntimeError({DIVERGED!r})"]


def _each(name):
    """The name of a lasting variable's array."""
    return f"_each_{name}"


def shared_array(call, scope):
    """An array for a block's shared memory."""
    shape, dtype = (eval(ast.unparse(part), scope) for part in call.args)
    return np.zeros(shape, as_dtype(dtype))


class _Elements(ast.NodeTransformer):
    """A variable that lives across a barrier: its element for this thread."""

    def __init__(self, lasting):
        self.lasting = lasting

    def visit_Name(self, node):
        if node.id not in self.lasting:
            return node
        return ast.Subscript(ast.Name(_each(node.id), ast.Load()), ast.Name("_t", ast.Load()), node.ctx)
