"""Activations: the formulas are those of the objects in npdl/activations.py."""


def activation(z, fn, *, out):
    """out = a(z)

    Args:
        z: any shape; softmax works along its `fn.axis`.
        fn: an object of npdl/activations.py.
        out: like z; it may be z.
    """
    out[...] = fn(z)


def activation_grad(dy, saved, fn, *, out):
    """out = dy · a'(z), and for softmax  y (dy − Σ dy y)

    Args:
        dy: the gradient of y.
        saved: y or z, as `fn.needs` says, or None.
        fn: an object of npdl/activations.py.
        out: like dy; it may be dy.
    """
    out[...] = fn.gradient(dy, saved)
