"""Random numbers computed from a key: the same key gives the same bits, on any machine, in any order of calls.

A key is made from a seed and a path, what the numbers are for; nothing else is remembered between calls:

    k = key(seed, "dense", "kernel")        w = normal(k, (784, 128))

The words come from Philox4x32-10 with the counter (i mod 2³², i div 2³², 0, 0), i = 0, 1, ...; what follows uses only
+ − · / √ on float64, which every machine rounds alike, and not the logarithm of the C library, which differs.

References: Salmon, Moraes, Dror and Shaw, Parallel Random Numbers: As Easy as 1, 2, 3, 2011 (Philox).
Wichura, Algorithm AS 241: The Percentage Points of the Normal Distribution, 1988 (`normal`).
"""

import hashlib
import math
import operator
import secrets
import threading

import numpy as np

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
            return secrets.randbits(32)
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
    digest = hashlib.blake2b(b"%d" % check_seed(seed), digest_size=8)
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


def permutation(key, n):
    """The numbers 0 ... n − 1 in random order, int64: the order that sorts n random words.

    Args:
        key: from `key(seed, ...)`.
        n: how many.
    """
    return np.argsort(_words(key, n), kind="stable").astype(np.int64)


# Φ⁻¹ after AS 241 (PPND16): three ratios of polynomials of degree 7, lowest power first, relative error about 1e-16.
_CENTRE = (
    (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
     4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
)  # fmt: skip
_SIDE = (
    (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
     1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9),
)  # fmt: skip
_TAIL = (
    (6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
     2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7),
    (1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15),
)  # fmt: skip


def _polynomial(x, coefficients):
    """c0 + c1 x + c2 x² + ... by Horner's rule"""
    total = np.full_like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = total * x + c
    return total


def _ratio(x, coefficients):
    above, below = coefficients
    return _polynomial(x, above) / _polynomial(x, below)


def inverse_normal(p):
    """Φ⁻¹(p) for p inside (0, 1), elementwise in float64: the z that a normal number stays below with probability p.

    q = p − ½,  r = min(p, 1 − p)
    |q| ≤ 0.425      z = q · R₁(0.425² − q²)
    √(−ln r) ≤ 5     z = sign(q) R₂(√(−ln r) − 1.6)
    else             z = sign(q) R₃(√(−ln r) − 5)
    """
    p = np.asarray(p, np.float64)
    q = p - 0.5
    z = np.array(q * _ratio(np.maximum(0.180625 - q * q, 0.0), _CENTRE))
    outside = np.abs(q) > 0.425
    r = np.sqrt(-log(np.minimum(p, 1.0 - p)[outside]))
    tail = np.where(r <= 5.0, _ratio(r - 1.6, _SIDE), _ratio(r - 5.0, _TAIL))
    z[outside] = np.copysign(tail, q[outside])
    return z


def log(x):
    """ln x for x > 0, elementwise in float64, from exact operations only; error below 1e-15 relative or 2e-16 near 1.

    x = m 2ᵉ,  √½ ≤ m < √2,  s = (m − 1) / (m + 1)
    ln x = e ln 2 + 2 (s + s³/3 + s⁵/5 + ...)
    """
    m, e = np.frexp(x)
    low = m < math.sqrt(0.5)
    m, e = np.where(low, 2.0 * m, m), np.where(low, e - 1, e)
    s = (m - 1.0) / (m + 1.0)
    series = _polynomial(s * s, tuple(1.0 / n for n in range(1, 25, 2)))
    return e * 0.6931471805599453 + 2.0 * (s * series)
