"""Regularizers and constraints in layers and models."""

import copy
import pickle

import numpy as np
import pytest

import npdl
from npdl import Sequential, constraints, layers, losses, optimizers, regularizers, testing


def regularized(seed=0, dtype="float32", **more):
    return Sequential(
        [
            layers.Input((6,)),
            layers.Dense(8, "tanh", kernel_regularizer="l2", bias_regularizer=regularizers.L1(0.02), **more),
            layers.BatchNormalization(gamma_regularizer=regularizers.L2(0.1), beta_constraint="non_neg"),
            layers.ReLU(),
            layers.ActivityRegularization(l1=0.003, l2=0.02),
            layers.Dense(3, kernel_constraint=constraints.MaxNorm(0.8)),
        ],
        seed=seed,
        dtype=dtype,
    )


@pytest.fixture
def data(rng):
    return rng.normal(size=(40, 6)).astype("float32"), rng.integers(0, 3, 40)


LAYERS = [
    (layers.Dense(4, "tanh", kernel_regularizer="l2", bias_regularizer="l1", activity_regularizer="l1_l2"), (5,), None),
    (layers.Dense(4, "gelu", activity_regularizer=regularizers.L1L2(0.3, 0.2)), (5,), None),
    (layers.Dense(4, kernel_regularizer="orthogonal_regularizer", bias_constraint="non_neg"), (5,), None),
    (layers.Conv2D(3, 2, activation="relu", kernel_regularizer="l1", activity_regularizer="l2"), (4, 4, 2), None),
    (layers.EinsumDense("ab,bc->ac", 3, "sigmoid", "c", bias_regularizer="l2", activity_regularizer="l2"), (4,), None),
    (layers.Embedding(7, 3, embeddings_regularizer="l2", activity_regularizer="l1"), (4,), 7),
    (layers.BatchNormalization(gamma_regularizer="l2", beta_regularizer="l1"), (4, 3), None),
    (layers.LayerNormalization(gamma_regularizer="l2", beta_constraint="non_neg"), (5,), None),
    (layers.GroupNormalization(2, gamma_regularizer="l2"), (4,), None),
    (layers.PReLU("normal", alpha_regularizer="l2", alpha_constraint="non_neg"), (5,), None),
    (layers.ActivityRegularization(0.3, 0.2), (3, 4), None),
    (layers.Conv1D(3, 2, kernel_regularizer="l2", bias_constraint="non_neg", activity_regularizer="l2"), (5, 2), None),
    (layers.DepthwiseConv2D(2, depthwise_regularizer="l2", activity_regularizer="l1"), (4, 4, 2), None),
    (layers.SeparableConv1D(3, 2, depthwise_regularizer="l2", pointwise_regularizer="l1",
                            activity_regularizer="l2"), (5, 2), None),
    (layers.Conv2DTranspose(3, 2, activation="relu", activity_regularizer="l2"), (3, 3, 2), None),
    (layers.LSTM(3, kernel_regularizer="l2", recurrent_regularizer="l1", bias_regularizer="l2"), (4, 2), None),
    (layers.MultiHeadAttention(2, 3, kernel_regularizer="l2", bias_regularizer="l1"), (4, 5), None),
    (layers.MultiHeadAttention(1, 3, activity_regularizer="l1_l2"), (4, 5), None),
    (layers.LSTM(3, return_sequences=True, activity_regularizer="l2"), (4, 2), None),
    (layers.GRU(2, activity_regularizer="l1"), (3, 2), None),
    (layers.RNN(layers.SimpleRNNCell(2), return_sequences=True, activity_regularizer="l2"), (3, 2), None),
    (layers.TransformerEncoder(5, 2, kernel_regularizer="l2", bias_regularizer="l1", kernel_constraint="max_norm"),
     (3, 4), None),
    (layers.TransformerDecoder(5, 2, bias_regularizer="l2", bias_constraint="non_neg"), (3, 4), None),
    (layers.TokenAndPositionEmbedding(7, 5, 3, embeddings_regularizer="l2", activity_regularizer="l2"), (4,), 7),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "shape", "integers"), LAYERS, ids=[type(row[0]).__name__ for row in LAYERS])
