"""Random numbers computed from a key: the same key gives the same bits, on any machine, in any order of calls.

A key is made from a seed and a path, what the numbers are for; nothing else is remembered between calls:

    k = key(seed, "dense", "kernel")        w = normal(k, (784, 128))

The words come from Philox4x32-10 with the counter (i mod 2³², i div 2³², 0, 0), i = 0, 1, ...; what follows uses only
+ − · / √ on float64, which every machine rounds alike, and not the logarithm of the C library, which differs.

Reference: Salmon, Moraes, Dror and Shaw, Parallel Random Numbers: As Easy as 1, 2, 3, 2011 (Philox).
"""

import math
import operator
import os
import threading

import numpy as np

try:
    from _blake2 import blake2b
except ImportError:  # another Python than CPython
    from hashlib import blake2b  # which loads OpenSSL: a tenth of the time of `import npdl`

from npdl.kernels.reference.normal import exp, inverse_normal, log
from npdl.kernels.reference.philox import philox

PIECE = 1 << 13  # random numbers that are computed at once; an even number

_lock = threading.Lock()
_seed = None  # of set_seed
_draws = 0  # how many draw_seed() have been made from it


def check_seed(seed):
    """The seed as an int.

    Raises:
        TypeError, ValueError: it is not a whole number of 0 ... 2⁶⁴ − 1.
    """
    try:
        if isinstance(seed, (bool, np.bool_)):
            raise TypeError
        value = operator.index(seed)
    except TypeError:
        raise TypeError(f"a seed is a whole number, got {seed!r}; pass e.g. seed=0, or seed=None to draw one") from None
    if not 0 <= value < 2**64:
        raise ValueError(f"a seed lies in 0 ... 2**64 - 1, got {value}; pass e.g. seed={abs(value) % 2**32}")
    return value


def set_seed(seed):
    """Make every later `draw_seed()`, so every model made with seed=None, the same in each run.

    Args:
        seed: whole number, 0 ... 2⁶⁴ − 1; None goes back to the operating system's randomness.
    """
    global _seed, _draws
    seed = None if seed is None else check_seed(seed)
    with _lock:
        _seed, _draws = seed, 0


def draw_seed():
    """A seed of 0 ... 2³² − 1 for what was given none: after `set_seed` the next of its row, else from the system."""
    global _draws
    with _lock:
        if _seed is None:
            return int.from_bytes(os.urandom(4), "little")
        _draws += 1
        return key(_seed, "draw_seed", _draws)[0]


def key(seed, *path):
    """(k0, k1), two numbers of 32 bits: a hash of the seed and of what the random numbers are for.

    Args:
        seed: whole number, 0 ... 2⁶⁴ − 1.
        path: whole numbers and strings; each different path gives numbers of its own.

    Raises:
        TypeError, ValueError: not a seed, or a part of the path that is neither.

    >>> key(0, "dropout", 3) == key(0, "dropout", 3), key(0, "dropout", 3) == key(0, "dropout", 4)
    (True, False)
    """
    digest = blake2b(b"%d" % check_seed(seed), digest_size=8)
    for part in path:
        if isinstance(part, str):
            text = part.encode()
            digest.update(b"s%d:" % len(text) + text)
        elif isinstance(part, (int, np.integer)):
            digest.update(b"i%d:" % part)
        else:
            raise TypeError(f"the path of a random key is made of whole numbers and strings, got {part!r}")
    words = digest.digest()
    return int.from_bytes(words[:4], "little"), int.from_bytes(words[4:], "little")


