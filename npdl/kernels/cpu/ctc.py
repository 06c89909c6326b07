"""Connectionist temporal classification; formulas: npdl/kernels/reference/ctc.py, code: kernels/ctc.h."""

from npdl.kernels.cpu.build import lib

expect = lib.expect


def _ctc(kernel, labels, y_pred, blank, out, scale, dy):
    shape = y_pred.shape
    if len(shape) != 3 or (not y_pred.size and shape[0]):
        raise ValueError(f"{kernel}: y_pred must be logits (N, frames, classes), at least one of each, got {shape}")
    if labels.ndim != 2 or len(labels) != shape[0]:
        raise ValueError(f"{kernel}: labels must be ({shape[0]}, U), a row a sample, got {labels.shape}")
    if not 0 <= blank < shape[-1]:
        raise ValueError(f"{kernel}: blank must be a class, 0 to {shape[-1] - 1}, got {blank}")
    if out is not None:
        expect(kernel, "out", out, shape[:1])
    if dy is not None:
        expect(kernel, "out" if out is None else "dy", dy, shape)
        expect(kernel, "scale", scale, shape[:1])
    if shape[0]:
        lib.ctc(kernel, labels, y_pred, blank, scale, out, dy, *shape, labels.shape[1])


def ctc(labels, y_pred, blank, *, out, scale=None, dy=None):
    """out[n] = −ln P(labels of sample n | logits);  with scale and dy also its gradient"""
    _ctc("ctc", labels, y_pred, blank, out, scale, dy)


def ctc_grad(labels, y_pred, blank, scale, *, out):
    """out = s (softmax − the part of alignments at each class)"""
    _ctc("ctc_grad", labels, y_pred, blank, None, scale, out)
