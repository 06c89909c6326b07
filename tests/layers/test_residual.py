import copy
import pickle

import numpy as np
import pytest

import npdl
from npdl import Sequential, activations, layers, testing


def block(filters=4, strides=1, activation="relu", **base):
    """The residual block of He et al. 2015; its shortcut is a projection where the size changes."""
    return layers.Residual(
        [
            layers.Conv2D(filters, 3, strides, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(filters, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
        ],
        shortcut=None if strides == 1 else [layers.Conv2D(filters, 1, strides), layers.BatchNormalization()],
        activation=activation,
        **base,
    )


@pytest.mark.parametrize(
    "layer",
    [
        block(),
        block(strides=2),
        block(activation=None),
        block(activation="gelu"),
        layers.Residual([block(activation="tanh"), layers.Dropout(0.4)]),
        layers.Residual([layers.Dropout(0.0), layers.Reshape((30, 4)), layers.Reshape((6, 5, 4)), layers.Tanh()]),
        layers.Residual([layers.Tanh(), layers.Reshape((6, 5, 4))], shortcut=[layers.Reshape((6, 5, 4))]),
        layers.Residual([layers.Dropout(0.0)], shortcut=[layers.Tanh()]),
    ],
    ids=["identity", "projection", "linear", "gelu", "nested", "views", "views on both ways", "passed on"],
)
def test_contract(layer):
    testing.check_layer(layer, (6, 5, 4))


def test_formula(rng, device):
    layer = layers.Residual([layers.Dense(3)], shortcut=[layers.Dense(3, name="s")], activation="relu")
    layer.init((4,), dtype="float64", seed=0, device=device)
    x, dy = rng.normal(size=(5, 4)), rng.normal(size=(5, 3))
    W, b, V, c = layer.get_weights()
    z = x @ W + b + x @ V + c
    np.testing.assert_allclose(layer(x, training=True), np.maximum(z, 0), rtol=1e-12, atol=1e-14)
    dz = dy * (z > 0)
    np.testing.assert_allclose(layer.backward(dy), dz @ W.T + dz @ V.T, rtol=1e-12, atol=1e-14)


def model(seed=0):
    return Sequential(
        [
            layers.Input((6, 6, 4)), block(), block(8, 2), layers.Residual([block(8), layers.Dropout(0.3)]),
            layers.GlobalAveragePooling2D(), layers.Dense(3),
        ],
        seed=seed,
    )  # fmt: skip


def data(rng):
    return rng.normal(size=(16, 6, 6, 4)).astype("float32"), np.arange(16) % 3


def test_fit_is_the_step_by_hand(rng):
    x, y = data(rng)
    in_fit, by_hand = model(), model()
    in_fit.compile("sgd", "sparse_categorical_crossentropy")
    in_fit.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    loss, optimizer = npdl.losses.SparseCategoricalCrossentropy(from_logits=True), npdl.optimizers.SGD()
    for start in (0, 8, 0, 8):
        loss.forward(y[start : start + 8], by_hand.forward(x[start : start + 8], training=True))
        by_hand.backward(loss.backward())
        optimizer.step(by_hand)
    for a, b in zip(in_fit.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(in_fit.predict(x), by_hand.forward(x))
    assert in_fit.gradient_check(x, y).ok


class PassOn(layers.Layer):
    """y = x"""

    def forward(self, x, training=False):
        return x

    def backward(self, dy):
        return dy


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Residual([layers.Reshape((4,))], shortcut=[layers.ReLU()]),
        lambda: layers.Residual([layers.Flatten()], shortcut=[layers.Sigmoid()]),
        lambda: layers.Residual([layers.Dropout(0.0)], shortcut=[layers.Dense(4, activation="tanh")]),
        lambda: layers.Residual([PassOn()], shortcut=[layers.Tanh()], activation="relu"),
        lambda: layers.Residual([layers.Residual([PassOn()])], shortcut=[layers.Tanh()]),
        lambda: layers.Residual([layers.Residual([PassOn()], shortcut=[layers.Tanh()])], shortcut=[layers.ReLU()]),
        lambda: layers.Residual([layers.ReLU()], shortcut=[layers.Residual([PassOn()], shortcut=[layers.Tanh()])]),
    ],
)
def test_a_chain_that_only_passes_on_what_it_gets(make, rng):
    x, y = rng.normal(size=(8, 4)).astype("float32"), rng.normal(size=(8, 1)).astype("float32")
    in_fit, by_hand = (
        Sequential([layers.Input((4,)), layers.Dense(4), make(), layers.Dense(1)], seed=0) for _ in range(2)
    )
    in_fit.compile(npdl.optimizers.SGD(0.1), "mse")
    loss, optimizer = npdl.losses.MeanSquaredError(), npdl.optimizers.SGD(0.1)
    for _ in range(3):
        in_fit.train_on_batch(x, y)
        loss.forward(y, by_hand.forward(x, training=True))
        by_hand.backward(loss.backward())
        optimizer.step(by_hand)
    for a, b in zip(in_fit.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert in_fit.gradient_check(x, y).ok


def test_copies_and_files_go_on_alike(rng, tmp_path):
    x, y = data(rng)
    first = model()
    first.compile("adam", "sparse_categorical_crossentropy")
    first.fit(x, y, verbose=0)
    first.save(tmp_path / "m.npdl")
    others = [npdl.load_model(tmp_path / "m.npdl"), copy.deepcopy(first), pickle.loads(pickle.dumps(first))]
    expected = first.predict(x)
    for other in others:
        np.testing.assert_array_equal(other.predict(x), expected)
    for each in (first, *others):  # dropout goes on where it was
        each.fit(x, y, verbose=0)
    for other in others:
        np.testing.assert_array_equal(other.predict(x), first.predict(x))
    np.testing.assert_array_equal(npdl.clone_model(first).get_weights()[0], model().get_weights()[0])


def test_names_follow_the_container():
    net = model()
    assert [part.name for part in net.layers[1].walk()] == [
        "residual_1", "residual_1/conv2d", "residual_1/batch_normalization", "residual_1/re_lu", "residual_1/conv2d_1",
        "residual_1/batch_normalization_1", "residual_1/conv2d_2", "residual_1/batch_normalization_2",
    ]  # fmt: skip
    assert "residual_2/residual/conv2d_1/kernel" in {weight.path for weight in net.store.weights}
    assert net.layers[1].count_params() == 9 * 4 * 8 + 9 * 8 * 8 + 4 * 8 + 8 + 3 * 4 * 8
    assert f"{net.layers[1].count_params():,}" in npdl.models.summary.table(net)
    assert net.layers[1].flops() == sum(part.flops() for part in net.layers[1].inner()) + 3 * 3 * 8
    assert len(net.layers[1].get_weights()) == 16


def test_configuration():
    layer = block(strides=2, name="mine")
    layer.layers[0].trainable = False
    config = layer.get_config()
    assert config["layers"][3]["class_name"] == "Conv2D" and config["layers"][3]["config"]["name"] == "conv2d_1"
    assert config["shortcut"][0]["config"]["name"] == "conv2d_2" and config["activation"] == "relu"
    again = layers.Residual.from_config(config)
    assert again.get_config() == config
    assert [part.trainable for part in again.inner()] == [False] + 6 * [True]
    for entry in config["layers"]:
        entry["module"] = "keras.layers"
    assert layers.Residual.from_config(config).get_config() == layer.get_config()
    pasted = eval(repr(layer), vars(layers))
    assert [type(part) for part in pasted.inner()] == [type(part) for part in layer.inner()]


def test_freezing_reaches_the_layers_inside():
    layer = block(trainable=False)
    assert not layer.trainable and not any(part.trainable for part in layer.inner())
    layer.trainable = True
    assert layer.trainable and all(part.trainable for part in layer.inner())
    net = model()
    net.layers[0].trainable = False
    assert net.layers[0].name + " (Residual) frozen" in npdl.models.summary.table(net)
    assert net.store.count()[1] == net.layers[0].count_params() + 3 * 2 * 8 + 2 * 2 * 8  # and moving statistics


def test_a_layer_inside_thawed_between_steps_learns(rng):
    net = Sequential([layers.Input((3,)), layers.Residual([layers.Dense(3), layers.ReLU()]), layers.Dense(1)], seed=0)
    net.compile("sgd", "mse")
    inside = net.layers[0].layers[0]
    x, y = rng.normal(size=(8, 3)).astype("float32"), rng.normal(size=(8, 1)).astype("float32")
    before = inside.get_weights()
    inside.trainable = False
    net.train_on_batch(x, y)
    np.testing.assert_array_equal(inside.get_weights()[0], before[0])
    inside.trainable = True
    net.train_on_batch(x, y)
    assert not np.array_equal(inside.get_weights()[0], before[0])


class Cube(activations.Activation):
    name, needs = "cube", "z"

    def __call__(self, z):
        return z**3

    def derivative(self, z):
        return 3 * z**2


class Scale(layers.Layer):
    """y = factor · x; a wrong backward where factor is 3."""

    def __init__(self, factor=2.0, **base):
        super().__init__(**base)
        self.factor = factor

    def forward(self, x, training=False):
        return x * np.asarray(self.factor, x.dtype)

    def backward(self, dy):
        return dy * np.asarray(2.0, dy.dtype)


def test_your_own_parts_inside(rng, tmp_path):
    inside = [Scale(), layers.Dense(3, activation=Cube())]
    net = Sequential([layers.Input((3,)), layers.Residual(inside)], seed=0)
    net.save(tmp_path / "m.npdl")
    x = rng.normal(size=(4, 3)).astype("float32")
    with pytest.raises(ValueError, match="a class 'Scale' that is not npdl's"):
        npdl.load_model(tmp_path / "m.npdl")
    loaded = npdl.load_model(tmp_path / "m.npdl", custom_objects={"Scale": Scale, "Cube": Cube})
    for other in (loaded, copy.deepcopy(net), npdl.clone_model(net)):
        np.testing.assert_array_equal(other.predict(x), net.predict(x))


def test_a_wrong_layer_inside_is_found(rng):
    net = Sequential([layers.Input((3,)), layers.Dense(3), layers.Residual([Scale(3.0)]), layers.Dense(1)], seed=0)
    net.compile("sgd", "mse")
    with pytest.raises(ValueError, match="the backward of residual does not agree"):
        net.fit(rng.normal(size=(8, 3)), rng.normal(size=(8, 1)), verbose=0)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: layers.Residual([]), ValueError, "Residual needs at least one layer to go around; pass e.g."),
        (lambda: layers.Residual([3]), TypeError, "Residual holds npdl layers, got 3; pass e.g."),
        (lambda: layers.Residual([Sequential()]), TypeError, "Residual holds layers, and sequential is a model; pass"),
        (
            lambda: layers.Residual([layers.Dense(2, name="a"), layers.Dense(2, name="a")]),
            ValueError,
            "two layers inside residual are named 'a'; give one of them another name=",
        ),
        (
            lambda: layers.Residual(2 * [layers.Dense(2)]),
            ValueError,
            "belongs to residual, and one layer cannot learn in two places; put copy.deepcopy",
        ),
        (
            lambda: layers.Residual([layers.Conv2D(8, 3, 2, padding="same")]).init((6, 6, 4)),
            ValueError,
            r"residual: the layers of this Residual make samples of shape \(3, 3, 8\), it adds x, which has "
            r"\(6, 6, 4\), and only equal shapes can be added; pass shortcut=\[layers.Conv2D\(8, 1, strides=2\)\]",
        ),
        (
            lambda: layers.Residual([layers.Dense(3)], shortcut=[layers.Dense(2)]).init((4,)),
            ValueError,
            r"make samples of shape \(3,\), its shortcut makes \(2,\), .*pass shortcut=\[layers.Dense\(3\)\]",
        ),
        (
            lambda: layers.Residual.from_config({"layers": [{"class_name": "Nowhere", "config": {}}]}),
            ValueError,
            "there is no layer class 'Nowhere'; define or import it",
        ),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_a_layer_is_in_one_place_only():
    layer = layers.Dense(3)
    layers.Residual([layer])
    with pytest.raises(ValueError, match="dense belongs to residual, and one layer cannot learn in two models"):
        Sequential([layer])
