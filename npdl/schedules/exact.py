"""exp, log, power and cosine of one float64, by additions, multiplications and divisions alone.

A C library's own differ in the last bit from one to the next, and so would the weights that are trained with them.
Each is right to about two units in the last place.
"""

import functools
import math

LN2_HIGH, LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10  # ln 2 as a sum; k · LN2_HIGH is exact for |k| < 2²⁰
HALF_PI_HIGH, HALF_PI_LOW = 1.5707963267341256, 6.077100506506192e-11  # π/2 in the same way


def exp(x):
    """eˣ

    >>> exp(0.0), exp(-1000.0)
    (1.0, 0.0)
    """
    if x > 709.7:
        raise OverflowError(f"e to the power {x} is no float64")
    if x < -745.2:
        return 0.0
    k = round(x / (LN2_HIGH + LN2_LOW))
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    total = 1.0
    for n in range(18, 0, -1):  # 1 + r (1 + r/2 (1 + r/3 ...
        total = 1.0 + r / n * total
    return math.ldexp(total, k)


def log(x):
    """ln x for x > 0

    >>> log(1.0)
    0.0
    """
    m, k = math.frexp(x)
    if m < math.sqrt(0.5):
        m, k = 2 * m, k - 1
    s = (m - 1) / (m + 1)  # ln m = 2 (s + s³/3 + s⁵/5 + ...), |s| < 0.172
    square, total = s * s, 0.0
    for n in range(25, 1, -2):
        total = square * (1 / n + total)
    return k * LN2_HIGH + (2 * s * (1 + total) + k * LN2_LOW)


def power(base, exponent):
    """baseᵉ for base ≥ 0; a whole exponent by multiplications, 1/2 by the square root.

    >>> power(0.5, 10) == 0.5**10, power(9.0, 0.5), power(0.0, 0.3)
    (True, 3.0, 0.0)
    """
    if exponent == int(exponent) and 0 <= exponent < 2**31:
        return whole_power(base, int(exponent))
    if exponent in (0.5, -0.5):
        return math.sqrt(base) if exponent > 0 else 1 / math.sqrt(base)
    if base == 0:
        return 0.0
    return exp(exponent * log(base))


def whole_power(base, t):
    """baseᵗ by squaring.

    >>> whole_power(0.5, 10) == 0.5**10
    True
    """
    result = 1.0
    for place, square in enumerate(_squares(base, t.bit_length())):
        if t >> place & 1:
            result *= square
    return result


@functools.lru_cache(64, typed=True)  # an optimizer asks for powers of the same base in each step
def _squares(base, count):
    """(base, base², base⁴, ...), so many, each the square of the one before."""
    squares = [base]
    while len(squares) < count:
        squares.append(squares[-1] * squares[-1])
    return squares


def cos(x):
    """cos x, for |x| up to some thousand turns.

    >>> cos(0.0)
    1.0
    """
    k = round(x / (HALF_PI_HIGH + HALF_PI_LOW))
    r = (x - k * HALF_PI_HIGH) - k * HALF_PI_LOW
    square = r * r
    even = odd = 1.0
    for n in range(18, 0, -2):  # 1 − r²/2 (1 − r²/12 (...)), and r (1 − r²/6 (1 − r²/20 (...)))
        even = 1.0 - square / ((n - 1) * n) * even
        odd = 1.0 - square / (n * (n + 1)) * odd
    return (even, -r * odd, -even, r * odd)[k % 4]
