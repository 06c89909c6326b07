"""Replayed steps: the same bits as by hand, and only while nothing but the batch changes."""

import concurrent.futures
import gc
import itertools
import weakref
from unittest import mock

import numpy as np
import pytest

import npdl
from npdl import layers, losses
from npdl.callbacks import Callback
from npdl.models import replay
from npdl.models.step import Step

RNG = np.random.default_rng(0)
X, IMAGES = RNG.normal(size=(22, 6)).astype("float32"), RNG.normal(size=(22, 8, 8, 3)).astype("float32")
LABELS, TOKENS = RNG.integers(0, 4, 22), RNG.integers(0, 9, (22, 6))

NETS = {
    "dense": (X, lambda: [layers.Dense(8, activation="relu"), layers.Dense(4, activation="softmax")]),
    "activations": (
        X,
        lambda: [
            layers.Dense(8), layers.ELU(), layers.Dense(8), layers.GELU(), layers.LayerNormalization(),
            layers.Dense(8, activation="tanh"), layers.LeakyReLU(), layers.Sigmoid(), layers.Dense(4),
        ],
    ),
    "convolutions": (
        IMAGES,
        lambda: [
            layers.Conv2D(8, 3, padding="same"), layers.BatchNormalization(), layers.ReLU(), layers.MaxPooling2D(),
            layers.Residual([layers.Conv2D(8, 3, padding="same", use_bias=False), layers.BatchNormalization()]),
            layers.SeparableConv2D(8, 3, activation="relu"), layers.DepthwiseConv2D(2), layers.Flatten(),
            layers.Dense(4),
        ],
    ),
    "transposed": (
        IMAGES,
        lambda: [
            layers.Conv2DTranspose(4, 2, strides=2), layers.AveragePooling2D(), layers.Tanh(), layers.Reshape((64, 4)),
            layers.Conv1D(5, 3), layers.MaxPooling1D(), layers.AveragePooling1D(), layers.GlobalAveragePooling1D(),
            layers.Dense(4), layers.Softmax(),
        ],
    ),
    "flat first": (IMAGES, lambda: [layers.Flatten(), layers.Dense(4), layers.Activation("tanh"), layers.Dense(4)]),
    "attention": (
        TOKENS,
        lambda: [
            layers.TokenAndPositionEmbedding(9, 6, 8), layers.MultiHeadAttention(2, 4, use_causal_mask=True),
            layers.TransformerEncoder(16, 2), layers.GroupedQueryAttention(4, 2, 1), layers.Dropout(0),
            layers.GlobalAveragePooling1D(), layers.Dense(4),
        ],
    ),
    "decoder": (
        TOKENS.astype("int32"),
        lambda: [
            layers.Embedding(9, 8), layers.Residual([layers.PositionEmbedding(6)]),
            layers.Residual([layers.SinePositionEncoding()]),
            layers.TransformerDecoder(16, 2, activation="gelu", normalize_first=True), layers.GlobalAveragePooling1D(),
            layers.Dense(4),
        ],
    ),
    "recurrent": (
        TOKENS,
        lambda: [
            layers.Embedding(9, 8), layers.LSTM(5, return_sequences=True, go_backwards=True),
            layers.GRU(6, return_sequences=True, reset_after=False), layers.GRU(5, return_sequences=True),
            layers.SimpleRNN(7), layers.Dense(4),
        ],
    ),
    "random": (
        IMAGES,
        lambda: [
            layers.Dropout(0.2), layers.SpatialDropout2D(0.3), layers.GaussianNoise(0.1), layers.Reshape((8, 24)),
            layers.SpatialDropout1D(0.2), layers.TransformerEncoder(16, 2, dropout=0.1),
            layers.MultiHeadAttention(2, 4, dropout=0.3), layers.Attention(use_scale=True, dropout=0.2),
            layers.AdditiveAttention(dropout=0.1), layers.StochasticDepth(0.2),
            layers.LSTM(5, dropout=0.2, return_sequences=True),
            layers.GRU(5, recurrent_dropout=0.2, return_sequences=True), layers.GaussianDropout(0.2),
            layers.Reshape((2, 2, 2, 5)), layers.SpatialDropout3D(0.2), layers.Flatten(), layers.AlphaDropout(0.2),
            layers.Dense(4),
        ],
    ),
    "globally": (IMAGES, lambda: [layers.Conv2D(4, 2), layers.GlobalAveragePooling2D(), layers.Dense(4)]),
}  # fmt: skip


