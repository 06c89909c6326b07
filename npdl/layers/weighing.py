"""What attention layers without projections share: scores by products or by sums, and the average of the values."""

from npdl import activations
from npdl.layers import several
from npdl.layers.scoring import Scoring


class Weighing(Scoring):
    """y = (P m) value, P = softmax(S), as the docstrings of the layers say.

    A subclass declares its weights in `add_weights`, gives S as products of q and k by `compared`, for which
    `concatenated` may serve, and takes their gradients in `compared_grad`. With `concatenated` it says what sums are
    weighed with by `vector` and `vector_grad`.
    """

    ruled, drops_scores, heads = ("activity",), True, {"query": 1}
    operations = 4  # for each feature of a pair, without the products with the values

    def add_weights(self, size):
        """Declare the weights, for so many features."""

    def compared_grad(self, dq, dk, query, key, *kept):
        """dquery and dkey, from what `compared` gave; assigns the gradients of weights."""
        raise NotImplementedError(f"{type(self).__name__} needs compared_grad(self, dq, dk, query, key, *kept)")

    def vector(self, size):
        """What sums are weighed with, (D, 1)."""
        raise NotImplementedError(f"{type(self).__name__} needs vector(self, size)")

    def vector_grad(self, dc):
        """Assigns its gradient, from dc (D, 1)."""

    def build(self, input_shape):
        query, value, key = several.query_value_key(self, input_shape)
        kind, self.first = f"{self.name}: {type(self).__name__}", 1
        if len(query) != 2 or query[-1] != key[-1]:
            raise ValueError(
                f"{kind} compares queries and keys, (places, features) of one number of features, got samples of "
                f"shapes {query} and {key}; put a Dense before one of them, or use layers.MultiHeadAttention"
            )
        self.add_weights(query[-1])
        y, p = (query[0], value[-1]), (query[0], key[0])
        return (y, p) if self.return_attention_scores else y

    def shape_of_scores(self, query, key):
        return query[0], query[1], key[1]

    def flops(self):
        query, value, key = several.query_value_key(self, self.input_shape)
        pairs = (query[0] or 1) * (key[0] or 1)
        return pairs * (2 * value[-1] + self.operations * query[-1])

    def forward(self, x, training=False, mask=None):
        query, value, key = self.query_value_key(x)
        how = self.how(x, mask, self.varies(training))
        q, k, *kept = self.compared(query, key)
        v = value.reshape(*value.shape[:2], 1, value.shape[2])
        y = self.buffer("y", (*query.shape[:2], value.shape[2]))
        self.k.attention(q, k, v, 1.0, out=y.reshape(*q.shape[:3], v.shape[3]), **how)  # y = (P m) value
        p = self.scores(q, k, how, query, key) if self.return_attention_scores else None
        penalized = self.penalize(y)
        if training:
            self.save(query, key, q, k, v, kept, how, penalized)
        else:
            self.forget()
        return y if p is None else (y, p)

    def backward(self, dy):
        query, key, q, k, v, kept, how, penalized = self.saved()
        dy, dp = dy if self.return_attention_scores else (dy, None)
        dy = self.zeros_for(dy, (*q.shape[:2], v.shape[3]))
        dy = self.with_penalty(dy, penalized).reshape(*q.shape[:3], v.shape[3])
        dq, dk, dv = (self.buffer(name, of.shape) for name, of in (("dq", q), ("dk", k), ("dv", v)))
        self.k.attention_grad(dy, q, k, v, 1.0, dq=dq, dk=dk, dv=dv, **how)
        self.add_scores_grad(dp, q, k, how, dq, dk)
        dquery, dkey = self.compared_grad(dq, dk, query, key, *kept)
        return self.given_back(dquery, dv.reshape(*v.shape[:2], v.shape[3]), dkey)

    def given_back(self, dquery, dvalue, dkey):
        """dx, from the gradients of the three: those that are one input are added up."""
        inputs = several.count(self.input_shape)
        if inputs < 3:
            self.k.add(dvalue, dkey, out=dvalue)
        if inputs == 1:
            self.k.add(dquery, dvalue, out=dquery)
        return dquery if inputs == 1 else (dquery, dvalue, dkey)[:inputs]

    # ---- scores by sums

    def concatenated(self, query, key):
        """S[t, s] = Σ c tanh(query[t] + key[s]) as q, and unit vectors as k, whose products they are; and h."""
        (n, t, size), s = query.shape, key.shape[1]
        h, other = self.buffer("h", (n, t, s, size)), self.scratch("other", (n, t, s, size))
        self.k.repeat(query.reshape(n, t, 1, size), (1, s), out=h)
        self.k.repeat(key.reshape(n, 1, s, size), (t, 1), out=other)
        self.k.add(h, other, out=h, activation=activations.tanh)
        q = self.buffer("scores", (n, t, 1, s))
        self.k.matmul(h.reshape(n * t * s, size), self.vector(size), out=q.reshape(n * t * s, 1))
        return q, self.unit(n, s), h

    def concatenated_grad(self, ds, h):
        """dquery and dkey of `concatenated`; assigns dc."""
        n, t, s, size = h.shape
        ds, rows, dz = ds.reshape(n * t * s, 1), h.reshape(n * t * s, size), self.scratch("dz", h.shape)
        dc = self.scratch("dc", (size, 1))
        self.k.matmul(rows, ds, out=dc, transpose_a=True)  # dc = Σ dS h
        self.vector_grad(dc)
        self.k.matmul(ds, self.vector(size), out=dz.reshape(rows.shape), transpose_b=True)
        self.k.activation_grad(dz, h, activations.tanh, out=dz)  # dz = dS c (1 − h²)
        dq, dk = self.buffer("dq summed", (n, t, size)), self.buffer("dk summed", (n, s, size))
        self.k.repeat_grad(dz, (1, s), out=dq.reshape(n, t, 1, size))  # Σₛ dz
        self.k.repeat_grad(dz, (t, 1), out=dk.reshape(n, 1, s, size))  # Σₜ dz
        return dq, dk
