"""Lambda: two functions of your own as a layer."""

import numpy as np

from npdl.layers.base import Layer


class Lambda(Layer):
    """A function of your own, and the one that goes back through it.

        forward     y = function(x)
        backward    dx = gradient(x, dy)

    For what has no weights and is written in a line of NumPy; for more, subclass `Layer`. It works on host arrays, and
    is checked on the first batch of `fit` by central differences, as every layer of your own by `npdl.testing`.
    A model file holds no code: a model with a Lambda has its weights saved by `save_weights`; to save all of it, make
    the two functions the forward and backward of a layer class, decorated by `@npdl.register`.

    Shapes: x (N, ...) · y (N, *output_shape).
    Saves: x.

    Args:
        function: x -> y, both of one type; it must not write into x.
        output_shape: one sample's shape of y, or a function of x's; None tries the function on ones.
        mask: what `compute_mask` gives: a mask or a function (x, mask); None is no mask.
        arguments: dict of further arguments of both functions.
        gradient: (x, dy) -> dx; Keras has no such argument. Without it the layer only infers.

    Raises:
        TypeError: something else than functions, a result that is no array of x's type.
        ValueError: a result of another shape, an output_shape that cannot be found out.

    >>> Lambda(lambda x: x**2, gradient=lambda x, dy: 2 * x * dy).init(input_shape=(4,)).output_shape
    (4,)
    """

    def __init__(self, function, output_shape=None, mask=None, arguments=None, *, gradient=None, **base):
        super().__init__(**base)
        for name, given in (("function", function), ("gradient", gradient)):
            if not callable(given) and (given is not None or name == "function"):
                raise TypeError(
                    f"Lambda needs {name} to be a function, got {name}={given!r}; "
                    "pass e.g. Lambda(lambda x: x**2, gradient=lambda x, dy: 2 * x * dy)"
                )
        self.function, self.gradient, self.mask, self.arguments = function, gradient, mask, dict(arguments or {})
        self.asked = output_shape

    def get_config(self):
        """The arguments, functions as they are: for copies, not for files."""
        return {**super().get_config(), "output_shape": self.asked}

    def build(self, input_shape):
        if callable(self.asked):
            return tuple(self.asked(input_shape))
        if self.asked is not None:
            return tuple(self.asked) if isinstance(self.asked, (tuple, list)) else (self.asked,)
        if None in input_shape:
            raise ValueError(
                f"{self.name}: samples of shape {input_shape} have an axis of any length; "
                "say what the function makes of them: Lambda(function, output_shape=...)"
            )
        try:
            with np.errstate(all="ignore"):
                return np.shape(self.function(np.ones((2, *input_shape), np.float32), **self.arguments))[1:]
        except (TypeError, ValueError, IndexError) as error:
            raise ValueError(
                f"{self.name}: the function failed on ones of shape {(2, *input_shape)}: {error}; "
                "mend it, or say what it makes of a sample: Lambda(function, output_shape=...)"
            ) from error

    def forward(self, x, training=False):
        y = self._checked("function", self.function(x, **self.arguments), x, (len(x), *self.output_shape))
        if training:
            self.save(x)
        else:
            self.forget()
        return y

    def backward(self, dy):
        x = self.saved()
        if self.gradient is None:
            raise ValueError(
                f"{self.name}: to learn through it, it needs the gradient; "
                "pass Lambda(function, gradient=lambda x, dy: ...), dL/dx from x and dy = dL/dy"
            )
        return self._checked("gradient", self.gradient(x, dy, **self.arguments), x, x.shape)

    def _checked(self, what, result, x, shape):
        where = f"{self.name}: its {what}"
        if not hasattr(result, "dtype"):
            raise TypeError(f"{where} returned {type(result).__name__}, expected an array of shape {shape}")
        if len(result.shape) != len(shape) or any(n not in (None, of) for n, of in zip(shape, result.shape)):
            raise ValueError(f"{where} returned shape {result.shape} for x of shape {x.shape}, expected {shape}")
        if result.dtype != x.dtype:
            raise TypeError(f"{where} returned {result.dtype}, x is {x.dtype}; return result.astype(x.dtype)")
        return np.ascontiguousarray(result)

    def compute_mask(self, x, mask=None):
        """What `mask` says."""
        return self.mask(x, mask) if callable(self.mask) else self.mask
