import copy
import json

import numpy as np
import pytest

import npdl
from npdl import Sequential, layers, testing
from npdl.layers import masks

KINDS = ["SimpleRNN", "LSTM", "GRU"]


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.SimpleRNN(5), (4, 3)),
        (layers.SimpleRNN(3, activation="gelu", use_bias=False, return_sequences=True), (None, 2)),
        (layers.LSTM(5, return_sequences=True), (4, 3)),
        (layers.LSTM(3, go_backwards=True, unit_forget_bias=False, dropout=0.3, recurrent_dropout=0.4), (3, 2)),
        (layers.GRU(5), (4, 3)),
        (layers.GRU(3, return_sequences=True, dropout=0.2, recurrent_dropout=0.4, use_bias=False), (3, 2)),
        (layers.GRU(3, reset_after=False, recurrent_dropout=0.4, return_sequences=True), (3, 2)),
        (layers.RNN(layers.LSTMCell(4, dropout=0.2), return_sequences=True), (3, 2)),
        (layers.RNN([layers.GRUCell(4), layers.SimpleRNNCell(3)]), (3, 2)),
        (layers.Bidirectional(layers.LSTM(3, return_sequences=True)), (4, 2)),
        (layers.Bidirectional(layers.GRU(3), merge_mode="mul"), (4, 2)),
        (layers.Bidirectional(layers.SimpleRNN(3), merge_mode="ave"), (3, 2)),
        (layers.TimeDistributed(layers.Dense(4, activation="tanh")), (3, 2)),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_contract(layer, shape):
    testing.check_layer(layer, shape)


def made(kind, shape=(6, 3), dtype="float64", units=4, **options):
    """A layer with weights that are not small."""
    layer = getattr(layers, kind)(units, **options).init(shape, dtype=dtype, seed=1)
    rng = np.random.default_rng(5)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    return layer


def run(layer, x, mask, dy):
    """(y, dx, gradients) of a training step."""
    y = layer(x, training=True, mask=mask)
    return y, layer.backward(dy), [np.array(grad) for part in layer.walk() for grad in part.grads.values()]


# ---- masks


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reverse", [False, True])
def test_padding_changes_no_bit(kind, reverse, rng):
    """Wherever it stands and however much there is, whatever numbers it holds: outputs and dx are equal."""
    layer = made(kind, (None, 3), "float32", 33, go_backwards=reverse)
    x, dy = rng.normal(size=(5, 6, 3)).astype("float32"), rng.normal(size=(5, 33)).astype("float32")
    y, dx, grads = run(layer, x, None, dy)
    for places in ([0, 1, 2, 3, 4, 5], [3, 4, 5, 6, 7, 8], [0, 2, 3, 5, 8, 9]):
        longer = rng.normal(size=(5, 10, 3)).astype("float32")
        mask = np.zeros((5, 10), bool)
        longer[:, places], mask[:, places] = x, True
        z, dz, others = run(layer, longer, mask, dy)
        assert z.tobytes() == y.tobytes()
        assert np.ascontiguousarray(dz[:, places]).tobytes() == dx.tobytes()
        assert not dz[~mask].any()
        for a, b in zip(grads, others):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)  # their sums over steps are cut elsewhere
    if not reverse:
        longer = np.concatenate([x, longer[:, :4]], axis=1)
        others = run(layer, longer, np.arange(10) < np.full((5, 1), 6), dy)[2]
        assert [a.tobytes() for a in grads[:2]] == [b.tobytes() for b in others[:2]]  # behind the sequence


@pytest.mark.parametrize("kind", KINDS)
def test_masked_steps_repeat_the_last_output(kind, rng):
    x, mask = rng.normal(size=(2, 5, 3)), np.array([[0, 1, 0, 1, 0], [0, 0, 0, 0, 0]], bool)
    layer = made(kind, (5, 3), return_sequences=True)
    y = layer(x, mask=mask)
    kept = made(kind, (2, 3), return_sequences=True)(x[:1, [1, 3]].copy())
    np.testing.assert_array_equal(y[0], [np.zeros(4), kept[0, 0], kept[0, 0], kept[0, 1], kept[0, 1]])
    assert not y[1].any()
    shown = made(kind, (5, 3), return_sequences=True, zero_output_for_mask=True)(x, mask=mask)
    np.testing.assert_array_equal(shown, y * mask[..., None])
    state = rng.normal(size=(2, 4))
    count = layer.states
    started = made(kind, ((5, 3), *[(4,)] * count), return_sequences=True, return_state=True)
    y, *last = started((x, *[state] * count), mask=mask)
    assert not y[:, 0].any() and not y[1].any()  # no output before the first step, though there is a state
    np.testing.assert_array_equal(last[0][1], state[1])


