"""Attention: each query's average of the values, weighted by how well their keys fit; Luong's, without projections."""

from npdl.layers import arguments
from npdl.layers.weighing import Weighing


class Attention(Weighing):
    """Dot-product attention without projections.

        forward     S = g query keyᵀ                            "concat": S[t, s] = c Σ tanh(g (query[t] + key[s]))
                    P = softmax(S)      over the keys that a query may see
                    y = (P m) value     m: of dropout
        backward    dvalue = (P m)ᵀ dy      dP = (dy valueᵀ) m          dS = P (dP − Σ P dP)
                    "dot": dquery = g dS key    dkey = g dSᵀ query      dg = Σ dS (query keyᵀ)
                    "concat", with h = tanh(...):   dc = Σ dS h         dz[t, s] = dS c (1 − h²)
                    dquery[t] = g Σₛ dz         dkey[s] = g Σₜ dz       dg = Σ dz (query + key)

    x is a tuple (query, value) or (query, value, key), or one array, which attends to itself; key is value where it is
    not given. The mask is like x, True where a place is no padding: masked keys are not seen, masked queries see
    nothing; or it is one array (N, T, S), True where a query may see a key. A query that sees nothing has y = 0. With
    `return_attention_scores` y is a pair (y, P m), with gradients of both; `attention_scores(x)` gives P by hand.

    Shapes: query (N, T, D) · value (N, S, E) · key (N, S, D) · g (scale), c (concat_score_weight) () · y (N, T, E) ·
    P (N, T, S).
    Saves: the inputs, and h (N, T, S, D). P is made again.

    Args:
        use_scale: whether there is g, learnt from 1 on; else g = 1.
        score_mode: "dot" or "concat".
        dropout: probability that an entry of P is dropped while training.
        seed: of dropout; None makes it from the model's seed.
        use_causal_mask: whether query t sees the keys s ≤ t alone. Keras takes it in the call.
        return_attention_scores: whether y is (y, P m). Keras takes it in the call.
        activity_regularizer: of y.

    Raises:
        ValueError: another score_mode, dropout outside [0, 1), inputs or masks whose shapes do not fit.

    Reference: Luong, Pham and Manning, Effective Approaches to Attention-based Neural Machine Translation, 2015.

    >>> Attention().init(input_shape=((10, 16), (7, 16))).output_shape
    (10, 16)
    >>> Attention(return_attention_scores=True).init(input_shape=((10, 16), (7, 16))).output_shape
    ((10, 16), (10, 7))
    """

    def __init__(
        self, use_scale=False, score_mode="dot", dropout=0.0, seed=None, use_causal_mask=False,
        return_attention_scores=False, **base,
    ):  # fmt: skip
        super().__init__(**base)
        self.use_scale = bool(use_scale)
        self.score_mode = arguments.one_of(self, "score_mode", score_mode, ("dot", "concat"))
        self.keep_how(dropout, seed, use_causal_mask, return_attention_scores)
        self.operations = 2 if score_mode == "dot" else 4

    def add_weights(self, size):
        """g and c."""
        if self.use_scale:
            self.add_weight((), "ones", name="scale")
        if self.score_mode == "concat":
            self.add_weight((), "ones", name="concat_score_weight")

    def compared(self, query, key):
        q = self._times_g(query, "q")
        if self.score_mode == "dot":
            return q.reshape(*q.shape[:2], 1, q.shape[2]), key.reshape(*key.shape[:2], 1, key.shape[2])
        return self.concatenated(q, self._times_g(key, "k"))

    def compared_grad(self, dq, dk, query, key, *kept):
        """dquery and dkey; assigns the gradients of g and c."""
        if self.score_mode == "dot":
            dq, dk = dq.reshape(query.shape), dk.reshape(key.shape)
            self._add_up_g((query, dq))
            return self._times_g(dq, "dquery"), dk
        dq, dk = self.concatenated_grad(dq, *kept)
        self._add_up_g((query, dq), (key, dk))
        return self._times_g(dq, "dquery"), self._times_g(dk, "dkey")

    def vector(self, size):
        """c at each of the features, (D, 1)."""
        c = self.scratch("c", (1, size, 1))
        self.k.repeat(self.params["concat_score_weight"].reshape(1, 1, 1), (size,), out=c)
        return c.reshape(size, 1)

    def vector_grad(self, dc):
        """Assigns the gradient of c, from that at each of the features."""
        self.k.sum_to(dc, out=self.grads["concat_score_weight"].reshape(1, 1))

    def _times_g(self, x, name):
        """g x"""
        if not self.use_scale:
            return x
        out, n = self.buffer(name, x.shape), x.size
        self.k.matmul(x.reshape(n, 1), self.params["scale"].reshape(1, 1), out=out.reshape(n, 1))
        return out

    def _add_up_g(self, *pairs):
        """dg = Σ x dx over pairs of them."""
        if not self.use_scale:
            return
        total = self.grads["scale"].reshape(1, 1)
        for i, (x, dx) in enumerate(pairs):
            one = self.scratch("dg", (1, 1)) if i else total
            self.k.matmul(x.reshape(1, x.size), dx.reshape(x.size, 1), out=one)
            if i:
                self.k.add(total, one, out=total)
