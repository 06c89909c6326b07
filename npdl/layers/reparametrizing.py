"""Reparametrizing: a layer around another one whose kernel it makes anew in each forward."""

import threading

from npdl.layers import masks
from npdl.layers.wrapper import Wrapper, single

KERNELS = ("kernel", "embeddings")


class Reparametrizing(Wrapper):
    """Runs a layer with a kernel W̄ that is made of the one that is learnt.

    A subclass writes `made` and `made_grad`. Weights of its own come before the layer's.

    Attributes:
        learnt: the kernel's name in the layer, "kernel" or "embeddings".
        shape: the kernel's.
    """

    def __init__(self, layer, **base):
        super().__init__({"layer": [single(type(self).__name__, "layer", layer)]}, **base)
        self.lock = threading.Lock()  # threads that predict share the layer, which has one kernel at a time

    def build(self, input_shape):
        kind, inner = type(self).__name__, self.layer[0]
        shape = inner.build_once(input_shape)
        found = {one.name: one.shape for one in inner.declared if one.trained and one.name in KERNELS}
        if not found:
            raise ValueError(
                f"{self.name}: {kind} needs a layer with a weight called kernel or embeddings, got {inner!r}; "
                f"pass e.g. {kind}(layers.Dense(64))"
            )
        self.learnt = next(iter(found))
        self.shape = found[self.learnt]
        self.declare()
        return shape

    def declare(self):
        """Declare the weights of its own."""

    def made(self, W, training, out):
        """Fill out with W̄; returns what `made_grad` needs."""
        raise NotImplementedError(f"{type(self).__name__} needs made(self, W, training, out)")

    def made_grad(self, dW, W, kept):
        """Of dW = dL/dW̄ make dL/dW, in place, from W̄ and what `made` returned."""
        raise NotImplementedError(f"{type(self).__name__} needs made_grad(self, dW, W, kept)")

    def flops(self):
        return self.layer[0].flops()

    def check(self, x, expected=None):
        self.layer[0].check(x, expected)

    def compute_mask(self, x, mask=None):
        return self.layer[0].compute_mask(x, mask)

    def forward(self, x, training=False, mask=None):
        return self.carry(x, training, mask)[0]

    def carry(self, x, training=False, mask=None):
        """(y, its mask)"""
        with self.lock:  # else it may be another thread's W̄
            W = self.layer[0].params[self.learnt]
        kernel = self.buffer("kernel", W.shape)
        kept = self.made(W, training, kernel)
        found = self._with(kernel, masks.forward, self.layer[0], x, training, mask)
        if training:
            self.save(kernel, kept)
        else:
            self.forget()
        return found

    def backward(self, dy):
        kernel, kept = self.saved()
        inner = self.layer[0]
        inner.needs_dx = self.needs_dx
        dx = self._with(kernel, inner.backward, dy)
        self.made_grad(inner.grads[self.learnt], kernel, kept)
        return dx

    def _with(self, kernel, call, *given):
        """The call's result, with that kernel in the layer while it lasts."""
        params = self.layer[0].params
        with self.lock:
            own, params[self.learnt] = params[self.learnt], kernel
            try:
                return call(*given)
            finally:
                params[self.learnt] = own