class Masked(layers.Layer):
    """A layer under a fixed mask, for gradient checks."""

    def __init__(self, inner, mask, **base):
        super().__init__(**base)
        self.inner, self.mask = inner, mask

    def build(self, input_shape):
        return self.inner.build_once(input_shape)

    def walk(self):
        yield self
        yield from self.inner.walk()

    def forward(self, x, training=False):
        return self.inner.forward(x, training, self.mask)

    def backward(self, dy):
        return self.inner.backward(dy)


@pytest.mark.parametrize(
    "inner",
    [
        layers.SimpleRNN(4, return_sequences=True),
        layers.LSTM(4, return_sequences=True, go_backwards=True),
        layers.LSTM(4, recurrent_dropout=0.3),
        layers.GRU(4, return_sequences=True, zero_output_for_mask=True),
        layers.GRU(4, reset_after=False),
        layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)], return_sequences=True),
        layers.RNN(layers.SimpleRNNCell(4)),
        layers.Bidirectional(layers.LSTM(4, return_sequences=True), merge_mode="mul"),
        layers.Bidirectional(layers.GRU(4)),
    ],
    ids=lambda layer: repr(layer)[:40],
)
def test_gradients_under_a_mask(inner, rng):
    mask = np.array([[1, 0, 1, 1], [0, 0, 1, 0], [0, 0, 0, 0]], bool)
    layer = Masked(copy.deepcopy(inner), mask).init((4, 3), dtype="float64", seed=0)
    testing.gradient_check(layer, rng.normal(size=(3, 4, 3))).raise_if_wrong()


@pytest.mark.parametrize("kind", KINDS)
def test_rnn_of_the_cell_is_the_layer(kind, rng):
    """Masks, both directions, states, dropout: what the kernel does in one call, step by step."""
    mask, x = rng.random((3, 6)) < 0.6, rng.normal(size=(3, 6, 3))
    for flags in ({"return_sequences": True}, {"go_backwards": True}, {"return_state": True}):
        layer = made(kind, **flags)
        other = layers.RNN(getattr(layers, f"{kind}Cell")(4), **flags).init((6, 3), dtype="float64")
        other.set_weights(layer.get_weights())
        a, b = layer(x, training=True, mask=mask), other(x, training=True, mask=mask)
        pairs = list(zip(a, b)) if isinstance(a, tuple) else [(a, b)]
        for one, two in pairs:
            np.testing.assert_allclose(one, two, atol=1e-12)
        dy = tuple(rng.normal(size=one.shape) for one, _ in pairs)
        dy = dy if isinstance(a, tuple) else dy[0]
        np.testing.assert_allclose(layer.backward(dy), other.backward(dy), atol=1e-12)
        for one, two in zip(layer.grads.values(), other.cell[0].grads.values()):
            np.testing.assert_allclose(one, two, atol=1e-12)


def test_compute_mask(rng):
    x, mask = rng.normal(size=(2, 6, 3)), rng.random((2, 6)) < 0.5
    sequences = made("LSTM", return_sequences=True)
    assert masks.forward(sequences, x, False, mask)[1] is mask
    assert masks.forward(made("LSTM"), x, False, mask)[1] is None
    assert made("LSTM", return_sequences=True, return_state=True).compute_mask(x, mask) == (mask, None, None)
    both = layers.Bidirectional(layers.GRU(4, return_sequences=True), merge_mode=None)
    assert both.compute_mask(x, mask) == (mask, mask)


# ---- states


@pytest.mark.parametrize("kind", KINDS)
def test_stateful(kind, rng):
    """Two halves of a sequence, one batch after the other, are the whole one; until reset_state."""
    x = rng.normal(size=(3, 6, 3)).astype("float32")
    whole = made(kind, (6, 3), "float32")(x)
    layer = made(kind, (3, 3), "float32", stateful=True)
    first = layer(x[:, :3].copy())
    assert layer(x[:, 3:].copy()).tobytes() == whole.tobytes()
    with pytest.raises(
        ValueError, match=r"its states are those of 3 samples, got a batch of 2; .* or call reset_state"
    ):
        layer(x[:2, :3].copy())
    layer.reset_state()
    assert layer(x[:, :3].copy()).tobytes() == first.tobytes()


