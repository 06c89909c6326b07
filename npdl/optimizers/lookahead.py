"""Lookahead: slow weights behind the fast ones of another optimizer."""

import numpy as np

from npdl.optimizers.wrapper import Wrapper


class Lookahead(Wrapper):
    """k steps forward, one step back.

        every `sync_period` steps of the inner optimizer:
            slow = slow + α (p − slow)                  slow is p before the first step
            p = slow

    Args:
        optimizer: takes the steps; its state goes on over the returns.
        sync_period: k.
        slow_step_size: α, from 0 to 1.
        name: kept for you.

    Raises:
        TypeError, ValueError: an argument out of range, or no optimizer.

    References:
        Zhang, Lucas, Hinton and Ba, Lookahead optimizer: k steps forward, 1 step back, 2019.

    >>> from npdl.optimizers import SGD
    >>> Lookahead(SGD(0.1), sync_period=5)
    Lookahead(SGD(learning_rate=0.1), sync_period=5, slow_step_size=0.5)
    """

    own_slots = ("slow",)

    def __init__(self, optimizer, sync_period=6, slow_step_size=0.5, name="lookahead"):
        super().__init__(optimizer, name)
        self.sync_period = _steps(self, "sync_period", sync_period, 1, 6)
        self.slow_step_size = self.check("slow_step_size", slow_step_size, below=1 + 1e-15, example=0.5)

    @property
    def turn(self):
        return (*super().turn, self._is_time)

    @property
    def _is_time(self):
        return (self.iterations + 1) % self.sync_period == 0

    def between(self, k, p, segments):
        if self._is_time:
            slow, share = self.state["slow"], self.slow_step_size
            k.combine(slow, p, segments, np.array([1 - share, share]))
            k.combine(p, slow, segments, np.array([0.0, 1.0]))


def _steps(owner, argument, value, least, example):
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(
            f"{type(owner).__name__}: {argument} must be a whole number of at least {least}, got {value!r}; "
            f"pass e.g. {argument}={example}"
        )
    return value
