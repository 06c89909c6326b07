"""Batched: rows that are made when their batch is due."""

import operator

import numpy as np

from npdl import random
from npdl.data import checks
from npdl.data.order import order
from npdl.data.sources import Rows, item_parts


class Batched:
    """Data that come as batches: what `npdl.utils.timeseries_dataset_from_array` and others return, and `fit` takes.

        model.fit(data, epochs=10)              for x, y in data: ...

    Each batch is made when it is due. In `fit` the order of an epoch is made from the seed and the number of the epoch;
    by hand each `for` is the next epoch. `npdl.data.Mapped(function, data, workers=2)` makes batches ahead.

    Args:
        take: a function of row numbers, int64 (n,), that returns (x, y), or x alone.
        size: how many rows there are.
        batch_size: rows a batch; the last one has what is left.
        shuffle: whether each epoch has an order of its own.
        seed: of the orders; None takes the model's, by hand 0.

    Raises:
        ValueError: a size or batch_size below 1.

    >>> data = Batched(lambda rows: (np.stack([rows, rows], axis=1), rows), size=5, batch_size=2)
    >>> for x, y in data:
    ...     print(x.shape, y)
    (2, 2) [0 1]
    (2, 2) [2 3]
    (1, 2) [4]
    """

    def __init__(self, take, size, batch_size=32, shuffle=False, seed=None):
        if size < 1:
            raise ValueError("there are no rows; pass more data")
        self.take, self.size, self.batch_size = take, operator.index(size), checks.batch_size(batch_size)
        self.shuffle, self.seed = bool(shuffle), None if seed is None else random.check_seed(seed)
        self._epoch = 0

    def __len__(self):
        """How many batches."""
        return -(-self.size // self.batch_size)

    def __iter__(self):
        rows = self.order(0, self._epoch)
        self._epoch += 1
        for start in range(0, self.size, self.batch_size):
            stop = min(start + self.batch_size, self.size)
            yield self.take(np.arange(start, stop) if rows is None else rows[start:stop])

    def order(self, seed, epoch, size=None):
        """The row numbers of an epoch; None: as they are."""
        size = self.size if size is None else size
        return order(size, seed if self.seed is None else self.seed, epoch) if self.shuffle else None

    def part(self, rows):
        """The same data, these rows of it, an array of row numbers."""
        rows = np.asarray(rows)
        return Batched(lambda numbers: self.take(rows[numbers]), len(rows), self.batch_size, self.shuffle, self.seed)


class BatchedSource(Rows):
    """The rows of a `Batched`, in batches of its own size."""

    def __init__(self, data, dtype, need_y, start=0, stop=None):
        super().__init__(dtype, need_y)
        self.data, self.start = data, start
        self.size = (data.size if stop is None else stop) - start

    def steps(self, batch_size):
        return super().steps(self.data.batch_size)

    def batches(self, batch_size, seed=None, epoch=0, shuffle=False, reuse=False):
        return self._batches(self.data.batch_size, self.data.order(seed or 0, epoch, self.size), None)

    def take(self, rows, room=None):
        rows = (np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows) + self.start
        return self.convert(*item_parts(self.data.take(rows), ""), row_numbers=rows)

    def part(self, start, stop):
        return BatchedSource(self.data, self.dtype, self.need_y, self.start + start, self.start + stop)
