"""Sources: whatever a user trains on, as one thing that gives batches (x, y, w)."""

import math
from collections.abc import Iterator

import numpy as np

from npdl import devices
from npdl.data import checks
from npdl.data.convert import as_array, cast, column_names, is_whole, take_rows, target_dtype
from npdl.data.order import order


class Source:
    """Samples x with targets y and sample weights w, cut into batches; the base of every kind.

    A batch is (x, y, w): host arrays, x C-contiguous and of `dtype` (int32 or int64 with `integers`); y of `dtype`, or
    int32 or int64 where the targets are integers; w of `dtype`. y and w are None where there are none.

    Attributes:
        dtype: float32 or float64.
        size: number of samples; None where it is not known before they come.
        y: all targets; None where they come with the batches.
        integers: whether x are whole numbers; None: as the type of each batch says.
        goes_on: whether an epoch begins where the one before it stopped, as with an iterator.
    """

    size: int | None = None
    y: np.ndarray | None = None
    integers: bool | None = False
    goes_on = False

    def __init__(self, dtype, need_y):
        self.dtype, self.need_y = dtype, need_y
        self._x_shape = None

    @property
    def x_shape(self):
        """The shape of one sample."""
        if self._x_shape is None:
            self._x_shape = self.first(1)[0].shape[1:]
        return self._x_shape

    def read_integers(self, integers):
        """Say whether x are whole numbers (indices): then they are int32 or int64 in the batches."""
        self.integers = integers

    def steps(self, batch_size):
        """Number of batches an epoch; None where it is not known."""
        raise NotImplementedError(f"{type(self).__name__} needs steps(self, batch_size)")

    def batches(self, batch_size, seed=None, epoch=0, shuffle=False, reuse=False):
        """The batches of one epoch.

        Args:
            batch_size: rows a batch; the last one may be smaller. Sources of whole batches do not read it.
            seed, epoch: what the order is made from, where `shuffle` is set.
            shuffle: take the rows in the order of `order(size, seed, epoch)`; of sources of whole batches the batches,
                where they can be asked for by number.
            reuse: whether x may lie where that of the batch before lay, which spares the memory for a new one.
        """
        raise NotImplementedError(f"{type(self).__name__} needs batches(self, batch_size, seed, epoch, shuffle, reuse)")

    def first(self, n):
        """(x, y, w) of the first n samples, or as many as the first batch has; no batch is lost by it."""
        raise NotImplementedError(f"{type(self).__name__} needs first(self, n)")

    def split(self, validation_split):
        """(train, held out, what to tell the user): the last rows are held out, as many as Keras holds out."""
        raise ValueError(
            "validation_split needs rows that can be told apart, and these data come as batches; "
            "pass validation_data=... instead"
        )

    def convert(self, x, y, w, where="", row_numbers=None):
        """One batch as arrays of the right types, checked; the two last arguments are for errors."""
        whole = is_whole(x) if self.integers is None else self.integers
        x = _indices(x, "x", where) if whole else self._floats(x, "x", where, row_numbers)
        if y is not None:
            y = as_array(y, "y", where)
            dtype = target_dtype(y.dtype, self.dtype)
            y = self._floats(y, "y", where, row_numbers) if dtype.kind == "f" else cast(y, dtype)
        elif self.need_y:
            raise ValueError(f"the data{where} are x alone, without targets; give (x, y) or (x, y, sample_weight)")
        if w is not None:
            w = self._floats(w, "sample_weight", where, row_numbers)
        checks.lengths(**{f"x{where}": x, f"y{where}": y, f"sample_weight{where}": w})
        if w is not None:
            checks.weights_fit(w, y, len(x), where)
        return x, y, w

    def _floats(self, value, name, where, row_numbers):
        array = as_array(value, name, where)
        checks.finite(array, name, self.dtype, where, column_names(value), row_numbers)
        return cast(array, self.dtype)


