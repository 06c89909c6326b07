"""AlphaDropout, GaussianDropout, GaussianNoise, SpatialDropout and StochasticDepth: what they share, and each alone."""

import numpy as np
import pytest

from npdl import Sequential, layers, set_num_threads, testing

CASES = [
    (layers.AlphaDropout, {"rate": 0.5}, (7,)),
    (layers.AlphaDropout, {"rate": 0.1, "noise_shape": (None, 1, 5), "seed": 3}, (4, 5)),
    (layers.AlphaDropout, {"rate": 0}, (7,)),
    (layers.GaussianDropout, {"rate": 0.5}, (7,)),
    (layers.GaussianDropout, {"rate": 0, "seed": 1}, (3, 2)),
    (layers.GaussianNoise, {"stddev": 0.5}, (7,)),
    (layers.GaussianNoise, {"stddev": 2, "seed": 1}, (3, 2, 5)),
    (layers.GaussianNoise, {"stddev": 0}, (7,)),
    (layers.SpatialDropout1D, {"rate": 0.5}, (6, 5)),
    (layers.SpatialDropout1D, {"rate": 0.5, "seed": 2}, (None, 5)),
    (layers.SpatialDropout2D, {"rate": 0.5}, (3, 4, 17)),
    (layers.SpatialDropout3D, {"rate": 0.5, "data_format": "channels_last"}, (2, 3, 4, 5)),
    (layers.StochasticDepth, {"rate": 0.5}, (3, 4, 5)),
    (layers.StochasticDepth, {}, (5,)),
]


@pytest.mark.parametrize(("kind", "arguments", "shape"), CASES)
def test_contract(kind, arguments, shape):
    testing.check_layer(kind(**arguments), shape)


ACTIVE = [(kind, arguments, shape) for kind, arguments, shape in CASES if 0 not in arguments.values()]


def noisy(kind, arguments, shape, seed=0, dtype="float64"):
    layer = kind(**arguments)
    return layer.init(tuple(5 if size is None else size for size in shape), dtype=dtype, seed=seed)


@pytest.mark.parametrize(("kind", "arguments", "shape"), ACTIVE)
def test_noise_is_made_from_seed_step_and_sample(kind, arguments, shape, rng):
    layer = noisy(kind, arguments, shape)
    x = rng.normal(size=(40, *layer.input_shape))
    first, second = layer(x, training=True), layer(x, training=True)
    assert layer.step == 2 and not np.array_equal(first, second)
    np.testing.assert_array_equal(noisy(kind, arguments, shape)(x, training=True), first)
    np.testing.assert_array_equal(noisy(kind, arguments, shape)(x[:13], training=True), first[:13])
    other = noisy(kind, arguments, shape, seed=1)(x, training=True)
    assert np.array_equal(other, first) == ("seed" in arguments)
    layer.step = 1
    np.testing.assert_array_equal(layer(x, training=True), second)
    narrow = noisy(kind, arguments, shape, dtype="float32")(x.astype("float32"), training=True)
    np.testing.assert_allclose(narrow, first, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("kind", "arguments", "shape"), ACTIVE)
def test_noise_does_not_depend_on_threads(kind, arguments, shape):
    shape, results = tuple(size or 5 for size in shape), []
    for threads in (1, 2, 3):
        set_num_threads(threads)
        layer = kind(**arguments).init(shape, seed=0)
        results.append(layer(np.ones((3000, *shape), "float32"), training=True))
        np.testing.assert_array_equal(results[0], results[-1])


@pytest.mark.parametrize(("kind", "arguments", "shape"), CASES)
def test_inference_passes_x_on(kind, arguments, shape):
    layer = noisy(kind, arguments, shape)
    x = np.ones((2, *layer.input_shape))
    assert layer(x) is x


@pytest.mark.parametrize("shape", [(1000,), (10, 1000)])
def test_gaussian_noise_is_normal(shape):
    layer = layers.GaussianNoise(0.5).init(shape, dtype="float64", seed=0)
    z = (layer(np.full((30, *shape), 3.0), training=True) - 3) / 0.5
    n = z.size
    assert abs(z.mean()) < 4 / n**0.5 and abs(z.var() - 1) < 4 * (2 / n) ** 0.5
    assert abs((z**3).mean()) < 4 * (15 / n) ** 0.5 and abs((z**4).mean() - 3) < 4 * (96 / n) ** 0.5
    for level, share in ((-2, 0.02275013), (-1, 0.15865525), (0.5, 0.69146246), (3, 0.9986501)):
        assert abs((z < level).mean() - share) < 4 * (share * (1 - share) / n) ** 0.5
    flat = z.reshape(30, -1)
    for a, b in ((flat[:, :-1], flat[:, 1:]), (flat[:-1], flat[1:]), (flat[:, :-4], flat[:, 4:])):
        assert abs((a * b).mean()) < 4 / a.size**0.5  # neighbours know nothing of each other


