"""Batch: what a noted step is given."""

from typing import NamedTuple

import numpy as np

from npdl.losses.weights import Weighed


class Batch(NamedTuple):
    """A batch as noted steps take it.

    Attributes:
        arrays: host arrays: inputs, targets, and where samples have weights, or only some of them count, `Loss.weigh`'s
            for each head.
        counts: M of each head there, else None.
        ws: the user's sample weights, one for each head.
    """

    arrays: tuple
    counts: list | None
    ws: list

    def which(self, turn=None):
        """Which of the graphs for such arrays it takes: by the optimizer's turn, and by what metrics are given."""
        return turn if self.counts is None else (turn, *(w is not None for w in self.ws))

    def weighed(self, arrays):
        """The weights of each head, from arrays on the device that lie behind inputs and targets."""
        if self.counts is None:
            return self.ws
        pairs = zip(arrays[::2], arrays[1::2], self.counts, self.ws, strict=True)
        return [Weighed(w, scale, count, given is not None) for w, scale, count, given in pairs]


def batch_of(heads, xs, targets, ws, on_gpu):
    """The `Batch` of host arrays; None: it has weights, which no notes take on the host, nor of steps on a GPU."""
    weighed = [w for w in ws if w is not None]
    if not on_gpu:
        return None if weighed else Batch((*xs, *targets), None, ws)
    if not weighed and not any(getattr(head.loss, "counts_parts", False) for head in heads):
        return Batch((*xs, *targets), None, ws)
    if any(w.ndim > 1 for w in weighed):
        return None
    found = [head.loss.weigh(target, w, len(xs[0])) for head, target, w in zip(heads, targets, ws, strict=True)]
    arrays = [np.asarray(one, head.dtype) for head, (*both, _) in zip(heads, found) for one in both]
    return Batch((*xs, *targets, *arrays), [count for *_, count in found], ws)
