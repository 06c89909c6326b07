"""LossScale: gradients made larger on their way through float16."""

import math
from typing import Any

import numpy as np

from npdl.optimizers.lent import Lent
from npdl.optimizers.services import check_number

SMALLEST, LARGEST = 2.0**-126, 2.0**127
"""Scales are numbers of float32, and so are the factors that undo them."""


class LossScale:
    """A factor on dL/dy of the loss, so that small gradients do not vanish in float16 (`precision="mixed_float16"`).

        dy = scale · dL/dy              then backward, which multiplies all gradients by scale
        g = g / scale                   before penalties, clipping, accumulation and the step see them

    float16 knows no number between 0 and 6e-8, and many gradients are there. The largest scale that does no harm is
    found by trying: where a gradient is infinite or NaN, the step is skipped (weights, the optimizer's state and its
    iterations stay) and the scale halved; after `dynamic_growth_steps` good steps in a row it is doubled. It is a power
    of two where `initial_scale` is one: then it changes no digit of a number that float16 holds.

    The rule and the defaults are those of Keras' LossScaleOptimizer. PyTorch's GradScaler begins at 65536 and is the
    same else. A micro-batch that overflows (`gradient_accumulation_steps`) is left out alone. `fit` does all this; by
    hand:

        model.backward(loss.backward() * scale.scale)
        if scale.unscale(model):
            optimizer.step(model)

    There backward knows no scale: what an `activity_regularizer` adds to dy would be divided by it all the same.

    Args:
        initial_scale: the first factor.
        dynamic_growth_steps: good steps until it is doubled.

    Attributes:
        scale: the factor now.
        good: steps since it changed.
        skipped: steps that were left out.
        keeper: who has these three meanwhile: a GPU that skips steps by itself.

    Raises:
        ValueError, TypeError: a scale that float32 does not hold, steps that are no whole number from 1 on.

    References:
        Micikevicius et al., Mixed precision training, 2018.

    >>> LossScale(1024.0)
    LossScale(initial_scale=1024.0, dynamic_growth_steps=2000)
    """

    scale, good, skipped = Lent(), Lent(), Lent()
    keeper: Any = None

    def __init__(self, initial_scale=2.0**15, dynamic_growth_steps=2000):
        self.initial_scale = check_number("LossScale", "initial_scale", initial_scale, LARGEST, 32768.0)
        if self.initial_scale < SMALLEST:
            raise ValueError(
                f"LossScale: initial_scale must be at least {SMALLEST}, got {initial_scale!r}; "
                "pass e.g. initial_scale=32768.0"
            )
        steps = dynamic_growth_steps
        if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < 1:
            raise ValueError(
                f"LossScale: dynamic_growth_steps must be a whole number of at least 1, got {steps!r}; "
                "pass e.g. dynamic_growth_steps=2000"
            )
        self.dynamic_growth_steps = int(steps)
        self.scale, self.good, self.skipped = self.initial_scale, 0, 0

    def __repr__(self):
        return f"LossScale(initial_scale={self.initial_scale}, dynamic_growth_steps={self.dynamic_growth_steps})"

    def get_config(self):
        """The arguments it was made with."""
        return {"initial_scale": self.initial_scale, "dynamic_growth_steps": self.dynamic_growth_steps}

    def get_state(self):
        """What changes in training, as plain values."""
        return {"scale": self.scale, "good": self.good, "skipped": self.skipped}

    def set_state(self, state):
        """Go on where `get_state` was called."""
        self.scale, self.good, self.skipped = float(state["scale"]), int(state["good"]), int(state["skipped"])

    def __getstate__(self):
        return {**self.__dict__, **self.get_state(), "keeper": None}

    @staticmethod
    def segments(model):
        """Where the gradients of a model's trainable weights lie (`npdl.kernels.segments`)."""
        mine = set(map(id, model.walk()))
        rows = [(w.start, w.stop, 1.0, 0.0, 1.0) for w in model.store.weights if w.trainable and id(w.layer) in mine]
        return np.array(rows, np.float64).reshape(-1, 5)

    def unscale(self, model):
        """Divide the gradients of a model's trainable weights by the scale, then count the step.

        Args:
            model: a built model, or a layer of its own store.

        Returns:
            whether all of them are finite; else they are left as they are, and the step is to be skipped.
        """
        store = model.store
        segments, k = self.segments(model), store.device.full.kernels
        squares = np.zeros(len(segments))
        k.dot(store.grad, store.grad, segments, out=squares)
        finite = math.isfinite(squares.sum())
        if finite:
            k.combine(store.grad, store.grad, segments, np.array([0.0, 1 / self.scale]))
        self.count(finite)
        return finite

    def count(self, finite):
        """Count a step, good or to be skipped, and change the scale as that asks."""
        if not finite:
            self.scale, self.good, self.skipped = max(self.scale / 2, SMALLEST), 0, self.skipped + 1
            return
        self.good += 1
        if self.good == self.dynamic_growth_steps:
            self.scale, self.good = min(self.scale * 2, LARGEST), 0
