"""Everything that `fit` takes, and what it makes of it."""

import itertools

import numpy as np
import pytest

from npdl.data import as_source

X = np.arange(24, dtype=np.float64).reshape(8, 3)
Y = np.arange(8)


class Rows:
    """Rows on request, and nothing else."""

    def __init__(self, items):
        self.items, self.asked = items, []

    def __len__(self):
        return len(self.items)

    def __getitem__(self, row):
        assert type(row) is int
        self.asked.append(row)
        return self.items[row]


class Iterable:
    """A new iterator each time, of known length."""

    def __init__(self, items):
        self.items, self.opened = items, 0

    def __len__(self):
        return len(self.items)

    def __iter__(self):
        self.opened += 1
        return iter(self.items)


def whole(source, batch_size=3, **options):
    """All batches joined; None where there is nothing."""
    parts = list(zip(*source.batches(batch_size, **options)))
    return tuple(None if part[0] is None else np.concatenate(part) for part in parts)


def assert_is_data(source, x=X, y=Y, **options):
    found_x, found_y, w = whole(source, **options)
    np.testing.assert_array_equal(found_x, x)
    np.testing.assert_array_equal(found_y, y)
    assert found_x.dtype == np.float32 and w is None


# ---- arrays of every kind


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "float16", "int8", "uint8", "int64", "uint32", "bool", ">f4", "<i2"]
)
def test_every_numeric_type_of_x(dtype):
    x = X.astype(dtype)
    before = x.copy()
    assert_is_data(as_source(x, Y), x.astype(np.float32))
    np.testing.assert_array_equal(x, before)


def test_layouts():
    fortran, read_only = np.asfortranarray(X), X.copy()
    read_only.flags.writeable = False
    for x in (fortran, read_only, np.repeat(X, 2, axis=1)[:, ::2], X[::-1][::-1], X.tolist(), tuple(map(tuple, X))):
        source = as_source(x, Y)
        assert_is_data(source)
        assert all(x.flags.c_contiguous for x, _, _ in source.batches(3, seed=0, shuffle=True))
        assert source.size == len(source) == 8 and source.x_shape == (3,)
    assert fortran.flags.f_contiguous and not read_only.flags.writeable


def test_a_c_contiguous_array_of_the_dtype_is_not_copied():
    x = X.astype(np.float32)
    source = as_source(x, Y)
    assert np.shares_memory(source.x, x)
    assert all(np.shares_memory(batch, x) for batch, _, _ in source.batches(3))


def test_images_keep_their_axes():
    x = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    source = as_source(x, [0, 1])
    assert source.x_shape == (4, 4, 3)
    np.testing.assert_array_equal(
        whole(source, seed=0, shuffle=True)[0][np.argsort(whole(source, seed=0, shuffle=True)[1])], x
    )


def test_memmap_stays_on_disk_and_is_checked_as_it_is_read(tmp_path):
    x = np.memmap(tmp_path / "x", np.float32, "w+", shape=(8, 3))
    x[:] = X
    source = as_source(x, Y)
    assert isinstance(source.x, np.ndarray) and np.shares_memory(source.x, x)
    assert_is_data(source)
    x[6, 1] = np.nan
    source = as_source(x, Y)
    assert np.isfinite(next(source.batches(3))[0]).all()
    with pytest.raises(ValueError, match=r"the first is x\[6, 1\] = nan"):
        whole(source, seed=0, shuffle=True)
    with pytest.raises(ValueError, match=r"the first is x\[6, 1\] = nan"):
        whole(source.split(0.5)[1])


def test_data_frames():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    labels = pandas.Series(Y, index=range(100, 108))
    assert_is_data(as_source(frame, labels))
    assert_is_data(as_source(frame.iloc[::-1], labels.iloc[::-1]), X[::-1], Y[::-1])
    mixed = pandas.DataFrame({"a": [1, 2], "b": [True, False], "c": [0.5, 1.5]})  # to_numpy gives objects
    np.testing.assert_array_equal(whole(as_source(mixed, [0, 1]))[0], [[1, 1, 0.5], [2, 0, 1.5]])
    nullable = pandas.DataFrame({"a": [1, 2], "b": [3, 4]}, dtype="Int64")
    np.testing.assert_array_equal(whole(as_source(nullable, [0, 1]))[0], [[1, 3], [2, 4]])
    one_column = as_source(frame, frame[["a"]])
    assert one_column.y.shape == (8, 1) and one_column.y.dtype == np.float32


def test_an_object_series_of_equal_lists_is_a_matrix():
    pandas = pytest.importorskip("pandas")
    assert_is_data(as_source(pandas.Series(X.tolist()), Y))


# ---- targets and weights


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("float64", "float32"), ("float16", "float32"), ("bool", "int32"), ("uint8", "int32"), ("int16", "int32"),
        ("int32", "int32"), ("uint32", "int64"), ("int64", "int64"), (">i4", "int32"),
    ],
)  # fmt: skip
def test_types_of_targets(given, expected):
    y = (Y % 2).astype(given)
    source = as_source(X, y)
    assert source.y.dtype == np.dtype(expected) and source.y.dtype.isnative
    assert whole(source)[1].dtype == np.dtype(expected)
    np.testing.assert_array_equal(whole(source)[1], y)


