"""A kernel's Python source as a tree, and how it is rewritten: what a GPU provides becomes plain names and calls."""

import ast
import functools
import inspect
import textwrap

import numpy as np
from numba.np.numpy_support import as_dtype

from npdl.devices.cuda.stand_in.uniform import names_in, stored_in
from npdl.kernels.cuda.kernel import DeviceFunction, outside_names

AXES = "xyz"
PLACES = tuple(f"_{name}_{axis}" for name in ("threadIdx", "blockIdx", "blockDim", "gridDim") for axis in AXES)
BARRIER, LOCAL, SHARED = "cuda.syncthreads()", "cuda.local.array(", "cuda.shared.array("


def source(function):
    """A Python function as a tree of its own, without decorators and annotations."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    tree.decorator_list = []
    for argument in tree.args.args:
        argument.annotation = None
    return tree


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
        if called.startswith("cuda.") and called != BARRIER and not called.startswith(SHARED):
            raise NotImplementedError(f"{called}: not known to the stand-in")
        return node


class Indices(ast.NodeTransformer):
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
        body = source(called.function)
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
    return has_barrier(Inlined(outside_names(function)).visit(source(function)))


def has_barrier(node):
    """Whether there is a barrier in a tree."""
    return any(isinstance(part, ast.Call) and ast.unparse(part) == BARRIER for part in ast.walk(node))


def is_shared(node):
    """Whether a statement makes an array in shared memory."""
    return isinstance(node, ast.Assign) and ast.unparse(node.value).startswith(SHARED)


def shared_array(call, scope):
    """An array for a block's shared memory."""
    shape, dtype = (eval(ast.unparse(part), scope) for part in call.args)
    return np.zeros(shape, as_dtype(dtype))


def lines_of(statements, pad):
    """Statements as text, each line behind the blanks `pad`."""
    return [f"{pad}{line}" for statement in statements for line in ast.unparse(statement).splitlines()]
