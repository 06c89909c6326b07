"""What a gradient check found."""

import math
from typing import Any, NamedTuple

SHOWN = 10  # rows of a report's table


class GradientError(AssertionError):
    """A backward does not give the gradient of its forward."""


class Entry(NamedTuple):
    """One number of a gradient, computed in two ways."""

    layer: str
    tensor: str  # kernel, bias, input ...
    index: Any  # its index in the tensor, or "direction": the slope along a random direction through the whole tensor
    backward: float
    differences: float
    error: float  # |backward − differences| as a part of the largest number of the tensor's gradient
    agrees: bool  # error within the tolerance and what rounding may have added, or lying at a kink


class Report:
    """The result of a gradient check; `print(report)` shows its worst entries.

    Attributes:
        tolerance: the largest error that is taken for agreement.
        entries: every `Entry` that was compared: the wrong ones first, then by error.
        tensors: number of tensors.
        kinks: entries where the slopes to the left and to the right disagree and backward's lies between: accepted.
    """

    def __init__(self, tolerance, entries, tensors, kinks):
        self.tolerance, self.tensors, self.kinks = tolerance, tensors, kinks
        self.entries = sorted(entries, key=lambda entry: (entry.agrees, -entry.error))

    @property
    def ok(self):
        """Whether every entry agrees."""
        return not self.wrong

    @property
    def wrong(self):
        """The entries that do not agree, the worst first."""
        return [entry for entry in self.entries if not entry.agrees]

    @property
    def worst(self):
        """The first ten of `entries`."""
        return self.entries[:SHOWN]

    def raise_if_wrong(self):
        """Raise where an entry does not agree.

        Raises:
            GradientError: says which entry of which tensor is off by how much.
        """
        if not self.ok:
            raise GradientError(f"{self._first_wrong()}\n{self}")

    def _first_wrong(self):
        entry, count = self.wrong[0], len(self.wrong)
        place = "along a random direction" if entry.index == "direction" else f"at index {entry.index}"
        return (
            f"the gradient of {entry.layer}/{entry.tensor} is wrong {place}: backward gives {entry.backward:.9g}, "
            f"differences of forward give {entry.differences:.9g}, off by {entry.backward - entry.differences:.3g} "
            f"({count} of {len(self.entries)} entries are wrong)"
        )

    def __str__(self):
        worst = self.entries[0].error if self.entries else 0.0
        head = (
            f"gradient check: {'ok' if self.ok else 'WRONG'}, {len(self.entries)} entries of {self.tensors} tensors, "
            f"{self.kinks} at kinks, largest error {worst:.1e} (tolerance {self.tolerance:.0e})"
        )
        rows = [("layer", "tensor", "index", "backward", "differences", "error")]
        rows += [
            (e.layer, e.tensor, str(e.index), f"{e.backward:.9g}", f"{e.differences:.9g}",
             f"{e.error:.1e}{'' if e.agrees else '  wrong'}")
            for e in self.worst
        ]  # fmt: skip
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([head, *("  " + line for line in lines)])

    __repr__ = __str__


def relative(difference, scale):
    """difference / scale, where 0 / 0 is 0 and what is no number counts as infinite."""
    if difference == 0:
        return 0.0
    error = difference / scale if scale else math.inf
    return math.inf if math.isnan(error) else error
