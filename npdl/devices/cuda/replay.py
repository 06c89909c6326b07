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

What Numba takes to compile decides what the tests of these kernels cost, and it goes with the number of statements: so
what no thread changes alone is computed once a block and not once a thread, an index is one call (indexing.py), and a
thread learns of its place only what it asks for.

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

from npdl.devices.cuda.cache import described
from npdl.devices.cuda.generator import quick
from npdl.devices.cuda.indexing import LOADS, STORES, at_16_bytes, own_array
from npdl.devices.cuda.shelf import digest, folder, kept
from npdl.devices.cuda.uniform import Uniform, names_in, read_before_written, stored_in
from npdl.kernels.cuda.kernel import Builtin, DeviceFunction, outside_names

AXES = "xyz"
PLACES = tuple(f"_{name}_{axis}" for name in ("threadIdx", "blockIdx", "blockDim", "gridDim") for axis in AXES)
BARRIER, LOCAL = "cuda.syncthreads()", "cuda.local.array("
DIVERGED = "threads of one block disagree about a branch or loop that holds a barrier"


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
        if not run(*grid, *block, order, *arguments):
            raise DivergentBarrier(f"{function.__name__}: {DIVERGED}")

    return call


def _scope(function):
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
    scope = _scope(function)
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    tree.body[0].decorator_list = []
    tree = _Indices(scope).visit(tree)
    if wide:  # what it does is known element by element; where it may, by its first two arguments
        array, index = (argument.arg for argument in tree.body[0].args.args[:2])
        tree.body[0].body.insert(1, ast.parse(f"_at_16_bytes({array}, {index})").body[0])
    return _compiled(tree, scope, function.__name__, inner=True)


def _compiled(tree, scope, name, inner=False):
    """Compiled when it is first called; `inner` is for what compiled functions alone call.

    Nothing in a kernel allocates memory, so that no array's users need be counted (`_nrt`).
    """
    made = _made(tree, scope, name)
    return njit(made, error_model="numpy", no_cfunc_wrapper=True, no_cpython_wrapper=inner, _nrt=False)


class _Program:
    """A function `_launch` compiled for each set of argument types, or found in a file (shelf.py).

    Args:
        tree: its source; it gets a name of its own, for files bring functions of many processes together.
        scope: what names from outside stand for.
        function: the kernel's Python function.
    """

    def __init__(self, tree, scope, function):
        self._text = f"{described(function)}\0{ast.unparse(tree)}"
        name = tree.body[0].name = f"_launch_{digest(self._text)}"
        self._function = _compiled(tree, scope, name)

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

        def compiled():
            self._function.compile(types)
            return self._function.overloads[types]._reduce()

        parts = kept(f"{self._text}\0{types}", compiled)
        if types not in self._function.overloads:
            context = registry.cpu_target.target_context
            self._function.add_overload(compiler.CompileResult._rebuild(context, *parts))


def _made(tree, scope, name):
    """The Python function of a tree."""
    tree = ast.Module([tree] if isinstance(tree, ast.FunctionDef) else tree.body, [])
    ast.fix_missing_locations(tree)
    exec(compile(tree, f"<replay of {name}>", "exec"), scope)
    return scope[name]


def _without_barriers(kernel, names, scope, function):
    """Loops over all threads around the kernel, or around a call of it where that keeps its variables apart."""
    wanted = names_in(kernel)
    if _is_apart(kernel, names):
        body = _written(kernel.body, " " * 12)
    else:
        places = [place for place in PLACES if place in wanted]
        kernel.args.args = [ast.arg(place) for place in places] + kernel.args.args
        scope["_thread"] = _compiled(kernel, scope, function.__name__, inner=True)
        body = [f"            _thread({', '.join((*places, *names))})"]
    run = _Program(ast.parse("\n".join([
        f"def _launch({', '.join((*SIZES, *names))}):",
        *_each_block(wanted),
        "        for _number in range(_threads):",
        *_each_thread(wanted, " " * 12),
        *body,
        "    return True",
    ])), scope, function)  # fmt: skip

    def call(gx, gy, gz, bx, by, bz, order, *arguments):
        return run(gx, gy, gz, bx, by, bz, order, *_coordinates(bx, by, bz, order), *arguments)

    return call


