import copy

import numpy as np
import pytest

import npdl
from npdl import Sequential, data, layers, testing


@pytest.mark.parametrize(
    ("rows", "width", "shape"), [(7, 3, (5,)), (2, 1, (1,)), (3, 17, ()), (50, 65, (4, 3)), (4, 2, (None,))]
)
def test_contract(rows, width, shape):
    testing.check_layer(layers.Embedding(rows, width), shape, integers=rows)


@pytest.mark.parametrize("shape", ((5,), (None,)))
def test_contract_with_positions(shape):
    testing.check_layer(layers.TokenAndPositionEmbedding(6, 5, 3), shape, integers=6)


def test_rows(step, device):
    layer = layers.Embedding(4, 2).init((3,), dtype="float64", device=device)
    x = np.array([[1, 3, 1], [0, 1, 3]], "int64")
    got = step(layer, x, dy=np.arange(12.0).reshape(2, 3, 2))
    table = layer.params["embeddings"]
    np.testing.assert_array_equal(got["y"], table[x])
    assert got["dx"] is None and layer.flops() == 0
    np.testing.assert_array_equal(got["embeddings"], [[6, 7], [0 + 4 + 8, 1 + 5 + 9], [0, 0], [2 + 10, 3 + 11]])
    np.testing.assert_array_equal(layer(x.astype("int32")), got["y"])


def test_mask(device):
    x = np.array([[1, 0, 2]], "int32")
    layer = layers.Embedding(4, 2, mask_zero=True).init((3,), device=device)
    np.testing.assert_array_equal(layer.compute_mask(x), [[True, False, True]])
    assert layers.Embedding(4, 2).init((3,), device=device).compute_mask(x) is None


def test_wrong_indices(device):
    layer = layers.Embedding(10, 2).init((3,), device=device)
    for bad, at in ((10, r"ids\[1, 2\] is 10"), (-1, r"ids\[1, 2\] is -1")):
        x = np.array([[1, 2, 3], [4, 5, bad], [bad, bad, bad]])
        with pytest.raises(IndexError, match=rf"embedding has input_dim=10: embedding: {at}, expected 0 to 9; pass"):
            layer(x)
    with pytest.raises(TypeError, match=r"embedding reads indices, int32 or int64, got float32; pass x.astype"):
        layer(np.zeros((2, 3), "float32"))
    with pytest.raises(ValueError, match=r"built for inputs of shape \(N, 3\), got \(N, 4\)"):
        layer(np.zeros((2, 4), "int32"))


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"Embedding needs input_dim .* got input_dim=0; pass e.g. Embedding\("):
        layers.Embedding(0, 2)
    with pytest.raises(ValueError, match=r"got output_dim=1\.5"):
        layers.Embedding(4, 1.5)


def model(**options):
    stack = [layers.Embedding(12, 4), layers.Flatten(), layers.Dense(3, activation="softmax")]
    made = Sequential(stack, seed=3, **options)
    made.compile("adam", "sparse_categorical_crossentropy")
    return made


def test_in_a_model(tmp_path, rng):
    """fit with whole numbers of any type, and of floats that are whole, is the loop by hand; files keep it."""
    x, y = rng.integers(0, 12, (20, 5)), rng.integers(0, 3, 20)
    fitted = model()
    fitted.fit(x, y, epochs=2, batch_size=8, verbose=0, validation_split=0.2)
    for other in (x.astype("uint8"), x.astype("float64"), np.asfortranarray(x), x.tolist(), x.astype("float32")):
        again = model()
        again.fit(other, y, epochs=2, batch_size=8, verbose=0, validation_split=0.2)
        for a, b in zip(again.get_weights(), fitted.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    assert fitted.layers[0].forward(x[:2]).dtype == np.float32
    assert fitted.gradient_check(x[:4], y[:4]).ok
    fitted.save(tmp_path / "m.npdl")
    loaded = npdl.load_model(tmp_path / "m.npdl")
    np.testing.assert_array_equal(loaded.predict(x), fitted.predict(x))
    np.testing.assert_array_equal(copy.deepcopy(fitted).predict(x.astype("float32")), fitted.predict(x))
    np.testing.assert_array_equal(fitted.predict(x)[3], fitted.predict(x[3:4])[0])


def test_by_hand_is_what_fit_does(rng):
    x, y = rng.integers(0, 12, (20, 5)), rng.integers(0, 3, 20)
    fitted, by_hand = model(), model()
    fitted.fit(x, y, epochs=2, batch_size=8, verbose=0)
    by_hand.build((5,))
    loss, adam = npdl.losses.SparseCategoricalCrossentropy(from_logits=False), npdl.optimizers.Adam()
    for epoch in range(2):
        for xb, yb in data.batches(x, y, 8, seed=3, epoch=epoch, integers=True):
            assert xb.dtype == np.int64 or xb.dtype == np.int32
            loss.forward(yb, by_hand.forward(xb, training=True))
            assert by_hand.backward(loss.backward()) is None
            adam.step(by_hand)
    for a, b in zip(by_hand.get_weights(), fitted.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)  # fit leaves the softmax to the loss


def test_batches_of_other_kinds(rng):
    """Items, streams and numbers that are not whole."""
    x, y = rng.integers(0, 12, (6, 5)), rng.integers(0, 3, 6)
    expected = model().fit(x, y, epochs=1, batch_size=3, shuffle=False, verbose=0).history["loss"]
    stream = [(x[:3], y[:3]), (x[3:], y[3:])]
    assert model().fit(lambda: iter(stream), epochs=1, verbose=0).history["loss"] == expected
    broken = x.astype(float)
    broken[4, 2] = 0.5
    for wrong in (broken, lambda: iter([(broken, y)])):
        with pytest.raises(ValueError, match=r"reads indices, and x\[4, 2\] is 0.5, which is not a whole number"):
            model().fit(wrong, *([y] if wrong is broken else []), verbose=0)
    with pytest.raises(IndexError, match=r"embedding has input_dim=12: .*expected 0 to 11"):
        model().fit(x + 6, y, verbose=0)


def test_a_layer_of_ones_own_above_it(rng):
    class Double(layers.Layer):
        def forward(self, x, training=False):
            return 2 * x

        def backward(self, dy):
            return 2 * dy

    made = Sequential([layers.Embedding(12, 4), Double(), layers.Flatten(), layers.Dense(3)], seed=0)
    made.compile("sgd", npdl.losses.SparseCategoricalCrossentropy(from_logits=True))
    made.fit(rng.integers(0, 12, (20, 5)), rng.integers(0, 3, 20), verbose=0)
