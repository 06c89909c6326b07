"""What the wrappers of compiled kernels check before memory is read by its address."""

import functools
import math
import operator

LINEAR, RELU, SOFTMAX, LOG_SOFTMAX, SPARSEMAX = 0, 1, 9, 10, 11
"""Codes of the identity, of the plain ReLU and of those that see whole rows, as in npdl/activations/."""
WHOLE_ROWS = (SOFTMAX, LOG_SOFTMAX, SPARSEMAX)

LARGEST = 2**31 - 1
"""Of the numbers of a window: compiled code multiplies two of them in 64 bits."""


def aligned(kernel, name, array):
    """Raise where the numbers of a NumPy array start at addresses that are no multiples of their size.

    Raises:
        ValueError: so, as in a field of a packed record or in `np.frombuffer(data, offset=1)`.
    """
    if not array.flags.aligned:
        raise ValueError(
            f"{kernel}: {name} is not aligned in memory, as a field of a packed record is not; pass {name}.copy()"
        )


def wants_relu(kernel, activation):
    """Whether a kernel that ends in ReLU or in nothing is asked for ReLU.

    Raises:
        ValueError: it is asked for another activation.
    """
    code = LINEAR if activation is None else getattr(activation, "code", None)
    if code not in (LINEAR, RELU):
        raise ValueError(
            f"{kernel}: activation must be None, linear or the plain ReLU, got {activation!r}; run it afterwards, "
            "by the activation kernel"
        )
    return code == RELU


def needs_y(kernel, y):
    """Raise where the output that a gradient behind ReLU reads is not given.

    Raises:
        ValueError: y is None.
    """
    if y is None:
        raise ValueError(f"{kernel}: behind ReLU it needs the pooled output; pass y=")


def one_group(kernel, g):
    """Raise where a window cuts its channels into groups.

    Raises:
        ValueError: it does.
    """
    if g.groups != 1:
        raise ValueError(f"{kernel}: g must have one group, got {g.groups}; run the convolution, then max_pool2d")


def key_words(kernel, key):
    """The two 32-bit words of a random key, as Python's integers.

    Raises:
        ValueError: it is something else.
    """
    try:
        k0, k1 = map(operator.index, key)
    except (TypeError, ValueError):
        k0 = k1 = -1
    if not (0 <= k0 < 1 << 32 and 0 <= k1 < 1 << 32):
        raise ValueError(
            f"{kernel}: key must be two integers from 0 to 2**32 - 1, got {key!r}; "
            "pass e.g. npdl.random.key(seed, place)"
        )
    return k0, k1


@functools.lru_cache(256)
def whole_window(kernel, g):
    """Raise unless every number of a `Window2D` is whole and of 31 bits; compiled code would drop what is beyond.

    Raises:
        ValueError: one is not.
    """
    for name, size in zip(g._fields, g):
        if size != size // 1:
            raise ValueError(f"{kernel}: {name} must be a whole number, got {size!r}; make the window by window2d(...)")
        if abs(size) > LARGEST:
            raise ValueError(f"{kernel}: {name} must be at most {LARGEST}, got {size!r}; make the window smaller")


def attention_sizes(kernel, q, k, v, scale, expect):
    """(samples, queries, keys, heads, groups, size, value_size) of the arrays of an attention.

    q is (samples, queries, heads, size), k (samples, keys, groups, size), v (samples, keys, groups, value_size);
    `expect` is a device's check of an array's shape.

    Raises:
        ValueError: they do not fit, or scale is no number above 0.
    """
    for name, array in (("q", q), ("k", k), ("v", v)):
        if len(array.shape) != 4:
            raise ValueError(f"{kernel}: {name} must be (samples, places, heads, size), got shape {array.shape}")
    samples, queries, heads, size = q.shape
    keys, groups, value_size = k.shape[1], k.shape[2], v.shape[3]
    if not groups or heads % groups:
        raise ValueError(f"{kernel}: the {heads} heads of q must be a multiple of those of k, got {groups}")
    if not size or not value_size:
        raise ValueError(f"{kernel}: heads must have at least one number, got q {q.shape} and v {v.shape}")
    expect(kernel, "k", k, (samples, keys, groups, size))
    expect(kernel, "v", v, (samples, keys, groups, value_size))
    if not 0 < scale < math.inf:
        raise ValueError(f"{kernel}: scale must be a number above 0, got {scale!r}")
    return samples, queries, keys, heads, groups, size, value_size
