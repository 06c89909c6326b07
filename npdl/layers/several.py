"""Layers that take one array or a tuple (query, value) or (query, value, key): what they ask of their inputs."""

import math

ORDER = "pass one array, (query, value) or (query, value, key)"


def is_several(x):
    """Whether these are several inputs, or shapes of such."""
    return isinstance(x, (tuple, list)) and bool(x) and (hasattr(x[0], "shape") or isinstance(x[0], (tuple, list)))


def count(x):
    """How many inputs these are, or are the shapes of."""
    return len(x) if is_several(x) else 1


def parts(x, least=1):
    """The inputs as a tuple; one alone as often as `least` says."""
    return tuple(x) if is_several(x) else (x,) * least


def query_value_key(layer, input_shape):
    """The shapes of samples of (query, value, key).

    Raises:
        ValueError: more than three inputs, inputs without features of fixed number, or of other axes.
    """
    shapes = [tuple(shape) for shape in parts(input_shape)]
    kind = f"{layer.name}: {type(layer).__name__}"
    if len(shapes) > 3:
        raise ValueError(f"{kind} takes up to three inputs, got {len(shapes)}; {ORDER}")
    for shape in shapes:
        if len(shape) < 2 or len(shape) != len(shapes[0]) or not shape[-1]:
            came = ", ".join(map(str, shapes))
            raise ValueError(
                f"{kind} takes samples (places, features) with a fixed number of features, the same axes in each "
                f"input, got samples of shape {came}; e.g. layers.Input((None, 64)), or put layers.Embedding before it"
            )
    query, value, key = shapes[0], shapes[min(1, len(shapes) - 1)], shapes[-1]
    if any(v != k for v, k in zip(value[:-1], key[:-1])):
        raise ValueError(
            f"{kind}: each key belongs to a value, got values {value} and keys {key}; give both one length"
        )
    return query, value, key


def check(layer, x, check_one):
    """Raise where x are not the inputs that a layer was built for; `check_one` checks one of them.

    Raises:
        ValueError: another number of inputs, a wrong shape, batches of different size.
        TypeError: another dtype.
    """
    if not is_several(layer.input_shape):
        if is_several(x):
            raise ValueError(f"{layer.name} was built for one input, got {len(x)}; build it with a tuple of shapes")
        check_one(x)
        return
    if not is_several(x) or len(x) != len(layer.input_shape):
        came = len(x) if is_several(x) else 1
        raise ValueError(f"{layer.name} was built for {len(layer.input_shape)} inputs, got {came}; {ORDER}")
    for one, shape in zip(x, layer.input_shape, strict=True):
        check_one(one, tuple(shape))
    if any(len(one) != len(x[0]) for one in x):
        rows = ", ".join(str(len(one)) for one in x)
        raise ValueError(f"{layer.name} takes inputs of one batch, got {rows} samples; pass as many of each")
    if len(x) == 3 and x[1].shape[1:-1] != x[2].shape[1:-1]:
        raise ValueError(f"{layer.name}: each key belongs to a value, got {x[1].shape} and {x[2].shape}")


def attention_masks(layer, x, mask):
    """The masks of the attention kernel: a dictionary of those that there are.

    Args:
        layer: with `first`, the first axis that attends.
        x: one array or several.
        mask: None; one array like x without its features; a tuple of these and None, for each input; or one array
            (N, T, S) of pairs.

    Raises:
        ValueError: a mask of another shape.
        TypeError: a mask that is not bool.
    """
    inputs = parts(x)
    query, key = inputs[0], inputs[-1]
    samples, found = math.prod(query.shape[: layer.first]), {}
    t, s = (math.prod(one.shape[layer.first : -1]) for one in (query, key))
    if mask is None:
        return found
    if not isinstance(mask, (tuple, list)) and tuple(mask.shape) == (*query.shape[: layer.first], t, s):
        return {"mask": _bool(layer, mask).reshape((samples, t, s))}
    masks = tuple(mask) if isinstance(mask, (tuple, list)) else (mask,)
    if len(masks) != len(inputs):
        raise ValueError(
            f"{layer.name} takes a mask for each input, None where there is none, got {len(masks)} for {len(inputs)}; "
            f"pass mask=({', '.join(['query_mask', 'value_mask', 'key_mask'][: len(inputs)])}), or an array (N, T, S)"
        )
    for one, of in zip(masks, inputs, strict=True):
        if one is not None and tuple(one.shape) != tuple(of.shape[:-1]):
            raise ValueError(
                f"{layer.name}: a mask of {of.shape} has shape {tuple(of.shape[:-1])}, or of pairs of query and key "
                f"{(*query.shape[: layer.first], t, s)}, got {tuple(one.shape)}"
            )
    if masks[0] is not None:
        found["query_mask"] = _bool(layer, masks[0]).reshape((samples, t))
    for name, one in zip(("value_mask", "key_mask") if len(masks) > 2 else ("key_mask",), masks[1:] or masks):
        if one is not None:
            found[name] = _bool(layer, one).reshape((samples, s))
    return found


def _bool(layer, mask):
    if mask.dtype != "bool":
        raise TypeError(
            f"{layer.name} takes masks of bool, True where there is something, got {mask.dtype}; pass mask.astype(bool)"
        )
    return mask
