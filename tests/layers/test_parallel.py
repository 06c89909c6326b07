"""Parallel and Branch: branches that read one x; with them the contract of every merging layer."""

import copy

import numpy as np
import pytest

import npdl
from npdl import Sequential, devices, layers, testing


@pytest.mark.parametrize("merge", ["add", "average", "concatenate", "maximum", "minimum", "multiply"])
def test_contract_of_three_branches(merge):
    branches = [[layers.Dense(3), layers.ReLU()], layers.Dense(3, activation="tanh"), layers.Dense(3)]
    testing.check_layer(layers.Parallel(branches, merge), (4,))


@pytest.mark.parametrize(
    ("merge", "shape"),
    [
        ("subtract", (3,)), (layers.Dot(1), (3,)), (layers.Dot(-1, normalize=True), (3,)), (layers.Dot((2, 1)), (3, 3)),
        (layers.Dot((1, 2), normalize=True), (3, 3)), (layers.Concatenate(1), (5, 3)),
    ],
    ids=repr,
)  # fmt: skip
def test_contract_of_two_branches(merge, shape):
    testing.check_layer(layers.Parallel([layers.Dense(3), layers.Identity()], merge), shape)


def test_contract_of_a_branch():
    testing.check_layer(layers.Branch([layers.Dense(3), layers.BatchNormalization(), layers.ReLU()]), (5, 4))
    testing.check_layer(layers.Branch([layers.Identity()]), (4,))


def inception():
    def conv(filters, size):
        return layers.Conv2D(filters, size, padding="same")

    return [
        conv(4, 3),
        layers.Parallel(
            [
                [conv(3, 1), layers.ReLU()],
                [conv(2, 1), layers.BatchNormalization(), layers.ReLU(), conv(4, 3)],
                [layers.AveragePooling2D(3, strides=1, padding="same")],
                layers.Identity(),
            ],
            "concatenate",
        ),
        layers.ReLU(),
        layers.Parallel([layers.Identity(), layers.Dropout(0.0), conv(15, 1)], "average"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3),
    ]


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_fit_gives_the_bits_of_the_layers_one_by_one(rng, frozen):
    x, y = rng.standard_normal((20, 6, 5, 3)).astype("float32"), rng.integers(0, 3, 20)
    fitted, stepped = Sequential(inception(), seed=1), Sequential(inception(), seed=1)
    for model in (fitted, stepped):
        for layer in model.layers[:frozen]:
            layer.trainable = False
    loss = npdl.losses.SparseCategoricalCrossentropy(from_logits=True)
    fitted.compile(npdl.optimizers.Adam(0.01), loss)
    fitted.fit(x, y, epochs=3, batch_size=8, verbose=0)
    optimizer = npdl.optimizers.Adam(0.01)
    for epoch in range(3):
        for xb, yb in npdl.data.batches(x, y, batch_size=8, seed=1, epoch=epoch):
            loss.forward(yb, stepped.forward(xb, training=True))
            stepped.backward(loss.backward())
            optimizer.step(stepped)
    for a, b in zip(fitted.get_weights(), stepped.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert fitted.predict(x).tobytes() == stepped.forward(x).tobytes()


def test_what_cannot_learn_gets_no_gradient(rng):
    """Below the lowest weights nothing is computed, branch by branch."""
    called = []

    class Spy(layers.Dense):
        def backward(self, dy):
            called.append((self.name.rpartition("/")[2], self.needs_dx))
            return super().backward(dy)

    frozen = [Spy(3, name="frozen"), Spy(3, name="above")]
    model = Sequential([layers.Parallel([frozen, Spy(3, name="free"), layers.Identity()])], seed=0)
    frozen[0].trainable = False
    model.compile("sgd", "mse", check_gradients=False)
    model.fit(rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), verbose=0)
    assert called == [("above", False), ("free", False)]
    assert all(part.needs_dx for part in model.walk())


