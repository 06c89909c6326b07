"""GlobalAveragePooling1D, GlobalAveragePooling2D and GlobalAveragePooling3D."""

from npdl.layers.global_pooling import GlobalAveragePool


class GlobalAveragePooling1D(GlobalAveragePool):
    """The mean of each channel over the whole sequence, or over the steps that count.

        forward     y[n, c] = Σ_t x[n, t, c] m[n, t] / Σ_t m[n, t]      m: the mask, 1 at every step where there is none
        backward    dx[n, t, c] = dy[n, c] m[n, t] / Σ_t m[n, t]

    A sequence of which no step counts gives 0 (NaN in Keras).

    Shapes: x (N, T, C) · y (N, C), or (N, 1, C) with keepdims · mask (N, T). T may be of any length.
    Saves: the sizes and the mask, on which alone the gradient depends.

    Args:
        data_format: None or "channels_last".
        keepdims: keep the axis of steps as one of length 1.

    Raises:
        ValueError: samples that are no sequences.

    >>> GlobalAveragePooling1D().init(input_shape=(100, 64)).output_shape
    (64,)
    """

    axes = 1

    def forward(self, x, training=False, mask=None):
        counted = x
        if mask is not None:
            counted = self.scratch("counted", x.shape)
            self.k.mask_rows(x, mask, out=counted)
        y = super().forward(counted, training)
        if mask is not None:
            few = y.reshape(len(x), x.shape[-1])
            self.k.mean_of_counted(few, mask, out=few)  # Σ x m / T as Σ x m / Σ m
        if training:
            self.save(x.shape, mask)
        return y

    def backward(self, dy):
        shape, mask = self.saved()
        few, dx = dy.reshape(len(dy), shape[-1]), self.buffer("dx", shape)
        if mask is not None:
            of_counted = self.buffer("dy of counted", few.shape)
            self.k.mean_of_counted(few, mask, out=of_counted)
            few = of_counted
        self.k.global_average_pool2d_grad(few, out=self.image(dx))
        if mask is not None:
            self.k.mask_rows(dx, mask, out=dx)
        return dx

    def compute_mask(self, x, mask=None):
        """None: there are no steps any more."""


class GlobalAveragePooling2D(GlobalAveragePool):
    """The mean of each channel over the whole image.

        forward     y[n, c] = Σ x[n, h, w, c] / (H W)
        backward    dx[n, h, w, c] = dy[n, c] / (H W)

    Shapes: x (N, H, W, C) · y (N, C), or (N, 1, 1, C) with keepdims. H and W may be of any length.
    Saves: nothing but the sizes, on which alone the gradient depends.

    Args:
        data_format: None or "channels_last".
        keepdims: keep height and width as axes of length 1.

    Raises:
        ValueError: samples that are no images.

    Reference: Lin, Chen and Yan, Network In Network, 2013.

    >>> GlobalAveragePooling2D().init(input_shape=(7, 7, 64)).output_shape
    (64,)
    """

    axes = 2


class GlobalAveragePooling3D(GlobalAveragePool):
    """The mean of each channel over the whole volume.

        forward     y[n, c] = Σ x[n, d, h, w, c] / (D H W)
        backward    dx[n, d, h, w, c] = dy[n, c] / (D H W)

    Shapes: x (N, D, H, W, C) · y (N, C), or (N, 1, 1, 1, C) with keepdims. D, H and W may be of any length.
    Saves: nothing but the sizes, on which alone the gradient depends.

    Args:
        data_format: None or "channels_last".
        keepdims: keep depth, height and width as axes of length 1.

    Raises:
        ValueError: samples that are no volumes.

    >>> GlobalAveragePooling3D().init(input_shape=(4, 7, 7, 64)).output_shape
    (64,)
    """

    axes = 3