def model_of(net, loss=None, **compiled):
    model = npdl.Sequential(net, seed=3)
    loss = loss or losses.SparseCategoricalCrossentropy()
    model.compile(npdl.optimizers.Adam(0.01), loss, **compiled)
    return model


def fit(monkeypatch, make, x, y, most=replay.MOST, callbacks=(), **options):
    """(weights, history, how many steps were replayed) of a training with 5 batches of two shapes an epoch."""
    replayed, train = [], replay.Replay.add
    monkeypatch.setattr(replay, "MOST", most)
    monkeypatch.setattr(replay.Replay, "add", lambda self, *args: (replayed.append(1), train(self, *args)))
    model = make()
    history = model.fit(x, y, batch_size=5, epochs=3, verbose=0, callbacks=[one() for one in callbacks], **options)
    monkeypatch.undo()
    return [*model.get_weights()], history.history, len(replayed)


def check(monkeypatch, make, x, y, replayed, **options):
    plain = fit(monkeypatch, make, x, y, most=-1, **options)
    noted = fit(monkeypatch, make, x, y, **options)
    assert [a.tobytes() for a in plain[0]] == [a.tobytes() for a in noted[0]]
    assert plain[1] == noted[1]
    assert (plain[2], noted[2]) == (0, replayed)


@pytest.mark.parametrize("name", NETS)
def test_a_replayed_training_has_the_same_bits(monkeypatch, name):
    x, make = NETS[name]
    check(monkeypatch, lambda: model_of(make(), metrics=["accuracy"]), x, LABELS, 4 + 4 + 2 + 1)


def test_every_replayed_layer_is_tested():
    used = {type(part) for _, make in NETS.values() for layer in make() for part in layer.walk()}
    assert used == replay.REPLAYED


@pytest.mark.parametrize(
    "loss, y",
    [
        (losses.MeanSquaredError(), X[:, :4]),
        (losses.MeanAbsoluteError(), X[:, :4]),
        (losses.Huber(), X[:, :4]),
        (losses.BinaryCrossentropy(from_logits=True), np.eye(4, dtype="float32")[LABELS]),
        (losses.CategoricalCrossentropy(from_logits=True), np.eye(4, dtype="float32")[LABELS]),
    ],
)
def test_of_every_loss(monkeypatch, loss, y):
    check(monkeypatch, lambda: model_of([layers.Dense(4)], loss), X, y, 11)