def _is_apart(kernel, names):
    """Whether no thread sees what the one before left in a variable, and none ends early."""
    early = any(isinstance(node, ast.Return) for node in ast.walk(kernel))
    own = set().union(*map(stored_in, kernel.body))
    return not early and not own & {*names, *(read_before_written(*kernel.body)[0])}


SIZES = ("_gx", "_gy", "_gz", "_bx", "_by", "_bz", "_order", "_xs", "_ys", "_zs")


def _coordinates(bx, by, bz, order):
    """x, y and z of a block's threads in the order in which they run."""
    t = np.arange(bx * by * bz)[::order]
    return t % bx, t // bx % by, t // (bx * by)


def _each_block(wanted):
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


def _each_thread(wanted, pad):
    """The lines before what a thread does: its place."""
    places = [axis for axis in AXES if f"_threadIdx_{axis}" in wanted]
    return [f"{pad}_threadIdx_{axis} = _load_1(_{axis}s, _number)" for axis in places]


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
    """x[i] becomes _load_1(x, i), x[i] = v becomes _store_1(x, i, v), but for what lies outside: tuples.

    Of several targets at once each element gets its value in a variable first: x[i], y[i] = v, w.
    """

    def __init__(self, scope):
        self.scope, self._values = scope, 0

    def visit_Subscript(self, node):
        self.generic_visit(node)
        return node if self._is_outside(node) else self._call("load", node)

    def visit_Assign(self, node):
        node.value = self.visit(node.value)
        if len(node.targets) == 1 and self._is_element(node.targets[0]):
            return self._stored(node.targets[0], node.value)
        stores = []
        for i, target in enumerate(node.targets):
            parts = target.elts if isinstance(target, ast.Tuple) else [target]
            named = [self._value(part, stores) if self._is_element(part) else part for part in parts]
            node.targets[i] = ast.Tuple(named, ast.Store()) if isinstance(target, ast.Tuple) else named[0]
        if any(names_in(store) & stored_in(part) - {store.args[-1].id} for store in stores for part in node.targets):
            raise NotImplementedError(f"{ast.unparse(node)} writes a place and what says where: not known here")
        return [node, *map(ast.Expr, stores)]

    def visit_AugAssign(self, node):
        if not self._is_element(node.target):
            return self.generic_visit(node)
        before = ast.parse(ast.unparse(node.target), mode="eval").body
        return self._stored(node.target, self.visit(ast.BinOp(before, node.op, node.value)))

    def _value(self, element, stores):
        """A variable in place of an element, which is stored afterwards."""
        name, self._values = f"_value_{self._values}", self._values + 1
        stores.append(self._stored(element, ast.Name(name, ast.Load())).value)
        return ast.Name(name, ast.Store())

    def _stored(self, element, value):
        element.slice = self.visit(element.slice)
        return ast.Expr(self._call("store", element, value))

    def _is_element(self, node):
        return isinstance(node, ast.Subscript) and not self._is_outside(node)

    def _is_outside(self, node):
        return isinstance(node.value, ast.Name) and node.value.id in self.scope

    @staticmethod
    def _call(what, node, *value):
        indices = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return ast.Call(ast.Name(f"_{what}_{len(indices)}", ast.Load()), [node.value, *indices, *value], [])


