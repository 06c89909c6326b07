"""What layers share that surround samples with what lies inside."""

from npdl.layers import arguments, extending, spatial
from npdl.layers.base import Layer


class ExtendedPadding(Layer):
    """Margins that go on with what lies inside, as `mode` says: an axis after the other, the first one first."""

    axes: int
    mode: str

    def __init__(self, padding=1, data_format=None, **base):
        super().__init__(**base)
        self.margins = spatial.margins(self, "padding", padding, self.axes, "padding=1")
        self.padding = self.margins[0] if self.axes == 1 else self.margins
        self.data_format = arguments.channels_last(self, data_format)

    def build(self, input_shape):
        spatial.places(self, input_shape, self.axes)
        known = [one for one in zip(input_shape, self.margins) if one[0] is not None]
        for size, both in known:
            extending.check_sides(self, (size,), (both,), self.mode)
        sizes = (None if size is None else size + sum(both) for size, both in zip(input_shape, self.margins))
        return (*sizes, input_shape[-1])

    def flops(self):
        return 0

    def forward(self, x, training=False):
        extending.check_sides(self, x.shape[1:], self.margins, self.mode)
        y = extending.extended(self, x, self.margins, self.mode)
        if training:
            self.save()
        else:
            self.forget()
        return y

    def backward(self, dy):
        self.saved()  # raises where there was no forward
        return extending.extended_grad(self, dy, self.margins, self.mode)
