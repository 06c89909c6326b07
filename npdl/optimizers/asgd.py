"""ASGD: gradient descent with a falling step, and the mean of the weights along the way."""

import numpy as np

from npdl.optimizers.base import Optimizer
from npdl.schedules.exact import power


class ASGD(Optimizer):
    """Averaged stochastic gradient descent.

        d = g + λ p
        η_t = η / (1 + λ₀ η (t − 1))^α                      t = 1, 2, ... the number of the step
        p = (1 − λ₀ η_t) p − η_t d
        mean = mean + (p − mean) / max(1, t − 1 − t₀)       p itself until step t₀ + 2
        finalize:  p = mean                                 once there was a mean of more than one

    `fit` calls `finalize` at its end. The formulas and the class are PyTorch's (Keras has no ASGD), under Keras' name
    for η; PyTorch's t0 of 10⁶ never averages in a short training, so set it where the weights have settled. Like `SWA`
    it leaves the running statistics of BatchNormalization as they were.

    Args:
        learning_rate: η.
        lambd: λ₀, a decay of the weights and of the step.
        alpha: α, how fast the step falls.
        t0: t₀, the number of steps before the mean begins.
        weight_decay: λ; None is 0.
        name: kept for you.
        services: clipping, averages, accumulation ..., as in `Optimizer`.

    Raises:
        ValueError: a number below 0 or not finite.

    References:
        Polyak and Juditsky, Acceleration of stochastic approximation by averaging, 1992.

    >>> ASGD(0.01, t0=1000)
    ASGD(learning_rate=0.01, t0=1000.0)
    """

    def __init__(
        self, learning_rate=0.01, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=None, name="asgd", **services,
    ):  # fmt: skip
        super().__init__(learning_rate, weight_decay, name, **services)
        self.lambd = self.check("lambd", lambd, example=1e-4)
        self.alpha = self.check("alpha", alpha, example=0.75)
        self.t0 = self.check("t0", t0, example=1e6)

    def slots(self):
        return ("mean",)

    def initial(self, name):
        """The weights: one that is frozen at first keeps its own."""
        return None

    def arrange(self, segments, weights):
        """λ₀ decays every weight, those that λ leaves out, too: p − η_t (g + (λ + λ₀) p)."""
        self._plain = segments * [1, 1, 0, 0, 1] + [0, 0, 1, 0, 0]
        self._shrinking = segments + [0, 0, 0, self.lambd, 0]
        return segments

    def update(self, k, p, g, segments):
        rate, before = self.learning_rate, self.iterations
        rate /= power(1 + self.lambd * rate * before, self.alpha)
        k.sgd(p, g, None, self._shrinking, np.array([rate, 0.0, 0.0, self.decoupled_weight_decay], np.float64))
        share = 1 / max(1, before - self.t0)
        k.combine(self.state["mean"], p, self._plain, np.array([1 - share, share]))

    def finalize(self, model):
        if self.iterations > self.t0 + 2:
            self._overwrite(model, "mean")
        else:
            super().finalize(model)
