"""Faults: where numbers that are none come from, when the loss of `fit` is NaN or infinite."""

import contextlib
import functools
import math

import numpy as np

from npdl.models.captured import is_plain
from npdl.models.repeated import Repeated
from npdl.models.totals import NotFinite

ADVICE = "try a smaller learning rate{rate} or clipnorm=1.0 in the optimizer, and look at the data"
LOOK = 1000
"""Steps on a GPU after which the loss is read even if nobody wants it: that waits for the work."""

MOST_KEPT = 1 << 28
"""Bytes of weights and optimizer state of which a GPU keeps a copy while an epoch runs."""


class _Found(Exception):
    """What is not finite first; ends the look through a batch."""


class Watch:
    """Ends a forward and backward at the first layer that makes a number which is none.

    Args:
        device: where the arrays are.
        gradients: whether gradients are to be finite: those of a scaled loss need not be.

    Attributes:
        output: of the last layer.
    """

    def __init__(self, device, gradients):
        self._device, self._gradients, self.output = device, gradients, ()

    @contextlib.contextmanager
    def inside(self, layers):
        """While it lasts, look at what layers inside of others make, too: each is seen before that which holds it."""
        parts = {id(part): part for layer in layers for part in layer.walk() if part is not layer}
        parts = [part for part in parts.values() if not {"forward", "backward"} & vars(part).keys()]
        for part in parts:
            part.forward = _watched(part.forward, lambda x, y, part=part: self.forward(part, x, y))
            part.backward = _watched(part.backward, lambda _, dx, part=part: self.backward(part, dx))
        try:
            yield
        finally:
            for part in parts:
                del part.forward, part.backward

    def forward(self, layer, x, y):
        """Look at y = layer.forward(x)."""
        if not self._is_finite(y):
            raise _Found(
                f"the first output that is not finite is that of {_named(layer)}, whose inputs are up to "
                f"{self.largest(x):.3g}"
            )
        self.output = y

    def backward(self, layer, dx):
        """Look at the gradients that layer.backward made."""
        if not self._gradients:
            return
        for part in layer.walk():
            for name, grad in getattr(part, "grads", {}).items():
                if part.trainable and not self._is_finite(grad):
                    raise _Found(
                        f"all outputs are finite, and the first gradient that is not is that of {part.name}/{name} "
                        f"({type(part).__name__})"
                    )
        if layer.needs_dx and dx is not None and not self._is_finite(dx):
            raise _Found(
                f"all outputs are finite, and the first gradient that is not is that of the inputs of {_named(layer)}"
            )

    def largest(self, arrays):
        """The largest absolute value."""
        return max((float(np.abs(host).max(initial=0)) for host in self._floats(arrays)), default=0.0)

    def _is_finite(self, arrays):
        return all(np.isfinite(host).all() for host in self._floats(arrays))

    def _floats(self, arrays):
        """Host arrays of those with floating-point numbers."""
        for array in arrays if isinstance(arrays, (tuple, list)) else [arrays]:
            if array is not None and np.issubdtype(array.dtype, np.floating):
                yield self._device.to_host(array)


