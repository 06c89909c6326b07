"""The mode of a call: what layers do in training alone, and calls that are fixed to what inference does."""

import threading


class _Active(threading.local):
    fixed = False


_active = _Active()


class fixed_call:
    """Every layer that this thread calls inside the `with` does what it does in inference; while training it still
    keeps what `backward` needs.

    Args:
        on: False changes nothing.
    """

    def __init__(self, on=True):
        self.on = on

    def __enter__(self):
        self.before, _active.fixed = _active.fixed, _active.fixed or self.on

    def __exit__(self, *_):
        _active.fixed = self.before


class Moded:
    """What a layer has of it."""

    def varies(self, training):
        """Whether to do what training does otherwise than inference: random numbers, statistics of the batch.

        A forward that does such a thing asks this, and not `training`, which only says whether `backward` will come:
        a call on a node with training=False is fixed to inference, and still learns.
        """
        return training and not _active.fixed

    def passes(self, training, always=False):
        """Whether x passes as it is, of a layer that does something in training alone; `saved` is then None."""
        if self.varies(training) and not always:
            return False
        if training:
            self.save(None)
        else:
            self.forget()
        return True
