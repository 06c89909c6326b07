"""State: the arrays that an optimizer keeps beside the weights, on their device and in files."""

from typing import Any

import numpy as np

from npdl.devices import Device, no_room
from npdl.optimizers.lent import Lent
from npdl.optimizers.services import Services
from npdl.params import ParamStore


def _signature(store):
    """[path, size, size ...] of every weight that is trained, in order: plain values, which a file can hold."""
    return [[weight.path, *weight.shape] for weight in store.weights if weight.trained]


class State(Services):
    """State arrays, each like the flat weights, that belong to one model and follow it from device to device.

    Attributes:
        state: the arrays by name.
        iterations: steps done.
        keeper: who counts them meanwhile: a GPU that skips steps by itself.
    """

    iterations = Lent()
    keeper: Any = None

    _device: Device | None  # where `state` is; None: on the host
    _store: ParamStore | None  # the model's, from the first step on
    _weights: list[list[Any]] | None  # [path, size, size ...] of the weights that `state` belongs to

    def set_empty(self):
        """No state: nothing was stepped."""
        self.state, self.iterations = {}, 0
        self._device = self._store = self._weights = None

    # ---- what a subclass may write

    def slots(self):
        """Names of the state arrays."""
        return ()

    def initial(self, name):
        """What the numbers of a state array are before the first step; None: the weights."""
        return 0.0

    def length(self, name, store):
        """How many numbers a state array has: as many as there are weights, unless a subclass keeps fewer."""
        return len(store.data)

    def scalars(self):
        """Plain values that are saved beside the arrays, by name."""
        return {}

    def set_scalars(self, scalars):
        """Take what `scalars` gave."""

    @property
    def counted(self):
        """What its steps count on the host; to assign it takes a step back, as far as that goes."""
        return self.iterations, self.accumulated, list(self.parts), self.scalars()

    @counted.setter
    def counted(self, before):
        self.iterations, self.accumulated, parts, scalars = before
        self.parts = list(parts)
        self.set_scalars(scalars)

    # ---- one model's

    def _store_of(self, model):
        store = getattr(model, "store", None)
        if store is None:
            raise ValueError(
                f"{type(self).__name__}.step needs a built model, got {model!r}; "
                "call model.build(shape of one sample) first"
            )
        return store

    def _names(self):
        """Of all state arrays, the services' too."""
        return (*self.slots(), *self.service_slots())

    def _adopt(self, store):
        """Be the optimizer of this store: state arrays there, on its device."""
        slots = self._names()
        if self._store is store and self._device is store.device and self.state.keys() == set(slots):
            return
        if self._store is not store:
            if self._store is not None:
                self._refuse_store()
            self._check_fit(self.state, self._weights, store)
            self._store, self._weights = store, _signature(store)
        for name in [name for name in self.state if name not in slots]:
            del self.state[name]  # momentum is 0 now: it starts from zero if it comes back, after saving too
        if self._device is not store.device:
            moved = {}
            for name, array in self.state.items():
                host = array if self._device is None else self._device.to_host(array)
                moved[name] = self._room(store, name, host.shape)
                store.device.write(moved[name], host)
            self.state, self._device = moved, store.device
        for name in slots:
            if name not in self.state:
                shape = (self.length(name, store),)
                self.state[name] = self._room(store, name, shape)
                store.device.write(self.state[name], np.zeros(shape, store.dtype))
                self._fill(store, name)

    def _room(self, store, name, shape):
        """An uninitialised state array.

        Raises:
            MemoryError: there is no room; nothing has changed.
        """
        try:
            return store.device.alloc(shape, store.dtype)
        except MemoryError as error:
            raise no_room(f"{type(self).__name__}, state {name!r}", shape, store.dtype, error) from error

    def _fill(self, store, name):
        """Write the first values of a state array; the gaps between the tensors stay 0."""
        value = {"average": None}.get(name, 0.0) if name in self.service_slots() else self.initial(name)
        if value is None:
            store.device.write(self.state[name], store.device.to_host(store.data))
        elif value:
            host = np.zeros(store.data.shape, store.dtype)
            for weight in store.weights:
                if weight.trained:
                    host[weight.start : weight.stop] = value
            store.device.write(self.state[name], host)

    def _refuse_store(self):
        raise ValueError(
            f"this {type(self).__name__} already holds the state of another model, or of this one before its "
            "layers changed; make a new one and pass it to model.compile"
        )

    def _check_fit(self, state, weights, store):
        for name, array in state.items():
            shape = (self.length(name, store),)
            if array.shape != shape or array.dtype != store.dtype:
                raise ValueError(
                    f"{type(self).__name__}: the saved state {name!r} is {array.dtype} of shape {array.shape}, the "
                    f"model's weights are {store.dtype} and need shape {shape}; the state is another model's: "
                    "make a new optimizer"
                )
        if state and weights is not None and weights != _signature(store):
            self._refuse_store()

    # ---- saving

    def get_state(self):
        """(scalars, arrays): plain values, and host copies of the state arrays. With `get_config`, all there is.

        The scalars are `iterations`, where there are arrays `weights`: [path, size, size ...] of each weight, in the
        midst of an accumulation `accumulated`: how many batches and their weight, `parts` the weight of each part, and
        what a subclass adds.
        """
        device, arrays = self._device, {}
        begun = self.iterations or self.accumulated[0]
        for name in self._names() if begun else ():  # a GPU makes room before it settles whether the step is skipped
            if name in self.state:
                array = self.state[name]
                arrays[name] = np.array(array if device is None else device.to_host(array))
            elif self._store is not None:  # momentum was 0 until now
                arrays[name] = np.zeros((self.length(name, self._store),), self._store.dtype)
        scalars: dict[str, Any] = {"iterations": self.iterations, **self.scalars()}
        if self.accumulated[0]:
            scalars["accumulated"] = list(self.accumulated)
        if self.parts:
            scalars["parts"] = list(self.parts)
        if arrays and self._weights is not None:
            scalars["weights"] = [list(weight) for weight in self._weights]
        return scalars, arrays

    def set_state(self, scalars, arrays, store=None):
        """Go on where `get_state` was called: the next step is bit for bit the one that came next there.

        Args:
            scalars, arrays: from `get_state`.
            store: the built model's; the state is then that model's at once, and stays with its layers as they are
                now. None: it becomes that of the first model stepped.

        Raises:
            ValueError: the state is another optimizer's, or another model's; nothing is changed.
        """
        owner = type(self).__name__
        steps, weights = scalars.get("iterations"), scalars.get("weights")
        own = self.scalars().keys()
        known = {"iterations", "weights", "accumulated", "parts"}
        if not isinstance(steps, int) or steps < 0 or scalars.keys() - known != own:
            raise ValueError(
                f"{owner}: the saved state must hold the number of iterations, and at most weights beside it, "
                f"got {scalars!r}"
            )
        number, total = scalars.get("accumulated", (0, 0.0))
        wanted = sorted(self._expected(scalars)) if steps or number else []
        if sorted(arrays) != wanted:
            raise ValueError(
                f"{owner}: the saved state must hold the arrays {wanted} after {steps} steps, got {sorted(arrays)}; "
                "it is another optimizer's"
            )
        arrays = {name: np.array(array) for name, array in arrays.items()}
        if store is not None and self._store is not None and self._store is not store:
            self._refuse_store()
        if store is not None or self._store is not None:
            self._check_fit(arrays, weights, store or self._store)
        self.iterations, self.state, self._device = steps, arrays, None
        self.accumulated, self.parts = (int(number), float(total)), list(scalars.get("parts", ()))
        self.set_scalars({name: scalars[name] for name in own})
        self._weights = None if weights is None else [list(weight) for weight in weights]
        if store is not None and arrays:
            self._adopt(store)

    def _expected(self, scalars):
        """Names of the arrays that a saved state with these scalars has."""
        return (*self.slots(), *self.service_slots(len(scalars.get("parts", ()))))

    def __getstate__(self):
        # A copy or a pickle has the state on the host and no model: the next model it steps is its own.
        _, arrays = self.get_state()
        return {**self.__dict__, "state": arrays, "_device": None, "_store": None, "_segments": (None, None, None)}
