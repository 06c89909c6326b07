"""Model: graphs of layers against the same formulas written by hand, and against Sequential to the last bit."""

import copy
import pickle

import numpy as np
import pytest

import npdl
from npdl import Model, Sequential, layers, optimizers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4)).astype("float32")
Z = RNG.normal(size=(30, 3)).astype("float32")
Y = (X[:, :1] * Z[:, :1]).astype("float32")
LABELS = np.arange(30) % 3


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def stack():
    return [
        layers.Dense(8), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.3),
        layers.Residual([layers.Dense(8), layers.ReLU(), layers.Dense(8)]), layers.ReLU(),
        layers.Dense(3, activation="softmax"),
    ]  # fmt: skip


def chained(parts, **options):
    x = y = layers.Input((4,))
    for part in parts:
        y = part(y)
    return Model(x, y, **options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("frozen", [0, 3])
def test_a_chain_is_the_sequential_to_the_last_bit(dtype, frozen):
    models = Sequential(stack(), seed=1, dtype=dtype), chained(stack(), seed=1, dtype=dtype)
    models[0].build((4,))
    assert equal(models[0].get_weights(), models[1].get_weights())
    found = []
    for model in models:
        for part in list(model.walk())[:frozen]:
            part.trainable = False
        model.compile(optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
        found.append(model.fit(X, LABELS, epochs=3, batch_size=7, verbose=0, validation_split=0.2).history)
    assert found[0] == found[1] and equal(models[0].get_weights(), models[1].get_weights())
    assert models[0].predict(X).tobytes() == models[1].predict(X).tobytes()
    kinds = [[type(layer).__name__ for layer in model._step.plan.layers] for model in models]
    assert kinds[0] == kinds[1] and "ReLU" not in kinds[1]
    assert [len(run.untrained) for run in models[0]._step.plan.runs] == [
        len(run.untrained) for run in models[1]._step.plan.runs
    ]


def diamond(seed=0, dtype=None):
    """Two inputs, two outputs, an array that three layers read, a layer that is called twice."""
    a, b = layers.Input((4,), name="a"), layers.Input((3,), name="b")
    shared = layers.Dense(5, activation="tanh", name="shared")
    h = layers.Dense(4, name="up")(b)
    p, q = shared(a), shared(h)
    merged = layers.Add()([p, q, layers.Multiply()([p, layers.Dense(5, name="side")(p)])])
    out = layers.Dense(1, name="out")(layers.ReLU()(merged))
    classes = layers.Dense(3, activation="softmax", name="classes")(layers.Concatenate()([p, merged]))
    return Model([a, b], {"out": out, "classes": classes}, seed=seed, dtype=dtype)


def test_forward_and_backward_are_the_formulas():
    model, x, z = diamond(dtype="float64"), X.astype("float64"), Z.astype("float64")
    W = {f"{w.layer.name}/{w.name}": model.store.values(w) for w in model.store.weights}

    def dense(v, name):
        return v @ W[f"{name}/kernel"] + W[f"{name}/bias"]

    p, h = np.tanh(dense(x, "shared")), dense(z, "up")
    q = np.tanh(dense(h, "shared"))
    side = dense(p, "side")
    merged = p + q + p * side
    r = np.maximum(merged, 0)
    y = model.forward([x, z], training=True)
    np.testing.assert_allclose(y["out"], dense(r, "out"))
    logits = dense(np.concatenate([p, merged], 1), "classes")
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(y["classes"], softmax)
    dy = {"out": RNG.normal(size=(30, 1)), "classes": RNG.normal(size=(30, 3))}
    given = {name: value.copy() for name, value in dy.items()}
    dx = model.backward(dy)
    assert all(np.array_equal(dy[name], given[name]) for name in dy) and isinstance(dx, list)
    dl = softmax * (dy["classes"] - (dy["classes"] * softmax).sum(1, keepdims=True))
    dc = dl @ W["classes/kernel"].T
    dm = dc[:, 5:] + (dy["out"] @ W["out/kernel"].T) * (merged > 0)
    dp = dc[:, :5] + dm + dm * side + (dm * p) @ W["side/kernel"].T
    ds, dq = dp * (1 - p**2), dm * (1 - q**2)
    np.testing.assert_allclose(dx[0], ds @ W["shared/kernel"].T)
    np.testing.assert_allclose(dx[1], (dq @ W["shared/kernel"].T) @ W["up/kernel"].T)
    np.testing.assert_allclose(model.get_layer("shared").grads["kernel"], x.T @ ds + h.T @ dq)
    np.testing.assert_allclose(model.get_layer("shared").grads["bias"], ds.sum(0) + dq.sum(0))
    again = model.backward(dy)
    assert equal(dx, again)
    none = model.backward({"out": dy["out"], "classes": None})
    assert not np.allclose(none[0], dx[0]) and not model.get_layer("classes").grads["kernel"].any()


def test_backward_leaves_dy_alone():
    """Where an array is an output and a layer reads it too, the sum of its gradients is an array of its own."""
    x = layers.Input((4,))
    h = layers.Dense(3)(x)
    model = Model(x, [layers.Identity()(h), layers.Dense(2)(h)], seed=0)
    model.forward(X, training=True)
    dy = [np.ones((30, 3), "float32"), np.ones((30, 2), "float32")]
    model.backward(dy)
    assert (dy[0] == 1).all() and (dy[1] == 1).all()


def test_a_call_of_a_shared_layer_without_a_gradient():
    a, b, shared = layers.Input((4,)), layers.Input((4,)), layers.Dense(2)
    model = Model([a, b], [shared(a), shared(b)], seed=0, dtype="float64")
    x, dy = X.astype("float64"), RNG.normal(size=(30, 2))
    model.forward([x, 2 * x], training=True)
    for given, expected in (([dy, None], x.T @ dy), ([None, dy], 2 * x.T @ dy), ([dy, dy], 3 * x.T @ dy)):
        model.backward(given)
        np.testing.assert_allclose(shared.grads["kernel"], expected)


class Sum(layers.Layer):
    """A layer of one's own, which gives one array as the gradient of both inputs."""

    def build(self, input_shape):
        return input_shape[0]

    def forward(self, x, training=False):
        self.save()
        return x[0] + x[1]

    def backward(self, dy):
        return dy, dy


def test_one_array_as_two_gradients():
    """The layers below write over what they get."""
    found = []
    for merge in (Sum(), layers.Add()):
        a = layers.Input((4,))
        parts = [layers.Tanh()(layers.Dense(3)(a)), layers.Sigmoid()(layers.Dense(3)(a))]
        model = Model(a, layers.Dense(1)(merge(parts)), seed=0)
        model.compile("sgd", "mse", check_gradients=False)
        model.fit(X, Y, epochs=2, verbose=0)
        found.append(model.get_weights())
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_names_and_the_order_of_weights_as_in_keras():
    model = diamond()
    assert model.input_names == ["a", "b"] and model.output_names == ["out", "classes"]
    assert [layer.name for layer in model.layers] == [
        "a", "shared", "b", "up", "side", "multiply", "add", "re_lu", "concatenate", "out", "classes",
    ]  # fmt: skip
    assert model.output_shape == {"out": (1,), "classes": (3,)} and model.input_shape == [(4,), (3,)]
    text = []
    model.summary(text.append)
    assert "shared (Dense)" in text[0] and "a (N, 4), b (N, 3)" in text[0]


LOSSES = {"out": "mse", "classes": "sparse_categorical_crossentropy"}
TARGETS = {"out": Y, "classes": LABELS}


def test_fit_is_the_step_by_hand_to_the_last_bit():
    fitted, stepped = diamond(), diamond()
    fitted.compile(optimizers.Adam(0.01), LOSSES, {"out": 2.0})
    fitted.fit([X, Z], TARGETS, epochs=2, batch_size=8, verbose=0)
    mse = npdl.losses.MeanSquaredError()
    entropy = npdl.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = optimizers.Adam(0.01)
    stepped.get_layer("classes").activation = npdl.activations.linear  # the loss takes logits
    for epoch in range(2):
        order = npdl.data.order(30, 0, epoch)
        for start in range(0, 30, 8):
            rows = order[start : start + 8]
            y = stepped.forward([X[rows], Z[rows]], training=True)
            mse.forward(Y[rows], y["out"])
            entropy.forward(LABELS[rows], y["classes"])
            stepped.backward({"out": 2 * mse.backward(), "classes": entropy.backward()})
            optimizer.step(stepped)
    assert equal(fitted.get_weights(), stepped.get_weights())


def test_history_evaluate_and_predict():
    model = diamond()
    model.compile("adam", LOSSES, metrics={"classes": ["accuracy"], "out": "mae"})
    history = model.fit({"a": X, "b": Z}, TARGETS, epochs=2, verbose=0, validation_data=([X, Z], [Y, LABELS])).history
    keys = ["loss", "out_loss", "out_mae", "classes_loss", "classes_accuracy"]
    assert list(history) == keys + [f"val_{key}" for key in keys]
    results = model.evaluate((X, Z), [Y, LABELS], verbose=0, return_dict=True)
    assert results == {key: history[f"val_{key}"][-1] for key in keys}
    assert results["loss"] == pytest.approx(results["out_loss"] + results["classes_loss"])
    y = model.predict([X, Z])
    assert list(y) == ["out", "classes"] and y["out"].shape == (30, 1)
    assert results["out_mae"] == pytest.approx(np.abs(y["out"] - Y).mean(), rel=1e-5)
    assert equal(model.predict([X, Z], batch_size=7).values(), y.values())
    assert equal(model.predict_on_batch({"b": Z, "a": X}).values(), y.values())
    one = {key: value[3] for key, value in y.items()}
    assert equal(model.predict([X[3:4], Z[3:4]])["out"], [one["out"]])
    assert model.train_on_batch([X, Z], TARGETS, return_dict=True).keys() == set(keys)


def test_batches_from_generators_weights_and_outputs_without_loss():
    weights = {"out": np.ones(30), "classes": (LABELS == 1).astype(float)}
    models = [diamond() for _ in range(3)]
    for model in models:
        model.compile(optimizers.SGD(0.1), LOSSES)
    models[0].fit([X, Z], TARGETS, batch_size=10, shuffle=False, sample_weight=weights, verbose=0)

    def batches():
        for i in range(0, 30, 10):
            rows = slice(i, i + 10)
            yield (
                {"a": X[rows], "b": Z[rows]},
                (Y[rows], LABELS[rows]),
                {"out": None, "classes": weights["classes"][rows]},
            )

    models[1].fit(batches, verbose=0)
    models[2].fit(list(batches()), verbose=0, shuffle=False)
    assert equal(models[0].get_weights(), models[1].get_weights())
    assert equal(models[0].get_weights(), models[2].get_weights())
    alone, kept = diamond(), diamond()
    alone.compile("adam", {"out": "mse"}, metrics={"classes": ["sparse_categorical_accuracy"]})
    alone.fit([X, Z], TARGETS, verbose=0)
    assert equal(alone.get_layer("classes").get_weights(), kept.get_layer("classes").get_weights())
    assert list(alone.history.history) == ["loss", "out_loss", "classes_sparse_categorical_accuracy"]


def test_gradient_check_of_a_graph():
    model = diamond()
    model.compile("adam", LOSSES, loss_weights=[0.3, 2])
    report = model.gradient_check([X[:6], Z[:6]], [Y[:6], LABELS[:6]])
    assert report.ok and len({entry.layer for entry in report.entries}) == 6

    class Wrong(layers.Layer):
        def build(self, input_shape):
            return input_shape[0]

        def forward(self, x, training=False):
            self.save()
            return x[0] + 2 * x[1]

        def backward(self, dy):
            return dy, dy

    a = layers.Input((4,))
    h = layers.Dense(3)(a)
    model = Model(a, layers.Dense(1)(Wrong()([h, layers.Tanh()(h)])))
    model.compile("sgd", "mse", check_gradients=False)
    assert not model.gradient_check(X, Y).ok
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="the backward of wrong does not agree with central differences"):
        model.fit(X, Y, verbose=0)


@pytest.mark.parametrize("how", ["file", "deepcopy", "pickle", "clone"])
def test_copies(how, tmp_path):
    model = diamond()
    model.compile(optimizers.Adam(0.01), LOSSES, {"out": 0.5}, {"classes": ["accuracy"]})
    model.fit([X, Z], TARGETS, verbose=0)
    if how == "clone":
        other = npdl.clone_model(model)
        assert equal(other.get_weights(), diamond().get_weights())
        other.set_weights(model.get_weights())
    elif how == "file":
        model.save(tmp_path / "m.npdl")
        other = npdl.load_model(tmp_path / "m.npdl")
    else:
        other = copy.deepcopy(model) if how == "deepcopy" else pickle.loads(pickle.dumps(model))
    assert other.get_config() == model.get_config() and other.store is not model.store
    assert equal(other.predict([X, Z]).values(), model.predict([X, Z]).values())
    if how != "clone":
        for one in (model, other):
            one.fit([X, Z], TARGETS, verbose=0)
        assert equal(model.get_weights(), other.get_weights())
        assert model.history.history == other.history.history


def test_features_of_a_trained_model_share_its_weights():
    model = Sequential(stack(), seed=0)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, LABELS, verbose=0)
    features = Model(model.inputs, model.layers[4].output)
    assert features.store is model.store and features.count_params() < model.count_params()
    by_hand = X
    for layer in model.layers[:5]:
        by_hand = layer(by_hand)
    np.testing.assert_array_equal(features.predict(X), by_hand)
    model.fit(X, LABELS, verbose=0)
    assert not np.array_equal(features.predict(X), by_hand)
    head = layers.Dense(1)
    tuned = Model(features.inputs, head(features.output), seed=3)
    for layer in features.layers:
        layer.trainable = False
    tuned.compile("adam", "mse")
    kept = model.get_weights()
    tuned.fit(X, Y, verbose=0)
    assert equal(model.get_weights(), kept) and tuned.store is model.store and head.name == "dense_1"
    middle = Model(model.layers[3].output, model.layers[4].output)
    before = Model(model.inputs, model.layers[3].output)
    np.testing.assert_array_equal(middle.predict(before.predict(X)), features.predict(X))