class Change(Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 3:
            self.change(self.model)


class Freeze(Change):
    def change(self, model):
        model.layers[0].trainable = not model.layers[0].trainable


class OtherActivation(Change):
    def change(self, model):
        model.layers[0].activation = npdl.activations.get("tanh")


class Hook(Change):
    def change(self, model):
        layer = model.layers[0]
        layer.forward = lambda x, training=False: type(layer).forward(layer, x, training)


class Debug(Change):
    def change(self, model):
        npdl.set_debug(True)

    def on_train_end(self, logs=None):
        npdl.set_debug(False)


class Write(Change):
    def change(self, model):
        model.set_weights([weight + 1 for weight in model.get_weights()])


class Larger(Change):
    def change(self, model):
        model.train_on_batch(np.tile(X, (3, 1)), np.tile(LABELS, 3))


class Evaluate(Change):
    def change(self, model):
        model.evaluate(X, LABELS, verbose=0)
        model.predict(X)


@pytest.mark.parametrize(
    "callback, replayed",
    [(Freeze, 8), (OtherActivation, 8), (Hook, 2), (Debug, 2), (Write, 11), (Larger, 11), (Evaluate, 11)],
)
def test_a_change_is_seen_at_once(monkeypatch, callback, replayed):
    check(monkeypatch, lambda: model_of(NETS["dense"][1]()), X, LABELS, replayed, callbacks=[callback])


class Scaled(layers.Dense):
    """A layer of the user's own."""


@pytest.mark.parametrize(
    "make, options",
    [
        (lambda: model_of([Scaled(4)]), {}),
        (lambda: model_of([layers.Dense(4, kernel_regularizer="l2")]), {}),
        (lambda: model_of([layers.Dense(4)], losses.SparseCategoricalCrossentropy(ignore_class=3)), {}),
        (lambda: model_of([layers.Dense(4)]), {"sample_weight": np.arange(22.0)}),
    ],
)
def test_what_is_not_replayed(monkeypatch, make, options):
    check(monkeypatch, make, X, LABELS, 0, **options)


def test_dropout_that_begins_later_is_noted_anew_and_masks_are_not_replayed(monkeypatch):
    class Begin(Change):
        def change(self, model):
            model.layers[1].rate = 0.5

    def make(mask_zero=False):
        return model_of([layers.Embedding(9, 8, mask_zero=mask_zero), layers.Dropout(0), *NETS["attention"][1]()[-2:]])

    check(monkeypatch, make, TOKENS, LABELS, 9, callbacks=[Begin])
    check(monkeypatch, lambda: make(mask_zero=True), TOKENS, LABELS, 0)


def test_a_loaded_state_brings_its_own_random_numbers(monkeypatch, tmp_path):
    class Load(Change):
        def change(self, model):
            model.load_state(tmp_path / "other.npdl")

    def make(seed=3):
        model = npdl.Sequential([layers.Dense(8), layers.Dropout(0.5), layers.Dense(4)], seed=seed)
        model.compile("sgd", losses.SparseCategoricalCrossentropy(from_logits=True))
        return model

    other = make(seed=11)
    other.build((6,))
    other.save(tmp_path / "other.npdl")
    check(monkeypatch, make, X, LABELS, 10, callbacks=[Load])


def test_an_index_that_there_is_not_is_named_by_its_layer():
    x, make = NETS["decoder"]
    model, wrong = model_of(make()), np.full_like(x[:5], 9)
    model.build(x.shape[1:])
    for _ in range(4):
        model.train_on_batch(x[:5], LABELS[:5])
        model.predict_on_batch(x[:5])
    for call in (lambda: model.train_on_batch(wrong, LABELS[:5]), lambda: model.predict_on_batch(wrong)):
        with pytest.raises(IndexError, match=r"embedding has input_dim=9.*make it one more than the largest"):
            call()
    np.testing.assert_array_equal(model.predict_on_batch(x[:5]), model.predict(x)[:5])


def test_it_takes_no_memory_of_its_own(monkeypatch):
    x, make = NETS["convolutions"]

    def bytes_of_steps():
        model = model_of(make())
        model.build(x.shape[1:])
        step = Step(model)
        totals = step.totals()
        for rows in (22, 22, 22, 7, 7, 7, 22):
            step.train(x[:rows], LABELS[:rows], None, totals)
        return len(step.replays.noted), step.workspace.nbytes

    noted, taken = bytes_of_steps()
    monkeypatch.setattr(replay, "MOST", -1)
    assert noted == 2 and bytes_of_steps() == (0, taken)


def test_inference_is_replayed(monkeypatch):
    infer, replayed = replay.Replay.infer, []
    monkeypatch.setattr(replay.Replay, "infer", lambda self, x: (replayed.append(1), infer(self, x))[1])
    x, make = NETS["convolutions"]
    model = model_of(make())
    model.build(x.shape[1:])
    expected = model.predict(x, batch_size=22)
    assert not replayed and model.predict(x, batch_size=5).tobytes() == expected.tobytes() and len(replayed) == 2
    for rows in (slice(0, 3), slice(3, 6), slice(6, 9), slice(9, 12)):
        y = model.predict_on_batch(x[rows])
        assert y.tobytes() == expected[rows].tobytes() and y.flags.owndata
    assert len(replayed) == 4
    model.layers[0].set_weights([weight + 1 for weight in model.layers[0].get_weights()])
    assert model.predict_on_batch(x[:3]).tobytes() == model.predict(x[:3]).tobytes() != expected[:3].tobytes()
    with pytest.raises(ValueError, match="was built for inputs of shape"):
        model.predict_on_batch(x[:3, :5])


def test_a_net_whose_output_is_its_input():
    model = npdl.Sequential([layers.Flatten()])
    model.build(IMAGES.shape[1:])
    for image in np.split(IMAGES, 11):
        np.testing.assert_array_equal(model.predict_on_batch(image), image.reshape(2, -1))


def test_the_batch_is_let_go():
    model = model_of(NETS["dense"][1]())
    model.build((6,))
    for _ in range(4):
        x = X.copy()
        model.predict_on_batch(x)
        model.train_on_batch(x, LABELS)
        gone = weakref.ref(x)
        del x
    gc.collect()
    assert gone() is None


def test_threads_predict_with_one_model():
    x, make = NETS["convolutions"]
    model = model_of(make())
    model.build(x.shape[1:])
    expected = model.predict(x)

    def run(start):
        return [(row, model.predict_on_batch(x[row : row + 1])) for row in range(start, 22)]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for row, y in itertools.chain.from_iterable(pool.map(run, range(4))):
            assert y.tobytes() == expected[row : row + 1].tobytes()


def test_a_layer_called_twice_is_not_replayed(monkeypatch):
    def make():
        x, shared = layers.Input((6,)), layers.Dense(6, activation="tanh")
        model = npdl.Model(x, layers.Dense(4)(shared(shared(x))), seed=1)
        model.compile("sgd", losses.SparseCategoricalCrossentropy(from_logits=True))
        return model

    check(monkeypatch, make, X, LABELS, 0)


def dense(outputs=4, **options):
    return npdl.Sequential([layers.Input((4,)), layers.Dense(outputs)], seed=0, **options)


def test_targets_that_lie_in_the_inputs_memory():
    """A series as its own target, one step on: views of one array are still two arrays."""
    series = RNG.normal(size=(65, 4)).astype("float32")
    weights = []
    for x, y in ((series[:-1], series[1:]), (series[:-1].copy(), series[1:].copy())):
        model = dense()
        model.compile("sgd", "mse")
        model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0)
        for _ in range(3):
            model.train_on_batch(x, x)
        model.train_on_batch(x, y)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_batch_that_is_the_weights_own_array():
    model = dense()
    kernel, x = model.layers[-1].params["kernel"], RNG.normal(size=(4, 4)).astype("float32")
    for _ in range(3):
        model.predict_on_batch(kernel)
    np.testing.assert_array_equal(model.predict_on_batch(x), model.forward(x))


