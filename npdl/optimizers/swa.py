"""SWA: the mean of the weights along the way."""

import numpy as np

from npdl.optimizers.lookahead import _steps
from npdl.optimizers.wrapper import Wrapper


class SWA(Wrapper):
    """Stochastic weight averaging: at the end of `fit` the weights become the mean of those along the way.

        after the steps start + period, start + 2 period, ...:  mean = mean + (p − mean) / n        n = 1, 2, ...
        finalize:                                               p = mean

    The running statistics of BatchNormalization are those of the weights before: after `fit`, bring them up to date by
    `model.forward(x, training=True)` over the training data. Usually with a constant or a cyclic learning rate.

    Args:
        optimizer: takes the steps.
        start_averaging: start, the number of steps that are left out.
        average_period: period, usually an epoch's number of steps.
        name: kept for you.

    Raises:
        TypeError, ValueError: an argument out of range, or no optimizer.

    References:
        Izmailov, Podoprikhin, Garipov, Vetrov and Wilson, Averaging weights leads to wider optima and better
        generalization, 2018.

    >>> from npdl.optimizers import SGD
    >>> SWA(SGD(0.1), start_averaging=1000, average_period=100)
    SWA(SGD(learning_rate=0.1), start_averaging=1000, average_period=100)
    """

    own_slots = ("mean",)

    def __init__(self, optimizer, start_averaging=0, average_period=10, name="swa"):
        super().__init__(optimizer, name)
        self.start_averaging = _steps(self, "start_averaging", start_averaging, 0, 1000)
        self.average_period = _steps(self, "average_period", average_period, 1, 100)

    @property
    def turn(self):
        return (*super().turn, min(self._number, 2))

    @property
    def _number(self):
        """How many weights the mean is of after the step that comes, 0 where it does not change."""
        n, left = divmod(self.iterations + 1 - self.start_averaging, self.average_period)
        return n if n > 0 and left == 0 else 0

    def between(self, k, p, segments):
        if n := self._number:
            k.combine(self.state["mean"], p, segments, np.array([1 - 1 / n, 1 / n]))

    def finalize(self, model):
        if self.iterations >= self.start_averaging + self.average_period:
            self._overwrite(model, "mean")