def test_stateful_in_fit(rng):
    x, y = rng.normal(size=(8, 3, 2)), rng.normal(size=(8, 4))
    model = Sequential([layers.GRU(4, stateful=True)], seed=0)
    model.compile("sgd", "mse")
    model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    one = model.predict(x[:4], batch_size=4)
    two = model.predict(x[:4], batch_size=4)
    assert not np.array_equal(one, two)


@pytest.mark.parametrize("kind", KINDS)
def test_cells_by_hand(kind, rng):
    layer = made(kind, (2, 3))
    cell = getattr(layers, f"{kind}Cell")(4).init((3,), dtype="float64")
    cell.set_weights(layer.get_weights())
    x = rng.normal(size=(5, 2, 3))
    y, *states = cell(np.ascontiguousarray(x[:, 0]))
    y, *states = cell((np.ascontiguousarray(x[:, 1]), *states))
    np.testing.assert_allclose(y, layer(x), atol=1e-12)
    with pytest.raises(RuntimeError, match="call forward"):
        cell.backward((y, *states))


def test_the_gates(rng):
    """One step of each, written out."""
    x, h, c = (rng.normal(size=(2, n)) for n in (3, 4, 4))

    def sigma(v):
        return 1 / (1 + np.exp(-v))

    cell = layers.LSTMCell(4).init(((3,), (4,), (4,)), dtype="float64", seed=0)
    W, R, b = cell.get_weights()
    np.testing.assert_array_equal(b, np.repeat([0.0, 1.0, 0.0, 0.0], 4))  # unit_forget_bias
    i, f, g, o = np.split(x @ W + h @ R + b, 4, axis=1)
    after = sigma(f) * c + sigma(i) * np.tanh(g)
    for one, two in zip(cell((x, h, c)), (sigma(o) * np.tanh(after), sigma(o) * np.tanh(after), after)):
        np.testing.assert_allclose(one, two, atol=1e-14)
    for reset_after in (True, False):
        cell = layers.GRUCell(4, reset_after=reset_after).init(((3,), (4,)), dtype="float64", seed=0)
        cell.set_weights([rng.normal(size=w.shape) for w in cell.get_weights()])
        W, R, b = cell.get_weights()
        b, inner = b if reset_after else (b, np.zeros(12))
        z, r, g = np.split(x @ W + b, 3, axis=1)
        z, r = sigma(z + h @ R[:, :4] + inner[:4]), sigma(r + h @ R[:, 4:8] + inner[4:8])
        g = np.tanh(g + (r * (h @ R[:, 8:] + inner[8:]) if reset_after else (r * h) @ R[:, 8:]))
        np.testing.assert_allclose(cell((x, h))[0], z * h + (1 - z) * g, atol=1e-14)


# ---- dropout


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_the_same_at_every_step(kind, rng):
    layer = made(kind, (50, 3), units=20, recurrent_dropout=0.5, return_sequences=True)
    x = np.ones((2, 50, 3))
    assert not np.array_equal(layer(x, training=True), layer(x, training=True))  # another one at each call
    assert layer.step == 2
    np.testing.assert_array_equal(layer(x), layer(x))
    both, ones = made(kind, (3, 4), units=4, dropout=0.5, recurrent_dropout=0.5), np.ones((50, 3, 4))
    assert not np.array_equal(both.drop(ones, 0, "x")[:, 0], both.recurrent_mask(0, 50))  # numbers of their own
    dropped = made(kind, (3, 3), dropout=0.5, return_sequences=True)
    x = rng.normal(size=(400, 3, 3))
    dropped(x, training=True)
    dx = dropped.backward(np.ones((400, 3, 4)))
    gone = (dx == 0).all(axis=1)
    assert ((dx == 0) == gone[:, None]).all() and 0.45 < gone.mean() < 0.55


# ---- configuration, errors