def test_contract_and_gradients(layer, shape, integers):
    """The central differences count the penalties."""
    testing.check_layer(layer, shape, integers=integers)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config() and repr(again) == repr(layer)


def test_the_penalty_of_outputs_and_states(rng):
    """Σ r(y) / N of all that an LSTM gives; only y is read, so that the states learn by their penalty alone."""
    x, y = rng.normal(size=(5, 4, 2)), rng.normal(size=(5, 4, 3))
    inputs = layers.Input((4, 2))
    lstm = layers.LSTM(3, return_sequences=True, return_state=True, activity_regularizer=regularizers.L2(0.5))
    model = npdl.Model(inputs, lstm(inputs)[0], seed=0, dtype="float64")
    model.compile("sgd", "mse")
    parts = npdl.Model(inputs, lstm.output).predict(x)
    penalty = 0.5 * sum((part**2).sum() for part in parts) / 5
    assert model.evaluate(x, y, verbose=0) == pytest.approx(((parts[0] - y) ** 2).mean() + penalty, rel=1e-12)
    assert model.gradient_check(x, y).ok


def test_what_is_inside_a_transformer_has_its_rules():
    block = layers.TransformerEncoder(6, 2, kernel_regularizer="l2", bias_constraint=constraints.NonNeg())
    block.init((3, 4), seed=0)
    rules = {one.name: (one.regularizer, one.constraint) for part in block.walk() for one in part.declared}
    kernels = [rule for name, rule in rules.items() if name.endswith("kernel")]
    assert len(kernels) == 5 and all(isinstance(one, regularizers.L2) and other is None for one, other in kernels)
    biases = [rule for name, rule in rules.items() if name.endswith("bias")]
    assert len(biases) == 5 and all(one is None and isinstance(other, constraints.NonNeg) for one, other in biases)
    with pytest.raises(
        TypeError, match=r"unexpected keyword argument 'gamma_regularizer'; it takes kernel_regularizer, "
    ):
        layers.TransformerEncoder(6, 2, gamma_regularizer="l2")


