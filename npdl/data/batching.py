"""batches: the data as `fit` takes them, for a training loop written by hand."""

from npdl.data.convert import in_memory
from npdl.data.recognise import as_source


def batches(
    X, Y=None, batch_size=32, *, seed=0, epoch=0, shuffle=True, sample_weight=None, dtype="float32",
    integers=False,
):  # fmt: skip
    """The batches of one epoch: (x, y), or (x, y, w) where there are sample weights, or x alone without targets.

    They have the same bits and come in the same order as in epoch `epoch` of `fit` by a model with `seed`.

    Args:
        X, Y: arrays, lists, DataFrames, memmaps, or anything else that `fit` takes; they are never changed.
        batch_size: rows a batch; the last one has what is left.
        seed, epoch: the order is made from these two alone.
        shuffle: False takes the rows as they are.
        sample_weight: one weight a row.
        dtype: of x, w and floating targets; integer labels stay integers.
        integers: whether x are whole numbers, for a model that begins with an Embedding: they stay int32 or int64.

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
    """
    source = as_source(X, Y, sample_weight, dtype, for_prediction=Y is None and in_memory(X), integers=integers)
    return map(_given, source.batches(batch_size, seed=seed, epoch=epoch, shuffle=shuffle))


def _given(batch):
    x, y, w = batch
    if y is None:
        return x
    return (x, y) if w is None else (x, y, w)
