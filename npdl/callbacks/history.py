"""History: what `fit` returns."""

import functools
import io
import numbers

from npdl.callbacks.base import Callback

COLUMNS = 3  # panels in a row of `plot`


class History(Callback):
    """Loss and metrics of each epoch.

    Attributes:
        history: name -> list of the epochs' values; `val_...` has fewer where not every epoch was validated.
        epoch: the epochs' numbers, counted from 0.

    >>> h = History()
    >>> h.on_train_begin()
    >>> h.on_epoch_end(0, {"loss": 0.5})
    >>> h.on_epoch_end(1, {"loss": 0.25})
    >>> h.history, h.epoch
    ({'loss': [0.5, 0.25]}, [0, 1])
    """

    def __init__(self):
        self._start()

    def _start(self):
        self.history, self.epoch = {}, []
        self._epochs = {}  # name -> the epochs that have a value

    def on_train_begin(self, logs=None):
        self._start()

    def on_epoch_end(self, epoch, logs=None):
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
            self._epochs.setdefault(name, []).append(epoch)

    def plot(self, path=None):
        """Draw the loss and each metric over the epochs, the validation's beside the training's.

        It needs no display, and leaves matplotlib's `pyplot` and its settings alone; a notebook shows what it returns.

        Args:
            path: where to save the picture too, e.g. "history.png" or "history.svg".

        Returns:
            the `matplotlib.figure.Figure`.

        Raises:
            ValueError: no epoch has ended yet.
            ImportError: matplotlib is not installed.
        """
        if not self.epoch:
            raise ValueError("there is nothing to plot: no epoch has ended; call history.plot() after fit")
        try:
            from matplotlib.figure import Figure
            from matplotlib.ticker import MaxNLocator
        except ImportError as error:
            raise ImportError("history.plot() needs matplotlib; pip install matplotlib") from error
        drawn = [name for name, values in self.history.items() if isinstance(values[0], numbers.Real)]  # no matrices
        names = list(dict.fromkeys(name.removeprefix("val_") for name in drawn))
        columns = min(COLUMNS, len(names))
        rows = -(-len(names) // columns)
        figure = Figure(figsize=(1.0 + 4.0 * columns, 0.4 + 3.0 * rows), layout="constrained")
        for place, name in enumerate(names, 1):
            axes = figure.add_subplot(rows, columns, place)
            for key, label, style in ((name, "training", "o-"), (f"val_{name}", "validation", "s--")):
                if key in self.history:
                    epochs = [epoch + 1 for epoch in self._epochs[key]]
                    marker = style if len(self.epoch) <= 30 else style[1:]  # many markers hide the line
                    axes.plot(epochs, self.history[key], marker, markersize=4, label=label)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            if len(self.epoch) == 1:
                axes.set_xticks([self.epoch[0] + 1])
            if name == "learning_rate" and min(self.history[name]) > 0:
                axes.set_yscale("log")
            axes.set(title=name.replace("_", " "), xlabel="epoch")
            axes.grid(alpha=0.3)
            if f"val_{name}" in self.history:
                axes.legend()
        vars(figure)["_repr_png_"] = functools.partial(
            _png, figure
        )  # notebooks show a figure only if pyplot has been set up
        if path is not None:
            figure.savefig(path)
        return figure

    def __repr__(self):
        values = ((name, values[-1]) for name, values in self.history.items())
        last = ", ".join(f"{name}={value:.4g}" for name, value in values if isinstance(value, numbers.Real))
        return f"<History of {len(self.epoch)} epochs{': ' if last else ''}{last}>"


def _png(figure):
    data = io.BytesIO()
    figure.savefig(data, format="png")
    return data.getvalue()
