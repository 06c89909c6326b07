"""Embedding: a vector for each number."""

from npdl import initializers
from npdl.layers import arguments
from npdl.layers.base import Layer


class Embedding(Layer):
    """A table of vectors, one for each index; its rows are learnt.

        forward     y[n, t] = E[x[n, t]]
        backward    dE[v] = Σ dy[n, t] over the places where x[n, t] = v;       x has no gradient

    A row that a batch does not name gets a gradient of 0. The sum runs through the batch in its order, so that its
    bits depend on nothing else.

    Shapes: x (N, ...), int32 or int64 · embeddings E (V, D) · y (N, ..., D).
    Saves: x.

    Args:
        input_dim: number of different indices V: 0 ... V − 1.
        output_dim: length of a vector D.
        embeddings_initializer: name or `npdl.initializers` object.
        embeddings_regularizer, activity_regularizer: name or `npdl.regularizers` object.
        embeddings_constraint: name or `npdl.constraints` object.
        mask_zero: whether the index 0 is padding: later layers, loss and metrics then leave those steps out.

    Raises:
        ValueError: input_dim or output_dim below 1.
        IndexError: an index outside 0 ... V − 1.
        TypeError: x are no whole numbers.

    >>> Embedding(1000, 64).init(input_shape=(10,), seed=0).output_shape
    (10, 64)
    """

    reads_integers = True
    ruled = ("embeddings", "activity")
    counted = "input_dim"  # the argument that is V

    def __init__(self, input_dim, output_dim, embeddings_initializer="uniform", *, mask_zero=False, **base):
        super().__init__(**base)
        self.input_dim = arguments.whole(self, "input_dim", input_dim, "Embedding(1000, 64)")
        self.output_dim = arguments.whole(self, "output_dim", output_dim, "Embedding(1000, 64)")
        self.embeddings_initializer, self.mask_zero = initializers.get(embeddings_initializer), bool(mask_zero)
        self.makes_mask = self.mask_zero

    def build(self, input_shape):
        self.add_weight((self.input_dim, self.output_dim), self.embeddings_initializer, name="embeddings")
        return (*input_shape, self.output_dim)

    def check(self, x, expected=None):
        super().check(x, expected)
        self._check_type(x)

    def _check_type(self, x):
        if x.dtype.name not in ("int32", "int64"):
            raise TypeError(f"{self.name} reads indices, int32 or int64, got {x.dtype}; pass x.astype('int32')")

    def flops(self):
        return 0

    def forward(self, x, training=False):
        self._check_type(x)
        y = self.buffer("y", (*x.shape, self.output_dim))
        try:
            self.vectors(x, y)
        except IndexError as error:
            raise IndexError(
                f"{self.name} has {self.counted}={self.input_dim}: {error}; "
                f"pass indices below {self.counted}, or make it one more than the largest"
            ) from None
        output = self.penalize(y)
        if training:
            self.save(x, output)
        else:
            self.forget()
        return y

    def backward(self, dy):
        x, output = self.saved()
        dy = self.with_penalty(dy, output)
        self.vectors_grad(dy, x)
        return None

    def vectors(self, x, out):
        """out = E[x]"""
        self.k.embedding(x, self.params["embeddings"], out=out)

    def vectors_grad(self, dy, x):
        """dE[v] = Σ dy where x = v"""
        self.k.embedding_grad(dy, x, out=self.grads["embeddings"])

    def compute_mask(self, x, mask=None):
        """Where there is a step: x ≠ 0, bool of the shape of x, with `mask_zero`; else None."""
        if not self.mask_zero:
            return None
        found = self.buffer("mask", x.shape, "bool")
        self.k.not_zero(x, out=found)
        return found
