"""ParamStore: every weight of a model in one flat array, every gradient in another."""

import copy
import math
from typing import Any, NamedTuple

import numpy as np

from npdl import random
from npdl.devices.base import ALIGNMENT, no_room

FLAT = "weights", "gradients", "moving statistics"
"""What the flat arrays hold."""


class Declared(NamedTuple):
    """A weight that a layer's `build` asked for."""

    name: str
    shape: tuple
    initializer: Any
    trained: bool
    regularizer: Any = None
    constraint: Any = None


class Weight(NamedTuple):
    """One tensor of a layer and its place in the store."""

    layer: object
    name: str  # kernel, bias, gamma ...
    shape: tuple
    start: int  # in elements of `data` and `grad`, or of `state`
    stop: int
    trained: bool  # False: kept in `state`, no optimizer touches it
    constraint: Any = None  # of npdl.constraints

    @property
    def path(self):
        """`layer/name`, as in a saved file."""
        return f"{self.layer.name}/{self.name}"

    @property
    def trainable(self):
        """Whether an optimizer may change it now."""
        return self.trained and self.layer.trainable


class ParamStore:
    """The flat arrays behind the `params`, `grads` and `state` of a model's layers.

    Each tensor starts on a 64-byte boundary; the gap before the next one holds zeros, in every flat array, for good.

    Args:
        layers: whose weights it holds; their names differ.
        device, dtype: of the arrays.
        seed: see below.
        others: layers of other models that share the store.

    Attributes:
        data, grad: flat weights and their gradients, one layout.
        state: flat values that are not trained (moving statistics).
        weights: the `Weight` of each tensor, in the layers' order.
        version: raised by every write to the weights through `touch()`; what is derived from them compares it.
        constrained: those of them that have a constraint.
        seed: what the initial weights and every random draw of the layers are made from.
        successor: the store that its layers have moved to, None while they are here.
        own: how many of the layers are not `others`.
        joint: whether it is a model's, and other models of the same layers may share it.
    """

    def __init__(self, layers, device, dtype, seed, others=()):
        self.device, self.dtype, self.seed = device, np.dtype(dtype), seed
        self.version, self.successor, self.joint, self._copy = 0, None, False, None
        self.layers = [*layers, *others]
        self.own = len(self.layers) - len(others)
        self.weights, sizes = self._lay_out(set(map(id, others)))
        self.constrained = [weight for weight in self.weights if weight.constraint is not None]
        self.data, self.grad, self.state = (
            self._room(device, what, (size,)) for what, size in zip(FLAT, (sizes[True], sizes[True], sizes[False]))
        )
        for flat in (self.data, self.grad, self.state):
            device.write(flat, np.zeros(flat.shape, self.dtype))
        self._attach()

    def initialize(self):
        """Write the initial weights, drawn by key (seed, place of the layer, name of the weight); returns the store."""
        for place, layer in enumerate(self.layers):
            for declared in layer.declared:
                values = declared.initializer(declared.shape, random.key(self.seed, place, declared.name))
                self.device.write(layer.variable(declared.name), np.asarray(values, self.dtype))
        return self

    def newest(self):
        """The store that its layers are in now."""
        store = self
        while store.successor is not None:
            store = store.successor
        return store

    def twin(self, dtype, device):
        """A store of another dtype with the same values on a device, of copies of the layers that share nothing with
        them."""
        layers = [object.__new__(type(layer)) for layer in self.layers]  # copy.copy would make weights of their own
        others = {id(layer): other for layer, other in zip(self.layers, layers, strict=True)}
        for layer, other in zip(self.layers, layers, strict=True):
            fresh = {"params": {}, "grads": {}, "state": {}, "_saved": None, "needs_dx": True}
            vars(other).update(copied({**vars(layer), **fresh}, others))
        twin = ParamStore(layers[: self.own], device, dtype, self.seed, layers[self.own :])
        for mine, other in zip(self.weights, twin.weights, strict=True):
            twin.assign(other, self.values(mine))
        return twin

    def _lay_out(self, others):
        slot = ALIGNMENT // self.dtype.itemsize
        weights, end = [], {True: 0, False: 0}
        for layer in self.layers:
            for declared in layer.declared:
                start = end[declared.trained]
                stop = start + math.prod(declared.shape)
                place = start, stop, declared.trained, declared.constraint
                weights.append(Weight(layer, declared.name, declared.shape, *place))
                end[declared.trained] = -(-stop // slot) * slot
        paths = [weight.path for weight in weights if id(weight.layer) not in others]
        for path in paths:
            if paths.count(path) > 1:
                raise ValueError(f"two weights are called {path!r}; give the layers inside a layer different name=")
        return weights, end

    def _attach(self):
        for place, layer in enumerate(self.layers):
            layer.attach(self, place)
        for weight in self.weights:
            layer, view = weight.layer, self.view
            if weight.trained:
                layer.params[weight.name] = view(self.data, weight)
                layer.grads[weight.name] = view(self.grad, weight)
            else:
                layer.state[weight.name] = view(self.state, weight)

    def _room(self, device, what, shape):
        """An uninitialised flat array.

        Raises:
            MemoryError: there is no room.
            ValueError: no model can work there in this dtype.
        """
        if self.dtype not in device.dtypes:
            known = " or ".join(str(dtype) for dtype in device.dtypes)
            raise ValueError(f"models on {device.name!r} work in {known}, not in {self.dtype}: build it in that dtype")
        try:
            return device.alloc(shape, self.dtype)
        except MemoryError as error:
            largest = max(self.weights, key=lambda weight: weight.stop - weight.start)
            said = f"{what} of all layers, of which {largest.path} with shape {largest.shape} is the largest"
            raise no_room(said, shape, self.dtype, error) from error

    @staticmethod
    def view(flat, weight):
        """The part of a flat array that belongs to one weight, in its shape."""
        return flat[weight.start : weight.stop].reshape(weight.shape)

    def to(self, device):
        """Move every value to another device; the layers' views follow."""
        if device.full is self.device.full:  # another precision: the values stay where they are
            self.device, self._copy = device, None
            self._attach()
            return
        moved = []
        for what, flat in zip(FLAT, (self.data, self.grad, self.state), strict=True):
            old = self.device.to_host(flat)
            moved.append(self._room(device, what, old.shape))  # there may be none: nothing has changed yet
            device.write(moved[-1], old)
        self.data, self.grad, self.state = moved
        self.device, self._copy = device, None
        self._attach()

    def constrain(self):
        """Make the weights that have a constraint what it says, frozen ones left out; an optimizer's step ends so."""
        for weight in self.constrained:
            if weight.trainable:
                values = self.view(self.data, weight)
                if self._copy is not None:
                    self._copy.written = False
                self.device.kernels.constrain(values, weight.constraint, out=values)

    def touch(self):
        """Say that weights have changed."""
        self.version += 1
        if self._copy is not None:
            self._copy.fresh = False

    @property
    def copy(self):
        """The weights' copy in 16 bits, None where there is none."""
        return self._copy

    def narrow(self, always=False):
        """Have the weights' copy in 16 bits be as they are, on a device that has one in mixed precision.

        Args:
            always: do so even where nothing is known to have changed, as each step of an optimizer does: so that steps
                which are captured and repeated are alike.
        """
        if self._copy is None:
            self._copy = self.device.narrow_copy(self.data)
        if self._copy is not None and (always or not self._copy.fresh):
            self._copy.renew()

    def values(self, weight):
        """A host copy of one weight's values."""
        flat = self.data if weight.trained else self.state
        return np.array(self.device.to_host(self.view(flat, weight)))

    def assign(self, weight, values):
        """Write one weight's values from a host array of its shape."""
        flat = self.data if weight.trained else self.state
        self.device.write(self.view(flat, weight), np.asarray(values, self.dtype))
        self.touch()

    def count(self):
        """(trainable, not trainable) numbers of parameters, the layers' `trainable` as it is now."""
        sizes = {True: 0, False: 0}
        for weight in self.weights:
            sizes[weight.trainable] += weight.stop - weight.start
        return sizes[True], sizes[False]


def copied(value, others=None):
    """A value with all in it copied that can be written: arrays, random generators, and lists, tuples, sets, dicts.

    Args:
        value: an attribute of a layer or loss; any other object is kept as it is.
        others: id of an object -> what takes its place, e.g. a layer inside a layer.
    """
    if others and id(value) in others:
        return others[id(value)]
    if isinstance(value, (np.ndarray, np.random.Generator, np.random.RandomState)):
        return copy.deepcopy(value)
    if type(value) in (list, tuple, set):
        return type(value)([copied(item, others) for item in value])
    if type(value) is dict:
        return {key: copied(item, others) for key, item in value.items()}
    return value
