"""MultiHeadAttention: each place looks at the others, in several ways at once."""

from npdl import initializers
from npdl.layers import arguments, several
from npdl.layers.attending import Attending


class MultiHeadAttention(Attending):
    """Multi-head attention: an average of values, weighted by how well their keys fit a query, for each head.

        forward     q = query Wq + bq       k = key Wk + bk         v = value Wv + bv
                    P = softmax(q kᵀ / √D)  over the keys that a query may see, for each head
                    a = (P m) v             m: of dropout           y = a Wo + bo       a of all heads side by side
        backward    da = dy Woᵀ             dWo = aᵀ dy             dbo = Σ dy
                    dv = (P m)ᵀ da          dP = (da vᵀ) m          dS = P (dP − Σ P dP) / √D
                    dq = dS k               dk = dSᵀ q
                    dWq = queryᵀ dq         dbq = Σ dq              dquery = dq Wqᵀ     and so for key and value

    x is one array, which attends to itself, or a tuple (query, value) or (query, value, key); key is value where it is
    not given. The mask is like x, True where a place is no padding: masked keys are not seen, masked queries see
    nothing; or it is one array (N, T, S), True where a query may see a key. A query that sees nothing has a = 0.

    P can be had in three ways. With `return_attention_scores` the layer makes a pair (y, P), arrays or nodes, and both
    have gradients; on arrays `y, P = layer(x, return_attention_scores=True)`, where backward takes dy alone; and
    `layer.attention_scores(x)` of a trained layer, x being what comes to it. P is without dropout, as in Keras.

    Shapes: query (N, T, d) · value (N, S, e) · key (N, S, f) · Wq (d, H, D) · Wk (f, H, D) · Wv (e, H, E) ·
    Wo (H, E, U) · biases (H, D), (H, D), (H, E), (U,) · y (N, T, U) · P (N, H, T, S). T and S may be several axes.
    Saves: the inputs, q, k, v and a. P is made again: it would take T S numbers a head.

    Args:
        num_heads: H.
        key_dim: D, of a query and a key in each head.
        value_dim: E, of a value in each head; None is key_dim.
        dropout: probability that an entry of P is dropped while training.
        use_bias: whether there are biases.
        output_shape: U, or a tuple; None is d.
        attention_axes: axes over which to attend, the last ones before the features; None is all but the batch.
        flash_attention: there is one kernel, which never keeps P: taken, and without effect.
        kernel_initializer, bias_initializer: name or `npdl.initializers` object.
        kernel_regularizer, bias_regularizer: name or `npdl.regularizers` object, for each kernel or bias;
            activity_regularizer: of y.
        kernel_constraint, bias_constraint: name or `npdl.constraints` object, likewise.
        seed: of dropout; None makes it from the model's seed.
        use_causal_mask: whether query t sees the keys s ≤ t alone. Keras takes it in the call.
        return_attention_scores: whether y is (y, P). Keras takes it in the call.

    Raises:
        ValueError: sizes below 1, dropout outside [0, 1), inputs or masks whose shapes do not fit, other axes.

    Reference: Vaswani et al., Attention Is All You Need, 2017.

    >>> MultiHeadAttention(num_heads=2, key_dim=8, use_causal_mask=True).init(input_shape=(10, 16)).output_shape
    (10, 16)
    >>> MultiHeadAttention(num_heads=2, key_dim=8).init(input_shape=((10, 16), (7, 12))).output_shape
    (10, 16)
    """

    def __init__(
        self, num_heads, key_dim, value_dim=None, dropout=0.0, use_bias=True, output_shape=None, attention_axes=None,
        flash_attention=None, kernel_initializer="glorot_uniform", bias_initializer="zeros", seed=None,
        use_causal_mask=False, return_attention_scores=False, **base,
    ):  # fmt: skip
        super().__init__(**base)
        example = "MultiHeadAttention(num_heads=4, key_dim=32)"
        self.num_heads = arguments.whole(self, "num_heads", num_heads, example)
        self.key_dim = arguments.whole(self, "key_dim", key_dim, example)
        self.value_dim = None if value_dim is None else arguments.whole(self, "value_dim", value_dim, example)
        self.keep_how(dropout, seed, use_causal_mask, return_attention_scores)
        self.use_bias, self.flash_attention = use_bias, flash_attention
        asked = output_shape if isinstance(output_shape, (tuple, list)) or output_shape is None else (output_shape,)
        self.asked = asked and tuple(arguments.whole(self, "output_shape", n, "output_shape=64") for n in asked)
        axes = [attention_axes] if isinstance(attention_axes, int) else attention_axes
        self.attention_axes = None if axes is None else list(axes)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    def get_config(self):
        """The arguments; `output_shape` is what was asked for, not the shape that `build` made of it."""
        return {**super().get_config(), "output_shape": self.asked and list(self.asked)}

    def build(self, input_shape):
        size = self.key_dim
        self.heads = dict.fromkeys(("query", "key", "value"), self.num_heads)
        self.sizes = {"query": size, "key": size, "value": self.value_dim or size}
        rank = len(several.query_value_key(self, input_shape)[0]) + 1
        axes = sorted(a + rank if a < 0 else a for a in self.attention_axes or range(1, rank - 1))
        if axes != list(range(axes[0], rank - 1)) or axes[0] < 1:
            raise ValueError(
                f"{self.name}: attention_axes={self.attention_axes} must be the last axes before the features, the "
                f"batch being 0: {[rank - 2]} up to {list(range(1, rank - 1))} for samples of {rank - 1} axes; "
                "put layers.Permute before it"
            )
        return self.build_heads(input_shape, self.asked, axes[0])
