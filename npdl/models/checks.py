"""Checks of the training loop's arguments."""

import numbers


def positive(name, value, default):
    """A whole number of at least 1, or the default for None."""
    if value is None:
        return default
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
    return int(value)


def epochs(last, first):
    """`epochs` and `initial_epoch` are whole numbers, not negative."""
    for name, value in (("epochs", last), ("initial_epoch", first)):
        if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 0:
            raise ValueError(f"{name} must be a whole number of at least 0, got {value!r}")


def is_due(epoch, freq):
    """Whether to validate after this epoch (counted from 1)."""
    if isinstance(freq, numbers.Integral) and freq >= 1:
        return epoch % freq == 0
    if isinstance(freq, (list, tuple, set)):
        return epoch in freq
    raise ValueError(f"validation_freq is a whole number of at least 1, or a list of epochs, got {freq!r}")


def some_batches(count):
    """An iterator that is used up gives no batch: say so instead of training on nothing."""
    if not count:
        raise ValueError(
            "the data gave no batch; an iterator can be used once: pass an array, a list of batches, "
            "or a function that returns a new iterator"
        )
