"""Which variables of a kernel with barriers need no element a thread (replay.py).

- A uniform variable has one value for all threads of a block: it is made of arguments, of the block's place and of
  other uniform variables, and only where all threads come by. It is computed once a block.
- A cheap variable has one assignment, of few operations and without a read of memory: every piece of the kernel that
  wants it computes it again.

Both by what the statements say, not by what they compute, and only where the order of reads and writes of memory stays.
"""

import ast
import math

PURE = {"min", "max", "abs", "bool", "float32", "float64", "int32", "int64", "uint32", "float", "int"}
"""Functions that read no memory; those of `math` are others."""
CHEAP = 12
"""Nodes of an expression that is computed again; about two operations."""


def names_in(node):
    """All names that a node reads or writes."""
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def stored_in(node):
    """The variables that a node may write."""
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}


def read_before_written(*nodes):
    """(variables that the statements may read before they write them, those that they write in any case)"""
    reads = _ReadFirst()
    for node in nodes:
        reads.visit(node)
    return reads.found, reads.known


class _ReadFirst(ast.NodeVisitor):
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


class Uniform:
    """The uniform and the cheap variables of a kernel.

    Args:
        body: its statements, without those that make shared arrays.
        outside: names that no thread writes: arguments that are numbers, globals, the block's place and sizes.
        runs_of: a function of statements: the lists of statements between barriers, at any depth.

    Attributes:
        variables: names of the uniform ones.
        cheap: {name: its assignment}, in order.
    """

    def __init__(self, body, outside, runs_of):
        self._outside, self._runs = outside, list(runs_of(body))
        found, _ = read_before_written(*body)
        self.variables = {name for name in self._assigned_openly() if name not in found}
        while dropped := self._not_uniform():
            self.variables -= dropped
        self.cheap = {}
        threads = {f"_threadIdx_{axis}" for axis in "xyz"}
        writes = [name for statement in body for name in _writes(statement)]
        once = {name for name in writes if writes.count(name) == 1} - found
        for statement in body:
            if isinstance(statement, ast.Assign) and _target(statement) in once - self.variables:
                known = outside | threads | (self.variables & once) | self.cheap.keys()
                few = len(list(ast.walk(statement.value))) <= CHEAP
                if few and self._is_pure(statement.value, known):
                    self.cheap[_target(statement)] = statement

    def holds(self, test):
        """Whether a condition is the same for all threads of a block."""
        return self._is_pure(test, self._outside | self.variables)

    def split(self, run):
        """(statements before, statements for each thread, statements after): those outside once a block; None where
        the order would not stay for the variables `failed`."""
        before, each, after, failed = [], [], [], set()
        for place, statement in enumerate(run):
            name = _target(statement)
            if name not in self.variables:
                each.append(statement)
            elif not any(_conflict(statement, other) for other in (*each, *after)):
                before.append(statement)
            elif not any(_conflict(statement, other) for other in run[place + 1 :] if not self._is_own(other)):
                after.append(statement)
            else:
                failed.add(name)
        return before, each, after, failed

    def _is_own(self, statement):
        return _target(statement) in self.variables

    def _assigned_openly(self):
        """Variables with no assignment within a branch or loop of a thread's own."""
        openly, hidden = set(), set()
        for run in self._runs:
            for statement in run:
                name = _target(statement)
                openly |= {name} if name else set()
                hidden |= set() if name else stored_in(statement)
        return openly - hidden

    def _not_uniform(self):
        dropped = set()
        for run in self._runs:
            for statement in run:
                known = self._outside | self.variables
                if self._is_own(statement) and not self._is_pure(statement.value, known):
                    dropped.add(_target(statement))
            dropped |= self.split(run)[3]
        return dropped

    @staticmethod
    def _is_pure(expression, known):
        """Whether it is made of known names alone, and reads no memory."""
        for part in ast.walk(expression):
            if isinstance(part, ast.Subscript):
                return False
            if isinstance(part, ast.Call) and not _is_pure_call(part):
                return False
            if isinstance(part, ast.Name) and part.id not in known and part.id not in PURE | {"math"}:
                return False
        return True


def _is_pure_call(call):
    called = call.func
    if isinstance(called, ast.Attribute):
        return ast.unparse(called.value) == "math" and hasattr(math, called.attr)
    return isinstance(called, ast.Name) and called.id in PURE


def _target(statement):
    """The one variable that a statement assigns, or None."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
    elif isinstance(statement, ast.AugAssign):
        target = statement.target
    else:
        return None
    return target.id if isinstance(target, ast.Name) else None


def _writes(statement):
    """Every name that it writes, as often as it does."""
    return [part.id for part in ast.walk(statement) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)]


def _conflict(one, other):
    """Whether two statements may not change places."""
    return bool(stored_in(one) & names_in(other) or stored_in(other) & names_in(one))
