"""Rescaling, Normalization, Resizing, CenterCrop and CategoryEncoding."""

import numpy as np
import pytest

import npdl
from npdl import layers, testing


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Rescaling(0.5, 2), (4, 3)),
        (layers.Rescaling([1.0, 2.0, 3.0], offset=[0.0, 1.0, -1.0]), (5, 6, 3)),
        (layers.Rescaling([[2.0], [3.0]]), (2, 40)),
        (layers.Rescaling(2.0), ()),
        (layers.Normalization(mean=3.0, variance=4.0), (3,)),
        (layers.Normalization((1, 3), mean=[[1.0, 2, 3], [4, 5, 6]], variance=[[1.0, 2, 3], [4, 5, 6]]), (2, 7, 3)),
        (layers.Normalization(axis=1, mean=[1.0, 2.0], variance=[0.0, 2.0], invert=True), (2, 5)),
        (layers.Normalization(), (6, 5, 3)),
        (layers.Normalization(axis=None), (None, 2)),
        (layers.Resizing(6, 10), (3, 5, 2)),
        (layers.Resizing(3, 4, "nearest"), (7, 5, 3)),
        (layers.Resizing(5, 3, "bicubic", antialias=True), (9, 8, 17)),
        (layers.Resizing(2, 7, "area"), (5, 4, 1)),
        (layers.Resizing(4, 4, crop_to_aspect_ratio=True), (None, None, 2)),
        (layers.Resizing(4, 6, pad_to_aspect_ratio=True, fill_value=0.5), (5, 3, 2)),
        (layers.CenterCrop(3, 2), (5, 5, 3)),
        (layers.CenterCrop(6, 4), (5, 7, 2)),
    ],
)  # fmt: skip
def test_contract(layer, shape):
    testing.check_layer(layer, shape)


@pytest.mark.parametrize(
    ("mode", "shape"), [("multi_hot", (4,)), ("count", (3, 4)), ("one_hot", (1,)), ("one_hot", (3,)), ("one_hot", ())]
)
def test_contract_of_categories(mode, shape):
    testing.check_layer(layers.CategoryEncoding(5, mode), shape, integers=5)


def test_rescaling(device):
    layer = layers.Rescaling([1.0, 10.0], offset=-1).init((3, 2), dtype="float64", device=device)
    x = np.arange(12.0).reshape(2, 3, 2)
    np.testing.assert_array_equal(layer(x, training=True), x * [1, 10] - 1)
    np.testing.assert_array_equal(layer.backward(x), x * [1, 10])


def test_large_rescaling(rng):
    """More numbers than one block, each way that parameters lie along them."""
    x = rng.normal(size=(7, 50, 60, 3)).astype("float32")
    for shape in ((3,), (60, 1), (50, 1, 1), (50, 60, 3), ()):
        scale = rng.normal(size=shape).astype("float32")
        y = layers.Rescaling(scale.tolist()).init(x.shape[1:])(x)
        np.testing.assert_allclose(y, x * scale, rtol=1e-6)


def test_adapt_is_exact(rng):
    x = rng.normal(3, 5, size=(1000, 4, 3))
    layer = layers.Normalization()
    layer.adapt(x)
    mean, variance, count = layer.get_weights()
    np.testing.assert_allclose(mean, x.mean(axis=(0, 1)), rtol=1e-14)
    np.testing.assert_allclose(variance, x.var(axis=(0, 1)), rtol=1e-13)
    assert count == 1000
    y = layer(x)
    np.testing.assert_allclose([y.mean(axis=(0, 1)), y.std(axis=(0, 1))], [[0] * 3, [1] * 3], atol=1e-12)
    back = layers.Normalization(invert=True)
    back.adapt(x)
    np.testing.assert_allclose(back(y), x, atol=1e-12)


@pytest.mark.parametrize(("axis", "rest"), [(-1, (0, 1)), (1, (0, 2)), ((1, 2), 0), (None, None), ((2, 1), 0)])
def test_adapt_does_not_see_the_batches(axis, rest, rng, monkeypatch):
    monkeypatch.setattr("npdl.layers.normalization.BLOCK", 100)  # of numbers, so that there are many blocks
    x = rng.normal(1e3, 2, size=(61, 5, 3))
    found = []
    for data in (x, [x[:7], x[7:60], x[60:]], lambda: ((part, None) for part in np.array_split(x, 13)), x.tolist()):
        layer = layers.Normalization(axis)
        layer.adapt(data)
        found.append([weight.tobytes() for weight in layer.get_weights()])
    assert all(one == found[0] for one in found)
    np.testing.assert_allclose(layer.get_weights()[0], x.mean(axis=rest), rtol=1e-14)
    np.testing.assert_allclose(layer.get_weights()[1], x.var(axis=rest), rtol=1e-10)


