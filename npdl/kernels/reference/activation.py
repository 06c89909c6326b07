"""Activations: the formulas are those of the objects in npdl/activations/; and GLU and PReLU."""

import numpy as np


def activation(z, fn, *, out):
    """out = a(z)

    Args:
        z: any shape; softmax works along its `fn.axis`.
        fn: an object of npdl/activations/.
        out: like z; it may be z.
    """
    out[...] = fn(z)


def activation_grad(dy, saved, fn, *, out):
    """out = dy · a'(z), and for softmax  y (dy − Σ dy y)

    Args:
        dy: the gradient of y.
        saved: y or z, as `fn.needs` says, or None.
        fn: an object of npdl/activations/.
        out: like dy; it may be dy.
    """
    out[...] = fn.gradient(dy, saved)


def _sigmoid(z):
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def glu(x, axis, *, out):
    """out = a σ(b), where x is a and b one behind the other along `axis`

    Args:
        x: (..., 2 n, ...).
        axis: an axis of x, of even length.
        out: (..., n, ...).
    """
    a, b = np.split(x, 2, axis=axis)
    out[...] = a * _sigmoid(b)


def glu_grad(dy, x, axis, *, out):
    """da = dy σ(b),  db = dy a σ(b) σ(−b)

    Args:
        dy: the gradient of a σ(b).
        x, axis: as of `glu`.
        out: dx, like x.
    """
    a, b = np.split(x, 2, axis=axis)
    s = _sigmoid(b)
    out[...] = np.concatenate([dy * s, dy * a * s * _sigmoid(-b)], axis=axis)


def prelu(x, alpha, *, out):
    """out = x where x > 0, else α x

    Args:
        x: (N, ...).
        alpha: α, (...).
        out: like x; it may be x.
    """
    out[...] = np.where(x > 0, x, alpha * x)


def prelu_grad(dy, x, alpha, *, dx=None, dalpha):
    """dx = dy where x > 0, else α dy;  dalpha = 0 where x > 0, else dy x: its sum over samples is dL/dα

    Args:
        dy, x: (N, ...).
        alpha: α, (...).
        dx: like x, or None; it may be dy.
        dalpha: like x.
    """
    dalpha[...] = np.where(x > 0, 0, dy * x)
    if dx is not None:
        dx[...] = np.where(x > 0, dy, alpha * dy)
