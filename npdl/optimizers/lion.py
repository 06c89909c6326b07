"""Lion: the sign of a mean gradient."""

import numpy as np

from npdl.optimizers.base import Optimizer


class Lion(Optimizer):
    """Lion: every weight takes a step of one size, along the sign of momentum and gradient together.

        u = sign(β₁ m + (1 − β₁) g)
        m = β₂ m + (1 − β₂) g
        p = (1 − η λ) p − η u

    Formulas, names and defaults are Keras' and the paper's. Usually η is a tenth of Adam's, and λ ten times as large.

    Args:
        learning_rate: η.
        beta_1: β₁, how much of m is in a step.
        beta_2: β₂, how much of m is kept.
        weight_decay: λ; None is 0.
        name: kept for you.
        services: clipping, averages, accumulation ..., as in `Optimizer`.

    Raises:
        ValueError: learning_rate or weight_decay negative or not finite, a β outside [0, 1).

    References:
        Chen et al., Symbolic discovery of optimization algorithms, 2023.

    >>> Lion(1e-4, weight_decay=0.1)
    Lion(learning_rate=0.0001, weight_decay=0.1)
    """

    def __init__(
        self, learning_rate=0.001, beta_1=0.9, beta_2=0.99, weight_decay=None, name="lion", **services,
    ):  # fmt: skip
        super().__init__(learning_rate, weight_decay, name, **services)
        self.beta_1 = self.check("beta_1", beta_1, below=1, example=0.9)
        self.beta_2 = self.check("beta_2", beta_2, below=1, example=0.99)

    def slots(self):
        return ("m",)

    def update(self, k, p, g, segments):
        k.lion(p, g, self.state["m"], segments, np.array([self.learning_rate, self.beta_1, self.beta_2]))
