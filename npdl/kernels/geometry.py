"""Geometry of a two-dimensional window that slides over an image (convolution and pooling)."""

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


def _axis(size, kernel, stride, dilation, padding):
    """(output size, places padded before) along one axis.

    valid  out = floor((size − span) / stride) + 1         span = (kernel − 1)·dilation + 1
    same   out = ceil(size / stride), total = max((out − 1)·stride + span − size, 0), the odd place goes to the end
    """
    span = (kernel - 1) * dilation + 1
    if padding == "valid":
        return (size - span) // stride + 1, 0
    out = -(-size // stride)
    return out, max((out - 1) * stride + span - size, 0) // 2


def window2d(input_shape, kernel, strides, padding, dilation=(1, 1), filters=None, groups=1):
    """The `Window2D` of a layer on images of `input_shape` (H, W, C).

    Numbers that reach beyond the image are cut to what just does so, and the results are the same: a stride to the
    image's size, where there is one place only; a dilation to one that puts all taps but the one in the middle outside
    the image at every place. No kernel then makes room for a margin of that size.

    Raises:
        ValueError: the (dilated) kernel is larger than the unpadded image.
    """
    h, w, channels = input_shape
    for size, k, d, axis in ((h, kernel[0], dilation[0], "height"), (w, kernel[1], dilation[1], "width")):
        span = (k - 1) * d + 1
        if padding == "valid" and span > size:
            raise ValueError(
                f"a window of {span} does not fit an image of {axis} {size} (input {tuple(input_shape)}); "
                f'use a smaller window or padding="same"'
            )
    strides = tuple(map(min, strides, (h, w)))
    dilation = tuple(min(d, 2 * size + s + 1) for d, size, s in zip(dilation, (h, w), strides))
    out_h, top = _axis(h, kernel[0], strides[0], dilation[0], padding)
    out_w, left = _axis(w, kernel[1], strides[1], dilation[1], padding)
    return Window2D(
        h, w, channels, *kernel, *strides, top, left, *dilation, out_h, out_w,
        channels if filters is None else filters, groups,
    )  # fmt: skip
