"""Mapped, Augment, MixUp and CutMix."""

import pickle
import threading

import numpy as np
import pytest

import npdl
from npdl import Model, data, layers
from npdl.data import CutMix, Mapped, MixUp, Place, batches


def shares(n, classes, rng):
    return np.eye(classes)[rng.integers(0, classes, n)]


def test_mapped_batches(rng):
    x, y, w = rng.normal(size=(10, 3)), rng.normal(size=(10, 1)), rng.uniform(size=10)
    places = []

    def function(x, y, place):
        places.append(place)
        return 2 * x, y + 1

    made = list(data.batches(Mapped([function, lambda x, y, place: (x, -y)], x, y, w), batch_size=4, seed=3, epoch=2))
    plain = list(data.batches(x, y, batch_size=4, seed=3, epoch=2, sample_weight=w))
    for (a, b, c), (x, y, w) in zip(made, plain, strict=True):
        np.testing.assert_array_equal(a, 2 * x)
        np.testing.assert_array_equal(b, -(y + 1))
        np.testing.assert_array_equal(c, w)
        assert a.dtype == b.dtype == "float32"
    assert places == [Place(3, 2, 0), Place(3, 2, 4), Place(3, 2, 8)]


def test_fit_on_mapped_data(rng):
    x, y = rng.normal(size=(40, 4)).astype("float32"), shares(40, 3, rng).astype("float32")
    weights = []
    for threads in (1, 3):
        npdl.set_num_threads(threads)
        model = npdl.Sequential([layers.Dense(3, activation="softmax")], seed=0)
        model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        history = model.fit(Mapped(MixUp(), x, y), epochs=2, batch_size=8, validation_split=0.25, verbose=0)
        weights.append(model.get_weights()[0].tobytes())
        assert history.history["val_loss"][-1] == pytest.approx(model.evaluate(x[30:], y[30:], verbose=0)[0])
    assert weights[0] == weights[1]


def flipped(workers, x, y):
    augment = data.Augment([layers.RandomFlip("horizontal"), layers.RandomCrop(5, 4)])
    given = Mapped([augment, MixUp()], x, y, workers=workers)
    return [[part.tobytes() for part in one] for one in data.batches(given, batch_size=4, seed=3, epoch=1)]


def test_workers_make_the_same_batches(rng):
    x, y = rng.normal(size=(26, 6, 5, 3)), shares(26, 3, rng)
    alone = flipped(0, x, y)
    assert len(alone) == 7 and flipped(1, x, y) == alone and flipped(3, x, y) == alone


def test_batches_are_made_ahead_but_not_all_at_once():
    """Of two threads each waits for the other one's batch, which a single one would never see."""
    barrier, taken = threading.Barrier(2, timeout=20), []

    def function(x, y, place):
        barrier.wait()
        return x, y

    def rows():
        for i in range(8):
            taken.append(i)
            yield np.full((2, 1), i, "float32"), np.zeros((2, 1), "float32")

    made = data.batches(Mapped(function, rows, workers=2))
    assert next(made)[0][0, 0] == 0 and len(taken) <= 4
    assert [x[0, 0] for x, _ in made] == [1, 2, 3, 4, 5, 6, 7]


def test_an_error_of_a_worker_comes_in_its_place(rng):
    def function(x, y, place):
        if place.first == 4:
            raise ArithmeticError("in the second batch")
        return x, y

    made = data.batches(Mapped(function, rng.normal(size=(12, 1)), np.arange(12), workers=2), batch_size=4)
    assert next(made)[0].shape == (4, 1)
    with pytest.raises(ArithmeticError, match="in the second batch"):
        next(made)


