"""Activation and its kin: elementwise functions, and softmax, as layers of their own."""

import numbers

from npdl import activations
from npdl.layers.base import Layer


class Activation(Layer):
    """y = a(x), for a function of `npdl.activations`.

        forward     y = a(x)
        backward    dx = dy · a'(x)

    Shapes: x, y (N, ...). Saves: y, or x where a' is computed from it.

    Args:
        activation: name or `npdl.activations` object.

    >>> Activation("relu").init(input_shape=(4,)).output_shape
    (4,)
    """

    def __init__(self, activation, **base):
        super().__init__(**base)
        self.activation = activations.get(activation)

    def forward(self, x, training=False):
        y = self.buffer("y", x.shape)
        self.k.activation(x, self.activation, out=y)  # y = a(x)
        if training:
            self.save(self.activation.kept(y, x))
        else:
            self.forget()
        return y

    def backward(self, dy):
        saved = self.saved()
        dx = self.inplace("dx", dy)
        self.k.activation_grad(dy, saved, self.activation, out=dx)  # dx = dy · a'(x)
        return dx


class ReLU(Activation):
    """y = max(x, 0), and more generally `npdl.activations.ReLU`, which has the formulas.

    Args:
        max_value: the largest y; None is no limit.
        negative_slope: slope below the threshold.
        threshold: where the slope changes.

    Raises:
        ValueError: one of them is negative.
    """

    def __init__(self, max_value=None, negative_slope=0.0, threshold=0.0, **base):
        top = 0 if max_value is None else max_value
        for name, value in (("max_value", top), ("negative_slope", negative_slope), ("threshold", threshold)):
            right = isinstance(value, numbers.Real) and value >= 0
            _need(right, "ReLU", name, value, "a number of at least 0", "ReLU(6.0)")
        super().__init__(activations.ReLU(negative_slope, max_value, threshold), **base)
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold


class LeakyReLU(Activation):
    """y = x where x > 0, else negative_slope · x: `npdl.activations.LeakyReLU`.

    Args:
        negative_slope: at least 0.

    Reference: Maas, Hannun and Ng, Rectifier Nonlinearities Improve Neural Network Acoustic Models, 2013.
    """

    def __init__(self, negative_slope=0.3, **base):
        super().__init__(activations.LeakyReLU(negative_slope), **base)
        self.negative_slope = negative_slope


class ELU(Activation):
    """y = x where x > 0, else α (eˣ − 1): `npdl.activations.ELU`.

    Args:
        alpha: α, at least 0.

    Reference: Clevert, Unterthiner and Hochreiter, Fast and Accurate Deep Network Learning by ELUs, 2015.
    """

    def __init__(self, alpha=1.0, **base):
        super().__init__(activations.ELU(alpha), **base)
        self.alpha = alpha


class GELU(Activation):
    """y = x Φ(x), Φ the normal distribution function: `npdl.activations.GELU`.

    Args:
        approximate: compute Φ by tanh.
    """

    def __init__(self, approximate=False, **base):
        super().__init__(activations.GELU(approximate), **base)
        self.approximate = approximate


class Sigmoid(Activation):
    """y = 1 / (1 + e⁻ˣ): `npdl.activations.Sigmoid`."""

    def __init__(self, **base):
        super().__init__(activations.sigmoid, **base)


class Tanh(Activation):
    """y = tanh(x): `npdl.activations.Tanh`."""

    def __init__(self, **base):
        super().__init__(activations.tanh, **base)


class Softmax(Activation):
    """y = eˣ / Σ eˣ along an axis: `npdl.activations.Softmax`.

    Args:
        axis: counted with the batch axis, which it must not be; -1 is the last.

    Raises:
        ValueError: there is no such axis.
    """

    function: type = activations.Softmax

    def __init__(self, axis=-1, **base):
        whole, kind = isinstance(axis, numbers.Integral) and not isinstance(axis, bool), type(self).__name__
        _need(whole and axis != 0, kind, "axis", axis, "the number of an axis of the samples", f"{kind}(axis=-1)")
        super().__init__(self.function(axis), **base)
        self.axis = axis

    def build(self, input_shape):
        axes = len(input_shape) + 1
        if not -axes < self.axis < axes:
            raise ValueError(f"{self.name}: samples of shape {input_shape} have no axis={self.axis}; use axis=-1")
        return input_shape


def _need(right, layer, argument, value, what, example):
    if not right:
        raise ValueError(f"{layer} needs {argument} to be {what}, got {value!r}; pass e.g. {example}")