def test_names_files_and_copies(rng, tmp_path):
    x = rng.normal(size=(3, 4)).astype("float32")
    model = Sequential([layers.Parallel([[layers.Dense(2), layers.Dense(3)], layers.Dense(3)], "multiply")], seed=0)
    y = model(x)
    assert [part.name for part in model.walk()] == [
        "parallel", "parallel/branch", "parallel/branch/dense", "parallel/branch/dense_1", "parallel/branch_1",
        "parallel/branch_1/dense", "parallel/multiply",
    ]  # fmt: skip
    model.save(tmp_path / "m.npdl")
    np.testing.assert_array_equal(npdl.load_model(tmp_path / "m.npdl")(x), y)
    np.testing.assert_array_equal(copy.deepcopy(model)(x), y)
    np.testing.assert_array_equal(copy.deepcopy(model.layers[0])(x), y)
    again = eval(repr(model.layers[0]), vars(layers))
    assert repr(again) == repr(model.layers[0])
    assert model.layers[0].flops() == sum(part.flops() for part in model.walk() if not hasattr(part, "chains"))


def test_a_merging_layer_of_ones_own(rng):
    class Twice(layers.Layer):
        """y = 2 a + b, and the same dy for b as for a: nobody may write over it."""

        def build(self, input_shape):
            return input_shape[0]

        def forward(self, x, training=False):
            self.save()
            return x[0] + x[1]

        def backward(self, dy):
            return dy, dy

    layer = layers.Parallel([layers.Sigmoid(), layers.ReLU()], Twice()).init((4,), dtype="float64")
    x, dy = rng.normal(size=(2, 5, 4))
    with devices.use_workspace(devices.Workspace(layer.device)):
        layer.forward(x, True)
        dx = layer.backward(dy.copy())
    s = 1 / (1 + np.exp(-x))
    np.testing.assert_allclose(dx, dy * s * (1 - s) + dy * (x > 0))


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Parallel([layers.Embedding(5, 3), [layers.Embedding(5, 3), layers.Dense(3)]]),
        lambda: layers.Residual([layers.Embedding(5, 3)], shortcut=[layers.Embedding(5, 3)]),
        lambda: layers.Branch([layers.Embedding(5, 3), layers.Dense(3)]),
    ],
)
def test_branches_that_begin_with_indices(make, rng):
    """The container reads whole numbers, too; by hand as in fit."""
    model = Sequential([make(), layers.Flatten(), layers.Dense(1)], seed=0)
    x, y = rng.integers(0, 5, (6, 4)).astype("int32"), rng.normal(size=(6, 1)).astype("float32")
    model.build((4,))
    by_hand, loss, optimizer = copy.deepcopy(model), npdl.losses.MeanSquaredError(), npdl.optimizers.SGD(0.1)
    model.compile(npdl.optimizers.SGD(0.1), "mse")
    model.fit(x, y, epochs=1, shuffle=False, verbose=0)
    loss.forward(y, by_hand.forward(x, training=True))
    assert by_hand.backward(loss.backward()) is None
    optimizer.step(by_hand)
    assert by_hand.store.data.tobytes() == model.store.data.tobytes()
    assert model.gradient_check(x, y).ok


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: layers.Parallel([layers.Dense(3)]), ValueError, r"two or more branches, got 1; pass e.g. Parallel\("),
        (lambda: layers.Parallel(layers.Dense(3)), TypeError, r"Parallel takes a list as branches, got Dense"),
        (lambda: layers.Parallel([[], []]), ValueError, "Branch needs at least one layer"),
        (
            lambda: layers.Parallel([layers.Dense(3)] * 2, "sum"),
            ValueError,
            r"unknown merge='sum'; there are 'add', 'average', 'concatenate'.* or pass a layer of several inputs",
        ),
        (
            lambda: layers.Parallel([layers.Dense(3), layers.Dense(2)]).init((4,)),
            ValueError,
            r"parallel/add: Add takes inputs of one shape, got samples of shapes \(3,\), \(2,\)",
        ),
        (lambda: layers.Parallel([layers.Dense(3), 5]), TypeError, "Branch takes a list as layers, got 5"),
    ],
)
def test_wrong_arguments(make, error, text):
    with pytest.raises(error, match=text):
        make()
