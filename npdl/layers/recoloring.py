"""Recolored: the base of the layers that change colours pixel by pixel."""

from npdl.layers.random_color import _Colored


class Recolored(_Colored):
    """Images in other colours, by two numbers of each; a subclass has a `way` and writes `numbers(samples)`.

    forward     y = recolor(x)      as `npdl.kernels.reference.color.recolor` says for that way; x in inference
    backward    dx = its gradient
    """

    way = ""
    colors = True
    """Whether it needs red, green and blue."""

    def build(self, input_shape):
        super().build(input_shape)
        if self.colors and input_shape[-1] != 3:
            raise ValueError(
                f"{self.name}: {type(self).__name__} reads images of 3 channels, red, green and blue, got samples of "
                f"shape {tuple(input_shape)}; leave it out for images without colours"
            )
        return input_shape

    def numbers(self, samples):
        """(N, 2) float64 for `recolor`."""
        raise NotImplementedError(f"{type(self).__name__} needs numbers(self, samples)")

    def forward(self, x, training=False):
        if self.passes(training):
            return x
        numbers, y = self.made(lambda shape: self.numbers(shape[0]), x.shape), self.buffer("y", x.shape)
        self.step += 1
        self.k.recolor(x, self.way, numbers, *self.value_range, out=y)
        self.save(x, numbers)
        return y

    def backward(self, dy):
        if (saved := self.saved()) is None:
            return dy
        (x, numbers), dx = saved, self.inplace("dx", dy)
        self.k.recolor_grad(dy, x, self.way, numbers, *self.value_range, out=dx)
        return dx
