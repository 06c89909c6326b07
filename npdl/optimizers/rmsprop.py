"""RMSprop: the gradient over the root of its running mean square."""

import numpy as np

from npdl.optimizers.base import Optimizer


class RMSprop(Optimizer):
    """RMSprop: each weight's gradient is divided by a running estimate of its size.

        d = g + λ p
        v = ρ v + (1 − ρ) d²
        mean = ρ mean + (1 − ρ) d;  w = v − mean²       centered: the variance
        w = v                                           otherwise
        d = d / (√w + ε)
        velocity = μ velocity + d;  d = velocity        with momentum
        p = p − η d

    v, mean and velocity are 0 at first. The formulas are PyTorch's (but rounding never makes w negative: it is then 0),
    the defaults Keras': ρ = 0.9 (PyTorch 0.99), η = 0.001 (PyTorch 0.01). Keras has ε inside the root, η inside the
    velocity, and decays the weights beside the gradient step.

    Args:
        learning_rate: η.
        rho: ρ, how much of the means is kept in a step.
        momentum: μ, 0 for none.
        epsilon: ε, keeps the quotient finite where the gradient is 0.
        centered: divide by the root of the variance instead of the mean square; an array of state more.
        weight_decay: λ; None is 0.
        name: kept for you.
        services: clipping, averages, accumulation ..., as in `Optimizer`.

    Raises:
        ValueError: learning_rate, epsilon or weight_decay negative or not finite, rho or momentum outside [0, 1).

    References:
        Hinton, Srivastava and Swersky, Neural networks for machine learning, lecture 6e, 2012.
        Graves, Generating sequences with recurrent neural networks, 2013 (centered).

    >>> RMSprop(centered=True)
    RMSprop(learning_rate=0.001, centered=True)
    """

    def __init__(
        self, learning_rate=0.001, rho=0.9, momentum=0.0, epsilon=1e-7, centered=False, weight_decay=None,
        name="rmsprop", **services,
    ):  # fmt: skip
        super().__init__(learning_rate, weight_decay, name, **services)
        self.rho = self.check("rho", rho, below=1, example=0.9)
        self.momentum = self.check("momentum", momentum, below=1, example=0.9)
        self.epsilon = self.check("epsilon", epsilon, example=1e-7)
        self.centered = bool(centered)

    def slots(self):
        return ("v", *["mean"] * self.centered, *["velocity"] * (self.momentum > 0))

    def update(self, k, p, g, segments):
        hyper = np.array([self.learning_rate, self.rho, self.momentum, self.epsilon, self.decoupled_weight_decay])
        mean = self.state["mean"] if self.centered else None
        velocity = self.state["velocity"] if self.momentum else None
        k.rmsprop(p, g, self.state["v"], mean, velocity, segments, hyper)
