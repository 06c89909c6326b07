"""as_source: which kind of source a user's data are."""

import numpy as np

from npdl.data import checks
from npdl.data.batched import Batched, BatchedSource
from npdl.data.convert import as_array, cast, column_names, in_memory, is_indexable, scattered, target_dtype
from npdl.data.mapped import Mapped, MappedSource
from npdl.data.sources import Arrays, Batches, Items, Stream, item_parts
from npdl.losses import check_sample_weight


def as_source(x, y=None, sample_weight=None, dtype="float32", for_prediction=False, integers=False):
    """The `Source` of what a user passes to `fit`, `evaluate` or `predict`; its input is never changed.

    What x may be:

    - an array, nested list, DataFrame, tensor or memmap, with y (and `sample_weight`) of as many rows. Read-only,
      Fortran-ordered and of any numeric type. A C-contiguous array of `dtype` is not copied; a memmap stays on disk.
    - with y, any object with `__len__` and `__getitem__`: `x[row]` is one sample, read when its batch is due.
    - without y, an object with `__len__` and `__getitem__` whose items are (x, y) or (x, y, w). Of a Keras PyDataset
      they are batches, of a torch Dataset samples. Of anything else (a list too) they are batches where x has at
      least two axes and y the same length as x, otherwise samples; where that is wrong, pass a generator of batches.
    - without y, an iterable of batches (x, y) or (x, y, w), an iterator, or a function without arguments that returns
      one.
    - `npdl.data.Batched`, as `npdl.utils.timeseries_dataset_from_array` returns it.
    - `npdl.data.Mapped`: any of these, each batch changed by a function.

    Args:
        x, y, sample_weight: the data.
        dtype: float32 or float64, what x, w and floating targets are converted to.
        for_prediction: whether targets are not needed; items may then be x alone.
        integers: whether x are whole numbers (indices): they stay int32 or int64.

    Raises:
        ValueError, TypeError: it cannot be trained on; the message names the argument, what came, and the fix.
    """
    source = _recognised(x, y, sample_weight, checks.float_dtype(dtype), for_prediction, integers)
    source.read_integers(integers)
    return source


def _recognised(x, y, sample_weight, dtype, for_prediction, integers):
    if x is None:
        raise ValueError("x is missing; pass an array of samples, or an iterable of batches (x, y)")
    checks.not_an_array(x, "x")
    need_y = not for_prediction
    if isinstance(x, Mapped) and y is None and sample_weight is None:
        return MappedSource(_recognised(*x.data, dtype, for_prediction, integers), x.functions, x.workers)
    if isinstance(x, Batched) and y is None and sample_weight is None:
        return BatchedSource(x, dtype, need_y)
    by_items = _gives_items(x, y, need_y)
    if not by_items and (in_memory(x) or is_indexable(x)):
        if y is None and need_y:
            raise ValueError("y is missing: training and evaluation need targets; pass fit(x, y)")
        return _with_targets(x, y, sample_weight, dtype, need_y, integers)
    if not by_items and not hasattr(x, "__iter__") and not callable(x):
        raise TypeError(f"x is of type {type(x).__name__}, expected an array or an iterable of batches; see npdl.data")
    for name, part in (("y", y), ("sample_weight", sample_weight)):
        if part is not None:
            raise ValueError(
                f"x ({type(x).__name__}) gives batches, so {name} cannot be passed beside it; "
                "let it give (x, y) or (x, y, sample_weight)"
            )
    if not by_items:
        return Stream(x, dtype, need_y)
    if len(x) == 0:
        raise ValueError(f"x is empty: a {type(x).__name__} of length 0; pass at least one sample")
    if _are_batches(x):
        return Batches(x, dtype, need_y)
    return Items(x, None, None, dtype, need_y, whole=True)


def _gives_items(x, y, need_y):
    """Whether x is an indexed collection of (x, y) tuples."""
    if y is not None or not is_indexable(x):
        return False
    if isinstance(x, (list, tuple)):
        return need_y and len(x) > 0 and isinstance(x[0], tuple) and len(x[0]) in (2, 3) and np.ndim(x[0][0]) > 0
    if in_memory(x):
        return False
    return need_y or (len(x) > 0 and isinstance(x[0], tuple)) or _ancestry(x) is not None


def _ancestry(items):
    """True for a Keras data set (of batches), False for torch's (of samples), None for anything else."""
    for parent in type(items).__mro__:
        library = parent.__module__.partition(".")[0]
        if library in ("keras", "tensorflow") and parent.__name__ in ("PyDataset", "Sequence"):
            return True
        if library == "torch":
            return False
    return None


def _are_batches(items):
    known = _ancestry(items)
    if known is not None:
        return known
    x, y, _ = item_parts(items[0], " of item 0")
    if y is None:
        return False
    x, y = np.shape(x), np.shape(y)
    return len(x) > 1 and len(y) > 0 and x[0] == y[0]


def _with_targets(x, y, w, dtype, need_y, integers):
    lazy = isinstance(x, np.memmap) or isinstance(y, np.memmap)
    if y is None and w is not None:
        raise ValueError("sample_weight weighs the loss, which needs targets; pass y too")
    columns = column_names(x)
    foreign = not in_memory(x)
    if not foreign:
        x = as_array(x, "x")
        if not lazy:
            checks.finite(x, "x", dtype, columns=columns)
            if scattered(x):
                x = np.ascontiguousarray(x, None if integers else dtype)
    elif len(x) == 0:
        raise ValueError(f"x is empty: a {type(x).__name__} of length 0; pass at least one sample")
    if y is not None:
        columns, y = column_names(y), as_array(y, "y")
        if not lazy:
            checks.finite(y, "y", dtype, columns=columns)
            y = cast(y, target_dtype(y.dtype, dtype))
    if w is not None:
        w = as_array(w, "sample_weight")
        checks.finite(w, "sample_weight", dtype)
        w = cast(w, dtype)
    checks.lengths(x=x, y=y, sample_weight=w)
    if w is not None:
        checks.weights_fit(w, y, len(x))
        check_sample_weight(w, w.shape)
    if foreign:
        return Items(x, y, w, dtype, need_y, whole=False)
    return Arrays(x, y, w, dtype, need_y, lazy)
