"""ScalarLogger: every number of the logs handed to a function."""

import numbers

from npdl.callbacks.base import Callback


class ScalarLogger(Callback):
    """Hand name, value and step of each number in the logs to a function of yours: that of any tracking service.

        ScalarLogger(mlflow.log_metric)
        ScalarLogger(lambda name, value, step: wandb.log({name: value}, step=step))

    Args:
        write: function of (name, value, step); step is the number of the epoch, from 0, or that of the training step.
        every: "epoch", or every how many training steps too, with names that begin with "batch_".

    Raises:
        TypeError: no function.
        ValueError: a bad argument.

    >>> ScalarLogger(print).on_epoch_end(3, {"loss": 0.5, "val_loss": 0.75})
    loss 0.5 3
    val_loss 0.75 3
    """

    def __init__(self, write, every="epoch"):
        if not callable(write):
            raise TypeError(
                f"ScalarLogger needs a function of (name, value, step), got {write!r}; pass e.g. ScalarLogger(print)"
            )
        whole = isinstance(every, numbers.Integral) and not isinstance(every, bool)
        if every != "epoch" and not (whole and every >= 1):
            raise ValueError(f'ScalarLogger: every must be "epoch" or a number of steps, got {every!r}; pass every=10')
        self.write, self.every, self._step = write, every, 0

    def on_train_begin(self, logs=None):
        self._step = 0

    def on_train_batch_end(self, batch, logs=None):
        self._step += 1
        if self.every != "epoch" and self._step % self.every == 0:
            self._hand("batch_", logs, self._step - 1)

    def on_epoch_end(self, epoch, logs=None):
        self._hand("", logs, epoch)

    def _hand(self, prefix, logs, step):
        for name, value in (logs or {}).items():
            if isinstance(value, numbers.Real):
                self.write(prefix + name, float(value), step)
