"""CategoryEncoding: whole numbers as rows of zeros and ones."""

import math

from npdl.layers import arguments
from npdl.layers.base import Layer
from npdl.layers.merging import check_several


class CategoryEncoding(Layer):
    """Categories as rows that have a place for each.

        one_hot     y[n, ..., v] = 1 where x[n, ...] = v, else 0
        multi_hot   y[n, v] = 1 where v is among x[n], else 0
        count       y[n, v] = how often v is among x[n];  with weights  Σ w[n, t] over the t with x[n, t] = v
        backward    dw[n, t] = dy[n, x[n, t]]

    x are whole numbers, and have no gradient. The weights, Keras' `count_weights`, are a second input: call the layer
    with (x, w).

    Shapes: x (N, T) or (N,), int32 or int64 · w like x · y (N, V); one_hot with T > 1: (N, T, V).
    Saves: x, where there are weights.

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
        if input_shape and isinstance(input_shape[0], (tuple, list)):
            input_shape = self._weighted(input_shape)
        *before, last = input_shape or (1,)
        if self.output_mode == "one_hot" and last != 1:
            return (*input_shape, self.num_tokens)
        if self.output_mode != "one_hot" and last is None:
            raise ValueError(
                f"{self.name}: the last axis must have a fixed length, got {tuple(input_shape)}; "
                'pass e.g. layers.Input((5,), dtype="int32"), or output_mode="one_hot"'
            )
        return (*before, self.num_tokens)

    def _weighted(self, shapes):
        """The shape of x, of a pair of inputs."""
        if self.output_mode != "count" or len(shapes) != 2 or tuple(shapes[0]) != tuple(shapes[1]):
            raise ValueError(
                f'{self.name}: CategoryEncoding takes x, and with output_mode="count" weights of its shape, got '
                f"output_mode={self.output_mode!r} and inputs of shapes {', '.join(map(str, map(tuple, shapes)))}"
            )
        self.reads_integers = [True, False]
        return tuple(shapes[0])

    def check(self, x, expected=None):
        if isinstance(x, (tuple, list)):
            check_several(self, x)
        else:
            super().check(x, expected)

    def forward(self, x, training=False):
        x, weights = x if isinstance(x, (tuple, list)) else (x, None)
        if x.dtype.name not in ("int32", "int64"):
            raise TypeError(f"{self.name} reads categories, int32 or int64, got {x.dtype}; pass x.astype('int32')")
        if weights is not None and weights.dtype != self.dtype:
            name = self.dtype.name
            raise TypeError(f"{self.name} takes weights in {name}, got {weights.dtype}; pass w.astype({name!r})")
        each = x.shape[-1] if self.output_mode != "one_hot" and len(x.shape) > 1 else 1
        ids = x.reshape(math.prod(x.shape) // max(each, 1), each)
        weights = None if weights is None else weights.reshape(ids.shape)
        y = self.buffer("y", (len(ids), self.num_tokens))
        try:
            self.k.count_ids(ids, out=y, most=None if self.output_mode == "count" else 1, weights=weights)
        except IndexError as error:
            raise IndexError(
                f"{self.name} has num_tokens={self.num_tokens}: {error}; "
                "pass numbers below num_tokens, or make it one more than the largest"
            ) from None
        if training:
            self.save(None if weights is None else (ids, x.shape))
        else:
            self.forget()
        alone = self.output_mode == "one_hot" and (len(x.shape) == 1 or x.shape[-1] != 1)
        return y.reshape((*(x.shape if alone else x.shape[:-1] or x.shape), self.num_tokens))

    def backward(self, dy):
        saved = self.saved()
        if saved is None:
            return None
        ids, shape = saved
        dw = self.buffer("dw", shape)
        self.k.count_ids_grad(dy.reshape(len(ids), self.num_tokens), ids, out=dw.reshape(ids.shape))
        return None, dw
