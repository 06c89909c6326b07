"""Nadam: Adam with Nesterov's momentum."""

import numpy as np

from npdl.optimizers.base import Optimizer
from npdl.schedules.exact import power, whole_power


class Nadam(Optimizer):
    """Nadam: Adam whose step looks ahead along the mean gradient.

        d = g + λ p
        μₜ = β₁ (1 − 0.96^(t ψ) / 2)                Mₜ = μ₁ μ₂ ... μₜ          t = 1, 2, ... the number of the step
        m = β₁ m + (1 − β₁) d
        v = β₂ v + (1 − β₂) d²
        p = p − η ((1 − μₜ) / (1 − Mₜ) d + μₜ₊₁ / (1 − Mₜ₊₁) m) / (√v / √(1 − β₂ᵗ) + ε)

    The formulas are PyTorch's NAdam, the defaults Keras' (η = 0.001; PyTorch's is 0.002). Keras has ψ = 1.

    Args:
        learning_rate: η.
        beta_1, beta_2: β₁ and β₂, how much of the means is kept in a step.
        epsilon: ε, keeps the quotient finite where the gradient is 0.
        weight_decay: λ; None is 0.
        name: kept for you.
        services: clipping, averages, accumulation ..., as in `Optimizer`.
        momentum_decay: ψ, how fast the momentum grows to β₁.

    Raises:
        ValueError: learning_rate, epsilon, weight_decay or momentum_decay negative or not finite, a β outside [0, 1).

    References:
        Dozat, Incorporating Nesterov momentum into Adam, 2016.

    >>> Nadam(0.002)
    Nadam(learning_rate=0.002)
    """

    def __init__(
        self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, weight_decay=None, name="nadam",
        momentum_decay=4e-3, **services,
    ):  # fmt: skip
        super().__init__(learning_rate, weight_decay, name, **services)
        self.beta_1 = self.check("beta_1", beta_1, below=1, example=0.9)
        self.beta_2 = self.check("beta_2", beta_2, below=1, example=0.999)
        self.epsilon = self.check("epsilon", epsilon, example=1e-7)
        self.momentum_decay = self.check("momentum_decay", momentum_decay, example=4e-3)
        self._product = (0, 1.0)  # t and Mₜ

    def slots(self):
        return ("m", "v")

    def momentum(self, t):
        """μₜ"""
        return self.beta_1 * (1 - 0.5 * power(0.96, t * self.momentum_decay))

    def product(self, t):
        """Mₜ, multiplied up from the last one asked for."""
        last, product = self._product if self._product[0] <= t else (0, 1.0)
        for step in range(last + 1, t + 1):
            product *= self.momentum(step)
        self._product = (t, product)
        return product

    def update(self, k, p, g, segments):
        t = self.iterations + 1
        product, ahead = self.product(t), self.momentum(t + 1)
        gradient, mean = (1 - self.momentum(t)) / (1 - product), ahead / (1 - product * ahead)
        hyper = np.array(
            [self.learning_rate, self.beta_1, self.beta_2, gradient, mean, 1 - whole_power(self.beta_2, t),
             self.epsilon, self.decoupled_weight_decay]
        )  # fmt: skip
        k.nadam(p, g, self.state["m"], self.state["v"], segments, hyper)
