"""Layers, losses and models used in more than one place, and models changed while they work."""

import copy
import threading
import tracemalloc

import numpy as np
import pytest

import npdl
from npdl import Sequential, callbacks, layers, losses, optimizers

X = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
LABELS = np.arange(40) % 3
Y = X.sum(1, keepdims=True)


def trained():
    model = Sequential([layers.Dense(8, activation="relu"), layers.Dense(3, activation="softmax")], seed=0)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(X, LABELS, epochs=2, verbose=0)
    return model


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_layer_of_another_model_is_refused_and_its_copy_keeps_the_weights():
    model = trained()
    before = model.predict(X)
    with pytest.raises(ValueError, match=r"dense belongs to sequential.*put copy\.deepcopy\(layer\) there"):
        Sequential([model.layers[0], layers.Dense(1)])
    np.testing.assert_array_equal(model.predict(X), before)
    tuned = Sequential([copy.deepcopy(model.layers[0]), layers.Dense(1)], seed=5)
    tuned.build((4,))
    assert equal(tuned.layers[0].get_weights(), model.layers[0].get_weights())
    tuned.compile("adam", "mse")
    tuned.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(model.predict(X), before)


def test_a_layer_built_alone_keeps_its_weights():
    layer = layers.Dense(3).init((4,), seed=9)
    before = layer.get_weights()
    model = Sequential([layer], seed=0)
    model.build((4,))
    assert equal(model.get_weights(), before)


def test_a_layer_that_does_not_fit_leaves_the_model_as_it_was():
    model = trained()
    before = model.predict(X)
    for _ in range(2):
        with pytest.raises(ValueError, match="conv2d"):
            model.add(layers.Conv2D(3, 3))
    assert len(model.layers) == 2
    np.testing.assert_array_equal(model.predict(X), before)
    model.fit(X, LABELS, verbose=0)


@pytest.mark.parametrize(
    "tail", [layers.Flatten(), layers.Reshape((3,)), layers.Dropout(0.0), layers.Activation("linear")]
)
def test_a_softmax_further_down_gives_probabilities_to_the_loss(tail):
    losses_seen = []
    for extra in ([], [copy.deepcopy(tail)]):
        model = Sequential([layers.Dense(3, activation="softmax"), *extra], seed=0)
        model.compile("sgd", "sparse_categorical_crossentropy")
        losses_seen.append(model.evaluate(X, LABELS, verbose=0))
    assert losses_seen[0] == pytest.approx(losses_seen[1], rel=1e-5)


class Twice(layers.Layer):
    def forward(self, x, training=False):
        return x + x

    def backward(self, dy):
        return dy + dy


