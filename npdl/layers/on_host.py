"""OnHost: the base of the layers that are called on data before a model sees them."""

import numpy as np

from npdl import random
from npdl.layers import arguments, node
from npdl.layers.base import Layer

MODES = ("int", "one_hot", "multi_hot", "count")


class OnHost(Layer):
    """Words, or numbers of any size, as what models compute with: on the host, in NumPy, with nothing to learn.

        x = layer(data)         once, before fit(x, y) and predict(x)

    No device has strings, so such a layer cannot be one of a model, and says so. Its vocabulary or boundaries are part
    of `get_config()`, so `json.dumps(layer.get_config())` beside the model's file keeps them.
    """

    def __call__(self, inputs):
        """The numbers of `inputs`, an array or list."""
        if node.is_symbolic(inputs):
            raise TypeError(self._outside())
        return self.encode(inputs)

    def encode(self, inputs):
        """The numbers of `inputs`."""
        raise NotImplementedError(f"{type(self).__name__} needs encode(self, inputs)")

    def build(self, input_shape):
        raise TypeError(self._outside())

    @property
    def owner(self):
        """None: no model holds it."""
        return None

    @owner.setter
    def owner(self, model):
        if model is not None:
            raise TypeError(self._outside())

    def _outside(self):
        kind = type(self).__name__
        return (
            f"{self.name}: {kind} works on data before they reach a model, whose devices have no strings; "
            f"leave it out of the model and call it first: x = {self.name}(data), then fit(x, y)"
        )

    def demand_dense(self, **given):
        """Raise where results of another kind are asked for than arrays."""
        for name, value in given.items():
            if value:
                raise ValueError(f"{type(self).__name__} makes arrays, got {name}={value!r}; leave {name} out")
            setattr(self, name, False)

    def coded(self, ids, depth):
        """Whole numbers (..., T) as the layer's `output_mode` says; below 0 stands for nothing."""
        if self.output_mode == "int":
            return ids.astype(np.int32)
        if self.output_mode == "one_hot":
            ids = ids if ids.ndim and ids.shape[-1] == 1 else ids[..., None]
        ids = ids if ids.ndim else ids[None]
        rows = np.repeat(np.arange(ids[..., 0].size), ids.shape[-1])
        return self.bags(rows, ids.reshape(-1), ids[..., 0].size, depth).reshape(*ids.shape[:-1], depth)

    def bags(self, rows, ids, count, depth):
        """(count, depth) float32: how often each number is in each row, or whether."""
        bags, known = np.zeros((count, depth), np.float32), ids >= 0
        np.add.at(bags, (rows[known], ids[known]), 1)
        return bags if self.output_mode in ("count", "tf_idf") else np.minimum(bags, 1)

    @classmethod
    def from_config(cls, config):
        """A new layer from `get_config()`'s dictionary, or from the one that Keras 3 writes."""
        return super().from_config({k: v for k, v in config.items() if k not in ("dtype", "vocabulary_size")})


def batches_of(data):
    """What `adapt` goes through: an array or list as one batch, else batches x or (x, ...) of an iterable, or of what
    a function returns."""
    data = data() if callable(data) and not hasattr(data, "__getitem__") else data
    if isinstance(data, (list, tuple, str, bytes)) or hasattr(data, "shape") or hasattr(data, "to_numpy"):
        return [data]
    return (batch[0] if isinstance(batch, tuple) else batch for batch in data)


def mode_of(layer, output_mode, more=()):
    """One of `MODES`, or of more."""
    return arguments.one_of(layer, "output_mode", output_mode, (*MODES, *more))


def strings(layer, inputs):
    """An array of strings; bytes are decoded."""
    array = np.asarray(inputs.to_numpy() if hasattr(inputs, "to_numpy") else inputs)
    if array.dtype.kind == "O" and all(isinstance(one, (str, bytes)) for one in array.flat):
        decoded = [one.decode(layer.encoding) if isinstance(one, bytes) else one for one in array.flat]
        array = np.array(decoded, str).reshape(array.shape)
    if array.dtype.kind == "S":
        array = np.char.decode(array, layer.encoding)
    if array.dtype.kind not in "UT":
        raise TypeError(f"{layer.name} reads strings, got {array.dtype} in {inputs!r:.60}; pass e.g. x.astype(str)")
    return array


def hash_of(salt, *tokens):
    """A whole number of 64 bits, the same on every machine; salt: None, a whole number or two."""
    salt = () if salt is None else salt if isinstance(salt, tuple) else (salt,)
    low, high = random.key(0, "hash", *salt, *tokens)
    return low | high << 32
