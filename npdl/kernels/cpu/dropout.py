"""Dropout; formula: npdl/kernels/reference/dropout.py, code: kernels/dropout.h."""

import math

from npdl.kernels.checks import expect, key_words
from npdl.kernels.cpu.build import lib
from npdl.kernels.reference.dropout import MASK_BITS


def dropout(x, rate, key, step, *, out, noise_shape=None):
    """out = x / (1 − rate) where kept, else 0; out may be x."""
    if not 0 <= rate <= 1:
        raise ValueError(f"dropout: rate must be from 0 to 1, got {rate!r}")
    if not x.ndim:
        raise ValueError("dropout: x must be (N, ...), got a single number")
    expect("dropout", "out", out, x.shape)
    shape = x.shape[1:]
    noise = shape if noise_shape is None else tuple(noise_shape)
    if len(noise) != len(shape) or any(m not in (1, s) for m, s in zip(noise, shape)):
        raise ValueError(f"dropout: noise_shape {noise} does not broadcast over samples of shape {shape}; use 1s in it")
    if noise == shape:
        shape = noise = ()
    words = key_words("dropout", key)
    scale = 1 / (1 - rate) if rate < 1 else 0.0
    size = x.size // len(x) if len(x) else 0
    lib.dropout(x, out, scale, math.ceil(rate * 2**MASK_BITS), step, *words, len(x), size, shape, noise)
