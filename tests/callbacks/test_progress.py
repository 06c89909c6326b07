"""The progress bar, in a terminal, a notebook and a log file."""

import io
import os
import re
import struct
import subprocess
import sys
import types

import pytest

from npdl.callbacks import CallbackList, EarlyStopping, LambdaCallback, LearningRateScheduler, ProgressBar, progress

LOGS = {"loss": 0.31239, "accuracy": 0.90516, "val_loss": 2.5e-5}
LINE = r"Epoch 2/2 - 3/3 - \d\.\ds - \d+(us|ms|\.\dms)/step - loss: 0\.3124 - accuracy: 0\.9052 - val_loss: 2\.5000e-05"


class Clock:
    """Time that passes by `step` seconds at each tick."""

    def __init__(self, step):
        self.now, self.step = 100.0, step

    def __call__(self):
        return self.now

    def tick(self):
        self.now += self.step


@pytest.fixture
def clock(monkeypatch):
    clock = Clock(1.0)
    monkeypatch.setattr(progress.time, "perf_counter", clock)
    return clock


class Terminal(io.StringIO):
    """A terminal of any width, and the lines that a reader would see on it."""

    encoding = "utf-8"

    def isatty(self):
        return True

    @property
    def screen(self):
        return screen(self.getvalue())


def screen(written):
    """What a carriage return leaves of each line."""
    lines = []
    for line in written.replace("\r\n", "\n").split("\n"):
        shown = ""
        for part in line.split("\r"):
            shown = part + shown[len(part) :]
        lines.append(shown.rstrip())
    return lines


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "terminal_columns", lambda stream: stream.columns)
    terminal = Terminal()
    terminal.columns = 100
    return terminal


# ---- a log file


@pytest.mark.parametrize("verbose", [1, 2, "auto"])
def test_a_log_file_gets_one_plain_line_an_epoch(fit, capsys, verbose):
    fit([ProgressBar(verbose)], [LOGS] * 2, steps=3)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("Epoch 1/2 - 3/3 - ")
    assert re.fullmatch(LINE, second)


def test_a_log_file_has_no_control_characters(fit, capsys, clock):
    fit([ProgressBar()], [LOGS] * 3, steps=50, tick=clock.tick)
    assert not re.search(r"[\r\x1b\b]", capsys.readouterr().out)


def test_each_line_is_flushed(fit):
    class File(io.StringIO):
        flushed = ""

        def flush(self):
            self.flushed = self.getvalue()

    file, seen = File(), []
    fit([ProgressBar(2, file), LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(file.flushed))], [LOGS])
    assert len(seen) == 1 and seen[0].startswith("Epoch 1/1 - 2/2") and seen[0].endswith("\n")


def test_verbose_zero_says_nothing(fit, capsys):
    fit([ProgressBar(0)], [LOGS] * 2)
    assert capsys.readouterr().out == ""


def test_seconds_and_time_a_step(fit, capsys, clock):
    fit([ProgressBar()], [{"loss": 1.0}], steps=4, tick=clock.tick)
    assert capsys.readouterr().out == "Epoch 1/1 - 4/4 - 4.0s - 1.0s/step - loss: 1.0000\n"


def test_unknown_number_of_steps(fit, capsys):
    fit([ProgressBar()], [LOGS], known=False, steps=7)
    assert capsys.readouterr().out.startswith("Epoch 1/1 - 7 steps - ")


# ---- a terminal


def test_a_terminal_shows_a_moving_bar(fit, terminal, clock):
    states = []
    watch = LambdaCallback(on_train_batch_end=lambda batch, logs: states.append(terminal.screen[-1]))
    fit([ProgressBar(stream=terminal), watch], [LOGS] * 2, steps=4, tick=clock.tick)
    assert states[:4] == [
        "Epoch 1/2 ━━━━━─────────────── 1/4 - loss: 0.3124 - accuracy: 0.9052",
        "Epoch 1/2 ━━━━━━━━━━────────── 2/4 - ETA 2.0s - loss: 0.3124 - accuracy: 0.9052",
        "Epoch 1/2 ━━━━━━━━━━━━━━━───── 3/4 - ETA 1.0s - loss: 0.3124 - accuracy: 0.9052",
        "Epoch 1/2 ━━━━━━━━━━━━━━━━━━━━ 4/4 - loss: 0.3124 - accuracy: 0.9052",
    ]
    done = "- 4/4 - 4.0s - 1.0s/step - loss: 0.3124 - accuracy: 0.9052 - val_loss: 2.5000e-05"
    assert terminal.screen == [f"Epoch 1/2 {done}", f"Epoch 2/2 {done}", ""]
    assert "\x1b" not in terminal.getvalue()