def test_the_loss_and_its_gradient(data):
    """By hand, against the formula: L + Σ r(w) + Σ r(y)/N and its gradient."""
    x, y = data
    model = regularized(dtype="float64")
    x = x.astype("float64")
    loss = npdl.losses.SparseCategoricalCrossentropy(from_logits=True)
    loss.forward(y, model.forward(x, training=True))
    model.backward(loss.backward())
    first, norm = model.layers[0], model.layers[1]
    before = first.grads["kernel"].copy(), first.grads["bias"].copy(), norm.grads["gamma"].copy()
    W, b, gamma = first.params["kernel"], first.params["bias"], norm.params["gamma"]
    expected = 0.01 * (W**2).sum() + 0.02 * np.abs(b).sum() + 0.1 * (gamma**2).sum()
    hidden = np.maximum(model.layers[1].forward(model.layers[0].forward(x), True), 0)
    expected += (0.003 * np.abs(hidden).sum() + 0.02 * (hidden**2).sum()) / len(x)
    assert model.add_penalties() == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(first.grads["kernel"] - before[0], 0.02 * W, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(first.grads["bias"] - before[1], 0.02 * np.sign(b), atol=1e-12)
    np.testing.assert_allclose(norm.grads["gamma"] - before[2], 0.2 * gamma, rtol=1e-9)


def test_fit_is_what_is_done_by_hand(data):
    x, y = data
    model, other = regularized(), regularized()
    model.compile(npdl.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=16, epochs=3, verbose=0)
    loss = npdl.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer, means = npdl.optimizers.Adam(0.01), []
    for epoch in range(3):
        total = 0.0
        for xb, yb in npdl.data.batches(x, y, batch_size=16, seed=0, epoch=epoch):
            value = loss.forward(yb, other.forward(xb, training=True))
            other.backward(loss.backward())
            total += (value + other.add_penalties()) * len(xb)
            optimizer.step(other)
        means.append(total / len(x))
    assert [w.tobytes() for w in model.get_weights()] == [w.tobytes() for w in other.get_weights()]
    np.testing.assert_allclose(history.history["loss"], means, rtol=1e-6)
    assert model.layers[1].params["beta"].min() >= 0
    assert np.sqrt((model.layers[4].params["kernel"] ** 2).sum(0)).max() <= 0.8
    results = model.evaluate(x, y, verbose=0, batch_size=40)
    loss.forward(y, model.forward(x))
    assert results[0] == pytest.approx(loss.total / loss.count + _penalty_of(model, x), rel=1e-5)


def _penalty_of(model, x):
    model.forward(x)
    grad = model.store.grad.copy()
    value = model.add_penalties()
    model.store.grad[...] = grad
    return value


def test_model_gradient_check(data):
    x, y = data
    model = regularized(activity_regularizer=regularizers.L2(0.5))
    model.compile("sgd", "sparse_categorical_crossentropy")
    report = model.gradient_check(x[:8], y[:8])
    assert report.ok, report


def test_a_graph_that_calls_a_layer_twice(data):
    """Its weights' penalty counts once, that of its outputs for each call; in fit and in the gradient check."""
    x, y = data
    one, other = layers.Input((3,)), layers.Input((3,))
    shared = layers.Dense(4, "tanh", kernel_regularizer=regularizers.L2(0.1), activity_regularizer=regularizers.L2(0.2))
    h = layers.Add()((shared(one), shared(other)))
    model = npdl.Model((one, other), layers.Dense(3)(h))
    model.compile("sgd", "sparse_categorical_crossentropy")
    parts = x[:, :3].copy(), x[:, 3:].copy()
    assert model.gradient_check(tuple(part[:8] for part in parts), y[:8]).ok
    W, b = (w.copy() for w in shared.params.values())
    logits = model.predict(parts)
    expected = -(logits - np.log(np.exp(logits).sum(1, keepdims=True)))[np.arange(40), y].mean() + 0.1 * (W**2).sum()
    expected += 0.2 * sum((np.tanh(part @ W + b) ** 2).sum() for part in parts) / 40
    history = model.fit(parts, y, epochs=1, batch_size=40, verbose=0)
    assert history.history["loss"][0] == pytest.approx(expected, rel=1e-5)


def test_a_layer_called_twice_by_hand(rng):
    """`add_penalties` returns the penalty of the outputs of both calls, as `fit` counts it."""
    one, other = layers.Input((3,)), layers.Input((3,))
    shared = layers.Dense(4, activity_regularizer=regularizers.L2(0.2))
    model = npdl.Model((one, other), layers.Add()((shared(one), shared(other))), seed=0)
    xs = [rng.normal(size=(5, 3)).astype("float32") for _ in range(2)]
    expected = 0.2 * sum(float((shared(x) ** 2).sum()) for x in xs) / 5
    for _ in range(2):
        model.backward(np.ones_like(model.forward(xs, training=True)))
        assert model.add_penalties() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("above", [False, True])
def test_the_penalty_on_an_output_without_a_loss(rng, above):
    """Nothing but the penalty trains the layers of that output: in fit, in the check and by hand."""
    x = layers.Input((3,))
    h = layers.Dense(4, name="h")(x)
    code = layers.Dense(2, activity_regularizer=regularizers.L2(0.3), name="code")(h)
    code = layers.Reshape((2, 1))(code) if above else code
    model = npdl.Model(x, [layers.Dense(1, name="y")(h), code], seed=0)
    model.compile(optimizers.SGD(0.1), [losses.MeanSquaredError(), None])
    data, y = rng.normal(size=(6, 3)).astype("float32"), rng.normal(size=(6, 1)).astype("float32")
    assert model.gradient_check(data, [y, None]).ok
    other, loss = npdl.clone_model(model), losses.MeanSquaredError()
    other.set_weights(model.get_weights())
    model.fit(data, [y, None], epochs=1, verbose=0, shuffle=False)
    loss.forward(y, other.forward(data, training=True)[0])
    other.backward([loss.backward(), None])
    optimizers.SGD(0.1).step(other)
    assert model.store.data.tobytes() == other.store.data.tobytes()


def test_the_penalty_on_an_output_that_nobody_reads(rng):
    """A model inside another is called twice, and one of its outputs read once."""
    x, a, b = (layers.Input((3,)) for _ in range(3))
    code = layers.Dense(2, activity_regularizer=regularizers.L2(0.3))(x)
    inner = npdl.Model(x, [code, layers.Dense(2)(x)])
    model = npdl.Model([a, b], layers.Add()([inner(a)[0], inner(b)[1]]), seed=0)
    model.compile("sgd", "mse")
    xs = [rng.normal(size=(6, 3)).astype("float32") for _ in range(2)]
    assert model.gradient_check(xs, rng.normal(size=(6, 2))).ok
    assert np.isfinite(model.fit(xs, rng.normal(size=(6, 2)), verbose=0).history["loss"][0])


def test_saved_cloned_copied(data, tmp_path):
    x, y = data
    model = regularized(activity_regularizer="l2")
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=1, verbose=0)
    model.save(tmp_path / "m.npdl")
    others = [npdl.load_model(tmp_path / "m.npdl"), copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    for other in [*others, npdl.clone_model(model)]:
        assert other.get_config() == model.get_config()
        assert other.layers[0].kernel_regularizer == regularizers.L2(0.01)
        assert other.layers[4].kernel_constraint == constraints.MaxNorm(0.8)
    for one in (model, *others):
        one.fit(x, y, epochs=2, initial_epoch=1, verbose=0)
        assert one.store.data.tobytes() == model.store.data.tobytes()


def test_frozen_weights_have_no_penalty_and_no_constraint(data):
    x, y = data
    model = regularized()
    model.layers[0].trainable = model.layers[4].trainable = False
    model.layers[4].params["kernel"][...] = 5
    before = model.layers[0].get_weights() + model.layers[4].get_weights()
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=1, verbose=0)
    after = model.layers[0].get_weights() + model.layers[4].get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(before, after))
    gamma = model.layers[1].params["gamma"]
    model.forward(x)
    activity = model.layers[3]._activity_loss
    assert model.add_penalties() == pytest.approx(0.1 * float((gamma.astype("float64") ** 2).sum()) + activity)


