"""GroupedQueryAttention: multi-head attention in which several heads share a key and a value."""

from npdl import initializers
from npdl.layers import arguments
from npdl.layers.attending import Attending


class GroupedQueryAttention(Attending):
    """Grouped-query attention: as MultiHeadAttention, but H/G heads share a key and a value.

        forward     q = query Wq + bq       k = key Wk + bk         v = value Wv + bv
                    P = softmax(q kᵀ / √D)  head h of q with head g = ⌊h / (H/G)⌋ of k and v
                    a = (P m) v             m: of dropout           y = a Wo + bo
        backward    as of MultiHeadAttention; dk and dv sum over the heads that share them

    With G = 1 it is multi-query attention, with G = H multi-head attention. Inputs, masks and how P is had are those
    of MultiHeadAttention. In Keras it is `keras.layers.GroupQueryAttention`.

    Shapes: query (N, T, d) · value (N, S, e) · key (N, S, f) · Wq (d, H, D) · Wk (f, G, D) · Wv (e, G, D) ·
    Wo (H, D, d) · biases (H, D), (G, D), (G, D), (d,) · y (N, T, d).
    Saves: the inputs, q, k, v and a.

    Args:
        head_dim: D, of each head.
        num_query_heads: H.
        num_key_value_heads: G, which divides H.
        dropout: probability that an entry of P is dropped while training.
        use_bias: whether there are biases.
        flash_attention: there is one kernel, which never keeps P: taken, and without effect.
        kernel_initializer, bias_initializer: name or `npdl.initializers` object.
        kernel_regularizer, bias_regularizer: name or `npdl.regularizers` object, for each kernel or bias;
            activity_regularizer: of y.
        kernel_constraint, bias_constraint: name or `npdl.constraints` object, likewise.
        seed: of dropout; None makes it from the model's seed.
        use_causal_mask: whether query t sees the keys s ≤ t alone. Keras takes it in the call.
        return_attention_scores: whether y is (y, P). Keras takes it in the call.

    Raises:
        ValueError: sizes below 1, G that does not divide H, dropout outside [0, 1), inputs that do not fit.

    Reference: Ainslie et al., GQA: Training Generalized Multi-Query Transformer Models from Multi-Head Checkpoints,
    2023.

    >>> GroupedQueryAttention(8, num_query_heads=4, num_key_value_heads=2).init(input_shape=(10, 16)).output_shape
    (10, 16)
    """

    def __init__(
        self, head_dim, num_query_heads, num_key_value_heads, dropout=0.0, use_bias=True, flash_attention=None,
        kernel_initializer="glorot_uniform", bias_initializer="zeros", seed=None, use_causal_mask=False,
        return_attention_scores=False, **base,
    ):  # fmt: skip
        super().__init__(**base)
        example = "GroupedQueryAttention(32, num_query_heads=4, num_key_value_heads=2)"
        self.head_dim = arguments.whole(self, "head_dim", head_dim, example)
        self.num_query_heads = arguments.whole(self, "num_query_heads", num_query_heads, example)
        self.num_key_value_heads = arguments.whole(self, "num_key_value_heads", num_key_value_heads, example)
        if self.num_query_heads % self.num_key_value_heads:
            raise ValueError(
                "GroupedQueryAttention needs num_query_heads to be a multiple of num_key_value_heads, got "
                f"{num_query_heads} and {num_key_value_heads}; pass e.g. {example}"
            )
        self.keep_how(dropout, seed, use_causal_mask, return_attention_scores)
        self.use_bias, self.flash_attention = use_bias, flash_attention
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    def build(self, input_shape):
        self.heads = {"query": self.num_query_heads, **dict.fromkeys(("key", "value"), self.num_key_value_heads)}
        self.sizes = dict.fromkeys(("query", "key", "value"), self.head_dim)
        return self.build_heads(input_shape)