class Inlined(ast.NodeTransformer):
    """A call of a device function that holds barriers becomes its statements, with names of their own."""

    def __init__(self, scope):
        self.scope = scope

    def visit_Expr(self, node):
        called = self.scope.get(node.value.func.id) if _is_call_by_name(node.value) else None
        if not isinstance(called, DeviceFunction) or not holds_barrier(called.function):
            return node
        body = ast.parse(textwrap.dedent(inspect.getsource(called.function))).body[0]
        given, before = {}, []
        for argument, value in zip((a.arg for a in body.args.args), node.value.args, strict=True):
            given[argument] = value.id if isinstance(value, ast.Name) else f"{called.__name__}_{argument}"
            if not isinstance(value, ast.Name):
                before.append(ast.Assign([ast.Name(given[argument], ast.Store())], value, lineno=node.lineno))
        own = {n.id for n in ast.walk(body) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        for part in ast.walk(body):
            if isinstance(part, ast.Name) and part.id in given:
                part.id = given[part.id]
            elif isinstance(part, ast.Name) and part.id in own:
                part.id = f"{called.__name__}_{part.id}"
        return [*before, *(s for s in body.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)))]


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
    run = _Program(cut.program(), scope, function)
    variables = {}

    def call(gx, gy, gz, bx, by, bz, order, *arguments):
        types = tuple(map(typeof, arguments))
        if types not in variables:
            places = (numba_types.intp,) * len(PLACES)  # as in the program: what the kernel calls is compiled once
            given = (*places, *types, *map(typeof, cut.shared.values()))
            about = f"{described(function)}\0{types}\0{cut.lasting}"
            variables[types] = kept(about, functools.partial(_variable_types, one_thread, given, cut.lasting))
        lasting = [np.zeros(bx * by * bz, variables[types][name]) for name in cut.lasting]
        own = [*(array.copy() for array in cut.shared.values()), *lasting]
        rubbish = [_rubbish(array.dtype) for array in own]
        return run(gx, gy, gz, bx, by, bz, order, *_coordinates(bx, by, bz, order), *arguments, *own, *rubbish)

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
    tree.args.args = [ast.arg(name) for name in (*PLACES, *names, *shared)]
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
    if not names:
        return {}
    target = registry.cpu_target
    typing, lowering = target.typing_context, target.target_context
    typing.refresh()
    with quick():
        inferred = typed_passes.type_inference_stage(typing, lowering, compiler.run_frontend(function), types, None)
    found = {}
    for name, kind in inferred.typemap.items():
        base = name.split(".")[0]
        if base in names and isinstance(kind, numba_types.Number | numba_types.Boolean):
            dtype = as_dtype(kind)
            found[base] = np.promote_types(found.get(base, dtype), dtype)
    return found


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
        self.private = set().union(*map(stored_in, self.body))
        numbers = set(names) - self._arrays()
        outside = numbers | scope.keys() | {place for place in PLACES if not place.startswith("_threadIdx")}
        self.uniform = Uniform(self.body, outside, _runs)
        self.lasting = self._lasting()

    def _arrays(self):
        """Arguments that are read or written by index, or handed to a function."""
        parts = [part for statement in self.body for part in ast.walk(statement)]
        called = [part for part in parts if isinstance(part, ast.Call) and ast.unparse(part.func)[0] == "_"]
        return {part.args[0].id for part in called}

    def _lasting(self):
        """Variables that some piece may read before it writes them: an element a thread."""
        found = set()
        for piece in self._pieces(self.body):
            found |= read_before_written(piece)[0] & self.private
        return sorted(found - self.uniform.variables - self.uniform.cheap.keys())

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
        """The function `_launch`; it returns whether threads agreed wherever they had to."""
        own = [*self.shared, *map(_each, self.lasting)]
        filled = [f"        {name}.fill(_rubbish_{name})" for name in own]
        body = self._emit(self.body, " " * 8)
        wanted = names_in(ast.parse("if True:\n" + "\n".join(body)))
        wanted = wanted.union(*(names_in(statement) for statement in self.body))
        given = ", ".join((*SIZES, *self.names, *own, *(f"_rubbish_{name}" for name in own)))
        return ast.parse("\n".join([f"def _launch({given}):", *_each_block(wanted), *filled, *body, "    return True"]))

    def _emit(self, statements, pad):
        run, lines = [], []
        for statement in statements:
            if not _has_barrier(statement):
                run.append(statement)
                continue
            lines += self._for_block(run, pad)
            run = []
            if isinstance(statement, ast.Expr):
                continue
            if any(isinstance(part, ast.Break | ast.Continue) for part in ast.walk(statement)):
                raise NotImplementedError("break and continue around a barrier: not known to the stand-in")
            deeper = pad + "    "
            if isinstance(statement, ast.If):
                before, test = self._condition(statement.test, pad)
                lines += [*before, f"{pad}if {test}:", *self._emit(statement.body, deeper), f"{deeper}pass"]
                if statement.orelse:
                    lines += [f"{pad}else:", *self._emit(statement.orelse, deeper), f"{deeper}pass"]
            elif isinstance(statement, ast.While):
                before, test = self._condition(statement.test, deeper)
                lines += [f"{pad}while True:", *before, f"{deeper}if not ({test}):", f"{deeper}    break"]
                lines += self._emit(statement.body, deeper)
            else:
                raise NotImplementedError("a for loop around a barrier: write it as a while loop")
        return lines + self._for_block(run, pad)

    def _for_block(self, run, pad):
        """What is computed once, and the rest for every thread of the block."""
        before, each, after, _ = self.uniform.split(run)
        return [*_written(before, pad), *self._for_all(each, pad), *_written(after, pad)]

    def _for_all(self, statements, pad):
        """The statements for every thread of the block."""
        if not statements:
            return []
        again = self._again(statements)
        wanted = set().union(*map(names_in, (*again, *statements)))
        stored = set().union(*map(stored_in, statements))
        first, certain = read_before_written(*statements)
        lasting = [name for name in self.lasting if name in wanted]
        lines = [f"{pad}for _number in range(_threads):", *_each_thread(wanted, pad + "    ")]
        for name in lasting:
            if name in first or (name in stored and name not in certain):
                lines.append(f"{pad}    {name} = _load_1({_each(name)}, _number)")
        lines += _written([*again, *statements], pad + "    ")
        return lines + [f"{pad}    _store_1({_each(name)}, _number, {name})" for name in lasting if name in stored]

    def _again(self, statements):
        """The cheap variables that statements want and that were assigned before."""
        wanted = set().union(*map(names_in, statements)).difference(*map(stored_in, statements))
        found = []
        for name, statement in reversed(self.uniform.cheap.items()):
            if name in wanted:
                wanted |= names_in(statement.value)
                found.insert(0, statement)
        return found

    def _condition(self, test, pad):
        """(lines before, what to ask): a condition on which all threads of a block must agree."""
        if self.uniform.holds(test):
            return [], ast.unparse(test)
        lines = [f"{pad}_agreed = 0"]
        lines += self._for_all(ast.parse(f"if {ast.unparse(test)}:\n    _agreed += 1").body, pad)
        lines += [f"{pad}if _agreed != 0 and _agreed != _threads:", f"{pad}    return False"]
        return lines, "_agreed != 0"


def _runs(statements):
    """The lists of statements between barriers, at any depth."""
    run = []
    for statement in statements:
        if not _has_barrier(statement):
            run.append(statement)
            continue
        yield run
        run = []
        if isinstance(statement, ast.While | ast.If):
            yield from _runs(statement.body)
            yield from _runs(statement.orelse)
    yield run


def _written(statements, pad):
    return [f"{pad}{line}" for statement in statements for line in ast.unparse(statement).splitlines()]


def _each(name):
    """The name of a lasting variable's array."""
    return f"_each_{name}"


def shared_array(call, scope):
    """An array for a block's shared memory."""
    shape, dtype = (eval(ast.unparse(part), scope) for part in call.args)
    return np.zeros(shape, as_dtype(dtype))