KERAS = {
    "module": "keras.layers", "class_name": "LSTM", "registered_name": None,
    "config": {
        "name": "lstm", "trainable": True, "dtype": {"module": "keras", "class_name": "DTypePolicy",
        "config": {"name": "float32"}, "registered_name": None}, "return_sequences": True, "return_state": False,
        "go_backwards": False, "stateful": False, "unroll": False, "zero_output_for_mask": False, "units": 4,
        "activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True,
        "kernel_initializer": {"module": "keras.initializers", "class_name": "GlorotUniform", "config": {"seed": None},
        "registered_name": None}, "recurrent_initializer": {"module": "keras.initializers",
        "class_name": "Orthogonal", "config": {"seed": None, "gain": 1.0},
        "registered_name": None}, "bias_initializer": {"module": "keras.initializers", "class_name": "Zeros",
        "config": {}, "registered_name": None}, "unit_forget_bias": True, "kernel_regularizer": None,
        "recurrent_regularizer": None, "bias_regularizer": None, "activity_regularizer": None,
        "kernel_constraint": None, "recurrent_constraint": None, "bias_constraint": None, "dropout": 0.0,
        "recurrent_dropout": 0.0, "seed": None,
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_regularizers(kind):
    for name in (kind, f"{kind}Cell"):
        layer = getattr(layers, name)(4, recurrent_regularizer="l2", bias_constraint="non_neg")
        layer = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
        layer.init((6, 3) if name == kind else (3,))
        rules = {one.name: (one.regularizer, one.constraint) for one in layer.declared}
        assert rules["kernel"] == (None, None)
        assert type(rules["recurrent_kernel"][0]).__name__ == "L2" and type(rules["bias"][1]).__name__ == "NonNeg"


def test_keras_configuration():
    layer = layers.LSTM.from_config(KERAS["config"])
    assert layer.units == 4 and layer.return_sequences and layer.init((3, 2)).output_shape == (3, 4)
    both = layers.Bidirectional.from_config(
        {"name": "b", "trainable": True, "dtype": "float32", "merge_mode": "sum", "layer": KERAS}
    )
    assert both.backward_layer[0].go_backwards and both.init((3, 2)).output_shape == (3, 4)
    again = layers.Bidirectional.from_config(json.loads(json.dumps(both.get_config())))
    assert again.get_config() == both.get_config()
    wrapped = layers.TimeDistributed.from_config({"name": "t", "dtype": "float32", "layer": KERAS})
    assert wrapped.init((5, 3, 2)).output_shape == (5, 3, 4)
    cell = {"class_name": "LSTMCell", "config": {"units": 4, "dtype": "float32"}}
    assert layers.RNN.from_config({"cell": cell, "dtype": "float32"}).init((3, 2)).output_shape == (4,)


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "ave", None])
def test_bidirectional_states(merge_mode, rng):
    layer = layers.Bidirectional(layers.GRU(4, return_sequences=True, return_state=True), merge_mode)
    layer.init(((3, 2), (4,), (4,)), dtype="float64", seed=0)
    x, h, g = rng.normal(size=(5, 3, 2)), rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    y, *states = layer((x, h, g), training=True)
    forwards, backwards = (copy.deepcopy(one) for one in layer.both())
    for one in (forwards, backwards):
        one.in_order = one.go_backwards
    (a, p), (b, q) = forwards((x, h)), backwards((x, g))
    joined = {"concat": np.concatenate([a, b], -1), "sum": a + b, "ave": (a + b) / 2}
    expected = joined.get(merge_mode, (a, b))
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(states, [p, q])
    dy = (rng.normal(size=a.shape), None) if merge_mode is None else rng.normal(size=expected.shape)
    dx, *dstates = layer.backward((dy, None, rng.normal(size=q.shape)))
    assert dx.shape == x.shape and all(np.isfinite(one).all() for one in (dx, *dstates))


def test_errors():
    for kind in KINDS:
        with pytest.raises(
            ValueError, match=r"reads sequences \(steps, features\), got samples of shape \(5,\); pass x"
        ):
            getattr(layers, kind)(4).init((5,))
        with pytest.raises(ValueError, match=rf"{kind} needs dropout in \[0, 1\), .* got dropout=1.5; pass e.g."):
            getattr(layers, kind)(4, dropout=1.5)
    with pytest.raises(ValueError, match=r"expected first states of shapes \[\(4,\), \(4,\)\], got \[\(3,\)\]; pass"):
        layers.LSTM(4).init(((5, 3), (3,)))
    with pytest.raises(ValueError, match=r"was built for 1 inputs, x and first states, got 2"):
        made("GRU")((np.ones((1, 6, 3)), np.ones((1, 4))))
    with pytest.raises(TypeError, match="Bidirectional takes a recurrent layer, got Dense"):
        layers.Bidirectional(layers.Dense(4))
    with pytest.raises(ValueError, match="Bidirectional knows merge_mode"):
        layers.Bidirectional(layers.GRU(4), "max")
    with pytest.raises(ValueError, match="one of them with go_backwards, got"):
        layers.Bidirectional(layers.GRU(4), backward_layer=layers.GRU(4))
    with pytest.raises(ValueError, match="needs outputs of one shape"):
        layers.Bidirectional(layers.GRU(4), "sum", backward_layer=layers.GRU(5, go_backwards=True)).init((3, 2))
    with pytest.raises(TypeError, match="a recurrence runs cells"):
        layers.RNN(layers.Dense(4))
    with pytest.raises(ValueError, match=r"reads one step \(features,\) .* use RNN\(LSTMCell\(4\)\) for sequences"):
        layers.LSTMCell(4).init((5, 3))
    with pytest.raises(ValueError, match="TimeDistributed reads sequences"):
        layers.TimeDistributed(layers.Dense(4)).init((5,))
    with pytest.raises(TypeError, match="TimeDistributed takes one layer as layer"):
        layers.TimeDistributed([layers.Dense(4), layers.Dense(4)])


