"""AdditiveAttention: each query's average of the values, weighted by how well their keys fit; Bahdanau's."""

from npdl.layers.weighing import Weighing


class AdditiveAttention(Weighing):
    """Additive attention without projections.

        forward     S[t, s] = Σ c tanh(query[t] + key[s])       over the features
                    P = softmax(S)      over the keys that a query may see
                    y = (P m) value     m: of dropout
        backward    dvalue = (P m)ᵀ dy      dP = (dy valueᵀ) m          dS = P (dP − Σ P dP)
                    with h = tanh(...):     dc = Σ dS h                 dz[t, s] = dS c (1 − h²)
                    dquery[t] = Σₛ dz       dkey[s] = Σₜ dz

    Inputs, masks and the pair (y, P m) that `return_attention_scores` gives are those of `Attention`.

    Shapes: query (N, T, D) · value (N, S, E) · key (N, S, D) · c (scale) (D,) · y (N, T, E) · P (N, T, S).
    Saves: the inputs, and h (N, T, S, D). P is made again.

    Args:
        use_scale: whether there is c, which is learnt; else c = 1.
        dropout: probability that an entry of P is dropped while training.
        seed: of dropout; None makes it from the model's seed.
        use_causal_mask: whether query t sees the keys s ≤ t alone. Keras takes it in the call.
        return_attention_scores: whether y is (y, P m). Keras takes it in the call.
        activity_regularizer: of y.

    Raises:
        ValueError: dropout outside [0, 1), inputs or masks whose shapes do not fit.

    Reference: Bahdanau, Cho and Bengio, Neural Machine Translation by Jointly Learning to Align and Translate, 2015.

    >>> AdditiveAttention().init(input_shape=((10, 16), (7, 16))).params["scale"].shape
    (16,)
    """

    def __init__(
        self, use_scale=True, dropout=0.0, seed=None, use_causal_mask=False, return_attention_scores=False, **base,
    ):  # fmt: skip
        super().__init__(**base)
        self.use_scale = bool(use_scale)
        self.keep_how(dropout, seed, use_causal_mask, return_attention_scores)

    def add_weights(self, size):
        if self.use_scale:
            self.add_weight((size,), "glorot_uniform", name="scale")

    def compared(self, query, key):
        return self.concatenated(query, key)

    def compared_grad(self, dq, dk, query, key, *kept):
        return self.concatenated_grad(dq, *kept)

    def vector(self, size):
        if self.use_scale:
            return self.params["scale"].reshape(size, 1)
        self.k.fill(1.0, out=(c := self.scratch("c", (size, 1))))
        return c

    def vector_grad(self, dc):
        if self.use_scale:
            self.k.copy(dc.reshape(dc.size), out=self.grads["scale"])