def test_an_adapted_layer_in_a_model(rng, tmp_path):
    x, y = rng.normal(4, 3, size=(64, 5)).astype("float32"), rng.normal(size=(64, 1)).astype("float32")
    normalization = layers.Normalization()
    normalization.adapt(x)
    model = npdl.Sequential([normalization, layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    model.fit(x, y, epochs=1, verbose=0)
    np.testing.assert_allclose(model.layers[0].get_weights()[0], x.mean(axis=0), rtol=1e-5)
    model.save(tmp_path / "m.npdl")
    again = npdl.load_model(tmp_path / "m.npdl")
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    model.layers[0].adapt(x + 1)  # in the model, again
    np.testing.assert_allclose(model.layers[0].get_weights()[0], x.mean(axis=0) + 1, rtol=1e-5)


def test_resizing_keeps_proportions(device, rng):
    x = rng.normal(size=(2, 8, 4, 3))

    def resized(x, **arguments):
        return layers.Resizing(4, 4, **arguments).init(x.shape[1:], dtype="float64", device=device)(x)

    np.testing.assert_array_equal(resized(x, crop_to_aspect_ratio=True), x[:, 2:6])
    framed = np.full((2, 8, 8, 3), 7.0)
    framed[:, :, 2:6] = x
    np.testing.assert_allclose(resized(x, pad_to_aspect_ratio=True, fill_value=7), resized(framed), atol=1e-12)
    narrow, framed = np.ascontiguousarray(x[:, :, :3]), np.zeros((2, 8, 8, 3))
    framed[:, :, 2:5] = narrow  # of an odd number of columns the frame has the last one behind
    np.testing.assert_allclose(resized(narrow, pad_to_aspect_ratio=True), resized(framed), atol=1e-12)
    np.testing.assert_array_equal(resized(x, interpolation="area"), (x[:, ::2] + x[:, 1::2]) / 2)


def test_center_crop(device, rng):
    x = rng.normal(size=(2, 7, 6, 3))
    crop = layers.CenterCrop(4, 3).init((7, 6, 3), dtype="float64", device=device)
    np.testing.assert_array_equal(crop(x), x[:, 1:5, 1:4])
    small = layers.CenterCrop(8, 4).init((7, 6, 3), dtype="float64", device=device)
    same = layers.Resizing(8, 4, crop_to_aspect_ratio=True).init((7, 6, 3), dtype="float64", device=device)
    np.testing.assert_array_equal(small(x), same(x))


def test_categories(device):
    def encoded(mode, x):
        x = np.array(x, "int64")
        return layers.CategoryEncoding(4, mode).init(x.shape[1:], device=device)(x).tolist()

    assert encoded("multi_hot", [[0, 1], [2, 2]]) == [[1, 1, 0, 0], [0, 0, 1, 0]]
    assert encoded("count", [[0, 1], [2, 2]]) == [[1, 1, 0, 0], [0, 0, 2, 0]]
    assert encoded("one_hot", [[3], [1]]) == [[0, 0, 0, 1], [0, 1, 0, 0]]
    assert encoded("one_hot", [3, 1]) == [[0, 0, 0, 1], [0, 1, 0, 0]]
    assert encoded("one_hot", [[3, 1]]) == [[[0, 0, 0, 1], [0, 1, 0, 0]]]


def test_categories_with_weights(device, rng):
    layer = layers.CategoryEncoding(4, "count").init(((3,), (3,)), dtype="float64", device=device)
    x, w = np.array([[0, 2, 2], [3, 3, 3]], "int32"), rng.normal(size=(2, 3))
    expected = np.array([[w[0, 0], 0, w[0, 1] + w[0, 2], 0], [0, 0, 0, w[1].sum()]])
    np.testing.assert_allclose(layer((x, w), training=True), expected, rtol=1e-12)
    dy = rng.normal(size=(2, 4))
    dx, dw = layer.backward(dy)
    assert dx is None
    np.testing.assert_array_equal(dw, [dy[0, [0, 2, 2]], dy[1, [3, 3, 3]]])
    with pytest.raises(TypeError, match=r"takes weights in float64, got float32; pass w.astype\('float64'\)"):
        layer((x, w.astype("float32")))
    with pytest.raises(ValueError, match=r'and with output_mode="count" weights of its shape, got output_mode=\'mult'):
        layers.CategoryEncoding(4).init(((3,), (3,)))


def test_a_model_of_weighted_categories(rng):
    ids, weights = layers.Input((3,), dtype="int32"), layers.Input((3,))
    y = layers.Dense(2)(layers.CategoryEncoding(4, "count")([ids, weights]))
    model = npdl.Model([ids, weights], y, seed=0)
    model.compile("sgd", "mse")
    x, w = rng.integers(0, 4, (5, 3)), rng.normal(size=(5, 3))
    model.fit([x, w], rng.normal(size=(5, 2)), verbose=0)
    kernel, bias = model.get_weights()
    counts = np.array([np.bincount(one, own, 4) for one, own in zip(x, w)])
    np.testing.assert_allclose(model.predict([x, w]), counts @ kernel + bias, rtol=1e-4, atol=1e-5)


def test_a_model_of_categories():
    model = npdl.Sequential([layers.CategoryEncoding(3, "one_hot"), layers.Dense(2)], seed=0)
    model.compile("sgd", "mse")
    model.fit(np.array([[0], [1], [2]]), np.ones((3, 2)), verbose=0)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: layers.Rescaling("a"), r"Rescaling needs scale to be a number or a list of numbers, got scale='a'"),
        (lambda: layers.Rescaling([1.0, 2.0]).init((4, 3)), r"scale of shape \(2,\) does not broadcast against"),
        (lambda: layers.Normalization(mean=1.0), "Normalization needs mean and variance together"),
        (lambda: layers.Normalization(0).init((3,)), r"axis=0 does not name axes of fixed length.*\(None, 3\); leave"),
        (lambda: layers.Normalization().init((None,)), "axis=-1 does not name axes of fixed length"),
        (lambda: layers.Normalization(3).init((2, 3)), "axis=3 does not name axes"),
        (lambda: layers.Normalization((1, 1)).init((2, 3)), "does not name axes of fixed length, each once"),
        (lambda: layers.Normalization(mean=[1.0, 2], variance=[1.0, 2]).init((3,)), r"of shape \(2,\) do not fit"),
        (lambda: layers.Normalization(mean=1, variance=1).adapt(np.ones((2, 2))), "was given its mean and variance"),
        (lambda: layers.Normalization().adapt([]), "adapt got no samples"),
        (lambda: layers.Normalization().adapt(np.array([[np.nan]])), "NaN or infinity"),
        (lambda: layers.Resizing(0, 4), "Resizing needs height to be a whole number of at least 1"),
        (lambda: layers.Resizing(4, 4, "lanczos4"), r'knows interpolation="nearest" or .*lanczos4'),
        (lambda: layers.Resizing(4, 4, fill_mode="wrap"), 'knows fill_mode="constant"'),
        (lambda: layers.Resizing(4, 4, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True), "got both; leave one out"),
        (lambda: layers.Resizing(4, 4).init((5, 5)), "Resizing reads samples of shape"),
        (lambda: layers.CenterCrop(4, 0), "CenterCrop needs width to be a whole number"),
        (lambda: layers.CategoryEncoding(), "needs num_tokens to be a whole number of at least 1, got num_tokens=None"),
        (lambda: layers.CategoryEncoding(4, "two_hot"), 'knows output_mode="one_hot" or'),
        (lambda: layers.CategoryEncoding(4, sparse=True), "got sparse=True; leave sparse out"),
    ],
)  # fmt: skip
def test_wrong_arguments(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_wrong_categories(device):
    layer = layers.CategoryEncoding(3).init((2,), device=device)
    with pytest.raises(IndexError, match=r"has num_tokens=3: .*ids\[1, 0\] is 3, expected 0 to 2; pass numbers below"):
        layer(np.array([[0, 1], [3, 0]]))
    with pytest.raises(TypeError, match=r"reads categories, int32 or int64, got float32; pass x.astype"):
        layer(np.ones((1, 2), "float32"))


def test_keras_configurations():
    config = {"name": "r", "trainable": True, "dtype": "float32", "height": 4, "width": 5, "interpolation": "bilinear",
              "crop_to_aspect_ratio": False, "pad_to_aspect_ratio": False, "fill_mode": "constant", "fill_value": 0.0,
              "data_format": "channels_last"}  # fmt: skip
    assert layers.Resizing.from_config(config).output_shape is None
    for config, kind in (
        ({"axis": [-1], "mean": None, "variance": None, "invert": False}, layers.Normalization),
        ({"scale": 0.5, "offset": 0.0}, layers.Rescaling),
        ({"height": 3, "width": 3, "data_format": "channels_last"}, layers.CenterCrop),
        ({"num_tokens": 3, "output_mode": "count"}, layers.CategoryEncoding),
    ):
        kind.from_config({"name": "x", "trainable": True, "dtype": "float32", **config})
