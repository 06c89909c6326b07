"""What TransformerEncoder and TransformerDecoder share: the layers inside, each with a way around it."""

from npdl import activations, initializers
from npdl.layers import arguments, several
from npdl.layers.around import takes_shortcut
from npdl.layers.container import Container
from npdl.layers.dense import Dense
from npdl.layers.dropout import Dropout
from npdl.layers.layer_normalization import LayerNormalization
from npdl.layers.multi_head_attention import MultiHeadAttention
from npdl.penalties import rule_names

DENSE = ("feedforward_intermediate_dense", "feedforward_output_dense")


class Transformer(Container):
    """Sublayers f one after the other, attention and two Dense layers, each in x + f(norm(x)) or norm(x + f(x)).

    A subclass makes its layers inside in `make_parts`, by name, in the order of its weights, and calls `forward_around`
    and `backward_around` for each of its sublayers.
    """

    masks_pairs = True
    ruled = ("kernel", "bias")

    def __init__(
        self, intermediate_dim, num_heads, dropout=0, activation="relu", layer_norm_epsilon=1e-05,
        kernel_initializer="glorot_uniform", bias_initializer="zeros", normalize_first=False, **base,
    ):  # fmt: skip
        example = f"{type(self).__name__}(intermediate_dim=512, num_heads=4)"
        self.intermediate_dim = arguments.whole(self, "intermediate_dim", intermediate_dim, example)
        self.num_heads = arguments.whole(self, "num_heads", num_heads, example)
        self.dropout, self.activation = dropout, activations.get(activation)
        self.layer_norm_epsilon, self.normalize_first = layer_norm_epsilon, bool(normalize_first)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.rules = {name: base[name] for name in rule_names(type(self)) if name in base}
        self.parts = self.make_parts()
        super().__init__({}, **base)

    def make_parts(self):
        """The layers inside: a dictionary by name."""
        raise NotImplementedError(f"{type(self).__name__} needs make_parts(self)")

    def inner(self):
        """The layers inside."""
        return list(self.parts.values())

    @classmethod
    def from_config(cls, config):
        """A new layer from `get_config()`'s dictionary: the layers inside follow from the arguments."""
        return super(Container, cls).from_config(config)

    # ---- the layers inside, by name

    def attention(self, name, **more):
        """Attention; `build` says how wide it is."""
        made = self._made()
        return {name: MultiHeadAttention(self.num_heads, 1, dropout=self.dropout, **made, **more, name=name)}

    def dense(self):
        """The two Dense layers; `build` says how wide the second is."""
        made = self._made()
        sizes = (self.intermediate_dim, self.activation), (1, None)
        return {name: Dense(*size, **made, name=name) for name, size in zip(DENSE, sizes, strict=True)}

    def _made(self):
        """How their kernels and biases are made, penalized and constrained."""
        started = {"kernel_initializer": self.kernel_initializer, "bias_initializer": self.bias_initializer}
        return started | self.rules

    def norm(self, name):
        """A normalization; one at the beginning of a sublayer may overwrite the gradient that it gets."""
        layer = LayerNormalization(epsilon=self.layer_norm_epsilon, name=name)
        layer.may_overwrite = self.normalize_first
        return {name: layer}

    def drop(self, name):
        """A Dropout."""
        return {name: Dropout(self.dropout, name=name)}

    def build_parts(self, shape):
        """Build the layers inside for samples (places, features) but those of cross attention.

        Raises:
            ValueError: other samples, fewer features than heads or a number that they do not share equally.
        """
        width = several.query_value_key(self, shape)[0][-1]
        if len(shape) != 2 or width % self.num_heads:
            raise ValueError(
                f"{self.name}: {type(self).__name__} takes samples (places, features) whose features num_heads="
                f"{self.num_heads} heads share, got samples of shape {tuple(shape)}; make one a multiple of the other"
            )
        self.parts[DENSE[1]].units = width
        self.parts[DENSE[1]].may_overwrite = self.parts[DENSE[0]].may_overwrite = True  # the second one is linear
        for name, part in self.parts.items():
            if isinstance(part, MultiHeadAttention):
                part.key_dim = width // self.num_heads
            if not name.startswith("cross_attention") or isinstance(part, LayerNormalization | Dropout):
                part.build_once((*shape[:-1], self.intermediate_dim) if name == DENSE[1] else tuple(shape))
        return tuple(shape)

    # ---- y = x + drop(f(norm(x))), or norm(x + drop(f(x)))

    def forward_around(self, x, f, norm, drop, training):
        """y of a sublayer; f is a function of what goes into it, whose last kernel adds the shortcut that it gets."""
        h = norm.forward(x, training) if self.normalize_first else x
        if drop.passes(training, drop.rate == 0) and not self._hooked("forward"):
            y = f(h, shortcut=x)
        else:
            h = drop.forward(f(h), training)
            y = self.buffer(f"around {norm.name}", x.shape)
            self.k.add(x, h, out=y)
        return y if self.normalize_first else norm.forward(y, training)

    def backward_around(self, dy, f, norm, drop):
        """(dx, what else f gives), from dy; f makes the gradients of its inputs, the first one + the shortcut's."""
        if not self.normalize_first:
            dy = norm.backward(dy)
        if not (way := {} if self._hooked("backward") else {"shortcut": dy}):  # f may write over dy
            self.k.copy(dy, out=(around := self.buffer(f"d around {norm.name}", dy.shape)))
        if self.normalize_first:
            dh, *more = f(drop.backward(dy))
            dh = norm.backward(dh, **way)
        else:
            dh, *more = f(drop.backward(dy), **way)
        if not way:
            self.k.add(around, dh, out=dh)
        return dh, *more

    def _hooked(self, method):
        """Whether a layer inside takes no shortcut, as one with a method that was put on it."""
        return not all(takes_shortcut(part, method) for part in self.inner())

    def dense_forward(self, training):
        """f of the two Dense layers."""
        first, second = (self.parts[name] for name in DENSE)
        return lambda h, **way: second.forward(first.forward(h, training), training, **way)

    def dense_backward(self):
        """Its gradient: what the second one passes down meets the slope of a on the way, where forward has kept it."""
        first, second = (self.parts[name] for name in DENSE)

        def f(dh, **way):
            slope = None if self._hooked("backward") else first.slope()
            if slope is None:
                return (first.backward(second.backward(dh), **way),)
            return (first.backward_from_z(second.backward(dh, times=slope), **way),)  # dz = (dh W₂ᵀ) · a'(z)

        return f
