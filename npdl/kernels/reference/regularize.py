"""Penalties and constraints: the formulas are those of the objects in npdl/regularizers.py and npdl/constraints.py."""


def penalty(x, fn, *, out):
    """out[0] = r(x)

    Args:
        x: any shape.
        fn: an object of npdl/regularizers.py.
        out: (1,) float64.
    """
    out[0] = fn(x)


def penalty_grad(x, fn, *, out, scale=1.0):
    """out = out + scale · dr/dx

    Args:
        x: any shape.
        fn: an object of npdl/regularizers.py.
        out: like x.
        scale: a number.
    """
    out += out.dtype.type(scale) * fn.gradient(x)


def constrain(w, fn, *, out):
    """out = c(w)

    Args:
        w: any shape.
        fn: an object of npdl/constraints.py.
        out: like w; it may be w.
    """
    out[...] = fn(w)
