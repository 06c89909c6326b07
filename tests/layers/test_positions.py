"""PositionEmbedding, SinePositionEncoding, RotaryEmbedding, and the table of sines below them."""

import decimal
import math

import numpy as np
import pytest

from npdl import layers
from npdl.kernels.reference import position
from npdl.testing import check_layer


@pytest.mark.parametrize(
    "layer, shape",
    [
        (layers.PositionEmbedding(4), (4, 3)),
        (layers.PositionEmbedding(9), (None, 3)),
        (layers.SinePositionEncoding(max_wavelength=50), (4, 5)),
        (layers.RotaryEmbedding(), (5, 4)),
        (layers.RotaryEmbedding(100, 4.0, sequence_axis=2), (2, None, 3, 6)),
        (layers.Residual([layers.PositionEmbedding(6)]), (5, 4)),
    ],
    ids=str,
)
def test_contract(layer, shape):
    check_layer(layer, shape)


def exact(angle):
    """sin and cos of a float by their series in 60 digits."""
    with decimal.localcontext(prec=60):
        x, sine, cosine, term = decimal.Decimal(angle), decimal.Decimal(0), decimal.Decimal(0), decimal.Decimal(1)
        n = 0
        while n < 2 * angle + 60:
            part = term if n % 4 < 2 else -term
            sine, cosine = (sine + part, cosine) if n % 2 else (sine, cosine + part)
            n += 1
            term = term * x / n
        return float(sine), float(cosine)


def test_sine_and_cosine(rng):
    angles = np.concatenate([[0, 1e-9, math.pi / 4, math.pi / 2, 3.0], rng.random(20) * 30])
    sines, cosines = position.sine_and_cosine(angles)
    for angle, s, c in zip(angles, sines, cosines, strict=True):
        assert np.abs(np.subtract(exact(angle), (s, c))).max() <= 2.0**-52
    far = np.arange(0.0, 1e6, 97.3)
    np.testing.assert_allclose(position.sine_and_cosine(far), [np.sin(far), np.cos(far)], rtol=0, atol=3e-16)


def test_the_table_of_sines():
    """Keras' order: sine and cosine in turn, waves from 2π to nearly 2π · 10000."""
    y = layers.SinePositionEncoding().init((3, 4), "float64")(np.zeros((1, 3, 4)))[0]
    expected = [[math.sin(t), math.cos(t), math.sin(t / 100), math.cos(t / 100)] for t in range(3)]
    np.testing.assert_allclose(y, expected, atol=1e-15)


def test_rotary_products_depend_on_the_distance(rng):
    layer = layers.RotaryEmbedding().init((20, 8), "float64")
    q, k = (np.tile(rng.standard_normal(8), (1, 20, 1)) for _ in range(2))
    scores = layer(q)[0] @ layer(k)[0].T
    for distance in range(-19, 20):
        np.testing.assert_allclose(np.diag(scores, distance), np.diag(scores, distance)[0], atol=1e-12)
    np.testing.assert_array_equal(layer(q)[0, 0], q[0, 0])
    y, dy = layer(q, training=True), rng.standard_normal(q.shape)
    np.testing.assert_allclose((y * dy).sum(), (q * layer.backward(dy)).sum())  # the gradient turns the other way
    slower = layers.RotaryEmbedding(scaling_factor=2.0).init((20, 8), "float64")
    np.testing.assert_allclose(slower(q)[0, ::2], layer(q)[0, :10], atol=1e-12)


def test_shorter_sequences_leave_rows_alone(rng):
    layer = layers.PositionEmbedding(6).init((None, 3), "float64", seed=0)
    layer.grads["embeddings"][...] = np.nan
    dy = rng.standard_normal((2, 4, 3))
    np.testing.assert_array_equal(layer.forward(np.zeros((2, 4, 3)), True)[1], layer.params["embeddings"][:4])
    assert not layer.backward(dy).any()
    np.testing.assert_allclose(layer.grads["embeddings"], np.pad(dy.sum(axis=0), ((0, 2), (0, 0))))


