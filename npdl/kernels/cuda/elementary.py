"""Activations of one number, for kernels to call: a(z) and a'(saved), with constants p, q and r.

The formulas are those of npdl/activations.py, whose codes are the keys of `FORWARD` and `SLOPES`; a comparison is
written so that NaN stays NaN.
"""

import math

from numba import float32

from npdl.kernels.cuda.kernel import device


@device
def at_least(z, low):
    return low if z < low else z


@device
def at_most(z, high):
    return high if z > high else z


@device
def sigmoid(z):
    e = math.exp(-abs(z))
    w = float32(1) / (float32(1) + e)
    return e * w if z < float32(0) else w


@device
def linear(z, p, q, r):
    return z


@device
def relu(z, p, q, r):
    return float32(0) if z <= float32(0) else z


@device
def relu_slope(y, p, q, r):
    return float32(1) if y > float32(0) else float32(0)


@device
def general_relu(z, p, q, r):
    return q if z >= q else (p * (z - r) if z < r else z)


@device
def general_relu_slope(z, p, q, r):
    return float32(0) if z >= q else (float32(1) if z > r else p)


@device
def leaky_relu(z, p, q, r):
    return z if z > float32(0) else p * z


@device
def leaky_relu_slope(y, p, q, r):
    return float32(1) if y > float32(0) else p


@device
def elu(z, p, q, r):
    return z if z > float32(0) else p * math.expm1(z)


@device
def elu_slope(y, p, q, r):
    return float32(1) if y > float32(0) else y + p


@device
def gelu(z, p, q, r):
    return at_least(z, float32(-40)) * (float32(0.5) * math.erfc(z * float32(-0.7071067811865476)))


@device
def gelu_slope(z, p, q, r):
    near = at_most(at_least(z, float32(-40)), float32(40))
    density = float32(0.3989422804014327) * math.exp(float32(-0.5) * near * near)
    return float32(0.5) * math.erfc(near * float32(-0.7071067811865476)) + near * density


@device
def _inner(z):
    """2 √(2/π) (z + 0.044715 z³)"""
    return float32(1.5957691216057308) * z * (float32(1) + float32(0.044715) * (z * z))


@device
def gelu_tanh(z, p, q, r):
    near = at_most(at_least(z, float32(-30)), float32(30))
    return at_least(z, float32(-30)) * sigmoid(_inner(near))


@device
def gelu_tanh_slope(z, p, q, r):
    near = at_most(at_least(z, float32(-30)), float32(30))
    u = _inner(near)
    s, rest = sigmoid(u), sigmoid(-u)
    return s + near * (s * rest) * float32(1.5957691216057308) * (float32(1) + float32(0.134145) * (near * near))


@device
def logistic(z, p, q, r):
    return sigmoid(z)


@device
def logistic_slope(y, p, q, r):
    return y * (float32(1) - y)


@device
def tanh(z, p, q, r):
    return math.tanh(z)


@device
def tanh_slope(y, p, q, r):
    return float32(1) - y * y


@device
def general_elu(z, p, q, r):
    return p * z if z > float32(0) else q * math.expm1(r * z)


@device
def general_elu_slope(y, p, q, r):
    return p if y > float32(0) else r * (y + q)


@device
def silu(z, p, q, r):
    return at_least(z, float32(-750)) * sigmoid(z)


@device
def silu_slope(z, p, q, r):
    near = at_most(at_least(z, float32(-750)), float32(750))
    s = sigmoid(near)
    return s + near * (s * sigmoid(-near))


@device
def softplus(z, p, q, r):
    return at_least(z, float32(0)) + math.log1p(math.exp(-abs(z)))


@device
def softplus_slope(y, p, q, r):
    return -math.expm1(-abs(y))


@device
def general_softplus(z, p, q, r):
    return z if p * z > q else r * softplus(p * z, p, q, r)


@device
def general_softplus_slope(z, p, q, r):
    return float32(1) if p * z > q else sigmoid(p * z)


@device
def log_sigmoid(z, p, q, r):
    return at_most(z, float32(0)) - math.log1p(math.exp(-abs(z)))


