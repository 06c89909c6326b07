"""The layers that change the colours of images, and their sharpness, at random while training."""

import colorsys

import numpy as np
import pytest

import npdl
from npdl import layers, testing
from npdl.data import Augment, Place

ALL = [
    layers.RandomHue(0.8, value_range=(-1, 2)),
    layers.RandomSaturation((0.2, 0.9), value_range=(-1, 2), seed=3),
    layers.RandomGrayscale(0.6),
    layers.RandomColorDegeneration(0.8, value_range=(-1, 1)),
    layers.Pipeline([layers.RandomHue(0.3, (-2, 2)), layers.RandomFlip(), layers.RandomSharpness(0.4, (-2, 2))]),
    layers.RandomColorJitter((-2, 2), 0.2, 0.3, (0.2, 0.7), 0.4),
    layers.RandomColorJitter(),
    layers.RandomShear(0.4),
    layers.RandomShear(0.1, (0.2, 0.5), "nearest", "constant", 0.5),
    layers.RandomGaussianBlur(0.8, 5, (0.3, 2.0), value_range=(-1.5, 1.5)),
    layers.RandomGaussianBlur(1.0, (1, 3), value_range=(-2, 2)),
    layers.RandomSharpness(1.0, value_range=(-1.5, 1.5)),
    layers.Solarization(0.3, 0.6, value_range=(-1, 1)),
    layers.RandomInvert(value_range=(-1, 1)),
    layers.RandomPosterization((2, 5), value_range=(-1, 1)),
]


@pytest.mark.parametrize("layer", ALL, ids=lambda layer: repr(layer)[:40])
def test_contract(layer):
    testing.check_layer(layer, (5, 4, 3))


@pytest.mark.parametrize("layer", [*ALL[:6], *ALL[7:]], ids=lambda layer: repr(layer)[:40])
def test_same_seed_same_images(layer, rng):
    """A sample's numbers come from (seed, place, step, sample): not from the batch, nor from what ran before."""

    def made():
        return type(layer).from_config(layer.get_config())

    x = rng.uniform(size=(6, 7, 6, 3)).astype("float32")
    one, other = (made().init((7, 6, 3), seed=5) for _ in range(2))
    first, part = one(x, training=True).copy(), other(x[:2], training=True)
    np.testing.assert_array_equal(first[:2], part)
    assert not np.array_equal(first, one(x, training=True))  # another step, other images
    assert one(x) is x  # and counts for nothing
    other(x, training=True)
    np.testing.assert_array_equal(one(x, training=True), other(x, training=True))


def test_augment_makes_the_same_images_however_many_threads(rng):
    """Of layers inside a layer, too."""
    x = rng.uniform(size=(4, 6, 6, 3)).astype("float32")
    augment = Augment([ALL[4], ALL[5], layers.RandomHue(0.5, (0, 1))], seed=1)
    first = augment(x, None, Place(0, 0, 0))[0]
    augment(x, None, Place(0, 0, 4))
    np.testing.assert_array_equal(augment(x, None, Place(0, 0, 0))[0], first)


def each_pixel(function, x):
    return np.array([function(*pixel) for pixel in x.reshape(-1, 3)]).reshape(x.shape)


def pixels(rng):
    """Colours with ties, grey, black and white among them."""
    x = rng.uniform(size=(2, 8, 8, 3))
    x[0, 0] = [[0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5], [1, 1, 0], [0, 1, 1], [1, 0, 1], [1, 0, 0], [0, 0.3, 0.3]]
    return x


def made(layer, device, shape=(8, 8, 3)):
    return layer.init(shape, dtype="float64", seed=0, device=device)


