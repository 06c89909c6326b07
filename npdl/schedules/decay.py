"""Learning rates that fall: Keras' schedules, and PyTorch's StepLR and MultiStepLR."""

import bisect
import math

from npdl.schedules.base import LearningRateSchedule
from npdl.schedules.exact import cos, power, whole_power


class ExponentialDecay(LearningRateSchedule):
    """η · decay_rate^(step / decay_steps)

    Args:
        initial_learning_rate: η.
        decay_steps, decay_rate: in so many steps it is multiplied by this.
        staircase: whole powers alone, a stair of `decay_steps` steps each.
        name: kept for you.

    >>> ExponentialDecay(0.1, 10, 0.5)(20)
    0.025
    """

    def __init__(self, initial_learning_rate, decay_steps, decay_rate, staircase=False, name="ExponentialDecay"):
        self.initial_learning_rate = self.check("initial_learning_rate", initial_learning_rate)
        self.decay_steps = self.steps("decay_steps", decay_steps)
        self.decay_rate = self.check("decay_rate", decay_rate, example=0.96)
        self.staircase, self.name = bool(staircase), name

    def __call__(self, step):
        p = step // self.decay_steps if self.staircase else step / self.decay_steps
        return self.initial_learning_rate * power(self.decay_rate, p)


class InverseTimeDecay(LearningRateSchedule):
    """η / (1 + decay_rate · step / decay_steps)

    Args:
        initial_learning_rate: η.
        decay_steps, decay_rate: how fast it falls.
        staircase: step / decay_steps is rounded down.
        name: kept for you.

    >>> InverseTimeDecay(0.1, 10, 1.0)(10)
    0.05
    """

    def __init__(self, initial_learning_rate, decay_steps, decay_rate, staircase=False, name="InverseTimeDecay"):
        self.initial_learning_rate = self.check("initial_learning_rate", initial_learning_rate)
        self.decay_steps = self.steps("decay_steps", decay_steps)
        self.decay_rate = self.check("decay_rate", decay_rate, example=0.5)
        self.staircase, self.name = bool(staircase), name

    def __call__(self, step):
        p = step // self.decay_steps if self.staircase else step / self.decay_steps
        return self.initial_learning_rate / (1 + self.decay_rate * p)


