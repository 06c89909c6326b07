"""An equation of letters, such as "abc,cd->abd", as matrix products."""

import functools
from typing import NamedTuple


class Plan(NamedTuple):
    """How an equation becomes matrix products; an order is None where the array lies as it is needed."""

    each: tuple  # letters of all three
    rows: tuple
    summed: tuple
    columns: tuple
    a_order: tuple | None
    b_order: tuple | None
    out_order: tuple | None  # from (each, rows, columns) to out
    transpose_a: bool
    transpose_b: bool


def order_of(letters, wanted):
    """Where each of the letters that are wanted is, None where they are in that order already."""
    return None if letters == wanted else tuple(map(letters.index, wanted))


@functools.lru_cache(256)
def plan(equation):
    """The `Plan` of an equation.

    Raises:
        ValueError: an equation of another kind.
    """
    inputs, _, out = equation.partition("->")
    a, _, b = inputs.partition(",")
    a, b, out = tuple(a), tuple(b), tuple(out)
    sound = all(len(set(one)) == len(one) for one in (a, b, out)) and set(out) <= {*a, *b}
    if not sound or any((x in a) + (x in b) + (x in out) < 2 for x in (*a, *b)):
        raise ValueError(f'einsum: each letter must be in two of a, b and out, e.g. "ab,bc->ac", got {equation!r}')
    each = tuple(x for x in out if x in a and x in b)
    rows, columns = tuple(x for x in out if x not in b), tuple(x for x in out if x not in a)
    summed = tuple(x for x in a if x in b and x not in out)
    transpose_a = a == each + summed + rows and bool(rows and summed)
    transpose_b = b == each + columns + summed and bool(columns and summed)
    return Plan(
        each, rows, summed, columns,
        None if transpose_a else order_of(a, each + rows + summed),
        None if transpose_b else order_of(b, each + summed + columns),
        order_of(each + rows + columns, out), transpose_a, transpose_b,
    )  # fmt: skip
