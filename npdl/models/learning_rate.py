"""A learning-rate finder: train a copy while the learning rate rises, and see where the loss falls fastest."""

import copy
import itertools
import math

import numpy as np

from npdl import viz
from npdl.models import checks, loops
from npdl.schedules import ExponentialDecay

SETTLED = 10
"""Steps after which the running mean has got rid of its first losses."""


class LearningRateCurve:
    """What `find_learning_rate` saw.

    Attributes:
        rates, losses: of each step.
        smoothed: the running mean of the losses.
        suggestion: the rate about which `smoothed` fell most over a twentieth of the steps, after the first ones and
            before its least value; None where it never fell.
    """

    def __init__(self, rates, losses, smoothed):
        self.rates, self.losses, self.smoothed = np.array(rates), np.array(losses), np.array(smoothed)
        self.suggestion = None
        first, width = min(SETTLED, len(rates) // 4), max(1, len(rates) // 20)
        last = int(np.argmin(self.smoothed)) + 1 if len(rates) else 0
        fall = self.smoothed[first : max(last - width, first)] - self.smoothed[first + width : max(last, first + width)]
        if fall.size and fall.max() > 0:
            self.suggestion = float(self.rates[first + (int(np.argmax(fall)) + width // 2)])

    def plot(self, path=None):
        """The curve as `npdl.viz.learning_rate_curve` draws it."""
        return viz.learning_rate_curve(self.rates, self.losses, self.smoothed, self.suggestion, path)

    def __repr__(self):
        said = "nothing: the loss did not fall" if self.suggestion is None else f"{self.suggestion:.2g}"
        return f"<LearningRateCurve of {len(self.rates)} steps, suggests {said}>"


def find_learning_rate(
    model, x, y=None, batch_size=32, sample_weight=None, min_learning_rate=1e-7, max_learning_rate=10.0, steps=100,
    smoothing=0.8, divergence=4.0, class_weight=None,
):  # fmt: skip
    """Train a copy of a model for some steps, the learning rate rising by equal ratios, and keep the losses.

        rate of step i = min · (max / min)^(i / (steps − 1))
        mean = smoothing mean + (1 − smoothing) loss,  smoothed = mean / (1 − smoothing^(i + 1))

    It ends early where the loss is no number, or more than `divergence` times the least smoothed one. The optimizer
    is one like the model's, without its state. The model itself is left as it is, to the last bit.

    Args:
        model: built or not, compiled with an optimizer and a loss.
        x, y, batch_size, sample_weight, class_weight: as in `fit`: arrays, of several inputs and outputs dicts or
            tuples of them, `npdl.data.Mapped`, iterables of batches; in the order of the model's first epochs.
        min_learning_rate, max_learning_rate, steps: as above.
        smoothing, divergence: as above.

    Returns:
        the `LearningRateCurve`; `curve.plot()` draws it, `curve.suggestion` is a rate to begin with.

    Raises:
        RuntimeError: the model is not compiled with optimizer and loss.
        ValueError: rates that do not rise, fewer than 3 steps.
    """
    if model.optimizer is None or model.loss is None:
        raise RuntimeError('find_learning_rate needs model.compile(optimizer, loss) first, e.g. ("adam", "mse")')
    if not 0 < min_learning_rate < max_learning_rate < math.inf or steps < 3:
        raise ValueError(
            "find_learning_rate needs rates that rise from above 0 and at least 3 steps, got "
            f"min_learning_rate={min_learning_rate!r}, max_learning_rate={max_learning_rate!r}, steps={steps!r}; "
            "pass e.g. 1e-7, 10.0 and 100"
        )
    batch_size, twin = checks.positive("batch_size", batch_size, default=32), copy.deepcopy(model)
    rising = ExponentialDecay(min_learning_rate, steps - 1, max_learning_rate / min_learning_rate)
    how = {"check_gradients": False, "precision": model.precision, "loss_scale": twin.loss_scale}
    twin.compile(model.optimizer.like(rising), twin.loss_as_given(), twin.loss_weights, **how)
    source = twin._source(x, y, sample_weight)
    trained = twin._ready(source, loops.silent)
    batches = itertools.chain.from_iterable(loops.epochs_of(source, batch_size, model.seed, True, None, 0))
    rates, losses, smoothed, mean = [], [], [], 0.0
    for step, (x_batch, y_batch, w) in enumerate(itertools.islice(twin._checked(source, batches), steps)):
        totals = trained.totals()
        try:
            trained.train(x_batch, y_batch, twin._sample_weights(class_weight, y_batch, w), totals)
        except FloatingPointError:  # of an optimizer that stops there
            break
        loss = totals.logs()["loss"]
        mean = smoothing * mean + (1 - smoothing) * loss
        value = mean / (1 - smoothing ** (step + 1))
        if not math.isfinite(loss) or (step > 0 and value > divergence * min(smoothed)):
            break
        rates.append(rising(step))
        losses.append(loss)
        smoothed.append(value)
    return LearningRateCurve(rates, losses, smoothed)
