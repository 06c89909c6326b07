"""The grid of predictions: what is written above the images, in which colour, and from which inputs."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest

from npdl import viz

matplotlib = pytest.importorskip("matplotlib", reason="pictures need matplotlib")
to_hex = matplotlib.colors.to_hex


@pytest.fixture
def images(rng):
    return rng.random((5, 4, 6))


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


def colours(figure):
    return [to_hex(axes.title.get_color()) for axes in figure.axes]


def shown(figure, i=0):
    return np.asarray(figure.axes[i].images[0].get_array())


def test_classes(images):
    figure = viz.prediction_grid(images, [0, 1, 2, 3, 4], [0, 1, 2, 1, 4])
    assert titles(figure) == ["0", "1", "2", "1, is 3", "4"]
    assert colours(figure) == [viz.RIGHT, viz.RIGHT, viz.RIGHT, viz.WRONG, viz.RIGHT]
    assert to_hex(figure.axes[3].spines["left"].get_edgecolor()) == viz.WRONG
    assert figure.get_suptitle() == "4 of 5 right"


def test_probabilities(images):
    p = np.array([[0.7, 0.2, 0.1], [0.25, 0.5, 0.25], [0, 0, 1], [0.1, 0.3, 0.6], [0.98, 0.01, 0.01]], np.float32)
    figure = viz.prediction_grid(images, np.array([[0], [1], [2], [0], [0]]), p)
    assert titles(figure) == ["0  70 %", "1  50 %", "2  100 %", "2  60 %, is 0", "0  98 %"]


def test_class_names(images):
    p = np.tile([0.25, 0.75], (5, 1))
    figure = viz.prediction_grid(images, [1, 1, 1, 1, 0], p, class_names=["cat", "dog"])
    assert titles(figure) == ["dog  75 %"] * 4 + ["dog  75 %\nis cat"]


def test_one_hot_rows_and_scores(images):
    figure = viz.prediction_grid(images, np.eye(5), 10 * np.eye(5) - 3)  # scores are no probabilities: none is printed
    assert titles(figure) == ["0", "1", "2", "3", "4"]


def test_one_sigmoid(images):
    figure = viz.prediction_grid(images, [0, 1, 1, 0, 1], [[0.1], [0.9], [0.3], [0.5], [1.0]])
    assert titles(figure) == ["0  90 %", "1  90 %", "0  70 %, is 1", "0  50 %", "1  100 %"]


def test_float_classes(images):
    assert titles(viz.prediction_grid(images, [0.0, 1.0, 2.0, 3.0, 4.0], [0, 1, 2, 3, 4])) == list("01234")


def test_layout(rng):
    figure = viz.prediction_grid(rng.random((11, 4, 4)), np.zeros(11, int), np.zeros(11, int), columns=4)
    geometry = figure.axes[-1].get_subplotspec().get_geometry()
    assert geometry == (3, 4, 10, 10)
    assert viz.prediction_grid(rng.random((2, 4, 4)), [0, 0], [0, 0]).axes[0].get_subplotspec().get_geometry()[:2] == (
        1,
        2,
    )


def test_limit(rng, images):
    labels = np.zeros(65, int)
    figure = viz.prediction_grid(rng.random((65, 2, 2)), labels, labels)
    assert len(figure.axes) == 64 and figure.get_suptitle() == "64 of the first 64 right"
    assert len(viz.prediction_grid(images, labels[:5], labels[:5], limit=3).axes) == 3
    assert len(viz.prediction_grid(images, labels[:5], labels[:5], limit=None).axes) == 5


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.int64])
def test_grey(rng, dtype):
    """All images share one scale: digits of 0 ... 16 are as bright as those of 0 ... 255."""
    images = rng.integers(0, 17, (3, 5, 5)).astype(dtype)
    figure = viz.prediction_grid(images[..., None], [0, 0, 0], [0, 0, 0])
    for axes in figure.axes:
        assert axes.images[0].get_clim() == (images.min(), images.max())
        assert axes.images[0].get_cmap().name == "gray"
    np.testing.assert_array_equal(shown(figure), images[0])


def test_colour(rng):
    levels = rng.integers(0, 256, (2, 3, 3, 3), np.uint8)
    np.testing.assert_array_equal(shown(viz.prediction_grid(levels, [0, 0], [0, 0])), levels[0])
    np.testing.assert_array_equal(shown(viz.prediction_grid(levels / 255, [0, 0], [0, 0])), levels[0] / 255)
    standardised = rng.normal(size=(2, 3, 3, 3))
    low, high = standardised.min(), standardised.max()
    np.testing.assert_allclose(
        shown(viz.prediction_grid(standardised, [0, 0], [0, 0]), 1), (standardised[1] - low) / (high - low)
    )


def test_saved_picture(images, tmp_path):
    path = tmp_path / "grid.png"
    figure = viz.prediction_grid(images, range(5), range(5), path=path)
    picture = matplotlib.image.imread(path)
    assert picture.ndim == 3 and picture.shape[1] > picture.shape[0] > 100
    assert picture[..., :3].std() > 0.1  # not blank
    notebook = matplotlib.image.imread(io.BytesIO(figure._repr_png_()))
    assert notebook.shape[1] > notebook.shape[0]


def test_red_is_drawn(images, tmp_path):
    def red_pixels(predicted):
        viz.prediction_grid(images, np.zeros(5, int), predicted, path=tmp_path / "a.png")
        r, g, b = np.moveaxis(matplotlib.image.imread(tmp_path / "a.png")[..., :3], -1, 0)
        return np.count_nonzero((r > 0.8) & (g < 0.3) & (b < 0.3))

    assert red_pixels(np.zeros(5, int)) == 0
    assert red_pixels(np.array([0, 0, 1, 0, 0])) > 100


def test_input_is_not_changed(images):
    before = images.copy()
    images.setflags(write=False)
    viz.prediction_grid(images, np.zeros(5, int), np.zeros(5, int))
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (np.zeros((5, 16)), [0] * 5, [0] * 5),
            r"images of shape .* got \(5, 16\); one image is images\[None\], a flat one",
        ),
        ((np.zeros((5, 4, 4, 2)), [0] * 5, [0] * 5), r"got \(5, 4, 4, 2\)"),
        ((np.zeros((5, 4, 4)), [0] * 4, [0] * 5), "got 5 images, 4 y_true, 5 y_pred; pass the same rows of all three"),
        ((np.zeros((0, 4, 4)), np.zeros(0), np.zeros(0)), "at least one of each: got 0 images"),
        ((np.zeros((1, 4, 4)), [2], [0], ["a", "b"]), "class_names has 2 names, and the classes go up to 2"),
        ((np.zeros((1, 4, 4)), [0], [0], None, 0), "at least one column, got columns=0"),
        (
            (np.zeros((1, 4, 4)), ["cat"], [0]),
            r"y_true must be classes .* got dtype <U3, shape \(1,\); pass e.g. y_true=labels",
        ),
        ((np.zeros((1, 4, 4)), [0], [1.5]), r"y_pred must be .* pass e.g. y_pred=model.predict\(x\)"),
        ((np.zeros((1, 4, 4)), [0], np.zeros((1, 2, 2))), r"y_pred must be .* shape \(1, 2, 2\)"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        viz.prediction_grid(*arguments)


def test_without_matplotlib(images, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="prediction_grid needs matplotlib; pip install matplotlib"):
        viz.prediction_grid(images, np.zeros(5, int), np.zeros(5, int))


def test_no_pyplot_and_no_display():
    code = (
        "import sys, numpy as np; from npdl import viz; assert 'matplotlib' not in sys.modules; "
        "viz.prediction_grid(np.zeros((1, 2, 2)), [0], [0])._repr_png_(); assert 'matplotlib.pyplot' not in sys.modules"
    )
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MPLBACKEND")}
    subprocess.run([sys.executable, "-P", "-c", code], check=True, env=environment)
