"""batches: the data as `fit` takes them, for a training loop written by hand."""

from npdl.data.convert import in_memory, is_whole
from npdl.data.mapped import Mapped
from npdl.data.recognise import as_source
from npdl.data.several import Names, is_structure, several_source


def batches(
    X, Y=None, batch_size=32, *, seed=0, epoch=0, shuffle=True, sample_weight=None, dtype="float32",
    integers=None,
):  # fmt: skip
    """The batches of one epoch: (x, y), or (x, y, w) where there are sample weights, or x alone without targets.

    They have the same bits and come in the same order as in epoch `epoch` of `fit` by a model with `seed`.

    Args:
        X, Y: arrays, lists, DataFrames, memmaps, or anything else that `fit` takes; they are never changed. For several
            inputs or outputs a dict or a tuple of them, or `Mapped` on such; a batch has the same form. A list is one
            array, row by row.
        batch_size: rows a batch; the last one has what is left.
        seed, epoch: the order is made from these two alone.
        shuffle: False takes the rows as they are.
        sample_weight: one weight a row, or one a step (N, T); of several outputs a dict or tuple of them, or one for
            all.
        dtype: of x, w and floating targets; integer labels stay integers.
        integers: whether x are whole numbers, for a model that begins with an Embedding: they stay int32 or int64.
            None: where their type is int32. Of several inputs also a dict or a tuple of that.

    Returns:
        an iterator of host arrays. Without shuffling they may be views of X: do not write into them.

    Raises:
        ValueError, TypeError: data that cannot be trained on, at the call and not at the first batch.

    >>> import numpy as np
    >>> X, Y = np.arange(10.0).reshape(5, 2), np.arange(5)
    >>> for x, y in batches(X, Y, batch_size=2, shuffle=False):
    ...     print(x.shape, y)
    (2, 2) [0 1]
    (2, 2) [2 3]
    (1, 2) [4]
    >>> for x, y in batches({"size": X, "word": Y.astype("int32")}, Y, batch_size=3, shuffle=False):
    ...     print(x["size"].dtype, x["word"], y)
    float32 [0 1 2] [0 1 2]
    float32 [3 4] [3 4]
    """
    given = X.data if isinstance(X, Mapped) else (X, Y, sample_weight)
    given = tuple(list(part) if isinstance(part, tuple) and not is_structure(part) else part for part in given)
    for_prediction = given[1] is None and (in_memory(given[0]) or isinstance(given[0], dict))
    if any(map(is_structure, given)):
        names = _names(*given[:2], integers)
        parts = (X, Y, sample_weight) if isinstance(X, Mapped) else given
        source = several_source(*parts, dtype, names, for_prediction)
        restored = _restored(names, *given)
    else:
        if integers is None and in_memory(given[0]):
            integers = is_whole(given[0])
        source, restored = as_source(X, Y, sample_weight, dtype, for_prediction, integers), _given
    return map(restored, source.batches(batch_size, seed=seed, epoch=epoch, shuffle=shuffle))


def _given(batch):
    x, y, w = batch
    if y is None:
        return x
    return (x, y) if w is None else (x, y, w)


def _names(x, y, integers):
    """The names of the inputs and outputs: their keys, or numbers."""
    lists = [
        list(part) if isinstance(part, dict) else range(len(part) if isinstance(part, tuple) else 1) for part in (x, y)
    ]
    parts = dict(zip(lists[0], x.values() if isinstance(x, dict) else x if isinstance(x, tuple) else [x]))
    given = integers if isinstance(integers, dict) else dict(enumerate(integers)) if isinstance(integers, tuple) else {}
    whole = {name: given.get(name) if isinstance(integers, (dict, tuple)) else integers for name in parts}
    return Names(*lists, [is_whole(part) if whole[name] is None else whole[name] for name, part in parts.items()])


def _restored(names, x, y, w):
    """A function that gives a batch in the form of the data."""

    def restored(batch):
        xs, ys, ws = batch
        weights = None
        if w is not None:
            weights = names.like(w, ws, "y") if isinstance(w, (dict, tuple)) else ws[0]
        return _given((names.like(x, xs, "x"), names.like(y, ys, "y"), weights))

    return restored
