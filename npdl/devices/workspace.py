"""Workspace: the arrays that a training or prediction loop reuses from step to step."""

import math
import sys
import threading

import numpy as np

from npdl.devices.base import no_room

MOST_WASTE = 2  # how many times larger than asked for a piece of memory may be
MOST_COPIERS = 32  # of arrays that are copied to and from a GPU by memory of their own
NOTHING = None, None


class _Active(threading.local):
    workspace = None


_active = _Active()
_debug = False


def set_debug(on):
    """Fill every buffer with NaN before it is handed out, so that a value read before it is written shows.

    Args:
        on: True or False; it holds for the whole process.

    Returns:
        what it was before.
    """
    global _debug
    before, _debug = _debug, bool(on)
    return before


def debugging():
    """Whether `set_debug(True)` holds."""
    return _debug


def poison(device, array):
    """Under `set_debug(True)`, fill a floating-point array with NaN."""
    if _debug and np.issubdtype(array.dtype, np.floating):
        device.write(array, np.full(array.shape, np.nan, array.dtype))
    return array


class Workspace:
    """Memory for the arrays of a loop's steps: an array gives its memory back when nobody refers to it any more.

    What is live when is so for Python to say, and no layer has to: an output lives while the next layer reads it, or
    while somebody has saved it; a gradient until the layer below has made its own. The memory then serves whoever asks
    next: the outputs of a `predict` take turns, and gradients lie where activations lay that backward has passed. A
    layer that keeps an array for itself has it for as long as it does. That works because all views of a piece of
    memory, and views of those, refer to one object, its `device.owner`, whose references Python counts.

    Each asker, by (owner, name), gets the same memory as the last time if that is free. So a step that is like the one
    before it finds all of its arrays where they were, and a smaller batch takes the first elements of them.

    Attributes:
        saved: what each layer keeps from forward to backward, by the layer's id.
        outgrown: how many pieces of memory were given up for larger ones.
        again: whether backward will come once more on what is saved now, which it must not write over.
    """

    def __init__(self, device):
        self.device = device
        self.saved, self.outgrown, self.again = {}, 0, False
        self._pieces = {}  # dtype -> list
        self._last = {}  # (owner, name, dtype) -> the piece that it got last
        self._copiers = {}  # (way, place, shape, dtype) -> what copies such arrays to or from a GPU
        self._served = {}  # (owner, name, shape, dtype) -> the piece that it got last, and the array in it

    def take(self, owner, name, shape, dtype):
        """An array of `shape`, uninitialised, in memory that nobody else sees while the array is referred to."""
        request = owner, name, shape, dtype
        piece, whole = self._served.get(request, NOTHING)
        if piece is None or not piece.is_free():
            piece = self._find(self._last.get((owner, name, dtype)), math.prod(shape), np.dtype(dtype))
            whole = piece.cut(shape)
            self._last[owner, name, dtype], self._served[request] = piece, (piece, whole)
        array = self.device.view(whole)  # that it is gone shows in its owner's references
        return poison(self.device, array) if _debug else array

    def _find(self, last, count, dtype):
        """The last piece if it will do, else the smallest free one without too much waste, else a new one."""
        pieces = self._pieces.setdefault(dtype, [])
        if last is not None and last.count < count:  # outgrown
            pieces.remove(last)
            self.outgrown += 1
            if self.device.driver is not None:
                self.device.driver.hold(last.memory)  # a graph that is being captured may have used it before
            self._last = {asker: piece for asker, piece in self._last.items() if piece is not last}
            self._served = {request: given for request, given in self._served.items() if given[0] is not last}
        elif last is not None and last.is_free():
            return last
        fitting = [piece for piece in pieces if count <= piece.count <= MOST_WASTE * count and piece.is_free()]
        if fitting:
            return min(fitting, key=lambda piece: piece.count)
        pieces.append(_Piece(self.device, count, dtype))
        return pieces[-1]

    def feeder(self, place, array):
        """On a GPU: what copies host arrays like this one there, beside the work on those before; for the input or
        target of that number."""
        return self._copier("feed", place, array, f"array {place} of a batch, twice")

    def fetched(self, place, array):
        """On a GPU: ask for an array as the work before leaves it; a function that waits for it and gives a host array,
        which the next call but one for that place writes over."""
        if not array.size:
            return lambda: np.empty(array.shape, array.dtype)
        return self._copier("fetch", place, array, f"output {place}, twice").take(array)

    def _copier(self, way, place, array, what):
        """The device's `Feed` or `Fetch` for such arrays."""
        key = way, place, array.shape, array.dtype
        try:
            copier = self._copiers.pop(key, None) or getattr(self.device, way)(array.shape, array.dtype)
        except MemoryError as error:
            raise no_room(what, array.shape, array.dtype, error) from error
        if len(self._copiers) == MOST_COPIERS:
            del self._copiers[next(iter(self._copiers))]
        self._copiers[key] = copier  # the last asked for stands last
        return copier

    def given(self, arrays):
        """Host arrays of a batch on the device; the next batch but one is written over them."""
        if self.device.driver is None or not all(array.size for array in arrays):
            return [self.device.from_host(array) for array in arrays]
        return [self.feeder(place, array).put(array) for place, array in enumerate(arrays)]

    def keep(self, array):
        """The same array as one that does not hold its memory: for who knows when others write there."""
        if self.device.owner(array) is not None:
            for piece in self._pieces.get(array.dtype, ()):
                if piece.owner is self.device.owner(array):
                    return piece.cut(array.shape, piece.place(array))
        return array

    @property
    def nbytes(self):
        """Bytes held."""
        return sum(piece.count * dtype.itemsize for dtype, pieces in self._pieces.items() for piece in pieces)


class _Piece:
    """One piece of a workspace's memory."""

    def __init__(self, device, count, dtype):
        self.memory, self.count = device.alloc((count,), dtype), count
        self.owner, self.cuts = device.owner(self.memory), {}
        self.references = sys.getrefcount(self.owner)  # of this piece itself

    def is_free(self):
        """Whether nobody else refers to an array that lies in it."""
        return sys.getrefcount(self.owner) == self.references

    def cut(self, shape, start=0):
        """The array of that shape over some elements, for the workspace alone: made once and kept."""
        if (shape, start) not in self.cuts:
            self.cuts[shape, start] = self.memory[start : start + math.prod(shape)].reshape(shape)
            self.references += 1
        return self.cuts[shape, start]

    def place(self, array):
        """The place of a host array's first element in it."""
        start, first = (one.__array_interface__["data"][0] for one in (self.memory, array))
        return (first - start) // array.itemsize


def current_workspace():
    """The workspace of this thread's running loop, None by hand."""
    return _active.workspace


class use_workspace:
    """Every layer called by this thread inside the `with` takes its memory from `workspace`."""

    def __init__(self, workspace):
        self.workspace = workspace

    def __enter__(self):
        self.before, _active.workspace = _active.workspace, self.workspace
        return self.workspace

    def __exit__(self, *_):
        _active.workspace = self.before
