"""Workspace: the arrays that a training or prediction loop reuses from step to step."""

import math
import threading

import numpy as np


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


def poison(device, array):
    """Under `set_debug(True)`, fill a floating-point array with NaN."""
    if _debug and np.issubdtype(array.dtype, np.floating):
        device.write(array, np.full(array.shape, np.nan, array.dtype))
    return array


class Workspace:
    """Memory by (owner, name); a request that fits gets a view of the first elements of what is there.

    Attributes:
        saved: what each layer keeps from forward to backward, by the layer's id.
    """

    def __init__(self, device):
        self.device = device
        self.saved = {}
        self._memory = {}  # (owner, name, dtype) -> flat array
        self._views = {}  # (owner, name, shape) -> the view of it that was asked for last

    def take(self, owner, name, shape, dtype):
        """An array of `shape`, uninitialised; the same memory for the same (owner, name)."""
        view = self._views.get((owner, name, shape))
        if view is None or view.dtype != dtype:
            view = self._views[owner, name, shape] = self._view(owner, name, shape, dtype)
        return poison(self.device, view) if _debug else view

    def _view(self, owner, name, shape, dtype):
        count, key = math.prod(shape), (owner, name, dtype)
        flat = self._memory.get(key)
        if flat is None or flat.size < count:
            flat = self._memory[key] = self.device.alloc((count,), dtype)
            for other in [other for other in self._views if other[:2] == (owner, name)]:
                del self._views[other]  # of what was too small
        return flat[0:count].reshape(shape)

    @property
    def nbytes(self):
        """Bytes held."""
        return sum(flat.size * flat.dtype.itemsize for flat in self._memory.values())


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
