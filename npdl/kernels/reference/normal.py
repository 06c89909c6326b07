"""Normally distributed numbers from evenly distributed ones, from operations only that every machine rounds alike.

Reference: Wichura, Algorithm AS 241: The Percentage Points of the Normal Distribution, 1988.
"""

import math

import numpy as np

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


def exp(x):
    """eˣ for |x| ≤ 700, elementwise in float64, from exact operations only; error below 1e-15 relative.

    x = k ln 2 + r,  |r| ≤ ½ ln 2,      eˣ = 2ᵏ (1 + r + r²/2! + ... + r¹⁴/14!)
    """
    k = np.floor(x * 1.4426950408889634 + 0.5)
    r = (x - k * 0.693147180369123816490) - k * 1.90821492927058770002e-10  # ln 2 in two parts
    return np.ldexp(_polynomial(r, tuple(1.0 / math.factorial(n) for n in range(15))), k.astype(int))


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
