"""AlphaDropout: dropout that keeps what SELU activations have, mean 0 and variance 1."""

from npdl.layers.dropout import Dropout


class AlphaDropout(Dropout):
    """Alpha dropout: in training each number becomes l with probability rate; then all are scaled and shifted.

        forward     y = a x + b where kept, else a l + b;       in inference y = x
        backward    dx = a dy where kept, else 0

        l = −λα = −1.758..., what SELU tends to for x → −∞      (λ = 1.0507..., α = 1.6732...)
        a = ((1 − rate) (1 + rate l²))^(−½)     b = −a rate l

    Where x has mean 0 and variance 1, as behind SELU, y has, too.

    Shapes: x, y (N, ...).
    Saves: the step, from which backward computes the same mask again.

    Args:
        rate: probability of l, in [0, 1).
        noise_shape: shape of the mask, as of `Dropout`.
        seed: of the mask; None makes it from the model's seed and the layer's place.

    Raises:
        ValueError: as `Dropout`.

    Reference: Klambauer, Unterthiner, Mayr and Hochreiter, Self-Normalizing Neural Networks, 2017.

    >>> AlphaDropout(0.1).init(input_shape=(4,)).output_shape
    (4,)
    """

    purpose = "alpha_dropout"

    def draw(self, x, step, out):
        self.k.alpha_dropout(x, self.rate, self.key(), step, out=out, noise_shape=self.mask_shape)

    def draw_grad(self, dy, step, out):
        self.k.alpha_dropout_grad(dy, self.rate, self.key(), step, out=out, noise_shape=self.mask_shape)