def test_one_chain_with_two_outputs():
    node = layers.Input((4,))
    y, x = layers.Dense(2)(node), RNG.normal(size=(5, 4)).astype("float32")
    for outputs in ([y, y], [y, node], [node, node]):
        model = npdl.Model(node, outputs, seed=0)
        for _ in range(4):
            first, second = model.predict_on_batch(x)
        want = model.forward(x)
        np.testing.assert_array_equal(first, want[0])
        np.testing.assert_array_equal(second, want[1])
    np.testing.assert_array_equal(npdl.Model(node, node).predict(x, verbose=0), x)


@pytest.mark.parametrize("call", ("forward", "predict_on_batch"))
def test_a_metric_that_runs_a_model(call):
    """It neither waits for itself for ever nor gets memory that backward still reads."""
    teacher, x = dense(), RNG.normal(size=(32, 4)).astype("float32")
    histories = []
    for metrics in ([], [lambda y, p: abs(getattr(teacher, call)(p)).mean(-1)]):
        model = npdl.Sequential([layers.Input((4,)), layers.Dense(8, activation="tanh"), layers.Dense(4)], seed=0)
        model.compile(npdl.optimizers.SGD(0.5), "mse", metrics=metrics)
        histories.append(model.fit(x, x[::-1].copy(), batch_size=8, epochs=6, verbose=0).history["loss"])
    assert histories[0] == histories[1]


