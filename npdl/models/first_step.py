"""What `fit` looks at on its first step only: shapes, types, and the gradients of the user's own parts."""

import numpy as np

from npdl import losses, testing
from npdl.layers.node import has_several
from npdl.models.repeated import Repeated

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
        first = x[0] if isinstance(x, tuple) else x
        self.inputs[id(layer)] = _described(x)  # not x, whose memory others are waiting for
        shapes = layer.output_shape if has_several(layer.output_shape) else [layer.output_shape]
        expected = [(layer.dtype, (len(first), *shape)) for shape in shapes]
        self._check(layer, "forward", y, expected if has_several(layer.output_shape) else expected[0])

    def backward(self, layer, dx):
        """Look at what the layer's backward returned and where it wrote."""
        self.views.demand()
        if layer.needs_dx:
            self._check(layer, "backward", dx, self.inputs[id(layer)])

    def _check(self, layer, what, given, expected):
        where = f"{layer.name} ({type(layer).__name__}).{what}"
        if not isinstance(expected, list):
            _check_array(where, given, *expected)
            return
        if not isinstance(given, (tuple, list)) or len(given) != len(expected):
            came = f"{len(given)}" if isinstance(given, (tuple, list)) else type(given).__name__
            raise TypeError(f"{where} returned {came}, expected a tuple of {len(expected)} arrays; see its return")
        for one, kind in zip(given, expected, strict=True):
            if one is not None or what == "forward":
                _check_array(where, one, *kind)


def _described(x):
    """(dtype, shape) of an array, a list of them of several."""
    return [_described(one) for one in x] if isinstance(x, tuple) else (x.dtype, x.shape)


def _check_array(where, array, dtype, shape):
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


def check_custom_gradients(model, step, xs, targets, ws):
    """Check the user's own layers and losses by central differences, in float64, on the first rows of a batch.

    Args:
        model, step: the model, and its step.
        xs, targets, ws: inputs, targets as the losses take them, and sample weights, a list each.

    Raises:
        ValueError: a backward is wrong; the message says where and by how much.
        TypeError: a forward or backward takes other arguments than it is given.
    """
    own_losses = [head.loss is not None and is_custom(head.loss) for head in step.heads]
    if not any(own_losses) and not any(map(is_custom, model.walk())):
        return
    graph = step.float64()
    for part in filter(is_custom, model.walk()):
        testing.demand_arguments(part, "forward", "x, training=False")

    def look(layer, x, y):
        if any(is_custom(part) for part in layer.walk() if not isinstance(part, Repeated)):
            _demand(testing.gradient_check(getattr(layer, "layer", layer), x), layer.name)

    for rows in _row_counts(len(xs[0])):
        first = [np.array(x[:rows], None if x.dtype.kind == "i" else np.float64) for x in xs]
        outputs, _ = graph.forward(first, True, look=look)
        for head, own, target, w in zip(step.heads, own_losses, targets, ws, strict=True):
            if own:
                y = head.of(outputs)
                floating = np.issubdtype(target.dtype, np.floating)
                target = target[:rows].astype(np.float64 if floating else target.dtype)
                target, y, w = _rows(target, y, None if w is None else w[:rows])
                report = testing.loss_check(head.loss, target, y, w)
                _demand(report, type(head.loss).__name__)


def _rows(target, y, w):
    """Targets, outputs and weights as a loss is given them: with a weight for each step, steps as rows."""
    return losses.as_rows(target, y, w) if w is not None and w.ndim > 1 else (target, y, w)


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
