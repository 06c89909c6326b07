"""The layers that change images at random while training."""

import math

import numpy as np
import pytest

import npdl
from npdl import layers, testing
from npdl.layers.augmenting import cosine_sine

ALL = [
    layers.RandomFlip(),
    layers.RandomFlip("vertical", seed=3),
    layers.RandomCrop(4, 3),
    layers.RandomCrop(9, 4),
    layers.RandomRotation(0.3),
    layers.RandomRotation((0.1, 0.2), "constant", "nearest", fill_value=0.5),
    layers.RandomZoom(0.4),
    layers.RandomZoom((-0.5, 0.2), 0.3, fill_mode="wrap"),
    layers.RandomTranslation(0.3, 0.2, fill_mode="nearest"),
    layers.RandomTranslation((-0.5, 0.5), 0.5, "constant", "nearest"),
    layers.RandomBrightness(0.3, value_range=(-1, 1)),
    layers.RandomContrast((0.9, 0.5), value_range=(-1, 1.5)),
    layers.RandomErasing(value_range=(0, 1)),
    layers.RandomErasing((0.5, 1), 0.4, [0.5, -0.5]),
]


@pytest.mark.parametrize("layer", ALL, ids=lambda layer: repr(layer)[:40])
def test_contract(layer):
    testing.check_layer(layer, (7, 6, 2))


@pytest.mark.parametrize("layer", [*ALL[:3], *ALL[4:]], ids=lambda layer: repr(layer)[:40])
def test_same_seed_same_images(layer, rng):
    """A sample's numbers come from (seed, place, step, sample): not from the batch, nor from what ran before."""

    def made():
        return type(layer).from_config(layer.get_config())

    x = rng.uniform(size=(6, 7, 6, 2)).astype("float32")
    one, other = (made().init((7, 6, 2), seed=5) for _ in range(2))
    first, part = one(x, training=True).copy(), other(x[:2], training=True)
    np.testing.assert_array_equal(first[:2], part)
    second = one(x, training=True)
    assert not np.array_equal(first, second)  # another step, other images
    one(x)  # an inference forward counts for nothing
    other(x, training=True)
    np.testing.assert_array_equal(one(x, training=True), other(x, training=True))
    if layer.seed is None:
        assert not np.array_equal(made().init((7, 6, 2), seed=6)(x, training=True), first)
    if not isinstance(layer, layers.RandomCrop):
        assert one(x) is x


def test_fit_makes_the_same_images_at_any_number_of_threads(rng):
    x, y = rng.uniform(size=(20, 8, 8, 3)).astype("float32"), rng.integers(0, 2, 20)
    found = []
    for threads in (1, 2, 3):
        npdl.set_num_threads(threads)
        model = npdl.Sequential(
            [layers.RandomFlip(), layers.RandomRotation(0.1), layers.RandomContrast(0.2, (0, 1)),
             layers.Conv2D(4, 3), layers.RandomErasing(0.5), layers.Flatten(), layers.Dense(2)], seed=1,
        )  # fmt: skip
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.fit(x, y, epochs=2, batch_size=8, verbose=0)
        found.append([weight.tobytes() for weight in model.get_weights()])
    assert found[0] == found[1] == found[2]


def test_flips(device, rng):
    x = rng.normal(size=(64, 3, 4, 2))
    for mode, kinds in (("horizontal", (x, x[:, :, ::-1])), ("vertical", (x, x[:, ::-1])),
                        ("horizontal_and_vertical", (x, x[:, ::-1], x[:, :, ::-1], x[:, ::-1, ::-1]))):  # fmt: skip
        layer = layers.RandomFlip(mode).init((3, 4, 2), dtype="float64", seed=0, device=device)
        y = layer(x, training=True)
        counts = [sum(np.array_equal(a, b) for a, b in zip(y, kind)) for kind in kinds]
        assert sum(counts) == 64 and min(counts) > 64 / len(kinds) / 2
        np.testing.assert_array_equal(layer.backward(y), x)  # a mirror undoes itself


