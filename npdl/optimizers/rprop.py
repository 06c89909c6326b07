"""Rprop: a step size for each weight, from the signs of its gradient alone."""

import numpy as np

from npdl.optimizers.base import Optimizer


class Rprop(Optimizer):
    """Resilient backpropagation, for full batches: the size of a gradient means nothing, its sign all.

        d = g + λ p
        s = d · previous                                            previous is 0, step is η at first
        step = clip(step · (η₊ if s > 0, η₋ if s < 0, else 1), smallest, largest)
        d = 0 where s < 0                                           the sign has turned: no step, and none judged by it
        p = p − step · sign(d)
        previous = d

    Formulas, arguments and defaults are PyTorch's (Keras has no Rprop), under Keras' name for η.

    Args:
        learning_rate: η, the first step size of each weight.
        etas: (η₋, η₊)
        step_sizes: (smallest, largest)
        weight_decay: λ; None is 0.
        name: kept for you.
        services: clipping, averages, accumulation ..., as in `Optimizer`.

    Raises:
        ValueError: not 0 < η₋ < 1 < η₊, not 0 ≤ smallest ≤ largest, learning_rate or weight_decay negative.

    References:
        Riedmiller and Braun, A direct adaptive method for faster backpropagation learning: the RPROP algorithm, 1993.

    >>> Rprop(0.001)
    Rprop(learning_rate=0.001)
    """

    def __init__(
        self, learning_rate=0.01, etas=(0.5, 1.2), step_sizes=(1e-6, 50.0), weight_decay=None, name="rprop", **services,
    ):  # fmt: skip
        super().__init__(learning_rate, weight_decay, name, **services)
        self.etas, self.step_sizes = tuple(etas), tuple(step_sizes)
        if len(self.etas) != 2 or not 0 < self.etas[0] < 1 < self.etas[1] < np.inf:
            raise ValueError(f"Rprop: etas must be (below 1, above 1), got {etas!r}; pass e.g. etas=(0.5, 1.2)")
        if len(self.step_sizes) != 2 or not 0 <= self.step_sizes[0] <= self.step_sizes[1] < np.inf:
            raise ValueError(
                f"Rprop: step_sizes must be (smallest, largest), got {step_sizes!r}; pass e.g. step_sizes=(1e-6, 50)"
            )

    def slots(self):
        return ("previous", "step")

    def initial(self, name):
        return self.learning_rate if name == "step" else 0.0

    def update(self, k, p, g, segments):
        hyper = np.array([self.learning_rate, *self.etas, *self.step_sizes, self.decoupled_weight_decay])
        k.rprop(p, g, self.state["previous"], self.state["step"], segments, hyper)
