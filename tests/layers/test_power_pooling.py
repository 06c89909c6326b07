"""LPPooling, FractionalMaxPooling and LocalResponseNormalization."""

import numpy as np
import pytest

from npdl import Model, layers, testing


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.LPPooling1D(2, 3), (7, 2)),
        (layers.LPPooling1D(3.5, 2, 1), (None, 3)),
        (layers.LPPooling2D(1, 2), (4, 5, 2)),
        (layers.LPPooling2D(0.5, (2, 3), (1, 2)), (3, 5, 1)),
        (layers.LPPooling3D(2, 2), (3, 4, 2, 2)),
        (layers.FractionalMaxPooling2D(2, output_ratio=0.6), (6, 7, 2)),
        (layers.FractionalMaxPooling2D((3, 1), output_size=(2, 7), seed=3), (5, 7, 3)),
        (layers.FractionalMaxPooling3D(2, output_size=(2, 1, 3)), (4, 3, 5, 1)),
        (layers.LocalResponseNormalization(3, 0.5, 0.75, 1.0), (3, 5)),
        (layers.LocalResponseNormalization(4, 2.0, 0.5, 0.3), (2, 3, 7)),
        (layers.LocalResponseNormalization(1, 1.0, -1.5, 2.0), (None, 1)),
    ],
)
def test_contract(layer, shape):
    testing.check_layer(layer, shape)


@pytest.mark.parametrize("p", [1, 2, 3, 0.7])
def test_norms_of_windows(p, rng, device):
    x = rng.normal(size=(2, 5, 6, 3))
    layer = layers.LPPooling2D(p, 2, (1, 2)).init(x.shape[1:], dtype="float64", device=device)
    windows = np.lib.stride_tricks.sliding_window_view(x, (2, 2), (1, 2))[:, :, ::2]
    np.testing.assert_allclose(layer(x), (np.abs(windows) ** p).sum((-2, -1)) ** (1 / p), rtol=1e-12)


def test_windows_of_zeros(device):
    layer = layers.LPPooling1D(2, 2).init((4, 1), device=device)
    x = np.float32([0, 0, 3, 4]).reshape(1, 4, 1)
    assert layer(x, training=True).ravel().tolist() == [0, 5]
    assert layer.backward(np.ones((1, 2, 1), "float32")).ravel().tolist() == pytest.approx([0, 0, 0.6, 0.8])


def test_windows_a_fraction_apart(rng, device):
    """Each maximum is of a window; windows cover the axis from its first place to its last, by one or two places."""
    layer = layers.FractionalMaxPooling2D(2, output_ratio=0.6, seed=1).init((20, 30, 2), device=device)
    assert layer.output_shape == (12, 18, 2)
    x = rng.normal(size=(3, 20, 30, 2)).astype("float32")
    starts = []
    for _ in range(2):
        first, apart = layer.places(layer.draw(3))
        places = (first[..., None] + apart).reshape(3, 12, 18, 2, 2, 2)
        rows = places[..., 0, 0] // 2 // 30 % 20
        steps = np.diff(rows, axis=1)
        assert (rows[:, 0] == 0).all() and (rows[:, -1] == 18).all() and set(steps.ravel()) <= {1, 2}
        np.testing.assert_array_equal(layer(x, training=True), x.ravel()[places].max(axis=(-2, -1)))
        starts.append(rows)
    assert (starts[0] != starts[1]).any() and (starts[0][0] != starts[0][1]).any()
    y = layer(x)
    np.testing.assert_array_equal(layer(x[1:2]), y[1:2])


def test_a_call_fixed_to_inference(rng):
    """Windows at the places of inference, no step, and a gradient."""
    x, node = rng.normal(size=(4, 10, 10, 2)).astype("float32"), layers.Input((10, 10, 2))
    layer = layers.FractionalMaxPooling2D(2, output_ratio=0.6, seed=1)
    model = Model(node, layer(node, training=False), seed=0)
    y = np.array(model.forward(x, training=True))
    assert layer.step == 0 and layer.backward(np.ones_like(y)).sum() == y.size
    np.testing.assert_array_equal(y, model.predict(x, verbose=0))


@pytest.mark.parametrize("training", [False, True])
def test_a_batch_of_none(training, device):
    layer = layers.FractionalMaxPooling2D(2, output_ratio=0.5).init((8, 8, 2), device=device)
    assert layer(np.zeros((0, 8, 8, 2), "float32"), training=training).shape == (0, 4, 4, 2)
    if training:
        assert layer.backward(np.zeros((0, 4, 4, 2), "float32")).shape == (0, 8, 8, 2)


def test_neighbouring_channels(rng, device):
    x = rng.normal(size=(2, 3, 6))
    layer = layers.LocalResponseNormalization(4, 0.4, 0.75, 2.0).init((3, 6), dtype="float64", device=device)
    squares = np.pad(x**2, ((0, 0), (0, 0), (2, 1)))
    sums = sum(squares[..., i : i + 6] for i in range(4))
    np.testing.assert_allclose(layer(x), x * (2 + 0.1 * sums) ** -0.75, rtol=1e-12)
    layer = layers.LocalResponseNormalization(10**12, 1e12, 1.0, 2.0).init((3, 6), dtype="float64", device=device)
    np.testing.assert_allclose(layer(x), x / (2 + (x**2).sum(-1, keepdims=True)), rtol=1e-12)  # of all channels


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: layers.LPPooling2D(0), r"LPPooling2D needs norm_type to be a number above 0, .* LPPooling2D\(2\)"),
        (lambda: layers.FractionalMaxPooling2D(2), "needs one of output_size and output_ratio"),
        (lambda: layers.FractionalMaxPooling2D(2, 3, 0.5), "needs one of output_size and output_ratio"),
        (lambda: layers.FractionalMaxPooling3D(2, output_ratio=1.5), "one number between 0 and 1 or 3, got 1.5"),
        (lambda: layers.FractionalMaxPooling2D(2, output_ratio=object()), "one number between 0 and 1 or 2, got <obj"),
        (lambda: layers.FractionalMaxPooling2D(3, 4).init((5, 9, 1)), r"cannot make \(4, 4\) of samples of shape"),
        (lambda: layers.FractionalMaxPooling2D(3, 4).init((None, 9, 1)), "needs axes of a fixed length"),
        (lambda: layers.LocalResponseNormalization(0), "needs size to be a whole number"),
        (lambda: layers.LocalResponseNormalization(3, bias=0), "needs bias above 0, .* got bias=0"),
        (lambda: layers.LocalResponseNormalization(3, alpha=None), "alpha of at least 0 .* got alpha=None"),
        (lambda: layers.LocalResponseNormalization(3, beta="x"), "a beta other than 0, got beta='x'"),
        (lambda: layers.LocalResponseNormalization(3).init((None,)), "needs a fixed last axis"),
    ],
)
def test_wrong_arguments(make, text):
    with pytest.raises(ValueError, match=text):
        make()
