"""LearningRateSchedule: a learning rate for each step."""

import inspect
import math


class LearningRateSchedule:
    """A function of the step, counted from 0, that gives its learning rate: any optimizer's `learning_rate=`.

    It is computed in float64 on the host. A subclass keeps each argument of its `__init__` under its own name, which is
    what `get_config` reads, and writes `__call__(step)`.

    >>> class Halving(LearningRateSchedule):
    ...     def __init__(self, first):
    ...         self.first = first
    ...     def __call__(self, step):
    ...         return self.first / 2**step
    >>> Halving(0.5), Halving(0.5)(1)
    (Halving(first=0.5), 0.25)
    """

    def __call__(self, step):
        raise NotImplementedError(f"{type(self).__name__} needs __call__(self, step), which returns the learning rate")

    def get_config(self):
        """The arguments that make an equal schedule; `from_config` reads them."""
        names = [name for name in inspect.signature(type(self).__init__).parameters if name != "self"]
        return {name: _plain(getattr(self, name)) for name in names}

    @classmethod
    def from_config(cls, config):
        """A schedule from `get_config()`'s dictionary."""
        return cls(**config)

    def __eq__(self, other):
        return type(other) is type(self) and other.get_config() == self.get_config()

    def __repr__(self):
        defaults = inspect.signature(type(self).__init__).parameters
        shown = {
            name: getattr(self, name)
            for name, value in self.get_config().items()
            if value != _plain(defaults[name].default)
        }
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    def check(self, argument, value, low=0.0, above=False, high=math.inf, example=0.1):
        """`value` as a float from `low` (which itself is too low where `above`) up to `high`.

        Raises:
            TypeError: not a number.
            ValueError: out of range.
        """
        owner = type(self).__name__
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            try:
                value = value.item()  # NumPy's numbers
            except (AttributeError, ValueError):
                raise TypeError(
                    f"{owner}: {argument} must be a number, got {value!r}; pass e.g. {argument}={example}"
                ) from None
        if not (low < value if above else low <= value) or not value <= high or math.isinf(value):
            least = f"more than {low:g}" if above else f"at least {low:g}"
            most = "" if math.isinf(high) else f" and at most {high:g}"
            raise ValueError(
                f"{owner}: {argument} must be {least}{most}, got {value!r}; pass e.g. {argument}={example}"
            )
        return value

    def steps(self, argument, value, low=1, example=1000):
        """`value`, a whole number of steps of at least `low`.

        Raises:
            TypeError, ValueError: otherwise.
        """
        value = self.check(argument, value, low=low, example=example)
        if value != int(value):
            raise ValueError(
                f"{type(self).__name__}: {argument} must be a whole number of steps, got {value!r}; "
                f"pass e.g. {argument}={example}"
            )
        return int(value)


def _plain(value):
    """A schedule, or those in a list, as class and arguments; anything else as it is."""
    if isinstance(value, LearningRateSchedule):
        return {"class_name": type(value).__name__, "config": value.get_config()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
