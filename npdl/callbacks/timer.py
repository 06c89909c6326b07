"""Timer: how long training takes, and an end when the time is up."""

import datetime
import time

from npdl.callbacks.base import Callback


class Timer(Callback):
    """Add the seconds of each epoch to the logs, and end `fit` when it has run for so long.

    Args:
        duration: seconds or a `datetime.timedelta` after which training stops; None never.
        interval: "epoch" or "step": where it may stop. An epoch that is cut short is evaluated as others are.
        verbose: 1 says that the time is up.

    Attributes:
        elapsed: seconds since `fit` began.
        epochs: seconds of each epoch.

    Raises:
        ValueError: a bad argument.

    >>> Timer(datetime.timedelta(hours=2)).duration
    7200.0
    """

    def __init__(self, duration=None, interval="epoch", verbose=1):
        seconds = duration.total_seconds() if isinstance(duration, datetime.timedelta) else duration
        if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds <= 0):
            raise ValueError(
                f"Timer: duration must be seconds or a datetime.timedelta, more than 0, got {duration!r}; "
                "pass e.g. Timer(3600)"
            )
        if interval not in ("epoch", "step"):
            raise ValueError(f'Timer: interval must be "epoch" or "step", got {interval!r}; pass interval="epoch"')
        self.duration = None if seconds is None else float(seconds)
        self.interval, self.verbose = interval, verbose
        self.on_train_begin()

    @property
    def elapsed(self):
        """Seconds since `fit` began."""
        return self.clock() - self._begun

    clock = staticmethod(time.monotonic)

    def on_train_begin(self, logs=None):
        self._begun = self._epoch_begun = self.clock()
        self.epochs, self._up = [], False

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch_begun = self.clock()

    def on_train_batch_end(self, batch, logs=None):
        if self.interval == "step":
            self._look()

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(self.clock() - self._epoch_begun)
        if logs is not None:
            logs["seconds"] = self.epochs[-1]
        self._look()

    def on_train_end(self, logs=None):
        if self._up and self.verbose:
            print(f"Timer: stopped after {self.elapsed:.0f} seconds, in epoch {len(self.epochs)}")

    def _look(self):
        if self.duration is not None and self.elapsed >= self.duration:
            self.model.stop_training = self._up = True
