"""Learning rates that rise first: one cycle, cyclic, Noam, a warm-up before any schedule; and schedules joined."""

import bisect
import math

from npdl.schedules.base import LearningRateSchedule
from npdl.schedules.exact import cos, power, whole_power
from npdl.schedules.registry import get


class OneCycle(LearningRateSchedule):
    """Up to `max_learning_rate` and down to nearly nothing, once; PyTorch's OneCycleLR, by its arguments.

        first = max / div_factor,  last = first / final_div_factor
        first -> max in the steps 0 ... pct_start · total_steps − 1, then max -> last until total_steps − 1
        three_phase: first -> max, max -> first in the same time again, first -> last

    After `total_steps` it stays at `last`.

    Args:
        max_learning_rate, total_steps, pct_start, div_factor, final_div_factor, three_phase: as above.
        anneal_strategy: "cos" or "linear", the form of each part.

    Raises:
        TypeError, ValueError: an argument out of range, another anneal_strategy.

    References:
        Smith and Topin, Super-convergence: very fast training using large learning rates, 2018.

    >>> OneCycle(0.5, 101, anneal_strategy="linear")(0)
    0.02
    """

    def __init__(
        self, max_learning_rate, total_steps, pct_start=0.3, anneal_strategy="cos", div_factor=25.0,
        final_div_factor=1e4, three_phase=False,
    ):  # fmt: skip
        self.max_learning_rate = self.check("max_learning_rate", max_learning_rate)
        self.total_steps = self.steps("total_steps", total_steps, low=2)
        self.pct_start = self.check("pct_start", pct_start, high=1.0, example=0.3)
        self.div_factor = self.check("div_factor", div_factor, above=True, example=25.0)
        self.final_div_factor = self.check("final_div_factor", final_div_factor, above=True, example=1e4)
        self.anneal_strategy, self.three_phase = anneal_strategy, bool(three_phase)
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f'OneCycle: anneal_strategy must be "cos" or "linear", got {anneal_strategy!r}; leave it out'
            )

    def __call__(self, step):
        first, top = self.max_learning_rate / self.div_factor, self.max_learning_rate
        last, rise = first / self.final_div_factor, self.pct_start * self.total_steps
        parts = [(rise - 1, first, top), (self.total_steps - 1, top, last)]
        if self.three_phase:
            parts = [(rise - 1, first, top), (2 * rise - 2, top, first), (self.total_steps - 1, first, last)]
        began = 0.0
        for end, low, high in parts:
            if step <= end:
                share = (step - began) / (end - began)
                if self.anneal_strategy == "linear":
                    return (high - low) * share + low
                return high + (low - high) / 2 * (1 + cos(math.pi * share))
            began = end
        return last


class Cyclic(LearningRateSchedule):
    """Up and down between two learning rates, without end; PyTorch's CyclicLR, by its arguments.

        lr = base + (max − base) · height · factor              height goes 0 -> 1 -> 0 along straight lines
        factor = 1 (triangular), 1 / 2ⁿ in cycle n (triangular2), gamma^step (exp_range)

    Args:
        base_learning_rate, max_learning_rate: base and max.
        step_size_up, step_size_down: how many steps up and down; None is as many as up.
        mode: "triangular", "triangular2" or "exp_range".
        gamma: of "exp_range".

    Raises:
        TypeError, ValueError: an argument out of range, another mode.

    References:
        Smith, Cyclical learning rates for training neural networks, 2017.

    >>> Cyclic(0.0, 0.5, step_size_up=10)(5)
    0.25
    """

    def __init__(
        self, base_learning_rate, max_learning_rate, step_size_up=2000, step_size_down=None, mode="triangular",
        gamma=1.0,
    ):  # fmt: skip
        self.base_learning_rate = self.check("base_learning_rate", base_learning_rate)
        self.max_learning_rate = self.check("max_learning_rate", max_learning_rate)
        self.step_size_up = self.steps("step_size_up", step_size_up, example=2000)
        self.step_size_down = None if step_size_down is None else self.steps("step_size_down", step_size_down)
        self.mode, self.gamma = mode, self.check("gamma", gamma, example=0.999)
        if mode not in ("triangular", "triangular2", "exp_range"):
            raise ValueError(
                f'Cyclic: mode must be "triangular", "triangular2" or "exp_range", got {mode!r}; pass e.g. "triangular"'
            )

    def __call__(self, step):
        up, down = self.step_size_up, self.step_size_down or self.step_size_up
        cycle, place = divmod(step, up + down)
        height = place / up if place <= up else (up + down - place) / down
        factor = {"triangular": 1.0, "triangular2": whole_power(0.5, cycle)}.get(self.mode)
        factor = whole_power(self.gamma, step) if factor is None else factor
        return self.base_learning_rate + (self.max_learning_rate - self.base_learning_rate) * height * factor