def test_augment(rng):
    x = rng.normal(size=(8, 6, 5, 3)).astype("float32")
    flip = layers.RandomFlip("horizontal")
    augment = pickle.loads(pickle.dumps(data.Augment(flip, seed=5)))
    one, y = augment(x, None, Place(0, 0, 0))
    assert y is None and flip.store is None and repr(augment).startswith("Augment([RandomFlip(")
    mirrored = (one == x[:, :, ::-1]).all(axis=(1, 2, 3))
    assert 0 < mirrored.sum() < 8 and ((one == x).all(axis=(1, 2, 3)) | mirrored).all()
    np.testing.assert_array_equal(augment(x, None, Place(9, 0, 0))[0], one)  # its own seed, not the model's
    assert any((augment(x, None, Place(0, 0, first))[0] != one).any() for first in (8, 16))
    with pytest.raises(
        TypeError, match=r"Augment needs a layer or a list of layers, got 3; pass e.g. layers.RandomFlip"
    ):
        data.Augment(3)
    with pytest.raises(ValueError, match=r"Augment: dense has weights, .*; put it into the model"):
        data.Augment(layers.Dense(3))(x, None, Place(0, 0, 0))


def test_mix_up(rng):
    x, y = rng.normal(size=(50, 4, 3)), shares(50, 5, rng)
    place = Place(0, 1, 100)
    mixed, target = MixUp(1.0)(x, y, place)
    share = npdl.random.beta(npdl.random.key(0, "MixUp", 1), 50, 1.0, 1.0, 100)
    partner = npdl.random.permutation(npdl.random.key(0, "MixUp", "partner", 1, 100), 50)
    np.testing.assert_allclose(mixed, share[:, None, None] * x + (1 - share[:, None, None]) * x[partner], rtol=1e-12)
    np.testing.assert_allclose(target.sum(axis=1), 1)
    np.testing.assert_array_equal(MixUp(1.0)(x, y, place)[0], mixed)
    for other in (Place(1, 1, 100), Place(0, 2, 100), Place(0, 1, 50)):
        assert not np.array_equal(MixUp(1.0)(x, y, other)[0], mixed)
        np.testing.assert_array_equal(
            MixUp(1.0, seed=4)(x, y, other._replace(seed=9))[0], MixUp(1.0, seed=4)(x, y, other)[0]
        )


def test_cut_mix(rng):
    x, y = rng.normal(size=(60, 8, 10, 3)), shares(60, 60, rng)
    y = np.eye(60)
    cut, target = CutMix()(x, y, Place(0, 0, 0))
    for n in range(60):
        changed = (cut[n] != x[n]).any(axis=2)
        other = np.flatnonzero(target[n] * (np.arange(60) != n))
        assert len(other) <= 1
        np.testing.assert_allclose(changed.mean(), 1 - target[n, n], atol=1e-12)  # the part of another one
        if len(other):
            rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
            assert changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()  # a box
            np.testing.assert_array_equal(cut[n][changed], x[other[0]][changed])
    assert 0.1 < 1 - np.diag(target).mean() < 0.9


def test_beta_distribution():
    for a, b in ((0.2, 0.2), (1.0, 1.0), (2.0, 5.0), (0.5, 3.0)):
        found = npdl.random.beta(npdl.random.key(7), 20_000, a, b)
        assert found.min() >= 0 and found.max() <= 1
        mean, variance = a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1))
        assert abs(found.mean() - mean) < 4 * np.sqrt(variance / 20_000)
        assert abs(found.var() / variance - 1) < 0.05
        np.testing.assert_array_equal(npdl.random.beta(npdl.random.key(7), 5, a, b, first=10), found[10:15])


def test_random_numbers_of_a_sample():
    key = npdl.random.key(1)
    u = npdl.random.per_sample(key, 3, 20, 7)
    assert u.shape == (20, 7) and u.min() >= 0 and u.max() < 1
    np.testing.assert_array_equal(npdl.random.per_sample(key, 3, 5, 3, first=4), u[4:9, :3])
    assert not np.array_equal(npdl.random.per_sample(key, 4, 20, 7), u)