def test_crops(device, rng):
    x = rng.normal(size=(100, 5, 6, 1))
    layer = layers.RandomCrop(3, 4).init((5, 6, 1), dtype="float64", seed=0, device=device)
    y, found = layer(x, training=True), set()
    for n in range(100):
        found |= {(i, j) for i in range(3) for j in range(3) if np.array_equal(x[n, i : i + 3, j : j + 4], y[n])}
    assert len(found) == 9  # every place comes
    dx = layer.backward(np.ones_like(y))
    assert (dx.sum(axis=(1, 2, 3)) == 12).all() and set(np.unique(dx)) == {0, 1}
    same = layers.Resizing(3, 4, crop_to_aspect_ratio=True).init((5, 6, 1), dtype="float64", device=device)
    np.testing.assert_array_equal(layer(x), same(x))


def test_quarter_turns_are_exact(device, rng):
    x = rng.normal(size=(2, 5, 5, 3))
    for quarters in (-3, -2, -1, 1, 2, 3):
        layer = layers.RandomRotation((quarters / 4, quarters / 4)).init((5, 5, 3), dtype="float64", device=device)
        np.testing.assert_array_equal(layer(x, training=True), np.rot90(x, quarters, axes=(1, 2)))  # counterclockwise


def test_cosine_and_sine():
    turns = np.concatenate([np.linspace(-1, 1, 1001), [0.125, -0.125, 0.5, 0.25]])
    cosine, sine = cosine_sine(turns)
    np.testing.assert_allclose(cosine, np.cos(2 * math.pi * turns), atol=1e-15)
    np.testing.assert_allclose(sine, np.sin(2 * math.pi * turns), atol=1e-15)


def test_translation(device):
    x = np.arange(12.0).reshape(1, 3, 4, 1)
    layer = layers.RandomTranslation((1 / 3, 1 / 3), (-0.25, -0.25), "constant", fill_value=-1)
    y = layer.init((3, 4, 1), dtype="float64", device=device)(x, training=True)
    np.testing.assert_allclose(y[0, :, :, 0], [[-1, -1, -1, -1], [1, 2, 3, -1], [5, 6, 7, -1]])  # down and to the left


def test_zoom(device):
    x = np.arange(16.0).reshape(1, 4, 4, 1)
    out = layers.RandomZoom((1.0, 1.0), fill_mode="constant").init((4, 4, 1), dtype="float64", device=device)
    y = out(x, training=True)[0, :, :, 0]  # half the size, in the middle
    np.testing.assert_allclose(y[1:3, 1:3], [[2.5, 4.5], [10.5, 12.5]])
    assert y[0, 0] == 0
    wide = layers.RandomZoom((0.0, 0.0), (-0.5, -0.5)).init((4, 4, 1), dtype="float64", device=device)
    np.testing.assert_allclose(wide(x, training=True)[0, 1, :, 0], [4.75, 5.25, 5.75, 6.25])


def test_brightness_and_contrast(device, rng):
    x = rng.uniform(size=(4, 5, 6, 3))
    brighter = layers.RandomBrightness((0.25, 0.25), (0, 1)).init((5, 6, 3), dtype="float64", device=device)
    np.testing.assert_allclose(brighter(x, training=True), np.minimum(x + 0.25, 1))
    np.testing.assert_array_equal(brighter.backward(np.ones_like(x)), x + 0.25 < 1)
    lighter = layers.RandomBrightness((0.25, 0.25), (-1, 1)).init((5, 6, 3), dtype="float64", device=device)
    np.testing.assert_allclose(lighter(x, training=True), np.minimum(x + 0.5, 1))  # a quarter of the range
    stronger = layers.RandomContrast((0, 1), (0, 1), seed=1).init((5, 6, 3), dtype="float64", device=device)
    y, mean = stronger(x, training=True), x.mean(axis=(1, 2), keepdims=True)
    f = 1 + npdl.random.per_sample(npdl.random.key(1, "RandomContrast"), 0, 4, 1).reshape(4, 1, 1, 1)
    np.testing.assert_allclose(y, np.clip((x - mean) * f + mean, 0, 1), atol=1e-12)


