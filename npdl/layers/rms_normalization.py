"""RMSNormalization: each row of a sample with mean square 1."""

from npdl.layers.normalizing import RowLayer, check_epsilon


class RMSNormalization(RowLayer):
    """Root mean square normalization: divide a row by the root of its mean square, scale each feature.

        forward     x̂ = x / ρ       ρ = √(Σ x² / D + ε)        y = γ x̂
        backward    g = γ dy        dγ = Σ dy x̂ over all rows
                    dx = (g − x̂ Σ g x̂ / D) / ρ

    A row is the D numbers of a sample along `axis`, at one place of the other axes; sums are over a row.

    Shapes: x, y (N, ...) · scale γ: the lengths along `axis`.
    Saves: x, and 1/ρ of each row.

    Args:
        axis: whole number or list, counted with the batch as 0.
        epsilon: ε.

    Raises:
        TypeError, ValueError: an axis that samples do not have, or of free length; epsilon below 0.

    Reference: Zhang and Sennrich, Root Mean Square Layer Normalization, 2019.

    >>> list(RMSNormalization().init(input_shape=(5, 8)).params)
    ['scale']
    """

    def __init__(self, axis=-1, epsilon=1e-6, **base):
        super().__init__(axis, **base)
        self.epsilon = check_epsilon(self, epsilon)

    def build(self, input_shape):
        self.build_rows(input_shape)
        self.add_weight(self.row_shape, "ones", name="scale")
        return input_shape

    def forward(self, x, training=False):
        rows = self.rows(x, "x")
        y, inverse = self.buffer("y", rows.shape), self.buffer("inverse", (len(rows),))
        self.k.rms_norm(rows, self.along(self.params, "scale"), self.epsilon, out=y, inverse=inverse)  # y = γ x / ρ
        if training:
            self.save(rows, inverse)
        else:
            self.forget()
        return self.unrow(y, x.shape, "y in place")

    def backward(self, dy):
        rows, inverse = self.saved()
        gamma, dgamma = self.along(self.params, "scale"), self.along(self.grads, "scale")
        g = self.rows(dy, "dy")
        dx = self.inplace("dx", g) if self.needs_dx else None
        self.k.rms_norm_grad(g, rows, inverse, gamma, dx=dx, dgamma=dgamma)
        return None if dx is None else self.unrow(dx, dy.shape, "dx in place")
