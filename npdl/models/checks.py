"""Checks of what a model is called with."""

import numbers

import numpy as np


def gradient(model, dy):
    """dy, given to `backward` by hand, is a gradient of the model's outputs."""
    if not hasattr(dy, "dtype"):
        raise TypeError(
            f"{model.name}: backward takes dy = dL/dy, the loss's gradient for the outputs, as an array, got "
            f"{type(dy).__name__}; pass what loss.backward() gives, or np.asarray(dy, {model.dtype.name!r})"
        )
    model.device.demand_own(dy, f"{model.name}: backward")
    shape, expected = tuple(dy.shape), model.output_shape
    if len(shape) != len(expected) + 1 or any(e not in (None, s) for e, s in zip(expected, shape[1:])):
        raise ValueError(
            f"{model.name}: backward takes dy = dL/dy of the shape of the outputs of {model.layers[-1].name}, "
            f"({', '.join(['N', *map(str, expected)])}), got {shape}; pass what loss.backward() gives"
        )
    if dy.dtype != model.dtype:
        raise TypeError(
            f"{model.name}: backward takes dy = dL/dy in {model.dtype}, got {dy.dtype}; "
            f"pass dy.astype({model.dtype.name!r})"
        )
    if isinstance(dy, np.ndarray) and not dy.flags.c_contiguous:
        raise ValueError(f"{model.name}: backward reads C-contiguous arrays; pass np.ascontiguousarray(dy)")


def not_one_sample(model, source):
    """The data are a batch, not one sample of the shape that the model takes."""
    whole, sample = (source.size, *source.x_shape), model.input_shape
    if whole == sample != source.x_shape:
        raise ValueError(
            f"x has shape {whole}, which is that of one sample; {model.layers[0].name} takes batches "
            f"({', '.join(['N', *map(str, sample)])}): pass x[None]"
        )


def positive(name, value, default):
    """A whole number of at least 1, or the default for None."""
    if value is None:
        return default
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}; pass {name}={default or 32}")
    return int(value)


def epochs(last, first):
    """`epochs` and `initial_epoch` are whole numbers, not negative."""
    for name, value in (("epochs", last), ("initial_epoch", first)):
        if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 0:
            raise ValueError(f"{name} must be a whole number of at least 0, got {value!r}; pass e.g. {name}=1")


def is_due(epoch, freq):
    """Whether to validate after this epoch (counted from 1)."""
    if isinstance(freq, numbers.Integral) and freq >= 1:
        return epoch % freq == 0
    if isinstance(freq, (list, tuple, set)):
        return epoch in freq
    raise ValueError(
        f"validation_freq is a whole number of at least 1, or a list of epochs, got {freq!r}; pass validation_freq=1"
    )


def some_batches(count):
    """An iterator that is used up gives no batch: say so instead of training on nothing."""
    if not count:
        raise ValueError(
            "the data gave no batch; an iterator can be used once: pass an array, a list of batches, "
            "or a function that returns a new iterator"
        )


def validation_parts(validation_data):
    """(x, y, sample_weight) of `validation_data`, or it alone where it is an iterable of batches.

    Raises:
        ValueError: an array, or another number of parts.
    """
    arrays = isinstance(validation_data, list) and all(hasattr(part, "shape") for part in validation_data)
    if isinstance(validation_data, tuple) or arrays:
        if len(validation_data) not in (2, 3):
            raise ValueError(f"expected (x, y) or (x, y, sample_weight), got {len(validation_data)} parts; pass (x, y)")
        return tuple(validation_data)
    if hasattr(validation_data, "shape"):
        raise ValueError(
            f"expected (x, y) or (x, y, sample_weight), got {type(validation_data).__name__} of shape "
            f"{tuple(validation_data.shape)}; pass validation_data=(x, y)"
        )
    return (validation_data,)
