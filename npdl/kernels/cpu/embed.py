"""Embedding; formulas: npdl/kernels/reference/embed.py, code: kernels/embed.h."""

import numpy as np

from npdl.kernels.cpu.build import lib
from npdl.kernels.reference.embed import count_ids as _count_ids
from npdl.kernels.reference.embed import count_ids_grad as _count_ids_grad

expect = lib.expect


def _check(kernel, ids, table_name, table, rows_name, rows):
    if table.ndim != 2:
        raise ValueError(f"{kernel}: {table_name} must have shape (V, D), got {table.shape}")
    expect(kernel, table_name, table, table.shape)
    expect(kernel, rows_name, rows, (*ids.shape, table.shape[1]))


def _demand_inside(kernel, ids, rows, outside):
    if outside >= 0:
        place = tuple(map(int, np.unravel_index(outside, ids.shape)))
        raise IndexError(f"{kernel}: ids{list(place)} is {ids[place]}, expected 0 to {rows - 1}")


def embedding(ids, table, *, out):
    """out[i...] = table[ids[i...]]"""
    _check("embedding", ids, "table", table, "out", out)
    outside = lib.embedding(ids, table, out, ids.size, *table.shape)
    _demand_inside("embedding", ids, len(table), outside)


def embedding_grad(dy, ids, *, out):
    """dtable[v] = Σ dy where ids = v"""
    _check("embedding_grad", ids, "out", out, "dy", dy)
    outside = lib.embedding_grad(dy, ids, out, ids.size, *out.shape)
    _demand_inside("embedding_grad", ids, len(out), outside)


def not_zero(ids, *, out):
    """out = ids ≠ 0"""
    expect("not_zero", "out", out, ids.shape)
    np.not_equal(ids, 0, out=out)


def count_ids(ids, *, out, most=None, weights=None):
    """out[r, v] = how often v is among ids[r]; sums of ones, which no order changes, or of weights, in their order"""
    _check_rows("count_ids", ids, "out", out, "weights", weights)
    _count_ids(ids, out=out, most=most, weights=weights)


def count_ids_grad(dy, ids, *, out):
    """out[r, t] = dy[r, ids[r, t]]"""
    _check_rows("count_ids_grad", ids, "dy", dy, "out", out)
    _count_ids_grad(dy, ids, out=out)


def _check_rows(kernel, ids, name, counts, like_ids_name, like_ids):
    if np.ndim(ids) != 2:
        raise ValueError(f"{kernel}: ids must have shape (R, T), got {np.shape(ids)}")
    expect(kernel, name, counts, (len(ids), *counts.shape[1:2]))
    if like_ids is not None:
        expect(kernel, like_ids_name, like_ids, ids.shape)
