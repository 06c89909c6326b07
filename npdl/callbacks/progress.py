"""ProgressBar: what `fit`, `evaluate` and `predict` show while they run."""

import math
import numbers
import os
import sys
import time

from npdl.callbacks.base import Callback

WIDTH = 20  # characters of a whole bar
SHORTEST = 5  # below that it is left out
UNKNOWN_COLUMNS = 100  # of a notebook, which does not say
REDRAW = 0.1  # seconds between two drawings in a terminal
REDRAW_NOTEBOOK = 0.25  # each drawing is a message to the browser


class ProgressBar(Callback):
    """One line an epoch: a bar that moves in a terminal or a notebook, plain lines in a log file.

        Epoch 2/5 ━━━━━━━━━──────────── 412/938 - ETA 2s - loss: 0.3124 - accuracy: 0.9052
        Epoch 2/5 - 938/938 - 3.4s - 3.2ms/step - loss: 0.2871 - accuracy: 0.9143 - val_loss: 0.2515

    The seconds are the epoch's, with its validation; ms/step is of the training steps. From the first epoch that has
    another learning rate than the first one had, the line shows it. While it moves only the characters of the line and
    a carriage return are written, no terminal codes, and never a line wider than the terminal.

    Args:
        verbose: 1 moves where that can be shown; 2 writes the line when the epoch has ended; "auto" is 1; 0 nothing.
        stream: where to; None is `sys.stdout` as it is when `fit` begins.

    Raises:
        ValueError: another verbose.
    """

    takes_late_logs = True

    def __init__(self, verbose=1, stream=None):
        if verbose not in (0, 1, 2, "auto"):
            raise ValueError(f'verbose must be 0, 1, 2 or "auto", got {verbose!r}; pass e.g. verbose=2')
        self.verbose = 1 if verbose == "auto" else int(verbose)
        self.stream = stream
        self._line = None
        self._training = False

    # ---- fit

    def on_train_begin(self, logs=None):
        self._training = True
        self._first_rate = None

    def on_epoch_begin(self, epoch, logs=None):
        self._start(f"Epoch {epoch + 1}/{self.params.get('epochs', '?')}")

    def on_train_batch_begin(self, batch, logs=None):
        self._first_draw(batch)

    def on_train_batch_end(self, batch, logs=None):
        self._step(batch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self._finish({**(logs or {}), **self._changed_rate()})

    def on_train_end(self, logs=None):
        self._training = False
        self.close()

    # ---- evaluate, and the validation inside fit

    def on_test_begin(self, logs=None):
        if self._training:
            self._note("validating")
        else:
            self._start("Evaluate")

    def on_test_batch_begin(self, batch, logs=None):
        if not self._training:
            self._first_draw(batch)

    def on_test_batch_end(self, batch, logs=None):
        if not self._training:
            self._step(batch, logs)

    def on_test_end(self, logs=None):
        if not self._training:
            self._finish(logs or {})

    # ---- predict

    def on_predict_begin(self, logs=None):
        self._start("Predict")

    def on_predict_batch_begin(self, batch, logs=None):
        self._first_draw(batch)

    def on_predict_batch_end(self, batch, logs=None):
        self._step(batch, None)

    def on_predict_end(self, logs=None):
        self._finish({})

    def close(self):
        """End a line that is still being drawn."""
        if self._line is not None:
            self._line.end()
            self._line = None
        self._training = False

    # ---- the line

    def _start(self, title):
        stream = sys.stdout if self.stream is None else self.stream
        self._title, self._steps_done, self._logs = title, 0, {}
        self._total = self.params.get("steps")
        notebook = in_notebook(stream)
        self._line = MovingLine(stream, notebook) if self.verbose == 1 and (notebook or is_terminal(stream)) else None
        self._out = stream
        self._pause = REDRAW_NOTEBOOK if notebook else REDRAW
        self._began = self._last_step = time.perf_counter()
        self._first_step = None
        self._due = self._began + self._pause

    def _first_draw(self, batch):
        """Show the line before the first step, after what callbacks print when an epoch begins."""
        if batch == 0 and self._line is not None:
            self._line.draw(self._parts(time.perf_counter()))

    def _step(self, batch, logs):
        now = time.perf_counter()
        self._steps_done, self._last_step = batch + 1, now
        if self._first_step is None:
            self._first_step = now
        if self._line is not None and now >= self._due:
            self._logs = logs() if callable(logs) else logs or {}
            self._line.draw(self._parts(now))
            self._due = time.perf_counter() + self._pause

    def _note(self, text):
        if self._line is not None:
            self._line.draw((f"{self._title} ", 1.0, f" {self._count()} - {text}"))

    def _parts(self, now):
        """(text before the bar, share done or None, text after it)"""
        done, total = self._steps_done, self._total
        if total is None or done > total:
            spent = seconds(now - self._began)
            return f"{self._title} - ", None, " - ".join([self._count(), spent, *values(self._logs)])
        after = [self._count()]
        if 1 < done < total:  # the first step may compile, and is no guide
            after.append(f"ETA {seconds((now - self._first_step) / (done - 1) * (total - done))}")
        return f"{self._title} ", done / total, " " + " - ".join([*after, *values(self._logs)])

    def _finish(self, logs):
        said = [
            self._title,
            self._count(),
            seconds(time.perf_counter() - self._began),
            self._step_time(),
            *values(logs),
        ]
        text = " - ".join(said)
        if self._line is not None:
            self._line.end(text)
            self._line = None
        elif self.verbose:
            self._out.write(text + "\n")
            self._out.flush()  # a log is read while it grows

    def _count(self):
        total = self._total
        if total is None:
            return f"{self._steps_done} step{'s' * (self._steps_done != 1)}"
        return f"{self._steps_done}/{total}"

    def _step_time(self):
        return f"{duration((self._last_step - self._began) / max(1, self._steps_done))}/step"

    def _changed_rate(self):
        rate = getattr(getattr(self.model, "optimizer", None), "learning_rate", None)
        if not isinstance(rate, numbers.Real):
            return {}
        if self._first_rate is None:
            self._first_rate = rate
        return {"learning_rate": float(rate)} if rate != self._first_rate else {}


class MovingLine:
    """The last line of a terminal or of a notebook's cell, written over and over.

    Args:
        stream: text file.
        notebook: whether it is a notebook's, whose width is not known.
    """

    def __init__(self, stream, notebook):
        self.stream, self.notebook = stream, notebook
        self.shown = 0  # characters that are there
        self.full, self.rest = characters(stream)

    def draw(self, parts):
        """Show (before, share or None, after): the bar gets shorter, then the text, until the line fits."""
        before, share, after = parts
        columns = UNKNOWN_COLUMNS if self.notebook else terminal_columns(self.stream)
        room = columns - 1  # a character in the last column makes some terminals go to the next line
        bar = ""
        if share is not None:
            width = min(WIDTH, room - len(before) - len(after))
            if width >= SHORTEST:
                filled = round(share * width)
                bar = self.full * filled + self.rest * (width - filled)
        text = before.rstrip() + after if share is not None and not bar else before + bar + after
        if len(text) > room:
            text = text[: max(0, room - 3)] + "..."[:room]
        self._put(text)

    def end(self, text=None):
        """Leave `text`, or what is there, as a line of its own."""
        if text is not None:
            self._put(text)
        if text is not None or self.shown:
            self.stream.write("\n")
        self.stream.flush()
        self.shown = 0

    def _put(self, text):
        self.stream.write("\r" * (self.shown > 0) + text + " " * (self.shown - len(text)))
        self.stream.flush()
        self.shown = len(text)


def is_terminal(stream):
    """Whether a carriage return goes back to the beginning of the line."""
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError):  # not a real file, or a closed one
        return False


