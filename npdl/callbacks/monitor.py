"""What callbacks that watch one value share: finding it in the logs, and which way is better."""

import math
import numbers
import re

from npdl import names
from npdl.callbacks.base import Callback

RISES = re.compile(
    r"(^|_)(acc|accuracy|auc|precision|recall|fmeasure|f\d?|f\d?_score|iou|r2|r2_score|r2score)$|accuracy|top_k"
)
FALLS = re.compile(r"loss|error|entropy|(^|_)(mse|mae|rmse|mape|msle|huber|poisson|perplexity)$|divergence")


def better_direction(owner, monitor, mode):
    """ "min" or "max".

    Args:
        owner: name of the callback, for errors.
        mode: "min", "max", or "auto": from the name.
    """
    if mode in ("min", "max"):
        return mode
    if mode != "auto":
        raise ValueError(f'{owner}: mode must be "auto", "min" or "max", got {mode!r}; pass "min" for a loss')
    for pattern, direction in ((FALLS, "min"), (RISES, "max")):
        if pattern.search(monitor):
            return direction
    raise ValueError(
        f"{owner} cannot tell from its name whether {monitor!r} is better when it falls or rises; "
        'pass mode="min" or mode="max"'
    )


def is_validated(epoch, params):
    """Whether epoch `epoch` (from 0) is one that `fit` validates."""
    freq = params.get("validation_freq", 1)
    return (epoch + 1) % freq == 0 if isinstance(freq, numbers.Integral) else epoch + 1 in freq


class Monitor(Callback):
    """Base of the callbacks that watch `logs[monitor]` at the end of each epoch.

    Args:
        monitor: a name in the logs.
        mode: "min", "max" or "auto".
        min_delta: the least change that counts as better.
    """

    def __init__(self, monitor, mode, min_delta=0):
        self.monitor, self.mode, self.min_delta = monitor, mode, abs(min_delta)
        self.direction = better_direction(type(self).__name__, monitor, mode)
        self.best = None

    def value(self, epoch, logs):
        """The watched value; None in an epoch without validation.

        Raises:
            ValueError: there is none of that name.
        """
        if self.monitor in (logs or {}):
            return float(logs[self.monitor])
        if self.monitor.startswith("val_") and not is_validated(epoch, self.params):
            return None
        there = ", ".join(map(repr, logs or {})) or "nothing"
        near = names.nearest(self.monitor, logs or {}, 0.7)
        validated = any(name.startswith("val_") for name in logs or {})
        if self.monitor.startswith("val_") and not validated:
            fix = "pass validation_data=(x, y) or validation_split=0.1 to fit"
        else:
            fix = f"did you mean {near[0]!r}?" if near else "pass monitor= one of them"
        raise ValueError(f"{type(self).__name__} watches {self.monitor!r}, but the logs have {there}; {fix}")

    def is_better(self, value, than):
        """Whether `value` beats another by more than `min_delta`; any number beats None, NaN beats nothing."""
        if math.isnan(value):
            return False
        if than is None:
            return True
        return value < than - self.min_delta if self.direction == "min" else value > than + self.min_delta


def learning_rate(callback):
    """The learning rate of the callback's model, a float that can be set."""
    rate = getattr(getattr(callback.model, "optimizer", None), "learning_rate", None)
    if isinstance(rate, bool) or not isinstance(rate, numbers.Real):
        raise ValueError(
            f"{type(callback).__name__} sets model.optimizer.learning_rate, which must be a number, got {rate!r}; "
            "compile with e.g. npdl.optimizers.Adam(0.001)"
        )
    return float(rate)
