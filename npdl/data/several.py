"""Several: the data of a model with several inputs or outputs, as one source that gives batches of tuples."""

import numbers
from collections.abc import Iterator

import numpy as np

from npdl.data import checks
from npdl.data.convert import in_memory
from npdl.data.mapped import Mapped, MappedSource
from npdl.data.recognise import as_source
from npdl.data.sources import Rows, Source, item_parts


class Names:
    """The names of a model's inputs and outputs, and how data are put in their order.

    Args:
        inputs, outputs: lists of names.
        integers: for each input whether it is whole numbers; None: as its type says.
        optional: outputs that need no targets.

    Attributes:
        need_targets: whether there must be a y at all.
    """

    def __init__(self, inputs, outputs, integers, optional=()):
        self.inputs, self.outputs, self.integers = list(inputs), list(outputs), list(integers)
        self.optional = list(optional)
        self.need_targets = any(name not in self.optional for name in self.outputs)

    def ordered(self, value, argument, where=""):
        """The parts of x, y or sample_weight in the model's order, a tuple.

        Args:
            value: a dict by name, a list or tuple in order, or the only one.
            argument: "x", "y" or "sample_weight", for errors.

        Raises:
            ValueError: another number of parts, a name that is missing or not there.
        """
        names, kind = (self.inputs, "inputs") if argument == "x" else (self.outputs, "outputs")
        said = ", ".join(map(repr, names))
        if isinstance(value, dict):
            known = {*value, *(self.optional if argument == "y" else ())}
            unknown, missing = [key for key in value if key not in names], [name for name in names if name not in known]
            if unknown or (missing and argument != "sample_weight"):
                wrong = f"unknown {unknown[0]!r}" if unknown else f"missing {missing[0]!r}"
                raise ValueError(f"{argument}{where} is a dict with {wrong}; the model's {kind} are {said}")
            return tuple(value.get(name) for name in names)
        if isinstance(value, (list, tuple)) and not (len(names) == 1 and not _are_parts(value)):
            if len(value) != len(names):
                raise ValueError(
                    f"{argument}{where} has {len(value)} parts, and the model has {len(names)} {kind}: {said}; pass a "
                    "list with an array for each, or a dict by name"
                )
            return tuple(value)
        if len(names) > 1:
            raise ValueError(
                f"{argument}{where} is one {type(value).__name__}, and the model has {len(names)} {kind}: {said}; pass "
                "a list with an array for each, or a dict by name"
            )
        return (value,)

    def like(self, given, parts, argument):
        """The parts of x or y as they were given: by name, as a tuple, or the only one."""
        names = self.inputs if argument == "x" else self.outputs
        if parts is None or isinstance(given, dict):
            return parts and dict(zip(names, parts, strict=True))
        return parts[0] if len(names) == 1 and not isinstance(given, tuple) else tuple(parts)

    def weights(self, value, where=""):
        """Sample weights for each output: one array holds for all."""
        if value is None or isinstance(value, (dict, tuple)) or (isinstance(value, list) and _are_parts(value)):
            return (None,) * len(self.outputs) if value is None else self.ordered(value, "sample_weight", where)
        return (value,) * len(self.outputs)


def _are_parts(value):
    """Whether these are arrays, one for each input, and not the rows of one array."""
    return all(part is None or hasattr(part, "shape") or hasattr(part, "__array__") for part in value)


def _holds_data(value):
    """Whether a list is data: each entry an array, or lists of plain numbers; what has tuples, dicts or lists of arrays
    in it are batches."""
    return all(
        part is None or hasattr(part, "shape") or hasattr(part, "__array__") or _is_plain(part) for part in value
    )


def _is_plain(value):
    """Whether this is a number, or lists in lists that begin with one."""
    while isinstance(value, list) and value:
        value = value[0]
    return isinstance(value, (list, numbers.Number))


def is_structure(value):
    """Whether this is a dict, or a tuple of arrays: of several inputs or outputs. A list is one array, row by row."""
    return isinstance(value, dict) or (isinstance(value, tuple) and len(value) > 0 and _are_parts(value))