def test_models_are_layers():
    a = layers.Input((4,))
    encoder = Model(a, layers.Dense(3, activation="tanh")(layers.Dense(5)(a)), name="encoder")
    decoder = Sequential([layers.Input((3,)), layers.Dense(5, activation="relu"), layers.Dense(4)], name="decoder")
    x = layers.Input((4,))
    whole = Model(x, decoder(encoder(x)), seed=0)
    assert [layer.name for layer in whole.layers] == ["input", "encoder", "decoder"]
    assert [part.name for part in whole.walk()] == [
        "encoder/dense", "encoder/dense_1", "decoder/dense", "decoder/dense_1",
    ]  # fmt: skip
    whole.compile("adam", "mse")
    whole.fit(X, X, verbose=0)
    np.testing.assert_array_equal(decoder.predict(encoder.predict(X)), whole.predict(X))
    assert whole.gradient_check(X, X).ok
    inside = Sequential([encoder, layers.Dense(2)], seed=0)
    assert inside.predict(X).shape == (30, 2) and encoder.store is inside.store is whole.store
    pair = Model([x, y := layers.Input((4,))], layers.Subtract()([encoder(x), encoder(y)]))
    np.testing.assert_array_equal(pair.predict([X, X]), np.zeros((30, 3)))
    two = Model([a, b := layers.Input((4,))], [layers.Add()([a, b]), layers.Multiply()([a, b])])
    s, p = two([x, y])
    outer = Model([x, y], layers.Concatenate()([p, s]))
    np.testing.assert_array_equal(outer.predict([X, X]), np.concatenate([X * X, X + X], 1))


