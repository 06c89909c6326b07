"""ConvLSTM1D, ConvLSTM2D, ConvLSTM3D: the contract, masks, states, dropout, models, configurations, wrong calls."""

import copy

import numpy as np
import pytest

import npdl
from npdl import layers, random, testing


@pytest.mark.parametrize(
    "layer, shape",
    [
        (layers.ConvLSTM1D(2, 3), (3, 5, 2)),
        (layers.ConvLSTM1D(3, 2, padding="same", strides=2, go_backwards=True, return_sequences=True), (2, 5, 1)),
        (layers.ConvLSTM2D(2, (3, 2), return_sequences=True), (3, 4, 3, 2)),
        (layers.ConvLSTM2D(1, 2, dilation_rate=2, use_bias=False), (None, 4, 5, 2)),
        (layers.ConvLSTM2D(2, 1, dropout=0.3, recurrent_dropout=0.4, return_sequences=True), (3, 2, 2, 3)),
        (layers.ConvLSTM3D(1, 2, padding="same"), (2, 2, 3, 2, 2)),
    ],
)
def test_contract(layer, shape):
    testing.check_layer(layer, shape)


def test_weights():
    layer = layers.ConvLSTM2D(4, (3, 5)).init((7, 9, 8, 2), seed=0)
    assert [(name, w.shape) for name, w in layer.params.items()] == [
        ("kernel", (3, 5, 2, 16)), ("recurrent_kernel", (3, 5, 4, 16)), ("bias", (16,)),
    ]  # fmt: skip
    assert layer.params["bias"].tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 8
    assert layer.flops() == 7 * 7 * 4 * 16 * (2 * 15 * (2 + 4) + 6)


@pytest.mark.parametrize("sequences", [False, True])
def test_padding_changes_no_bit(sequences, rng):
    """Steps that the mask leaves out may hold anything, wherever they lie; their own dx is 0."""
    layer = layers.ConvLSTM2D(3, 2, return_sequences=sequences).init((None, 3, 4, 2), seed=0)
    x, live = rng.normal(size=(2, 4, 3, 4, 2)).astype("float32"), np.array([0, 2, 3, 6])
    padded, mask = rng.normal(size=(2, 7, 3, 4, 2)).astype("float32"), np.zeros((2, 7), bool)
    padded[:, live], mask[:, live] = x, True
    y, long = layer(x, training=True), None
    dy = rng.normal(size=y.shape).astype("float32")
    dx, grads = layer.backward(dy), [grad.copy() for grad in layer.grads.values()]
    long = layer(padded, training=True, mask=mask)
    given = np.zeros(long.shape, "float32") if sequences else dy
    if sequences:
        assert np.array_equal(long[:, live], y) and np.array_equal(long[:, 1], long[:, 0])
        given[:, live] = dy
    else:
        assert np.array_equal(long, y)
    dlong = layer.backward(given)
    assert np.array_equal(dlong[:, live], dx) and not dlong[:, [1, 4, 5]].any()
    for grad, expected in zip(layer.grads.values(), grads):
        assert np.allclose(grad, expected, rtol=1e-4, atol=1e-5)


def test_states(rng):
    """A sequence in two parts, by hand and by `stateful`, is the whole one."""
    layer = layers.ConvLSTM1D(2, 3, padding="same", return_sequences=True, return_state=True)
    x = rng.normal(size=(3, 6, 5, 2)).astype("float32")
    layer.init((None, 5, 2), seed=0)
    whole, h, c = layer(x)
    assert whole.shape == (3, 6, 5, 2) and np.array_equal(h, whole[:, -1]) and c.shape == h.shape
    half, *states = layer(np.ascontiguousarray(x[:, :2]))
    with_states = copy.deepcopy(layer).from_config(layer.get_config()).init(((4, 5, 2), (5, 2), (5, 2)), seed=0)
    rest, *_ = with_states((np.ascontiguousarray(x[:, 2:]), *states))
    assert np.array_equal(np.concatenate([half, rest], axis=1), whole)
    stateful = layers.ConvLSTM1D(2, 3, padding="same", stateful=True).init((2, 5, 2), seed=0)
    ends = [stateful(np.ascontiguousarray(x[:, i : i + 2])) for i in (0, 2, 4)]
    assert np.array_equal(ends[2], h)
    stateful.reset_state()
    assert np.array_equal(stateful(np.ascontiguousarray(x[:, :2])), ends[0])


