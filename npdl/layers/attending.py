"""What attention layers share: projections to heads, their attention, and the way back."""

import math

from npdl.layers import several
from npdl.layers.scoring import Scoring


class Attending(Scoring):
    """A layer that projects (query, value, key) to heads, lets them attend, and projects what comes out.

    A subclass keeps kernel_initializer, bias_initializer and use_bias, calls `keep_how`, sets `heads` and `sizes` of
    its projections by their names, and in `build` calls `build_heads`. The formulas stand there.
    """

    ruled = ("kernel", "bias", "activity")

    def build_heads(self, input_shape, asked=None, first=1):
        """Declare the weights; one sample's output shape.

        Args:
            asked: shape of the outputs at a place; None for the query's width.
            first: the first axis that attends, the batch being 0; all after it do but the last.
        """
        query, value, key = several.query_value_key(self, input_shape)
        self.first, asked = first, query[-1:] if asked is None else asked
        self.factor = 1 / math.sqrt(self.sizes["query"])
        for name, shape in (("query", query), ("key", key), ("value", value)):
            heads = self.heads[name], self.sizes[name]
            self._declare(name, (shape[-1], *heads), heads)
        self._declare("attention_output", (self.heads["query"], self.sizes["value"], *asked), asked)
        y = (*query[:-1], *asked)
        return (y, self.shape_of_scores((None, *query), (None, *key))[1:]) if self.return_attention_scores else y

    def _declare(self, name, kernel, bias):
        rules = self.kernel_regularizer, self.kernel_constraint
        self.add_weight(kernel, self.kernel_initializer, f"{name}/kernel", True, *rules)
        if self.use_bias:
            rules = self.bias_regularizer, self.bias_constraint
            self.add_weight(bias, self.bias_initializer, f"{name}/bias", True, *rules)

    def flops(self):
        shapes = several.query_value_key(self, self.input_shape)
        axes = shapes[0][:-1], shapes[1][:-1], shapes[1][self.first - 1 : -1]
        t, s, seen = (math.prod(n or 1 for n in sizes) for sizes in axes)
        rows = {"query": t, "key": s, "value": s, "attention_output": t}
        products = sum(rows[name] * self.params[f"{name}/kernel"].size for name in rows)
        return 2 * (products + t * seen * self.heads["query"] * (self.sizes["query"] + self.sizes["value"]))

    def compared(self, query, key):
        return self._project(query, "query"), self._project(key, "key")

    def forward(self, x, training=False, mask=None, shortcut=None):
        """y; y + shortcut in one pass over memory, for a layer with a way around this one."""
        query, value, key = self.query_value_key(x)
        how = self.how(x, mask, self.varies(training))
        (q, k), v = self.compared(query, key), self._project(value, "value")
        a = self.buffer("attended", (*q.shape[:3], v.shape[3]))
        self.k.attention(q, k, v, self.factor, out=a, **how)  # a = softmax(q kᵀ / √D) v
        rows = a.reshape((*query.shape[:-1], a.shape[2] * a.shape[3]))
        y = self._times(rows, "attention_output", "y", shortcut)  # y = a Wo + bo
        p = self.scores(q, k, how, query, key) if self.return_attention_scores else None
        penalized = self.penalize(y)
        if training:
            self.save(query, value, key, q, k, v, rows, how, penalized)
        else:
            self.forget()
        y = y.reshape((*query.shape[:-1], *self.params["attention_output/kernel"].shape[2:]))
        return y if p is None else (y, p)

    def backward(self, dy, shortcut=None):
        """dx, + the gradient of a way around this layer."""
        query, value, key, q, k, v, rows, how, penalized = self.saved()
        dy, dp = dy if self.return_attention_scores else (dy, None)
        dy = self.zeros_for(dy, (*query.shape[:-1], math.prod(self.params["attention_output/kernel"].shape[2:])))
        dy = self.with_penalty(dy if penalized is None else dy.reshape(penalized.shape), penalized)
        da = self._times_grad(rows, dy, "attention_output").reshape((*q.shape[:3], v.shape[3]))
        dq, dk, dv = (self.buffer(name, of.shape) for name, of in (("dq", q), ("dk", k), ("dv", v)))
        self.k.attention_grad(da, q, k, v, self.factor, dq=dq, dk=dk, dv=dv, **how)
        self.add_scores_grad(dp, q, k, how, dq, dk)
        inputs = several.count(self.input_shape)
        dkey = self._times_grad(key, dk, "key", shortcut if inputs == 1 else None)
        dvalue = self._times_grad(value, dv, "value", dkey if inputs < 3 else None)  # one array: a sum of gradients
        dquery = self._times_grad(query, dq, "query", dvalue if inputs == 1 else shortcut)
        if not self.needs_dx:
            return None
        return dquery if inputs == 1 else (dquery, dvalue, dkey)[:inputs]

    # ---- projections: z = x W + b, with the kernel as a matrix

    def _project(self, x, name):
        """Heads (samples, places, heads, size) of x (N, ..., d)."""
        samples, places = math.prod(x.shape[: self.first]), math.prod(x.shape[self.first : -1])
        return self._times(x, name, name).reshape((samples, places, self.heads[name], self.sizes[name]))

    def _times(self, x, name, result, more=None):
        W, b = self._matrix(self.params, name, x.shape[-1]), self.params.get(f"{name}/bias")
        z = self.buffer(result, (*x.shape[:-1], W.shape[1]))
        self.k.matmul(x, W, out=z, bias=None if b is None else b.reshape((b.size,)), add=more)
        return z

    def _times_grad(self, x, dz, name, more=None):
        """dW = xᵀ dz, db = Σ dz, and dx = dz Wᵀ + more, which is returned unless nobody reads it."""
        W, dW = (self._matrix(arrays, name, x.shape[-1]) for arrays in (self.params, self.grads))
        dz = dz.reshape((*x.shape[:-1], W.shape[1]))
        db = self.grads.get(f"{name}/bias")
        self.k.matmul(x, dz, out=dW, sums=None if db is None else db.reshape((db.size,)), transpose_a=True)
        if not self.needs_dx and name != "attention_output":
            return None
        dx = self.buffer(f"dx of {name}", x.shape)
        self.k.matmul(dz, W, out=dx, transpose_b=True, add=more)
        return dx

    @staticmethod
    def _matrix(arrays, name, rows):
        kernel = arrays[f"{name}/kernel"]
        return kernel.reshape((rows, kernel.size // rows))
