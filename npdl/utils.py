"""Small helpers with Keras' names."""

import numbers

import numpy as np

from npdl import random
from npdl.data.batched import Batched
from npdl.data.directory import image_dataset_from_directory as image_dataset_from_directory
from npdl.data.pictures import array_to_img as array_to_img
from npdl.data.pictures import img_to_array as img_to_array
from npdl.data.pictures import load_img as load_img
from npdl.data.pictures import save_img as save_img
from npdl.data.timeseries import timeseries_dataset_from_array as timeseries_dataset_from_array


def to_categorical(x, num_classes=None):
    """Class numbers as rows of 0 and 1: y[..., c] = 1 where x = c.

    Args:
        x: whole numbers 0 ... C − 1, any shape; a last axis of one, as in (N, 1), is dropped.
        num_classes: C; None takes the largest number plus one.

    Returns:
        float32, shape (..., C).

    Raises:
        TypeError: x holds something other than whole numbers.
        ValueError: x is empty and num_classes is None, or a number lies outside 0 ... C − 1.

    >>> to_categorical([0, 2, 1])
    array([[1., 0., 0.],
           [0., 0., 1.],
           [0., 1., 0.]], dtype=float32)
    """
    x = np.asarray(x)
    if x.dtype.kind not in "iufb" or not np.all(np.isfinite(x) & (x == np.floor(x))):
        raise TypeError(
            f"to_categorical needs whole numbers, got dtype {x.dtype}, e.g. {x.reshape(-1)[:1].tolist()}; "
            "number the classes by np.unique(x, return_inverse=True)[1]"
        )
    x = x.astype(np.int64)
    if x.ndim > 1 and x.shape[-1] == 1:
        x = x[..., 0]
    if num_classes is None:
        if not x.size:
            raise ValueError("to_categorical got no class numbers; pass num_classes, e.g. num_classes=10")
        num_classes = int(x.max()) + 1
    wrong = np.unique(x[(x < 0) | (x >= num_classes)])
    if wrong.size:
        raise ValueError(
            f"class numbers lie in 0 ... {num_classes - 1}, got {', '.join(map(str, wrong[:5]))}; number the "
            f"classes from 0 (np.unique(x, return_inverse=True)[1]), or pass num_classes"
        )
    y = np.zeros((*x.shape, num_classes), np.float32)
    np.put_along_axis(y, x[..., None], 1, -1)
    return y


def pad_sequences(sequences, maxlen=None, dtype="int32", padding="pre", truncating="pre", value=0.0):
    """Sequences of different length as one array, with `value` where a sequence is shorter.

    Args:
        sequences: list of sequences; each is a list of numbers, or of arrays that are all of one shape.
        maxlen: T, the length that all get; None takes that of the longest.
        dtype: of the array.
        padding: "pre" or "post": on which side `value` goes. Layers that read masks take either.
        truncating: "pre" or "post": on which side of a longer sequence its end is cut off.
        value: what is put in.

    Returns:
        shape (N, T, ...).

    Raises:
        TypeError: not a list of sequences.
        ValueError: another padding or truncating, steps of different shapes, a maxlen below 0.

    >>> pad_sequences([[1, 2, 3], [4]])
    array([[1, 2, 3],
           [0, 0, 4]], dtype=int32)
    >>> pad_sequences([[1, 2, 3], [4]], maxlen=2, padding="post", truncating="post")
    array([[1, 2],
           [4, 0]], dtype=int32)
    """
    for name, given in (("padding", padding), ("truncating", truncating)):
        if given not in ("pre", "post"):
            raise ValueError(f'pad_sequences: {name} must be "pre" or "post", got {given!r}; pass e.g. {name}="post"')
    if not hasattr(sequences, "__len__") or not all(hasattr(one, "__len__") for one in sequences):
        raise TypeError(
            f"pad_sequences takes a list of sequences, got {sequences!r:.80}; pass e.g. pad_sequences([[1, 2], [3]])"
        )
    lengths = [len(one) for one in sequences]
    length = max(lengths, default=0) if maxlen is None else maxlen
    if length != int(length) or length < 0:
        raise ValueError(f"pad_sequences: maxlen must be a whole number of at least 0, got {maxlen!r}; pass maxlen=100")
    step = next((np.shape(one)[1:] for one in sequences if len(one)), ())
    padded = np.full((len(lengths), int(length), *step), value, dtype)
    for row, one in enumerate(sequences):
        kept = np.asarray(one[max(len(one) - length, 0) :] if truncating == "pre" else one[:length], dtype)
        if len(kept) and kept.shape[1:] != step:
            raise ValueError(
                f"pad_sequences: the steps of sequence {row} have shape {kept.shape[1:]}, those before it {step}; "
                "make them alike"
            )
        start = length - len(kept) if padding == "pre" else 0
        if len(kept):
            padded[row, start : start + len(kept)] = kept
    return padded


