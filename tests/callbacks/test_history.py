"""History and its picture."""

import os
import subprocess
import sys

import numpy as np
import pytest

from npdl.callbacks import History, LearningRateScheduler


def test_history_keeps_every_value(fit):
    history = fit([], [{"loss": 3.0, "accuracy": 0.25}, {"loss": 2.0, "accuracy": 0.5}])
    assert history.history == {"loss": [3.0, 2.0], "accuracy": [0.25, 0.5]}
    assert history.epoch == [0, 1]
    assert repr(history) == "<History of 2 epochs: loss=2, accuracy=0.5>"


def test_history_starts_anew(fit):
    history = History()
    history.on_epoch_end(0, {"loss": 1.0})
    history.on_train_begin()
    assert history.history == {} and history.epoch == [] and repr(history) == "<History of 0 epochs>"


def test_history_keeps_what_callbacks_add(fit):
    history = fit([LearningRateScheduler(lambda epoch, rate: rate / 2)], [{"loss": 1.0}] * 2)
    assert history.history["learning_rate"] == [0.05, 0.025]


@pytest.fixture
def history(fit):
    pytest.importorskip("matplotlib", reason="draws")
    logs = [{"loss": 1.0 / (i + 1), "accuracy": i / 5} for i in range(4)]
    for i in (1, 3):
        logs[i] |= {"val_loss": 1.5 / (i + 1), "val_accuracy": i / 6}
    return fit([], logs)


def test_plot_draws_each_name_with_its_validation(history):
    figure = history.plot()
    loss, accuracy = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["loss", "accuracy"]
    training, validation = loss.get_lines()
    assert list(training.get_xdata()) == [1, 2, 3, 4] and list(training.get_ydata()) == history.history["loss"]
    assert list(validation.get_xdata()) == [2, 4] and list(validation.get_ydata()) == history.history["val_loss"]
    assert [text.get_text() for text in accuracy.get_legend().get_texts()] == ["training", "validation"]


@pytest.mark.parametrize("name", ["history.png", "history.svg", "history.pdf"])
def test_plot_saves(history, tmp_path, name):
    history.plot(tmp_path / name)
    assert (tmp_path / name).stat().st_size > 1000


def test_a_notebook_can_show_the_figure(history):
    assert history.plot()._repr_png_().startswith(b"\x89PNG")


def test_learning_rates_have_a_logarithmic_axis(fit):
    pytest.importorskip("matplotlib", reason="draws")
    history = fit([LearningRateScheduler(lambda epoch: 10.0**-epoch)], [{"loss": 1.0}] * 3)
    assert history.plot().axes[1].get_yscale() == "log"


def test_one_epoch_has_one_tick(fit):
    pytest.importorskip("matplotlib", reason="draws")
    assert list(fit([], [{"loss": 1.0}]).plot().axes[0].get_xticks()) == [1]


def test_a_matrix_is_kept_and_not_drawn(fit):
    pytest.importorskip("matplotlib", reason="draws")
    history = fit([], [{"loss": 1.0, "confusion_matrix": np.eye(2)}] * 2)
    assert len(history.plot().axes) == 1 and repr(history) == "<History of 2 epochs: loss=1>"
    assert history.history["confusion_matrix"][1].shape == (2, 2)


def test_plot_of_nothing():
    with pytest.raises(ValueError, match=r"no epoch has ended; call history.plot\(\) after fit"):
        History().plot()


def test_plot_leaves_pyplot_alone_and_needs_no_display(tmp_path):
    pytest.importorskip("matplotlib", reason="draws")
    script = (
        "import sys\n"
        "from npdl.callbacks import History\n"
        "assert 'matplotlib' not in sys.modules\n"
        "h = History()\n"
        "h.on_epoch_end(0, {'loss': 1.0})\n"
        f"h.plot({str(tmp_path / 'a.png')!r})\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-P", "-c", script], check=True, env=_without_display())
    assert (tmp_path / "a.png").exists()


def _without_display():
    return {
        name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")
    }