def in_notebook(stream):
    """Whether `stream` is the output of a notebook's cell, which an IPython kernel shows."""
    if type(stream).__module__.partition(".")[0] == "ipykernel":
        return True
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules and stream is sys.stdout else None
    return (
        getattr(shell, "kernel", None) is not None and type(stream).__module__ != "_io"
    )  # "_io": redirected to a file


def terminal_columns(stream):
    """Width of the terminal as it is now."""
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (AttributeError, OSError, ValueError):
        columns = 0
    return columns if columns > 0 else 80


def characters(stream):
    """(done, to do), from what the stream can write."""
    try:
        "━─".encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return "=", "."
    return "━", "─"


def values(logs):
    """`loss: 0.3124` for each; very small numbers in scientific notation."""
    return [f"{name}: {number(value)}" for name, value in logs.items() if isinstance(value, numbers.Real)]


def number(value):
    """Four decimals, or four of a scientific number below 0.001.

    >>> number(0.31239), number(0.0), number(2.5e-5)
    ('0.3124', '0.0000', '2.5000e-05')
    """
    return f"{value:.4f}" if value == 0 or not math.isfinite(value) or 1e-3 <= abs(value) < 1e7 else f"{value:.4e}"


def seconds(value):
    """A span of time for people.

    >>> seconds(3.217), seconds(42), seconds(125), seconds(3720)
    ('3.2s', '42s', '2m05s', '1h02m')
    """
    if value < 9.95:
        return f"{value:.1f}s"
    whole = round(value)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def duration(value):
    """A short span of time for people.

    >>> duration(0.000214), duration(0.00321), duration(0.0456), duration(2.5)
    ('214us', '3.2ms', '46ms', '2.5s')
    """
    if value < 0.0009995:
        return f"{value * 1e6:.0f}us"
    if value < 0.9995:
        return f"{value * 1e3:.{1 if value < 0.00995 else 0}f}ms"
    return seconds(value)
