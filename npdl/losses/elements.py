"""What losses that are a mean of one formula over the elements, or over the rows, share."""

import math

import numpy as np

from npdl.losses.base import Loss


class ElementLoss(Loss):
    """Lₙ = Σ_d f(t, p) / D; a subclass names the kernel's formula f and gives its constants."""

    formula: str

    def constants(self, shape):
        """The formula's numbers, for outputs of that shape."""
        return ()

    def values(self, y_true, y_pred, out):
        self.k.element_loss(self.formula, y_true, y_pred, self.constants(y_pred.shape), out=out)

    def gradient(self, y_true, y_pred, scale, out):
        self.k.element_loss_grad(self.formula, y_true, y_pred, self.constants(y_pred.shape), scale, out=out)


class RowLoss(Loss):
    """Lₙ = mean of f over the rows of a sample; a subclass names the kernel's formula f, its constants and weights."""

    formula: str

    def constants(self, shape):
        """The formula's numbers, for outputs of that shape."""
        return ()

    def class_weights(self, classes):
        """What the formula takes as weights, a host array, or None."""
        return None

    def _arguments(self, y_true, y_pred):
        weights = self.class_weights(y_pred.shape[-1])
        if weights is not None:
            weights = self._array("class_weights", weights, y_pred.dtype)
        return self.formula, y_true, y_pred, self.constants(y_pred.shape), weights

    def values(self, y_true, y_pred, out):
        self.k.row_loss(*self._arguments(y_true, y_pred), out=out)

    def gradient(self, y_true, y_pred, scale, out):
        self.k.row_loss_grad(*self._arguments(y_true, y_pred), scale, out=out)

    def values_and_gradient(self, y_true, y_pred, scale, out, dy):
        self.k.row_loss(*self._arguments(y_true, y_pred), out=out, scale=scale, dy=dy)


def plain_weights(owner, name, weights):
    """A number or one number a class, 0 or more, as plain values; None stays None.

    Raises:
        ValueError: something else.
    """
    if weights is None or isinstance(weights, (int, float)):
        values = np.asarray(0.0 if weights is None else weights)
    else:
        values = np.asarray(weights, np.float64)
        weights = values.tolist()
    if values.ndim > 1 or not (np.isfinite(values) & (values >= 0)).all():
        raise ValueError(
            f"{owner}: {name} must be a number or one number a class, finite and not negative, got {weights!r}; "
            f"pass e.g. {name}=[1.0, 2.0]"
        )
    return weights


def one_a_class(owner, name, weights, classes):
    """Weights (classes,) of `plain_weights`; None is all 1.

    Raises:
        ValueError: another number of classes.
    """
    values = np.asarray(1.0 if weights is None else weights, np.float64)
    if values.ndim and len(values) != classes:
        raise ValueError(
            f"{owner}: {name} has {len(values)} numbers, the outputs have {classes} classes; pass one number a class"
        )
    return np.broadcast_to(values, (classes,))


def finite(owner, name, value, low=-math.inf, above=False):
    """value, a finite number of at least `low`, or above it.

    Raises:
        ValueError: it is not.
    """
    if isinstance(value, (int, float)) and math.isfinite(value) and (value > low if above else value >= low):
        return value
    bound = "" if low == -math.inf else f" {'above' if above else 'of at least'} {low:g}"
    example = low + 1 if math.isfinite(low) else 1
    raise ValueError(f"{owner}: {name} must be a number{bound}, got {name}={value!r}; pass e.g. {name}={example:g}")
