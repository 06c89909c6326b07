"""ModelCheckpoint: save the model while it trains."""

import numbers
import os
from pathlib import Path

from npdl.callbacks.monitor import Monitor


class ModelCheckpoint(Monitor):
    """Save the model, or its weights, after each epoch or every so many batches.

    Args:
        filepath: where to; `{epoch:02d}` (counted from 1), `{batch}` and any name in the logs are filled in, as in
            "m-{epoch:02d}-{val_loss:.2f}.npdl". Missing folders are made.
        monitor: with `save_best_only`, the value that decides what is best.
        verbose: 1 says what is saved.
        save_best_only: save only when `monitor` is better than at every save before, also those of an earlier `fit`
            with this callback: the file that is there is the best one.
        save_weights_only: `model.save_weights(path)` instead of `model.save(path)`.
        mode: "min", "max", or "auto": from the name of `monitor`.
        save_freq: "epoch", or a number of batches.
        initial_value_threshold: with `save_best_only`, a value to be better than from the start.

    Raises:
        ValueError: a bad argument; no value named as `monitor`, or as in `filepath`, in the logs.
    """

    def __init__(
        self, filepath, monitor="val_loss", verbose=0, save_best_only=False, save_weights_only=False, mode="auto",
        save_freq="epoch", initial_value_threshold=None,
    ):  # fmt: skip
        super().__init__(monitor, mode if save_best_only else "min")  # else nothing is compared
        if save_freq != "epoch" and (isinstance(save_freq, bool) or not isinstance(save_freq, int) or save_freq < 1):
            raise ValueError(
                f'ModelCheckpoint: save_freq must be "epoch" or a number of batches, got {save_freq!r}; '
                'pass e.g. save_freq="epoch"'
            )
        if save_best_only and save_freq != "epoch" and monitor.startswith("val_"):
            raise ValueError(
                f"ModelCheckpoint: {monitor!r} is known when an epoch ends, not every {save_freq} batches; "
                'pass save_freq="epoch", or monitor="loss"'
            )
        self.filepath, self.mode = os.fspath(filepath), mode
        self.verbose, self.save_best_only, self.save_weights_only = verbose, save_best_only, save_weights_only
        self.save_freq, self.initial_value_threshold = save_freq, initial_value_threshold
        self.best = initial_value_threshold
        self.on_train_begin()

    def on_train_begin(self, logs=None):
        self._batches, self._epoch, self._said = 0, 0, []

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.save_freq != "epoch":
            self._batches += 1
            if self._batches % self.save_freq == 0:
                self._save(self._epoch, batch, logs)

    def on_epoch_end(self, epoch, logs=None):
        if self.save_freq == "epoch":
            self._save(epoch, None, logs)
        if self.verbose and self._said:
            print("\n".join(self._said))  # now, because the progress bar's line has ended
        self._said = []

    def _save(self, epoch, batch, logs):
        improved = ""
        if self.save_best_only:
            value = self.value(epoch, logs)
            if value is None or not self.is_better(value, self.best):
                return
            improved = f", {self.monitor}={value:.5g}" + ("" if self.best is None else f", was {self.best:.5g}")
            self.best = value
        path = self._path(epoch, batch, logs or {})
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
        self._said.append(f"ModelCheckpoint: epoch {epoch + 1} saved to {path}{improved}")

    def _path(self, epoch, batch, logs):
        values = {name: value for name, value in logs.items() if isinstance(value, numbers.Number)}
        values["epoch"] = epoch + 1
        if batch is not None:
            values["batch"] = batch + 1
        try:
            return self.filepath.format(**values)
        except (KeyError, IndexError) as error:
            raise ValueError(
                f"ModelCheckpoint: filepath {self.filepath!r} asks for {error}, but there are {', '.join(values)}; "
                'pass e.g. "m-{epoch:02d}.npdl"'
            ) from None
