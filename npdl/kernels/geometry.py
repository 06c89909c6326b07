"""Geometry of a window that slides over sequences, images or volumes (convolution and pooling)."""

import functools
from typing import NamedTuple


class Window2D(NamedTuple):
    """Sizes of a sliding window, channels last; what `same` or `valid` meant is settled in the numbers.

    Output (i, j) with tap (p, q) reads input row  i·stride_h − pad_top + p·dilation_h  and column
    j·stride_w − pad_left + q·dilation_w; a place outside the image counts as zero in a convolution and is left out of a
    pool.
    """

    in_h: int
    in_w: int
    channels: int
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    pad_top: int
    pad_left: int
    dilation_h: int
    dilation_w: int
    out_h: int
    out_w: int
    filters: int  # output channels; pooling: the same as channels
    groups: int  # a convolution's groups; pooling: 1 (not read)

    @property
    def inside(self):
        """Sizes of what the window slides over."""
        return self.in_h, self.in_w

    @property
    def out(self):
        """How often it stands along each axis."""
        return self.out_h, self.out_w


class Window3D(NamedTuple):
    """The same for volumes (depth, height, width, channels); tap (o, p, q) reads plane
    d·stride_d − pad_front + o·dilation_d.
    """

    in_d: int
    in_h: int
    in_w: int
    channels: int
    kernel_d: int
    kernel_h: int
    kernel_w: int
    stride_d: int
    stride_h: int
    stride_w: int
    pad_front: int
    pad_top: int
    pad_left: int
    dilation_d: int
    dilation_h: int
    dilation_w: int
    out_d: int
    out_h: int
    out_w: int
    filters: int
    groups: int

    @property
    def inside(self):
        """Sizes of what the window slides over."""
        return self.in_d, self.in_h, self.in_w

    @property
    def out(self):
        """How often it stands along each axis."""
        return self.out_d, self.out_h, self.out_w


SAMPLES = {
    1: ("a sequence", ("length",)),
    2: ("an image", ("height", "width")),
    3: ("a volume", ("depth", "height", "width")),
}
"""What samples of so many axes beside their channels are called, and these axes."""


def _axis(size, kernel, stride, dilation, padding):
    """(output size, places padded before) along one axis.

    valid   out = floor((size − span) / stride) + 1         span = (kernel − 1)·dilation + 1
    same    out = ceil(size / stride), total = max((out − 1)·stride + span − size, 0), the odd place goes to the end
    causal  out = ceil(size / stride), all before: an output sees no place after its own
    """
    span = (kernel - 1) * dilation + 1
    if padding == "valid":
        return (size - span) // stride + 1, 0
    out = -(-size // stride)
    return out, span - 1 if padding == "causal" else max((out - 1) * stride + span - size, 0) // 2


def _window(channels, *of_axes, filters, groups):
    """A `Window3D`, or a `Window2D`, of height 1 where there is one axis.

    Args:
        of_axes: for each axis size, kernel, stride, places padded before, dilation and output size.
    """
    of_axes = (((1, 1, 1, 0, 1, 1),) if len(of_axes) == 1 else ()) + of_axes
    sizes, *others = zip(*of_axes)
    kind = Window2D if len(of_axes) == 2 else Window3D
    return kind(*sizes, channels, *(one for each in others for one in each), filters, groups)


@functools.lru_cache(1024)
def window(input_shape, kernel, strides, padding, dilation, filters=None, groups=1):
    """The window of a layer on samples of `input_shape`: a sequence, an image or a volume, channels last.

    Numbers that reach beyond the sample are cut to what just does so, and the results are the same: a stride to the
    sample's size, where there is one place only; a dilation to one that puts all taps but the one in the middle (or,
    causal, the last) outside the sample at every place. No kernel then makes room for a margin of that size.

    Args:
        input_shape: (T, C), (H, W, C) or (D, H, W, C).
        kernel, strides, dilation: a number for each axis.
        padding: "valid", "same" or "causal".
        filters: output channels; None is as many as channels.
        groups: of a convolution.

    Raises:
        ValueError: the (dilated) kernel is larger than the unpadded sample.
    """
    *inside, channels = input_shape
    sample, names = SAMPLES[len(inside)]
    of_axes = []
    for axis, size, k, s, d in zip(names, inside, kernel, strides, dilation, strict=True):
        span = (k - 1) * d + 1
        if padding == "valid" and span > size:
            raise ValueError(
                f"a window of {span} does not fit {sample} of {axis} {size} (input {tuple(input_shape)}); "
                f'use a smaller window or padding="same"'
            )
        s = min(s, size)
        d = min(d, 2 * size + s + 1)
        out, before = _axis(size, k, s, d, padding)
        of_axes.append((size, k, s, before, d, out))
    return _window(channels, *of_axes, filters=channels if filters is None else filters, groups=groups)


def margins(input_shape, kernel, strides, padding, dilation):
    """((before, after), ...): the places that `padding` adds to each axis of samples of `input_shape`."""
    found = []
    for size, k, s, d in zip(input_shape, kernel, strides, dilation):
        out, before = _axis(size, k, s, d, padding)
        reached = (out - 1) * s + (k - 1) * d + 1
        found.append((before, max(reached - size - before, 0)))
    return tuple(found) if padding != "valid" else ((0, 0),) * len(found)


def window2d(input_shape, kernel, strides, padding, dilation=(1, 1), filters=None, groups=1):
    """The `Window2D` of a layer on images of `input_shape` (H, W, C); see `window`."""
    return window(tuple(input_shape), tuple(kernel), tuple(strides), padding, tuple(dilation), filters, groups)


@functools.lru_cache(1024)
def transposed_window(input_shape, kernel, strides, padding, output_padding, dilation, filters, groups=1):
    """The window of the convolution whose input gradient a transposed convolution is.

    Its outputs are the samples of `input_shape`, its inputs the transposed convolution's outputs:

        valid  size = (in − 1)·stride + span + p        p: output_padding, None is max(stride − span, 0)
        same   size = in·stride; with an output_padding p (in − 1)·stride + span mod 2 + p;
               of the (in − 1)·stride + span places reached the surplus is cut off, the odd one at the end

    Args:
        input_shape, kernel, strides, dilation: as of `window`.
        padding: "valid" or "same".
        output_padding: places to add at the end of each axis, or None.
        filters: channels of the transposed convolution's outputs.
        groups: of the convolution.
    """
    *inside, channels = input_shape
    of_axes = []
    for axis, (out, k, s, d) in enumerate(zip(inside, kernel, strides, dilation, strict=True)):
        span, more = (k - 1) * d + 1, None if output_padding is None else output_padding[axis]
        reached = (out - 1) * s + span
        if padding == "valid":
            size, before = reached + (max(s - span, 0) if more is None else more), 0
        else:
            size = out * s if more is None else (out - 1) * s + span % 2 + more
            before = max(reached - size, 0) // 2
        of_axes.append((size, k, s, before, d, out))
    return _window(filters, *of_axes, filters=channels, groups=groups)
