"""WeightNormalization: the directions of a layer's weights and their lengths, learnt apart."""

import numpy as np

from npdl import initializers, random
from npdl.layers.reparametrizing import Reparametrizing


class WeightNormalization(Reparametrizing):
    """A layer with the kernel g V / ‖V‖: the weights of each output have a length g and a direction.

        forward     U = V / ‖V‖         W = g U             y = f(x; W)
        backward    dx, dW = ∂fᵀ dy     dg = Σ dW U         dV = (g dW − U Σ g dW U) / ‖V‖

    Norms and the sums of backward go over all axes of the kernel but `axis`. ‖V‖ is at least 10⁻⁶. g begins as ‖V‖, so
    that W is at first what the layer's initializer made. This is PyTorch's `weight_norm`; Keras has none. Regularizers
    and constraints of the layer are of V.

    Shapes: x, y as of the layer · V and W like its kernel · g (C,), as long as `axis`, or (1,); before the layer's
    weights.
    Saves: W, U and 1/‖V‖; the layer inside saves its own.

    Args:
        layer: f, with a `kernel`, as `Dense` and convolutions have it, or `embeddings`.
        axis: of the kernel, whose places have a g each. The last one, that of outputs, is PyTorch's dim=0 (of
            embeddings axis=0 is); None gives the whole kernel one g, as dim=None.

    Raises:
        ValueError: a layer without such a weight, an axis that it does not have.

    Reference: Salimans and Kingma, Weight Normalization: A Simple Reparameterization to Accelerate Training of Deep
    Neural Networks, 2016.

    >>> from npdl.layers import Dense
    >>> [w.shape for w in WeightNormalization(Dense(3)).init(input_shape=(4,), seed=0).get_weights()]
    [(3,), (4, 3), (3,)]
    """

    def __init__(self, layer, axis=-1, **base):
        super().__init__(layer, **base)
        self.axis = axis

    def declare(self):
        axes = tuple(range(len(self.shape)))
        if self.axis is not None and self.axis not in range(-len(axes), len(axes)):
            raise ValueError(
                f"{self.name}: axis must be one of a kernel of shape {self.shape} or None, got axis={self.axis!r}; "
                "leave it out for the axis of outputs"
            )
        first = 0 if self.axis is None else self.axis % len(axes)
        self.count = 1 if self.axis is None else self.shape[first]
        self.order = (first, *(axis for axis in axes if axis != first)) if first else None
        self.add_weight((self.count,), _Lengths(self), name="g")

    def rows(self, name, W):
        """A kernel as (count, R), the places of `axis` first: itself, or a copy."""
        if self.order is not None:
            turned = self.buffer(name, tuple(self.shape[axis] for axis in self.order))
            self.k.permute(W, self.order, out=turned)
            W = turned
        return W.reshape(self.count, W.size // self.count)

    def room(self, name, W):
        """Where to write such rows: over the kernel W where it has them, else a copy, which `put` then puts there."""
        shape = self.count, W.size // self.count
        return W.reshape(*shape) if self.order is None else self.buffer(name, shape)

    def put(self, rows, W):
        """Rows as the kernel that they are."""
        if self.order is not None:
            back = tuple(self.order.index(axis) for axis in range(len(self.order)))
            self.k.permute(rows.reshape(*(self.shape[axis] for axis in self.order)), back, out=W)

    def made(self, W, training, out):
        V, rows = self.rows("V", W), self.room("rows", out)
        unit, inverse = self.buffer("unit", V.shape), self.buffer("inverse", (self.count,))
        self.k.unit_norm(V, out=unit, inverse=inverse)  # U = V / ‖V‖
        self._times_g(unit, rows)
        self.put(rows, out)  # W = g U
        return V, unit, inverse

    def made_grad(self, dW, W, kept):
        V, unit, inverse = kept
        d, part, rows = self.rows("dW", dW), self.scratch("part", unit.shape), self.room("rows", dW)
        self.k.multiply(d, unit, out=part)
        self.k.matmul(part, self._ones(unit.shape[1], 1), out=self.grads["g"].reshape(self.count, 1))  # dg = Σ dW U
        self._times_g(d, part)
        self.k.unit_norm_grad(part, V, inverse, dx=rows)  # dV = (g dW − U Σ g dW U) / ‖V‖
        self.put(rows, dW)

    def _times_g(self, x, out):
        wide = self.scratch("wide", x.shape)
        self.k.matmul(self.params["g"].reshape(self.count, 1), self._ones(1, x.shape[1]), out=wide)
        self.k.multiply(wide, x, out=out)

    def _ones(self, *shape):
        ones = self.scratch("ones", shape)
        self.k.fill(1.0, out=ones)
        return ones


class _Lengths(initializers.Initializer):
    """‖V‖ of the kernel that the layer will have."""

    def __init__(self, wrapper):
        self.wrapper = wrapper

    def values(self, shape, key):
        inner, axis = self.wrapper.layer[0], self.wrapper.axis
        kernel = next(one for one in inner.declared if one.name == self.wrapper.learnt)
        V = kernel.initializer(kernel.shape, random.key(inner.store.seed, inner.place, kernel.name))
        over = tuple(place for place in range(V.ndim) if axis is None or place != axis % V.ndim)
        return np.sqrt((V * V).sum(axis=over)).reshape(shape)