def _words(key, count, start=0):
    """`count` random words of 64 bits from an even `start` on: (w0, w1) and (w2, w3) of each counter."""
    counter = np.zeros((-(-count // 2), 4), np.uint32)
    index = np.arange(start // 2, start // 2 + len(counter), dtype=np.uint64)
    counter[:, 0], counter[:, 1] = index & np.uint64(0xFFFFFFFF), index >> np.uint64(32)
    words = philox(counter, key).astype(np.uint64)
    return (words[:, 0::2] | words[:, 1::2] << np.uint64(32)).reshape(-1)[:count]


def _draw(key, shape, function):
    """float64 of `shape`: what an elementwise function makes of each word.

    Piece by piece, for what is computed on the way is many times larger than the result, and stays in the cache so.
    """
    values = np.empty(math.prod(shape))
    for start in range(0, values.size, PIECE):
        part = values[start : start + PIECE]
        part[...] = function(_words(key, part.size, start))
    return values.reshape(shape)[()]  # a number where shape is ()


def _probability(words):
    """(k + ½) / 2⁵² for a random k of 52 bits: inside (0, 1), symmetric about ½, each exact."""
    return ((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def uniform(key, shape, low=0.0, high=1.0):
    """float64 in [low, high): low + (high − low) u, where u is a multiple of 2⁻⁵³.

    Args:
        key: from `key(seed, ...)`.
        shape: of the result.
        low, high: finite, low < high.

    Raises:
        ValueError: high is not above low.

    >>> uniform(key(0), (3,)).round(3)
    array([0.431, 0.016, 0.756])
    """
    if not low < high:
        raise ValueError(f"uniform needs low < high, got low={low}, high={high}; swap them")

    def value(words):
        u = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return np.minimum(low + (high - low) * u, np.nextafter(high, low))  # rounding may reach high

    return _draw(key, shape, value)


def normal(key, shape, mean=0.0, stddev=1.0):
    """float64, normally distributed: mean + stddev · Φ⁻¹(u), u uniform on (0, 1); nothing beyond 8.3 stddev.

    Args:
        key: from `key(seed, ...)`.
        shape: of the result.
        mean, stddev: of the distribution.
    """
    return _draw(key, shape, lambda words: mean + stddev * inverse_normal(_probability(words)))


BELOW_TWO = 0.02275013194817921  # Φ(−2)


def truncated_normal(key, shape, mean=0.0, stddev=1.0):
    """float64, normal within two stddev of the mean, nothing outside: Φ⁻¹(u) of u uniform on (Φ(−2), Φ(2)).

    The variance is 0.7737 stddev²: `initializers.VarianceScaling` makes up for it.

    Args:
        key: from `key(seed, ...)`.
        shape: of the result.
        mean, stddev: of the normal distribution before it is cut.
    """

    def value(words):
        z = inverse_normal(BELOW_TWO + (1.0 - 2.0 * BELOW_TWO) * _probability(words))
        return mean + stddev * np.clip(z, -2.0, 2.0)

    return _draw(key, shape, value)


def integers(key, shape, low, high):
    """int64 in low ... high − 1, each equally likely to 1 part in 2⁶⁴ / (high − low).

    Args:
        key: from `key(seed, ...)`.
        shape: of the result.
        low, high: whole numbers, low < high.

    Raises:
        ValueError: high is not above low.
    """
    low, high = operator.index(low), operator.index(high)
    if not low < high:
        raise ValueError(f"integers needs low < high, got low={low}, high={high}; high itself is never drawn")
    return (_words(key, math.prod(shape)) % np.uint64(high - low)).astype(np.int64).reshape(shape) + low


def per_sample(key, step, samples, count, first=0):
    """float64 in [0, 1), `count` for each sample, multiples of 2⁻³²: the same for a sample whatever batch it is in.

        word e of sample n is word e mod 4 of philox((step, n, ⌊e/4⌋, 0), key), as in dropout

    Args:
        key: from `key(seed, ...)`.
        step: whole number below 2³², e.g. of the training step or the epoch.
        samples: how many samples.
        count: random numbers a sample.
        first: number of the first sample.

    Returns:
        (samples, count)
    """
    counter = np.zeros((samples, -(-count // 4), 4), np.uint32)
    counter[..., 0], counter[..., 2] = step, np.arange(counter.shape[1])
    counter[..., 1] = np.arange(first, first + samples)[:, None]
    numbers = philox(counter.reshape(-1, 4), key).reshape(samples, counter.shape[1] * 4)
    return numbers[:, :count] * 2.0**-32


def _log_gamma_distributed(key, samples, shape, first):
    """ln g of `samples` numbers g ~ Gamma(shape, 1), by Marsaglia's and Tsang's rejection.

    For a shape below 1:  g = g' u^(1/shape),  g' ~ Gamma(shape + 1, 1).
    """
    d = (shape if shape >= 1 else shape + 1.0) - 1.0 / 3.0
    found, left, attempt = np.empty(samples), np.arange(samples), 0
    while len(left):
        u = per_sample(key, attempt, samples, 3, first)[left] + 2.0**-33
        z = inverse_normal(u[:, 0])
        root = np.maximum(1.0 + z / math.sqrt(9.0 * d), 1e-300)
        v = root * root * root
        good = (root > 1e-300) & (log(u[:, 1]) < 0.5 * z * z + d - d * v + d * log(v))
        found[left[good]] = math.log(d) + log(v[good]) + (0.0 if shape >= 1 else log(u[good, 2]) / shape)
        left, attempt = left[~good], attempt + 1
    return found


def beta(key, samples, a, b, first=0):
    """float64 in [0, 1], distributed as Beta(a, b), one for each sample: the same whatever batch it is in.

        g / (g + h) = 1 / (1 + exp(ln h − ln g)),       g ~ Gamma(a, 1),  h ~ Gamma(b, 1)

    Args:
        key: from `key(seed, ...)`.
        samples: how many.
        a, b: above 0.
        first: number of the first sample, below 2³⁰.

    Reference: Marsaglia and Tsang, A Simple Method for Generating Gamma Variables, 2000.
    """
    g, h = _log_gamma_distributed(key, samples, a, first), _log_gamma_distributed(key, samples, b, first + (1 << 31))
    return 1.0 / (1.0 + exp(np.clip(h - g, -700.0, 700.0)))


def permutation(key, n):
    """The numbers 0 ... n − 1 in random order, int64: the order that sorts n random words.

    Args:
        key: from `key(seed, ...)`.
        n: how many.
    """
    return np.argsort(_words(key, n), kind="stable").astype(np.int64)