# ---- in models


def test_models(rng, tmp_path):
    """A masked tagger of all kinds: trains, saves, loads, and fit's bits do not depend on threads."""
    x = rng.integers(1, 9, (40, 7)).astype("int32")
    x[np.arange(7) >= rng.integers(1, 8, 40)[:, None]] = 0

    def tagger():
        return Sequential(
            [
                layers.Embedding(9, 6, mask_zero=True),
                layers.Bidirectional(layers.LSTM(5, return_sequences=True)),
                layers.RNN(layers.GRUCell(6), return_sequences=True),
                layers.TimeDistributed(layers.Dense(4, activation="tanh")),
                layers.GRU(5, return_sequences=True, dropout=0.1),
                layers.Dense(9),
            ],
            seed=0,
        )

    found = []
    for threads in (1, 2):
        npdl.set_num_threads(threads)
        model = tagger()
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        history = model.fit(x, x, batch_size=8, epochs=4, verbose=0).history
        found.append(b"".join(w.tobytes() for w in model.get_weights()))
    assert found[0] == found[1]
    assert history["loss"][-1] < history["loss"][0]
    model.save(tmp_path / "m.npdl")
    loaded = npdl.load_model(tmp_path / "m.npdl")
    assert loaded.predict(x).tobytes() == model.predict(x).tobytes()
    assert copy.deepcopy(model).predict(x).tobytes() == model.predict(x).tobytes()
    assert model.predict(x)[3:4].tobytes() == model.predict(x[3:4]).tobytes()


def test_flops():
    assert made("SimpleRNN").flops() == 6 * 4 * (2 * (3 + 4) + 6)
    assert made("LSTM", (None, 3)).flops() == 4 * 4 * (2 * (3 + 4) + 6)
    for layer in (layers.Bidirectional(layers.GRU(4), None), layers.RNN([layers.GRUCell(4), layers.GRUCell(4)])):
        assert layer.init((6, 4)).flops() == 2 * made("GRU", (6, 4)).flops()


def test_images_at_every_step(rng):
    layer = layers.TimeDistributed(layers.Conv2D(2, 3)).init((3, 5, 5, 1), dtype="float64", seed=0)
    x = rng.normal(size=(2, 3, 5, 5, 1))
    np.testing.assert_array_equal(layer(x)[1, 2], layer.layer[0](x[1, 2:])[0])
    words = layers.TimeDistributed(layers.Embedding(5, 2, mask_zero=True)).init((3, 4))
    ids = rng.integers(0, 5, (2, 3, 4)).astype("int32")
    y, mask = masks.forward(words, ids)
    assert y.shape == (2, 3, 4, 2)
    np.testing.assert_array_equal(mask, ids != 0)


def test_gradient_check_of_a_stateful_layer(rng):
    """Each of its forwards begins with the same states, those of 0."""
    x, y = rng.normal(size=(4, 5, 3)).astype("float32"), rng.normal(size=(4, 1)).astype("float32")
    start = layers.Input((5, 3))
    two = layers.Concatenate()([layers.LSTM(3, stateful=True)(start), layers.GRU(2)(start)])
    for model in (
        Sequential([layers.Bidirectional(layers.LSTM(2, stateful=True)), layers.Dense(1)], seed=0),
        npdl.Model(start, layers.Dense(1)(two), seed=0),
    ):
        model.compile("sgd", "mse")
        model.fit(x, y, batch_size=4, verbose=0)
        assert model.gradient_check(x, y).ok
