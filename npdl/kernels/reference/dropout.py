"""Dropout and noise. Sample n's numbers depend on nothing but key, step and n: not on the batch, nor on the dtype."""

import math

import numpy as np

from npdl.kernels.checks import key_words
from npdl.kernels.reference.normal import inverse_normal
from npdl.kernels.reference.philox import philox

MASK_BITS = 24  # of each random word decide; 2⁻²⁴ is the finest rate
ALPHA_LOW = -1.7580993408473766
"""−λα: what SELU tends to for x → −∞, as in Klambauer, Unterthiner, Mayr and Hochreiter, 2017."""


def _words(kernel, samples, shape, key, step):
    """word[n, e] = word e mod 4 of philox((step, n, ⌊e/4⌋, 0), key), of the shape (samples, *shape)"""
    elements = math.prod(shape)
    groups = -(-elements // 4)
    counter = np.zeros((samples, groups, 4), np.uint32)
    counter[..., 0] = step
    counter[..., 1] = np.arange(samples)[:, None]
    counter[..., 2] = np.arange(groups)
    words = philox(counter.reshape(-1, 4), key_words(kernel, key)).reshape(samples, groups * 4)[:, :elements]
    return words.reshape(samples, *shape)


def _kept(kernel, x, rate, key, step, noise_shape):
    """True with probability 1 − rate"""
    words = _words(kernel, len(x), x.shape[1:] if noise_shape is None else tuple(noise_shape), key, step)
    return (words >> (32 - MASK_BITS)) >= math.ceil(rate * 2**MASK_BITS)


def dropout(x, rate, key, step, *, out, noise_shape=None):
    """Set elements to zero at random and scale up the rest.

        out = x / (1 − rate)  where kept, else 0
        kept[n, e] = word[e mod 4] >> 8  ≥  ⌈rate · 2²⁴⌉,    word = philox((step, n, ⌊e/4⌋, 0), key)

    The gradient is the same call on dy.

    Args:
        x: (N, ...), the first axis counts samples.
        rate: probability of zero, 0 to 1.
        key: (k0, k1), two uint32.
        step: uint32, counts the training steps.
        out: like x; it may be x.
        noise_shape: shape of one sample's mask, broadcast against x.shape[1:]; e numbers its elements.
    """
    scale = x.dtype.type(1 / (1 - rate) if rate < 1 else 0)
    out[...] = np.where(_kept("dropout", x, rate, key, step, noise_shape), x * scale, 0)


def alpha_affine(rate):
    """(a, b): what brings the mean and the variance back where elements became `ALPHA_LOW` with probability `rate`."""
    a = ((1 - rate) * (1 + rate * ALPHA_LOW**2)) ** -0.5
    return a, -a * ALPHA_LOW * rate


def alpha_dropout(x, rate, key, step, *, out, noise_shape=None):
    """Set elements to the lower end of SELU at random, and bring mean 0 and variance 1 back.

        out = a x + b  where kept, else a l + b;    l = ALPHA_LOW,  kept as in `dropout`
        a = ((1 − rate) (1 + rate l²))^(−½)         b = −a rate l

    Args:
        x, rate, key, step, out, noise_shape: as of `dropout`, rate below 1.
    """
    a, b = (x.dtype.type(value) for value in alpha_affine(rate))
    low = x.dtype.type(alpha_affine(rate)[0] * ALPHA_LOW + alpha_affine(rate)[1])
    out[...] = np.where(_kept("alpha_dropout", x, rate, key, step, noise_shape), x * a + b, low)


def alpha_dropout_grad(dy, rate, key, step, *, out, noise_shape=None):
    """out = a dy where kept, else 0: the gradient of `alpha_dropout`

    Args:
        dy: like x of `alpha_dropout`.
        rate, key, step, noise_shape: those of its call.
        out: like dy; it may be dy.
    """
    a = dy.dtype.type(alpha_affine(rate)[0])
    out[...] = np.where(_kept("alpha_dropout_grad", dy, rate, key, step, noise_shape), dy * a, 0)


def _normal(kernel, x, key, step):
    """z[n, e] = ±|Φ⁻¹((k + ½) 2⁻³²)|, where k is the lower 31 bits of word[n, e] and its upper bit says minus"""
    words = _words(kernel, len(x), x.shape[1:], key, step)
    z = -inverse_normal(((words & 0x7FFFFFFF).astype(np.float64) + 0.5) * 2.0**-32)
    return np.where(words >> 31, -z, z)


def gaussian_dropout(x, stddev, key, step, *, out):
    """out = x (1 + stddev · z),  z normally distributed; the gradient is the same call on dy

    Args:
        x: (N, ...), the first axis counts samples.
        stddev: of the factor.
        key, step: as of `dropout`.
        out: like x; it may be x.
    """
    out[...] = x * (1 + stddev * _normal("gaussian_dropout", x, key, step))


def gaussian_noise(x, stddev, key, step, *, out):
    """out = x + stddev · z,  z normally distributed; the gradient is dy

    Args: as of `gaussian_dropout`.
    """
    out[...] = x + stddev * _normal("gaussian_noise", x, key, step)
