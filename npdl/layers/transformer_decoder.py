"""TransformerDecoder: a block in which a place looks at those before it, and at another sequence."""

from npdl.layers import several
from npdl.layers.transformer import Transformer


class TransformerDecoder(Transformer):
    """Transformer decoder block: causal self attention, cross attention to an encoder's output if there is one, and two
    Dense layers at each place, with ways around each.

        forward     f(h) = a(h W₁ + b₁) W₂ + b₂
                    g = norm(x + drop(attention(x)))        with normalize_first:   g = x + drop(attention(norm(x)))
                    h = norm(g + drop(cross(g, e)))                                 h = g + drop(cross(norm(g), e))
                    y = norm(h + drop(f(h)))                                        y = h + drop(f(norm(h)))
        backward    the layers inside in the other order; where x goes two ways, dx is the sum of both:
                    dx = dz + ∂fᵀ dz for z = x + f(x);          de is the cross attention's

    The input is x alone, as in GPT, and h = g; or the tuple (x, e). The mask is like the input: (N, T) and (N, S), True
    where a place is no padding, or (N, T, T) and (N, T, S), where one may look at another.

    Shapes: x, y (N, T, d) · e (N, S, c). The layers inside, in the order of the weights: self_attention,
    self_attention_layer_norm, cross_attention, cross_attention_layer_norm, feedforward_intermediate_dense,
    feedforward_output_dense, feedforward_layer_norm.
    Saves: nothing; the layers inside save their own.

    Args:
        intermediate_dim: width of the first Dense layer; the second has d.
        num_heads: of the attention; each is d / num_heads wide.
        dropout: rate in the attention, and on what each sublayer adds.
        activation: a, of the first Dense layer.
        layer_norm_epsilon: of the normalizations.
        kernel_initializer, bias_initializer: of the attention and the Dense layers; and so kernel_regularizer,
            bias_regularizer, kernel_constraint and bias_constraint.
        normalize_first: normalize what goes into a sublayer, as GPT-2 does, instead of what comes out.

    Raises:
        ValueError: sizes below 1, dropout outside [0, 1), samples of another form than (T, d), d that num_heads does
            not divide.

    Reference: Vaswani et al., Attention Is All You Need, 2017. In Keras it is `keras_hub.layers.TransformerDecoder`.

    >>> TransformerDecoder(32, num_heads=2, activation="gelu", normalize_first=True).init((10, 16)).output_shape
    (10, 16)
    >>> TransformerDecoder(32, num_heads=2).init(((10, 16), (7, 12))).output_shape
    (10, 16)
    """

    def make_parts(self):
        parts = {}
        for name, causal in (("self_attention", True), ("cross_attention", False)):
            parts.update(self.attention(name, use_causal_mask=causal))
            parts.update({**self.norm(f"{name}_layer_norm"), **self.drop(f"{name}_dropout")})
        return {**parts, **self.dense(), **self.norm("feedforward_layer_norm"), **self.drop("feedforward_dropout")}

    @classmethod
    def from_config(cls, config):
        """A new layer from `get_config()`'s dictionary, or from the one that KerasHub writes."""
        shapes = ("decoder_sequence_shape", "encoder_sequence_shape")  # it is built by its input
        return super().from_config({name: value for name, value in config.items() if name not in shapes})

    def build(self, input_shape):
        shapes = several.parts(input_shape)
        if len(shapes) > 2:
            raise ValueError(f"{self.name} takes one input or two, got {len(shapes)}; pass x or (x, encoder_output)")
        if len(shapes) == 1:
            for name in [name for name in self.parts if name.startswith("cross")]:
                del self.parts[name]
                self.inner_names.remove(name)
        shape = self.build_parts(shapes[0])
        if len(shapes) == 2:
            self.parts["cross_attention"].build_once((shape, tuple(shapes[1])))
        return shape

    def check(self, x, expected=None):
        several.check(self, x, super().check)

    def compute_mask(self, x, mask=None):
        """The mask of x."""
        mask = mask[0] if isinstance(mask, (tuple, list)) else mask
        return self.parts["self_attention"].compute_mask(several.parts(x)[0], mask)

    def _sublayer(self, name):
        """(attention, normalization, dropout) of self or cross attention."""
        return tuple(self.parts[f"{name}{end}"] for end in ("", "_layer_norm", "_dropout"))

    def forward(self, x, training=False, mask=None):
        masks = tuple(mask) if isinstance(mask, (tuple, list)) else (mask, None)
        x, *encoded = several.parts(x)
        attention, norm, drop = self._sublayer("self_attention")
        h = self.forward_around(
            x, lambda a, **way: attention.forward(a, training, masks[0], **way), norm, drop, training
        )
        if encoded:
            cross, norm, drop = self._sublayer("cross_attention")
            places = masks[1] is None or len(masks[1].shape) == 2
            seen = (self.compute_mask(x, masks[0]), masks[1]) if places else masks[1]
            h = self.forward_around(
                h, lambda a, **way: cross.forward((a, *encoded), training, seen, **way), norm, drop, training
            )
        *_, norm, drop = self.inner()
        return self.forward_around(h, self.dense_forward(training), norm, drop, training)

    def backward(self, dy):
        *_, norm, drop = self.inner()
        (dh,) = self.backward_around(dy, self.dense_backward(), norm, drop)
        encoded = ()
        if "cross_attention" in self.parts:
            cross, norm, drop = self._sublayer("cross_attention")
            dh, *encoded = self.backward_around(dh, cross.backward, norm, drop)
        attention, norm, drop = self._sublayer("self_attention")
        (dx,) = self.backward_around(dh, lambda da, **way: (attention.backward(da, **way),), norm, drop)
        return (dx, *encoded) if encoded else dx
