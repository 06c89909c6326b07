"""Arguments of layers that work along one, two or three axes; each error says what came and the fix."""

import numbers

from npdl.layers import arguments


def each_axis(layer, argument, value, axes, example):
    """A whole number of at least 1 for each of `axes` axes, from one for all or from as many.

    Raises:
        ValueError: it is something else.
    """
    sizes = (value,) * axes if isinstance(value, numbers.Number) else value
    if not isinstance(sizes, (tuple, list)) or len(sizes) != axes:
        raise ValueError(
            f"{type(layer).__name__} needs {argument} to be one whole number or {axes}, one for each axis, "
            f"got {argument}={value!r}; pass e.g. {example}"
        )
    return tuple(arguments.whole(layer, argument, size, example) for size in sizes)


def margins(layer, argument, value, axes, example):
    """((before, after), ...), one pair an axis, each at least 0, as Keras reads them.

    One number stands for both sides of every axis. With one axis, two are (before, after); with more, a number in an
    axis' place stands for both its sides.

    Raises:
        ValueError: it is something else.
    """
    if axes == 1 and isinstance(value, (tuple, list)):
        value = (value,)
    each = (value,) * axes if isinstance(value, numbers.Number) else value
    pairs = [(one, one) if isinstance(one, numbers.Number) else one for one in each or ()] if _listed(each) else []
    sizes = [size for both in pairs if _listed(both) and len(both) == 2 for size in both]
    right = [n for n in sizes if isinstance(n, numbers.Integral) and not isinstance(n, bool) and n >= 0]
    if len(pairs) != axes or len(right) != 2 * axes:
        expected = "two (before, after)" if axes == 1 else f"{axes} pairs (before, after), one for each axis"
        raise ValueError(
            f"{type(layer).__name__} needs {argument} to be one whole number of at least 0 or {expected}, "
            f"got {argument}={value[0] if axes == 1 and _listed(value) else value!r}; pass e.g. {example}"
        )
    return tuple((int(before), int(after)) for before, after in pairs)


def samples(layer, input_shape, axes):
    """`places`, and where images have a size the errors of `arguments.image`, which know more to do."""
    if axes == 2 and None not in input_shape:
        arguments.image(layer, input_shape)
    else:
        places(layer, input_shape, axes)


def divide(layer, argument, number, input_shape=None):
    """A number of filters or channels that the layer's groups divide.

    Raises:
        ValueError: they do not.
    """
    groups, kind = layer.groups, type(layer).__name__
    if number % groups and input_shape is None:
        raise ValueError(f"{kind}: {argument}={number} is no multiple of groups={groups}; make it one")
    if number % groups:
        raise ValueError(
            f"{layer.name}: {kind} with groups={groups} needs a multiple of {groups} {argument}, "
            f"got samples of shape {input_shape}; choose groups that divide {number}"
        )
    return number


def padding_mode(layer, value, causal):
    """ "valid" or "same", or where there is such "causal".

    Raises:
        ValueError: it is something else.
    """
    modes = ("valid", "same", "causal") if causal else ("valid", "same")
    if not isinstance(value, str) or value.lower() not in modes:
        known = " and ".join(f'padding="{mode}"' for mode in modes)
        raise ValueError(f"{type(layer).__name__} knows {known}, got padding={value!r}")
    return value.lower()


def _listed(value):
    return isinstance(value, (tuple, list))


def places(layer, input_shape, axes):
    """Check that samples have that many axes, and then one of channels of fixed size.

    Raises:
        ValueError: they have not.
    """
    names = {1: "(steps, channels)", 2: "(height, width, channels)", 3: "(depth, height, width, channels)"}[axes]
    if len(input_shape) != axes + 1 or input_shape[-1] is None:
        last = f"{(*input_shape, 1)}".replace("None", "-1")
        fix = f"put layers.Reshape({last}) before it" if len(input_shape) == axes else "reshape the data"
        raise ValueError(
            f"{layer.name}: {type(layer).__name__} reads samples of shape {names}, got {tuple(input_shape)}; {fix}"
        )
