"""TransformerEncoder: a block in which all places look at each other."""

from npdl.layers.transformer import Transformer


class TransformerEncoder(Transformer):
    """Transformer encoder block: self attention, and two Dense layers at each place, with ways around both.

        forward     f(h) = a(h W₁ + b₁) W₂ + b₂
                    h = norm(x + drop(attention(x)))        with normalize_first:   h = x + drop(attention(norm(x)))
                    y = norm(h + drop(f(h)))                                        y = h + drop(f(norm(h)))
        backward    the layers inside in the other order; where x goes two ways, dx is the sum of both:
                    dx = dz + ∂fᵀ dz for z = x + f(x)

    The mask (N, T) is True where a place is no padding, or (N, T, T) where a place may look at another.

    Shapes: x, y (N, T, d). The layers inside, in the order of the weights: self_attention_layer,
    self_attention_layer_norm, feedforward_layer_norm, feedforward_intermediate_dense, feedforward_output_dense.
    Saves: nothing; the layers inside save their own.

    Args:
        intermediate_dim: width of the first Dense layer; the second has d.
        num_heads: of the attention; each is d / num_heads wide.
        dropout: rate in the attention, and on what each sublayer adds.
        activation: a, of the first Dense layer.
        layer_norm_epsilon: of both normalizations.
        kernel_initializer, bias_initializer: of the attention and the Dense layers; and so kernel_regularizer,
            bias_regularizer, kernel_constraint and bias_constraint.
        normalize_first: normalize what goes into a sublayer, as GPT-2 does, instead of what comes out, as BERT does.

    Raises:
        ValueError: sizes below 1, dropout outside [0, 1), samples of another form than (T, d), d that num_heads does
            not divide.

    Reference: Vaswani et al., Attention Is All You Need, 2017. In Keras it is `keras_hub.layers.TransformerEncoder`.

    >>> TransformerEncoder(intermediate_dim=32, num_heads=2, activation="gelu").init(input_shape=(10, 16)).output_shape
    (10, 16)
    """

    def make_parts(self):
        return {
            **self.attention("self_attention_layer"), **self.norm("self_attention_layer_norm"),
            **self.drop("self_attention_dropout"), **self.norm("feedforward_layer_norm"), **self.dense(),
            **self.drop("feedforward_dropout"),
        }  # fmt: skip

    def build(self, input_shape):
        return self.build_parts(input_shape)

    def compute_mask(self, x, mask=None):
        """The mask of the places."""
        return self.parts["self_attention_layer"].compute_mask(x, mask)

    def forward(self, x, training=False, mask=None):
        attention, norm, drop, last_norm, *_, last_drop = self.inner()
        h = self.forward_around(x, lambda a, **way: attention.forward(a, training, mask, **way), norm, drop, training)
        return self.forward_around(h, self.dense_forward(training), last_norm, last_drop, training)

    def backward(self, dy):
        attention, norm, drop, last_norm, *_, last_drop = self.inner()
        (dh,) = self.backward_around(dy, self.dense_backward(), last_norm, last_drop)
        (dx,) = self.backward_around(dh, lambda da, **way: (attention.backward(da, **way),), norm, drop)
        return dx