def test_a_discriminator_trained_alone_and_inside():
    """The two halves of a GAN: each step changes only what it should."""
    generator = Sequential([layers.Input((3,)), layers.Dense(4)], seed=0)
    discriminator = Sequential([layers.Input((4,)), layers.Dense(5, activation="relu"), layers.Dense(1)], seed=1)
    gan = Sequential([generator, discriminator], seed=2)
    for model in (discriminator, gan):
        model.compile(optimizers.Adam(0.1), npdl.losses.BinaryCrossentropy(from_logits=True))
    for _ in range(3):
        g, d = generator.get_weights(), discriminator.get_weights()
        discriminator.trainable = True
        discriminator.train_on_batch(X, np.ones((30, 1)))
        assert equal(g, generator.get_weights()) and not equal(d, discriminator.get_weights())
        d, discriminator.trainable = discriminator.get_weights(), False
        gan.train_on_batch(Z, np.ones((30, 1)))
        assert not equal(g, generator.get_weights()) and equal(d, discriminator.get_weights())


def test_an_optimizer_by_hand_leaves_other_models_alone():
    """Momentum and weight decay too, of layers in the store that the model does not hold."""
    whole = Sequential([layers.Input((4,)), layers.Dense(3), layers.Dense(1)], seed=0)
    part, optimizer = Model(whole.inputs, whole.layers[0].output), optimizers.AdamW(0.1, weight_decay=0.5)
    whole.backward(whole.forward(X, training=True))
    kept, before = whole.layers[1].get_weights(), part.get_weights()
    part.backward(part.forward(X, training=True))
    optimizer.step(part)
    assert equal(kept, whole.layers[1].get_weights()) and not equal(before, part.get_weights())
    assert all(layer.trainable for layer in whole.layers)


