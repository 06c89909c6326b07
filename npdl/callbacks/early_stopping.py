"""EarlyStopping: stop when a value no longer gets better."""

from npdl.callbacks.monitor import Monitor


class EarlyStopping(Monitor):
    """Stop `fit` when `monitor` has not become better for `patience` epochs.

    Args:
        monitor: a name in the logs.
        min_delta: the least change that counts as better.
        patience: epochs without a better value after which training stops.
        verbose: 1 says why it stopped and which weights were restored.
        mode: "min", "max", or "auto": from the name.
        baseline: a value that must be beaten too within `patience` epochs.
        restore_best_weights: give the model the weights of its best epoch when `fit` ends, stopped or not.
        start_from_epoch: epochs to wait before watching.

    Attributes:
        best, best_epoch: the best value and its epoch, counted from 0.
        stopped_epoch: the epoch after which it stopped, 0 if it did not.

    Raises:
        ValueError: a bad argument; or, in the first epoch, no value of that name in the logs.
    """

    def __init__(
        self, monitor="val_loss", min_delta=0, patience=0, verbose=0, mode="auto", baseline=None,
        restore_best_weights=False, start_from_epoch=0,
    ):  # fmt: skip
        super().__init__(monitor, mode, min_delta)
        if patience < 0:
            raise ValueError(f"EarlyStopping: patience must be at least 0, got {patience!r}; pass e.g. patience=5")
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch
        self.on_train_begin()

    def on_train_begin(self, logs=None):
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = self.best_weights = None

    def on_epoch_end(self, epoch, logs=None):
        value = self.value(epoch, logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch  # there is something to go back to
        self.wait += 1
        if self.is_better(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.is_better(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        if self.verbose and self.stopped_epoch:
            print(f"EarlyStopping: stopped after epoch {self.stopped_epoch + 1}, {self.monitor} got no better")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                print(f"EarlyStopping: weights of epoch {self.best_epoch + 1} restored ({self.monitor}={self.best})")
            self.model.set_weights(self.best_weights)