def test_lists_of_labels_and_of_numbers():
    assert as_source(X, list(range(8))).y.dtype == np.int64
    assert as_source(X, [0.5] * 8).y.dtype == np.float32
    assert as_source(X, np.eye(8)).y.shape == (8, 8)


def test_weights_follow_their_rows():
    source = as_source(X, Y, Y / 2)
    x, y, w = whole(source, seed=3, epoch=1, shuffle=True)
    assert w.dtype == np.float32
    np.testing.assert_array_equal(w, y / 2)
    np.testing.assert_array_equal(x, X[y])


def test_for_prediction_needs_no_targets():
    x, y, w = whole(as_source(X, for_prediction=True))
    np.testing.assert_array_equal(x, X)
    assert y is None and w is None


# ---- rows on request


def test_rows_are_read_when_their_batch_is_due():
    rows = Rows(X)
    source = as_source(rows, Y)
    assert rows.asked == [] and source.size == 8
    assert source.x_shape == (3,)
    rows.asked.clear()
    next(source.batches(3))
    assert rows.asked == [0, 1, 2]
    assert_is_data(source)
    x, y, _ = whole(source, seed=0, shuffle=True)
    np.testing.assert_array_equal(x, X[y])


def test_rows_for_prediction():
    np.testing.assert_array_equal(whole(as_source(Rows(X), for_prediction=True))[0], X)


def test_targets_on_request_are_read_at_once():
    assert_is_data(as_source(X, Rows(Y.tolist())))


def test_a_data_set_of_samples():
    items = Rows([(row, label) for row, label in zip(X, Y.tolist())])
    source = as_source(items)
    assert source.size == 8 and source.x_shape == (3,) and source.steps(3) == 3
    assert_is_data(source)
    x, y, _ = whole(source, seed=0, shuffle=True)
    np.testing.assert_array_equal(x, X[y])
    assert list(y) != list(Y)


def test_a_data_set_of_weighted_samples_splits():
    train, held_out, said = as_source(Rows([(x, y, y / 2) for x, y in zip(X, Y)])).split(0.25)
    np.testing.assert_array_equal(whole(train)[1], range(6))
    np.testing.assert_array_equal(whole(held_out)[2], [3, 3.5])
    assert said == "validation_split=0.25: rows 6 to 7 of 8 are held out"


@pytest.mark.parametrize("collection", [Rows, list])
def test_a_data_set_of_batches(collection):
    source = as_source(collection([(X[i : i + 3], Y[i : i + 3]) for i in (0, 3, 6)]))
    assert source.size is None and source.y is None and source.steps(1) == 3 and source.x_shape == (3,)
    assert_is_data(source)
    orders = {tuple(whole(source, seed=0, epoch=e, shuffle=True)[1]) for e in range(8)}
    assert orders <= {tuple(itertools.chain(*p)) for p in itertools.permutations([(0, 1, 2), (3, 4, 5), (6, 7)])}
    assert len(orders) > 1


def test_a_keras_data_set_gives_batches_and_is_told_of_the_end_of_an_epoch():
    told = []

    class PyDataset:
        __module__ = "keras.src.trainers.data_adapters.py_dataset_adapter"

        def __len__(self):
            return 2

        def on_epoch_end(self):
            told.append(True)

    class Mine(PyDataset):
        def __getitem__(self, number):
            return X[4 * number : 4 * number + 4], Y[4 * number : 4 * number + 4]

    source = as_source(Mine())
    assert_is_data(source)
    assert told == [True] and source.steps(32) == 2


# ---- iterables


def batches_of(size=3):
    for i in range(0, 8, size):
        yield X[i : i + size], Y[i : i + size]


def test_a_generator_is_used_once_and_then_says_so():
    source = as_source(batches_of())
    assert source.size is None and source.y is None and source.steps(32) is None
    assert source.x_shape == (3,)
    x, y, w = source.first(2)
    assert x.shape == (2, 3) and list(y) == [0, 1] and w is None
    assert_is_data(source)
    with pytest.raises(ValueError, match="an iterator that an earlier epoch has used up; pass a list of batches"):
        whole(source)


def test_an_endless_iterator_goes_on_where_it_stopped():
    source = as_source((np.full((2, 1), i), np.full(2, i)) for i in itertools.count())
    assert source.x_shape == (1,)
    first = [int(y[0]) for _, y, _ in itertools.islice(source.batches(32), 3)]
    second = [int(y[0]) for _, y, _ in itertools.islice(source.batches(32), 2)]
    assert (first, second) == ([0, 1, 2], [3, 4])


def test_an_iterable_begins_anew_each_epoch_and_is_not_opened_twice_for_a_look():
    loader = Iterable(list(batches_of()))
    source = as_source(loader)
    assert source.steps(32) == 3 and source.x_shape == (3,)
    source.first(1)
    assert_is_data(source)
    assert loader.opened == 1
    assert_is_data(source)
    assert loader.opened == 2