def test_indices_and_masks_go_along_the_edges():
    words = np.array([[3, 5, 0, 0], [1, 2, 4, 0], [6, 0, 0, 0]])
    ids, extra = layers.Input((4,), dtype="int32", name="ids"), layers.Input((4, 2), name="extra")
    h = layers.Embedding(7, 3, mask_zero=True)(ids)
    y = layers.Dense(2)(layers.Concatenate()([h, extra]))
    model = Model({"ids": ids, "extra": extra}, y, seed=0)
    assert model.reads_integers == [True, False]
    x = {"ids": words, "extra": RNG.normal(size=(3, 4, 2)).astype("float32")}
    mask = model.compute_mask(x)
    np.testing.assert_array_equal(mask, words != 0)
    model.compile("sgd", "mse")
    target = np.zeros((3, 4, 2), "float32")
    loss = model.evaluate(x, target, verbose=0)
    output = model.predict(x)
    assert loss == pytest.approx((output[words != 0] ** 2).mean(), rel=1e-5)
    before = model.get_weights()[0]
    model.fit(x, target, verbose=0)
    after = model.get_weights()[0]
    assert np.array_equal(before[0], after[0]) and not np.array_equal(before, after)


def graph_errors():
    a, b = layers.Input((4,), name="a"), layers.Input((3,), name="b")
    y = layers.Dense(2)(a)
    return [
        (lambda: Model(a, layers.Concatenate()([a, b])), ValueError,
         r"disconnected: the outputs need 'b', an Input of shape \(3,\), and inputs holds 'a'; pass inputs=\[..., b\]"),
        (lambda: Model([a, b], y), ValueError, r"no output needs the input 'b' of shape \(3,\); leave it"),
        (lambda: Model(a, None), TypeError, r"Model needs inputs and outputs, e.g. x = layers.Input"),
        (lambda: Model(a, X), TypeError, r"Model takes nodes as outputs, got array"),
        (lambda: layers.Add()([a, X]), TypeError, r"add is called on nodes and on ndarray; call it on nodes alone"),
        (lambda: layers.Add()([a, b]), ValueError, r"takes inputs of one shape, got samples of shapes \(4,\), \(3,\)"),
        (lambda: (shared := layers.Dense(2))(a) and shared(b), ValueError,
         r"dense was built for samples of shape \(4,\), got \(3,\)"),
        (lambda: layers.Dense(2).output, AttributeError, r"dense was not called on a node yet, so it has no output"),
        (lambda: Model(a, layers.Dense(2, name="x")(layers.Dense(2, name="x")(a))), ValueError,
         r"two layers are named 'x'; give one of them another name="),
        (lambda: layers.Input((4,), batch_size=3), ValueError, r"batches may have any size, got batch_size=3"),
        (lambda: layers.Input((4,), dtype="bool"), ValueError, r"dtype='bool' is not there; pass one of None"),
    ]  # fmt: skip


