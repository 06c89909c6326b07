"""The stack: building, adding, naming, weights, copies."""

import copy
import pickle

import numpy as np
import pytest

import npdl
from npdl import Sequential, layers


def net(**options):
    return Sequential([layers.Dense(4, activation="relu"), layers.Dense(2)], seed=0, **options)


def test_the_input_shape_may_come_from_four_places(rng):
    x = rng.normal(size=(5, 3)).astype("float32")
    built = [
        Sequential([layers.Input((3,)), layers.Dense(2)], seed=0),
        Sequential([layers.Dense(2, input_shape=(3,))], seed=0),
        Sequential([layers.Dense(2)], seed=0),
        Sequential([layers.Dense(2)], seed=0),
    ]
    built[2].build((3,))
    built[3](x)
    for model in built:
        np.testing.assert_array_equal(model.predict(x), built[0].predict(x))
        assert model.input_shape == (3,) and model.output_shape == (2,)


def test_add_and_pop_keep_weights(rng):
    model = Sequential([layers.Input((3,))], seed=0)
    model.add(layers.Dense(4))
    first = model.get_weights()
    model.add(layers.Dense(2))
    for a, b in zip(first, model.get_weights(), strict=False):
        np.testing.assert_array_equal(a, b)
    model.set_weights([w + 1 for w in model.get_weights()])
    kept = model.get_weights()
    popped = model.pop()
    assert popped.units == 2 and model.output_shape == (4,)
    np.testing.assert_array_equal(model.get_weights()[0], kept[0])
    assert model.predict(rng.normal(size=(2, 3))).shape == (2, 4)
    with pytest.raises(ValueError, match=r"no layer to remove"):
        Sequential().pop()


def test_names():
    model = Sequential([layers.Dense(1), layers.Dense(1), layers.Dense(1, name="last")])
    assert [layer.name for layer in model.layers] == ["dense", "dense_1", "last"]
    assert model.get_layer("last") is model.get_layer(index=2)
    with pytest.raises(ValueError, match=r"no layer is named 'lost'; there are dense, dense_1, last"):
        model.get_layer("lost")
    with pytest.raises(ValueError, match=r"no layer 7"):
        model.get_layer(index=7)
    with pytest.raises(ValueError, match=r"two layers are named 'a'"):
        Sequential([layers.Dense(1, name="a"), layers.Dense(1, name="a")])


def test_wrong_stacks():
    dense = layers.Dense(1)
    with pytest.raises(ValueError, match=r"dense is in this Sequential already; make a new layer"):
        Sequential([dense, dense])
    with pytest.raises(TypeError, match=r"a Sequential holds npdl layers, got 'relu'"):
        Sequential(["relu"])
    with pytest.raises(ValueError, match=r"put it first"):
        Sequential([layers.Dense(1), layers.Input((2,))])
    with pytest.raises(ValueError, match=r"this model has no layers"):
        Sequential().build((2,))
    with pytest.raises(ValueError, match='dtype must be "float32" or "float64"'):
        Sequential(dtype="float16")
    with pytest.raises(ValueError, match=r"seed"):
        Sequential(seed=-1)


def test_calls_by_hand_are_checked(rng):
    model = net()
    x = rng.normal(size=(5, 3)).astype("float32")
    with pytest.raises(TypeError, match=r"forward takes an array, got list"):
        model([[1.0, 2.0, 3.0]])
    model(x)
    with pytest.raises(ValueError, match=r"built for inputs of shape \(N, 3\), got \(N, 4\)"):
        model(np.zeros((5, 4), "float32"))
    with pytest.raises(TypeError, match=r"works in float32, got float64; pass x.astype"):
        model(x.astype("float64"))
    with pytest.raises(ValueError, match=r"np.ascontiguousarray"):
        model(np.asfortranarray(x))
    with pytest.raises(RuntimeError, match=r"call forward\(x, training=True\) before backward"):
        model.backward(np.zeros((5, 2), "float32"))
    with pytest.raises(ValueError, match=r"backward needs the input's shape"):
        net().backward(x)


