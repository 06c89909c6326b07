"""From times to figures."""

import math
import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """Samples of one side, in seconds or bytes."""

    median: float
    low: float  # lower quartile
    high: float  # upper quartile
    least: float
    count: int


def summarize(samples):
    """The Summary of a list of numbers."""
    if len(samples) == 1:
        return Summary(*[samples[0]] * 4, 1)
    low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
    return Summary(median, low, high, min(samples), len(samples))


@dataclass(frozen=True)
class Result:
    """A row, measured.

    Attributes:
        row: the `Row`.
        ours, theirs: npdl's and the opponent's samples while they took turns; None where there are none.
        ours_alone, theirs_alone: each by itself.
        ours_how, theirs_how: the configuration that was fastest.
        note: why something was not measured.
    """

    row: object
    ours: Summary | None = None
    theirs: Summary | None = None
    ours_alone: Summary | None = None
    theirs_alone: Summary | None = None
    ours_how: str = ""
    theirs_how: str = ""
    note: str = ""

    @property
    def ratio(self):
        """The opponent's median by npdl's: above 1, npdl is faster (or smaller)."""
        return divided(self.theirs, self.ours, "median")

    @property
    def ratio_of_minima(self):
        return divided(self.theirs, self.ours, "least")

    @property
    def ratio_alone(self):
        return divided(self.theirs_alone, self.ours_alone, "median")

    @property
    def ratios(self):
        """The three, as far as they are there."""
        return [r for r in (self.ratio, self.ratio_of_minima, self.ratio_alone) if r is not None]

    @property
    def met(self):
        """Whether the row's goal is reached; None where it has none or was not measured."""
        return None if self.row.goal is None or self.ratio is None else self.ratio >= self.row.goal


def divided(theirs, ours, what):
    """Their figure by ours, None where one is missing."""
    if theirs is None or ours is None:
        return None
    mine = getattr(ours, what)
    return getattr(theirs, what) / mine if mine > 0 else math.inf


def geometric_mean(numbers):
    """(x₁ x₂ ... xₙ)^(1/n)"""
    numbers = list(numbers)
    return math.exp(sum(map(math.log, numbers)) / len(numbers))
