"""Products of arrays whose axes have letters, as matrix products; formulas: npdl/kernels/reference/einsum.py.

The letters fall into four groups: those of a, b and out (one product each), of a and out (rows), of a and b (summed),
of b and out (columns). Where the groups lie one after the other the arrays are matrices as they are; else they are
permuted first, which takes memory for the copy.
"""

import functools
import math

import numpy as np

from npdl.kernels.cpu import matmul, shape
from npdl.kernels.cpu.build import lib
from npdl.kernels.letters import order_of, plan

expect = lib.expect


def _permuted(x, order):
    if order is None:
        return x
    copy = np.empty([x.shape[axis] for axis in order], x.dtype)
    shape.permute(x, order, out=copy)
    return copy


def einsum(a, b, equation, *, out, bias=None):
    """out = Σ a b over the letters that out has not, plus bias"""
    shape.contiguous("einsum", a=a, b=b, out=out)
    p, letters = plan(equation), equation.replace("->", ",").split(",")
    sizes = {x: n for part, array in zip(letters, (a, b)) for x, n in zip(part, array.shape)}
    for name, part, array in zip(("a", "b", "out"), letters, (a, b, out)):
        expect("einsum", name, array, tuple(sizes[x] for x in part))
    each, rows, summed, columns = (math.prod(sizes[x] for x in group) for group in p[:4])
    whole = out if p.out_order is None else np.empty([sizes[x] for x in p.each + p.rows + p.columns], out.dtype)
    a = _permuted(a, p.a_order).reshape(each, *((summed, rows) if p.transpose_a else (rows, summed)))
    b = _permuted(b, p.b_order).reshape(each, *((columns, summed) if p.transpose_b else (summed, columns)))
    fused = bias is not None and p.out_order is None and bias.shape == out.shape[out.ndim - len(p.columns) :]
    flat = bias.reshape(columns) if fused else None
    for x, y, z in zip(a, b, whole.reshape(each, rows, columns)):
        matmul.matmul(x, y, out=z, bias=flat, transpose_a=p.transpose_a, transpose_b=p.transpose_b)
    if whole is not out:
        shape.permute(whole, p.out_order, out=out)
    if bias is not None and not fused:
        np.add(out, bias, out=out)


@functools.lru_cache(16)
def _ones(n, dtype):
    """A column of n ones, which nobody writes: threads share it."""
    ones = np.ones((n, 1), dtype)
    ones.flags.writeable = False
    return ones


def sum_to(x, *, out):
    """out = Σ x over the axes along which out has length 1, or which out lacks in front"""
    shape.contiguous("sum_to", x=x, out=out)
    sizes = (1,) * (x.ndim - out.ndim) + out.shape
    if len(sizes) != x.ndim or any(n not in (1, of) for n, of in zip(sizes, x.shape)):
        raise ValueError(f"sum_to: out of shape {out.shape} does not broadcast to x of shape {x.shape}")
    kept = tuple(i for i in range(x.ndim) if sizes[i] == x.shape[i])
    summed = tuple(i for i in range(x.ndim) if i not in kept)
    if x.size and summed and kept[:1] == (0,) and x.ndim == out.ndim:  # in an order that the number of samples leaves
        n = x.size // out.size
        x = _permuted(x, order_of(tuple(range(x.ndim)), kept + summed)).reshape(out.size, n)
        matmul.matmul(x, _ones(n, x.dtype), out=out.reshape(out.size, 1))
        return
    x = _permuted(x, order_of(tuple(range(x.ndim)), summed + kept))
    matmul.sum_rows(x.reshape(-1, out.size) if x.size else np.zeros((0, out.size), x.dtype), out=out.reshape(out.size))
