"""PositionEmbedding and SinePositionEncoding: a vector for each place in a sequence."""

import numbers

from npdl import initializers
from npdl.layers import arguments
from npdl.layers.base import Layer


class Positions(Layer):
    """y has a row for each place and says nothing of x but its shape."""

    def build(self, input_shape):
        if len(input_shape) != 2 or not input_shape[-1]:
            kind = type(self).__name__
            raise ValueError(
                f"{self.name}: {kind} takes samples (places, features) with a fixed number of features, got samples of "
                f"shape {tuple(input_shape)}; put layers.Embedding before it, e.g. layers.Embedding(1000, 64)"
            )
        return input_shape

    def forward(self, x, training=False):
        y = self.buffer("y", x.shape)
        self.write(y)
        if training:
            self.save(x.shape)
        else:
            self.forget()
        return y

    def backward(self, dy):
        self.learn(dy, self.saved())
        if not self.needs_dx:
            return None
        dx = self.buffer("dx", dy.shape)
        self.k.add_positions(None, None, out=dx)  # dx = 0
        return dx

    def write(self, y):
        """Write the rows of the places into y."""
        raise NotImplementedError(f"{type(self).__name__} needs write(self, y)")

    def learn(self, dy, shape):
        """Assign the gradients of the weights, if there are any."""


class PositionEmbedding(Positions):
    """A learnt vector for each place of a sequence; what stands there makes no difference.

        forward     y[n, t] = P[t]
        backward    dP[t] = Σ dy[n, t] over the batch;      dx = 0

    To add it to x, write Residual([PositionEmbedding(L)]): x + P.

    Shapes: x, y (N, T, D), T ≤ L · embeddings P (L, D).
    Saves: the shape of x.

    Args:
        sequence_length: L, the longest sequence.
        initializer: name or `npdl.initializers` object.

    Raises:
        ValueError: sequence_length below 1, longer sequences, samples of another form.

    Reference: Gehring et al., Convolutional Sequence to Sequence Learning, 2017. In Keras it is
    `keras_hub.layers.PositionEmbedding`.

    >>> PositionEmbedding(100).init(input_shape=(10, 8)).params["embeddings"].shape
    (100, 8)
    """

    def __init__(self, sequence_length, initializer="glorot_uniform", **base):
        super().__init__(**base)
        self.sequence_length = arguments.whole(self, "sequence_length", sequence_length, "PositionEmbedding(64)")
        self.initializer = initializers.get(initializer)

    def build(self, input_shape):
        super().build(input_shape)
        self._demand(input_shape[0] or 1)
        self.add_weight((self.sequence_length, input_shape[-1]), self.initializer, name="embeddings")
        return input_shape

    def _demand(self, places):
        if places > self.sequence_length:
            raise ValueError(
                f"{self.name} has sequence_length={self.sequence_length}, got a sequence of {places} places; "
                "pass shorter ones, or make sequence_length the longest"
            )

    def write(self, y):
        self._demand(y.shape[1])
        self.k.add_positions(None, self.params["embeddings"][0 : y.shape[1]], out=y)  # y = P

    def learn(self, dy, shape):
        samples, places, width = shape
        dP = self.grads["embeddings"]
        total = dP[0:places].reshape((places * width,))
        self.k.sum_rows(dy.reshape((samples, places * width)), out=total)  # dP = Σ dy
        rest = dP[places : len(dP)]
        self.k.add_positions(None, None, out=rest.reshape((1, *rest.shape)))


class SinePositionEncoding(Positions):
    """A fixed vector for each place of a sequence, of waves of different length.

        forward     y[n, t, 2i] = sin(t w)      y[n, t, 2i + 1] = cos(t w)      w = max_wavelength^(−2i/D)
        backward    dx = 0

    To add it to x, write Residual([SinePositionEncoding()]).

    Shapes: x, y (N, T, D).
    Saves: the shape of x.

    Args:
        max_wavelength: the longest wave is 2π times that.

    Raises:
        ValueError: max_wavelength not above 0, samples of another form.

    Reference: Vaswani et al., Attention Is All You Need, 2017. In Keras it is
    `keras_hub.layers.SinePositionEncoding`.

    >>> SinePositionEncoding().init(input_shape=(10, 8)).output_shape
    (10, 8)
    """

    def __init__(self, max_wavelength=10000, **base):
        super().__init__(**base)
        self.max_wavelength = wavelength(self, max_wavelength)

    def write(self, y):
        self.k.sine_positions(self.max_wavelength, out=y)


def wavelength(layer, value, argument="max_wavelength"):
    """A number above 0, as it came.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not 0 < value < float("inf"):
        kind = type(layer).__name__
        raise ValueError(f"{kind} needs {argument} above 0, got {argument}={value!r}; pass e.g. {kind}()")
    return value
