"""Dropout and noise; formulas: npdl/kernels/reference/dropout.py, code: kernels/dropout.h."""

import math

from npdl.kernels.checks import key_words
from npdl.kernels.cpu.build import lib
from npdl.kernels.reference.dropout import ALPHA_LOW, MASK_BITS, alpha_affine

expect = lib.expect


def _run(kernel, kind, x, key, step, out, scale, shift=0.0, dropped=0.0, rate=0.0, noise_shape=None):
    """scale · x + shift where kept, else `dropped`; of the Gaussian kinds, noise of deviation `scale`."""
    if not 0 <= rate <= 1:
        raise ValueError(f"{kernel}: rate must be from 0 to 1, got {rate!r}")
    if not x.ndim:
        raise ValueError(f"{kernel}: x must be (N, ...), got a single number")
    expect(kernel, "out", out, x.shape)
    shape = x.shape[1:]
    noise = shape if noise_shape is None else tuple(noise_shape)
    if len(noise) != len(shape) or any(m not in (1, s) for m, s in zip(noise, shape)):
        raise ValueError(
            f"{kernel}: noise_shape {noise} does not broadcast over samples of shape {shape}; use 1s in it"
        )
    if noise == shape:
        shape = noise = ()
    size, threshold = x.size // len(x) if len(x) else 0, math.ceil(rate * 2**MASK_BITS)
    words = key_words(kernel, key)
    lib.dropout(kernel, kind, x, out, scale, shift, dropped, threshold, step, *words, len(x), size, shape, noise)


def dropout(x, rate, key, step, *, out, noise_shape=None):
    """out = x / (1 − rate) where kept, else 0; out may be x."""
    scale = 1 / (1 - rate) if rate < 1 else 0.0
    _run("dropout", lib.DROPOUT, x, key, step, out, scale, rate=rate, noise_shape=noise_shape)


def alpha_dropout(x, rate, key, step, *, out, noise_shape=None):
    """out = a x + b where kept, else a l + b; out may be x."""
    a, b = _alpha("alpha_dropout", rate)
    low = a * ALPHA_LOW + b
    _run("alpha_dropout", lib.ALPHA_DROPOUT, x, key, step, out, a, b, low, rate=rate, noise_shape=noise_shape)


def alpha_dropout_grad(dy, rate, key, step, *, out, noise_shape=None):
    """out = a dy where kept, else 0; out may be dy."""
    a, _ = _alpha("alpha_dropout_grad", rate)
    _run("alpha_dropout_grad", lib.DROPOUT, dy, key, step, out, a, rate=rate, noise_shape=noise_shape)


def _alpha(kernel, rate):
    if not 0 <= rate < 1:
        raise ValueError(f"{kernel}: rate must be at least 0 and below 1, got {rate!r}")
    return alpha_affine(rate)


def gaussian_dropout(x, stddev, key, step, *, out):
    """out = x (1 + stddev · z); out may be x."""
    _run("gaussian_dropout", lib.GAUSSIAN_DROPOUT, x, key, step, out, stddev)


def gaussian_noise(x, stddev, key, step, *, out):
    """out = x + stddev · z; out may be x."""
    _run("gaussian_noise", lib.GAUSSIAN_NOISE, x, key, step, out, stddev)
