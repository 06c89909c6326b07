"""Optimizer: what every optimizer is and does in a step."""

import functools

import numpy as np

from npdl import schedules
from npdl.optimizers.configuration import Configuration
from npdl.optimizers.services import SERVICES
from npdl.optimizers.state import State
from npdl.schedules import LearningRateSchedule


def of_its_layers(method):
    """Decorator of `method(optimizer, model, ...)`: layers of other models in the model's store stay as they are."""

    @functools.wraps(method)
    def call(self, model, *args, **kwargs):
        if not getattr(model, "outside", tuple)():  # as a rule there are none
            return method(self, model, *args, **kwargs)
        with model.alone():
            return method(self, model, *args, **kwargs)

    return call


class Optimizer(Configuration, State):
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
        services: the arguments above from `decoupled_weight_decay` on, by name; `amsgrad` and `loss_scale_factor`
            only with Keras' default.

    Attributes:
        iterations: steps done.
        state: the state arrays by name.

    Raises:
        ValueError, TypeError: an argument out of range, or one that cannot be honoured.
    """

    takes_closure = False  # whether `step` takes a function that makes the gradients again

    def __init__(self, learning_rate, weight_decay=None, name=None, **services):
        self._learning_rate = 0.0
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay if weight_decay is None else self.check("weight_decay", weight_decay)
        self.name = name or type(self).__name__.lower()
        self.set_empty()
        self.set_groups()
        for argument in services.keys() - SERVICES.keys():
            self._refuse(argument, services[argument])
        self.set_services(services)

    def update(self, k, p, g, segments):
        """One step on the flat arrays."""
        raise NotImplementedError(f"{type(self).__name__} needs update(self, k, p, g, segments)")

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

    def like(self, learning_rate):
        """An equal optimizer without state, with another learning rate or schedule."""
        other = type(self).from_config(self.get_config())
        other._learning_rate = self._rate(learning_rate)
        return other

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
        k, p, g, segments = store.device.full.kernels, store.data, store.grad, self._segments_of(store)
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
        store.narrow(always=True)

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
        self.add_part(store.device.full.kernels, store.grad, self._segments[2], part, float(weight))

    @property
    def turn(self):
        """Which of the things that it does from time to time the step that comes does, a tuple; empty where there are
        none. Steps of one turn make the same kernel calls with other numbers."""
        many, every, turn = self.gradient_accumulation_steps, self.ema_overwrite_frequency, ()
        if many:
            number = self.accumulated[0] + 1
            turn += ("first" if number == 1 else "last" if number == many else "another",)
            if number < many:
                return turn
        if self.use_ema and every:
            turn += ((self.iterations + 1) % every == 0,)
        return turn

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
        store.device.full.kernels.combine(store.data, self.state[name], self._segments[2], np.array([0.0, 1.0]))
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