@pytest.mark.parametrize("place", range(11))
def test_graphs_that_cannot_be(place):
    make, error, text = graph_errors()[place]
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize(
    ("use", "text"),
    [
        (lambda m: m.fit([X], TARGETS), r"x has 1 parts, and the model has 2 inputs: 'a', 'b'; pass a list"),
        (lambda m: m.fit(X, TARGETS), r"x is one ndarray, and the model has 2 inputs: 'a', 'b'"),
        (lambda m: m.fit([X, Z], Y), r"y is one ndarray, and the model has 2 outputs: 'out', 'classes'"),
        (lambda m: m.fit([X, Z], {"out": Y, "class": LABELS}), r"y is a dict with unknown 'class'; the model's"),
        (lambda m: m.fit({"a": X}, TARGETS), r"x is a dict with missing 'b'; the model's inputs are 'a', 'b'"),
        (lambda m: m.fit([X, Z[:5]], TARGETS), r"one row each a sample, but x\['a'\] has 30, x\['b'\] has 5"),
        (lambda m: m.fit([X, X], TARGETS), r"input 'b' was built for inputs of shape \(N, 3\), got \(N, 4\)"),
        (lambda m: m.fit([X, Z]), r"y is missing: training and evaluation need targets"),
        (lambda m: m.fit([X, Z], TARGETS, class_weight={0: 2.0}), r"class_weight is for models of one output"),
        (lambda m: m.fit([X, Z * np.nan], TARGETS), r"x\['b'\]: x holds values that are not finite"),
        (lambda m: m.fit([X, Z], TARGETS, validation_data=([X], TARGETS)), r"validation_data: x has 1 parts"),
        (lambda m: m.compile(loss={"ou": "mse"}), r"loss names the output 'ou', and the model's outputs are 'out'"),
        (lambda m: m.compile(loss=["mse"]), r"loss has 1 entries, and the model has 2 outputs"),
        (lambda m: m.compile(loss=LOSSES, metrics={"x": "mae"}), r"metrics names the output 'x'"),
        (lambda m: m.forward([X[:2], Z]), r"all inputs have as many samples, got a has 2, b has 30"),
        (lambda m: m.forward(X), r"x is one ndarray, the model has 2 of them"),
        (lambda m: m.backward([Y, Y]), r"takes dL/dy of shape \(N, 3\) for the output 'classes', got \(30, 1\)"),
        (lambda m: m.build((4,)), r"has 2 inputs, a, b, got 1; pass a list with one for each"),
    ],
)  # fmt: skip
def test_data_that_do_not_fit(use, text):
    model = diamond()
    model.compile("adam", LOSSES)
    with pytest.raises(ValueError, match=text):
        use(model)