def test_wrong_calls(rng):
    x, labels = rng.normal(size=(6, 4, 4, 1)), np.arange(6)
    with pytest.raises(TypeError, match=r"Mapped needs a function \(x, y, place\) -> \(x, y\).*; pass e.g. Mapped"):
        Mapped(None, x, labels)
    with pytest.raises(ValueError, match="Mapped needs workers to be a whole number of at least 0, got workers=-1"):
        Mapped(MixUp(), x, labels, workers=-1)
    with pytest.raises(TypeError, match=r"of Mapped returned a ndarray, expected a tuple \(x, y\)"):
        list(data.batches(Mapped(lambda x, y, place: x, x, labels)))
    with pytest.raises(ValueError, match=r"x .*y"):
        list(data.batches(Mapped(lambda x, y, place: (x[:2], y), x, labels)))
    with pytest.raises(TypeError, match=r"MixUp mixes targets, .* got int.. of shape \(6,\); pass rows of shares"):
        list(data.batches(Mapped(MixUp(), x, labels)))
    with pytest.raises(ValueError, match="CutMix cuts images"):
        CutMix()(x[0], labels, Place(0, 0, 0))
    for make, text in (
        (lambda: MixUp(0), "MixUp needs alpha above 0, got 0"),
        (lambda: CutMix(2), "CutMix needs factor"),
    ):
        with pytest.raises(ValueError, match=text):
            make()


def test_several_inputs_and_outputs(rng):
    """The function sees dicts or tuples, as they were given, and gives such; `fit` trains on what it made."""
    x, y = {"a": rng.normal(size=(12, 2)), "b": rng.integers(0, 5, 12)}, rng.normal(size=(12, 1))
    seen = []

    def doubled(x, y, place):
        seen.append((sorted(x), place.first, y.shape))
        return {**x, "a": 2 * x["a"]}, y

    def make():
        ins = {"a": layers.Input((2,)), "b": layers.Input((), dtype="int64")}
        h = layers.Concatenate()([ins["a"], layers.Embedding(5, 3)(ins["b"])])
        model = Model(ins, layers.Dense(1)(h), seed=0, dtype="float64")
        model.compile("sgd", "mse")
        return model

    mapped, plain = make(), make()
    mapped.fit(Mapped(doubled, x, y), batch_size=5, epochs=2, validation_split=0.25, verbose=0)
    assert {tuple(keys) for keys, *_ in seen} == {("a", "b")}
    assert {first for _, first, _ in seen} >= {0, 5}
    twice = {"a": 2 * x["a"], "b": x["b"]}
    held = ({name: part[9:] for name, part in x.items()}, y[9:])
    plain.fit(
        {name: part[:9] for name, part in twice.items()}, y[:9], batch_size=5, epochs=2, validation_data=held, verbose=0
    )
    np.testing.assert_array_equal(mapped.store.data, plain.store.data)
    assert mapped.history.history["val_loss"] == plain.history.history["val_loss"]
    pair = Mapped(lambda x, y, place: ((x[0] + 1, x[1]), y), (x["a"], x["b"]), y)
    for (a, b), target in batches(pair, batch_size=12, shuffle=False, dtype="float64"):
        np.testing.assert_array_equal(a, x["a"] + 1)
        np.testing.assert_array_equal(b, x["b"])
        np.testing.assert_array_equal(target, y)


def test_mix_up_of_several_inputs_and_outputs(rng):
    """Each part is mixed as it would be alone; indices cannot be."""
    a, b, y = (
        rng.normal(size=(8, 3)),
        rng.normal(size=(8, 2, 2)),
        {"one": rng.random((8, 2)), "two": rng.random((8, 1))},
    )
    mix, place = MixUp(0.5, seed=1), Place(0, 0, 0)
    x, targets = mix({"a": a, "b": b}, y, place)
    for alone, name in ((a, "a"), (b, "b")):
        np.testing.assert_array_equal(x[name], mix(alone, y["one"], place)[0])
    for name, one in y.items():
        np.testing.assert_array_equal(targets[name], mix(a, one, place)[1])
    with pytest.raises(TypeError, match=r"MixUp mixes numbers that can lie in between, got indices, int64 of shape"):
        mix((a, np.arange(8)), y, place)
    with pytest.raises(ValueError, match=r"CutMix cuts images .* got 2 inputs; MixUp takes any"):
        CutMix()((a, b), y["one"], place)