def test_a_function_is_called_each_epoch():
    source = as_source(batches_of)
    assert source.x_shape == (3,)
    for _ in range(3):
        assert_is_data(source)


def test_an_iterable_may_give_lists_and_weights():
    source = as_source(iter([[X, Y.astype(float), np.ones(8)]]))
    _, y, w = whole(source)
    assert y.dtype == w.dtype == np.float32


def test_an_iterable_for_prediction_may_give_x_alone_or_with_targets():
    for items in (
        [X[:4], X[4:]],
        [(X[:4], Y[:4]), (X[4:], Y[4:])],
        [(X[:4],), (X[4:],)],
        [X[:4].tolist(), X[4:].tolist()],
    ):
        np.testing.assert_array_equal(whole(as_source(iter(items), for_prediction=True))[0], X)


# ---- split


@pytest.mark.parametrize(("share", "at"), [(0.1, 900), (0.25, 750), (0.999, 1), (0.0005, 999)])
def test_split_holds_out_the_last_rows(share, at):
    x = np.random.default_rng(0).normal(size=(1000, 2)).astype(np.float32)
    y, w = np.arange(1000) * 7919 % 10, np.arange(1000.0)
    train, held_out, said = as_source(x, y, w).split(share)
    assert (len(train), len(held_out)) == (at, 1000 - at)
    np.testing.assert_array_equal(whole(held_out)[0], x[at:])
    np.testing.assert_array_equal(whole(train)[1], y[:at])
    np.testing.assert_array_equal(whole(train)[2], w[:at])
    assert np.shares_memory(train.x, x)
    assert said.splitlines()[0] == f"validation_split={share}: rows {at} to 999 of 1000 are held out"


def test_split_of_rows_on_request():
    train, held_out, _ = as_source(Rows(X), Y).split(0.25)
    again, last, _ = held_out.split(0.5)
    np.testing.assert_array_equal(whole(train)[0], X[:6])
    np.testing.assert_array_equal(whole(held_out)[0], X[6:])
    np.testing.assert_array_equal(whole(again)[0], X[6:7])
    np.testing.assert_array_equal(whole(last)[0], X[7:])


def split_text(y, share=0.2):
    return as_source(np.zeros((len(y), 1)), y).split(share)[2]


def test_split_warns_of_sorted_labels():
    labels = np.repeat(np.arange(10), 10)
    warning = "warning: no row to train on has label 8, 9: the targets look sorted; shuffle before: rows ="
    assert warning in split_text(labels)
    assert warning in split_text(labels[:, None])
    assert warning in split_text(np.eye(10)[labels])
    assert "is unlike" not in split_text(labels)
    assert "label 1:" in split_text(np.arange(100) > 49, 0.5)


def test_split_warns_of_sorted_numbers():
    assert "warning: the targets are sorted" in split_text(np.linspace(0, 1, 50))
    assert "warning: the targets are sorted" in split_text(np.linspace(1, 0, 50)[:, None])
    assert "warning: the targets are sorted" in split_text(np.arange(50))


def test_split_is_silent_about_shuffled_targets():
    rng = np.random.default_rng(0)
    for y in (
        rng.integers(0, 10, 200),
        rng.normal(size=100),
        rng.normal(size=(100, 3)),
        rng.permutation(100),
        np.ones(50),
    ):
        assert "warning" not in split_text(y)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, True, "0.1"])
def test_split_needs_a_share(share):
    with pytest.raises(ValueError, match=r"validation_split must lie between 0 and 1, got .*validation_split=0.1"):
        as_source(X, Y).split(share)


def test_split_must_leave_rows():
    with pytest.raises(ValueError, match="of 1 rows leaves 0 to train on and 1 to hold out"):
        as_source(X[:1], Y[:1]).split(0.5)


def test_split_refuses_batches():
    for source in (as_source(batches_of()), as_source(list(batches_of()))):
        with pytest.raises(ValueError, match="these data come as batches; pass validation_data"):
            source.split(0.1)


@pytest.mark.parametrize("shuffle", (False, True))
@pytest.mark.parametrize("dtype", ("float32", "float64", "uint8", "bool", ">f4"))
def test_batches_in_reused_memory_are_the_same(dtype, shuffle):
    x = (np.arange(60).reshape(10, 2, 3) % 7).astype(dtype)
    for array in (x, x[:, ::-1], np.asfortranarray(x)):
        source = as_source(array, np.arange(10))
        fresh = source.batches(4, seed=1, epoch=2, shuffle=shuffle)
        reused = source.batches(4, seed=1, epoch=2, shuffle=shuffle, reuse=True)
        addresses = set()
        for (a, y, _), (b, z, _) in zip(fresh, reused, strict=True):
            assert b.dtype == np.float32 and b.flags.c_contiguous
            np.testing.assert_array_equal(a, b)
            np.testing.assert_array_equal(y, z)
            addresses.add(b.ctypes.data)
        if array is x and (shuffle or dtype != "float32"):
            assert len(addresses) == 1