def test_hue_is_that_of_hsv(device, rng):
    x = pixels(rng)

    def turned(turn):
        return lambda r, g, b: colorsys.hsv_to_rgb((colorsys.rgb_to_hsv(r, g, b)[0] + turn) % 1, *hsv(r, g, b)[1:])

    def hsv(r, g, b):
        return colorsys.rgb_to_hsv(r, g, b)

    for factor in (0.0, 0.3, 0.77, 1.0):
        layer = made(layers.RandomHue((factor, factor), (0, 1)), device)
        y = layer(np.concatenate([x] * 4), training=True).reshape(4, *x.shape)
        both = [each_pixel(turned(sign * factor / 2), x) for sign in (1, -1)]
        off = np.array([abs(y - way).max(axis=(2, 3, 4)) for way in both])  # the coin is tossed for each image
        assert off.min(axis=0).max() < 1e-12
        assert factor in (0, 1) or len(set(off.argmin(axis=0).flat)) == 2
    wide = made(layers.RandomHue((0.4, 0.4)), device)(255 * x, training=True)  # the same colours in another range
    near = made(layers.RandomHue((0.4, 0.4), (0, 1)), device)(x, training=True)
    np.testing.assert_allclose(wide, 255 * near, atol=1e-10)


def test_saturation_is_that_of_hsv(device, rng):
    x = pixels(rng)
    for f in (-0.5, 0.0, 0.25, 0.5, 0.7, 1.0):
        more = max(f, 0) / (1 - f + 1e-7)

        def changed(r, g, b, more=more):
            h, s, v = colorsys.rgb_to_hsv(r, g, b)
            return colorsys.hsv_to_rgb(h, min(s * more, 1), v)

        y = made(layers.RandomSaturation((f, f), (0, 1)), device)(x, training=True)
        np.testing.assert_allclose(y, each_pixel(changed, x), atol=1e-12)
    shifted = made(layers.RandomSaturation((0.6, 0.6), (-1, 1)), device)(2 * x - 1, training=True)
    plain = made(layers.RandomSaturation((0.6, 0.6), (0, 1)), device)(x, training=True)
    np.testing.assert_allclose(shifted, 2 * plain - 1, atol=1e-12)


def test_grayscale(device, rng):
    x = rng.uniform(size=(200, 2, 2, 3))
    y = made(layers.RandomGrayscale(0.25), device, (2, 2, 3))(x, training=True)
    gray = np.repeat((x * [0.2989, 0.587, 0.114]).sum(axis=-1, keepdims=True), 3, axis=-1)
    became = np.isclose(y, gray).all(axis=(1, 2, 3))
    assert 30 < became.sum() < 70
    np.testing.assert_array_equal(y[~became], x[~became])


def test_on_the_way_to_grey(device, rng):
    x = rng.uniform(size=(2, 3, 3, 3))
    y = made(layers.RandomColorDegeneration((0.3, 0.3), (0, 1)), device, (3, 3, 3))(x, training=True)
    gray = (x * [0.2989, 0.587, 0.114]).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(y, 0.7 * x + 0.3 * gray, atol=1e-12)


def test_inversion(device, rng):
    x = rng.uniform(size=(60, 2, 2, 1))
    layer = made(layers.RandomInvert((0.5, 0.5), (0, 1)), device, (2, 2, 1))
    y = layer(x, training=True)
    inverted = np.isclose(y, 1 - x).all(axis=(1, 2, 3))
    assert 15 < inverted.sum() < 45
    np.testing.assert_array_equal(y[~inverted], x[~inverted])
    np.testing.assert_array_equal(layer.backward(x), np.where(inverted[:, None, None, None], -x, x))


def test_jitter_is_the_four_one_after_the_other(device, rng):
    x = rng.uniform(size=(3, 4, 4, 3))
    factors = {"brightness_factor": 0.3, "contrast_factor": 0.4, "saturation_factor": (0.3, 0.8), "hue_factor": 0.5}
    y = made(layers.RandomColorJitter((0, 1), **factors, seed=4), device, (4, 4, 3))(x, training=True)
    for kind, factor in zip(
        (layers.RandomBrightness, layers.RandomContrast, layers.RandomSaturation, layers.RandomHue), factors.values()
    ):
        x = made(kind(factor, value_range=(0, 1), seed=4), device, (4, 4, 3))(x, training=True)
    np.testing.assert_array_equal(y, x)


