"""Losses of rows; formulas: npdl/kernels/reference/row_loss.py, code: kernels/row_loss.h."""

import math

from npdl.kernels.cpu.build import lib

expect = lib.expect
WEIGHTS = {"multi_margin": 1, "weighted_binary": 2, "focal_logits": 1, "focal": 1}  # rows of C numbers


def _rows(kernel, formula, y_true, y_pred, constants, weights, out, scale, dy):
    shape = y_pred.shape
    if len(shape) < 2 or (not y_pred.size and shape[0]):
        raise ValueError(f"{kernel}: y_pred must be (N, ..., C) with at least one number a row, got shape {shape}")
    expect(kernel, "y_true", y_true, shape)
    if out is not None:
        expect(kernel, "out", out, shape[:1])
    if dy is not None:
        expect(kernel, "out" if out is None else "dy", dy, shape)
        expect(kernel, "scale", scale, shape[:1])
    rows = WEIGHTS.get(formula, 0)
    if weights is not None or (rows and formula != "multi_margin"):
        expect(kernel, "weights", weights, (rows, shape[-1])[-min(rows, 2) :])
    if shape[0]:
        kind, positions = lib.ROW_LOSSES[formula], math.prod(shape[1:-1])
        lib.row_loss(
            kernel, kind, constants, y_true, y_pred, weights, rows * shape[-1], scale, out, dy,
            shape[0], positions, shape[-1],
        )  # fmt: skip


def row_loss(formula, y_true, y_pred, constants, weights, *, out, scale=None, dy=None):
    """out[n] = mean over rows of f(t, p);  with scale and dy also its gradient"""
    _rows("row_loss", formula, y_true, y_pred, constants, weights, out, scale, dy)


def row_loss_grad(formula, y_true, y_pred, constants, weights, scale, *, out):
    """out = s / P · df/dp"""
    _rows("row_loss_grad", formula, y_true, y_pred, constants, weights, None, scale, out)
