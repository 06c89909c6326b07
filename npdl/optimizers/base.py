"""Optimizer: what every optimizer is, and the services that it uses."""

import difflib
import inspect
import math
import re
from typing import Any

import numpy as np

from npdl.devices import Device
from npdl.params import ParamStore, Weight

KERAS_ONLY = {
    "clipnorm": None, "clipvalue": None, "global_clipnorm": None, "use_ema": False, "ema_momentum": 0.99,
    "ema_overwrite_frequency": None, "amsgrad": False, "loss_scale_factor": None, "gradient_accumulation_steps": None,
}  # fmt: skip
"""Arguments of Keras' optimizers that npdl does not have, and the default that asks for nothing."""


def check_number(owner, name, value, below=math.inf, example=0.001):
    """`value` as a float.

    Raises:
        TypeError: not a number.
        ValueError: negative, not finite, or not less than `below`.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{owner}: {name} must be a number, got {value!r}; pass e.g. {name}={example}")
    if not 0 <= value < below:
        top = "a finite number" if below == math.inf else f"less than {below}"
        raise ValueError(f"{owner}: {name} must be at least 0 and {top}, got {value!r}; pass e.g. {name}={example}")
    return float(value)


def _signature(store):
    """[path, size, size ...] of every weight that is trained, in order: plain values, which a file can hold."""
    return [[weight.path, *weight.shape] for weight in store.weights if weight.trained]


class Optimizer:
    """Changes a model's weights after its gradients: `step(model)`.

    All weights of a model lie in one flat array, their gradients in another, and so does each kind of state that the
    optimizer keeps. One kernel call updates everything. A subclass keeps each argument of its `__init__` under its own
    name, hands the three below to this one, and writes:

        slots()                     names of its state arrays, each like the flat weights, zeros before the first step
        update(k, p, g, segments)   one step: p from g and self.state[name], by a kernel of the device's table k
                                    (`npdl.kernels.segments` says what segments are); a subclass of your own may use
                                    NumPy on devices whose arrays are NumPy's

    Args:
        learning_rate: η; can be set at any time and is read at each step.
        weight_decay: λ; None is 0.
        name: kept for you, not used.
        keras: what Keras has and npdl has not (`clipnorm`, `use_ema` ...), accepted only with Keras' default.

    Attributes:
        iterations: steps done.
        state: the state arrays by name.

    Raises:
        ValueError, TypeError: an argument out of range, or one that cannot be honoured.
    """

    def __init__(self, learning_rate, weight_decay=None, name=None, **keras):
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay if weight_decay is None else self.check("weight_decay", weight_decay)
        self.name = name or type(self).__name__.lower()
        self.iterations = 0
        self.state: dict[str, Any] = {}
        self._device: Device | None = None  # where `state` is; None: on the host
        self._store: ParamStore | None = None  # the model's, from the first step on
        self._weights: list[list[Any]] | None = None  # [path, size, size ...] of the weights that `state` belongs to
        self._excluded: list[str] = []  # patterns of the paths that weight decay leaves out
        self._segments: tuple[Any, Any] = (None, None)  # what they were made from, the segments
        for argument, value in keras.items():
            self._refuse(argument, value)

    def _refuse(self, argument, value):
        owner = type(self).__name__
        if argument not in KERAS_ONLY:
            near = difflib.get_close_matches(argument, [*inspect.signature(type(self)).parameters], 1)
            near = ["learning_rate"] if argument == "lr" else near
            hint = f"did you mean {near[0]!r}?" if near else f"see help({owner})"
            raise TypeError(f"{owner} has no argument {argument!r}; {hint}")
        if value != KERAS_ONLY[argument]:
            raise ValueError(f"{owner}: npdl does not have {argument}, got {argument}={value!r}; leave it out")

    # ---- what a subclass writes

    def slots(self):
        """Names of the state arrays."""
        return ()

    def update(self, k, p, g, segments):
        """One step on the flat arrays."""
        raise NotImplementedError(f"{type(self).__name__} needs update(self, k, p, g, segments)")

    # ---- what it uses

    def check(self, argument, value, below=math.inf, example=0.001):
        """`value` as a float, at least 0 and less than `below`; raises naming class and argument otherwise."""
        return check_number(type(self).__name__, argument, value, below, example)

    # ---- training

    @property
    def learning_rate(self):
        """η, the size of a step."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        self._learning_rate = self.check("learning_rate", value)

    def step(self, model):
        """Update a model's trainable weights from the gradients that `model.backward` left.

        Args:
            model: a built model, or a layer of its own store (`layer.init(...)`).

        Raises:
            ValueError: the model has no weights yet, or is not the one that this optimizer's state belongs to.
        """
        store = getattr(model, "store", None)
        if store is None:
            raise ValueError(
                f"{type(self).__name__}.step needs a built model, got {model!r}; "
                "call model.build(shape of one sample) first"
            )
        self._adopt(store)
        self.update(store.device.kernels, store.data, store.grad, self._segments_of(store))
        store.constrain()
        self.iterations += 1
        store.touch()

    def _adopt(self, store):
        """Be the optimizer of this store: state arrays there, on its device."""
        slots = self.slots()
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
            for name, array in self.state.items():
                host = array if self._device is None else self._device.to_host(array)
                self.state[name] = store.device.alloc(host.shape, store.dtype)
                store.device.write(self.state[name], host)
            self._device = store.device
        for name in slots:
            if name not in self.state:
                self.state[name] = store.device.zeros(store.data.shape, store.dtype)

    def _refuse_store(self):
        raise ValueError(
            f"this {type(self).__name__} already holds the state of another model, or of this one before its "
            "layers changed; make a new one and pass it to model.compile"
        )

    def _check_fit(self, state, weights, store):
        for name, array in state.items():
            if array.shape != store.data.shape or array.dtype != store.dtype:
                raise ValueError(
                    f"{type(self).__name__}: the saved state {name!r} is {array.dtype} of shape {array.shape}, the "
                    f"model's weights are {store.dtype} of shape {store.data.shape}; the state is another model's: "
                    "make a new optimizer"
                )
        if state and weights is not None and weights != _signature(store):
            self._refuse_store()

    def _segments_of(self, store):
        """The segments; one array until a `trainable`, the decay or what it leaves out changes."""
        key = ([layer.trainable for layer in store.layers], self.weight_decay, self._excluded, store)
        if key != self._segments[0]:
            rows = [(w.start, w.stop, 1.0, self._decay_of(w), w.trainable) for w in store.weights if w.trained]
            self._segments = key, np.array(rows, np.float64).reshape(-1, 5)
        return self._segments[1]

    def _decay_of(self, weight):
        excluded = any(re.search(pattern, weight.path) for pattern in self._excluded)
        return 0.0 if excluded else self.weight_decay or 0.0

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Leave weights out of weight decay; a second call replaces the first.

        Args:
            var_list: `Weight`s of `model.store.weights`.
            var_names: strings; a weight is left out where one of them, as a regular expression, is found in its path
                "layer/name" (`["bias", "gamma"]`).

        Raises:
            TypeError: something else.
            ValueError: not a regular expression.

        >>> from npdl.optimizers import AdamW
        >>> AdamW(weight_decay=0.01).exclude_from_weight_decay(var_names=["bias", "^batch_normalization"])
        """
        for argument, values, kind, example in (
            ("var_list", var_list, Weight, "model.store.weights[1:2]"),
            ("var_names", var_names, str, '["bias"]'),
        ):
            if values is not None and (
                not isinstance(values, (list, tuple, set)) or not all(isinstance(value, kind) for value in values)
            ):
                raise TypeError(
                    f"exclude_from_weight_decay: {argument} must be a list of {kind.__name__}, got {values!r}; "
                    f"pass e.g. {argument}={example}"
                )
        excluded = [f"^{re.escape(weight.path)}$" for weight in var_list or ()] + list(var_names or ())
        for pattern in excluded:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(
                    f"exclude_from_weight_decay: {pattern!r} is not a regular expression ({error}); "
                    f"to take it literally, pass re.escape({pattern!r})"
                ) from None
        self._excluded = excluded

    # ---- saving

    def get_state(self):
        """(scalars, arrays): plain values, and host copies of the state arrays. With `get_config`, all there is.

        The scalars are `iterations` and, where there are arrays, `weights`: [path, size, size ...] of each weight.
        """
        device, arrays = self._device, {}
        for name in self.slots():
            if name in self.state:
                array = self.state[name]
                arrays[name] = np.array(array if device is None else device.to_host(array))
            elif self._store is not None:  # momentum was 0 until now
                arrays[name] = np.zeros(self._store.data.shape, self._store.dtype)
        scalars: dict[str, Any] = {"iterations": self.iterations}
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
        if not isinstance(steps, int) or steps < 0 or scalars.keys() - {"iterations", "weights"}:
            raise ValueError(
                f"{owner}: the saved state must hold the number of iterations, and at most weights beside it, "
                f"got {scalars!r}"
            )
        wanted = sorted(self.slots()) if steps else []
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
        self._weights = None if weights is None else [list(weight) for weight in weights]
        if store is not None and steps:
            self._adopt(store)

    def get_config(self):
        """The arguments that make an equal optimizer, as they are now; `from_config` reads them."""
        parameters = inspect.signature(type(self).__init__).parameters.values()
        names = [p.name for p in parameters if p.kind != p.VAR_KEYWORD and p.name != "self"]
        config = {name: getattr(self, name) for name in names}
        if self._excluded:
            config["exclude_from_weight_decay"] = list(self._excluded)
        return config

    @classmethod
    def from_config(cls, config):
        """A new optimizer, without state, from `get_config()`'s dictionary."""
        config = dict(config)
        excluded = config.pop("exclude_from_weight_decay", None)
        optimizer = cls(**config)
        optimizer.exclude_from_weight_decay(var_names=excluded)
        return optimizer

    def __getstate__(self):
        # A copy or a pickle has the state on the host and no model: the next model it steps is its own.
        _, arrays = self.get_state()
        return {**self.__dict__, "state": arrays, "_device": None, "_store": None, "_segments": (None, None)}

    def __repr__(self):
        defaults = inspect.signature(type(self).__init__).parameters
        shown = {
            name: value
            for name, value in self.get_config().items()
            if name in defaults and (name == "learning_rate" or value != defaults[name].default)
        }
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"
