"""Normalization: features with mean 0 and variance 1, after the data seen beforehand."""

import numpy as np

from npdl.layers.base import Layer

EPSILON = 1e-7  # the least deviation that is divided by
BLOCK = 1 << 16  # numbers, about, of the blocks that `adapt` sums up


class Normalization(Layer):
    """Subtract a mean and divide by a deviation that are known before training, and stay.

        forward     y = (x − μ) / σ         σ = max(√v, 1e-7);      with invert  y = x σ + μ
        backward    dx = dy / σ                                     with invert  dx = dy σ

    μ and v are given, or taken from data by `adapt`. Nothing here learns.

    Shapes: x, y (N, ...) · mean μ, variance v: the sizes of x along `axis`.
    Saves: nothing; the gradient does not depend on x.

    Args:
        axis: of the features, each with a mean of its own: one, several, or None for one mean of all numbers; the batch
            counts as axis 0, and cannot be one.
        mean, variance: numbers, or lists that broadcast against the sizes along `axis`; both or none.
        invert: go back from normalised numbers.

    Raises:
        ValueError: an axis that samples do not have, a mean without a variance or of a shape that does not fit.

    >>> layer = Normalization()
    >>> layer.adapt(np.array([[0.0, 7.0], [2.0, 9.0]]))
    >>> layer(np.array([[1.0, 10.0]])).tolist()
    [[0.0, 2.0]]
    """

    def __init__(self, axis=-1, mean=None, variance=None, invert=False, **base):
        super().__init__(**base)
        self.axis = None if axis is None else axis if isinstance(axis, int) else tuple(axis)
        if np.shape(mean) != np.shape(variance) or (mean is None) != (variance is None):
            raise ValueError(
                f"Normalization needs mean and variance together, of one shape, got mean={mean!r}, "
                f"variance={variance!r}; pass both, or none and call adapt(data)"
            )
        self.mean, self.variance = (None if part is None else np.asarray(part).tolist() for part in (mean, variance))
        self.invert = bool(invert)

    def build(self, input_shape):
        axes = () if self.axis is None else (self.axis,) if isinstance(self.axis, int) else self.axis
        rank = len(input_shape) + 1
        self.kept = tuple(sorted(axis + rank if axis < 0 else axis for axis in axes))
        inside = all(0 < axis < rank and input_shape[axis - 1] is not None for axis in self.kept)
        if not inside or len(set(self.kept)) < len(self.kept):
            raise ValueError(
                f"{self.name}: axis={self.axis} does not name axes of fixed length, each once, of data of shape "
                f"{(None, *input_shape)}; leave the batch, axis 0, out, and pass axis=None for one mean of all numbers"
            )
        sizes = tuple(input_shape[axis - 1] for axis in self.kept)
        self.spread = tuple(size if axis in self.kept else 1 for axis, size in enumerate(input_shape, 1))
        if self.mean is None:
            for name, initializer in (("mean", "zeros"), ("variance", "ones")):
                self.add_weight(sizes, initializer, name=name, trainable=False)
            self.add_weight((), "zeros", name="count", trainable=False)  # of samples; Keras has it, and 0 in it
        else:
            try:
                self.given = [np.broadcast_to(part, sizes).reshape(self.spread) for part in (self.mean, self.variance)]
            except ValueError:
                raise ValueError(
                    f"{self.name}: mean and variance of shape {np.shape(self.mean)} do not fit features of shape "
                    f"{sizes}, those of axis={self.axis}; pass one for each, or axis=None for one of all"
                ) from None
        return input_shape

    def adapt(self, data):
        """Take mean and variance from data: two passes over blocks of samples, combined in their order in float64.

        The blocks depend on the shape of a sample alone, so the same samples give the same bits however they are cut
        into batches.

        Args:
            data: an array of samples, or an iterable of batches x or (x, ...), or a function that returns one.
        """
        if self.mean is not None:
            raise ValueError(f"{self.name} was given its mean and variance; leave them out to adapt it to data")
        count, rest, moments = 0, None, (0, 0.0, 0.0)
        for batch in _batches(data):
            x = np.asarray(batch[0] if isinstance(batch, tuple) else batch)
            if self.store is None:
                self.init(x.shape[1:], dtype="float64" if x.dtype == np.float64 else "float32", seed=0)
            self.check_shape(x.shape[1:])
            rest, count = x if rest is None else np.concatenate([rest, x]), count + len(x)
            rows = max(BLOCK // max(x[:1].size, 1), 1)
            while len(rest) >= rows:
                moments, rest = self._combined(moments, rest[:rows]), rest[rows:]
        if not count:
            raise ValueError(f"{self.name}: adapt got no samples; pass an array, or an iterable of batches")
        n, mean, squares = self._combined(moments, rest) if len(rest) else moments
        values = mean, squares / n, count
        self.set_weights([np.reshape(part, array.shape) for part, array in zip(values, self.state.values())])

    def _combined(self, moments, block):
        """(n, mean, Σ (x − mean)²) of all that came before and of a block, after Chan."""
        rest = [axis for axis in range(block.ndim) if axis not in self.kept]
        rows = np.ascontiguousarray(block.transpose(*rest, *self.kept), np.float64)
        rows = rows.reshape(-1, max(int(np.prod(self.spread)), 1))
        if not np.isfinite(rows).all():
            raise ValueError(f"{self.name}: adapt got data with NaN or infinity in them; drop those samples first")
        mean, variance = np.empty(rows.shape[1]), np.empty(rows.shape[1])
        self.k.batch_norm_statistics(rows, mean=mean, variance=variance)
        before, old, sums = moments
        n, apart = before + len(rows), mean - old
        squares = sums + variance * len(rows) + apart * apart * (before * len(rows) / n)
        return n, old + apart * (len(rows) / n), squares

    def _moments(self):
        """μ and v, as they broadcast against a sample."""
        if self.mean is not None:
            return [np.ascontiguousarray(part, self.dtype) for part in self.given]
        return [self.state[name].reshape(self.spread) for name in ("mean", "variance")]

    def forward(self, x, training=False):
        mean, variance = self._moments()
        y = self.buffer("y", x.shape)
        self.k.standardize(x, mean, variance, EPSILON, out=y, invert=self.invert)  # y = (x − μ) / σ
        if training:
            self.save()
        else:
            self.forget()
        return y

    def backward(self, dy):
        self.saved()  # raises where there was no forward
        dx = self.inplace("dx", dy)
        self.k.standardize_grad(dy, self._moments()[1], EPSILON, out=dx, invert=self.invert)  # dx = dy / σ
        return dx


def _batches(data):
    """Batches from an array, an iterable of batches (one of `__getitem__` too), or a function that returns one."""
    data = data() if callable(data) and not hasattr(data, "__getitem__") else data
    if hasattr(data, "to_numpy"):
        data = data.to_numpy()
    listed = (
        isinstance(data, list) and data and not any(hasattr(part, "shape") or isinstance(part, tuple) for part in data)
    )
    return [np.asarray(data)] if hasattr(data, "shape") or listed else data
