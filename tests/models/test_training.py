"""fit, evaluate, predict: what they compute, and that a loop by hand computes the same bits."""

import copy
import io

import numpy as np
import pytest

import npdl
from npdl import Sequential, callbacks, layers, losses, metrics, optimizers


def small_net(seed=0, **options):
    return Sequential(
        [
            layers.Conv2D(4, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(3),
        ],
        seed=seed,
        **options,
    )


@pytest.fixture
def images(rng):
    x = rng.normal(size=(50, 6, 6, 2)).astype("float32")
    return x, rng.integers(0, 3, 50)


def test_by_hand_and_fit_end_in_the_same_bits(images):
    x, y = images
    by_fit = small_net(seed=7)
    by_fit.compile(optimizers.Adam(0.01), losses.SparseCategoricalCrossentropy(from_logits=True))
    by_fit.fit(x, y, epochs=3, batch_size=16, verbose=0)

    by_hand = small_net(seed=7)
    optimizer, loss = optimizers.Adam(0.01), losses.SparseCategoricalCrossentropy(from_logits=True)
    for epoch in range(3):
        for xb, yb in npdl.data.batches(x, y, batch_size=16, seed=7, epoch=epoch):
            logits = by_hand.forward(xb, training=True)
            loss.forward(yb, logits)
            by_hand.backward(loss.backward())
            optimizer.step(by_hand)
    for a, b in zip(by_fit.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_number_of_threads_gives_the_same_weights(images, dtype):
    x, y = images
    results = []
    for threads in (1, 2, 3):
        npdl.set_num_threads(threads)
        model = small_net(dtype=dtype)
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(np.tile(x, (4, 1, 1, 1)), np.tile(y, 4), epochs=2, batch_size=64, verbose=0)
        results.append(model.get_weights())
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_predict_does_not_depend_on_the_batch_split(images):
    x, _ = images
    model = small_net()
    whole = model.predict(x, batch_size=50)
    for size in (1, 7, 32):
        np.testing.assert_array_equal(whole, model.predict(x, batch_size=size))
    np.testing.assert_array_equal(whole[3:4], model.predict(x[3:4]))
    np.testing.assert_array_equal(whole, model(x))


@pytest.mark.parametrize("device", ["reference", "strict"])
def test_training_on_another_device(images, device):
    x, y = images
    weights = []
    for name in ("cpu", device):
        model = small_net()
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(x, y, epochs=2, batch_size=16, verbose=0, device=name)
        model.evaluate(x, y, verbose=0)
        weights.append(model.to("cpu").get_weights())
    for a, b in zip(*weights, strict=True):
        if device == "strict":
            np.testing.assert_array_equal(a, b)
        else:
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_reused_memory_changes_no_bit(images):
    x, y = images
    npdl.set_debug(True)
    try:
        debugged = small_net()
        debugged.fit(x, y, epochs=2, batch_size=16, verbose=0)
    finally:
        npdl.set_debug(False)
    plain = small_net()
    plain.fit(x, y, epochs=2, batch_size=16, verbose=0)
    for a, b in zip(plain.get_weights(), debugged.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_epoch_loss_is_the_mean_over_samples(rng):
    x, y = rng.normal(size=(10, 2)).astype("float32"), rng.normal(size=(10, 1)).astype("float32")
    model = Sequential([layers.Dense(1)], seed=0)
    model.compile(optimizers.SGD(0.0), "mse", metrics=["mae"])
    history = model.fit(x, y, batch_size=4, epochs=1, verbose=0)  # batches of 4, 4 and 2
    error = model.predict(x) - y
    assert history.history["loss"][0] == pytest.approx(np.mean(error.astype("float64") ** 2), rel=1e-6)
    assert history.history["mae"][0] == pytest.approx(np.mean(np.abs(error)), rel=1e-6)
    assert model.evaluate(x, y, batch_size=3, verbose=0)[0] == pytest.approx(history.history["loss"][0], rel=1e-6)


def test_sample_weight_zero_leaves_the_row_out(rng):
    x, y = rng.normal(size=(12, 3)).astype("float32"), rng.integers(0, 2, 12)
    weights = []
    for junk in (0.0, 1e6):
        x[:4] = junk
        model = Sequential([layers.Dense(4, activation="tanh"), layers.Dense(2)], seed=0)
        model.compile("sgd", "sparse_categorical_crossentropy")
        w = np.r_[np.zeros(4), np.ones(8)]
        model.fit(x, y, sample_weight=w, batch_size=12, epochs=3, verbose=0)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_class_weight_is_a_sample_weight_by_class(rng):
    x, y = rng.normal(size=(20, 3)).astype("float32"), rng.integers(0, 3, 20)
    weights = []
    for options in ({"class_weight": {0: 1.0, 1: 2.0, 2: 0.5}}, {"sample_weight": np.array([1.0, 2.0, 0.5])[y]}):
        model = Sequential([layers.Dense(3)], seed=0)
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.fit(x, y, epochs=2, verbose=0, **options)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_final_softmax_is_folded_into_the_loss(rng):
    x, y = rng.normal(size=(30, 4)).astype("float32"), rng.integers(0, 3, 30)
    ends = ([layers.Dense(3, activation="softmax")], [layers.Dense(3), layers.Softmax()], [layers.Dense(3)])
    weights, predictions, scores = [], [], []
    for end in ends:
        model = Sequential(end, seed=0)
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(x, y, epochs=2, verbose=0)
        weights.append(model.get_weights())
        predictions.append(model.predict(x))
        scores.append(model.evaluate(x, y, verbose=0))
    for other in weights[1:]:
        for a, b in zip(weights[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(predictions[0].sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(predictions[0], predictions[1])
    assert scores[0] == scores[1] == scores[2]


def test_a_final_sigmoid_is_folded_and_metrics_see_probabilities(rng):
    x, y = rng.normal(size=(40, 4)).astype("float32"), rng.integers(0, 2, (40, 1))
    model = Sequential([layers.Dense(1, activation="sigmoid")], seed=0)
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=3, verbose=0)
    loss, accuracy = model.evaluate(x, y, verbose=0)
    p = model.predict(x).astype("float64")
    assert accuracy == pytest.approx(np.mean((p > 0.5) == y))
    assert loss == pytest.approx(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)), rel=1e-5)
    assert model.layers[-1].activation.name == "sigmoid"


@pytest.mark.parametrize(
    ("last", "targets", "chosen"),
    [
        (layers.Dense(1), "column", "MeanSquaredError"),
        (layers.Dense(1, activation="sigmoid"), "bits", "BinaryCrossentropy"),
        (layers.Dense(3), "labels", "SparseCategoricalCrossentropy"),
        (layers.Dense(3), "label column", "SparseCategoricalCrossentropy"),
        (layers.Dense(3, activation="softmax"), "one-hot", "CategoricalCrossentropy"),
        (layers.Dense(3), "floats", "MeanSquaredError"),
    ],
)
def test_fit_without_compile_chooses_and_says_which(rng, capsys, last, targets, chosen):
    labels = rng.integers(0, 3, 20)
    y = {
        "column": rng.normal(size=(20, 1)),
        "bits": rng.integers(0, 2, (20, 1)),
        "labels": labels,
        "label column": labels[:, None],
        "one-hot": np.eye(3)[labels],
        "floats": rng.normal(size=(20, 3)),
    }[targets]
    model = Sequential([last], seed=0)
    model.fit(rng.normal(size=(20, 4)), y, verbose=2)
    said = capsys.readouterr().out
    assert "Adam" in said and chosen in said
    assert type(model.loss).__name__ == chosen


def test_no_loss_fits(rng):
    with pytest.raises(ValueError, match=r"no loss fits targets of shape \(20, 2\).*model.compile\(loss=...\)"):
        Sequential([layers.Dense(3)]).fit(rng.normal(size=(20, 4)), rng.normal(size=(20, 2)), verbose=0)


def test_frozen_layers_do_not_move_and_cost_no_backward(rng):
    model = Sequential([layers.Dense(4), layers.Dense(4, name="frozen"), layers.Dense(2)], seed=0)
    model.build((3,))
    model.layers[0].trainable = model.layers[1].trainable = False
    before = model.get_weights()
    called = []
    original = model.layers[0].backward
    model.layers[0].backward = lambda dy: called.append(1) or original(dy)
    model.compile("adam", "mse")
    model.fit(rng.normal(size=(8, 3)), rng.normal(size=(8, 2)), epochs=2, verbose=0)
    after = model.get_weights()
    for a, b in zip(before[:4], after[:4], strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(before[4], after[4])
    assert not called
    assert all(layer.needs_dx for layer in model.layers)


def test_validation(rng, capsys):
    x, y = rng.normal(size=(100, 3)), rng.normal(size=(100, 1))
    model = Sequential([layers.Dense(1)], seed=0)
    history = model.fit(x, y, validation_split=0.2, epochs=4, verbose=2, validation_freq=2)
    assert len(history.history["loss"]) == 4 and len(history.history["val_loss"]) == 2
    assert "80" in capsys.readouterr().out
    history = model.fit(x, y, validation_data=(x[:10], y[:10]), epochs=1, verbose=0)
    assert history.history["val_loss"][0] == pytest.approx(model.evaluate(x[:10], y[:10], verbose=0))
    history = model.fit(x, y, validation_data=(x[:10], y[:10], np.ones(10)), epochs=3, verbose=0, validation_freq=[3])
    assert len(history.history["val_loss"]) == 1


def test_steps_per_epoch_and_iterables(rng):
    def endless():
        while True:
            x = rng.normal(size=(8, 3))
            yield x, x.sum(1, keepdims=True)

    model = Sequential([layers.Dense(1)], seed=0)
    model.compile(optimizers.SGD(0.1), "mse")
    history = model.fit(
        endless(), steps_per_epoch=20, epochs=3, verbose=0, validation_data=endless(), validation_steps=2
    )
    assert history.history["loss"][-1] < 1e-2
    assert model.optimizer.iterations == 60
    batches = [next(endless()) for _ in range(5)]
    assert model.evaluate(batches, verbose=0) < 1e-2
    assert model.predict((x for x, _ in batches)).shape == (40, 1)
    with pytest.raises(ValueError, match=r"gave no batch"):
        model.fit(iter([]), verbose=0)


def test_initial_epoch_resumes_the_order(images):
    x, y = images

    def run(*parts):
        model = small_net()
        model.compile("adam", "sparse_categorical_crossentropy")
        for first, last in parts:
            model.fit(x, y, epochs=last, initial_epoch=first, batch_size=16, verbose=0)
        return model.get_weights()

    for a, b in zip(run((0, 4)), run((0, 2), (2, 4)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_interrupt_keeps_model_and_history(images):
    x, y = images

    class Stop(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.epoch == 2:
                raise KeyboardInterrupt

        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

    model = small_net()
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, epochs=5, verbose=0, callbacks=[Stop()])
    assert len(model.history.history["loss"]) == 2
    assert np.isfinite(model.predict(x)).all()
    assert all(layer.needs_dx for layer in model.layers)
    model.fit(x, y, epochs=1, verbose=0)


def test_one_batch_methods(rng):
    x, y = rng.normal(size=(6, 3)).astype("float32"), rng.normal(size=(6, 1)).astype("float32")
    model = Sequential([layers.Dense(1)], seed=0)
    with pytest.raises(RuntimeError, match=r"train_on_batch needs model.compile"):
        model.train_on_batch(x, y)
    model.compile("sgd", "mse", metrics=["mae"])
    first = model.train_on_batch(x, y, return_dict=True)
    assert set(first) == {"loss", "mae"}
    for _ in range(50):
        loss, _ = model.train_on_batch(x, y)
    assert loss < first["loss"]
    assert model.test_on_batch(x, y)[0] == pytest.approx(model.evaluate(x, y, verbose=0)[0])
    np.testing.assert_array_equal(model.predict_on_batch(x), model.predict(x))


def test_learning_rate_can_be_set(rng):
    model = Sequential([layers.Dense(1)], seed=0)
    model.compile(optimizers.SGD(0.1), "mse")
    model.build((2,))
    model.optimizer.learning_rate = 0.0
    before = model.get_weights()
    model.fit(rng.normal(size=(8, 2)), rng.normal(size=(8, 1)), verbose=0)
    np.testing.assert_array_equal(before[0], model.get_weights()[0])


def test_two_threads_predict_with_one_model_and_train_two(images):
    import concurrent.futures

    x, y = images
    model = small_net()
    expected = model.predict(x)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda size: model.predict(x, batch_size=size), [1, 3, 8, 50] * 4):
            np.testing.assert_array_equal(result, expected)

    def train(seed):
        net = small_net(seed=seed)
        net.fit(x, y, epochs=3, batch_size=8, verbose=0)
        return net.get_weights()

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        together = list(pool.map(train, [1, 2]))
    for weights, seed in zip(together, [1, 2], strict=True):
        for a, b in zip(weights, train(seed), strict=True):
            np.testing.assert_array_equal(a, b)


def test_metric_functions_and_names(rng):
    def worst(y_true, y_pred):
        return np.abs(y_true - y_pred).max(axis=-1)

    x, y = rng.normal(size=(9, 2)).astype("float32"), rng.normal(size=(9, 2)).astype("float32")
    model = Sequential([layers.Dense(2)], seed=0)
    model.compile("sgd", "mse", metrics=[worst, "mse"])
    results = model.evaluate(x, y, batch_size=4, verbose=0, return_dict=True)
    assert results["worst"] == pytest.approx(np.abs(model.predict(x) - y).max(1).mean(), rel=1e-5)
    assert results["mse"] == pytest.approx(results["loss"], rel=1e-5)


def test_nothing_is_printed_at_verbose_0(images, capsys):
    x, y = images
    model = small_net()
    model.fit(x, y, verbose=0, validation_split=0.2)
    model.evaluate(x, y, verbose=0)
    model.predict(x)
    assert capsys.readouterr() == ("", "")


def test_summary(images):
    model = small_net()
    with pytest.raises(ValueError, match=r"summary needs the input's shape"):
        model.summary()
    model.build((6, 6, 2))
    out = io.StringIO()
    model.summary(print_fn=lambda text: out.write(text))
    text = out.getvalue()
    for part in ("conv2d (Conv2D)", "(N, 6, 6, 4)", "76", "not trainable 8", f"{model.count_params():,}"):
        assert part in text


class Keeping(metrics.Metric):
    """Mean squared error of all batches, from the arrays themselves."""

    def reset_state(self):
        self.kept = []

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.kept.append((y_true, y_pred))

    def result(self):
        return float(np.mean(np.square(np.concatenate([p - t for t, p in self.kept]))))


@pytest.mark.parametrize(
    "make", [lambda: layers.Dense(3), lambda: layers.Dense(3, activation="softmax"), layers.Flatten]
)
def test_a_metric_of_your_own_may_keep_what_it_gets(make, rng):
    x = rng.normal(size=(40, 3)).astype("float32")
    y = np.abs(x) / np.abs(x).sum(1, keepdims=True)
    model = Sequential([make()], seed=0)
    model.compile(
        optimizers.SGD(0.0), "mse" if make is layers.Flatten else "categorical_crossentropy", metrics=[Keeping()]
    )
    history = model.fit(x, y, batch_size=8, epochs=1, verbose=0).history
    expected = float(np.mean((model.predict(x) - y) ** 2))
    assert history["Keeping"][0] == pytest.approx(expected, rel=1e-5)
    assert model.evaluate(x, y, batch_size=8, verbose=0)[1] == pytest.approx(expected, rel=1e-5)


def test_several_threads_evaluate_one_model(images):
    import concurrent.futures

    x, y = images
    counts = metrics.ConfusionMatrix(3)
    model = small_net()
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy", counts])
    parts = [(x[start:], y[start:]) for start in (0, 10, 20, 30)]
    expected = [model.evaluate(*part, batch_size=1, verbose=0) for part in parts]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: model.evaluate(*parts[i % 4], batch_size=1, verbose=0), range(32)))
    for i, each in enumerate(found):
        np.testing.assert_equal(each, expected[i % 4])
    assert counts.result().sum() in [len(part[0]) for part in parts]  # of the evaluation that ended last


class Interrupted(layers.Dense):
    """Ctrl-C comes right after `needs_dx` was set."""

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if name == "needs_dx" and not value:
            raise KeyboardInterrupt


def test_an_interrupt_leaves_input_gradients_on(rng):
    model = Sequential([layers.Input((3,)), Interrupted(3), layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    with pytest.raises(KeyboardInterrupt):
        model.train_on_batch(rng.normal(size=(8, 3)), rng.normal(size=(8, 1)))
    assert all(layer.needs_dx for layer in model.layers)


class Counted:
    """Kernels that count the calls of one of them."""

    def __init__(self, kernels, name):
        self.kernels, self.name, self.calls = kernels, name, 0

    def __getattr__(self, name):
        if name == self.name:
            self.calls += 1
        return getattr(self.kernels, name)


@pytest.mark.parametrize(
    ("frozen", "dx", "dkernel"), [((), 4, 5), ((0,), 2, 4), ((0, 1), 1, 3), ((0, 1, 2), 1, 2), ((0, 1, 3), 1, 2)]
)
def test_no_input_gradient_that_nobody_reads(frozen, dx, dkernel, rng):
    """Inside a residual block neither: of convolutions 0 → (1 → 2 beside 3) → 4, some frozen."""
    convs = [layers.Conv2D(2, 3, padding="same", trainable=i not in frozen) for i in range(5)]
    blocks = [layers.Residual([convs[1], layers.ReLU(), convs[2]], shortcut=[convs[3]]), convs[4]]
    model = Sequential([convs[0], *blocks, layers.Flatten(), layers.Dense(1)], seed=0)
    model.build((5, 5, 2))
    by_hand = copy.deepcopy(model)
    x, y = rng.normal(size=(8, 5, 5, 2)).astype("float32"), rng.normal(size=(8, 1)).astype("float32")
    counts = [Counted(model.device.kernels, name) for name in ("conv2d_dx", "conv2d_dkernel")]
    for count in counts:
        for conv in convs:
            conv.k = count
        model.compile("sgd", "mse")
        model.train_on_batch(x, y)
    found = [count.calls for count in counts]
    assert found == [dx, dkernel]
    loss, optimizer = losses.MeanSquaredError(), optimizers.SGD()
    for _ in range(2):
        loss.forward(y, by_hand.forward(x, training=True))
        by_hand.backward(loss.backward())
        optimizer.step(by_hand)
    for a, b in zip(model.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(layer.needs_dx for layer in model.walk())