def test_the_line_is_there_before_the_first_step(fit, terminal):
    states = []
    watch = LambdaCallback(on_train_batch_begin=lambda batch, logs: states.append(terminal.screen[-1]))
    fit([ProgressBar(stream=terminal), watch], [LOGS], steps=3)
    assert states[0] == "Epoch 1/1 ──────────────────── 0/3"


def test_drawing_is_rate_limited(fit, terminal, clock):
    clock.step = 0.001
    fit([ProgressBar(stream=terminal)], [{"loss": 1.0}], steps=1000, tick=clock.tick)
    assert 8 <= terminal.getvalue().count("\r") <= 12  # one second


def test_validation_is_shown(fit, terminal):
    states = []
    watch = LambdaCallback(on_test_begin=lambda logs: states.append(terminal.screen[-1]))
    fit([ProgressBar(stream=terminal), watch], [LOGS], steps=3)
    assert states == ["Epoch 1/1 ━━━━━━━━━━━━━━━━━━━━ 3/3 - validating"]


@pytest.mark.parametrize("columns", [1, 5, 20, 35, 50, 65, 90, 200])
def test_no_drawing_is_wider_than_the_terminal(fit, terminal, clock, columns):
    terminal.columns = columns
    fit([ProgressBar(stream=terminal)], [LOGS], steps=5, tick=clock.tick)
    *drawn, _ = re.split(r"[\r\n]", terminal.getvalue())
    assert all(len(line.rstrip()) < columns for line in drawn[:-1])


def test_a_narrow_terminal_loses_the_bar_first(fit, terminal, clock):
    states = []
    watch = LambdaCallback(on_train_batch_end=lambda batch, logs: states.append(terminal.screen[-1]))
    terminal.columns = 60
    fit([ProgressBar(stream=terminal), watch], [LOGS], steps=2, tick=clock.tick)
    terminal.columns = 50
    fit([ProgressBar(stream=terminal), watch], [LOGS], steps=2, tick=clock.tick)
    terminal.columns = 30
    fit([ProgressBar(stream=terminal), watch], [LOGS], steps=2, tick=clock.tick)
    assert states[::2] == [
        "Epoch 1/1 ━━━━━━───── 1/2 - loss: 0.3124 - accuracy: 0.9052",
        "Epoch 1/1 1/2 - loss: 0.3124 - accuracy: 0.9052",
        "Epoch 1/1 1/2 - loss: 0.31...",
    ]


def test_an_unknown_number_of_steps_has_no_bar(fit, terminal, clock):
    states = []
    watch = LambdaCallback(on_train_batch_end=lambda batch, logs: states.append(terminal.screen[-1]))
    fit([ProgressBar(stream=terminal), watch], [{"loss": 1.0}], known=False, steps=3, tick=clock.tick)
    assert states == [f"Epoch 1/1 - {n} - loss: 1.0000" for n in ("1 step - 1.0s", "2 steps - 2.0s", "3 steps - 3.0s")]


def test_an_old_encoding_gets_plain_characters(fit, terminal):
    terminal.encoding = "ascii"
    fit([ProgressBar(stream=terminal)], [LOGS], steps=3)
    assert terminal.getvalue().isascii() and "...................." in terminal.getvalue()


