"""CosineSimilarity and PairwiseDistance: how near each other the rows of two inputs are."""

import math
import numbers

from npdl.layers.between_rows import BetweenRows


class CosineSimilarity(BetweenRows):
    """The cosine of the angle between the rows of one input and those of another.

        forward     u = a / ‖a‖,  v = b / ‖b‖,  y = Σ u v                   ‖x‖ = √max(Σ x², 10⁻¹²)
        backward    da = dy (v − u Σ u v) / ‖a‖                             db = dy (u − v Σ u v) / ‖b‖

    Sums are along the last axis. PyTorch's layer has this name; Keras' way to it is `Dot(axes=-1, normalize=True)`,
    which compares every row of a sample with every other.

    Shapes: a, b (N, ..., D) · y (N, ...), or (N, ..., 1) with keepdims and where there is no other axis; x is a list or
    tuple of two arrays, dx a tuple.
    Saves: a, b, u, v, 1/‖a‖ and 1/‖b‖.

    Args:
        keepdims: whether y keeps the last axis, of length 1.

    Raises:
        ValueError: not two inputs of one shape.

    >>> CosineSimilarity().init(input_shape=((5, 8), (5, 8))).output_shape
    (5,)
    """

    def __init__(self, keepdims=False, **base):
        super().__init__(**base)
        self.keepdims = bool(keepdims)

    def forward(self, x, training=False):
        kept = []
        for i, rows in enumerate(self.as_rows(x)):
            unit, inverse = self.buffer(f"unit{i}", rows.shape), self.buffer(f"inverse{i}", (len(rows),))
            self.k.unit_norm(rows, out=unit, inverse=inverse)  # u = a / ‖a‖
            kept.append((rows, unit, inverse))
        product = self.scratch("product", rows.shape)
        self.k.multiply(kept[0][1], kept[1][1], out=product)
        y = self.sum_of_rows("y", product)  # y = Σ u v
        if training:
            self.save(kept, x[0].shape)
        else:
            self.forget()
        return self.result(y, x[0].shape)

    def backward(self, dy):
        (one, other), shape = self.saved()
        dxs = []
        for i, ((rows, _, inverse), (_, unit, _)) in enumerate(((one, other), (other, one))):
            du, dx = self.along_rows(dy, rows.shape[1]), self.buffer(f"dx{i}", shape)
            self.k.multiply(du, unit, out=du)  # du = dy v
            self.k.unit_norm_grad(du, rows, inverse, dx=dx.reshape(rows.shape))
            dxs.append(dx)
        return tuple(dxs)


class PairwiseDistance(BetweenRows):
    """The distance of the rows of one input from those of another.

        forward     e = a − b + ε,  s = Σ |e|ᵖ,  y = s^(1/p)
        backward    da = dy · s^(1/p − 1) |e|^(p − 1) sign(e),  0 where e is 0          db = −da

    Sums are along the last axis. The layer is PyTorch's.

    Shapes: a, b (N, ..., D) · y (N, ...), or (N, ..., 1) with keepdims and where there is no other axis; x is a list or
    tuple of two arrays, dx a tuple.
    Saves: e and s.

    Args:
        p: 2 for the Euclidean distance, 1 for the sum of differences; above 0.
        epsilon: ε, which keeps the gradient finite where the rows are alike.
        keepdims: whether y keeps the last axis, of length 1.

    Raises:
        ValueError: p not above 0 or not finite, epsilon below 0, not two inputs of one shape.

    >>> PairwiseDistance(keepdims=True).init(input_shape=((5, 8), (5, 8))).output_shape
    (5, 1)
    """

    def __init__(self, p=2.0, epsilon=1e-6, keepdims=False, **base):
        super().__init__(**base)
        for argument, value, least in (("p", p, 0), ("epsilon", epsilon, -1)):
            if not isinstance(value, numbers.Real) or not least < value < math.inf or value < 0:
                bound = "above 0" if not least else "of at least 0"
                raise ValueError(
                    f"PairwiseDistance needs {argument} to be a number {bound}, got {argument}={value!r}; "
                    "pass e.g. PairwiseDistance(p=2, epsilon=1e-6)"
                )
        self.p, self.epsilon, self.keepdims = p, epsilon, bool(keepdims)

    def forward(self, x, training=False):
        a, b = self.as_rows(x)
        e, powers = self.buffer("e", a.shape), self.scratch("powers", a.shape)
        self.k.subtract(a, b, out=e)
        self.k.rescale(e, 1.0, self.epsilon, out=e)  # e = a − b + ε
        self.k.power(e, self.p, out=powers)
        s = self.sum_of_rows("s", powers)  # s = Σ |e|ᵖ
        y = self.buffer("y", s.shape)
        self.k.power(s, 1 / self.p, out=y)  # y = s^(1/p)
        if training:
            self.save(e, s, x[0].shape)
        else:
            self.forget()
        return self.result(y, x[0].shape)

    def backward(self, dy):
        e, s, shape = self.saved()
        ds, da, db = self.scratch("ds", s.shape), self.buffer("da", shape), self.buffer("db", shape)
        self.k.power_grad(dy.reshape(s.shape), s, 1 / self.p, out=ds)
        self.k.power_grad(self.along_rows(ds, e.shape[1]), e, self.p, out=da.reshape(e.shape))
        self.k.scale(da, -1.0, out=db)
        return da, db
