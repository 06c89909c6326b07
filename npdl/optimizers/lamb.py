"""LAMB: Adam with a trust ratio for each weight tensor."""

import numpy as np

from npdl.optimizers.base import Optimizer
from npdl.schedules.exact import whole_power


class Lamb(Optimizer):
    """LAMB, for very large batches: the step of a tensor is as long as the tensor, times η.

        m = β₁ m + (1 − β₁) g
        v = β₂ v + (1 − β₂) g²
        u = m / (1 − β₁ᵗ) / (√v / √(1 − β₂ᵗ) + ε) + λ p             t = 1, 2, ... the number of the step
        p = p − η ‖p‖ / ‖u‖ · u                                     η u where one of the norms is 0

    Formulas are the paper's, names and defaults Keras' (which keeps λ p out of u and of the ratio; here
    `decoupled_weight_decay=True` does that). The norms are those of one tensor, summed in float64.

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
        You et al., Large batch optimization for deep learning: training BERT in 76 minutes, 2020.

    >>> Lamb(0.01)
    Lamb(learning_rate=0.01)
    """

    def __init__(
        self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, weight_decay=None, name="lamb", **services,
    ):  # fmt: skip
        super().__init__(learning_rate, weight_decay, name, **services)
        self.beta_1 = self.check("beta_1", beta_1, below=1, example=0.9)
        self.beta_2 = self.check("beta_2", beta_2, below=1, example=0.999)
        self.epsilon = self.check("epsilon", epsilon, example=1e-7)

    def slots(self):
        return ("m", "v")

    def update(self, k, p, g, segments):
        t = self.iterations + 1
        bias_1, bias_2 = 1 - whole_power(self.beta_1, t), 1 - whole_power(self.beta_2, t)
        decoupled = self.decoupled_weight_decay
        hyper = np.array([self.learning_rate, self.beta_1, self.beta_2, bias_1, bias_2, self.epsilon, decoupled])
        k.lamb(p, g, self.state["m"], self.state["v"], segments, hyper)
