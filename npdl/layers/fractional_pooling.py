"""What pooling shares whose windows lie a fraction of a place apart."""

import math
import numbers

import numpy as np

from npdl import random
from npdl.layers import arguments, spatial
from npdl.layers.base import Layer


class FractionalMaxPool(Layer):
    """The windows' places, and the maximum of each.

    Kernels that were there do the rest: the numbers of every window are looked up like rows of an embedding, the first
    ones of all windows beside each other, then the second ones, and are one bin of adaptive pooling. That holds each
    number as often as windows overlap. The gradient goes back to the places that won, as to rows of an embedding.
    """

    axes: int

    def __init__(self, pool_size=2, output_size=None, output_ratio=None, seed=None, data_format=None, **base):
        super().__init__(**base)
        kind = type(self).__name__
        self.pool_size = spatial.each_axis(self, "pool_size", pool_size, self.axes, "pool_size=2")
        if (output_size is None) == (output_ratio is None):
            raise ValueError(
                f"{kind} needs one of output_size and output_ratio, got output_size={output_size!r}, "
                f"output_ratio={output_ratio!r}; pass e.g. output_ratio=0.7"
            )
        self.output_size, self.output_ratio = output_size, output_ratio
        if output_size is not None:
            self.output_size = spatial.each_axis(self, "output_size", output_size, self.axes, "output_size=7")
        else:
            given = tuple(output_ratio) if np.iterable(output_ratio) else (output_ratio,) * self.axes
            if len(given) != self.axes or not all(isinstance(r, numbers.Real) and 0 < r < 1 for r in given):
                raise ValueError(
                    f"{kind} needs output_ratio to be one number between 0 and 1 or {self.axes}, got {output_ratio!r}; "
                    "pass e.g. output_ratio=0.7"
                )
            self.output_ratio = given
        self.seed = None if seed is None else random.check_seed(seed)
        self.data_format = arguments.channels_last(self, data_format)

    def build(self, input_shape):
        spatial.samples(self, input_shape, self.axes)
        if None in input_shape:
            raise ValueError(
                f"{self.name}: {type(self).__name__} needs axes of a fixed length, got samples of shape {input_shape}"
            )
        sizes = input_shape[:-1]
        made = self.output_size or tuple(int(size * ratio) for size, ratio in zip(sizes, self.output_ratio))
        for size, pool, out in zip(sizes, self.pool_size, made):
            if out < 1 or out + pool - 1 > size:
                raise ValueError(
                    f"{self.name}: {type(self).__name__} cannot make {made} of samples of shape {input_shape} with "
                    f"windows of {self.pool_size}; pass smaller windows or sizes"
                )
        return (*made, input_shape[-1])

    def flops(self):
        return math.prod(self.output_shape) * math.prod(self.pool_size)

    def draw(self, samples):
        """(N, C, axes) random numbers u of [0, 1)."""
        key = self.random_key("windows") if self.seed is None else random.key(self.seed, "windows")
        channels = self.input_shape[-1]
        return random.per_sample(key, self.step, samples, channels * self.axes).reshape(samples, channels, self.axes)

    def places(self, u):
        """(where the first number of each window lies among those of x, (N, out..., C); how far the others are from
        it, (taps,)); on the host, as u is."""
        samples, channels = u.shape[:2]
        kind = np.int32 if samples * math.prod(self.input_shape) < 2**31 else np.int64
        first, apart, stride = np.arange(channels), np.zeros(1, kind), channels
        for axis in reversed(range(self.axes)):
            size, pool, out = self.input_shape[axis], self.pool_size[axis], self.output_shape[axis]
            step, own = (size - pool) / max(out - 1, 1), u[:, :, axis, None]
            starts = np.floor((np.arange(out) + own) * step) - np.floor(own * step)  # (N, C, out)
            starts[:, :, -1] = size - pool
            shape = (samples, *(out if a == axis else 1 for a in range(self.axes)), channels)
            first = starts.transpose(0, 2, 1).reshape(shape).astype(kind) * kind(stride) + first.astype(kind)
            apart = (np.arange(pool, dtype=kind)[:, None] * kind(stride) + apart).reshape(-1)
            stride *= size
        return first + (np.arange(samples) * stride).astype(kind).reshape(samples, *(1,) * (self.axes + 1)), apart

    def forward(self, x, training=False):
        n, random_places = len(x), self.varies(training)
        first, apart = self.places(self.draw(n) if random_places else np.full((n, x.shape[-1], self.axes), 0.5))
        y, seen = self.buffer("y", first.shape), self.buffer("seen", (n, len(apart), *self.output_shape))
        ids = np.empty(seen.shape, first.dtype)
        np.add(first[:, None], apart.reshape(len(apart), *(1,) * (self.axes + 1)), out=ids)
        self.k.embedding(ids, x.reshape(x.size, 1), out=seen.reshape(*ids.shape, 1))
        one_bin = n, 1, first.size // max(n, 1)
        winners = self.buffer("winners", one_bin, "int32") if training else None
        self.k.adaptive_max_pool(seen.reshape(n, len(apart), one_bin[2]), out=y.reshape(one_bin), winners=winners)
        if training:
            self.step += random_places
            self.save(x.shape, seen.shape, ids, winners)
        else:
            self.forget()
        return y

    def backward(self, dy):
        shape, seen, ids, winners = self.saved()
        dx, dseen = self.buffer("dx", shape), self.buffer("dseen", (*seen[:2], winners.shape[2]))
        self.k.adaptive_max_pool_grad(dy.reshape(winners.shape), winners, out=dseen)
        self.k.embedding_grad(dseen.reshape(dseen.size, 1), ids.reshape(ids.size), out=dx.reshape(dx.size, 1))
        return dx
