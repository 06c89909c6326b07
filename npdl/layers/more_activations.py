"""More activations as layers of their own: those that PyTorch has as modules. The formulas are `npdl.activations`'."""

from npdl import activations
from npdl.layers.activation import Activation, Softmax


class ReLU6(Activation):
    """y = min(max(x, 0), 6): `npdl.activations.ReLU6`."""

    def __init__(self, **base):
        super().__init__(activations.relu6, **base)


class SELU(Activation):
    """y = s x where x > 0, else s α (eˣ − 1): `npdl.activations.SELU`."""

    def __init__(self, **base):
        super().__init__(activations.selu, **base)


class CELU(Activation):
    """y = x where x > 0, else α (e^(x/α) − 1): `npdl.activations.CELU`.

    Args:
        alpha: α, above 0.
    """

    def __init__(self, alpha=1.0, **base):
        super().__init__(activations.CELU(alpha), **base)
        self.alpha = alpha


class SiLU(Activation):
    """y = x σ(x), σ the sigmoid: `npdl.activations.SiLU`."""

    def __init__(self, **base):
        super().__init__(activations.silu, **base)


class Mish(Activation):
    """y = x tanh(ln(1 + eˣ)): `npdl.activations.Mish`."""

    def __init__(self, **base):
        super().__init__(activations.mish, **base)


class Softsign(Activation):
    """y = x / (1 + |x|): `npdl.activations.Softsign`."""

    def __init__(self, **base):
        super().__init__(activations.softsign, **base)


class LogSigmoid(Activation):
    """y = ln σ(x), σ the sigmoid: `npdl.activations.LogSigmoid`."""

    def __init__(self, **base):
        super().__init__(activations.log_sigmoid, **base)


class HardSigmoid(Activation):
    """y = min(max(x/6 + ½, 0), 1): `npdl.activations.HardSigmoid`."""

    def __init__(self, **base):
        super().__init__(activations.hard_sigmoid, **base)


class HardSiLU(Activation):
    """y = x min(max(x/6 + ½, 0), 1): `npdl.activations.HardSiLU`."""

    def __init__(self, **base):
        super().__init__(activations.hard_silu, **base)


class HardTanh(Activation):
    """y = min(max(x, −1), 1): `npdl.activations.HardTanh`."""

    def __init__(self, **base):
        super().__init__(activations.hard_tanh, **base)


class HardShrink(Activation):
    """y = x where |x| > threshold, else 0: `npdl.activations.HardShrink`.

    Args:
        threshold: at least 0.
    """

    def __init__(self, threshold=0.5, **base):
        super().__init__(activations.HardShrink(threshold), **base)
        self.threshold = threshold


class SoftShrink(Activation):
    """y = x brought nearer to 0 by the threshold, as far as 0: `npdl.activations.SoftShrink`.

    Args:
        threshold: at least 0.
    """

    def __init__(self, threshold=0.5, **base):
        super().__init__(activations.SoftShrink(threshold), **base)
        self.threshold = threshold


class TanhShrink(Activation):
    """y = x − tanh(x): `npdl.activations.TanhShrink`."""

    def __init__(self, **base):
        super().__init__(activations.tanh_shrink, **base)


class Threshold(Activation):
    """y = x where x > threshold, else default_value: `npdl.activations.Threshold`.

    Args:
        threshold, default_value: numbers.
    """

    def __init__(self, threshold, default_value, **base):
        super().__init__(activations.Threshold(threshold, default_value), **base)
        self.threshold, self.default_value = threshold, default_value


class LogSoftmax(Softmax):
    """y = ln(eˣ / Σ eˣ) along an axis: `npdl.activations.LogSoftmax`.

    Args:
        axis: counted with the batch axis, which it must not be; -1 is the last.
    """

    function = activations.LogSoftmax


class Sparsemax(Softmax):
    """The nearest point to x among probabilities, along an axis; many are 0: `npdl.activations.Sparsemax`.

    Args:
        axis: counted with the batch axis, which it must not be; -1 is the last.
    """

    function = activations.Sparsemax
