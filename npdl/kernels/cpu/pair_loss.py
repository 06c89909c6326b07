"""Losses of two or three outputs; formulas: npdl/kernels/reference/pair_loss.py, code: kernels/row_loss.h."""

from npdl.kernels.cpu.build import lib

expect = lib.expect
WHOLE = ("margin_ranking", "gaussian")  # their targets are like the outputs; else one a sample


def _shape(kernel, **arrays):
    """The arrays' one shape."""
    name, first = next(iter(arrays.items()))
    expect(kernel, name, first, first.shape)
    if first.ndim < 1 or (not first.size and first.shape[0]):
        raise ValueError(f"{kernel}: {name} must be (N, ...) with at least one number a sample, got {first.shape}")
    for name, array in arrays.items():
        expect(kernel, name, array, first.shape)
    return first.shape


def _pair(kernel, formula, y_true, a, b, constants, out, scale, da, db):
    slopes = {} if da is None else {"da": da, "db": db}
    shape = _shape(kernel, a=a, b=b, **slopes)
    expect(kernel, "y_true", y_true, shape if formula in WHOLE else shape[:1])
    expect(kernel, *(("out", out) if out is not None else ("scale", scale)), shape[:1])
    if shape[0]:
        kind, n = lib.PAIR_LOSSES[formula], a.size // shape[0]
        lib.pair_loss(kernel, kind, constants, y_true, y_true.size, a, b, scale, out, da, db, shape[0], n)


def pair_loss(formula, y_true, a, b, constants, *, out):
    """out[n] = f(t, a, b)"""
    _pair("pair_loss", formula, y_true, a, b, constants, out, None, None, None)


def pair_loss_grad(formula, y_true, a, b, constants, scale, *, da, db):
    """da, db = s · the gradients of f"""
    _pair("pair_loss_grad", formula, y_true, a, b, constants, None, scale, da, db)


def triplet_margin(a, p, n, constants, *, out):
    """out[i] = max(d(a, p) − d(a, n) + m, 0)"""
    shape = _shape("triplet_margin", a=a, p=p, n=n)
    expect("triplet_margin", "out", out, shape[:1])
    if shape[0]:
        size = a.size // shape[0]
        lib.triplet("triplet_margin", constants, a, p, n, None, out, None, None, None, shape[0], size)


def triplet_margin_grad(a, p, n, constants, scale, *, da, dp, dn):
    """da, dp, dn = s · the gradients of `triplet_margin`"""
    kernel = "triplet_margin_grad"
    shape = _shape(kernel, a=a, p=p, n=n, da=da, dp=dp, dn=dn)
    expect(kernel, "scale", scale, shape[:1])
    if shape[0]:
        lib.triplet(kernel, constants, a, p, n, scale, None, da, dp, dn, shape[0], a.size // shape[0])
