"""RandomColorJitter: brightness, contrast, saturation and hue together."""

import math

from npdl import random
from npdl.layers import arguments
from npdl.layers.container import Container
from npdl.layers.random_color import RandomBrightness, RandomContrast
from npdl.layers.random_hue import RandomHue, RandomSaturation

PARTS = {
    "brightness": RandomBrightness, "contrast": RandomContrast, "saturation": RandomSaturation, "hue": RandomHue,
}  # fmt: skip


class RandomColorJitter(Container):
    """Each image of a training batch in other light and colours; in inference y = x.

        forward     y = hue(saturation(contrast(brightness(x)))), of which each may be left out
        backward    dx = through them in the other order

    Shapes: x, y (N, H, W, C), C = 3 with saturation or hue. H and W may be of any length.
    Saves: what the four save.

    Args:
        value_range: (low, high) of the pixels: (0, 1) where they were rescaled.
        brightness_factor: of `RandomBrightness`; None leaves it out.
        contrast_factor: of `RandomContrast`; None leaves it out.
        saturation_factor: of `RandomSaturation`; None leaves it out.
        hue_factor: of `RandomHue`; None leaves it out.
        seed: of all; None makes it from the model's seed and the layers' places.
        data_format: None or "channels_last".

    Raises:
        ValueError: a factor that the layer in question does not take, samples that are no images.

    >>> RandomColorJitter((0, 1), 0.2, 0.2, (0.4, 0.6), 0.1).init(input_shape=(32, 32, 3)).output_shape
    (32, 32, 3)
    """

    def __init__(
        self, value_range=(0, 255), brightness_factor=None, contrast_factor=None, saturation_factor=None,
        hue_factor=None, seed=None, data_format=None, **base,
    ):  # fmt: skip
        pair = value_range if isinstance(value_range, (tuple, list)) else ()
        self.value_range = arguments.span(self, "value_range", pair, -math.inf, math.inf)
        self.seed = None if seed is None else random.check_seed(seed)
        self.brightness_factor, self.contrast_factor = brightness_factor, contrast_factor
        self.saturation_factor, self.hue_factor = saturation_factor, hue_factor
        self.data_format = arguments.channels_last(self, data_format)
        self.parts = []
        for name, kind in PARTS.items():
            if (factor := getattr(self, f"{name}_factor")) is not None:
                self.parts.append(kind(factor, value_range=value_range, seed=seed, name=name))
                setattr(self, f"{name}_factor", self.parts[-1].factor)
        super().__init__({}, **base)

    def inner(self):
        """The layers inside."""
        return self.parts

    @classmethod
    def from_config(cls, config):
        """A new layer from `get_config()`'s dictionary: the layers inside follow from the arguments."""
        return super(Container, cls).from_config(config)

    def build(self, input_shape):
        arguments.image(self, input_shape)
        for part in self.parts:
            part.build_once(input_shape)
        return input_shape

    def forward(self, x, training=False):
        for part in self.parts:
            x = part.forward(x, training)
        if training:
            self.save()
        else:
            self.forget()
        return x

    def backward(self, dy):
        self.saved()  # raises where there was no forward
        for part in reversed(self.parts):
            dy = part.backward(dy)
        return dy