class Rows(Source):
    """A source whose rows can be taken in any order; a subclass writes `take` and `part`."""

    size: int

    def __len__(self):
        return self.size

    def take(self, rows, room=None):
        """The batch (x, y, w) of a slice, or of an array of row numbers; x may lie in `room`."""
        raise NotImplementedError(f"{type(self).__name__} needs take(self, rows, room)")

    def part(self, start, stop):
        """A source of the rows start ... stop-1."""
        raise NotImplementedError(f"{type(self).__name__} needs part(self, start, stop)")

    def steps(self, batch_size):
        return -(-self.size // checks.batch_size(batch_size))

    def batches(self, batch_size, seed=None, epoch=0, shuffle=False, reuse=False):
        batch_size = checks.batch_size(batch_size)
        rows = order(self.size, seed, epoch) if shuffle else None
        return self._batches(batch_size, rows, self.room(batch_size) if reuse else None)

    def _batches(self, batch_size, rows, room):
        for start in range(0, self.size, batch_size):
            stop = min(start + batch_size, self.size)
            yield self.take(slice(start, stop) if rows is None else rows[start:stop], room)

    def room(self, batch_size):
        """What `take` may write the x of one batch after another into; None where it makes a new one each time."""

    def first(self, n):
        return self.take(slice(0, min(n, self.size)))

    def split(self, validation_split):
        share = checks.fraction(validation_split)
        at = math.floor(self.size * (1 - share))
        if not 0 < at < self.size:
            raise ValueError(
                f"validation_split={share} of {self.size} rows leaves {at} to train on and {self.size - at} to hold "
                "out; pass another share, or validation_data=..."
            )
        train, held_out = self.part(0, at), self.part(at, self.size)
        train.integers = held_out.integers = self.integers
        said = f"validation_split={share}: rows {at} to {self.size - 1} of {self.size} are held out"
        return train, held_out, "\n".join(filter(None, [said, checks.unseen(train.y, held_out.y)]))


class Arrays(Rows):
    """Arrays (and memmaps, which stay on disk) of samples, targets and weights.

    Args:
        x: array with a first axis of samples, numbers of any type: each batch is converted when it is taken.
        y, w: arrays or None.
        unread: whether x and y are too large to be read before their rows are needed; then each batch is checked.
        start: number of the first row, for errors.
    """

    def __init__(self, x, y, w, dtype, need_y, unread, start=0):
        super().__init__(dtype, need_y)
        self.x, self.y, self.w, self.unread = x, y, w, unread
        self.size, self.start = len(x), start
        self._x_shape = x.shape[1:]

    def read_integers(self, integers):
        super().read_integers(integers)
        if integers and not self.unread:
            checks.whole_numbers(self.x, "x")

    @property
    def x_dtype(self):
        """Of x in the batches."""
        return target_dtype(self.x.dtype, np.int64) if self.integers else self.dtype

    def take(self, rows, room=None):
        y, w = (None if part is None else take_rows(part, rows) for part in (self.y, self.w))
        if self.unread:
            return self.convert(take_rows(self.x, rows), y, w, row_numbers=_row_numbers(rows) + self.start)
        return self._x(rows, room), y, w  # checked, y and w cast, when the source was made

    def _x(self, rows, room):
        if room is None:
            return cast(take_rows(self.x, rows), self.x_dtype)
        if isinstance(rows, slice):
            x = self.x[rows]
        else:  # the numbers are right; mode="raise" would make a copy first
            x = self.x.take(rows, axis=0, out=room[self.x.dtype][: len(rows)], mode="clip")
        if x.dtype == self.x_dtype and x.flags.c_contiguous:
            return x
        converted = room[self.x_dtype][: len(x)]
        converted[...] = x
        return converted

    def room(self, batch_size):
        if self.unread or not (self.x.flags.c_contiguous and self.x.flags.aligned):
            return None
        cpu, shape = devices.get("cpu"), (min(batch_size, self.size), *self.x.shape[1:])
        return {dtype: cpu.alloc(shape, dtype) for dtype in (self.x.dtype, self.x_dtype)}

    def part(self, start, stop):
        x, y, w = (None if part is None else part[start:stop] for part in (self.x, self.y, self.w))
        return Arrays(x, y, w, self.dtype, self.need_y, self.unread, self.start + start)


class Items(Rows):
    """An object with `__len__` and `__getitem__(row)`: row by row, only those of the batch.

    Args:
        items: `items[row]` is a sample x, or (x, y) or (x, y, w) where `whole` is set.
        y, w: arrays for all rows, or None.
        whole: whether an item holds its target too.
        start, stop: the rows to use.
    """

    def __init__(self, items, y, w, dtype, need_y, whole, start=0, stop=None):
        super().__init__(dtype, need_y)
        self.items, self.whole, self.start = items, whole, start
        self.size = (len(items) if stop is None else stop) - start
        self.y, self.w = y, w

    def take(self, rows, room=None):
        numbers = _row_numbers(rows) + self.start
        picked = [self.items[int(row)] for row in numbers]
        if not self.whole:
            y, w = (None if part is None else take_rows(part, rows) for part in (self.y, self.w))
            return self.convert(picked, y, w, row_numbers=numbers)
        parts = zip(*(item_parts(item, f" of item {row}") for row, item in zip(numbers, picked)))
        x, y, w = (None if part[0] is None else list(part) for part in parts)
        return self.convert(x, y, w, row_numbers=numbers)

    def part(self, start, stop):
        y, w = (None if part is None else part[start:stop] for part in (self.y, self.w))
        start, stop = start + self.start, stop + self.start
        return Items(self.items, y, w, self.dtype, self.need_y, self.whole, start, stop)


class Batches(Source):
    """An object with `__len__` and `__getitem__(number)` that gives whole batches, such as a Keras PyDataset."""

    def __init__(self, items, dtype, need_y):
        super().__init__(dtype, need_y)
        self.items = items

    def steps(self, batch_size):
        return len(self.items)

    def batches(self, batch_size, seed=None, epoch=0, shuffle=False, reuse=False):
        count = len(self.items)
        return self._batches(order(count, seed, epoch) if shuffle else range(count))

    def _batches(self, numbers):
        for number in numbers:
            yield self._get(int(number))
        if hasattr(self.items, "on_epoch_end"):  # Keras' hook: a data set may shuffle itself
            self.items.on_epoch_end()

    def _get(self, number):
        where = f" of batch {number}"
        x, y, w = item_parts(self.items[number], where)
        return self.convert(x, y, w, where)

    def first(self, n):
        return tuple(None if part is None else part[:n] for part in self._get(0))


class Stream(Source):
    """Batches from an iterable, an iterator or a function that returns either; the order is theirs.

    A function is called, and an iterable asked for a new iterator, once an epoch. An iterator goes on where it stopped,
    and an epoch that finds it used up raises.
    """

    def __init__(self, iterable, dtype, need_y):
        super().__init__(dtype, need_y)
        self.iterable, self.goes_on = iterable, isinstance(iterable, Iterator)
        self._ahead = None  # (first batch, its iterator): looked at before the epoch begins

    def steps(self, batch_size):
        try:
            return len(self.iterable)
        except TypeError:  # none, or one that does not know
            return None

    def batches(self, batch_size, seed=None, epoch=0, shuffle=False, reuse=False):
        batch, iterator = self._ahead or self._open()
        self._ahead = None
        self._x_shape = batch[0].shape[1:]
        yield batch
        for number, item in enumerate(iterator, 1):
            yield self._read(item, number)

    def first(self, n):
        if self._ahead is None:
            self._ahead = self._open()
        return tuple(None if part is None else part[:n] for part in self._ahead[0])

    def _open(self):
        iterable = self.iterable() if _is_function(self.iterable) else self.iterable
        if isinstance(iterable, tuple) or not hasattr(iterable, "__iter__"):
            raise TypeError(
                f"the function passed as x returned a {type(iterable).__name__}, expected an iterable of batches "
                "(x, y); it is called once an epoch: let it yield them"
            )
        iterator = iter(iterable)
        for item in iterator:
            return self._read(item, 0), iterator
        raise ValueError(
            "the data gave no batch: they are empty, or an iterator that an earlier epoch has used up; "
            "pass a list of batches, or a function that returns a new iterator each epoch"
        )

    def _read(self, item, number):
        where = f" of batch {number}"
        x, y, w = item_parts(item, where)
        return self.convert(x, y, w, where)


def _indices(value, name, where):
    """x of whole numbers as int32 or int64."""
    array = as_array(value, name, where)
    checks.whole_numbers(array, name, where)
    return cast(array, target_dtype(array.dtype, np.int64))


def _row_numbers(rows):
    return np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows


def item_parts(item, where):
    """(x, y, w) of an item; y and w None where it is x alone."""
    is_parts = isinstance(item, tuple) or (
        isinstance(item, list) and all(part is None or hasattr(part, "shape") for part in item)
    )
    if not is_parts:
        if isinstance(item, dict):
            raise TypeError(
                f"the data{where} are a dict with keys {', '.join(map(repr, item))}, expected a tuple (x, y); "
                "yield (batch['x'], batch['y'])"
            )
        return item, None, None
    if not 1 <= len(item) <= 3:
        raise ValueError(f"the data{where} have {len(item)} parts, expected (x, y) or (x, y, sample_weight)")
    return (*item, None, None)[:3]


def _is_function(value):
    return callable(value) and not hasattr(value, "__iter__")
