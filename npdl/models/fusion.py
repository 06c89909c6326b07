"""Fusion: ReLUs and poolings that ride along in the kernel of the layer before. In fit, evaluate and predict only."""

import math

from npdl import activations
from npdl.layers import (
    Activation,
    Add,
    BatchNormalization,
    Branch,
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Conv3DTranspose,
    Dense,
    DepthwiseConv1D,
    DepthwiseConv2D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
    Parallel,
    ReLU,
    Residual,
    SeparableConv1D,
    SeparableConv2D,
)

MAX_POOLS = (MaxPooling1D, MaxPooling2D, MaxPooling3D)
CONVOLUTIONS = (
    Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose, Conv3D, Conv3DTranspose, DepthwiseConv1D, DepthwiseConv2D,
    SeparableConv1D, SeparableConv2D,
)  # fmt: skip
TAKES_RELU = (Add, BatchNormalization, Dense, Residual, *CONVOLUTIONS, *MAX_POOLS)
"""Layers whose kernels end in an activation. Exact types: a subclass of yours may have a forward of its own, and so
may one object (`is_hooked`)."""


def fuse(layers, owners):
    """(layers to run instead, the owners at the same places): fewer passes over memory, and the same bits.

    - A ReLU layer goes into the layer before it, if that one ends without an activation.
    - A BatchNormalization at the end of a residual block adds the shortcut and applies the block's ReLU.
    - The ReLU before a max-pooling goes behind it, where there are fewer numbers: max and ReLU commute, and where the
      maximum is 0 or less there is no gradient either way.
    - A max-pooling over windows of 2 x 2 side by side goes into the Conv2D or BatchNormalization before it, once the
      model is built: the whole images are not kept.

    Args:
        layers: a chain of layers. None is changed: twins on the same weights take their places.
        owners: what stands for them; owners of ReLU layers that are left out are left out.
    """
    run, kept = [], []
    for layer, owner in zip(layers, owners, strict=True):
        layer, before = _inside(layer), run[-1] if run else None
        if type(layer) in (Activation, ReLU) and _is_relu(layer) and _ends_linear(before):
            pool = _pool_of(before)
            ending = {"activation": layer.activation}
            run[-1] = twin(before, **ending) if pool is None else twin(before, pool=twin(pool, **ending))
            continue
        if type(layer) in MAX_POOLS and not is_hooked(layer) and _ends_in_relu(before):
            ending, before = before.activation, twin(before, activation=activations.linear)
            run[-1], layer = before, twin(layer, activation=ending)
        if _pools_in_pairs(layer) and _can_pool(before):
            run[-1] = twin(before, pool=layer, output_shape=layer.output_shape)
            continue
        run.append(layer)
        kept.append(owner)
    return run, kept


def twin(layer, **changes):
    """A layer on the same weights that differs in these attributes; in all others it does what `follow` says."""
    original, before = vars(layer).get("twin_of", (layer, {}))
    other = object.__new__(type(original))
    other.twin_of = original, {**before, **changes}
    return follow(other)


def follow(other):
    """Give a twin the attributes that its original has now, but for those in which they differ; returns the twin."""
    original, changes = other.twin_of
    vars(other).update({**vars(original), **changes})  # at once: other threads may be running it
    return other


def twins(layers):
    """The twins of npdl's own types among these layers and the layers inside them; one of yours may count on itself."""
    parts = [part for layer in layers for part in layer.walk() if type(part).__module__.startswith("npdl.")]
    parts += [pool for pool in map(_pool_of, parts) if pool is not None]
    return [part for part in parts if "twin_of" in vars(part)]


def looked_at(layers):
    """What decides about fusion in layers that were not made anew: it is done again where this has changed."""
    names = "activation", "forward", "backward", "activity_regularizer"
    return [tuple([mine.get(name) for name in names]) for mine in map(vars, layers)]


def is_hooked(layer):
    """Whether a layer is called as it is: a `forward` or `backward` was put on this one object, in place of its
    class's, or there is a penalty on its output."""
    return "forward" in vars(layer) or "backward" in vars(layer) or layer.penalizes


def _inside(layer):
    """The layer, with the chains of a container fused."""
    if type(layer) not in (Branch, Parallel, Residual) or is_hooked(layer):
        return layer
    chains = {name: getattr(layer, name) for name in layer.chains}
    fused = {name: chain and fuse(chain, chain)[0] for name, chain in chains.items()}
    joins = {"joins": _can_join(fused["layers"][-1])} if type(layer) is Residual else {}
    return twin(layer, **fused, **joins)


def _can_join(layer):
    """Whether the last layer of a residual block may add the shortcut in its own pass over memory."""
    last = type(layer) is BatchNormalization and not is_hooked(layer)
    return last and vars(layer).get("order", ()) is None and _pool_of(layer) is None


def _pools_in_pairs(layer):
    """Whether a layer is a max-pooling over windows of 2 x 2 side by side, on the host: its kernels pool on the way."""
    return (
        type(layer) is MaxPooling2D
        and not is_hooked(layer)
        and layer.pool_size == layer.strides == (2, 2)
        and layer.padding == "valid"
        and layer.store is not None
        and layer.device.driver is None
    )


def _can_pool(layer):
    """Whether the kernel of the layer before can end in such a max-pooling; a ReLU between them comes after it.

    Filters that leave a quarter of the lanes of their last vectors empty are better made with images side by side, as
    kernels/narrow.h does; then only the layers themselves pool.
    """
    if _pool_of(layer) is not None or not _ends_linear(layer):
        return False
    if type(layer) is Conv2D:
        return layer.groups == 1 and 4 * layer.filters > 3 * 16 * math.ceil(layer.filters / 16)
    return type(layer) is BatchNormalization and layer.order is None


def _pool_of(layer):
    """The max-pooling in which a layer's kernel ends, or None."""
    return layer.pool if type(layer) in (BatchNormalization, Conv2D) else None


def _ends_linear(layer):
    ending = (_pool_of(layer) or layer) if type(layer) in TAKES_RELU and not is_hooked(layer) else None
    return ending is not None and ending.activation.code == activations.linear.code


def _ends_in_relu(layer):
    return type(layer) in TAKES_RELU and _is_relu(layer)


def _is_relu(layer):
    return not is_hooked(layer) and layer.activation.code == activations.relu.code
