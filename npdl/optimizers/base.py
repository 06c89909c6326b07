"""Optimizer: what every optimizer is, and the services that it uses."""

import difflib
import functools
import inspect
import math
import re
from typing import Any

import numpy as np

from npdl import schedules
from npdl.devices import Device
from npdl.optimizers.services import SERVICES, Services
from npdl.params import ParamStore, Weight
from npdl.schedules import LearningRateSchedule

KERAS_ONLY = {"amsgrad": False, "loss_scale_factor": None}
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


def _patterns(method, var_list, var_names):
    """Regular expressions for the paths of the weights that a user names."""
    for argument, values, kind, example in (
        ("var_list", var_list, Weight, "model.store.weights[1:2]"),
        ("var_names", var_names, str, '["bias"]'),
    ):
        if values is not None and (
            not isinstance(values, (list, tuple, set)) or not all(isinstance(value, kind) for value in values)
        ):
            raise TypeError(
                f"{method}: {argument} must be a list of {kind.__name__}, got {values!r}; "
                f"pass e.g. {argument}={example}"
            )
    patterns = [f"^{re.escape(weight.path)}$" for weight in var_list or ()] + list(var_names or ())
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(
                f"{method}: {pattern!r} is not a regular expression ({error}); "
                f"to take it literally, pass re.escape({pattern!r})"
            ) from None
    return patterns


def of_its_layers(method):
    """Decorator of `method(optimizer, model, ...)`: layers of other models in the model's store stay as they are."""

    @functools.wraps(method)
    def call(self, model, *args, **kwargs):
        if not getattr(model, "outside", tuple)():  # as a rule there are none
            return method(self, model, *args, **kwargs)
        with model.alone():
            return method(self, model, *args, **kwargs)

    return call


