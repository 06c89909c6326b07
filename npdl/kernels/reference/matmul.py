"""Matrix product with its epilogue, and the sum over rows."""

import math


def _matrix(a):
    """All leading axes as one: (..., K) -> (rows, K)."""
    return a.reshape(math.prod(a.shape[:-1]), a.shape[-1])


def matmul(
    a, b, *, out, bias=None, add=None, times=None, activation=None, z=None, slope=None, sums=None,
    transpose_a=False, transpose_b=False,
):  # fmt: skip
    """out = act(p), p = (op(a) op(b) + bias + add) · times, op the identity or the transpose.

    Leading axes count as rows: x (N, T, D) is a matrix (N·T, D). With them flattened,

        a (M, K), or (K, M) with transpose_a · b (K, N), or (N, K) with transpose_b · bias (N,) ·
        out, add, times, z, slope (M, N)

    Args:
        add: of a way around the layer, or the rest of a sum of products; None is 0.
        times: element by element, such as the slope of the activation that a gradient comes to; None is 1.
        activation: an object of npdl/activations/; None is linear.
        z: if given, also receives p, from which some derivatives are computed.
        slope: if given, also receives act'(p), of an activation that keeps it.
        sums: (N,); if given, also receives Σ of b's rows, as `sum_rows` makes it; b is not transposed then.
    """
    a, b = _matrix(a), _matrix(b)
    product = (a.T if transpose_a else a) @ (b.T if transpose_b else b)
    if bias is not None:
        product += bias
    if add is not None:
        product += _matrix(add)
    if times is not None:
        product *= _matrix(times)
    if sums is not None:
        sum_rows(b, out=sums)
    if slope is not None:
        slope[...] = activation.derivative(product.reshape(out.shape))
    store(product.reshape(out.shape), activation, out=out, z=z)


def store(pre_activation, activation, *, out, z):
    """z = pre_activation, out = act(pre_activation): how every kernel with an epilogue ends."""
    if z is not None:
        z[...] = pre_activation
    out[...] = pre_activation if activation is None else activation(pre_activation)


def sum_rows(x, *, out):
    """out[j] = Σ x[..., j] over all leading axes.

    x (..., N) · out (N,)
    """
    out[...] = _matrix(x).sum(axis=0)