class PolynomialDecay(LearningRateSchedule):
    """(η − end) (1 − step / decay_steps)^power + end, and `end` afterwards.

    Args:
        initial_learning_rate: η.
        decay_steps: the step at which it is `end_learning_rate`.
        end_learning_rate: end.
        power: 1 is a straight line.
        cycle: begin anew at each multiple of `decay_steps`, every time falling over a longer stretch: `decay_steps` is
            the next multiple of it.
        name: kept for you.

    >>> PolynomialDecay(0.5, 10, 0.0)(5)
    0.25
    """

    def __init__(
        self, initial_learning_rate, decay_steps, end_learning_rate=0.0001, power=1.0, cycle=False,
        name="PolynomialDecay",
    ):  # fmt: skip
        self.initial_learning_rate = self.check("initial_learning_rate", initial_learning_rate)
        self.decay_steps = self.steps("decay_steps", decay_steps)
        self.end_learning_rate = self.check("end_learning_rate", end_learning_rate)
        self.power = self.check("power", power, example=1.0)
        self.cycle, self.name = bool(cycle), name

    def __call__(self, step):
        length = self.decay_steps * max(1, -(-step // self.decay_steps)) if self.cycle else self.decay_steps
        left = 1 - min(step, length) / length
        return (self.initial_learning_rate - self.end_learning_rate) * power(left, self.power) + self.end_learning_rate


class PiecewiseConstantDecay(LearningRateSchedule):
    """values[0] up to step boundaries[0], that step included, then values[1] up to boundaries[1] ...

    Args:
        boundaries: steps, ascending.
        values: learning rates, one more.
        name: kept for you.

    Raises:
        TypeError, ValueError: boundaries that do not ascend, values that are not one more.

    >>> PiecewiseConstantDecay([100, 200], [0.1, 0.01, 0.001])(101)
    0.01
    """

    def __init__(self, boundaries, values, name="PiecewiseConstant"):
        self.boundaries = [self.check("boundaries", step, example="[100, 200]") for step in boundaries]
        self.values = [self.check("values", value, example="[0.1, 0.01, 0.001]") for value in values]
        self.name = name
        if len(self.values) != len(self.boundaries) + 1 or sorted(set(self.boundaries)) != self.boundaries:
            raise ValueError(
                "PiecewiseConstantDecay needs ascending boundaries and one value more than these, got "
                f"boundaries={self.boundaries}, values={self.values}; pass e.g. [100, 200], [0.1, 0.01, 0.001]"
            )

    def __call__(self, step):
        return self.values[bisect.bisect_left(self.boundaries, step)]


class StepDecay(LearningRateSchedule):
    """η · gammaⁿ after n times `step_size` steps; PyTorch's StepLR.

    Args:
        initial_learning_rate: η.
        step_size: how many steps it stays the same.
        gamma: what it is then multiplied by.

    >>> StepDecay(0.1, 100, gamma=0.5)(250)
    0.025
    """

    def __init__(self, initial_learning_rate, step_size, gamma=0.1):
        self.initial_learning_rate = self.check("initial_learning_rate", initial_learning_rate)
        self.step_size = self.steps("step_size", step_size)
        self.gamma = self.check("gamma", gamma)

    def __call__(self, step):
        return self.initial_learning_rate * whole_power(self.gamma, step // self.step_size)


class MultiStepDecay(LearningRateSchedule):
    """η · gammaⁿ from the n-th milestone on; PyTorch's MultiStepLR.

    Args:
        initial_learning_rate: η.
        milestones: steps, ascending.
        gamma: what it is multiplied by at each.

    Raises:
        TypeError, ValueError: an argument out of range, milestones that do not ascend.

    >>> MultiStepDecay(0.1, [100, 200], gamma=0.5)(200)
    0.025
    """

    def __init__(self, initial_learning_rate, milestones, gamma=0.1):
        self.initial_learning_rate = self.check("initial_learning_rate", initial_learning_rate)
        self.milestones = [self.steps("milestones", step, example="[100, 200]") for step in milestones]
        self.gamma = self.check("gamma", gamma)
        if sorted(self.milestones) != self.milestones:
            raise ValueError(f"MultiStepDecay: milestones must ascend, got {self.milestones}; pass e.g. [100, 200]")

    def __call__(self, step):
        return self.initial_learning_rate * whole_power(self.gamma, bisect.bisect_right(self.milestones, step))


class CosineDecay(LearningRateSchedule):
    """η ((1 − alpha) (1 + cos(π step / decay_steps)) / 2 + alpha), after a linear warm-up if there is one.

    Args:
        initial_learning_rate: η; with a warm-up what that starts from.
        decay_steps: the step, counted from the end of the warm-up, from which on it is alpha · η.
        alpha: the share of η that is left in the end.
        name: kept for you.
        warmup_target: η of the decay, which the warm-up reaches; None: no warm-up.
        warmup_steps: how many steps that takes.

    Raises:
        TypeError, ValueError: an argument out of range, warmup_steps without warmup_target.

    >>> CosineDecay(0.0, 10, warmup_target=0.5, warmup_steps=5)(5)
    0.5
    """

    def __init__(
        self, initial_learning_rate, decay_steps, alpha=0.0, name="CosineDecay", warmup_target=None, warmup_steps=0,
    ):  # fmt: skip
        self.initial_learning_rate = self.check("initial_learning_rate", initial_learning_rate)
        self.decay_steps = self.steps("decay_steps", decay_steps)
        self.alpha, self.name = self.check("alpha", alpha, example=0.0), name
        self.warmup_target = None if warmup_target is None else self.check("warmup_target", warmup_target)
        self.warmup_steps = self.steps("warmup_steps", warmup_steps, low=0)
        if warmup_steps and warmup_target is None:
            raise ValueError("CosineDecay: warmup_steps needs the learning rate to reach; pass warmup_target=0.1")

    def __call__(self, step):
        first, peak = self.initial_learning_rate, self.warmup_target
        if peak is None:
            peak, warmup = first, 0
        else:
            warmup = self.warmup_steps
        if step < warmup:
            return first + (peak - first) * (step / warmup)
        share = min(step - warmup, self.decay_steps) / self.decay_steps
        return peak * ((1 - self.alpha) * 0.5 * (1 + cos(math.pi * share)) + self.alpha)


class CosineDecayRestarts(LearningRateSchedule):
    """A cosine from η to alpha · η, again and again: SGD with warm restarts.

        lr = η ((1 − alpha) m_mulⁱ (1 + cos(π share)) / 2 + alpha)      share of period i = 0, 1, ... that has passed

    Args:
        initial_learning_rate: η.
        first_decay_steps: length of the first period.
        t_mul: how much longer each is than the one before.
        m_mul: how much lower each begins.
        alpha: the share of η that is left at the end of each.
        name: kept for you.

    References:
        Loshchilov and Hutter, SGDR: stochastic gradient descent with warm restarts, 2017.

    >>> CosineDecayRestarts(0.5, 10)(10)
    0.5
    """

    def __init__(
        self, initial_learning_rate, first_decay_steps, t_mul=2.0, m_mul=1.0, alpha=0.0, name="SGDRDecay",
    ):  # fmt: skip
        self.initial_learning_rate = self.check("initial_learning_rate", initial_learning_rate)
        self.first_decay_steps = self.steps("first_decay_steps", first_decay_steps)
        self.t_mul = self.check("t_mul", t_mul, low=1.0, example=2.0)
        self.m_mul = self.check("m_mul", m_mul, example=1.0)
        self.alpha, self.name = self.check("alpha", alpha, example=0.0), name

    def __call__(self, step):
        passed, length, period = step / self.first_decay_steps, 1.0, 0
        if self.t_mul == 1:
            period = int(passed)
            passed -= period
        else:
            while passed >= length:
                passed, length, period = passed - length, length * self.t_mul, period + 1
        height = whole_power(self.m_mul, period) * 0.5 * (1 + cos(math.pi * (passed / length)))
        return self.initial_learning_rate * ((1 - self.alpha) * height + self.alpha)
