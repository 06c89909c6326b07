"""From what users hold (lists, DataFrames, tensors ...) to NumPy arrays of numbers."""

import numpy as np

from npdl.data import checks


def in_memory(value):
    """Whether `value` is an array, or lends its memory as one; lists and single numbers too."""
    return isinstance(value, (np.ndarray, np.generic, list, tuple, int, float)) or any(
        hasattr(value, name) for name in ("to_numpy", "__array_interface__", "__dlpack__")
    )


def is_whole(value):
    """Whether an array, or the first of a list of them, says by its type that it holds indices: int32.

    That is what `npdl.utils.pad_sequences` gives, and nobody gets by chance. Images are uint8; int64 is what NumPy
    makes of any whole numbers: both become floating-point numbers.
    """
    if isinstance(value, list) and value:
        value = value[0]
    return str(getattr(value, "dtype", "")) in ("int32", "torch.int32")


def is_indexable(value):
    """Whether rows can be asked for one by one."""
    return hasattr(value, "__len__") and hasattr(value, "__getitem__")


def as_array(value, name, where=""):
    """A host array of numbers with a first axis of samples; `value` itself where it is one.

    Args:
        value: array, nested list, DataFrame, Series, tensor, or an object with `__len__` and `__getitem__`.
        name: of the argument, for errors.
        where: added to the name, e.g. " of batch 3".

    Raises:
        TypeError, ValueError: it holds something else than real numbers, is ragged or empty.
    """
    checks.not_an_array(value, name)
    if hasattr(value, "to_numpy"):
        array = value.to_numpy()
    elif not isinstance(value, (list, tuple)) and (in_memory(value) or hasattr(value, "__array__")):
        array = np.asarray(value)
    elif is_indexable(value):
        array = _from_rows([value[row] for row in range(len(value))], name, where)
    else:
        raise TypeError(f"{name}{where} is a {type(value).__name__}, expected an array; pass e.g. np.asarray({name})")
    array = checks.numeric(array, name, where, column_names(value))
    checks.rows(array, name, where)
    return array


def column_names(value):
    """The names of a DataFrame's columns, else None."""
    columns = getattr(value, "columns", None)
    return None if columns is None or callable(columns) else [str(column) for column in columns]


def target_dtype(dtype, floating):
    """What targets of `dtype` are trained on as: integers stay integers, everything else is `floating`.

    True and False become the labels 1 and 0; integers become int32 or int64, which the loss kernels read.
    """
    dtype = np.dtype(dtype)
    if dtype.kind not in "biu":
        return np.dtype(floating)
    return np.dtype(np.int32 if np.can_cast(dtype, np.int32) else np.int64)


def cast(array, dtype):
    """A C-contiguous array of `dtype`: the array itself where it is one."""
    return np.ascontiguousarray(array, dtype)


def scattered(array):
    """Whether the numbers of one row lie apart in memory, so that taking rows would be slow (Fortran order)."""
    return array.ndim > 1 and not array[:1].flags.c_contiguous


def take_rows(array, rows):
    """array[rows], of a slice or of row numbers."""
    if isinstance(rows, slice) or not (array.flags.c_contiguous and array.flags.aligned):
        return array[rows]
    return array.take(rows, axis=0)  # faster than array[rows]; would copy an array of another layout first


def _from_rows(values, name, where):
    if any(hasattr(value, "__array__") for value in values[:1]):
        values = [np.asarray(value) for value in values]
    try:
        return np.array(values)
    except ValueError:
        return checks.ragged(values, name, where)
