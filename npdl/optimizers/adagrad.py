"""Adagrad: the gradient over the root of the sum of all its squares."""

import numpy as np

from npdl.optimizers.base import Optimizer


class Adagrad(Optimizer):
    """Adagrad: a weight that has moved much moves less.

        d = g + λ p
        v = v + d²                          v is `initial_accumulator_value` at first
        p = p − η d / (√v + ε)

    The formulas are PyTorch's, the defaults Keras' (η = 0.001, v = 0.1, ε = 1e-7; PyTorch has 0.01, 0, 1e-10). Keras
    has ε inside the root. PyTorch's lr_decay is a schedule here: `InverseTimeDecay(η, 1, lr_decay)`.

    Args:
        learning_rate: η.
        initial_accumulator_value: what v starts from.
        epsilon: ε, keeps the quotient finite where the gradient is 0.
        weight_decay: λ; None is 0.
        name: kept for you.
        services: clipping, averages, accumulation ..., as in `Optimizer`.

    Raises:
        ValueError: a number negative or not finite.

    References:
        Duchi, Hazan and Singer, Adaptive subgradient methods for online learning and stochastic optimization, 2011.

    >>> Adagrad(0.01)
    Adagrad(learning_rate=0.01)
    """

    def __init__(
        self, learning_rate=0.001, initial_accumulator_value=0.1, epsilon=1e-7, weight_decay=None, name="adagrad",
        **services,
    ):  # fmt: skip
        super().__init__(learning_rate, weight_decay, name, **services)
        self.initial_accumulator_value = self.check("initial_accumulator_value", initial_accumulator_value, example=0.1)
        self.epsilon = self.check("epsilon", epsilon, example=1e-7)

    def slots(self):
        return ("v",)

    def initial(self, name):
        return self.initial_accumulator_value

    def update(self, k, p, g, segments):
        hyper = np.array([self.learning_rate, self.epsilon, self.decoupled_weight_decay])
        k.adagrad(p, g, self.state["v"], segments, hyper)
