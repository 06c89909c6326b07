"""RAdam: Adam that begins as momentum, until the mean square of the gradient is worth dividing by."""

import math

import numpy as np

from npdl.optimizers.base import Optimizer
from npdl.schedules.exact import whole_power


class RAdam(Optimizer):
    """Rectified Adam: warms up by itself, through the variance that Adam's quotient has in its first steps.

        d = g + λ p
        m = β₁ m + (1 − β₁) d
        v = β₂ v + (1 − β₂) d²
        N = 2 / (1 − β₂) − 1,   n = N − 2 t β₂ᵗ / (1 − β₂ᵗ)         t = 1, 2, ... the number of the step
        r = √((n − 4) (n − 2) N / ((N − 4) (N − 2) n))
        p = p − η / (1 − β₁ᵗ) · r √(1 − β₂ᵗ) · m / (√v + ε)         where n > 5
        p = p − η / (1 − β₁ᵗ) · m                                   before

    The formulas and the class are PyTorch's, the arguments named and preset as in Keras' Adam (ε = 1e-7; PyTorch's is
    1e-8). The kernel is Adam's, with other numbers.

    Args:
        learning_rate: η.
        beta_1, beta_2: β₁ and β₂, how much of the means is kept in a step.
        epsilon: ε, keeps the quotient finite where the gradient is 0.
        weight_decay: λ; None is 0.
        name: kept for you.
        services: clipping, averages, accumulation ..., as in `Optimizer`.

    Raises:
        ValueError: learning_rate, epsilon or weight_decay negative or not finite, a β outside [0, 1).

    References:
        Liu, Jiang, He, Chen, Liu, Gao and Han, On the variance of the adaptive learning rate and beyond, 2020.

    >>> RAdam(0.002)
    RAdam(learning_rate=0.002)
    """

    def __init__(
        self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, weight_decay=None, name="radam", **services,
    ):  # fmt: skip
        super().__init__(learning_rate, weight_decay, name, **services)
        self.beta_1 = self.check("beta_1", beta_1, below=1, example=0.9)
        self.beta_2 = self.check("beta_2", beta_2, below=1, example=0.999)
        self.epsilon = self.check("epsilon", epsilon, example=1e-7)

    def slots(self):
        return ("m", "v")

    def hyper(self):
        """Adam's numbers: 1 − β₁ᵗ takes in r √(1 − β₂ᵗ); before, the root of v is divided by infinity and ε is 1."""
        t = self.iterations + 1
        decayed = whole_power(self.beta_2, t)
        bias_1, bias_2 = 1 - whole_power(self.beta_1, t), 1 - decayed
        longest = 2 / (1 - self.beta_2) - 1
        n = longest - 2 * t * decayed / bias_2
        if n <= 5:
            return np.array([self.learning_rate, self.beta_1, self.beta_2, bias_1, math.inf, 1.0])
        r = math.sqrt((n - 4) * (n - 2) * longest / ((longest - 4) * (longest - 2) * n))
        bias_1 /= r * math.sqrt(bias_2)
        return np.array([self.learning_rate, self.beta_1, self.beta_2, bias_1, 1.0, self.epsilon])

    def update(self, k, p, g, segments):
        update = k.adamw if self.decoupled_weight_decay else k.adam
        update(p, g, self.state["m"], self.state["v"], segments, self.hyper())
