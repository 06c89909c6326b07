"""UnitNormalization: each row of a sample with length 1."""

from npdl.layers.normalizing import RowLayer


class UnitNormalization(RowLayer):
    """Unit normalization: divide a row by its Euclidean length.

        forward     y = x / ‖x‖        ‖x‖ = √max(Σ x², 10⁻¹²)
        backward    dx = (dy − y Σ dy y) / ‖x‖,     or dy / ‖x‖ where the row is shorter than 10⁻⁶

    A row is the D numbers of a sample along `axis`, at one place of the other axes; sums are over a row.

    Shapes: x, y (N, ...).
    Saves: x, and 1/‖x‖ of each row.

    Args:
        axis: whole number or list, counted with the batch as 0.

    Raises:
        TypeError, ValueError: an axis that samples do not have, or of free length.

    >>> UnitNormalization().init(input_shape=(5, 8)).output_shape
    (5, 8)
    """

    def build(self, input_shape):
        self.build_rows(input_shape)
        return input_shape

    def forward(self, x, training=False):
        rows = self.rows(x, "x")
        y, inverse = self.buffer("y", rows.shape), self.buffer("inverse", (len(rows),))
        self.k.unit_norm(rows, out=y, inverse=inverse)  # y = x / ‖x‖
        if training:
            self.save(rows, inverse)
        else:
            self.forget()
        return self.unrow(y, x.shape, "y in place")

    def backward(self, dy):
        rows, inverse = self.saved()
        if not self.needs_dx:
            return None
        g = self.rows(dy, "dy")
        dx = self.inplace("dx", g)
        self.k.unit_norm_grad(g, rows, inverse, dx=dx)
        return self.unrow(dx, dy.shape, "dx in place")