def test_a_metric_that_keeps_the_outputs():
    kept, x = [], RNG.normal(size=(32, 4)).astype("float32")

    def keep(y, p):
        kept.append((p, p.copy()))
        return p[:, 0]

    model = dense()
    model.compile("sgd", "mse", metrics=[keep])
    model.fit(x, x[::-1].copy(), batch_size=8, epochs=3, verbose=0)
    for p, before in kept:
        np.testing.assert_array_equal(p, before)


def test_another_activation_of_your_own():
    class Times(npdl.activations.Activation):
        def __init__(self, factor):
            self._factor = factor

        def __call__(self, z):
            return self._factor * z

        def derivative(self, saved):
            return np.full_like(saved, self._factor)

    assert Times(1.0) != Times(5.0)
    model = npdl.Sequential([layers.Input((4,)), layers.Dense(4, activation=Times(1.0))], seed=0)
    x = RNG.normal(size=(5, 4)).astype("float32")
    for _ in range(4):
        model.predict_on_batch(x)
    model.layers[-1].activation = Times(5.0)
    np.testing.assert_array_equal(model.predict_on_batch(x), model.forward(x))


def test_attributes_that_go_and_that_become_arrays():
    model, x = dense(), RNG.normal(size=(5, 4)).astype("float32")
    model.compile("sgd", "mse")
    model.layers[-1].note, model.layers[-1].other = "x", None
    for _ in range(4):
        model.train_on_batch(x, x[::-1].copy())
        model.predict_on_batch(x)
    del model.layers[-1].note
    model.layers[-1].other = np.zeros(3)
    for _ in range(4):
        model.train_on_batch(x, x[::-1].copy())
        np.testing.assert_array_equal(model.predict_on_batch(x), model.forward(x))


def test_what_changes_in_every_step_is_not_noted_for_ever(monkeypatch):
    model, x, noted = dense(), RNG.normal(size=(5, 4)).astype("float32"), []
    monkeypatch.setattr(replay.Replays, "noting", watch_calls(replay.Replays.noting, noted))
    model.compile("sgd", "mse")
    for step in range(20):
        model.layers[-1].note = step
        model.train_on_batch(x, x[::-1].copy())
    assert len(noted) <= replay.WASTED + 1


def watch_calls(function, calls):
    def call(*args, **named):
        calls.append(args)
        return function(*args, **named)

    return call


def test_a_patched_class_is_seen():
    """For as long as it is patched; then steps are noted again."""
    model, plain = (model_of([layers.Dense(8), layers.Dense(4)]) for _ in range(2))

    def train(steps=3):
        return [model.train_on_batch(X, LABELS) for _ in range(steps)]

    found = train()
    for kind, name, times in (
        (layers.Dense, "forward", 6),
        (losses.SparseCategoricalCrossentropy, "values_and_gradient", 3),
    ):
        assert model._step.replays.noted
        with mock.patch.object(kind, name, autospec=True, side_effect=getattr(kind, name)) as patched:
            found += train()
        assert patched.call_count == times and not model._step.replays.noted
        found += train()
    assert model._step.replays.noted
    with mock.patch.object(replay, "MOST", -1):
        assert found == [plain.train_on_batch(X, LABELS) for _ in range(len(found))]


def test_a_table_of_kernels_of_ones_own_stays():
    class Counting:
        def __init__(self, kernels):
            self.kernels, self.calls = kernels, 0

        def __getattr__(self, name):
            self.calls += 1
            return getattr(self.kernels, name)

    model, x = dense(), RNG.normal(size=(5, 4)).astype("float32")
    table = model.layers[-1].k = Counting(model.layers[-1].k)
    for calls in range(1, 6):
        model.predict_on_batch(x)
        assert table.calls >= calls and model.layers[-1].k is table
