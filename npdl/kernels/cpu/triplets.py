"""Semi-hard triplets; formulas: npdl/kernels/reference/triplets.py, code: kernels/triplets.h."""

from npdl.kernels.cpu.build import lib
from npdl.kernels.reference.triplets import positive_pairs

expect = lib.expect


def _run(kernel, labels, e, margin, root, factor, scale, out, dy):
    if e.ndim != 2 or (e.shape[0] and not e.shape[1]):
        raise ValueError(f"{kernel}: e must be (N, D) with at least one number a sample, got shape {e.shape}")
    expect(kernel, "labels", labels, e.shape[:1])
    if dy is None:
        expect(kernel, "out", out, e.shape[:1])
    else:
        expect(kernel, "out", dy, e.shape)
        expect(kernel, "scale", scale, e.shape[:1])
    share = len(e) / max(positive_pairs(labels), 1)
    lib.semi_hard(kernel, labels, e, scale, out, dy, margin, root, factor, share, *e.shape)


def semi_hard(labels, e, margin, root, factor, *, out):
    """out[a] = N/P Σ_p max(d(a, p) − d(a, n) + m, 0)"""
    _run("semi_hard", labels, e, margin, root, factor, None, out, None)


def semi_hard_grad(labels, e, margin, root, factor, scale, *, out):
    """de = Σ_a s_a · dL_a/de"""
    _run("semi_hard_grad", labels, e, margin, root, factor, scale, None, out)