def test_erasing(device, rng):
    x = rng.uniform(0.1, 1, size=(200, 20, 30, 3))
    layer = layers.RandomErasing(fill_value=0, scale=(0.1, 0.2)).init(
        (20, 30, 3), dtype="float64", seed=0, device=device
    )
    erased = layer(x, training=True) == 0
    assert (erased == layer.backward(x).__eq__(0)).all()
    area = erased.all(axis=3).mean(axis=(1, 2))
    assert 0.4 < (area > 0).mean() < 0.6  # factor 1.0: a probability from 0 to 1, for each image
    assert area[area > 0].min() > 0.08 and area.max() < 0.22
    noise = layers.RandomErasing((1, 1), value_range=(0, 1)).init((20, 30, 3), dtype="float64", seed=0, device=device)
    y = noise(x, training=True)
    changed = y != x
    assert y[changed].min() >= 0 and y[changed].max() <= 1 and np.unique(y[changed]).size > 1000


def test_erasing_reaches_every_place_with_new_noise():
    halves = layers.RandomErasing((1, 1), (0.25, 0.25)).init((4, 4, 1), seed=0).boxes((100, 4, 4, 1))
    assert set(halves[:, 0]) == set(halves[:, 2]) == {0, 1, 2} and (halves[:, 1::2] - halves[:, ::2] == 2).all()
    x = np.full((2, 8, 8, 1), 0.5)
    whole = layers.RandomErasing((1, 1), (1, 1), value_range=(0, 1)).init((8, 8, 1), dtype="float64", seed=0)
    assert np.mean(np.array(whole(x, training=True)) != whole(x, training=True)) > 0.3


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: layers.RandomFlip("diagonal"), "RandomFlip knows mode=\"horizontal\" or .* got mode='diagonal'"),
        (lambda: layers.RandomRotation(1.5), "RandomRotation needs factor to be a number or two, .* got factor=1.5"),
        (lambda: layers.RandomZoom((0.1, 0.2, 0.3)), "RandomZoom needs height_factor"),
        (lambda: layers.RandomTranslation(0.1, "a"), "RandomTranslation needs width_factor"),
        (lambda: layers.RandomRotation(0.1, "mirror"), 'RandomRotation knows fill_mode="constant" or'),
        (lambda: layers.RandomRotation(0.1, interpolation="bicubic"), 'knows interpolation="nearest" or'),
        (lambda: layers.RandomBrightness(0.1, value_range=1), "RandomBrightness needs value_range"),
        (lambda: layers.RandomContrast(-0.1), "RandomContrast needs factor"),
        (lambda: layers.RandomErasing(fill_value="grey"), "RandomErasing needs fill_value to be a number, "),
        (lambda: layers.RandomErasing(fill_value=[1, 2]).init((4, 4, 3)), "fill_value has 2 numbers, .* 3 channels"),
        (lambda: layers.RandomCrop(4, 0), "RandomCrop needs width to be a whole number"),
        (lambda: layers.RandomFlip().init((4, 4)), "RandomFlip reads samples of shape"),
    ],
)  # fmt: skip
def test_wrong_arguments(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_keras_configurations():
    for kind, config in (
        (layers.RandomFlip, {"mode": "horizontal", "seed": None, "data_format": "channels_last"}),
        (layers.RandomCrop, {"height": 3, "width": 3, "seed": 7, "data_format": "channels_last"}),
        (layers.RandomRotation, {"factor": [-0.1, 0.1], "data_format": "channels_last", "fill_mode": "reflect",
                                 "fill_value": 0.0, "interpolation": "bilinear", "seed": None}),
        (layers.RandomZoom, {"height_factor": 0.1, "width_factor": None, "fill_mode": "reflect", "seed": None,
                             "interpolation": "bilinear", "fill_value": 0.0, "data_format": "channels_last"}),
        (layers.RandomBrightness, {"factor": [-0.1, 0.1], "value_range": [0, 255], "seed": None}),
        (layers.RandomContrast, {"factor": [0.1, 0.1], "value_range": [0, 255], "seed": None}),
        (layers.RandomErasing, {"factor": [0.0, 1.0], "scale": [0.02, 0.33], "fill_value": None,
                                "value_range": [0, 255], "seed": None}),
    ):  # fmt: skip
        layer = kind.from_config({"name": "x", "trainable": True, "dtype": "float32", **config})
        assert kind.from_config(layer.get_config()).get_config() == layer.get_config()
