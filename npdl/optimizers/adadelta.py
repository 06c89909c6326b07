"""Adadelta: steps as large as steps have been."""

import numpy as np

from npdl.optimizers.base import Optimizer


class Adadelta(Optimizer):
    """Adadelta: each step has the unit of the weights, for it is scaled by the steps before it.

        d = g + λ p
        v = ρ v + (1 − ρ) d²
        x = √(delta + ε) / √(v + ε) · d
        delta = ρ delta + (1 − ρ) x²
        p = p − η x

    The formulas are PyTorch's and Keras', the defaults Keras' (η = 0.001, ρ = 0.95, ε = 1e-7; PyTorch, like the paper,
    has η = 1, and ρ = 0.9, ε = 1e-6).

    Args:
        learning_rate: η.
        rho: ρ, how much of the means is kept in a step.
        epsilon: ε, which the first steps are made of.
        weight_decay: λ; None is 0.
        name: kept for you.
        services: clipping, averages, accumulation ..., as in `Optimizer`.

    Raises:
        ValueError: learning_rate, epsilon or weight_decay negative or not finite, rho outside [0, 1).

    References:
        Zeiler, ADADELTA: an adaptive learning rate method, 2012.

    >>> Adadelta(1.0)
    Adadelta(learning_rate=1.0)
    """

    def __init__(
        self, learning_rate=0.001, rho=0.95, epsilon=1e-7, weight_decay=None, name="adadelta", **services,
    ):  # fmt: skip
        super().__init__(learning_rate, weight_decay, name, **services)
        self.rho = self.check("rho", rho, below=1, example=0.95)
        self.epsilon = self.check("epsilon", epsilon, example=1e-7)

    def slots(self):
        return ("v", "delta")

    def update(self, k, p, g, segments):
        hyper = np.array([self.learning_rate, self.rho, self.epsilon, self.decoupled_weight_decay])
        k.adadelta(p, g, self.state["v"], self.state["delta"], segments, hyper)
