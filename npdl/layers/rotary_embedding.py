"""RotaryEmbedding: positions as angles by which pairs of features are turned."""

import math
import numbers

from npdl.layers.base import Layer
from npdl.layers.position_embedding import wavelength


class RotaryEmbedding(Layer):
    """Rotary positions: the features i and i + D/2 of place t are turned by φ = t / scaling · max_wavelength^(−2i/D).

        forward     y₁ = x₁ cos φ − x₂ sin φ            y₂ = x₂ cos φ + x₁ sin φ
        backward    dx₁ = dy₁ cos φ + dy₂ sin φ         dx₂ = dy₂ cos φ − dy₁ sin φ

    The product of a query and a key turned so depends on how far they are apart, not on where they are.

    Shapes: x, y (N, ..., T, ..., D), D even; x₁ and x₂ are its halves along D.
    Saves: nothing but that there was a forward.

    Args:
        max_wavelength: the slowest pair turns once in about 2π times that many places.
        scaling_factor: by which places are divided.
        sequence_axis: the axis of the places t, the batch being 0.
        feature_axis: −1, the last.

    Raises:
        ValueError: no even number of features, an axis that samples do not have, numbers that are not above 0.

    Reference: Su et al., RoFormer: Enhanced Transformer with Rotary Position Embedding, 2021. In Keras it is
    `keras_hub.layers.RotaryEmbedding`.

    >>> RotaryEmbedding().init(input_shape=(10, 4, 8)).output_shape
    (10, 4, 8)
    """

    def __init__(self, max_wavelength=10000, scaling_factor=1.0, sequence_axis=1, feature_axis=-1, **base):
        super().__init__(**base)
        self.max_wavelength = wavelength(self, max_wavelength)
        self.scaling_factor = wavelength(self, scaling_factor, "scaling_factor")
        self.sequence_axis, self.feature_axis = sequence_axis, feature_axis

    def build(self, input_shape):
        rank, axis = len(input_shape) + 1, self.sequence_axis
        whole = isinstance(axis, numbers.Integral) and not isinstance(axis, bool)
        self.places = axis + rank if whole and axis < 0 else axis
        if not whole or not 1 <= self.places < rank - 1 or self.feature_axis not in (-1, rank - 1):
            raise ValueError(
                f"{self.name}: sequence_axis={axis!r} and feature_axis={self.feature_axis!r} got samples of shape "
                f"{tuple(input_shape)}; the features are the last axis, -1, and the places one of 1 ... before them"
            )
        if not input_shape[-1] or input_shape[-1] % 2:
            raise ValueError(
                f"{self.name} turns pairs of features, got samples of shape {tuple(input_shape)}; make it even"
            )
        return input_shape

    def forward(self, x, training=False):
        y = self._rotated(x, "y", False)
        if training:
            self.save(True)
        else:
            self.forget()
        return y

    def backward(self, dy):
        self.saved()
        return self._rotated(dy, "dx", True)

    def _rotated(self, x, name, back):
        shape, at = x.shape, self.places
        sizes = (math.prod(shape[:at]), shape[at], math.prod(shape[at + 1 : -1]), shape[-1])
        y = self.buffer(name, shape)
        how = self.max_wavelength, self.scaling_factor
        self.k.rotate(x.reshape(sizes), *how, out=y.reshape(sizes), back=back)
        return y