def test_a_dumb_terminal_is_a_log_file(fit, terminal, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    fit([ProgressBar(stream=terminal)], [LOGS])
    assert "\r" not in terminal.getvalue()


def test_what_others_print_stands_below_the_line(fit, terminal, monkeypatch):
    monkeypatch.setattr(sys, "stdout", terminal)
    others = [LearningRateScheduler(lambda epoch: 0.1, verbose=1), EarlyStopping("loss", verbose=1)]
    fit([ProgressBar(), *others], [{"loss": 1.0}] * 3)
    assert [line.partition(" - ")[0].partition(" after")[0] for line in terminal.screen] == [
        "LearningRateScheduler: learning rate 0.1 in epoch 1", "Epoch 1/3",
        "LearningRateScheduler: learning rate 0.1 in epoch 2", "Epoch 2/3", "EarlyStopping: stopped", "",
    ]  # fmt: skip


def test_close_ends_an_interrupted_line(terminal):
    caller = CallbackList([ProgressBar(stream=terminal)], object(), {"epochs": 2, "steps": 9})
    caller.on_train_begin()
    caller.on_epoch_begin(0)
    caller.on_train_batch_begin(0)
    caller.close()
    assert terminal.screen == ["Epoch 1/2 ──────────────────── 0/9", ""]
    caller.close()
    assert len(terminal.screen) == 2


def test_a_changed_learning_rate_is_shown(fit, capsys):
    rates = [0.1, 0.1, 0.025]
    fit([ProgressBar(), LearningRateScheduler(lambda epoch: rates[epoch])], [{"loss": 1.0}] * 3)
    lines = capsys.readouterr().out.splitlines()
    assert ["learning_rate" in line for line in lines] == [False, False, True]
    assert lines[2].endswith("loss: 1.0000 - learning_rate: 0.0250")


def run_in_terminal(columns, script):
    """What a script writes to a terminal of that many columns."""
    fcntl, termios = (pytest.importorskip(name, reason="needs a POSIX terminal") for name in ("fcntl", "termios"))
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
    process = subprocess.Popen([sys.executable, "-P", "-c", script], stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    written = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux: the other end is gone
            break
        if not part:
            break
        written += part
    os.close(ours)
    assert process.wait() == 0, written.decode()
    return written.decode()


def test_in_a_real_terminal():
    written = run_in_terminal(
        60,
        """
import time
from npdl.callbacks import CallbackList, ProgressBar
caller = CallbackList([ProgressBar()], object(), {"epochs": 2, "steps": 4})
caller.on_train_begin()
for epoch in range(2):
    caller.on_epoch_begin(epoch)
    for batch in range(4):
        caller.on_train_batch_begin(batch)
        time.sleep(0.11)
        caller.on_train_batch_end(batch, {"loss": 0.5, "accuracy": 0.25})
    caller.on_epoch_end(epoch, {"loss": 0.5, "accuracy": 0.25})
caller.on_train_end()
""",
    )
    lines = screen(written)
    assert [line[:11] for line in lines] == ["Epoch 1/2 -", "Epoch 2/2 -", ""]
    assert all(line.endswith("loss: 0.5000 - accuracy: 0.2500") for line in lines[:2])
    assert "━" in written and "\x1b" not in written
    drawn = [line.rstrip() for line in re.split(r"[\r\n]+", written) if "━" in line]
    assert drawn and all(len(line) < 60 for line in drawn)


# ---- a notebook


def test_a_notebook_moves_without_terminal_codes(fit, monkeypatch, clock):
    class OutStream(io.StringIO):
        __module__ = "ipykernel.iostream"
        encoding = "UTF-8"

    stream = OutStream()
    fit([ProgressBar(stream=stream)], [LOGS], steps=5, tick=clock.tick)
    assert stream.getvalue().count("\r") >= 5 and "━" in stream.getvalue() and "\x1b" not in stream.getvalue()
    assert len(screen(stream.getvalue())) == 2


def test_a_kernel_is_detected_by_its_shell(monkeypatch):
    class Stream(io.StringIO):
        pass

    monkeypatch.setattr(sys, "stdout", Stream())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    assert not progress.in_notebook(sys.stdout)
    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert progress.in_notebook(sys.stdout)
    assert not progress.in_notebook(io.StringIO())


# ---- evaluate and predict


def run_alone(what, stream, clock, steps=3):
    caller = CallbackList([ProgressBar(stream=stream)], object(), {"epochs": 1, "steps": steps})
    getattr(caller, f"on_{what}_begin")()
    for batch in range(steps):
        getattr(caller, f"on_{what}_batch_begin")(batch)
        clock.tick()
        getattr(caller, f"on_{what}_batch_end")(batch, {"loss": 0.5} if what == "test" else {})
    getattr(caller, f"on_{what}_end")({"loss": 0.25} if what == "test" else {})


def test_evaluate_and_predict(terminal, clock):
    for stream in (io.StringIO(), terminal):
        run_alone("test", stream, clock)
        run_alone("predict", stream, clock)
        assert screen(stream.getvalue()) == [
            "Evaluate - 3/3 - 3.0s - 1.0s/step - loss: 0.2500", "Predict - 3/3 - 3.0s - 1.0s/step", "",
        ]  # fmt: skip
    assert "Predict ━━━━━━━━━━━━━─────── 2/3 - ETA 1.0s" in terminal.getvalue()


@pytest.mark.parametrize("verbose", [3, -1, "yes", None])
def test_verbose_values(verbose):
    with pytest.raises(ValueError, match='verbose must be 0, 1, 2 or "auto", got'):
        ProgressBar(verbose)


def test_a_closed_or_strange_stream_is_a_log_file():
    assert not progress.is_terminal(object())
    closed = io.StringIO()
    closed.close()
    assert not progress.is_terminal(closed)
    assert progress.terminal_columns(io.StringIO()) == 80
