"""TensorBoard: event files of the training, to be looked at by the program of that name."""

import numbers
import os
import time
from pathlib import Path
from typing import Any

from npdl.callbacks import events
from npdl.callbacks.base import Callback

LARGEST_IMAGE = 512  # pixels along a side: a larger matrix of weights is cut


class TensorBoard(Callback):
    """Write what TensorBoard shows: losses and metrics, the learning rate, and, if asked for, weights and the layers.

        tensorboard --logdir logs

    The files lie in `log_dir`/train and `log_dir`/validation, under the names of Keras: epoch_loss, batch_loss,
    epoch_learning_rate. npdl writes them itself; only to look at them TensorBoard has to be installed.

    Args:
        log_dir: where to; missing folders are made. Each `fit` adds files of its own: a new folder is a new run.
        histogram_freq: every how many epochs the distribution of each weight is written; 0 never.
        write_graph: whether the layers are written as a graph (Keras: True).
        write_images: whether each matrix of weights is written as a picture along with the histograms.
        write_steps_per_second: whether the speed is written too.
        update_freq: "epoch", or "batch" or a number: every how many steps the means of the epoch so far are written.
        profile_batch, embeddings_freq, embeddings_metadata: not there; their defaults alone are taken.

    Raises:
        ValueError: a bad argument.
    """

    def __init__(
        self, log_dir="logs", histogram_freq=0, write_graph=False, write_images=False, write_steps_per_second=False,
        update_freq="epoch", profile_batch=0, embeddings_freq=0, embeddings_metadata=None,
    ):  # fmt: skip
        if not _is_count(histogram_freq, 0):
            raise ValueError(
                f"TensorBoard: histogram_freq must be a number of epochs, 0 for never, got {histogram_freq!r}; "
                "pass e.g. histogram_freq=1"
            )
        if update_freq not in ("epoch", "batch") and not _is_count(update_freq, 1):
            raise ValueError(
                f'TensorBoard: update_freq must be "epoch", "batch" or a number of steps, got {update_freq!r}; '
                'pass e.g. update_freq="epoch"'
            )
        absent = {
            "profile_batch": profile_batch,
            "embeddings_freq": embeddings_freq,
            "embeddings_metadata": embeddings_metadata,
        }
        for name, value in absent.items():
            if value:
                raise ValueError(f"TensorBoard: npdl does not have {name}, got {name}={value!r}; leave it out")
        self.log_dir, self.histogram_freq = Path(os.fspath(log_dir)), histogram_freq
        self.write_graph, self.write_images = write_graph, write_images
        self.write_steps_per_second, self.update_freq = write_steps_per_second, update_freq
        self._every = {"epoch": 0, "batch": 1}.get(update_freq, update_freq)
        self._writers: dict[str, events.EventWriter] = {}
        self._step, self._begun = 0, (0.0, 0)

    def on_train_begin(self, logs=None):
        self.close()
        self._step = 0
        if self.write_graph:
            names = [layer.name for layer in self.model.layers]
            kinds = [type(layer).__name__ for layer in self.model.layers]
            self._writer("train").add_graph(zip(names, kinds, [[], *([name] for name in names)]))

    def on_epoch_begin(self, epoch, logs=None):
        self._begun = time.perf_counter(), self._step

    def on_train_batch_end(self, batch, logs=None):
        self._step += 1
        if self._every and self._step % self._every == 0:
            self._scalars("train", "batch_", logs, self._step - 1)

    def on_epoch_end(self, epoch, logs=None):
        logs = dict(logs or {})
        rate = getattr(getattr(self.model, "optimizer", None), "learning_rate", None)
        if rate is not None:
            logs.setdefault("learning_rate", float(rate))
        if self.write_steps_per_second:
            since, step = self._begun
            logs["steps_per_second"] = (self._step - step) / max(time.perf_counter() - since, 1e-9)
        self._scalars("train", "epoch_", {k: v for k, v in logs.items() if not k.startswith("val_")}, epoch)
        held_out = {k.removeprefix("val_"): v for k, v in logs.items() if k.startswith("val_")}
        if held_out:
            self._scalars("validation", "epoch_", held_out, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._weights(epoch)

    def close(self):
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _writer(self, run):
        if run not in self._writers:
            self._writers[run] = events.EventWriter(self.log_dir / run)
        return self._writers[run]

    def _scalars(self, run, prefix, logs, step):
        found = {name: value for name, value in (logs or {}).items() if isinstance(value, numbers.Real)}
        self._writer(run).add([events.scalar(prefix + name, value) for name, value in found.items()], step)

    def _weights(self, epoch):
        store: Any = self.model.store
        for weight in store.weights:
            values = store.values(weight)
            self._writer("train").add([events.histogram(f"{weight.path}/histogram", values)], epoch)
            if self.write_images and min(values.shape, default=0) > 0:
                pixels = values.reshape(-1, values.shape[-1])[:LARGEST_IMAGE, :LARGEST_IMAGE]
                self._writer("train").add([events.image(f"{weight.path}/image", pixels)], epoch)


def _is_count(value, least):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= least
