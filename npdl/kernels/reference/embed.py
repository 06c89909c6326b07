"""Embedding: rows of a table by number."""

import numpy as np


def _demand_inside(kernel, ids, rows):
    """Raise where an index names no row.

    Raises:
        IndexError: so; it names the first one.
    """
    outside = np.flatnonzero((ids < 0) | (ids >= rows))
    if len(outside):
        place = tuple(map(int, np.unravel_index(outside[0], ids.shape)))
        raise IndexError(f"{kernel}: ids{list(place)} is {ids[place]}, expected 0 to {rows - 1}")


def embedding(ids, table, *, out):
    """out[i...] = table[ids[i...]]

    Args:
        ids: any shape, int32 or int64.
        table: (V, D).
        out: the shape of ids, and D.

    Raises:
        IndexError: an index that is negative or not below V.
    """
    _demand_inside("embedding", ids, len(table))
    out[...] = table[ids]


def embedding_grad(dy, ids, *, out):
    """dtable[v] = Σ dy[i...] over the places where ids[i...] = v, in their order in memory

    Args:
        dy: the shape of ids, and D.
        ids: any shape, int32 or int64.
        out: dtable (V, D).

    Raises:
        IndexError: an index that is negative or not below V.
    """
    _demand_inside("embedding_grad", ids, len(out))
    out[...] = 0
    np.add.at(out, ids.reshape(-1), dy.reshape(ids.size, out.shape[1]))


def not_zero(ids, *, out):
    """out = ids ≠ 0

    Args:
        ids: any shape, int32 or int64.
        out: of its shape, bool.
    """
    out[...] = ids != 0


def count_ids(ids, *, out, most=None, weights=None):
    """out[r, v] = how often v is among ids[r], at most `most` where that is given; with weights the sum of theirs

    Args:
        ids: (R, T), int32 or int64.
        out: (R, V).
        most: 1 says only whether it is.
        weights: like ids, of out's type; each counts as its weight.

    Raises:
        IndexError: an index that is negative or not below V.
    """
    _demand_inside("count_ids", ids, out.shape[1])
    out[...] = 0
    np.add.at(out, (np.arange(len(ids))[:, None], ids), 1 if weights is None else weights)
    if most is not None:
        np.minimum(out, most, out=out)


def count_ids_grad(dy, ids, *, out):
    """out[r, t] = dy[r, ids[r, t]]: the gradient of `count_ids` for its weights

    Args:
        dy: (R, V).
        ids: (R, T), int32 or int64.
        out: (R, T).

    Raises:
        IndexError: an index that is negative or not below V.
    """
    _demand_inside("count_ids_grad", ids, dy.shape[1])
    out[...] = np.take_along_axis(dy, ids, axis=1)