def test_an_ending_of_your_own_must_be_explained():
    model = Sequential([layers.Dense(3), Twice()], seed=0)
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=r"ends in twice, a layer of your own.*\(from_logits=True\)"):
        model.fit(X, LABELS, verbose=0)
    model.compile("sgd", losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(X, LABELS, verbose=0)


class Thaw(callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        self.model.layers[0].trainable = True


def test_a_layer_thawed_in_mid_epoch_learns_from_fresh_gradients():
    def net():
        model = Sequential([layers.Dense(8, activation="relu"), layers.Dense(1)], seed=0)
        model.compile(optimizers.SGD(0.05), "mse")
        model.build((4,))
        model.layers[0].trainable = False
        return model

    thawed, by_hand = net(), net()
    thawed.fit(X, Y, batch_size=20, shuffle=False, verbose=0, callbacks=[Thaw()])
    by_hand.train_on_batch(X[:20], Y[:20])
    by_hand.layers[0].trainable = True
    by_hand.train_on_batch(X[20:], Y[20:])
    assert equal(thawed.get_weights(), by_hand.get_weights())


class Curious(callbacks.Callback):
    """Uses the model in the middle of training, as a notebook's callback does."""

    def on_train_batch_end(self, batch, logs=None):
        self.rows = self.model.predict(X).sum(axis=1)
        self.model.evaluate(X, LABELS, verbose=0)
        y = self.model.forward(X[:2], training=True)
        self.dx = self.model.backward(np.ones_like(y))


def test_callbacks_may_use_the_model():
    curious, alone = Curious(), trained()
    watched = copy.deepcopy(alone)
    a = alone.fit(X, LABELS, epochs=2, batch_size=10, verbose=0)
    b = watched.fit(X, LABELS, epochs=2, batch_size=10, verbose=0, callbacks=curious)
    np.testing.assert_allclose(curious.rows, 1, rtol=1e-5)
    assert curious.dx.shape == (2, 4)
    assert a.history == b.history
    assert equal(alone.get_weights(), watched.get_weights())


def test_predict_in_another_thread_sees_probabilities():
    model, wrong, stop = trained(), [], threading.Event()

    def look():
        while not stop.is_set():
            rows = model.predict(X, verbose=0).sum(axis=1)
            wrong.extend(rows[abs(rows - 1) > 1e-4])

    thread = threading.Thread(target=look)
    thread.start()
    model.fit(X, LABELS, epochs=15, batch_size=8, verbose=0)
    stop.set()
    thread.join()
    assert not wrong


def test_the_last_activation_may_be_changed_between_fits():
    model = trained()
    model.layers[-1].activation = npdl.activations.linear
    model.fit(X, LABELS, verbose=0)
    assert model.layers[-1].activation is npdl.activations.linear


@pytest.mark.parametrize("rows", [37, 40])
def test_resume_with_steps_per_epoch(rows):
    def run(*parts):
        model = Sequential([layers.Dense(3)], seed=0)
        model.compile("adam", "sparse_categorical_crossentropy")
        for first, last in parts:
            model.fit(
                X[:rows], LABELS[:rows], batch_size=7, steps_per_epoch=4, epochs=last, initial_epoch=first, verbose=0
            )
        return model.get_weights()

    assert equal(run((0, 5)), run((0, 2), (2, 5)))


def test_one_loss_object_serves_two_models():
    loss = losses.MeanSquaredError()
    models = [Sequential([layers.Dense(1)], seed=0).to(device) for device in ("cpu", "strict")]
    for model in (*models, models[0]):
        model.compile(optimizers.SGD(0.01), loss)
        model.fit(X, Y, verbose=0)
    assert isinstance(loss.forward(Y, Y), float) and isinstance(loss.backward(), np.ndarray)


class Move(callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.to("strict" if epoch % 2 == 0 else "cpu")


def test_a_callback_may_move_the_model():
    still, moved = trained(), trained()
    still.fit(X, LABELS, epochs=3, verbose=0)
    moved.fit(X, LABELS, epochs=3, verbose=0, callbacks=[Move()])
    assert equal(still.get_weights(), moved.get_weights())


def test_metrics_count_samples_alike_and_weighted_metrics_do_not():
    model = Sequential([layers.Dense(3)], seed=0)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], weighted_metrics=["accuracy"])
    w = np.where(LABELS == 0, 10.0, 1.0)
    found = model.evaluate(X, LABELS, sample_weight=w, verbose=0, return_dict=True)
    right = model.predict(X).argmax(1) == LABELS
    assert found["accuracy"] == pytest.approx(right.mean())
    assert found["accuracy_1"] == pytest.approx(np.average(right, weights=w))


def test_late_arguments_are_checked_early():
    model = trained()
    before = model.get_weights()
    for options in ({"validation_steps": 0}, {"validation_steps": 1.5}, {"validation_freq": 0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            model.fit(X, LABELS, validation_data=(X, LABELS), verbose=0, **options)
    for use in (lambda: model.evaluate(X, LABELS, steps=-1, verbose=0), lambda: model.predict(X, steps=0)):
        with pytest.raises(ValueError, match="steps must be a whole number of at least 1"):
            use()
    assert equal(before, model.get_weights())


def test_gradient_check_leaves_an_uncompiled_model_uncompiled(capsys):
    model = Sequential([layers.Dense(3)], seed=0)
    assert model.gradient_check(X[:4], LABELS[:4]).ok
    assert model.optimizer is None and model.loss is None
    model.fit(X, LABELS, verbose=2)
    assert "chosen" in capsys.readouterr().out


def test_weights_of_a_layer_can_be_set():
    layer = trained().layers[0]
    layer.set_weights([w * 2 for w in layer.get_weights()])
    with pytest.raises(ValueError, match=r"dense has weights of shapes .*, got .*; nothing was written"):
        layer.set_weights([np.zeros((4, 8)), np.zeros(1)])


class Block(layers.Layer):
    """Two Dense layers, one after the other."""

    def __init__(self, units, second="second", **base):
        super().__init__(**base)
        self.units, self.second = units, second
        self.parts = layers.Dense(units), layers.Dense(units, name=second)

    def walk(self):
        yield self
        yield from self.parts

    def build(self, input_shape):
        return self.parts[1].build_once(self.parts[0].build_once(input_shape))

    def forward(self, x, training=False):
        return self.parts[1].forward(self.parts[0].forward(x, training), training)

    def backward(self, dy):
        return self.parts[0].backward(self.parts[1].backward(dy))


def test_layers_inside_layers_are_saved_under_names_of_their_own(tmp_path):
    model = Sequential([Block(4), Block(4), layers.Dense(1)], seed=0)
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "m.npdl")
    loaded = npdl.load_model(tmp_path / "m.npdl", custom_objects={"Block": Block})
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    with pytest.raises(ValueError, match="two weights are called 'block/dense/kernel'; give the layers inside a layer"):
        Sequential([Block(4, second="dense")]).build((4,))


# ---- memory of a training step


def dense_net():
    return [layers.Dense(128, activation="relu"), layers.Dropout(0.2), layers.Dense(10)], (784,)


def small_cnn():
    stack = [
        layers.Conv2D(8, 3, padding="same"), layers.BatchNormalization(), layers.ReLU(), layers.MaxPooling2D(2),
        layers.Flatten(), layers.Dense(10),
    ]  # fmt: skip
    return stack, (16, 16, 3)


@pytest.mark.parametrize("optimizer", ("sgd", "adam", "adamw", "rmsprop"))
@pytest.mark.parametrize("net", (dense_net, small_cnn))
def test_a_step_in_steady_state_makes_no_new_arrays(net, optimizer):
    stack, shape = net()
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((64, *shape), dtype="float32"), rng.integers(0, 10, 64)
    model = Sequential(stack, seed=0)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.train_on_batch(x, y)
    step = model._current_step()
    totals = step.totals()
    for _ in range(2):
        step.train(x, y, None, totals)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        step.train(x, y, None, totals)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < 32 * 1024


def test_predict_writes_into_one_array():
    model = trained()
    whole = model.predict(X)
    for size in (1, 7, 40, 100):
        np.testing.assert_array_equal(model.predict(X, batch_size=size), whole)
    np.testing.assert_array_equal(model.predict(X, batch_size=7, steps=2), whole[:14])
    np.testing.assert_array_equal(model.predict(iter([(X[:3], None), (X[3:9], None)])), whole[:9])
    assert model.predict(X).flags.owndata


def test_predict_refuses_outputs_of_different_shapes():
    class Sentences:
        def __len__(self):
            return 4

        def __getitem__(self, row):
            return np.ones((3 if row < 2 else 1, 4), "float32")

    model = Sequential([layers.Input((None, 4)), layers.Dense(2)], seed=0)
    with pytest.raises(ValueError, match=r"samples of shape \(3, 2\), those of a later one \(1, 2\); predict them one"):
        model.predict(Sentences(), batch_size=2)
