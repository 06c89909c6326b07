"""A step length along a line that lets the loss fall enough and its slope rise enough: the strong Wolfe conditions."""

import math
from typing import NamedTuple

ARMIJO, CURVATURE = 1e-4, 0.9
"""loss(t) ≤ loss(0) + ARMIJO t slope(0)  and  |slope(t)| ≤ CURVATURE |slope(0)|"""


class Point(NamedTuple):
    """A step length, what is there, and a copy of the gradient."""

    t: float
    loss: float
    slope: float
    gradient: object


def strong_wolfe(v, closure, d, t, loss, slope, evaluations, tolerance):
    """Move the weights from p to p + t d with a t that is searched.

    It steps on until an interval must contain such a t, then narrows it by cubic interpolation. Where the loss is not
    finite it counts as infinite, so that the search comes back from there (PyTorch's stays).

    Args:
        v: `Vectors`; p is where the search starts, g the gradient there.
        closure: computes g at p and returns the loss.
        d, t: direction and first step length.
        loss, slope: at the start; slope is gᵀd < 0.
        evaluations: how often closure may be called, about.
        tolerance: an interval whose ends differ by less in every weight is not narrowed.

    Returns:
        loss, t, calls of closure; p and g are those of t. The loss is NaN where it was finite at no step length.
    """
    start, size = v.new(), v.largest(d)
    v.scale(start, 1.0, v.p)

    def at(t):
        v.scale(v.p, 1.0, start)
        v.add(v.p, t, d)
        value, gradient = closure(), v.new()
        v.scale(gradient, 1.0, v.g)
        slope = v.dot(v.g, d)
        return Point(t, value if math.isfinite(value) and math.isfinite(slope) else math.inf, slope, gradient)

    def falls_enough(point):
        return point.loss <= loss + ARMIJO * point.t * slope

    gradient = v.new()
    v.scale(gradient, 1.0, v.g)
    origin = previous = Point(0.0, loss, slope, gradient)
    point, steps, done = at(t), 0, False
    calls, bracket = 1, None
    while steps < evaluations:
        if not falls_enough(point) or (steps > 1 and point.loss >= previous.loss):
            bracket = [previous, point]
        elif abs(point.slope) <= -CURVATURE * slope:
            bracket, done = [point], True
        elif point.slope >= 0:
            bracket = [previous, point]
        if bracket:
            break
        bounds = point.t + 0.01 * (point.t - previous.t), point.t * 10
        previous, point = point, at(_cubic(previous, point, bounds))
        calls, steps = calls + 1, steps + 1
    if bracket is None:
        bracket = [origin, point]

    low, high = (0, -1) if bracket[0].loss <= bracket[-1].loss else (1, 0)
    stuck = False
    while not done and steps < evaluations and abs(bracket[1].t - bracket[0].t) * size >= tolerance:
        left, right = sorted(point.t for point in bracket)
        t = _cubic(*bracket, (left, right))
        margin = 0.1 * (right - left)
        near = min(right - t, t - left) < margin
        if near and (stuck or t >= right or t <= left):
            t, stuck = (right - margin if abs(t - right) < abs(t - left) else left + margin), False
        else:
            stuck = near
        point = at(t)
        calls, steps = calls + 1, steps + 1
        if not falls_enough(point) or point.loss >= bracket[low].loss:
            bracket[high] = point
            low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
            continue
        if abs(point.slope) <= -CURVATURE * slope:
            done = True
        elif point.slope * (bracket[high].t - bracket[low].t) >= 0:
            bracket[high] = bracket[low]
        bracket[low] = point

    best = bracket[low]
    nowhere = best.t == 0 and not math.isfinite(bracket[high].loss)
    v.scale(v.p, 1.0, start)
    if best.t:
        v.add(v.p, best.t, d)
    v.scale(v.g, 1.0, best.gradient)
    return math.nan if nowhere else best.loss, best.t, calls


def _cubic(a, b, bounds):
    """Where the cubic through both points, with their slopes, is lowest between the bounds; else their middle."""
    if a.t > b.t:
        a, b = b, a
    middle = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = middle * middle - a.slope * b.slope
    low, high = bounds
    if not 0 <= square < math.inf:
        return (low + high) / 2
    root = math.sqrt(square)
    t = b.t - (b.t - a.t) * ((b.slope + root - middle) / (b.slope - a.slope + 2 * root))
    return min(max(t, low), high)
