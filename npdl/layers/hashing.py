"""Hashing and HashedCrossing: tokens, and pairs of them, as one of a few numbers."""

import numpy as np

from npdl.layers import arguments
from npdl.layers.on_host import OnHost, hash_of, mode_of, strings


class Hashing(OnHost):
    """Strings or whole numbers as one of a few numbers, by a hash, on the host, before the model.

        int         y[n, t] = hash(x[n, t]) mod num_bins;  with a mask_value  0 where x is that, else 1 + hash mod
                    (num_bins − 1)
        one_hot, multi_hot, count   as of `StringLookup`, with the bins for the vocabulary

    Nothing has to be known beforehand, and different tokens may share a number. (The hash is not Keras'.)

    Shapes: x (..., T) · y int32 of that shape, or float32 (..., num_bins) (one_hot (..., T, num_bins)).

    Args:
        num_bins: how many numbers there are.
        mask_value: a token that gets 0 alone; None is none.
        salt: a whole number, or two: another one makes another hash.
        output_mode: "int", "one_hot", "multi_hot" or "count".
        sparse: False.

    Raises:
        ValueError: num_bins below 1.
        TypeError: other tokens; a layer inside a model.

    >>> Hashing(3)([["A"], ["B"], ["A"]]).shape
    (3, 1)
    """

    encoding = "utf-8"

    def __init__(self, num_bins, mask_value=None, salt=None, output_mode="int", sparse=False, **base):
        super().__init__(**base)
        self.num_bins = arguments.whole(self, "num_bins", num_bins, "Hashing(1000)")
        self.mask_value, self.output_mode = mask_value, mode_of(self, output_mode)
        self.salt = salt if salt is None or isinstance(salt, int) else tuple(salt)
        self.demand_dense(sparse=sparse)

    def encode(self, inputs):
        tokens = _tokens(self, inputs)
        unique, inverse = np.unique(tokens, return_inverse=True)
        masked = int(self.mask_value is not None)
        bins = max(self.num_bins - masked, 1)
        found = [0 if t == self.mask_value else masked + hash_of(self.salt, t) % bins for t in unique.tolist()]
        return self.coded(np.array(found, np.int64)[inverse].reshape(tokens.shape), self.num_bins)


class HashedCrossing(OnHost):
    """Two features or more as one of a few numbers, by a hash of both together, on the host, before the model.

        int         y[n] = hash(a[n], b[n], ...) mod num_bins
        one_hot     y[n, v] = 1 where that is v

    So a model sees which values come together: a number for "by night, in winter". (The hash is not Keras'.)

    Shapes: a tuple of (N,) or (N, 1), strings or whole numbers · y int32 of that shape, or float32 (N, num_bins).

    Args:
        num_bins: how many numbers there are.
        output_mode: "int" or "one_hot".
        sparse: False.

    Raises:
        ValueError: num_bins below 1, fewer than two features, features of other or different shapes.
        TypeError: other tokens; a layer inside a model.

    >>> layer = HashedCrossing(5)
    >>> y = layer((["A", "B", "A"], [101, 101, 101]))
    >>> bool(y[0] == y[2]), y.shape
    (True, (3,))
    """

    encoding = "utf-8"

    def __init__(self, num_bins, output_mode="int", sparse=False, **base):
        super().__init__(**base)
        self.num_bins = arguments.whole(self, "num_bins", num_bins, "HashedCrossing(1000)")
        self.output_mode = arguments.one_of(self, "output_mode", output_mode, ("int", "one_hot"))
        self.demand_dense(sparse=sparse)

    def encode(self, inputs):
        parts = [_tokens(self, part) for part in inputs] if isinstance(inputs, (tuple, list)) else []
        shapes = {part.shape for part in parts}
        if len(parts) < 2 or len(shapes) > 1 or parts[0].ndim > 2 or parts[0].shape[1:] not in ((), (1,)):
            raise ValueError(
                f"{self.name} crosses two features or more, each (N,) or (N, 1), got {len(parts)} of shapes "
                f"{sorted(shapes)}; pass e.g. layer((a, b))"
            )
        rows = zip(*(part.reshape(-1).tolist() for part in parts))
        ids = np.array([hash_of(None, *row) % self.num_bins for row in rows], np.int64)
        return self.coded(ids.reshape(parts[0].shape), self.num_bins)


def _tokens(layer, inputs):
    """An array of whole numbers, else of strings."""
    tokens = np.asarray(inputs)
    return tokens if tokens.dtype.kind in "iu" else strings(layer, inputs)
