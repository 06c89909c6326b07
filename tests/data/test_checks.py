"""Bad data: each error names the argument, what was expected, what came, and the fix."""

import datetime
import tracemalloc

import numpy as np
import pytest

from npdl.data import as_source

X, Y = np.zeros((4, 3)), np.arange(4)


def refuses(error, match, x=X, y=Y, sample_weight=None, **options):
    with pytest.raises(error, match=match):
        as_source(x, y, sample_weight, **options)


def test_missing():
    refuses(ValueError, "x is missing; pass an array", x=None)
    refuses(ValueError, r"y is missing: .*pass fit\(x, y\)", y=None)


@pytest.mark.parametrize("empty", [np.zeros((0, 3)), np.zeros((4, 0)), []])
def test_empty(empty):
    refuses(ValueError, r"x is empty: its shape is \(.*0.*\); pass at least one sample", x=empty)


def test_empty_collections_and_streams():
    class Nothing:
        def __len__(self):
            return 0

        def __getitem__(self, row):
            raise IndexError(row)

    refuses(ValueError, "x is empty: a Nothing of length 0", x=Nothing(), y=None)
    refuses(ValueError, "x is empty: a Nothing of length 0", x=Nothing(), y=[1])
    with pytest.raises(ValueError, match="the data gave no batch: they are empty"):
        as_source(iter([])).first(1)


def test_single_numbers():
    refuses(ValueError, "x is a single number, expected an array whose first axis counts samples", x=np.array(3.0))
    refuses(ValueError, "x is a single number", x=3.0)
    refuses(ValueError, "y is a single number", y=1)


def test_unequal_lengths():
    refuses(ValueError, "x has 4, y has 3; pass arrays of one length", y=[0, 1, 2])
    refuses(ValueError, "x has 4, y has 4, sample_weight has 2", sample_weight=[1, 1])


def test_weights_are_one_a_row():
    refuses(
        ValueError, r"sample_weight has shape \(4, 1\), expected one weight a row: \(4,\).*reshape\(-1\)",
        sample_weight=np.ones((4, 1)),
    )  # fmt: skip
    refuses(TypeError, "sample_weight is a dict with keys 0, 1, .*class_weight={...}", sample_weight={0: 1, 1: 2})
    refuses(
        ValueError, "sample_weight weighs the loss, which needs targets", y=None, sample_weight=Y, for_prediction=True
    )
    refuses(ValueError, r"sample_weight\[1\] = nan", sample_weight=[1, np.nan, 1, 1])
    refuses(ValueError, r"not negative, got -0\.5 at row 2; a weight of 0", sample_weight=[1, 1, -0.5, 1])


# ---- what is no number


def test_text():
    encode = r"text, expected a number; encode the column as numbers.*npdl.utils.to_categorical"
    refuses(TypeError, r"x\[0, 0\] is 'red': " + encode, x=[["red", "1"]] * 4)
    refuses(TypeError, r"x\[1, 2\] is 'red': " + encode, x=np.array([[1, 2, 3], [4, 5, "red"]], dtype=object))
    refuses(TypeError, r"y\[0\] is 'cat': text, .*encode the labels.*classes, y = np.unique", y=["cat", "dog"] * 2)
    refuses(TypeError, "x is text", x="data.csv")
    refuses(TypeError, r"x\[0, 0\] is b'a'", x=np.array([[b"a"]]))


def test_text_in_a_data_frame_names_the_column():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"age": [1, 2], "city": ["Rome", "Oslo"]})
    refuses(TypeError, r"x\[0, 1\] \(column 'city'\) is 'Rome': text", x=frame, y=[0, 1])
    refuses(TypeError, r"y\[0\] is 'Rome'", x=[[1], [2]], y=frame["city"])
    missing = pandas.DataFrame({"age": pandas.array([1, None], dtype="Int64"), "tall": [1.5, 2.5]})
    refuses(TypeError, r"x\[1, 0\] \(column 'age'\) is missing \(<NA>\); drop such rows, or fill", x=missing, y=[0, 1])
    nan = pandas.DataFrame({"age": [1.0, np.nan]})
    refuses(ValueError, r"the first is x\[1, 0\] \(column 'age'\) = nan", x=nan, y=[0, 1])


def test_objects():
    refuses(TypeError, r"x\[0, 1\] is missing \(None\)", x=[[1, None]] * 4)
    refuses(
        TypeError,
        r"x\[0, 0\] is datetime.*: a date or time, expected a number; pass the time since a fixed day",
        x=[[datetime.date(2020, 1, 1)]] * 4,
    )
    x, _, _ = next(as_source(np.array([[1, True, 2.5]], dtype=object), [0]).batches(4))
    np.testing.assert_array_equal(x, [[1, 1, 2.5]])


def test_complex_dates_and_structures():
    refuses(TypeError, r"x is complex \(complex128\), expected real numbers; pass np.abs\(x\)", x=X + 1j)
    refuses(TypeError, r"y holds dates or times .*np.timedelta64\(1, 'D'\)", y=np.array(["2020-01-01"] * 4, "M8[D]"))
    refuses(TypeError, r"x holds time spans .*np.timedelta64\(1, 's'\)", x=np.zeros((4, 1), "m8[s]"))
    refuses(TypeError, "structured_to_unstructured", x=np.zeros(4, [("a", "f4"), ("b", "f4")]))


