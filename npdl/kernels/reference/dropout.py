"""Dropout."""

import math

import numpy as np

from npdl.kernels.checks import key_words
from npdl.kernels.reference.philox import philox

MASK_BITS = 24  # of each random word decide; 2⁻²⁴ is the finest rate


def dropout(x, rate, key, step, *, out, noise_shape=None):
    """Set elements to zero at random and scale up the rest.

        out = x / (1 − rate)  where kept, else 0
        kept[n, e] = word[e mod 4] >> 8  ≥  ⌈rate · 2²⁴⌉,    word = philox((step, n, ⌊e/4⌋, 0), key)

    The mask of sample n depends on nothing but key, step and n: not on the batch, nor on the dtype. The gradient is the
    same call on dy.

    Args:
        x: (N, ...), the first axis counts samples.
        rate: probability of zero, 0 to 1.
        key: (k0, k1), two uint32.
        step: uint32, counts the training steps.
        out: like x; it may be x.
        noise_shape: shape of one sample's mask, broadcast against x.shape[1:]; e numbers its elements.
    """
    samples, shape = len(x), x.shape[1:] if noise_shape is None else tuple(noise_shape)
    elements = math.prod(shape)
    groups = -(-elements // 4)
    counter = np.zeros((samples, groups, 4), np.uint32)
    counter[..., 0] = step
    counter[..., 1] = np.arange(samples)[:, None]
    counter[..., 2] = np.arange(groups)
    words = philox(counter.reshape(-1, 4), key_words("dropout", key)).reshape(samples, groups * 4)[:, :elements]
    kept = ((words >> (32 - MASK_BITS)) >= math.ceil(rate * 2**MASK_BITS)).reshape(samples, *shape)
    scale = x.dtype.type(1 / (1 - rate) if rate < 1 else 0)
    out[...] = np.where(kept, x * scale, 0)