def normalize(x, axis=-1, order=2):
    """x over its norm along an axis: y = x / (Σ |x|^order)^(1/order), y = x where that is 0.

    Args:
        x: array of numbers.
        axis: along which.
        order: of the norm: 1, 2, np.inf, as of np.linalg.norm.

    >>> normalize(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    x = np.atleast_1d(x)
    norm = np.linalg.norm(x, order, axis, keepdims=True)
    return x / np.where(norm == 0, 1, norm)


def split_dataset(dataset, left_size=None, right_size=None, shuffle=False, seed=None):
    """Two parts of data: the first rows and the last ones, or with `shuffle` some and others.

    Args:
        dataset: an array, a tuple, list or dict of arrays of as many rows, e.g. (x, y), or `npdl.data.Batched`.
        left_size: rows of the first part, or a share between 0 and 1; None: what the second one leaves.
        right_size: the same of the second part; one of the two may be None.
        shuffle: whether the rows are put into a random order first.
        seed: of that order; None draws one.

    Returns:
        (left, right), each in the form of `dataset`: `fit(*left, validation_data=right)` of (x, y).

    Raises:
        ValueError: both sizes None, more rows than there are, an empty part, arrays of different length.

    >>> (x, y), (x_test, y_test) = split_dataset((np.arange(8).reshape(4, 2), np.arange(4)), left_size=0.75)
    >>> y, y_test
    (array([0, 1, 2]), array([3]))
    """
    several = dataset.values() if isinstance(dataset, dict) else dataset if isinstance(dataset, (tuple, list)) else ()
    parts = [part if hasattr(part, "shape") else np.asarray(part) for part in several] or [dataset]
    counts = {part.size if isinstance(part, Batched) else len(part) for part in parts}
    if len(counts) != 1:
        raise ValueError(f"split_dataset needs arrays of as many rows each, got {sorted(counts)} rows")
    total = counts.pop()
    left, right = (
        size if size is None or isinstance(size, numbers.Integral) else round(size * total)
        for size in (left_size, right_size)
    )
    if left is None and right is None:
        raise ValueError("split_dataset needs left_size or right_size; pass e.g. left_size=0.8")
    left = total - right if left is None else left
    right = total - left if right is None else right
    if left < 1 or right < 1 or left + right > total:
        raise ValueError(
            f"split_dataset: left_size={left_size} and right_size={right_size} make {left} and {right} rows of "
            f"{total}; both need at least one, and together no more than there are"
        )
    first, second = slice(0, left), slice(left, left + right)
    if shuffle:
        rows = random.permutation(random.key(random.draw_seed() if seed is None else seed, "split_dataset"), total)
        first, second = rows[first], rows[second]

    def of(chosen):
        numbers_of = np.arange(total)
        found = [part.part(numbers_of[chosen]) if isinstance(part, Batched) else part[chosen] for part in parts]
        if isinstance(dataset, dict):
            return dict(zip(dataset, found))
        return type(dataset)(found) if isinstance(dataset, (tuple, list)) else found[0]

    return of(first), of(second)
