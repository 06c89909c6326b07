"""LearningRateScheduler and ReduceLROnPlateau: change the learning rate between epochs."""

import inspect
import math
import numbers

from npdl.callbacks.base import Callback
from npdl.callbacks.monitor import Monitor, learning_rate


class LearningRateScheduler(Callback):
    """Set the learning rate at the beginning of each epoch; the logs get it as `learning_rate`.

    Args:
        schedule: function of (epoch counted from 0, learning rate now), or of the epoch alone, that gives the new one.
        verbose: 1 says it.

    Raises:
        ValueError: the optimizer has no learning rate that is a number, or the schedule gave none of at least 0.
    """

    def __init__(self, schedule, verbose=0):
        if not callable(schedule):
            raise TypeError(
                f"LearningRateScheduler takes a function of (epoch, learning rate), got {schedule!r}; "
                "pass e.g. lambda epoch, rate: rate * 0.9"
            )
        self.schedule, self.verbose = schedule, verbose
        self._takes_rate = _positional(schedule) != 1

    def on_epoch_begin(self, epoch, logs=None):
        old = learning_rate(self)
        new = self.schedule(epoch, old) if self._takes_rate else self.schedule(epoch)
        if isinstance(new, bool) or not isinstance(new, numbers.Real) or not 0 <= float(new) < math.inf:
            raise ValueError(
                f"LearningRateScheduler: schedule({epoch}, {old}) gave {new!r}, expected a number of at least 0; "
                "return the learning rate"
            )
        self.model.optimizer.learning_rate = float(new)
        if self.verbose:
            print(f"LearningRateScheduler: learning rate {float(new):.5g} in epoch {epoch + 1}")

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["learning_rate"] = learning_rate(self)


class ReduceLROnPlateau(Monitor):
    """Multiply the learning rate by `factor` when `monitor` has not become better for `patience` epochs.

    Args:
        monitor: a name in the logs.
        factor: below 1.
        patience: epochs without a better value after which it is reduced.
        verbose: 1 says it.
        mode: "min", "max", or "auto": from the name.
        min_delta: the least change that counts as better.
        cooldown: epochs to wait after a reduction before counting again.
        min_lr: the learning rate never goes below it.

    The logs get the epoch's learning rate as `learning_rate`.

    Raises:
        ValueError: a bad argument; no value of that name in the logs; no learning rate that is a number.
    """

    def __init__(
        self, monitor="val_loss", factor=0.1, patience=10, verbose=0, mode="auto", min_delta=1e-4, cooldown=0,
        min_lr=0.0,
    ):  # fmt: skip
        super().__init__(monitor, mode, min_delta)
        if not 0 < factor < 1:
            raise ValueError(
                f"ReduceLROnPlateau: factor must lie between 0 and 1, got {factor!r}; pass e.g. factor=0.1"
            )
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr
        self.on_train_begin()

    def on_train_begin(self, logs=None):
        self.best = None
        self.wait = self.cooldown_counter = 0

    def on_epoch_end(self, epoch, logs=None):
        rate = learning_rate(self)
        if logs is not None:
            logs["learning_rate"] = rate
        value = self.value(epoch, logs)
        if value is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_better(value, self.best):
            self.best, self.wait = value, 0
        elif self.cooldown_counter == 0:
            self.wait += 1
            if self.wait >= self.patience and rate > self.min_lr:
                self.model.optimizer.learning_rate = max(rate * self.factor, self.min_lr)
                self.cooldown_counter, self.wait = self.cooldown, 0
                if self.verbose:
                    print(
                        f"ReduceLROnPlateau: learning rate {self.model.optimizer.learning_rate:.5g} "
                        f"after epoch {epoch + 1}, {self.monitor} got no better"
                    )


def _positional(function):
    """How many positional arguments a function must get; 2 where that cannot be found out."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some functions written in C
        return 2
    taken = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return 2 if any(p.kind is p.VAR_POSITIONAL for p in parameters) else len(taken)