def several_source(x, y, sample_weight, dtype, names, for_prediction=False):
    """The `Source` of lists, tuples or dicts of arrays; or of an iterable, or a function, that gives batches of them.

    A list in which every entry is an array, or lists of plain numbers, holds the inputs, one entry each; with tuples,
    dicts or lists of arrays in it, it is a list of batches.

    Args:
        x, y, sample_weight: as for `fit`.
        dtype: float32 or float64.
        names: `Names` of the model.
        for_prediction: whether targets are not needed.

    Raises:
        ValueError, TypeError: it cannot be trained on; the message names the part.
    """
    if isinstance(x, Mapped) and y is None and sample_weight is None:
        return SeveralMapped(several_source(*x.data, dtype, names, for_prediction), x, names)
    for_prediction = for_prediction or not names.need_targets
    structured = isinstance(x, (dict, tuple)) or (_holds_data(x) if isinstance(x, list) else in_memory(x))
    if structured and not (y is None and not for_prediction):
        xs, ws = names.ordered(x, "x"), names.weights(sample_weight)
        ys = None if y is None else names.ordered(y, "y")
        if ys is None and any(w is not None for w in ws):
            ys = (None,) * len(names.outputs)
        return SeveralRows.of(xs, ys, ws, dtype, names)
    if structured:
        raise ValueError("y is missing: training and evaluation need targets; pass fit(x, y)")
    if y is not None or sample_weight is not None:
        raise ValueError(
            f"x ({type(x).__name__}) gives batches, so y and sample_weight cannot be passed beside it; let it give "
            "(x, y) or (x, y, sample_weight)"
        )
    if not hasattr(x, "__iter__") and not callable(x):
        raise TypeError(
            f"x is of type {type(x).__name__}, expected a list or dict of arrays, or an iterable of batches"
        )
    return SeveralBatches(x, dtype, names, not for_prediction)


class SeveralRows(Rows):
    """Arrays for each input, each output and their weights; rows are taken of all of them alike.

    Args:
        parts: the `Source`s of the inputs.
        ys: arrays of targets, or None.
        ws: for each output its weights or None.
    """

    def __init__(self, parts, ys, ws, dtype):
        super().__init__(dtype, ys is not None)
        self.parts, self.y, self.ws = parts, ys, ws
        self.size = parts[0].size
        self._x_shape = tuple(part.x_shape for part in parts)

    @classmethod
    def of(cls, xs, ys, ws, dtype, names):
        """Of what a user passes, checked."""
        parts = [
            _named(as_source, f"x[{name!r}]", x, None, None, dtype, True, whole)
            for name, x, whole in zip(names.inputs, xs, names.integers, strict=True)
        ]
        counts = {f"x[{name!r}]": part.size for name, part in zip(names.inputs, parts, strict=True)}
        made, weights = [], {}  # one array of weights for all outputs stays one
        for name, y, w in zip(names.outputs, ys or (), ws):
            if y is None and w is None:
                made.append((None, None))
                continue
            targets = np.zeros(parts[0].size) if y is None else y
            one = _named(as_source, f"y[{name!r}]", np.zeros((len(targets), 1), np.float32), targets, w, dtype)
            counts[f"y[{name!r}]"] = len(one.y)
            made.append((None if y is None else one.y, w if w is None else weights.setdefault(id(w), one.w)))
        if len(set(counts.values())) > 1:
            had = ", ".join(f"{name} has {count}" for name, count in counts.items())
            raise ValueError(f"expected one row each a sample, but {had}; pass arrays of one length")
        return cls(parts, ys and tuple(y for y, _ in made), tuple(w for _, w in made) if ys else ws, dtype)

    def take(self, rows, room=None):
        xs = tuple(part.take(rows, one)[0] for part, one in zip(self.parts, room or [None] * len(self.parts)))
        ys = self.y and tuple(None if y is None else y[rows] for y in self.y)
        taken = {id(w): w[rows] for w in self.ws if w is not None}
        return xs, ys, tuple(taken.get(id(w)) for w in self.ws)

    def room(self, batch_size):
        return [part.room(batch_size) for part in self.parts]

    def part(self, start, stop):
        ys = self.y and tuple(None if y is None else y[start:stop] for y in self.y)
        ws = tuple(None if w is None else w[start:stop] for w in self.ws)
        parts = [part.part(start, stop) for part in self.parts]
        for cut, whole in zip(parts, self.parts, strict=True):
            cut.integers = whole.integers
        return SeveralRows(parts, ys, ws, self.dtype)

    def split(self, validation_split):
        share = checks.fraction(validation_split)
        at = int(self.size * (1 - share))
        if not 0 < at < self.size:
            raise ValueError(
                f"validation_split={share} of {self.size} rows leaves {at} to train on and {self.size - at} to hold "
                "out; pass another share, or validation_data=..."
            )
        said = f"validation_split={share}: rows {at} to {self.size - 1} of {self.size} are held out"
        return self.part(0, at), self.part(at, self.size), said