def test_dropout_is_alike_at_all_steps():
    layer = layers.ConvLSTM2D(
        1, 1, activation="linear", recurrent_activation="relu", return_sequences=True, dropout=0.5
    )
    layer.init((4, 3, 3, 1), seed=1, dtype="float64")
    kernel = np.zeros((1, 1, 1, 4))
    kernel[..., 2] = 1  # c grows by x, the gates i and o are open
    layer.set_weights([kernel, np.zeros((1, 1, 1, 4)), np.float64([1, 1, 0, 1])])
    y = layer(np.ones((2, 4, 3, 3, 1)), training=True)
    kept = np.diff(y, axis=1, prepend=0)
    assert set(np.unique(kept)) == {0.0, 2.0} and (kept == kept[:, :1]).all() and (kept[0] != kept[1]).any()
    assert (layer(np.ones((2, 4, 3, 3, 1))) == np.arange(1, 5).reshape(1, 4, 1, 1, 1)).all()


def test_in_a_model(tmp_path):
    """Where a dot moves to: learnt, copied, saved, both ways round."""
    n, steps, size = 64, 4, 6
    start, step = random.integers(random.key(0, "start"), (n,), 0, size), 1
    at = (start[:, None] + step * np.arange(steps + 1)) % size
    dots = np.eye(size, dtype="float32")[at][..., None]
    x, y = np.ascontiguousarray(dots[:, :steps]), dots[:, steps]
    model = npdl.Sequential([layers.ConvLSTM1D(8, 3, padding="same"), layers.Conv1D(1, 3, padding="same")], seed=0)
    model.compile(npdl.optimizers.Adam(0.02), "mse")
    history = model.fit(x, y, epochs=15, batch_size=16, verbose=0).history["loss"]
    assert history[-1] < 0.3 * history[0]
    model.save(tmp_path / "m.npdl")
    for other in (copy.deepcopy(model), npdl.load_model(tmp_path / "m.npdl")):
        assert np.array_equal(other.predict(x), model.predict(x))
    both = layers.Bidirectional(layers.ConvLSTM1D(3, 3, return_sequences=True)).init((4, 6, 1), seed=0)
    assert both(x).shape == (n, 4, 4, 6) and both.output_shape == (4, 4, 6)


def test_config_of_keras():
    config = {
        "name": "conv_lstm2d", "trainable": True, "dtype": "float32", "return_sequences": True, "return_state": False,
        "go_backwards": False, "stateful": False, "unroll": False, "zero_output_for_mask": False, "filters": 4,
        "kernel_size": [3, 3], "strides": [1, 1], "padding": "same", "data_format": "channels_last",
        "dilation_rate": [1, 1], "activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True,
        "kernel_initializer": {"module": "keras.initializers", "class_name": "GlorotUniform", "config": {"seed": None}},
        "recurrent_initializer": {
            "module": "keras.initializers", "class_name": "OrthogonalInitializer", "config": {"gain": 2.0, "seed": 1},
        },
        "bias_initializer": {"module": "keras.initializers", "class_name": "Zeros", "config": {}},
        "unit_forget_bias": True, "kernel_regularizer": None, "recurrent_regularizer": None, "bias_regularizer": None,
        "activity_regularizer": None, "kernel_constraint": None, "recurrent_constraint": None, "bias_constraint": None,
        "dropout": 0.1, "recurrent_dropout": 0.2, "seed": 5,
    }  # fmt: skip
    layer = layers.ConvLSTM2D.from_config(config)
    assert layer.init((5, 8, 8, 2), seed=0).output_shape == (5, 8, 8, 4)
    again = layers.ConvLSTM2D.from_config(layer.get_config())
    assert layer.recurrent_initializer.gain == again.recurrent_initializer.gain == 2.0
    assert (again.recurrent_dropout, again.seed, again.return_sequences) == (0.2, 5, True)


def test_wrong_calls():
    with pytest.raises(ValueError, match="needs filters to be a whole number of at least 1, got filters=0"):
        layers.ConvLSTM2D(0, 3)
    with pytest.raises(ValueError, match='knows padding="valid" and padding="same", got padding=\'causal\''):
        layers.ConvLSTM1D(2, 3, padding="causal")
    with pytest.raises(ValueError, match=r"reads sequences \(steps, height, width, channels\), all but steps of fixed"):
        layers.ConvLSTM2D(2, 3).init((8, 8, 3))
    with pytest.raises(ValueError, match=r"got samples of shape \(4, None, 3\); add an axis of steps"):
        layers.ConvLSTM1D(2, 3).init((4, None, 3))
    with pytest.raises(ValueError, match=r"expected first states of shape \(3, 2\), got \[\(5, 2\), \(5, 2\)\]"):
        layers.ConvLSTM1D(2, 3).init(((4, 5, 3), (5, 2), (5, 2)))
    with pytest.raises(ValueError, match=r"kernel_size=\(9, 9\), .*a window of 9 does not fit"):
        layers.ConvLSTM2D(2, 9).init((4, 8, 8, 3))
