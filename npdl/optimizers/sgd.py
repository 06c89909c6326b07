"""SGD: gradient descent, with momentum."""

import numpy as np

from npdl.optimizers.base import Optimizer


class SGD(Optimizer):
    """Gradient descent, with momentum μ and Nesterov's variant of it.

        d = g + λ p
        velocity = μ velocity + (1 − τ) d       d in the first step; without momentum: p = p − η d
        d = d + μ velocity                      nesterov
        d = velocity                            otherwise
        p = p − η d

    The formulas are PyTorch's. Keras has η inside the velocity (velocity = μ velocity − η d), which differs once the
    learning rate changes, and decays the weights beside the gradient step (p = p − η λ p) instead of adding λ p to g:
    `decoupled_weight_decay=True` does that here. With dampening the state holds velocity / (1 − τ), which the same
    kernel updates, its step (1 − τ) η.

    Args:
        learning_rate: η.
        momentum: μ, 0 for none, else usually 0.9.
        nesterov: look ahead along the velocity; needs momentum.
        weight_decay: λ; None is 0.
        dampening: τ, of PyTorch's SGD: how much of each gradient but the first the velocity leaves out.
        name: kept for you.
        services: clipping, averages, accumulation ..., as in `Optimizer`.

    Raises:
        ValueError: learning_rate or weight_decay negative or not finite, momentum or dampening outside [0, 1),
            nesterov or dampening without momentum, or both of them.

    References:
        Nesterov, A method of solving a convex programming problem with convergence rate O(1/k²), 1983.
        Sutskever, Martens, Dahl and Hinton, On the importance of initialization and momentum in deep learning, 2013.

    >>> SGD(0.1, momentum=0.9)
    SGD(learning_rate=0.1, momentum=0.9)
    """

    def __init__(
        self, learning_rate=0.01, momentum=0.0, nesterov=False, weight_decay=None, name="SGD", dampening=0.0,
        **services,
    ):  # fmt: skip
        super().__init__(learning_rate, weight_decay, name, **services)
        self.momentum = self.check("momentum", momentum, below=1, example=0.9)
        self.nesterov = bool(nesterov)
        if nesterov and not momentum:
            raise ValueError("SGD: nesterov=True needs momentum, got momentum=0; pass e.g. momentum=0.9")
        self.dampening = self.check("dampening", dampening, below=1, example=0.1)
        if dampening and (nesterov or not momentum):
            raise ValueError(
                f"SGD: dampening={dampening} needs momentum and no nesterov, got momentum={momentum}, "
                f"nesterov={nesterov}; leave dampening out"
            )

    def get_config(self):
        """The arguments; dampening, which Keras does not know, where it is not 0."""
        config = super().get_config()
        return config if self.dampening else {key: value for key, value in config.items() if key != "dampening"}

    def slots(self):
        return ("velocity",) if self.momentum else ()

    def update(self, k, p, g, segments):
        velocity, rate, taken = self.state.get("velocity"), self.learning_rate, 1 - self.dampening
        damped = self.dampening and self.iterations
        if damped:
            rate *= taken
            if self.decoupled_weight_decay:
                segments = segments / [1, 1, 1, taken, 1]  # η λ stays what it is
        k.sgd(p, g, velocity, segments, np.array([rate, self.momentum, self.nesterov, self.decoupled_weight_decay]))
        if self.dampening and not damped:  # the first velocity is d
            plain = segments * [1, 1, 0, 0, 1] + [0, 0, 1, 0, 0]
            k.combine(velocity, velocity, plain, np.array([0.0, 1 / taken]))
