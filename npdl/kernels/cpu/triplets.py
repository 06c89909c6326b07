"""Pairs and triplets of a batch; formulas: npdl/kernels/reference/triplets.py, code: kernels/triplets.h."""

from npdl.kernels.cpu.build import lib
from npdl.kernels.reference.triplets import anchors_with_both, positive_pairs

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


def _circle(kernel, labels, s, gamma, margin, diagonal, scale, out, ds):
    expect(kernel, "s", s, (len(s), len(s)))
    expect(kernel, "labels", labels, s.shape[:1])
    if ds is None:
        expect(kernel, "out", out, s.shape[:1])
    else:
        expect(kernel, "out", ds, s.shape)
        expect(kernel, "scale", scale, s.shape[:1])
    share = len(s) / max(anchors_with_both(labels, diagonal), 1)
    lib.circle(kernel, labels, s, scale, out, ds, gamma, margin, diagonal, share, len(s))


def circle(labels, s, gamma, margin, diagonal, *, out):
    """out[a] = N/V ln(1 + Σ_b e^p Σ_b e^n)"""
    _circle("circle", labels, s, gamma, margin, diagonal, None, out, None)


def circle_grad(labels, s, gamma, margin, diagonal, scale, *, out):
    """dS[a, b] = scale[a] · dL_a/dS[a, b]"""
    _circle("circle_grad", labels, s, gamma, margin, diagonal, scale, None, out)
