"""Mapped: batches changed by a function before the training step."""

import numbers
from itertools import starmap
from typing import NamedTuple

from npdl.data.ahead import ahead
from npdl.data.sources import Source


class Place(NamedTuple):
    """Which batch it is, for a function that draws random numbers.

    `npdl.random.per_sample(npdl.random.key(place.seed, "mine"), place.epoch, len(x), 3, place.first)` gives each row of
    an epoch three numbers of its own, the same whatever the batch size.
    """

    seed: int  # of the model
    epoch: int  # from 0
    first: int  # which row of the epoch the batch begins with


class Mapped:
    """Data whose batches a function changes on their way into the training step: what `fit` takes as x.

        model.fit(Mapped(MixUp(0.2), x_train, y_train), epochs=10, batch_size=128)

    Augmentation that changes images alone is a layer of the model (`layers.RandomFlip` and others). This is for what
    changes x and y together, and for a function of your own. Rows that `validation_split` holds out stay as they are.

    Args:
        function: (x, y, place) -> (x, y) of as many rows, `place` a `Place`; or a list of such functions, called one
            after the other. It gets arrays as `fit` would train on, must not write into them, and should depend on
            nothing but its arguments, so that training can be repeated. Where a model has several inputs or outputs,
            x or y is a dict or a tuple of arrays, as they were given, and so is what it returns.
        x, y, sample_weight: data as `fit` takes them.
        workers: how many threads make batches ahead while the model trains; 0 makes each when needed. Batches come
            in the same order with the same numbers, and an error comes where its batch would. NumPy and npdl's kernels
            let threads run side by side; a function in Python alone gains nothing by them, and one that keeps something
            from call to call must expect calls from several at once. Of an iterator's batches each is made when needed:
            what was taken ahead would be missing in the next epoch.

    Raises:
        TypeError: something else than functions.
        ValueError: workers that are no whole number of at least 0.

    >>> import numpy as np
    >>> from npdl.data import batches
    >>> data = Mapped(lambda x, y, place: (x + place.first, y), np.zeros((4, 1)), np.arange(4))
    >>> [x.ravel().tolist() for x, y in batches(data, batch_size=2, shuffle=False)]
    [[0.0, 0.0], [2.0, 2.0]]
    """

    def __init__(self, function, x, y=None, sample_weight=None, workers=0):
        self.functions = list(function) if isinstance(function, (list, tuple)) else [function]
        if not self.functions or not all(map(callable, self.functions)):
            raise TypeError(
                f"Mapped needs a function (x, y, place) -> (x, y), or a list of them, got {function!r}; "
                "pass e.g. Mapped(npdl.data.MixUp(0.2), x, y)"
            )
        if not isinstance(workers, numbers.Integral) or isinstance(workers, bool) or workers < 0:
            raise ValueError(
                f"Mapped needs workers to be a whole number of at least 0, got workers={workers!r}; pass e.g. workers=2"
            )
        self.data, self.workers = (x, y, sample_weight), int(workers)


class MappedSource(Source):
    """The batches of another source, each changed by functions."""

    def __init__(self, inner, functions, workers=0):
        super().__init__(inner.dtype, inner.need_y)
        self.inner, self.functions, self.workers = inner, functions, workers
        self.size = inner.size

    def read_integers(self, integers):
        super().read_integers(integers)
        self.inner.read_integers(integers)

    def steps(self, batch_size):
        return self.inner.steps(batch_size)

    def batches(self, batch_size, seed=None, epoch=0, shuffle=False, reuse=False):
        given = self._given(batch_size, seed, epoch, shuffle)
        if self.workers and not self.inner.goes_on:
            return ahead(self._changed, given, self.workers)
        return starmap(self._changed, given)

    def _given(self, batch_size, seed, epoch, shuffle):
        """What `_changed` takes, batch by batch."""
        first = 0
        for number, (x, y, w) in enumerate(self.inner.batches(batch_size, seed, epoch, shuffle)):
            yield x, y, w, Place(seed or 0, epoch, first), f" of batch {number}"
            first += len(x[0] if isinstance(x, tuple) else x)

    def first(self, n):
        return self._changed(*self.inner.first(n), Place(0, 0, 0), "")

    def split(self, validation_split):
        train, held_out, said = self.inner.split(validation_split)
        return MappedSource(train, self.functions, self.workers), held_out, said

    def _changed(self, x, y, w, place, where):
        x, y = self.call(x, y, place)
        return self.convert(x, y, w, where)

    def call(self, x, y, place):
        """(x, y) as the functions make them."""
        for function in self.functions:
            result = function(x, y, place)
            if not isinstance(result, tuple) or len(result) != 2:
                raise TypeError(
                    f"the function {function!r} of Mapped returned a {type(result).__name__}, expected a tuple (x, y); "
                    "let it return both"
                )
            x, y = result
        return x, y
