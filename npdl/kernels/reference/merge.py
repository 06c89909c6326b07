"""Sums of arrays of one shape."""


def add(a, b, *, out, activation=None, z=None):
    """out = a(z),   z = a + b

    Args:
        a, b: any shape, the same.
        out: like a; it may be a or b.
        activation: an object of npdl/activations.py, or None for none.
        z: like a, receives z itself, or None; it may be a or b, but not out.
    """
    total = a + b
    if z is not None:
        z[...] = total
    out[...] = total if activation is None else activation(total)