def test_penalized_outputs_are_not_fused(data):
    """ReLU behind such a Dense stays a layer, and a final softmax with a penalty is not left to the loss."""
    x, y = data
    ending = layers.Dense(3, "softmax", activity_regularizer=regularizers.L2(0.5))
    model = Sequential([layers.Dense(8, activity_regularizer="l2"), layers.ReLU(), ending], seed=0)
    model.compile("sgd", "sparse_categorical_crossentropy")
    history = model.fit(x, y, epochs=1, batch_size=40, verbose=0)
    model = Sequential([copy.deepcopy(layer) for layer in model.layers], seed=0)
    other = Sequential.from_config({**model.get_config(), "input_shape": (6,)})
    z = other.layers[0](x)
    p = other.layers[2](np.maximum(z, 0))
    expected = -np.log(p[np.arange(40), y]).mean() + (0.01 * (z**2).sum() + 0.5 * (p**2).sum()) / 40
    assert history.history["loss"][0] == pytest.approx(expected, rel=1e-5)


class Cubes(regularizers.Regularizer):
    """r = a Σ |x|³"""

    def __init__(self, a=0.1):
        self.a = a

    def __call__(self, x):
        return self.a * (np.abs(x) ** 3).sum()

    def gradient(self, x):
        return 3 * self.a * x * np.abs(x)


class Doubled(regularizers.L2):
    def __call__(self, x):
        return 2 * super().__call__(x)

    def gradient(self, x):
        return 2 * super().gradient(x)