def test_backward_gives_dx_and_the_chain_rule(rng):
    model = net(dtype="float64")
    x, dy = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    model(x, training=True)
    dx = model.backward(dy)
    W1, b1, W2, _ = model.get_weights()
    gate = (x @ W1 + b1) > 0
    np.testing.assert_allclose(dx, ((dy @ W2.T) * gate) @ W1.T)
    np.testing.assert_allclose(model.layers[0].grads["kernel"], x.T @ ((dy @ W2.T) * gate))
    model.backward(dy)  # twice gives the same
    np.testing.assert_allclose(model.layers[1].grads["bias"], dy.sum(0))


def test_weights_are_views_of_one_flat_store():
    model = net()
    model.build((3,))
    W = model.layers[0].params["kernel"]
    assert np.shares_memory(W, model.store.data)
    model.set_weights([np.full_like(w, 2) for w in model.get_weights()])
    assert (W == 2).all()
    with pytest.raises(ValueError, match=r"4 weight arrays, got 1"):
        model.set_weights([W])
    with pytest.raises(ValueError, match=r"dense_1/bias has shape \(2,\), got \(3,\); nothing was written"):
        model.set_weights([*(w + 1 for w in model.get_weights()[:3]), np.zeros(3)])
    assert (W == 2).all()


def test_seeds():
    weights = [
        Sequential([layers.Input((3,)), layers.Dense(4)], seed=seed).get_weights()[0] for seed in (1, 1, 2, None, None)
    ]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2]) and not np.array_equal(weights[3], weights[4])
    drawn = Sequential([layers.Input((3,)), layers.Dense(4)])
    again = Sequential([layers.Input((3,)), layers.Dense(4)], seed=drawn.seed)
    np.testing.assert_array_equal(drawn.get_weights()[0], again.get_weights()[0])
    npdl.set_seed(3)
    first = Sequential().seed
    npdl.set_seed(3)
    assert Sequential().seed == first


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_copies_are_whole_and_separate(rng, copied):
    x, y = rng.normal(size=(8, 3)), rng.normal(size=(8, 2))
    model = Sequential([layers.Dense(4), layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(2)], seed=0)
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(x, y, verbose=0)
    twin = copied(model)
    before = model.get_weights()
    twin.fit(x, y, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    model.fit(x, y, verbose=0)  # optimizer and random state came along: the same step
    for a, b in zip(twin.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_clone_model_starts_anew(rng):
    model = net()
    model.fit(rng.normal(size=(8, 3)), rng.normal(size=(8, 2)), verbose=0)
    clone = npdl.clone_model(model)
    assert not np.array_equal(clone.get_weights()[0], model.get_weights()[0])
    np.testing.assert_array_equal(
        clone.get_weights()[0], Sequential([layers.Input((3,)), layers.Dense(4)], seed=0).get_weights()[0]
    )


def test_trainable_of_the_model_is_that_of_its_layers():
    model = net()
    model.trainable = False
    assert not any(layer.trainable for layer in model.layers)
    model.build((3,))
    assert model.store.count() == (0, 26)
    assert not Sequential([layers.Dense(1)], trainable=False).layers[0].trainable


def test_to_moves_the_weights(rng):
    x = rng.normal(size=(4, 3)).astype("float32")
    model = net()
    y = model.predict(x)
    assert model.to("strict") is model
    np.testing.assert_array_equal(model.predict(x), y)
    np.testing.assert_allclose(model.to("reference").predict(x), y, rtol=1e-5)
    np.testing.assert_array_equal(model.to("cpu").predict(x), y)
    with pytest.raises(ValueError, match=r"no device 'gpu'; there are cpu"):
        model.to("gpu")


def test_repr_can_be_pasted_back():
    model = net()
    again = eval(repr(model), {**vars(layers), "Sequential": Sequential})
    assert repr(again) == repr(model)
