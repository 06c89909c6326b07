"""LayerNormalization: each row of a sample with mean 0 and variance 1."""

from npdl.layers.normalizing import RowLayer


class LayerNormalization(RowLayer):
    """Layer normalization: subtract a row's mean, divide by its deviation, scale and shift each feature.

        forward     x̂ = (x − μ) / σ        μ = Σ x / D     σ = √(Σ (x − μ)² / D + ε)       y = γ x̂ + β
        backward    g = γ dy
                    dβ = Σ dy       dγ = Σ dy x̂     over all rows
                    dx = (g − Σ g / D − x̂ Σ g x̂ / D) / σ

    A row is the D numbers of a sample along `axis`, at one place of the other axes; sums are over a row. Training and
    inference do the same, and no sample sees another.

    Shapes: x, y (N, ...) · gamma γ, beta β: the lengths along `axis`.
    Saves: x, and μ and 1/σ of each row, to make x̂ again.

    Args:
        axis: whole number or list, counted with the batch as 0: -1 for the features, [1, 2, 3] for a whole image.
        epsilon: ε.
        center, scale: whether there is a β, a γ.
        beta_initializer, gamma_initializer: name or `npdl.initializers` object.
        gamma_regularizer, beta_regularizer: name or `npdl.regularizers` object.
        gamma_constraint, beta_constraint: name or `npdl.constraints` object.

    Raises:
        TypeError, ValueError: an axis that samples do not have, or of free length; epsilon below 0.

    Reference: Ba, Kiros and Hinton, Layer Normalization, 2016.

    >>> LayerNormalization(axis=[1, 2]).init(input_shape=(5, 8)).params["gamma"].shape
    (5, 8)
    """

    ruled = ("gamma", "beta")

    def __init__(
        self, axis=-1, epsilon=1e-3, center=True, scale=True, beta_initializer="zeros", gamma_initializer="ones", **base
    ):
        super().__init__(axis, **base)
        self.keep_affine(epsilon, center, scale, beta_initializer, gamma_initializer)

    def build(self, input_shape):
        self.build_rows(input_shape)
        self.add_affine()
        return input_shape

    def forward(self, x, training=False):
        gamma, beta = self.along(self.params, "gamma"), self.along(self.params, "beta")
        rows = self.rows(x, "x")
        y = self.buffer("y", rows.shape)
        mean, inverse = (self.buffer(name, (len(rows),)) for name in ("mean", "inverse"))
        self.k.layer_norm(rows, gamma, beta, self.epsilon, out=y, mean=mean, inverse=inverse)  # y = γ (x − μ)/σ + β
        if training:
            self.save(rows, mean, inverse)
        else:
            self.forget()
        return self.unrow(y, x.shape, "y in place")

    def backward(self, dy, shortcut=None):
        """dx, + the gradient of a way around this layer, where the axis is the last one."""
        rows, mean, inverse = self.saved()
        dgamma, dbeta = self.along(self.grads, "gamma"), self.along(self.grads, "beta")
        g = self.rows(dy, "dy")
        dx = self.inplace("dx", g) if self.needs_dx else None
        more = {} if shortcut is None else {"add": shortcut.reshape(rows.shape)}
        self.k.layer_norm_grad(
            g, rows, mean, inverse, self.along(self.params, "gamma"), dx=dx, dgamma=dgamma, dbeta=dbeta, **more
        )
        return None if dx is None else self.unrow(dx, dy.shape, "dx in place")