def test_gaussian_dropout_has_the_moments_of_dropout():
    layer = layers.GaussianDropout(0.2).init((1000,), dtype="float64", seed=0)
    m = layer(np.ones((100, 1000)), training=True)
    assert abs(m.mean() - 1) < 0.01 and abs(m.var() - 0.2 / 0.8) < 0.01
    np.testing.assert_array_equal(layer.backward(np.full((100, 1000), 2.0)), 2 * m)


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.9])
def test_alpha_dropout_keeps_mean_and_variance(rate, rng):
    layer = layers.AlphaDropout(rate).init((1000,), dtype="float64", seed=0)
    x = rng.normal(size=(300, 1000))
    y = layer(x, training=True)
    assert abs(y.mean()) < 0.015 and abs(y.var() - 1) < 0.03
    dropped = layer.backward(np.ones_like(y)) == 0
    assert abs(dropped.mean() - rate) < 0.01
    assert len(np.unique(y[dropped])) == 1


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (layers.SpatialDropout1D, (30, 40)),
        (layers.SpatialDropout2D, (5, 6, 40)),
        (layers.SpatialDropout3D, (2, 3, 5, 40)),
    ],
)
def test_spatial_dropout_drops_channels(kind, shape):
    y = kind(0.25).init(shape, dtype="float64", seed=0)(np.ones((200, *shape)), training=True)
    channels = y.reshape(200, -1, 40)
    np.testing.assert_array_equal(channels, channels[:, :1].repeat(channels.shape[1], axis=1))
    assert set(np.unique(y)) == {0.0, 1 / 0.75}
    assert abs((y == 0).mean() - 0.25) < 0.02


def test_stochastic_depth_drops_samples():
    y = layers.StochasticDepth(0.25).init((4, 5), dtype="float64", seed=0)(np.ones((4000, 4, 5)), training=True)
    np.testing.assert_array_equal(y, y[:, :1, :1] * np.ones((4, 5)))
    assert set(np.unique(y)) == {0.0, 1 / 0.75} and abs((y[:, 0, 0] == 0).mean() - 0.25) < 0.03


def test_stochastic_depth_in_a_residual_block(rng):
    block = layers.Residual([layers.Dense(6, activation="tanh"), layers.StochasticDepth(0.5)])
    testing.check_layer(block, (6,))
    x = rng.normal(size=(50, 6))
    block.init((6,), dtype="float64", seed=0)
    same = (block(x, training=True) == x).all(axis=1)
    assert 10 < same.sum() < 40


def test_in_a_model(rng):
    x = rng.normal(size=(64, 6)).astype("float32")
    y = x[:, :3].argmax(axis=1)
    weights = []
    for threads in (1, 2):
        set_num_threads(threads)
        model = Sequential(
            [
                layers.GaussianNoise(0.1), layers.Dense(8), layers.AlphaDropout(0.1), layers.GaussianDropout(0.1),
                layers.Dense(3),
            ],
            seed=0,
        )  # fmt: skip
        model.compile("adam", "sparse_categorical_crossentropy")
        history = model.fit(x, y, epochs=30, batch_size=16, verbose=0).history["loss"]
        assert history[-1] < 0.9 * history[0]
        weights.append([w.tobytes() for w in model.get_weights()])
    assert weights[0] == weights[1]


RATES = (layers.AlphaDropout, layers.GaussianDropout, layers.SpatialDropout1D, layers.SpatialDropout2D)


@pytest.mark.parametrize("kind", [*RATES, layers.SpatialDropout3D, layers.StochasticDepth])
@pytest.mark.parametrize("rate", [1, -0.1, "half", None, True, float("nan")])
def test_rates(kind, rate):
    with pytest.raises(
        ValueError, match=rf"{kind.__name__} needs a rate in \[0, 1\).*pass e\.g\. {kind.__name__}\(0\.5\)"
    ):
        kind(rate)


@pytest.mark.parametrize("stddev", [-1, "small", None, True, float("nan"), float("inf")])
def test_deviations(stddev):
    with pytest.raises(ValueError, match=r"GaussianNoise needs a stddev of at least 0, got .*pass e\.g\."):
        layers.GaussianNoise(stddev)


@pytest.mark.parametrize(
    ("kind", "shape", "axes"),
    [
        (layers.SpatialDropout1D, (5,), "steps, channels"),
        (layers.SpatialDropout2D, (5, 3), "height, width, channels"),
        (layers.SpatialDropout3D, (5, 3, 2), "depth, height, width, channels"),
        (layers.SpatialDropout1D, (5, None), "steps, channels"),
    ],
)
def test_ranks(kind, shape, axes):
    with pytest.raises(ValueError, match=rf"{kind.__name__} reads samples \({axes}\), got samples of shape .*Reshape"):
        kind(0.5).init(shape)


def test_other_errors():
    with pytest.raises(
        ValueError, match=r"SpatialDropout2D keeps images channels last.* got data_format='channels_first'"
    ):
        layers.SpatialDropout2D(0.5, data_format="channels_first")
    with pytest.raises(TypeError, match="seed is a whole number"):
        layers.GaussianNoise(0.5, seed="a")
    with pytest.raises(ValueError, match="does not broadcast"):
        layers.AlphaDropout(0.5, noise_shape=(None, 2, 5)).init((4, 5))
