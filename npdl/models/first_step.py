"""What `fit` looks at on its first step only: shapes, types, and the gradients of the user's own parts."""

import numpy as np

from npdl import testing

CHECKED_ROWS = (8, 5)  # of the first batch: two numbers, so that a wrong 1/N shows; each entry costs two forwards


class FirstStep:
    """Looks at what each layer of a chain gives: shape, dtype and memory order of y and dx.

    Args:
        layers: the chain.
    """

    def __init__(self, layers):
        self.inputs = {}
        self.views = testing.Views(layers)
        for part in filter(is_custom, (part for layer in layers for part in layer.walk())):
            testing.demand_arguments(part, "forward", "x, training=False")

    def forward(self, layer, x, y):
        """Look at y = layer.forward(x)."""
        self.inputs[id(layer)] = x.dtype, x.shape  # not x, whose memory others are waiting for
        self._check(layer, "forward", y, layer.dtype, (len(x), *layer.output_shape))

    def backward(self, layer, dx):
        """Look at what the layer's backward returned and where it wrote."""
        self.views.demand()
        if layer.needs_dx:
            self._check(layer, "backward", dx, *self.inputs[id(layer)])

    @staticmethod
    def _check(layer, what, array, dtype, shape):
        where = f"{layer.name} ({type(layer).__name__}).{what}"
        if not hasattr(array, "shape"):
            raise TypeError(f"{where} returned {type(array).__name__}, expected an array of {shape}; see its return")
        if len(array.shape) != len(shape) or any(e not in (None, s) for e, s in zip(shape, array.shape, strict=True)):
            raise ValueError(f"{where} returned shape {tuple(array.shape)}, expected {tuple(shape)}; see its build")
        if array.dtype != dtype:
            raise TypeError(f"{where} returned {array.dtype}, expected {dtype}; use the dtype of its input throughout")
        if isinstance(array, np.ndarray) and not array.flags.c_contiguous:
            raise ValueError(f"{where} returned an array that is not C-contiguous; return np.ascontiguousarray(...)")


def is_custom(part):
    """Whether a layer or loss is the user's own."""
    return type(part).__module__.partition(".")[0] != "npdl"


def check_custom_gradients(model, step, x, target, w):
    """Check the user's own layers and loss by central differences, in float64, on the first rows of a batch.

    Raises:
        ValueError: a backward is wrong; the message says where and by how much.
        TypeError: a forward or backward takes other arguments than it is given.
    """
    if not any(map(is_custom, (*model.walk(), step.loss))):
        return
    layers = step.twins()
    if np.issubdtype(target.dtype, np.floating):
        target = target.astype(np.float64)
    for rows in _row_counts(len(x)):
        y = np.array(x[:rows], None if x.dtype.kind == "i" else np.float64)
        for layer in layers:
            if any(map(is_custom, layer.walk())):
                _demand(testing.gradient_check(layer, y), layer.name)
            y = layer.forward(y, True)
        if is_custom(step.loss):
            weights = None if w is None else w[:rows]
            _demand(testing.loss_check(step.loss, target[:rows], y, weights), type(step.loss).__name__)


def _row_counts(n):
    """Two numbers of rows, as far as a batch of n has them; none of 1, for statistics over a batch need two."""
    most, fewer = min(n, CHECKED_ROWS[0]), min(n - 1, CHECKED_ROWS[1])
    return (most, fewer) if fewer > 1 else (most,)


def _demand(report, name):
    if not report.ok:
        raise ValueError(
            f"the backward of {name} does not agree with central differences of its forward:\n{report}\n"
            "mend its backward, or say model.compile(..., check_gradients=False) to train without this check"
        )
