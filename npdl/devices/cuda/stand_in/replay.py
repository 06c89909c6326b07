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

from npdl.devices.cuda.stand_in.barriers import with_barriers
from npdl.devices.cuda.stand_in.program import SIZES, Program, compiled, coordinates, each_block, each_thread, scope_of
from npdl.devices.cuda.stand_in.source import PLACES, Indices, Inlined, Places, has_barrier, lines_of, source
from npdl.devices.cuda.stand_in.uniform import names_in, read_before_written, stored_in
from npdl.kernels.cuda.kernel import outside_names

DIVERGED = "threads of one block disagree about a branch or loop that holds a barrier"


class DivergentBarrier(RuntimeError):
    """Some threads of a block reach a barrier that others do not: on a GPU the block would hang, or worse."""


@functools.cache
def replay(function):
    """call(grid, block, *arguments, order=1) for a kernel's Python function; grid and block are (x, y, z).

    Raises:
        NotImplementedError: the kernel uses what is not known here.
    """
    kernel = source(function)
    names = [argument.arg for argument in kernel.args.args]
    scope = scope_of(function)
    kernel = Inlined(outside_names(function)).visit(kernel)
    own = {n.id for n in ast.walk(kernel) if isinstance(n, ast.Name)}
    if any(name.startswith("_") for name in own.union(names)):
        raise NotImplementedError("names that begin with an underscore: they are the stand-in's own")
    kernel = Indices(scope).visit(Places().visit(kernel))
    build = with_barriers if has_barrier(kernel) else _without_barriers
    run = build(kernel, names, scope, function)

    def call(grid, block, *arguments, order=1):
        if not run(*grid, *block, order, *arguments):
            raise DivergentBarrier(f"{function.__name__}: {DIVERGED}")

    return call


def _without_barriers(kernel, names, scope, function):
    """Loops over all threads around the kernel, or around a call of it where that keeps its variables apart."""
    wanted = names_in(kernel)
    if _is_apart(kernel, names):
        body = lines_of(kernel.body, " " * 12)
    else:
        places = [place for place in PLACES if place in wanted]
        kernel.args.args = [ast.arg(place) for place in places] + kernel.args.args
        scope["_thread"] = compiled(kernel, scope, function.__name__, inner=True)
        body = [f"            _thread({', '.join((*places, *names))})"]
    program = ast.parse("\n".join([
        f"def _launch({', '.join((*SIZES, *names))}):",
        *each_block(wanted),
        "        for _number in range(_threads):",
        *each_thread(wanted, " " * 12),
        *body,
        "    return True",
    ]))  # fmt: skip
    run = Program(program.body[0], scope, function)

    def call(gx, gy, gz, bx, by, bz, order, *arguments):
        return run(gx, gy, gz, bx, by, bz, order, *coordinates(bx, by, bz, order), *arguments)

    return call


def _is_apart(kernel, names):
    """Whether no thread sees what the one before left in a variable, and none ends early."""
    early = any(isinstance(node, ast.Return) for node in ast.walk(kernel))
    own = set().union(*map(stored_in, kernel.body))
    return not early and not own & {*names, *(read_before_written(*kernel.body)[0])}