def test_your_own(data, tmp_path):
    x, y = data
    model = Sequential([layers.Dense(3, kernel_regularizer=Cubes(0.2), bias_regularizer=Doubled(0.1))], seed=0)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=1, verbose=0)
    assert model.gradient_check(x, y).ok
    model.save(tmp_path / "m.npdl")
    again = npdl.load_model(tmp_path / "m.npdl", custom_objects={"Cubes": Cubes, "Doubled": Doubled})
    assert again.layers[0].kernel_regularizer == Cubes(0.2)
    assert copy.deepcopy(model).layers[0].kernel_regularizer == Cubes(0.2)
    with pytest.raises(ValueError, match=r"uses a class 'Cubes' that is not npdl's; pass load_model\("):
        npdl.load_model(tmp_path / "m.npdl")
    for kind, name in ((regularizers.Regularizer, "gradient"), (constraints.Constraint, "__call__")):
        with pytest.raises(NotImplementedError, match=f"needs {name}"):
            getattr(kind(), name)(x)


def keras(module, name, **config):
    return {"module": f"keras.{module}", "class_name": name, "config": config, "registered_name": None}


def test_keras_configs():
    layer = layers.Dense.from_config(
        {
            "units": 4, "kernel_regularizer": keras("regularizers", "L2", l2=0.5), "bias_regularizer": None,
            "activity_regularizer": keras("regularizers", "L1L2", l1=0.0, l2=0.25), "bias_constraint": None,
            "kernel_constraint": keras("constraints", "MinMaxNorm", min_value=0.5, max_value=1.0, rate=1.0, axis=0),
        }
    )  # fmt: skip
    assert layer.kernel_regularizer == regularizers.L2(0.5) and layer.bias_regularizer is None
    assert layer.activity_regularizer == regularizers.L1L2(0, 0.25)
    assert layer.kernel_constraint == constraints.MinMaxNorm(0.5)
    for name in ("l1", "L2", "l1_l2", "orthogonal_regularizer", regularizers.L1, None):
        own = regularizers.get(name)
        assert own is None or regularizers.get(regularizers.serialize(own)) == own
    for name in ("max_norm", "MaxNorm", "unit_norm", "non_neg", "min_max_norm", None):
        own = constraints.get(name)
        assert own is None or constraints.get(constraints.serialize(own)) == own


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: layers.Dense(4, kernel_regularizer="l3"), ValueError, "unknown regularizer 'l3'; did you mean 'l.'"),
        (lambda: layers.Dense(4, kernel_regularizer=0.1), TypeError, 'got 0.1; pass e.g. kernel_regularizer="l2"'),
        (lambda: layers.Dense(4, bias_constraint="nonneg"), ValueError, "unknown constraint .* did you mean 'non_neg'"),
        (lambda: layers.Dense(4, bias_constraint=2), TypeError, 'got 2; pass e.g. kernel_constraint="non_neg"'),
        (
            lambda: layers.Dense(4, gamma_regularizer="l2"),
            TypeError,
            "Dense got .* argument 'gamma_regularizer'; it takes kernel_regularizer, bias_regularizer, "
            "activity_regularizer, kernel_constraint, bias_constraint",
        ),
        (lambda: layers.Dense(4, unit=4), TypeError, "Dense got an unexpected keyword argument 'unit'$"),
        (
            lambda: layers.ReLU(activity_regularizer="l2"),
            TypeError,
            r"ReLU got .*'activity_regularizer'; put layers.ActivityRegularization\(l2=0.01\) behind it instead",
        ),
        (
            lambda: regularizers.L2(-1),
            ValueError,
            r"L2 needs l2 to be a number of at least 0, got -1; pass e.g. L2\(l2",
        ),
        (
            lambda: layers.ActivityRegularization(l1=-1),
            ValueError,
            "L1L2 needs l1 to be a number of at least 0, got -1",
        ),
        (lambda: regularizers.OrthogonalRegularizer(mode="row"), ValueError, "mode=\"columns\", got mode='row'"),
        (lambda: constraints.MaxNorm(-1), ValueError, "MaxNorm needs max_value to be a number of at least 0, got -1"),
        (
            lambda: constraints.MinMaxNorm(2, 1),
            ValueError,
            "min_value to be a number of at least 0 and at most 1, got 2",
        ),
        (lambda: constraints.MinMaxNorm(rate=2), ValueError, "rate to be a number of at least 0 and at most 1, got 2"),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()