@device
def softsign(z, p, q, r):
    near = at_most(at_least(z, float32(-1e30)), float32(1e30))
    return near / (float32(1) + abs(near))


@device
def softsign_slope(z, p, q, r):
    w = float32(1) / (float32(1) + abs(z))
    return w * w


@device
def mish(z, p, q, r):
    e = math.exp(at_most(z, float32(40)))
    n = e * (e + float32(2))
    return at_least(z, float32(-750)) * (n / (n + float32(2)))


@device
def mish_slope(z, p, q, r):
    near = at_most(at_least(z, float32(-750)), float32(40))
    e = math.exp(near)
    n = e * (e + float32(2))
    w = float32(1) / (n + float32(2))
    return n * w + near * (float32(4) * e * w) * ((float32(1) + e) * w)


@device
def exponential(z, p, q, r):
    return math.exp(z)


@device
def exponential_slope(y, p, q, r):
    return y


@device
def clipped(z, p, q, r):
    return at_most(at_least(p * z + q, r), float32(1))


@device
def clipped_slope(y, p, q, r):
    return p if y > r and y < float32(1) else float32(0)


@device
def hard_silu(z, p, q, r):
    h = at_most(at_least(z * float32(1 / 6) + float32(0.5), float32(0)), float32(1))
    return at_least(z, float32(-3)) * h


@device
def hard_silu_slope(z, p, q, r):
    inside = z * float32(1 / 3) + float32(0.5)
    return float32(0) if z <= float32(-3) else (float32(1) if z >= float32(3) else inside)


@device
def hard_shrink(z, p, q, r):
    return float32(0) if abs(z) <= p else z


@device
def soft_shrink(z, p, q, r):
    return z - at_most(at_least(z, -p), p)


@device
def shrink_slope(y, p, q, r):
    return float32(0) if y == float32(0) else float32(1)


@device
def tanh_shrink(z, p, q, r):
    return z - math.tanh(z)


@device
def tanh_shrink_slope(z, p, q, r):
    t = math.tanh(z)
    return t * t


@device
def threshold(z, p, q, r):
    return q if z <= p else z


@device
def threshold_slope(z, p, q, r):
    return float32(1) if z > p else float32(0)


@device
def squareplus(z, p, q, r):
    a = abs(z)
    near = at_most(a, float32(1e18))
    root = math.sqrt(near * near + p)
    twice = a + (a if a > root else root)
    return float32(0.5) * (p / twice if z < float32(0) else twice)


@device
def squareplus_slope(y, p, q, r):
    near = at_most(y, float32(1e18))
    return near * near / (near * near + float32(0.25) * p)


@device
def sparse_plus(z, p, q, r):
    half = float32(0.5) * (at_least(z, float32(-1)) + float32(1))
    return z if z >= float32(1) else half * half


@device
def sparse_plus_slope(y, p, q, r):
    return at_most(math.sqrt(y), float32(1))


FORWARD = {
    0: linear, 1: relu, 2: general_relu, 3: leaky_relu, 4: elu, 5: gelu, 6: gelu_tanh, 7: logistic, 8: tanh,
    12: general_elu, 13: silu, 14: softplus, 15: log_sigmoid, 16: softsign, 17: mish, 18: exponential, 19: clipped,
    20: hard_silu, 21: hard_shrink, 22: soft_shrink, 23: tanh_shrink, 24: threshold, 25: squareplus, 26: sparse_plus,
    27: general_softplus,
}  # fmt: skip
SLOPES = {
    1: relu_slope, 2: general_relu_slope, 3: leaky_relu_slope, 4: elu_slope, 5: gelu_slope, 6: gelu_tanh_slope,
    7: logistic_slope, 8: tanh_slope, 12: general_elu_slope, 13: silu_slope, 14: softplus_slope, 15: softplus_slope,
    16: softsign_slope, 17: mish_slope, 18: exponential_slope, 19: clipped_slope, 20: hard_silu_slope,
    21: shrink_slope, 22: shrink_slope, 23: tanh_shrink_slope, 24: threshold_slope, 25: squareplus_slope,
    26: sparse_plus_slope, 27: general_softplus_slope,
}  # fmt: skip