def test_tokens_and_positions(rng):
    """Row by row what Embedding and PositionEmbedding give, and their gradients."""
    x, dy = np.array([[1, 3, 1], [0, 1, 2]], "int32"), rng.standard_normal((2, 3, 2))
    layer = layers.TokenAndPositionEmbedding(4, 5, 2, mask_zero=True).init((None,), "float64", seed=0)
    E, P = (layer.params[f"{part}_embedding/embeddings"] for part in ("token", "position"))
    assert E.shape == (4, 2) and P.shape == (5, 2) and [one.shape for one in layer.get_weights()] == [(4, 2), (5, 2)]
    np.testing.assert_array_equal(layer.forward(x, True), E[x] + P[:3])
    for grad in layer.grads.values():
        grad[...] = np.nan
    assert layer.backward(dy) is None
    rows = np.zeros((4, 2))
    np.add.at(rows, x, dy)
    np.testing.assert_allclose(layer.grads["token_embedding/embeddings"], rows, atol=1e-15)
    np.testing.assert_allclose(layer.grads["position_embedding/embeddings"], np.pad(dy.sum(0), ((0, 2), (0, 0))))
    np.testing.assert_array_equal(layer.compute_mask(x), x != 0)
    with pytest.raises(IndexError, match=r"has vocabulary_size=4: .* pass indices below vocabulary_size"):
        layer(np.array([[4]], "int32"))
    for make, text in (
        (lambda: layer(np.zeros((1, 6), "int32")), "has sequence_length=5, got a sequence of 6 places; pass shorter"),
        (
            lambda: layers.TokenAndPositionEmbedding(4, 5, 2, tie_weights=False),
            r"leave it out, and end .* layers.Dense\(4",
        ),
        (lambda: layers.TokenAndPositionEmbedding(4, 0, 2), "needs sequence_length to be a whole number of at least 1"),
        (lambda: layers.TokenAndPositionEmbedding(4, 5, 2).init((3, 2)), r"samples of shape \(places,\), got \(3, 2\)"),
    ):
        with pytest.raises(ValueError, match=text):
            make()


def test_a_configuration_of_kerashub():
    config = {"name": "turn", "trainable": True, "dtype": "float32", "max_wavelength": 500, "scaling_factor": 2.0,
              "sequence_axis": 2, "feature_axis": -1}  # fmt: skip
    assert layers.RotaryEmbedding.from_config(config).get_config() == {k: v for k, v in config.items() if k != "dtype"}
    initializer = {"module": "keras.initializers", "class_name": "Zeros", "config": {}, "registered_name": None}
    config = {"name": "p", "sequence_length": 7, "initializer": initializer}
    assert not layers.PositionEmbedding.from_config(config).init((7, 2)).params["embeddings"].any()
    config = {"name": "both", "trainable": True, "vocabulary_size": 5, "sequence_length": 4, "embedding_dim": 3,
              "embeddings_initializer": initializer, "tie_weights": True, "mask_zero": False}  # fmt: skip
    assert not any(one.any() for one in layers.TokenAndPositionEmbedding.from_config(config).init((4,)).get_weights())


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: layers.PositionEmbedding(0), "needs sequence_length to be a whole number of at least 1"),
        (
            lambda: layers.PositionEmbedding(4).init((5, 3)),
            "has sequence_length=4, got a sequence of 5 places; pass sho",
        ),
        (
            lambda: layers.PositionEmbedding(4).init((None, 3))(np.zeros((1, 5, 3), "float32")),
            "got a sequence of 5 pla",
        ),
        (lambda: layers.PositionEmbedding(4).init((4,)), r"takes samples \(places, features\) .*put layers\.Embedding"),
        (
            lambda: layers.SinePositionEncoding(0),
            "SinePositionEncoding needs max_wavelength above 0, got max_wavelength=0",
        ),
        (lambda: layers.SinePositionEncoding().init((4, None)), "fixed number of features"),
        (lambda: layers.RotaryEmbedding(scaling_factor="2"), "needs scaling_factor above 0, got scaling_factor='2'"),
        (lambda: layers.RotaryEmbedding().init((4, 3)), r"turns pairs of features, .*\(4, 3\); make it even"),
        (lambda: layers.RotaryEmbedding(sequence_axis=2).init((4, 6)), "sequence_axis=2 .*the places one of 1"),
        (lambda: layers.RotaryEmbedding(feature_axis=1).init((4, 6)), "the features are the last axis, -1"),
    ],
)
def test_arguments_that_do_not_fit(make, text):
    with pytest.raises(ValueError, match=text):
        make()