def test_shear(device):
    x = np.arange(12.0).reshape(1, 3, 4, 1)
    layer = layers.RandomShear((1.0, 1.0), fill_mode="constant", fill_value=-1)
    y = made(layer, device, (3, 4, 1))(np.concatenate([x] * 20), training=True)[..., 0]
    ways = [[[0, 1, 2, 3], [5, 6, 7, -1], [10, 11, -1, -1]], [[0, 1, 2, 3], [-1, 4, 5, 6], [-1, -1, 8, 9]]]
    counts = [sum(np.allclose(one, way) for one in y) for way in ways]
    assert sum(counts) == 20 and min(counts) > 3
    down = made(layers.RandomShear(0.0, (1.0, 1.0), fill_mode="constant"), device, (3, 4, 1))(x, training=True)
    assert down[0, :, 1, 0].tolist() in ([5, 9, 0], [0, 1, 5])


def test_gaussian_blur(device, rng):
    """Against the definition, one σ known."""
    x = rng.uniform(size=(2, 6, 5, 2))
    layer = made(layers.RandomGaussianBlur((1, 1), (3, 5), (0.7, 0.7), value_range=(0, 1)), device, (6, 5, 2))
    bells = [np.exp(-0.5 * (np.arange(-size // 2 + 1, size // 2 + 1) / (0.7 + 1e-6)) ** 2) for size in (3, 5)]
    across, down = (bell / bell.sum() for bell in bells)
    padded, expected = np.pad(x, ((0, 0), (2, 2), (1, 1), (0, 0))), np.zeros_like(x)
    for i, v in enumerate(down):
        for j, w in enumerate(across):
            expected += v * w * padded[:, i : i + 6, j : j + 5]
    np.testing.assert_allclose(layer(x, training=True), expected, atol=1e-12)
    some = made(layers.RandomGaussianBlur((0.5, 0.5), 3, 1.0, (0, 1)), device, (6, 5, 2))
    same = [np.array_equal(a, b) for a, b in zip(x[[0] * 60], some(x[[0] * 60], training=True))]
    assert 15 < sum(same) < 45
    v, _ = layers.RandomGaussianBlur(1.0, 3, (0.1, 2.0)).init((4, 4, 1), seed=0).weights(50)
    assert np.unique(v[:, 0]).size > 10 and np.allclose(v[:, 0] + 2 * v[:, 1], 1)


def test_sharpness(device, rng):
    x = rng.uniform(size=(2, 4, 5, 2))
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    smooth = sum(padded[:, i : i + 4, j : j + 5] * (5 if i == j == 1 else 1) for i in range(3) for j in range(3)) / 13
    for f in (0.0, 0.3, 0.5, 1.0):
        y = made(layers.RandomSharpness((f, f), value_range=(0, 1)), device, (4, 5, 2))(x, training=True)
        np.testing.assert_allclose(y, np.clip(x + (1 - 2 * f) * (smooth - x), 0, 1), atol=1e-12)


def test_solarization(device, rng):
    x = rng.uniform(size=(3, 4, 4, 2))
    plain = made(layers.Solarization(value_range=(0, 1)), device, (4, 4, 2))
    np.testing.assert_allclose(plain(x, training=True), 1 - x, atol=1e-15)
    some = made(layers.Solarization((0.2, 0.2), (0.6, 0.6), (0, 1)), device, (4, 4, 2))
    r = np.minimum(x + 0.2, 1)
    np.testing.assert_allclose(some(x, training=True), np.where(r < 0.6, r, 1 - r), atol=1e-15)
    slope = np.where(r < 0.6, 1, np.where(r < 1, -1, 0))
    np.testing.assert_array_equal(some.backward(np.ones_like(x)), slope)


def test_posterization_keeps_the_first_bits(device):
    x = np.arange(256.0).reshape(1, 16, 16, 1)
    for bits in range(1, 9):
        y = made(layers.RandomPosterization((bits, bits)), device, (16, 16, 1))(x, training=True)
        np.testing.assert_array_equal(y, (x.astype("uint8") >> (8 - bits)) << (8 - bits))
        layer = layers.RandomPosterization((bits, bits), (0, 1)).init((16, 16, 1), device=device)
        np.testing.assert_allclose(layer((x / 255).astype("float32"), training=True), y / 255, atol=1e-6)
    drawn = layers.RandomPosterization(3).init((1, 1, 1), seed=0).numbers(100)[:, 0]
    assert set(drawn) == {32, 64, 128}


def test_fit_makes_the_same_images_at_any_number_of_threads(rng):
    x, y = rng.uniform(size=(40, 16, 16, 3)).astype("float32"), rng.integers(0, 2, 40)
    found = []
    for threads in (1, 2, 3):
        npdl.set_num_threads(threads)
        model = npdl.Sequential(
            [layers.RandomColorJitter((0, 1), 0.2, 0.2, 0.5, 0.5), layers.RandomGaussianBlur(0.5, value_range=(0, 1)),
             layers.Conv2D(3, 3), layers.RandomHue(0.2, (0, 1)), layers.Flatten(), layers.Dense(2)], seed=1,
        )  # fmt: skip
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.fit(x, y, epochs=1, batch_size=20, verbose=0)
        found.append([weight.tobytes() for weight in model.get_weights()])
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: layers.RandomHue(1.5), "RandomHue needs factor to be a number or two, .* got factor=1.5"),
        (lambda: layers.RandomSaturation(0.5, 3), "RandomSaturation needs value_range"),
        (lambda: layers.RandomGrayscale((0, 1)), r"RandomGrayscale needs factor to be a number from 0 to 1, got .*\(0"),
        (lambda: layers.RandomHue(0.5).init((4, 4, 1)), r"reads images of 3 channels, .* \(4, 4, 1\); leave it out"),
        (lambda: layers.RandomColorJitter(hue_factor=2), "RandomHue needs factor"),
        (lambda: layers.RandomColorJitter(hue_factor=1).init((4, 4)), r"RandomColorJitter reads images"),
        (lambda: layers.RandomShear("a"), "RandomShear needs x_factor"),
        (lambda: layers.RandomGaussianBlur(kernel_size=4), "RandomGaussianBlur needs kernel_size to be an odd number"),
        (lambda: layers.RandomGaussianBlur(sigma=(-1, 1)), "RandomGaussianBlur needs sigma"),
        (lambda: layers.Solarization(threshold_factor=200), "Solarization needs threshold_factor"),
        (lambda: layers.RandomPosterization(9), "RandomPosterization needs factor"),
        (lambda: layers.RandomPosterization((2.5, 3)), "RandomPosterization keeps a whole number of bits"),
        (lambda: layers.RandomSharpness(0.5, data_format="channels_first"), "keeps images channels last"),
    ],
)  # fmt: skip
def test_wrong_arguments(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_keras_configurations():
    for kind, config in (
        (layers.RandomHue, {"factor": [0, 0.5], "value_range": [0, 1], "seed": None}),
        (layers.RandomSaturation, {"factor": [-0.5, 0.5], "value_range": [0, 1], "seed": 3}),
        (layers.RandomGrayscale, {"factor": 0.5}),
        (layers.RandomColorJitter, {"value_range": [0, 255], "brightness_factor": 0.2, "contrast_factor": None,
                                    "saturation_factor": [0.2, 0.4], "hue_factor": None, "seed": None}),
        (layers.RandomColorDegeneration, {"factor": [0, 0.5], "value_range": [0, 255], "seed": None}),
        (layers.RandomInvert, {"factor": [0, 0.5], "value_range": [0, 255], "seed": None}),
        (layers.RandomShear, {"x_factor": [-0.2, 0.2], "y_factor": [0.0, 0.0], "fill_mode": "reflect", "seed": None,
                              "interpolation": "bilinear", "fill_value": 0.0, "data_format": "channels_last"}),
        (layers.RandomGaussianBlur, {"factor": [0, 1], "kernel_size": [3, 3], "sigma": [0, 1],
                                     "value_range": [0, 255], "seed": None}),
        (layers.RandomSharpness, {"factor": [0, 0.5], "value_range": [0, 255], "seed": None}),
        (layers.Solarization, {"addition_factor": [0, 0], "threshold_factor": [0, 0.5], "value_range": [0, 255],
                               "seed": None}),
        (layers.RandomPosterization, {"factor": [1, 4], "value_range": [0, 255], "seed": None}),
    ):  # fmt: skip
        layer = kind.from_config({"name": "x", "trainable": True, "dtype": "float32", **config})
        assert kind.from_config(layer.get_config()).get_config() == layer.get_config()
