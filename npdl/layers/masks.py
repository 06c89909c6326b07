"""Masks: which places of a batch count, carried beside the array from layer to layer.

A mask is a bool array of the leading axes of its array, (N, T) for sequences (N, T, ...): False where a step is
padding. None means that all of them count; then carrying it costs one look at each layer.
"""

import functools
import inspect


def forward(layer, x, training=False, mask=None):
    """(y, the mask of y) of one layer.

    Args:
        layer: its forward gets the mask if it takes one, its `compute_mask` says what becomes of it.
        x, training: as for `layer.forward`.
        mask: of x, or None.
    """
    if mask is None and not layer.makes_mask:
        return layer.forward(x, training), None
    if hasattr(layer, "carry"):  # both at once: a container, or a layer that finds the mask on the way
        return layer.carry(x, training, mask)
    y = layer.forward(x, training, mask) if takes_mask(layer) else layer.forward(x, training)
    return y, layer.compute_mask(x, mask)


def chain(layers, x, training=False, mask=None):
    """(y, the mask of y) of layers one after the other."""
    for layer in layers:
        x, mask = forward(layer, x, training, mask)
    return x, mask


def takes_mask(layer):
    """Whether the layer's forward has an argument `mask`."""
    return _has_mask(getattr(layer.forward, "__func__", layer.forward))


@functools.lru_cache(1024)
def _has_mask(function):
    return "mask" in inspect.signature(function).parameters


def kept(mask, before, after):
    """The mask of samples of shape `before` for those of shape `after`; None where its axes are not the first any more.

    A layer that lowers the number of axes has summed or joined some: it says itself which mask is left.
    """
    axes = 0 if mask is None else len(mask.shape) - 1
    return mask if len(after) >= len(before) and tuple(after[:axes]) == tuple(before[:axes]) else None


def both(layer, a, b):
    """The mask of a sum: where both count; None counts everywhere."""
    if a is None or b is None or a is b:
        return b if a is None else a
    out = layer.buffer("mask", a.shape, "bool")
    layer.k.both(a, b, out=out)
    return out


def of_all(layer, given):
    """The mask of several inputs made one at each place: where all count; `given` is a tuple of masks, or None."""
    mask = None
    for one in given or ():
        mask = both(layer, mask, one)
    return mask


def check(name, mask, x, pairs=False):
    """Raise unless `mask` fits x; of several inputs it may be a tuple, a mask or None for each.

    With `pairs` any array of bool will do: a layer that also takes (N, T, S) says itself what does not fit.

    Raises:
        TypeError: it is no array of bool.
        ValueError: its axes are not the leading ones of x, or of the first of several.
    """
    if mask is None:
        return
    if isinstance(x, tuple):
        if isinstance(mask, tuple) and len(mask) == len(x):
            for one, of in zip(mask, x, strict=True):
                check(name, one, of, pairs)
            return
        x = x[0]
    came = getattr(mask, "dtype", type(mask).__name__)
    if str(came) != "bool":
        raise TypeError(f"{name}: a mask is an array of bool, got {came}; pass np.asarray(mask, bool)")
    if not pairs and tuple(mask.shape) != tuple(x.shape[: len(mask.shape)]):
        raise ValueError(
            f"{name}: the mask has shape {tuple(mask.shape)}, expected the leading axes of x, which has shape "
            f"{tuple(x.shape)}: (N, T) of steps, (N, H, W) of pixels; pairs (N, T, S) are for layers of attention; "
            "where a layer of your own changes them, write its compute_mask(self, x, mask=None)"
        )
