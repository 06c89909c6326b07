"""Input: says the shape of a sample."""

from npdl.layers.identity import Identity
from npdl.layers.node import Call

DTYPES = (None, "float32", "float64", "int32", "int64")


class Input(Identity):
    """The shape of one sample: put first in a Sequential, whose weights are then made at once; or what a `Model` reads.

        forward     y = x
        backward    dx = dy

    Shapes: x, y (N, *shape).
    Saves: nothing.

    Args:
        shape: one sample's shape, without the batch axis; None stands for an axis of any length.
        batch_size: None: batches may have any size.
        dtype: "int32" or "int64" for whole numbers (indices), which a layer that reads them says too; else the model's.

    Raises:
        ValueError: shape is no tuple, or the model gets samples of another shape; an argument that cannot be honoured.

    >>> Input((28, 28, 1)).init(input_shape=(28, 28, 1)).output_shape
    (28, 28, 1)
    """

    def __init__(self, shape, batch_size=None, dtype=None, **base):
        if not isinstance(shape, (tuple, list)):
            raise ValueError(
                f"Input takes one sample's shape as a tuple, got shape={shape!r}; pass e.g. Input(({shape},))"
            )
        if batch_size is not None:
            raise ValueError(f"Input: batches may have any size, got batch_size={batch_size!r}; leave batch_size out")
        if dtype not in DTYPES:
            known = ", ".join(map(repr, DTYPES))
            raise ValueError(f"Input: dtype={dtype!r} is not there; pass one of {known}, or a model's dtype=")
        self.shape, self.batch_size, self.asked = tuple(shape), None, dtype
        super().__init__(input_shape=self.shape, **base)
        self.dtype = None  # the model's, once built
        self.reads_integers = str(dtype).startswith("int")
        self._call = None

    def get_config(self):
        """The arguments; `dtype` is what was asked for."""
        return {**super().get_config(), "dtype": self.asked}

    @property
    def node(self):
        """What layers are called on."""
        if self._call is None:
            self.build_once(self.shape)
            self._call = Call(self, (), False, [self.shape], False)
            self.calls.append(self._call)
        return self._call.outputs[0]

    def build(self, input_shape):
        if input_shape != self.shape:
            raise ValueError(
                f"{self.name}: Input says samples of shape {self.shape}, got {input_shape}; make them the same"
            )
        return input_shape
