"""What every optimizer does before and after its own step: accumulation, clipping, averages of the weights."""

import math
from typing import Any

import numpy as np

SERVICES = {
    "clipnorm": None, "clipvalue": None, "global_clipnorm": None, "use_ema": False, "ema_momentum": 0.99,
    "ema_overwrite_frequency": None, "gradient_accumulation_steps": None, "decoupled_weight_decay": False,
}  # fmt: skip
"""The arguments, and the defaults that ask for nothing."""


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


class Services:
    """The arguments that Keras gives every optimizer, and what they do to the flat arrays.

    Attributes:
        state: of the optimizer; the arrays `accumulated` and `average` are kept here.
    """

    state: dict[str, Any]
    iterations: int
    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    gradient_accumulation_steps: int | None
    decoupled_weight_decay: bool

    def set_services(self, given):
        """Check and keep the arguments of `SERVICES`.

        Raises:
            TypeError, ValueError: one that is out of range, or two ways of clipping.
        """
        owner = type(self).__name__
        for argument, default in SERVICES.items():
            setattr(self, argument, given.get(argument, default))
        for argument in ("clipnorm", "clipvalue", "global_clipnorm"):
            if getattr(self, argument) is not None:
                setattr(self, argument, self.check(argument, getattr(self, argument), example=1.0))
                if getattr(self, argument) == 0:
                    raise ValueError(f"{owner}: {argument} must be more than 0, got 0; pass e.g. {argument}=1.0")
        asked = {name: value for name in ("clipnorm", "clipvalue", "global_clipnorm") if (value := getattr(self, name))}
        if len(asked) > 1:
            raise ValueError(f"{owner}: gradients are clipped in one way, got {asked}; pass one of them")
        self.ema_momentum = self.check("ema_momentum", self.ema_momentum, below=1 + 1e-15, example=0.99)
        for argument, least in (("ema_overwrite_frequency", 1), ("gradient_accumulation_steps", 2)):
            value = getattr(self, argument)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                raise ValueError(
                    f"{owner}: {argument} must be None or a whole number of at least {least}, got {value!r}; "
                    f"pass e.g. {argument}={max(least, 4)}"
                )
        self.use_ema, self.decoupled_weight_decay = bool(self.use_ema), bool(self.decoupled_weight_decay)
        self.accumulated = (0, 0.0)  # micro-batches since the last step, and the sum of their weights
        self.parts: list[float] = []  # the same sum of each part of the gradient, where `gather` is given several

    def service_slots(self, parts=None):
        """Names of the state arrays; `parts` are how many, None as many as there are now."""
        accumulates, parts = self.gradient_accumulation_steps is not None, len(self.parts) if parts is None else parts
        if not (accumulates or self.use_ema):
            return ()
        names = ("accumulated", *(f"accumulated{part}" for part in range(1, parts))) if accumulates else ()
        return ("average",) * self.use_ema + names

    def check(self, argument, value, below=math.inf, example=0.001):
        """`value` as a float, at least 0 and less than `below`; raises naming class and argument otherwise."""
        return check_number(type(self).__name__, argument, value, below, example)

    def accumulate(self, k, g, segments, weight):
        """Add this micro-batch's gradient; True at the last one, when g is the mean Σ weight · g / Σ weight of all."""
        number, total = self.accumulated
        if self.parts:
            return self._close_parts(k, g, segments, number + 1)
        number, total, sums = number + 1, total + weight, self.state["accumulated"]
        if number < self.gradient_accumulation_steps:
            k.combine(sums, g, segments, np.array([float(number > 1), weight]))
            self.accumulated = number, total
            return False
        total = total or 1.0
        k.combine(g, sums, segments, np.array([weight / total or 1e-300, 1 / total]))
        self.accumulated = 0, 0.0
        return True

    def add_part(self, k, g, segments, part, weight):
        """Add this micro-batch's gradient of one part."""
        name = f"accumulated{part}" if part else "accumulated"
        k.combine(self.state[name], g, segments, np.array([float(self.parts[part] > 0), weight]))
        self.parts[part] += weight

    def _close_parts(self, k, g, segments, number):
        """Count a micro-batch whose parts are added; True at the last one, when g is the sum of the parts' means."""
        self.accumulated = number, 0.0
        if number < self.gradient_accumulation_steps:
            return False
        for part, total in enumerate(self.parts):
            sums = self.state[f"accumulated{part}" if part else "accumulated"]
            k.combine(g, sums, segments, np.array([float(part > 0), 1 / total if total else 0.0]))
        self.accumulated, self.parts = (0, 0.0), []
        return True

    def clip_gradient(self, k, g, segments):
        """Clip g, in place, as the arguments ask."""
        if self.clipvalue is not None:
            k.clip(g, segments, np.array([self.clipvalue]))
        limit = self.clipnorm or self.global_clipnorm
        if limit is not None:
            k.clip_norm(g, segments, np.array([limit, self.global_clipnorm is not None]))

    def follow(self, k, p, segments):
        """average = μ average + (1 − μ) p, p itself in the first step; that of a frozen weight stays."""
        momentum = self.ema_momentum if self.iterations else 0.0
        average = self.state["average"]
        k.combine(average, p, segments, np.array([momentum, 1 - momentum]))
        every = self.ema_overwrite_frequency
        if every and (self.iterations + 1) % every == 0:
            k.combine(p, average, segments, np.array([0.0, 1.0]))