def test_loss_weights_are_numbers():
    with pytest.raises(TypeError, match=r"loss_weights are numbers.* got 'mae'; metrics come after them: pass m"):
        Sequential([layers.Dense(1)]).compile("adam", "mse", ["mae"])
    uncompiled = diamond()
    with pytest.raises(ValueError, match=r"several outputs needs a loss for them: model.compile\(loss=\{'out'"):
        uncompiled.fit([X, Z], TARGETS, verbose=0)


def test_what_a_merging_layer_gives_the_loss_must_be_said():
    a = layers.Input((4,))
    ways = [layers.Dense(3, activation="softmax")(a) for _ in range(2)]
    model = Model(a, layers.Average()(ways))
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=r"ends in average, which merges several, so say what it gives"):
        model.fit(X, LABELS, verbose=0)
    model.compile("sgd", npdl.losses.SparseCategoricalCrossentropy(from_logits=False), metrics=["accuracy"])
    model.fit(X, LABELS, verbose=0)


def two_inputs():
    a, b = layers.Input((3,), name="a"), layers.Input((), name="b")
    y = layers.Add()([layers.Dense(1)(a), layers.Reshape((1,))(b)])
    model = Model([a, b], y, seed=0)
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_lists_of_numbers_are_the_inputs(rng, rows):
    """Whatever the number of rows; in fit and predict, beside arrays; a list of lists of arrays is one of batches."""
    x, y = (
        (rng.normal(size=(rows, 3)).astype("float32"), rng.normal(size=rows).astype("float32")),
        rng.normal(size=(rows, 1)),
    )
    model, lists = two_inputs(), [part.tolist() for part in x]
    want = model.predict(x)
    for same in (list(x), lists, tuple(lists), {"a": lists[0], "b": lists[1]}, [x[0], lists[1]], [lists[0], x[1]]):
        np.testing.assert_array_equal(model.predict(same), want)
    for batches in ([x], [list(x)], [{"a": x[0], "b": lists[1]}]):
        np.testing.assert_array_equal(model.predict(batches), want)
    losses = [two_inputs().fit(one, y.tolist(), shuffle=False, verbose=0).history["loss"] for one in (list(x), lists)]
    assert losses[0] == losses[1]
    with pytest.raises(
        ValueError, match=r"x has 3 parts, and the model has 2 inputs: 'a', 'b'; pass a list with an arr"
    ):
        model.predict([*lists, lists[1]])
    with pytest.raises(ValueError, match=r"x\['a'\]: the rows of x differ: x\[0\] has"):
        model.predict([[[1.0, 2.0, 3.0], [1.0]], [1.0, 2.0]])


