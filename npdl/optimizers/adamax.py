"""Adamax: Adam with the largest recent gradient in place of the root of the mean square."""

import numpy as np

from npdl.optimizers.base import Optimizer
from npdl.schedules.exact import whole_power


class Adamax(Optimizer):
    """Adamax: Adam in the infinity norm.

        d = g + λ p
        m = β₁ m + (1 − β₁) d
        u = max(β₂ u, |d| + ε)
        p = p − η / (1 − β₁ᵗ) · m / u               t = 1, 2, ... the number of the step

    The formulas are PyTorch's, the defaults Keras' (η = 0.001; PyTorch's is 0.002). Keras adds ε to u instead of |d|.

    Args:
        learning_rate: η.
        beta_1, beta_2: β₁ and β₂, how much of m and u is kept in a step.
        epsilon: ε, keeps u from 0.
        weight_decay: λ; None is 0.
        name: kept for you.
        services: clipping, averages, accumulation ..., as in `Optimizer`.

    Raises:
        ValueError: learning_rate, epsilon or weight_decay negative or not finite, a β outside [0, 1).

    References:
        Kingma and Ba, Adam: a method for stochastic optimization, 2015, section 7.

    >>> Adamax(0.002)
    Adamax(learning_rate=0.002)
    """

    def __init__(
        self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, weight_decay=None, name="adamax", **services,
    ):  # fmt: skip
        super().__init__(learning_rate, weight_decay, name, **services)
        self.beta_1 = self.check("beta_1", beta_1, below=1, example=0.9)
        self.beta_2 = self.check("beta_2", beta_2, below=1, example=0.999)
        self.epsilon = self.check("epsilon", epsilon, example=1e-7)

    def slots(self):
        return ("m", "u")

    def update(self, k, p, g, segments):
        bias = 1 - whole_power(self.beta_1, self.iterations + 1)
        decoupled = self.decoupled_weight_decay
        hyper = np.array([self.learning_rate, self.beta_1, self.beta_2, bias, self.epsilon, decoupled])
        k.adamax(p, g, self.state["m"], self.state["u"], segments, hyper)
