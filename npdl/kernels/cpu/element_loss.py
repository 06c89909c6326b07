"""Losses that are a mean over elements; formulas: npdl/kernels/reference, code: kernels/element_loss.h."""

from npdl.kernels.cpu.loss import mean_over_elements


def element_loss(formula, y_true, y_pred, constants, *, out):
    """out[n] = mean f(t, p)"""
    mean_over_elements("element_loss", formula, constants, y_true, y_pred, out)


def element_loss_grad(formula, y_true, y_pred, constants, scale, *, out):
    """out = s · f'(t, p) / D"""
    mean_over_elements("element_loss_grad", formula, constants, y_true, y_pred, out, scale)