def test_lists_of_one_input_and_two_outputs(rng):
    inputs = layers.Input((2,))
    model = Model(inputs, [layers.Dense(1, name="one")(inputs), layers.Dense(2, name="two")(inputs)], seed=0)
    model.compile("sgd", "mse")
    x, y = rng.normal(size=(4, 2)).astype("float32"), [rng.normal(size=(4, 1)), rng.normal(size=(4, 2))]
    for got, want in zip(model.predict(x.tolist()), model.predict(x), strict=True):
        np.testing.assert_array_equal(got, want)
    assert model.evaluate(x.tolist(), [part.tolist() for part in y], verbose=0) == model.evaluate(x, y, verbose=0)


def test_validation_split_of_indices():
    """Each of several inputs keeps its type in both parts."""
    one, ids = layers.Input((4,), name="one"), layers.Input((3,), name="ids")
    h = layers.Concatenate()([one, layers.Flatten()(layers.Embedding(5, 2)(ids))])
    model = Model([one, ids], layers.Dense(1)(h), seed=0)
    model.compile("sgd", "mse")
    history = model.fit([X, LABELS[:, None].repeat(3, 1)], Y, validation_split=0.2, verbose=0)
    assert np.isfinite(history.history["val_loss"][0])


def test_targets_only_where_there_is_a_loss():
    x = layers.Input((4,))
    h = layers.Dense(3, name="h")(x)
    model = Model(x, {"code": h, "y": layers.Dense(1)(h)}, seed=0)
    model.compile("sgd", {"y": "mse"})
    assert np.isfinite(model.fit(X, {"y": Y}, validation_split=0.2, verbose=0).history["val_loss"][0])
    expected = float(np.mean((model.predict(X)["y"] - Y) ** 2))
    assert model.evaluate(X, {"y": Y}, verbose=0)[0] == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="y is a dict with missing 'y'; the model's outputs are 'code', 'y'"):
        model.fit(X, {"code": Y}, verbose=0)


def test_a_second_input_in_the_place_of_training():
    a, b = layers.Input((5, 4)), layers.Input((5, 4))
    attention = layers.MultiHeadAttention(2, 2)
    with pytest.raises(TypeError, match=r"got a second input in the place of training; pass several inputs as a list"):
        attention(a, b)
    built = layers.MultiHeadAttention(2, 2).init(((5, 4), (5, 4)))
    x = np.ones((2, 5, 4), "float32")
    with pytest.raises(TypeError, match=r"e.g. multi_head_attention\(\[query, value\]\)"):
        built(x, x)
    for part in (layers.Dense(2), Sequential([layers.Input((5, 4)), layers.Dense(2)]), Model(a, layers.Dense(2)(a))):
        with pytest.raises(TypeError, match=r"is called on nodes: .* call .*\(x\)"):
            part(b, training=True)
        with pytest.raises(TypeError, match=r"is called on nodes: .* call .*\(x\)"):
            part(b, mask=np.ones((2, 5), bool))


def test_masks_by_hand_are_checked():
    x = layers.Input((5, 3))
    model, batch = Model(x, layers.LSTM(2)(x)), np.ones((2, 5, 3), "float32")
    with pytest.raises(ValueError, match=r"the mask has shape \(2, 4\), expected the leading axes of x"):
        model.forward(batch, mask=np.ones((2, 4), bool))
    with pytest.raises(TypeError, match="a mask is an array of bool, got float64"):
        model.compute_mask(batch, mask=np.ones((2, 5)))


def test_a_shared_layer_of_two_lengths():
    shared = layers.Embedding(7, 2)
    shared(layers.Input((3,)))
    with pytest.raises(ValueError, match=r"or call it on sequences of any length: layers.Input\(\(None,\)\)"):
        shared(layers.Input((4,)))
    with pytest.raises(ValueError, match=r"make a new layer for a new input shape$"):
        shared(layers.Input((4, 2)))
