"""LPPooling1D, LPPooling2D and LPPooling3D."""

import math
import numbers

from npdl.layers.pooling import AveragePool


class PowerPool(AveragePool):
    """The p-norm of each window, by way of the mean of powers: s = K · mean of |x|ᵖ, K places a window."""

    def __init__(self, norm_type=2, pool_size=2, strides=None, data_format=None, **base):
        super().__init__(pool_size, strides, "valid", data_format, **base)
        if not isinstance(norm_type, numbers.Real) or not 0 < norm_type < math.inf:
            kind = type(self).__name__
            raise ValueError(
                f"{kind} needs norm_type to be a number above 0, got norm_type={norm_type!r}; pass e.g. {kind}(2)"
            )
        self.norm_type = norm_type

    def forward(self, x, training=False):
        powers = self.buffer("powers", x.shape)
        self.k.power(x, self.norm_type, out=powers)
        s = self.means(powers)
        self.k.scale(s, math.prod(self.pool_size), out=s)  # s = Σ |x|ᵖ
        y = self.buffer("y", s.shape)
        self.k.power(s, 1 / self.norm_type, out=y)  # y = s^(1/p)
        if training:
            self.save(x, s)
        else:
            self.forget()
        return y

    def backward(self, dy):
        x, s = self.saved()
        ds = self.inplace("ds", dy)
        self.k.power_grad(dy, s, 1 / self.norm_type, out=ds)
        self.k.scale(ds, math.prod(self.pool_size), out=ds)
        dpowers = self.means_grad(ds, x.shape)
        self.k.power_grad(dpowers, x, self.norm_type, out=dpowers)  # dx = p |x|^(p − 1) sign(x) Σ ds
        return dpowers


class LPPooling1D(PowerPool):
    """The p-norm of each window of a sequence: from the sum (p = 1) towards the maximum (p → ∞).

        forward     s[n, t, c] = Σ |x|ᵖ of the window's places        y = s^(1/p)
        backward    ds = dy s^(1/p − 1) / p,  0 where s is 0
                    dx = p |x|^(p − 1) sign(x) Σ ds of the windows that hold this place,  0 where x is 0

    As in PyTorch, which however takes xᵖ without the bars: the same for even p, and for x of at least 0.

    Shapes: x (N, T, C) · y (N, OT, C), sizes as in `Conv1D`. T may be of any length.
    Saves: x and s.

    Args:
        norm_type: p, above 0.
        pool_size: the window's length.
        strides: its steps; None is pool_size.
        data_format: None or "channels_last".

    Raises:
        ValueError: p not above 0, a size below 1, samples that are no sequences, a window larger than they are.

    >>> LPPooling1D(2, 3).init(input_shape=(9, 2)).output_shape
    (3, 2)
    """

    axes = 1


class LPPooling2D(PowerPool):
    """The p-norm of each window of an image: from the sum (p = 1) towards the maximum (p → ∞).

        forward     s[n, i, j, c] = Σ |x|ᵖ of the window's places        y = s^(1/p)
        backward    ds = dy s^(1/p − 1) / p,  0 where s is 0
                    dx = p |x|^(p − 1) sign(x) Σ ds of the windows that hold this place,  0 where x is 0

    As in PyTorch, which however takes xᵖ without the bars: the same for even p, and for x of at least 0.

    Shapes: x (N, H, W, C) · y (N, OH, OW, C), sizes as in `Conv2D`. H and W may be of any length.
    Saves: x and s.

    Args:
        norm_type: p, above 0.
        pool_size: the window's height and width, one number for both or two.
        strides: its steps; None is pool_size.
        data_format: None or "channels_last".

    Raises:
        ValueError: p not above 0, a size below 1, samples that are no images, a window larger than they are.

    >>> LPPooling2D(2, 3).init(input_shape=(9, 6, 2)).output_shape
    (3, 2, 2)
    """

    axes = 2


class LPPooling3D(PowerPool):
    """The p-norm of each window of a volume: from the sum (p = 1) towards the maximum (p → ∞).

        forward     s[n, d, i, j, c] = Σ |x|ᵖ of the window's places        y = s^(1/p)
        backward    ds = dy s^(1/p − 1) / p,  0 where s is 0
                    dx = p |x|^(p − 1) sign(x) Σ ds of the windows that hold this place,  0 where x is 0

    As in PyTorch, which however takes xᵖ without the bars: the same for even p, and for x of at least 0.

    Shapes: x (N, D, H, W, C) · y (N, OD, OH, OW, C), sizes as in `Conv3D`. D, H and W may be of any length.
    Saves: x and s.

    Args:
        norm_type: p, above 0.
        pool_size: the window's depth, height and width, one number for all or three.
        strides: its steps; None is pool_size.
        data_format: None or "channels_last".

    Raises:
        ValueError: p not above 0, a size below 1, samples that are no volumes, a window larger than they are.

    >>> LPPooling3D(2, 2).init(input_shape=(4, 6, 8, 2)).output_shape
    (2, 3, 4, 2)
    """

    axes = 3