class Optimizer(Services):
    """Changes a model's weights after its gradients: `step(model)`.

    All weights of a model lie in one flat array, their gradients in another, and so does each kind of state that the
    optimizer keeps. One kernel call updates everything. A subclass keeps each argument of its `__init__` under its own
    name, hands the three below to this one, and writes:

        slots()                     names of its state arrays, each like the flat weights, zeros before the first step
        update(k, p, g, segments)   one step: p from g and self.state[name], by a kernel of the device's table k
                                    (`npdl.kernels.segments` says what segments are); a subclass of your own may use
                                    NumPy on devices whose arrays are NumPy's

    Args:
        learning_rate: η, a number, which can be set at any time and is read at each step; or an object of
            `npdl.schedules`, which is asked at each step.
        weight_decay: λ; None is 0.
        name: kept for you, not used.
        decoupled_weight_decay: False adds λ p to the gradient, as PyTorch does where a class does not say otherwise;
            True takes p = (1 − η λ) p beside the gradient step, as Keras always does.
        clipvalue: each number of the gradient is cut to [−clipvalue, clipvalue].
        clipnorm: each weight's gradient is scaled to at most this Euclidean norm.
        global_clipnorm: the whole gradient is scaled to at most this norm. Clipping changes the gradients themselves.
        use_ema: keep a moving average of all weights, average = μ average + (1 − μ) p after each step, beginning
            with the weights after the first one; at the end of `fit` it becomes the weights (`finalize`).
        ema_momentum: μ.
        ema_overwrite_frequency: every how many steps the weights become their average; None is never.
        gradient_accumulation_steps: K: every K-th call of `step` changes the weights, with the mean gradient of K
            micro-batches. In `fit` each counts by its samples, so that it is the gradient of the big batch that
            they make; by hand each counts alike, as in Keras, or by `step(model, weight)`.
        services: the seven arguments above, by name; `amsgrad` and `loss_scale_factor` only with Keras' default.

    Attributes:
        iterations: steps done.
        state: the state arrays by name.

    Raises:
        ValueError, TypeError: an argument out of range, or one that cannot be honoured.
    """

    takes_closure = False  # whether `step` takes a function that makes the gradients again

    def __init__(self, learning_rate, weight_decay=None, name=None, **services):
        self._learning_rate = 0.0
        self.iterations = 0
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay if weight_decay is None else self.check("weight_decay", weight_decay)
        self.name = name or type(self).__name__.lower()
        self.state: dict[str, Any] = {}
        self._device: Device | None = None  # where `state` is; None: on the host
        self._store: ParamStore | None = None  # the model's, from the first step on
        self._weights: list[list[Any]] | None = None  # [path, size, size ...] of the weights that `state` belongs to
        self._excluded: list[str] = []  # patterns of the paths that weight decay leaves out
        self._groups: list[dict[str, Any]] = []  # what `add_group` was given
        self._segments: tuple[Any, Any, Any] = (None, None, None)  # what they were made from, the segments, plain ones
        for argument in services.keys() - SERVICES.keys():
            self._refuse(argument, services[argument])
        self.set_services(services)

    def _refuse(self, argument, value):
        owner = type(self).__name__
        if argument not in KERAS_ONLY:
            near = difflib.get_close_matches(argument, [*inspect.signature(type(self)).parameters, *SERVICES], 1)
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

    # ---- what it uses

    def check(self, argument, value, below=math.inf, example=0.001):
        """`value` as a float, at least 0 and less than `below`; raises naming class and argument otherwise."""
        return check_number(type(self).__name__, argument, value, below, example)

    # ---- training

    @property
    def learning_rate(self):
        """η, the size of the step that comes."""
        if isinstance(self._learning_rate, LearningRateSchedule):
            return self.check("the schedule's learning rate", self._learning_rate(self.iterations))
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        if isinstance(self._learning_rate, LearningRateSchedule):
            raise TypeError(
                f"{type(self).__name__}: the learning rate comes from {self._learning_rate!r} and cannot be set; "
                "compile with a number, e.g. learning_rate=0.001"
            )
        self._learning_rate = self._rate(value)

    def _rate(self, value):
        """A schedule, or a number that has been checked."""
        if isinstance(value, LearningRateSchedule):
            return value
        if isinstance(value, dict):
            return schedules.get(value)
        if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
            raise TypeError(
                f"{type(self).__name__}: learning_rate must be a number or an object of npdl.schedules, got "
                f"{value!r}; pass e.g. learning_rate=0.001"
            )
        return self.check("learning_rate", value)

    @of_its_layers
    def step(self, model, weight=1.0):
        """Update a model's trainable weights from the gradients that `model.backward` left.

        Args:
            model: a built model, or a layer of its own store (`layer.init(...)`).
            weight: what this batch counts where several make one gradient (`gradient_accumulation_steps`), e.g. its
                number of samples.

        Raises:
            ValueError: the model has no weights yet, or is not the one that this optimizer's state belongs to.
        """
        store = self._store_of(model)
        self._adopt(store)
        k, p, g, segments = store.device.kernels, store.data, store.grad, self._segments_of(store)
        if self.gradient_accumulation_steps and not self.accumulate(k, g, self._segments[2], float(weight)):
            return
        if self.clipnorm or self.clipvalue or self.global_clipnorm:
            self.clip_gradient(k, g, self._segments[2])
        self.update(k, p, g, segments)
        store.constrain()
        if self.use_ema:
            self.follow(k, p, self._segments[2])
        self.iterations += 1
        store.touch()

    @of_its_layers
    def gather(self, model, part, weight):
        """Keep the gradient of one part of a loss whose parts are means of their own, as those of several outputs.

        With `gradient_accumulation_steps` the gradient is then Σ over parts of Σ weight · g / Σ weight over the
        micro-batches: that of the big batch, also where the outputs have sample weights or masks of their own. Call it
        for each part after a backward of that part alone, and `step(model)` behind the last one.

        Args:
            model: as of `step`.
            part: its number, from 0.
            weight: what this batch counts in the part's mean, e.g. its number of samples of non-zero weight.

        Raises:
            ValueError: nothing is accumulated, or batches before this one were not in parts.
        """
        if not self.gradient_accumulation_steps or (self.accumulated[0] and not self.parts):
            raise ValueError(
                f"{type(self).__name__}.gather keeps the parts of a gradient from the first micro-batch to the last; "
                "pass gradient_accumulation_steps=K, and of a model with several outputs sample weights (1 where there "
                "are none) with each batch or with none"
            )
        store = self._store_of(model)
        self.parts += [0.0] * (part + 1 - len(self.parts))
        self._adopt(store)
        self._segments_of(store)
        self.add_part(store.device.kernels, store.grad, self._segments[2], part, float(weight))

    def finalize(self, model):
        """Make the moving average (`use_ema`) the model's trainable weights; `fit` does it at its end. Else nothing."""
        if self.use_ema and self.iterations:
            self._overwrite(model, "average")

    @of_its_layers
    def _overwrite(self, model, name):
        """p = the state array of that name, for weights that are trainable."""
        store = self._store_of(model)
        self._adopt(store)
        self._segments_of(store)
        store.device.kernels.combine(store.data, self.state[name], self._segments[2], np.array([0.0, 1.0]))
        store.touch()

    @of_its_layers
    def swap_average(self, model):
        """Exchange the model's trainable weights and their moving average (`use_ema`); a second call puts them back.

        Raises:
            ValueError: there is no average.
        """
        if not (self.use_ema and self.iterations):
            raise ValueError(f"{type(self).__name__} has no average of the weights; pass use_ema=True, and train")
        store = self._store_of(model)
        self._adopt(store)
        write, to_host = store.device.write, store.device.to_host
        for weight in store.weights:
            if weight.trainable:
                own, average = (array[weight.start : weight.stop] for array in (store.data, self.state["average"]))
                held = np.array(to_host(own))
                write(own, to_host(average))
                write(average, held)
        store.touch()

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
            for name, array in self.state.items():
                host = array if self._device is None else self._device.to_host(array)
                self.state[name] = store.device.alloc(host.shape, store.dtype)
                store.device.write(self.state[name], host)
            self._device = store.device
        for name in slots:
            if name not in self.state:
                self.state[name] = store.device.zeros((self.length(name, store),), store.dtype)
                self._fill(store, name)

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

    def _segments_of(self, store):
        """The segments; one array until a `trainable`, the decay, what it leaves out or a group changes."""
        key = ([layer.trainable for layer in store.layers], self.weight_decay, self._excluded, len(self._groups), store)
        if key != self._segments[0]:
            trained = [weight for weight in store.weights if weight.trained]
            rows = [(w.start, w.stop, *self._scale_and_decay(w), w.trainable) for w in trained]
            table = np.array(rows, np.float64).reshape(-1, 5)
            plain = table.copy()
            plain[:, 2:4] = 1, 0
            self._segments = key, self.arrange(table, trained), plain
        return self._segments[1]

    def arrange(self, segments, weights):
        """The segments that `update` gets: a subclass may change them, or keep what it needs of the weights' shapes."""
        return segments

    def _scale_and_decay(self, weight):
        scale, decay = 1.0, self.weight_decay or 0.0
        if any(re.search(pattern, weight.path) for pattern in self._excluded):
            decay = 0.0
        for group in self._groups:
            if any(re.search(pattern, weight.path) for pattern in group["var_names"]):
                scale = group["learning_rate_multiplier"]
                decay = decay if group["weight_decay"] is None else group["weight_decay"]
        return scale, decay

    def add_group(self, var_list=None, var_names=None, learning_rate_multiplier=1.0, weight_decay=None):
        """Train some weights with a learning rate and a decay of their own; of two groups the later one counts.

        Args:
            var_list, var_names: the weights, as in `exclude_from_weight_decay`.
            learning_rate_multiplier: their learning rate is η times this.
            weight_decay: their λ; None is the optimizer's own.

        Raises:
            TypeError, ValueError: as `exclude_from_weight_decay`, or a number out of range.

        >>> from npdl.optimizers import Adam
        >>> Adam().add_group(var_names=["^backbone/"], learning_rate_multiplier=0.1)
        """
        scale = self.check("learning_rate_multiplier", learning_rate_multiplier, example=0.1)
        decay = None if weight_decay is None else self.check("weight_decay", weight_decay)
        names = _patterns("add_group", var_list, var_names)
        self._groups.append({"var_names": names, "learning_rate_multiplier": scale, "weight_decay": decay})

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
        self._excluded = _patterns("exclude_from_weight_decay", var_list, var_names)

    # ---- saving

    def get_state(self):
        """(scalars, arrays): plain values, and host copies of the state arrays. With `get_config`, all there is.

        The scalars are `iterations`, where there are arrays `weights`: [path, size, size ...] of each weight, in the
        midst of an accumulation `accumulated`: how many batches and their weight, `parts` the weight of each part, and
        what a subclass adds.
        """
        device, arrays = self._device, {}
        for name in self._names():
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

    def get_config(self):
        """The arguments that make an equal optimizer, as they are now; `from_config` reads them."""
        parameters = inspect.signature(type(self).__init__).parameters.values()
        names = [p.name for p in parameters if p.kind != p.VAR_KEYWORD and p.name != "self"]
        config = {name: getattr(self, name) for name in names}
        if isinstance(self._learning_rate, LearningRateSchedule) and "learning_rate" in config:
            config["learning_rate"] = schedules.serialize(self._learning_rate)
        for name, default in SERVICES.items():
            if getattr(self, name) != default:
                config[name] = getattr(self, name)
        if self._excluded:
            config["exclude_from_weight_decay"] = list(self._excluded)
        if self._groups:
            config["groups"] = [dict(group) for group in self._groups]
        return config

    @classmethod
    def from_config(cls, config):
        """A new optimizer, without state, from `get_config()`'s dictionary."""
        config = dict(config)
        excluded, groups = config.pop("exclude_from_weight_decay", None), config.pop("groups", ())
        optimizer = cls(**config)
        if excluded:
            optimizer.exclude_from_weight_decay(var_names=excluded)
        for group in groups:
            optimizer.add_group(**group)
        return optimizer

    def like(self, learning_rate):
        """An equal optimizer without state, with another learning rate or schedule."""
        other = type(self).from_config(self.get_config())
        other._learning_rate = self._rate(learning_rate)
        return other

    def __getstate__(self):
        # A copy or a pickle has the state on the host and no model: the next model it steps is its own.
        _, arrays = self.get_state()
        return {**self.__dict__, "state": arrays, "_device": None, "_store": None, "_segments": (None, None, None)}

    def __repr__(self):
        parameters = inspect.signature(type(self).__init__).parameters
        defaults = {**SERVICES, **{name: parameter.default for name, parameter in parameters.items()}}
        shown = {
            name: self._learning_rate if name == "learning_rate" else value
            for name, value in self.get_config().items()
            if name in defaults and (name == "learning_rate" or value != defaults[name])
        }
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"
