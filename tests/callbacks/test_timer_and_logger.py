"""Timer and ScalarLogger."""

import datetime

import pytest

from npdl.callbacks import ScalarLogger, Timer


class Clock:
    """Goes on by one second a training step."""

    now = 100.0

    def __call__(self):
        return self.now

    def tick(self):
        self.now += 1


@pytest.fixture
def timed(fit):
    """timed(timer, number of epochs) -> the History; each epoch takes two seconds."""

    def run(timer, epochs):
        timer.clock = clock = Clock()
        return fit([timer], [{"loss": 1.0}] * epochs, tick=clock.tick)

    return run


def test_seconds_of_each_epoch(timed):
    timer = Timer()
    history = timed(timer, 3)
    assert timer.epochs == [2, 2, 2] and timer.elapsed == 6
    assert history.history["seconds"] == [2, 2, 2]
    timed(timer, 1)
    assert timer.epochs == [2]


def test_the_time_is_up(timed, capsys):
    timer = Timer(3)
    assert len(timed(timer, 5).epoch) == 2
    assert capsys.readouterr().out == "Timer: stopped after 4 seconds, in epoch 2\n"
    timer = Timer(datetime.timedelta(seconds=3), interval="step", verbose=0)
    history = timed(timer, 5)
    assert history.history["seconds"] == [2, 1]
    assert capsys.readouterr().out == ""


def test_scalars_are_handed_over(fit):
    seen = []
    fit([ScalarLogger(lambda *call: seen.append(call))], [{"loss": 1, "val_loss": 2.0}, {"loss": 0.5, "matrix": [1]}])
    assert seen == [("loss", 1.0, 0), ("val_loss", 2.0, 0), ("loss", 0.5, 1)]
    seen.clear()
    fit([ScalarLogger(lambda *call: seen.append(call), every=2)], [{"loss": 1.0}] * 2, steps=3)
    assert seen == [
        ("batch_loss", 1.0, 1), ("loss", 1.0, 0), ("batch_loss", 1.0, 3), ("batch_loss", 1.0, 5), ("loss", 1.0, 1)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (
            lambda: Timer(0),
            ValueError,
            r"duration must be seconds or a datetime.timedelta, more than 0, got 0; pass e.g.",
        ),
        (lambda: Timer("1h"), ValueError, "got '1h'"),
        (lambda: Timer(interval="batch"), ValueError, 'interval must be "epoch" or "step", got \'batch\''),
        (lambda: ScalarLogger("mlflow"), TypeError, r"a function of \(name, value, step\), got 'mlflow'; pass e.g."),
        (lambda: ScalarLogger(print, every=0), ValueError, 'every must be "epoch" or a number of steps, got 0'),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()
