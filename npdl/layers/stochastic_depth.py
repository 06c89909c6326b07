"""StochasticDepth: dropout of whole samples, at the end of a residual branch."""

from npdl.layers.dropout import Dropout


class StochasticDepth(Dropout):
    """Stochastic depth: in training a sample is kept with probability 1 − rate and scaled up, else it becomes 0.

        forward     y[n] = x[n] m[n]        m = 1/(1 − rate) where kept, else 0;     in inference y = x
        backward    dx = dy m

    As the last layer of a residual branch F it drops the branch, sample by sample: x + m F(x). Also known as DropPath;
    Keras has no such layer.

    Shapes: x, y (N, ...).
    Saves: the step, from which backward computes the same m again.

    Args:
        rate: probability of 0, in [0, 1); usually larger the deeper the branch.
        seed: of the mask; None makes it from the model's seed and the layer's place.

    Raises:
        ValueError: rate outside [0, 1), no seed.

    Reference: Huang, Sun, Liu, Sedra and Weinberger, Deep Networks with Stochastic Depth, 2016.

    >>> StochasticDepth(0.2).init(input_shape=(6, 6, 4)).output_shape
    (6, 6, 4)
    """

    def __init__(self, rate=0.5, seed=None, **base):
        super().__init__(rate, seed=seed, **base)

    def build(self, input_shape):
        self.mask_shape = (1,) * len(input_shape)
        return input_shape
