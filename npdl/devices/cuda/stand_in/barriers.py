"""Kernels with barriers, cut at them: a piece between two runs for all threads of a block before the next begins."""

import ast
import functools

import numpy as np
from numba import typeof
from numba import types as numba_types
from numba.core import compiler, registry, typed_passes
from numba.np.numpy_support import as_dtype

from npdl.devices.cuda.cache import described
from npdl.devices.cuda.stand_in.generator import quick
from npdl.devices.cuda.stand_in.program import SIZES, Program, coordinates, each_block, each_thread, function_of
from npdl.devices.cuda.stand_in.shelf import kept
from npdl.devices.cuda.stand_in.source import BARRIER, PLACES, has_barrier, is_shared, lines_of, shared_array
from npdl.devices.cuda.stand_in.uniform import Uniform, names_in, read_before_written, stored_in


def with_barriers(kernel, names, scope, function):
    """The kernel cut at its barriers; compiled for each set of argument types, which the variables' types follow."""
    if any(isinstance(node, ast.Return) for node in ast.walk(kernel)):
        raise NotImplementedError("return in a kernel with barriers: not known to the stand-in")
    if "_full(" in ast.unparse(kernel):
        raise NotImplementedError("cuda.local.array in a kernel with barriers: not known to the stand-in")
    cut = _Cut(kernel, names, scope)
    if cut.private.intersection(names):
        raise NotImplementedError("a new value for an argument in a kernel with barriers: not known to the stand-in")
    one_thread = function_of(_one_thread(kernel, names, cut.shared), dict(scope), "_one")
    run = Program(cut.program(), scope, function)
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
        return run(gx, gy, gz, bx, by, bz, order, *coordinates(bx, by, bz, order), *arguments, *own, *rubbish)

    return call


def _rubbish(dtype):
    """What stands where nothing has been lines_of."""
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
        """Arguments that are read or lines_of by index, or handed to a function."""
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
            if not has_barrier(statement):
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
        lines = [f"def _launch({given}):", *each_block(wanted), *filled, *body, "    return True"]
        return ast.parse("\n".join(lines)).body[0]

    def _emit(self, statements, pad):
        run, lines = [], []
        for statement in statements:
            if not has_barrier(statement):
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
        return [*lines_of(before, pad), *self._for_all(each, pad), *lines_of(after, pad)]

    def _for_all(self, statements, pad):
        """The statements for every thread of the block."""
        if not statements:
            return []
        again = self._again(statements)
        wanted = set().union(*map(names_in, (*again, *statements)))
        stored = set().union(*map(stored_in, statements))
        first, certain = read_before_written(*statements)
        lasting = [name for name in self.lasting if name in wanted]
        lines = [f"{pad}for _number in range(_threads):", *each_thread(wanted, pad + "    ")]
        for name in lasting:
            if name in first or (name in stored and name not in certain):
                lines.append(f"{pad}    {name} = _load_1({_each(name)}, _number)")
        lines += lines_of([*again, *statements], pad + "    ")
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
        if not has_barrier(statement):
            run.append(statement)
            continue
        yield run
        run = []
        if isinstance(statement, ast.While | ast.If):
            yield from _runs(statement.body)
            yield from _runs(statement.orelse)
    yield run


def _each(name):
    """The name of a lasting variable's array."""
    return f"_each_{name}"
