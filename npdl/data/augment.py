"""Augment: layers that change images at random, as a function of batches."""

import threading

from npdl import random
from npdl.layers import Layer


class Augment:
    """Layers that change samples at random, run on batches on their way into the training step.

        model.fit(Mapped(Augment([layers.RandomFlip("horizontal"), layers.RandomRotation(0.1)]), x, y, workers=2))

    The same layers inside a model work in its step, one batch after the other; here several batches are made ahead, by
    `workers` of `Mapped`. What they draw depends on the seed, the epoch and the batch's first row alone: the images are
    the same at any number of workers. Inference never sees them.

    Args:
        layers: one layer or a list of them, without weights; they are copied.
        seed: of the random numbers; None takes the model's.

    Raises:
        TypeError: something else than layers.
        ValueError: layers with weights, which nothing would train here.

    >>> import numpy as np
    >>> from npdl import layers
    >>> from npdl.data import Place
    >>> x, y = Augment(layers.RandomCrop(24, 24), seed=0)(np.zeros((8, 32, 32, 3), "float32"), None, Place(0, 0, 0))
    >>> x.shape
    (8, 24, 24, 3)
    """

    def __init__(self, layers, seed=None):
        self.layers = list(layers) if isinstance(layers, (list, tuple)) else [layers]
        if not self.layers or not all(isinstance(layer, Layer) for layer in self.layers):
            raise TypeError(
                f'Augment needs a layer or a list of layers, got {layers!r}; pass e.g. layers.RandomFlip("horizontal")'
            )
        self.seed = None if seed is None else random.check_seed(seed)
        self._own = threading.local()  # a layer remembers its last call, so each thread has layers of its own

    def __call__(self, x, y, place):
        """(x', y)"""
        seed = place.seed if self.seed is None else self.seed
        step = random.key(seed, "Augment", place.epoch, place.first)[0]
        for layer in self._built(seed, x.shape[1:], x.dtype.name):
            for part in layer.walk():
                part.step = step
            x = layer(x, training=True)
            layer.forget()
        return x, y

    def _built(self, seed, shape, dtype):
        """This thread's layers for such samples."""
        wanted = seed, shape, dtype
        if getattr(self._own, "made_for", None) != wanted:
            built = []
            for number, layer in enumerate(self.layers):
                one = type(layer).from_config(layer.get_config())
                one.init(shape, dtype, random.key(seed, "Augment", number)[0])
                if one.params:
                    raise ValueError(
                        f"Augment: {one.name} has weights, which are not trained outside a model; put it into the model"
                    )
                shape = one.output_shape
                built.append(one)
            self._own.made_for, self._own.layers = wanted, built
        return self._own.layers

    def __getstate__(self):
        return {"layers": self.layers, "seed": self.seed}

    def __setstate__(self, state):
        self.__init__(**state)

    def __repr__(self):
        return f"Augment({self.layers!r}{'' if self.seed is None else f', seed={self.seed}'})"