class SeveralBatches(Source):
    """Batches (x, y) or (x, y, w), each part a structure, from an iterable or a function that returns one."""

    def __init__(self, iterable, dtype, names, need_y):
        super().__init__(dtype, need_y)
        self.iterable, self.names, self._ahead = iterable, names, None
        self.goes_on = isinstance(iterable, Iterator)

    @property
    def x_shape(self):
        return tuple(x.shape[1:] for x in self.first(1)[0])

    def steps(self, batch_size):
        return len(self.iterable) if hasattr(self.iterable, "__len__") else None

    def batches(self, batch_size, seed=None, epoch=0, shuffle=False, reuse=False):
        batch, iterator = self._ahead or self._open()
        self._ahead = None
        yield batch
        for number, item in enumerate(iterator, 1):
            yield self._read(item, number)

    def first(self, n):
        if self._ahead is None:
            self._ahead = self._open()
        xs, ys, ws = self._ahead[0]
        return tuple(x[:n] for x in xs), ys, ws

    def _open(self):
        iterator = iter(self.iterable() if callable(self.iterable) else self.iterable)
        for item in iterator:
            return self._read(item, 0), iterator
        raise ValueError(
            "the data gave no batch: they are empty, or an iterator that an earlier epoch has used up; "
            "pass a list of batches, or a function that returns a new iterator each epoch"
        )

    def _read(self, item, number):
        where = f" of batch {number}"
        whole = self.need_y or _is_batch(item) or len(self.names.inputs) == 1
        x, y, w = item_parts(item, where) if whole else (item, None, None)
        if y is None and self.need_y:
            raise ValueError(f"the data{where} are x alone, without targets; give (x, y) or (x, y, sample_weight)")
        ys, ws = None if y is None else self.names.ordered(y, "y", where), self.names.weights(w, where)
        if ys is None and any(w is not None for w in ws):
            ys = (None,) * len(ws)
        rows = SeveralRows.of(self.names.ordered(x, "x", where), ys, ws, self.dtype, self.names)
        return rows.take(slice(0, rows.size))


class SeveralMapped(MappedSource):
    """The batches of such a source, each changed by functions, which see x and y as they were given."""

    def __init__(self, inner, mapped, names):
        super().__init__(inner, mapped.functions, mapped.workers)
        self.mapped, self.names = mapped, names

    @property
    def x_shape(self):
        return tuple(x.shape[1:] for x in self.first(1)[0])

    def split(self, validation_split):
        train, held_out, said = self.inner.split(validation_split)
        return SeveralMapped(train, self.mapped, self.names), held_out, said

    def _changed(self, x, y, w, place, where):
        names, (given_x, given_y, _) = self.names, self.mapped.data
        x, y = self.call(names.like(given_x, x, "x"), names.like(given_y, y, "y"), place)
        xs, ys = names.ordered(x, "x", where), None if y is None else names.ordered(y, "y", where)
        rows = SeveralRows.of(xs, ys, w, self.dtype, names)
        return rows.take(slice(0, rows.size))


def _is_batch(item):
    """Whether an item to predict is (x, y) or (x, y, w) with x of several parts."""
    return isinstance(item, tuple) and isinstance(item[0], (tuple, list, dict))


def _named(function, name, *args):
    """The function's result; its errors name the part."""
    try:
        return function(*args)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from error
