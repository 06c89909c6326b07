"""CategoryEncoding: whole numbers as rows of zeros and ones."""

import math

from npdl.layers import arguments
from npdl.layers.base import Layer


class CategoryEncoding(Layer):
    """Categories as rows that have a place for each.

        one_hot     y[n, ..., v] = 1 where x[n, ...] = v, else 0
        multi_hot   y[n, v] = 1 where v is among x[n], else 0
        count       y[n, v] = how often v is among x[n]

    x are whole numbers, so there is no gradient. Keras' `count_weights`, a second input, is not there: multiply by an
    Embedding instead.

    Shapes: x (N, T) or (N,), int32 or int64 · y (N, V); one_hot with T > 1: (N, T, V).
    Saves: nothing.

    Args:
        num_tokens: number of categories V: x lies in 0 ... V − 1.
        output_mode: "multi_hot", "one_hot" or "count".
        sparse: False.

    Raises:
        ValueError: num_tokens below 1, another output_mode, sparse=True.
        IndexError: a number outside 0 ... V − 1.
        TypeError: x are no whole numbers.

    >>> CategoryEncoding(10, output_mode="one_hot").init(input_shape=(1,)).output_shape
    (10,)
    """

    reads_integers = True

    def __init__(self, num_tokens=None, output_mode="multi_hot", sparse=False, **base):
        super().__init__(**base)
        self.num_tokens = arguments.whole(self, "num_tokens", num_tokens, "CategoryEncoding(10)")
        mode = "multi_hot" if output_mode == "binary" else output_mode
        self.output_mode = arguments.one_of(self, "output_mode", mode, ("one_hot", "multi_hot", "count"))
        if sparse:
            raise ValueError("CategoryEncoding makes arrays, got sparse=True; leave sparse out")
        self.sparse = False

    def build(self, input_shape):
        *before, last = input_shape or (1,)
        if self.output_mode == "one_hot" and last != 1:
            return (*input_shape, self.num_tokens)
        if self.output_mode != "one_hot" and last is None:
            raise ValueError(f"{self.name}: the last axis must have a fixed length, got {tuple(input_shape)}")
        return (*before, self.num_tokens)

    def forward(self, x, training=False):
        if x.dtype.name not in ("int32", "int64"):
            raise TypeError(f"{self.name} reads categories, int32 or int64, got {x.dtype}; pass x.astype('int32')")
        each = x.shape[-1] if self.output_mode != "one_hot" and len(x.shape) > 1 else 1
        ids = x.reshape(math.prod(x.shape) // max(each, 1), each)
        y = self.buffer("y", (len(ids), self.num_tokens))
        try:
            self.k.count_ids(ids, out=y, most=None if self.output_mode == "count" else 1)
        except IndexError as error:
            raise IndexError(
                f"{self.name} has num_tokens={self.num_tokens}: {error}; "
                "pass numbers below num_tokens, or make it one more than the largest"
            ) from None
        if training:
            self.save()
        else:
            self.forget()
        alone = self.output_mode == "one_hot" and (len(x.shape) == 1 or x.shape[-1] != 1)
        return y.reshape((*(x.shape if alone else x.shape[:-1] or x.shape), self.num_tokens))

    def backward(self, dy):
        self.saved()  # raises where there was no forward
        return None
