"""Adam: a step along the mean gradient over the root of the mean square gradient."""

import numpy as np

from npdl.optimizers.base import Optimizer
from npdl.schedules.exact import whole_power


class Adam(Optimizer):
    """Adam: running means of the gradient and of its square, both corrected for their start at 0.

        d = g + λ p
        m = β₁ m + (1 − β₁) d
        v = β₂ v + (1 − β₂) d²
        v_max = max(v_max, v);  v = v_max in the line below        amsgrad
        p = p − η / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)          t = 1, 2, ... the number of the step

    The formulas are PyTorch's; its ε stands outside the corrected root, as in the paper, with Keras' default. Keras
    adds ε to the uncorrected √v, and decays the weights beside the gradient step: `AdamW` does that here.
    t counts the optimizer's steps for every layer, as in Keras; PyTorch counts each weight's own, which differs for a
    layer that was frozen for a while.

    Args:
        learning_rate: η.
        beta_1, beta_2: β₁ and β₂, how much of the means is kept in a step.
        epsilon: ε, keeps the quotient finite where the gradient is 0.
        amsgrad: divide by the largest v so far, so that steps never grow again; an array of state more.
        weight_decay: λ; None is 0.
        name: kept for you.
        services: clipping, averages, accumulation ..., as in `Optimizer`.

    Raises:
        ValueError: learning_rate, epsilon or weight_decay negative or not finite, a β outside [0, 1).

    References:
        Kingma and Ba, Adam: a method for stochastic optimization, 2015.
        Reddi, Kale and Kumar, On the convergence of Adam and beyond, 2018 (AMSGrad).

    >>> Adam(0.01)
    Adam(learning_rate=0.01)
    """

    def __init__(
        self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, amsgrad=False, weight_decay=None,
        name="adam", **services,
    ):  # fmt: skip
        super().__init__(learning_rate, weight_decay, name, **services)
        self.beta_1 = self.check("beta_1", beta_1, below=1, example=0.9)
        self.beta_2 = self.check("beta_2", beta_2, below=1, example=0.999)
        self.epsilon = self.check("epsilon", epsilon, example=1e-7)
        self.amsgrad = bool(amsgrad)

    def slots(self):
        return ("m", "v", *["v_max"] * self.amsgrad)

    def hyper(self):
        """The kernel's numbers for the step that comes: (η, β₁, β₂, 1 − β₁ᵗ, 1 − β₂ᵗ, ε)."""
        t = self.iterations + 1
        bias_1, bias_2 = 1 - whole_power(self.beta_1, t), 1 - whole_power(self.beta_2, t)
        return np.array([self.learning_rate, self.beta_1, self.beta_2, bias_1, bias_2, self.epsilon])

    def update(self, k, p, g, segments):
        update = k.adamw if self.decoupled_weight_decay else k.adam
        update(p, g, self.state["m"], self.state["v"], segments, self.hyper(), self.state.get("v_max"))