class EpochBegin:
    """What training changes, as it was when an epoch began: copies on the GPU, made without waiting.

    A step there is done before anybody knows its loss, and after two such steps no weight is finite, whatever layer it
    came from. So where the loss turns out to be no number, the epoch is trained again from these copies, and each loss
    looked at before it changes weights.
    """

    def __init__(self):
        self._copies, self._kept = {}, None

    def keep(self, step):
        """Be what is now; nothing where that is much, where the state is elsewhere still, or where there is no room.

        Args:
            step: the `Step`, which it does not hold.
        """
        self._kept, model, driver = None, step.model, step.device.driver
        if driver is None or not step.stops or not is_plain(model.optimizer) or model.outside():
            return
        arrays = _arrays(model)
        there = all(getattr(getattr(array, "memory", None), "driver", None) is driver for array in arrays.values())
        if not there or sum(array.nbytes for array in arrays.values()) > MOST_KEPT:
            return
        try:
            for name, array in arrays.items():
                if name not in self._copies:
                    self._copies[name] = driver.array(array.shape, array.dtype)
                driver.copy(array, self._copies[name])
        except MemoryError:
            self._copies.clear()
            return
        self._kept = arrays.keys(), model.optimizer.counted, step.counters()

    def find(self, step, batches):
        """Train on the batches again, up to the first whose loss is no number: (its place, its arrays).

        The model is then as it was before that batch. None: nothing was kept, or no loss was such."""
        if self._kept is None:
            return None
        self._restore(step.model, step.device.driver)
        totals = step.careful()
        for number, batch in enumerate(batches):
            try:
                step.train(*batch, totals)
            except NotFinite:
                return number, batch
        return None

    def _restore(self, model, driver):
        names, counted, counters = self._kept
        for name, array in _arrays(model).items():
            if name in names:
                driver.copy(self._copies[name], array)
            else:  # the optimizer begins it anew
                del model.optimizer.state[name]
        model.optimizer.counted = counted
        for layer, number in counters:
            layer.step = number
        model.store.touch()


def _arrays(model):
    """All that a step changes and that is not empty, by name."""
    arrays = {"all weights": model.store.data, "moving statistics": model.store.state, **model.optimizer.state}
    return {name: array for name, array in arrays.items() if array.size}


def _watched(method, look):
    """A layer's method that has its argument and its result looked at."""

    @functools.wraps(method)
    def call(x, *args, **named):
        made = method(x, *args, **named)
        look(x, made)
        return made

    call.__func__ = getattr(method, "__func__", method)  # as a method has it: who asks what it takes remembers that
    return call


def explain(step, x, y, w, exact):
    """Where it comes from that the loss is no number: of the weights, or else of a batch that is run again.

    Args:
        step: the `Step`.
        x, y, w: host arrays of the batch at hand.
        exact: whether it is known to be the loss of this batch.

    Returns:
        a sentence that names a layer and what to try; None where a loss scale has skipped steps, and this batch and the
        weights are well.
    """
    found = _weights(step.model) or _batch(step, x, y, w)
    if found is None and step.scaling is not None:
        return None
    found = found or f"all numbers of {'this batch, run again,' if exact else 'the last batch'} are finite"
    return f"{found}; {advice(step.model.optimizer)}"


def advice(optimizer):
    """What to try."""
    rate = getattr(optimizer, "learning_rate", None)
    return ADVICE.format(rate=f" (it is {rate:g})" if isinstance(rate, (int, float)) else "")


def _weights(model):
    """Which weights are not finite, None where all are.

    Backward goes from the last layer to the first: the last one with such weights got such a gradient first.
    """
    weights = [weight for weight in model.weights() if math.prod(weight.shape)]
    wrong = [weight for weight in weights if not np.isfinite(model.store.values(weight)).all()]
    if not wrong:
        return None
    last = ([weight for weight in wrong if weight.trained] or wrong)[-1]
    said = f"{len(wrong)} of {len(weights)} weights are not finite, the last of them {last.path}"
    if model.device.driver is not None and len(wrong) == len(weights):
        return f"{said}; train with npdl.cuda.debug(), which looks at each loss in time and names the layer"
    return f"{said} ({type(last.layer).__name__}), whose gradient comes first in backward"


def _batch(step, x, y, w):
    """What is not finite first in a batch that is run again, None where all is finite."""
    watch = Watch(step.device, gradients=step.scaling is None)
    try:
        loss = step.look_through(x, y, w, watch)
    except _Found as found:
        return str(found)
    except NotFinite:
        kinds = ", ".join(type(head.loss).__name__ for head in step.heads if head.loss is not None)
        size = watch.largest(watch.output)
        return f"the outputs of all layers are finite, those of the last up to {size:.3g}, and {kinds} of them is not"
    return None if math.isfinite(loss) else "outputs and gradients of all layers are finite, and a penalty is not"


def _named(layer):
    layer = layer.layer if isinstance(layer, Repeated) else layer
    return f"{layer.name} ({type(layer).__name__})"