class Noam(LearningRateSchedule):
    """factor · model_dimension^(−1/2) · min(t^(−1/2), t · warmup_steps^(−3/2)),  t = step + 1: the Transformer's.

    Args:
        model_dimension: width of the model.
        warmup_steps: when it is highest.
        factor: as above.

    References:
        Vaswani et al., Attention is all you need, 2017, section 5.3.

    >>> Noam(64, warmup_steps=4)(3)
    0.0625
    """

    def __init__(self, model_dimension, warmup_steps=4000, factor=1.0):
        self.model_dimension = self.steps("model_dimension", model_dimension, example=512)
        self.warmup_steps = self.steps("warmup_steps", warmup_steps, example=4000)
        self.factor = self.check("factor", factor, example=1.0)

    def __call__(self, step):
        t, warmup = step + 1.0, float(self.warmup_steps)
        height = min(power(t, -0.5), t * power(warmup, -0.5) / warmup)
        return self.factor * power(float(self.model_dimension), -0.5) * height


class LinearWarmup(LearningRateSchedule):
    """A straight line to a learning rate or to the beginning of a schedule, which follows.

        step < warmup_steps:    first + (target − first) · step / warmup_steps      target: the number, or schedule(0)
        else:                   the number, or schedule(step − warmup_steps)

    Args:
        learning_rate: a number or a schedule.
        warmup_steps: how many steps the line has.
        initial_learning_rate: first.

    >>> LinearWarmup(0.5, 10)(5)
    0.25
    """

    def __init__(self, learning_rate, warmup_steps, initial_learning_rate=0.0):
        self.learning_rate = _schedule_or_number(self, "learning_rate", learning_rate)
        self.warmup_steps = self.steps("warmup_steps", warmup_steps, example=100)
        self.initial_learning_rate = self.check("initial_learning_rate", initial_learning_rate)

    def __call__(self, step):
        first, after = self.initial_learning_rate, max(step - self.warmup_steps, 0)
        rate = self.learning_rate(after) if callable(self.learning_rate) else self.learning_rate
        return rate if step >= self.warmup_steps else first + (rate - first) * (step / self.warmup_steps)


class SequentialSchedule(LearningRateSchedule):
    """One schedule after the other, each counted from its own beginning; PyTorch's SequentialLR.

    Args:
        schedules: schedules or numbers.
        milestones: the steps at which the next one begins, one fewer, ascending.

    Raises:
        TypeError, ValueError: something else than schedules, milestones that do not ascend or are not one fewer.

    >>> SequentialSchedule([LinearWarmup(0.5, 10), 0.1], [20])(25)
    0.1
    """

    def __init__(self, schedules, milestones):
        self.schedules = [_schedule_or_number(self, "schedules", schedule) for schedule in schedules]
        self.milestones = [self.steps("milestones", step, example="[100]") for step in milestones]
        if len(self.schedules) != len(self.milestones) + 1 or sorted(self.milestones) != self.milestones:
            raise ValueError(
                "SequentialSchedule needs ascending milestones, one fewer than schedules, got "
                f"{len(self.schedules)} schedules and milestones={self.milestones}"
            )

    def __call__(self, step):
        place = bisect.bisect_right(self.milestones, step)
        schedule = self.schedules[place]
        return schedule(step - ([0] + self.milestones)[place]) if callable(schedule) else schedule


class ChainedSchedule(LearningRateSchedule):
    """The product of several schedules at the same step; PyTorch's ChainedScheduler.

    Args:
        schedules: schedules or numbers; usually one has the learning rate and the others start from 1.

    Raises:
        TypeError, ValueError: something else than schedules, none at all.

    >>> ChainedSchedule([LinearWarmup(1.0, 10), 0.5])(5)
    0.25
    """

    def __init__(self, schedules):
        self.schedules = [_schedule_or_number(self, "schedules", schedule) for schedule in schedules]
        if not self.schedules:
            raise ValueError("ChainedSchedule needs at least one schedule, got none")

    def __call__(self, step):
        return math.prod(schedule(step) if callable(schedule) else schedule for schedule in self.schedules)


def _schedule_or_number(owner, argument, value):
    if isinstance(value, (LearningRateSchedule, dict)):
        return get(value)
    return owner.check(argument, value)