def test_containers_that_are_no_arrays():
    refuses(TypeError, r"x is a masked array.*x.filled\(0\)", x=np.ma.masked_invalid(X))
    refuses(TypeError, "x is a dict with keys 'a', expected an array", x={"a": [1]})
    refuses(TypeError, r"y is a set, which has no order", y={1, 2})
    refuses(TypeError, "x is of type object, expected an array or an iterable of batches", x=object())


def test_sparse():
    sparse = pytest.importorskip("scipy.sparse")
    refuses(TypeError, r"x is a sparse matrix, expected a dense array; pass x.toarray\(\)", x=sparse.csr_matrix(X))
    refuses(TypeError, r"y.toarray\(\)", y=sparse.coo_array(X))


def test_ragged():
    refuses(
        ValueError,
        r"the rows of x differ: x\[0\] has shape \(2,\), x\[2\] has shape \(1,\); pad",
        x=[[1, 2], [3, 4], [5]],
    )
    refuses(ValueError, r"x\[0\] is a ragged list itself", x=[[[1], [2, 3]], [[1], [2, 3]]])
    rows = np.empty(2, object)
    rows[:] = [[1, 2], [3]]
    refuses(ValueError, r"x\[1\] has shape \(1,\)", x=rows)
    refuses(ValueError, r"x\[1\] has shape \(2, 2\)", x=[np.zeros((3, 3)), np.zeros((2, 2))])


# ---- not finite


def test_nan_and_infinity():
    x = np.zeros((100, 5), np.float32)
    x[17, 3], x[17, 4], x[40, 0] = np.nan, np.inf, -np.inf
    refuses(
        ValueError,
        r"x holds values that are not finite \(1 NaN, 2 infinite; 2 of 100 rows\); the first is x\[17, 3\] = nan; "
        r"drop such rows: keep = np.isfinite\(x\).all\(axis=1\); x = x\[keep\].*np.nan_to_num\(x\)",
        x=x, y=np.zeros(100),
    )  # fmt: skip
    refuses(
        ValueError,
        r"y holds .*\(1 NaN; 1 of 4 rows\); the first is y\[2\] = nan.*np.isfinite\(y\);",
        y=[0, 1, np.nan, 2],
    )


def test_images_name_the_pixel():
    x = np.zeros((3, 4, 4, 2))
    x[2, 1, 3, 0] = np.inf
    refuses(ValueError, r"x\[2, 1, 3, 0\] = inf; .*reshape\(len\(x\), -1\).all\(axis=1\)", x=x, y=[0, 1, 2])


def test_what_float32_cannot_hold():
    x = X.copy()
    x[1, 1] = 1e300
    refuses(ValueError, r"\(1 beyond the range of float32; 1 of 4 rows\).*x\[1, 1\] = 1e\+300; scale x down", x=x)
    assert next(as_source(x, Y, dtype="float64").batches(4))[0][1, 1] == 1e300
    for dtype in (np.float16, np.float32):
        top = np.full((4, 1), np.finfo(dtype).max, dtype)
        for model in ("float32", "float64"):
            assert as_source(top, Y, dtype=model).size == 4


def test_the_row_of_a_late_chunk_is_named():
    x = np.zeros((300_000, 2), np.float32)
    x[299_998, 1] = np.nan
    refuses(ValueError, r"x\[299998, 1\] = nan", x=x, y=np.zeros(300_000))


def test_the_scan_makes_no_large_temporary():
    x, y = np.zeros((4000, 1000), np.float32), np.zeros(4000, np.float32)
    tracemalloc.start()
    as_source(x, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < x.nbytes / 8


# ---- batches


def test_batches_are_named():
    bad = np.array([[0.0], [np.nan]])
    good = (np.zeros((2, 1)), [0, 1])
    with pytest.raises(ValueError, match=r"x of batch 1 holds values .* the first is x\[1, 0\] of batch 1 = nan"):
        list(as_source(iter([good, (bad, [0, 1])])).batches(1))
    with pytest.raises(ValueError, match="x of batch 0 has 2, y of batch 0 has 3"):
        list(as_source(iter([(np.zeros((2, 1)), [0, 1, 2])])).batches(1))
    with pytest.raises(ValueError, match=r"the data of batch 0 are x alone, without targets; give \(x, y\)"):
        list(as_source(iter([np.zeros((2, 1))])).batches(1))
    with pytest.raises(TypeError, match="the data of batch 0 are a dict with keys 'image', 'label', expected a tuple"):
        list(as_source(iter([{"image": 1, "label": 2}])).batches(1))
    with pytest.raises(ValueError, match="the data of batch 0 have 4 parts"):
        list(as_source(iter([(X, Y, Y, Y)])).batches(1))


def test_what_cannot_stand_beside_batches():
    refuses(ValueError, r"x \(list_iterator\) gives batches, so y cannot be passed beside it", x=iter([(X, Y)]))
    refuses(ValueError, "so sample_weight cannot be passed beside it", x=[(X, Y)], y=None, sample_weight=Y)


def test_functions_return_iterables():
    with pytest.raises(TypeError, match="the function passed as x returned a tuple, expected an iterable of batches"):
        as_source(lambda: (X, Y)).first(1)


def test_bad_rows_on_request_are_named():
    class Rows:
        def __len__(self):
            return 4

        def __getitem__(self, row):
            return [0.0, np.nan if row == 2 else 1.0]

    with pytest.raises(ValueError, match=r"x\[2, 1\] = nan"):
        list(as_source(Rows(), Y).batches(3, seed=0, shuffle=True))
