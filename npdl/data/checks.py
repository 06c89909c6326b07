"""Checks of training data: every error names the argument, what was expected, what came, and the fix."""

import contextlib
import numbers
import operator
from typing import Any

import numpy as np

from npdl.devices.opaque import OpaqueArray

SCANNED = 1 << 17  # elements looked at in one go by `finite`: they stay in the cache, and no temporary is large
ENCODE = {
    "x": "encode the column as numbers, e.g. codes = np.unique(column, return_inverse=True)[1], "
    "then npdl.utils.to_categorical(codes); texts by npdl.layers.TextVectorization",
    "y": "encode the labels as numbers, e.g. classes, y = np.unique(y, return_inverse=True)",
}


def batch_size(value):
    """`value` as a whole number of at least 1."""
    whole = None
    if not isinstance(value, (bool, np.bool_)):
        with contextlib.suppress(TypeError):
            whole = operator.index(value)
    if whole is None or whole < 1:
        raise ValueError(f"batch_size must be a whole number of at least 1, got {value!r}; pass e.g. batch_size=32")
    return whole


def fraction(value):
    """A share of the rows, between 0 and 1."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 < float(value) < 1:
        raise ValueError(f"validation_split must lie between 0 and 1, got {value!r}; pass e.g. validation_split=0.1")
    return float(value)


def float_dtype(value):
    """float32 or float64."""
    dtype = np.dtype(value)
    if dtype not in (np.float32, np.float64):
        raise TypeError(f'npdl works in float32 or float64, got dtype={dtype.name!r}; pass dtype="float32"')
    return dtype


def lengths(**parts):
    """All parts that are there have the same number of rows."""
    counts = {name: len(part) for name, part in parts.items() if part is not None}
    if len(set(counts.values())) > 1:
        had = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise ValueError(f"expected one row each a sample, but {had}; pass arrays of one length, e.g. y[:len(x)]")


def rows(array, name, where=""):
    """There is a first axis of samples, and something in it."""
    if array.ndim == 0:
        raise ValueError(
            f"{name}{where} is a single number, expected an array whose first axis counts samples; "
            f"pass e.g. np.reshape({name}, (1, 1))"
        )
    if array.size == 0:
        raise ValueError(
            f"{name}{where} is empty: its shape is {array.shape}; pass at least one sample and one feature"
        )


def weights_fit(w, y, count, where=""):
    """Sample weights are (count,), or of as many leading axes as targets have steps or pixels."""
    if w.ndim == 1 and len(w) == count:
        return
    steps = y is not None and y.ndim > 1 and max(w.shape[1:], default=1) > 1
    if not steps:
        raise ValueError(
            f"sample_weight{where} has shape {w.shape}, expected one weight a row: ({count},); "
            "pass sample_weight.reshape(-1) if that is what it holds"
        )
    if w.shape != y.shape[: w.ndim]:
        raise ValueError(
            f"sample_weight{where} has shape {w.shape}, expected one weight a row, ({count},), or the leading axes of "
            f"y, which has shape {y.shape}: a weight for each step or pixel; pass e.g. "
            f"np.broadcast_to(weights, {y.shape[:2]})"
        )


def not_an_array(value, name):
    """Refuse containers that look like arrays and are none."""
    if type(value) is np.ndarray:
        return
    if isinstance(value, (str, bytes)):
        raise TypeError(f"{name} is text ({value[:40]!r}), expected an array of numbers; load the file first")
    if isinstance(value, OpaqueArray):
        raise TypeError(f"{name} lies on a device, expected a host array; pass device.to_host({name})")
    if isinstance(value, dict):
        keys = ", ".join(map(repr, list(value)[:5]))
        fix = (
            "weights by class are class_weight={...}"
            if name == "sample_weight"
            else f"pass one array, e.g. np.stack(list({name}.values()), axis=1)"
        )
        raise TypeError(f"{name} is a dict with keys {keys}, expected an array; {fix}")
    if isinstance(value, (set, frozenset)):
        raise TypeError(f"{name} is a set, which has no order, expected an array; pass sorted({name})")
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a masked array, and npdl would train on the masked values; pass {name}.filled(0), "
            f"or only the rows without masked values"
        )
    if hasattr(value, "toarray") and hasattr(value, "nnz"):
        raise TypeError(f"{name} is a sparse matrix, expected a dense array; pass {name}.toarray()")


def numeric(array, name, where="", columns=None):
    """`array` if it holds numbers (an object array that holds nothing else is converted).

    Args:
        columns: names of the last axis' columns, for the message.
    """
    kind = array.dtype.kind
    if kind in "biuf":
        return array
    if kind == "O":
        return _from_objects(array, name, where, columns)
    if kind in "UST":
        first = np.unravel_index(0, array.shape) if array.size else ()
        raise TypeError(_text(array[first], name, place(name, first, columns, where)))
    if kind == "c":
        raise TypeError(
            f"{name}{where} is complex ({array.dtype}), expected real numbers; pass np.abs({name}), "
            f"or np.stack([{name}.real, {name}.imag], axis=-1)"
        )
    if kind in "Mm":
        raise TypeError(
            f"{name}{where} holds dates or times ({array.dtype}), expected numbers; "
            f"pass e.g. ({name} - {name}.min()) / np.timedelta64(1, 'D')"
            if kind == "M"
            else f"{name}{where} holds time spans ({array.dtype}), expected numbers; "
            f"pass e.g. {name} / np.timedelta64(1, 's')"
        )
    raise TypeError(
        f"{name}{where} has dtype {array.dtype}, expected numbers; of a structured array "
        f"pass numpy.lib.recfunctions.structured_to_unstructured({name})"
    )


def ragged(values, name, where=""):
    """Raise for a nested list whose rows differ in shape: say which row."""
    shapes = [_shape(value) for value in values]
    expected = shapes[0] if shapes else None
    for row, shape in enumerate(shapes):
        if shape is None:
            raise ValueError(f"{name}[{row}]{where} is a ragged list itself; pad or cut its rows to one length")
        if shape != expected:
            raise ValueError(
                f"the rows of {name}{where} differ: {name}[0] has shape {expected}, {name}[{row}] has shape {shape}; "
                "pad or cut them to one shape"
            )
    raise ValueError(f"{name}{where} cannot be made into one array; pass np.array(...) of equal rows")


def whole_numbers(array, name, where=""):
    """Whole numbers, of whatever type.

    Raises:
        ValueError: one is not whole, or NaN; the message names the first.
    """
    if array.dtype.kind != "f":
        return
    broken = np.flatnonzero((array != np.rint(array)) | ~np.isfinite(array))
    if len(broken):
        place = list(map(int, np.unravel_index(broken[0], array.shape)))
        raise ValueError(
            f"{name}{where} goes to a layer that reads indices, and {name}{place} is "
            f"{array.reshape(-1)[broken[0]]}, which is not a whole number; pass {name}.astype('int32')"
        )


def finite(array, name, dtype, where="", columns=None, numbers_of_rows=None):
    """No NaN, no infinity, and nothing that would become one in `dtype`.

    Args:
        array: with a first axis of samples.
        dtype: what it is going to be converted to.
        numbers_of_rows: the row numbers to name, where `array` is a part of more.
    """
    if array.dtype.kind != "f":
        return
    limit = min(float(np.finfo(dtype).max), float(np.finfo(array.dtype).max))
    step = max(1, SCANNED // max(1, array[0].size))
    for start in range(0, len(array), step):
        part = array[start : start + step]
        with np.errstate(invalid="ignore"):
            low, high = float(part.min()), float(part.max())
        if not (-limit <= low and high <= limit):  # NaN is neither
            _report(array, start, step, limit, name, dtype, where, columns, numbers_of_rows)


def unseen(train, held_out):
    """A warning where the targets look sorted, so that the held-out rows are of another kind; else ""."""
    if train is None:
        return ""
    train, held_out = (_labels(part) for part in (train, held_out))
    if train.ndim != 1 or len(train) < 2 or train.dtype.kind not in "biuf":
        return ""
    shuffle = "shuffle before: rows = np.random.default_rng(0).permutation(len(x)); x, y = x[rows], y[rows]"
    if train.dtype.kind != "f":
        known = np.unique(train)
        missing = np.setdiff1d(held_out, known)
        classes = len(known) + len(missing)
        if len(missing) and classes * 2 <= len(train) + len(held_out):  # else they count something, and are no classes
            said = f"{', '.join(map(str, missing[:5]))}{' ...' if len(missing) > 5 else ''}"
            return f"warning: no row to train on has label {said}: the targets look sorted; {shuffle}"
    both = np.concatenate([train, held_out])
    if both[0] != both[-1] and (np.all(both[1:] >= both[:-1]) or np.all(both[1:] <= both[:-1])):
        return f"warning: the targets are sorted, so the held-out rows are unlike the others; {shuffle}"
    return ""


def place(name, index, columns=None, where=""):
    """`x[3, 2] (column 'age')`"""
    said = f"{name}[{', '.join(map(str, index))}]{where}" if len(index) else f"{name}{where}"
    return f"{said} (column {columns[index[-1]]!r})" if columns is not None and len(index) == 2 else said


def _labels(y):
    """Class numbers of one-hot rows; of (N, 1) the column; whole numbers as integers; anything else as it is."""
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 1 and y.dtype.kind == "f" and np.all(y == np.rint(y)):
        return y.astype(np.int64)
    if y.ndim == 2 and np.all((y == 0) | (y == 1)) and np.all(y.sum(axis=1) == 1):
        return y.argmax(axis=1)
    return y


def _shape(value):
    try:
        return np.shape(value)
    except ValueError:
        return None


def _from_objects(array, name, where, columns):
    try:
        rebuilt = np.array(array.tolist())
    except ValueError:
        return ragged(array.tolist(), name, where)
    if rebuilt.dtype.kind in "biuf":
        return rebuilt
    for index in np.ndindex(array.shape):
        value = array[index]
        if isinstance(value, (numbers.Real, np.bool_)):
            continue
        at = place(name, index, columns, where)
        if isinstance(value, (str, bytes)):
            raise TypeError(_text(value, name, at))
        if type(value).__name__ in ("NoneType", "NAType", "NaTType"):
            raise TypeError(f"{at} is missing ({value!r}); drop such rows, or fill them, e.g. frame.fillna(0)")
        if hasattr(value, "isoformat"):
            raise TypeError(f"{at} is {value!r}: a date or time, expected a number; pass the time since a fixed day")
        raise TypeError(
            f"{at} is {value!r} ({type(value).__name__}), expected a number; {name} has dtype object: "
            f'pass e.g. {name}.astype("float32")'
        )
    raise TypeError(f'{name}{where} has dtype object, expected numbers; pass e.g. {name}.astype("float32")')


def _text(value, name, at):
    value = value.item() if isinstance(value, np.generic) else value
    return f"{at} is {value!r}: text, expected a number; {ENCODE.get(name, ENCODE['x'])}"


def _report(array, start, step, limit, name, dtype, where, columns, numbers_of_rows):
    """Count what is not finite, from row `start` on, and raise."""
    nan = infinite = large = bad_rows = 0
    first: Any = None
    for begin in range(start, len(array), step):
        part = array[begin : begin + step]
        bad = ~(np.abs(part) <= limit)
        if not bad.any():
            continue
        nan += int(np.isnan(part).sum())
        infinite += int(np.isinf(part).sum())
        bad_rows += int(bad.reshape(len(part), -1).any(axis=1).sum())
        large += int(bad.sum()) - int(np.isnan(part).sum()) - int(np.isinf(part).sum())
        if first is None:
            index = np.unravel_index(int(bad.argmax()), bad.shape)
            row = begin + int(index[0])
            first, value = (row, *map(int, index[1:])), part[index]
    if numbers_of_rows is not None:
        first = (int(numbers_of_rows[first[0]]), *first[1:])
    counts = [(nan, "NaN"), (infinite, "infinite"), (large, f"beyond the range of {np.dtype(dtype).name}")]
    found = ", ".join(f"{count} {kind}" for count, kind in counts if count)
    rows_fit = {1: f"np.isfinite({name})", 2: f"np.isfinite({name}).all(axis=1)"}.get(
        array.ndim, f"np.isfinite({name}).reshape(len({name}), -1).all(axis=1)"
    )
    fix = (
        f"drop such rows: keep = {rows_fit}; {name} = {name}[keep] (and the other arrays alike), "
        f"or fill them: {name} = np.nan_to_num({name})"
        if nan or infinite
        else f"scale {name} down"
    )
    raise ValueError(
        f"{name}{where} holds values that are not finite ({found}; {bad_rows} of {len(array)} rows); "
        f"the first is {place(name, first, columns, where)} = {value}; {fix}"
    )
