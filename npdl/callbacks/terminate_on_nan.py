"""TerminateOnNaN: stop when the loss is no number any more."""

import math

from npdl.callbacks.base import Callback


class TerminateOnNaN(Callback):
    """Stop `fit` at the first batch whose loss is NaN or infinite, and say so when the epoch has ended.

    Without it `fit` raises FloatingPointError there. Either names the layer that it comes from. On a GPU it waits for
    every step.
    """

    _said = None

    def on_train_begin(self, logs=None):
        self._said = None

    def on_train_batch_end(self, batch, logs=None):
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss) and self._said is None:
            self._said = f"TerminateOnNaN: the loss is {loss} since batch {batch + 1}, training stops"
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        if self._said:
            fault = getattr(self.model, "fault", None) or "try a smaller learning rate, and look at the data"
            print(f"{self._said}: {fault}")  # now, because the progress bar's line has ended
