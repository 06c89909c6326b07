"""Dot: products of the samples of two inputs."""

import numbers

from npdl.layers.base import Layer
from npdl.layers.merging import check_several
from npdl.layers.unit_normalization import UnitNormalization


class Dot(Layer):
    """The dot product of each sample of one input with that of another, along one axis of each.

        forward     y[n, i, j] = Σₖ a[n, i, k] b[n, j, k]       i, j: all other axes of a and of b
        backward    da[n, i, k] = Σⱼ dy[n, i, j] b[n, j, k]     db[n, j, k] = Σᵢ dy[n, i, j] a[n, i, k]

    With `normalize` a and b are first divided by their length along that axis: y is the cosine of their angle.

    Shapes: a (N, ...) and b (N, ...) · y (N, the other axes of a, the other axes of b), (N, 1) where there are none; x
    is a list or tuple of two arrays, dx a tuple.
    Saves: a and b.

    Args:
        axes: of a and of b, or one number for both; counted with the batch as 0, or from the end.
        normalize: whether to divide by the lengths (`UnitNormalization`).

    Raises:
        ValueError: not two inputs, axes that they do not have or of different length.

    >>> Dot(axes=2).init(input_shape=((5, 4), (7, 4))).output_shape
    (5, 7)
    """

    def __init__(self, axes, normalize=False, **base):
        super().__init__(**base)
        pair = tuple(axes) if isinstance(axes, (tuple, list)) else (axes, axes)
        if len(pair) != 2 or any(not isinstance(a, numbers.Integral) or isinstance(a, bool) or a == 0 for a in pair):
            raise ValueError(
                f"Dot: axes must be a whole number other than 0, which counts samples, or a pair of them, got "
                f"{axes!r}; pass e.g. axes=1, or axes=(2, 1)"
            )
        self.axes, self.normalize = axes if isinstance(axes, numbers.Integral) else pair, bool(normalize)
        self.units = [UnitNormalization(axis) for axis in pair] if normalize else []
        self.name = self.name  # the layers inside take theirs

    @property
    def name(self):
        """Shown in errors and `summary()`."""
        return self._name

    @name.setter
    def name(self, value):
        self._name = value
        for place, unit in enumerate(getattr(self, "units", ())):
            unit.name = f"{value}/unit_normalization{f'_{place}' * bool(place)}"

    def walk(self):
        yield self
        yield from self.units

    def build(self, input_shape):
        shapes = input_shape
        if not isinstance(shapes, (tuple, list)) or len(shapes) != 2 or not all(map(_is_shape, shapes)):
            raise ValueError(
                f"{self.name}: Dot needs the shapes of two inputs, got input_shape={input_shape}; "
                "pass a list, e.g. layers.Dot(axes=1)([a, b])"
            )
        pair, at = self.axes if isinstance(self.axes, tuple) else (self.axes,) * 2, []
        for shape, axis in zip(shapes, pair, strict=True):
            at.append(axis - 1 if axis > 0 else axis + len(shape))
            if not 0 <= at[-1] < len(shape):
                raise ValueError(
                    f"{self.name}: samples of shape {tuple(shape)} have the axes 1 to {len(shape)}, counted with the "
                    f"batch as 0, got axes={self.axes}; pass e.g. axes=-1, the last one"
                )
        lengths = [shape[i] for shape, i in zip(shapes, at, strict=True)]
        if lengths[0] != lengths[1]:
            raise ValueError(
                f"{self.name}: Dot multiplies axes of one length, got {lengths[0]} and {lengths[1]} in samples of "
                f"shapes {tuple(shapes[0])} and {tuple(shapes[1])}; pass other axes"
            )
        for unit, shape in zip(self.units, shapes):
            unit.build_once(tuple(shape))
        letters = iter("abcdefghijlmopqrstuvwxyz")
        a, b = (["k" if i == k else next(letters) for i in range(len(shape))] for shape, k in zip(shapes, at))
        y = [one for one in (*a, *b) if one != "k"]
        self.letters = ["n" + "".join(part) for part in (a, b, y)]
        self.length = lengths[0]
        kept = [size for part, shape in zip((a, b), shapes) for one, size in zip(part, shape) if one != "k"]
        return tuple(kept) or (1,)

    def flops(self):
        return 2 * (self.length or 1) * super().flops()

    def check(self, x, expected=None):
        check_several(self, x)

    def compute_mask(self, x, mask=None):
        """None, as in Keras: the axes of y are no steps."""
        return None

    def forward(self, x, training=False):
        a, b = (unit.forward(one, training) for unit, one in zip(self.units, x)) if self.units else x
        sizes = dict(zip("".join(self.letters[:2]), (*a.shape, *b.shape)))
        y = self.buffer("y", tuple(sizes[one] for one in self.letters[2]))
        self.k.einsum(a, b, "{},{}->{}".format(*self.letters), out=y)  # y = Σₖ a b
        if training:
            self.save(a, b)
        else:
            self.forget()
        return y if len(y.shape) > 1 else y.reshape(-1, 1)

    def backward(self, dy):
        a, b = self.saved()
        left, right, out = self.letters
        dy = dy if len(out) > 1 else dy.reshape(-1)
        da, db = self.buffer("da", a.shape), self.buffer("db", b.shape)
        self.k.einsum(dy, b, f"{out},{right}->{left}", out=da)  # da = Σⱼ dy b
        self.k.einsum(dy, a, f"{out},{left}->{right}", out=db)  # db = Σᵢ dy a
        if self.units:
            da, db = (unit.backward(one) for unit, one in zip(self.units, (da, db)))
        return da, db


def _is_shape(shape):
    return isinstance(shape, (tuple, list))
