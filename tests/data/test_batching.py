"""The order of batches, and that they hold every row once, unchanged."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from npdl import data, random
from npdl.data import Mapped, batches, order

sizes = st.integers(1, 60)
batch_sizes = st.integers(1, 70)
seeds = st.integers(0, 2**32 - 1)


def joined(batches):
    return tuple(np.concatenate(parts) for parts in zip(*batches))


@settings(max_examples=60, deadline=None)
@given(n=sizes, batch_size=batch_sizes, seed=seeds, epoch=st.integers(0, 9), shuffle=st.booleans())
def test_every_row_comes_once_with_its_target_and_weight(n, batch_size, seed, epoch, shuffle):
    X, Y, w = np.arange(2 * n, dtype=np.float32).reshape(n, 2), np.arange(n), np.arange(n) / 4
    found = list(data.batches(X, Y, batch_size, seed=seed, epoch=epoch, shuffle=shuffle, sample_weight=w))
    assert [len(x) for x, _, _ in found] == [min(batch_size, n - i) for i in range(0, n, batch_size)]
    x, y, v = joined(found)
    assert sorted(y) == list(range(n))
    np.testing.assert_array_equal(x, X[y])
    np.testing.assert_array_equal(v, w[y].astype(np.float32))
    assert shuffle or list(y) == list(range(n))


@settings(max_examples=30, deadline=None)
@given(n=sizes, seed=seeds, epoch=st.integers(0, 9))
def test_the_same_seed_and_epoch_give_the_same_order_whatever_the_batch_size(n, seed, epoch):
    X = np.arange(n, dtype=np.float32)[:, None]
    orders = [joined(data.batches(X, np.arange(n), size, seed=seed, epoch=epoch))[1] for size in (1, 7, n)]
    np.testing.assert_array_equal(orders[0], orders[1])
    np.testing.assert_array_equal(orders[0], orders[2])


def test_epochs_and_seeds_have_orders_of_their_own():
    X, Y = np.zeros((50, 1)), np.arange(50)
    orders = {tuple(joined(data.batches(X, Y, 8, seed=s, epoch=e))[1]) for s in range(3) for e in range(3)}
    assert len(orders) == 9


def test_the_order_is_the_permutation_of_seed_and_epoch():
    np.testing.assert_array_equal(data.order(30, 5, 2), random.permutation(random.key(5, "shuffle", 2), 30))
    _, y = joined(data.batches(np.zeros((30, 1)), np.arange(30), 4, seed=5, epoch=2))
    np.testing.assert_array_equal(y, data.order(30, 5, 2))


def test_source_and_batches_give_the_same_bits():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(21, 3)), rng.normal(size=21)
    by_hand = list(data.batches(X, Y, 4, seed=1, epoch=3))
    inside = list(data.as_source(X, Y).batches(4, seed=1, epoch=3, shuffle=True))
    assert len(by_hand) == len(inside) == 6
    for (x, y), (u, v, w) in zip(by_hand, inside):
        assert x.tobytes() == u.tobytes() and y.tobytes() == v.tobytes() and w is None
        assert x.dtype == y.dtype == np.float32


def test_without_targets_x_comes_alone():
    (x,) = data.batches(np.arange(6).reshape(3, 2), batch_size=8, shuffle=False)
    np.testing.assert_array_equal(x, [[0, 1], [2, 3], [4, 5]])
    assert x.dtype == np.float32


def test_dtype_is_that_of_the_model():
    x, y, w = next(data.batches([[1, 2]], [0.5], sample_weight=[2], dtype="float64"))
    assert x.dtype == y.dtype == w.dtype == np.float64


def test_unshuffled_batches_of_the_right_type_are_views():
    X, Y = np.ones((10, 3), np.float32), np.ones(10, np.float32)
    for x, y in data.batches(X, Y, 4, shuffle=False):
        assert np.shares_memory(x, X) and np.shares_memory(y, Y)
    shuffled, _ = next(data.batches(X, Y, 4))
    assert not np.shares_memory(shuffled, X)


def test_a_generator_is_passed_on():
    given_batches = [(np.full((2, 2), i), np.array([i, i])) for i in range(3)]
    found = list(data.batches(iter(given_batches)))
    assert [int(y[0]) for _, y in found] == [0, 1, 2]
    assert all(x.dtype == np.float32 for x, _ in found)


def test_bad_data_is_refused_at_the_call():
    with pytest.raises(ValueError, match="x has 3, y has 2"):
        data.batches(np.zeros((3, 1)), np.zeros(2))
    with pytest.raises(ValueError, match=r"needs a seed, got seed=None; pass e.g. seed=0"):
        data.batches(np.zeros((3, 1)), np.zeros(3), seed=None)


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "32", None])
def test_batch_size_is_a_whole_number(size):
    with pytest.raises(ValueError, match=r"batch_size must be a whole number of at least 1, got .*batch_size=32"):
        data.batches(np.zeros((3, 1)), np.zeros(3), size)


def test_a_numpy_integer_is_a_batch_size():
    assert len(list(data.batches(np.zeros((3, 1)), np.zeros(3), np.int64(2)))) == 2


@pytest.mark.parametrize("dtype", ["float16", "int32", "complex64"])
def test_the_type_is_float32_or_float64(dtype):
    with pytest.raises(TypeError, match=f"float32 or float64, got dtype='{dtype}'"):
        data.batches(np.zeros((3, 1)), np.zeros(3), dtype=dtype)


@pytest.mark.parametrize("form", (dict, tuple))
def test_several_inputs_and_outputs_keep_their_form(rng, form):
    """What `fit` sees, batch for batch: rows of all parts go together, indices stay whole."""
    x = {"a": rng.normal(size=(7, 2)), "b": np.arange(7, dtype="int32")}
    y, w = {"c": np.arange(7.0) / 2, "d": np.arange(7)}, {"c": rng.random(7), "d": rng.random(7)}
    if form is tuple:
        x, y, w = (tuple(part.values()) for part in (x, y, w))
    rows = order(7, 3, 1)
    for start, (xs, ys, ws) in zip((0, 3, 6), batches(x, y, 3, seed=3, epoch=1, sample_weight=w, dtype="float64")):
        for those, came in ((x, xs), (y, ys), (w, ws)):
            assert type(came) is form
            pairs = zip(those.values(), came.values()) if form is dict else zip(those, came)
            for whole, part in pairs:
                np.testing.assert_array_equal(part, whole[rows[start : start + 3]])
    for xs, ys in batches(x, np.arange(7), 4, shuffle=False):
        assert type(xs) is form and [part.dtype.name for part in (xs.values() if form is dict else xs)] == [
            "float32",
            "int32",
        ]
        assert ys.shape in ((4,), (3,))
    (alone,) = batches(x, batch_size=7, shuffle=False)
    assert type(alone) is form
    labels = tuple(range(7))  # of Python's numbers: one array, like a list
    np.testing.assert_array_equal(next(batches(x, labels, 7, shuffle=False))[1], labels)
    one = next(batches(np.zeros((7, 1)), y, 7, sample_weight=np.ones(7)))
    assert one[0].shape == (7, 1) and type(one[1]) is form and one[2].shape == (7,)
    with pytest.raises(ValueError, match="expected one row each a sample, but x"):
        batches({"a": np.zeros((3, 1)), "b": np.zeros((4, 1))}, np.zeros(3))


def test_the_type_says_whether_x_are_indices():
    y, whole = np.zeros(3), np.arange(3, dtype="int32")
    for x, integers, expected in (
        (whole, None, "int32"), (whole, False, "float32"), (np.arange(3), None, "float32"),
        (np.arange(3), True, "int64"),
        (np.arange(3, dtype="uint8"), None, "float32"), ([1, 2, 3], None, "float32"), (np.arange(3.0), True, "int64"),
        (lambda: iter([(whole, y)]), None, "int32"), (Mapped(lambda *xy: xy[:2], whole, y), None, "int32"),
    ):  # fmt: skip
        target = None if callable(x) or isinstance(x, Mapped) else y
        (batch,) = batches(x, target, 3, shuffle=False, integers=integers)
        assert batch[0].dtype == expected


def test_which_of_several_inputs_are_indices():
    x, y, floating = {"a": np.arange(3), "b": np.arange(3)}, np.zeros(3), ["float32", "float32"]
    for integers, kinds in (({"b": True}, ["float32", "int64"]), (True, ["int64", "int64"]), (None, floating)):
        (batch,) = batches(x, y, 3, integers=integers)
        assert [part.dtype.name for part in batch[0].values()] == kinds
    (batch,) = batches(tuple(x.values()), y, 3, integers=(True, False))
    assert [part.dtype.name for part in batch[0]] == ["int64", "float32"]


def test_weights_of_steps_follow_their_rows(rng):
    x, y, w = np.arange(5.0)[:, None], rng.integers(0, 3, (5, 4)), rng.random((5, 4)).astype("float32")
    rows = order(5, 0, 0)
    found = list(batches(x, y, 2, sample_weight=w))
    np.testing.assert_array_equal(np.concatenate([part for *_, part in found]), w[rows])
