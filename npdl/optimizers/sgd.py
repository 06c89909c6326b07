"""SGD: gradient descent, with momentum."""

import numpy as np

from npdl.optimizers.base import Optimizer


class SGD(Optimizer):
    """Gradient descent, with momentum μ and Nesterov's variant of it.

        d = g + λ p
        velocity = μ velocity + d               velocity is 0 at first; without momentum: p = p − η d
        d = d + μ velocity                      nesterov
        d = velocity                            otherwise
        p = p − η d

    The formulas are PyTorch's. Keras has η inside the velocity (velocity = μ velocity − η d), which differs once the
    learning rate changes, and decays the weights beside the gradient step (p = p − η λ p) instead of adding λ p to g:
    `decoupled_weight_decay=True` does that here.

    Args:
        learning_rate: η.
        momentum: μ, 0 for none, else usually 0.9.
        nesterov: look ahead along the velocity; needs momentum.
        weight_decay: λ; None is 0.
        name: kept for you.
        services: clipping, averages, accumulation ..., as in `Optimizer`.

    Raises:
        ValueError: learning_rate or weight_decay negative or not finite, momentum outside [0, 1), nesterov without
            momentum.

    References:
        Nesterov, A method of solving a convex programming problem with convergence rate O(1/k²), 1983.
        Sutskever, Martens, Dahl and Hinton, On the importance of initialization and momentum in deep learning, 2013.

    >>> SGD(0.1, momentum=0.9)
    SGD(learning_rate=0.1, momentum=0.9)
    """

    def __init__(
        self, learning_rate=0.01, momentum=0.0, nesterov=False, weight_decay=None, name="SGD", **services,
    ):  # fmt: skip
        super().__init__(learning_rate, weight_decay, name, **services)
        self.momentum = self.check("momentum", momentum, below=1, example=0.9)
        self.nesterov = bool(nesterov)
        if nesterov and not momentum:
            raise ValueError("SGD: nesterov=True needs momentum, got momentum=0; pass e.g. momentum=0.9")

    def slots(self):
        return ("velocity",) if self.momentum else ()

    def update(self, k, p, g, segments):
        hyper = np.array([self.learning_rate, self.momentum, self.nesterov, self.decoupled_weight_decay], np.float64)
        k.sgd(p, g, self.state["velocity"] if self.momentum else None, segments, hyper)
