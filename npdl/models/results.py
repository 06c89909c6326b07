"""Results: the outputs of one batch after another."""

import numpy as np


class Results:
    """The outputs of one batch after another, copied into one array.

    Args:
        size: how many rows come at most; None where it is not known: then they are joined at the end.
    """

    def __init__(self, size):
        self.size, self.batches, self.rows, self.parts, self.whole = size, 0, 0, [], None

    def add(self, y):
        """Copy the outputs of a batch."""
        self.batches += 1
        if self.size is None:
            self.parts.append(np.array(y))
            return
        if self.whole is None:
            self.whole = np.empty((self.size, *y.shape[1:]), y.dtype)
        stop = self.rows + len(y)
        if y.shape[1:] != self.whole.shape[1:]:  # an axis of free length
            raise ValueError(
                f"predict gives one array, but the outputs of one batch have samples of shape {self.whole.shape[1:]}, "
                f"those of a later one {y.shape[1:]}; predict them one by one"
            )
        self.whole[self.rows : stop] = y
        self.rows = stop

    def array(self):
        """All of them."""
        if self.size is None:
            return self.parts[0] if len(self.parts) == 1 else np.concatenate(self.parts)
        return self.whole if self.rows == self.size else self.whole[: self.rows].copy()


def rows_of(size, steps, batch_size):
    """How many rows `steps` batches have at most, None where it is not known."""
    return size if size is None or steps is None else min(size, steps * batch_size)
