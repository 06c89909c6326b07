"""Checks of layers' arguments; each error names the layer, the argument, what came, and the line that fixes it."""

import math
import numbers


def whole(layer, argument, value, example):
    """A whole number of at least 1, as an int.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
        kind = type(layer).__name__
        raise ValueError(
            f"{kind} needs {argument} to be a whole number of at least 1, got {argument}={value!r}; pass e.g. {example}"
        )
    return int(value)


def padding_mode(layer, value):
    """ "valid" or "same".

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value, str) or value.lower() not in ("valid", "same"):
        raise ValueError(f'{type(layer).__name__} knows padding="valid" and padding="same", got padding={value!r}')
    return value.lower()


def one_of(layer, argument, value, known):
    """The value, one of the known names.

    Raises:
        ValueError: it is something else.
    """
    if value not in known:
        names = " or ".join(f'{argument}="{name}"' for name in known)
        raise ValueError(f"{type(layer).__name__} knows {names}, got {argument}={value!r}")
    return value


def probability(layer, argument, value):
    """A number from 0 to 1, as a float.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not 0 <= value <= 1:
        raise ValueError(
            f"{type(layer).__name__} needs {argument} to be a number from 0 to 1, got {argument}={value!r}; "
            f"pass e.g. {argument}=0.5"
        )
    return float(value)


def span(layer, argument, value, low, high, symmetric=True):
    """(lower, upper), both between `low` and `high`, from two numbers or from one: −value ... value, or 0 ... value.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        pair = (max(-abs(value), low), abs(value)) if symmetric else (min(value, 0), value)
    else:
        pair = tuple(value) if isinstance(value, (tuple, list)) else ()
    if len(pair) != 2 or not all(isinstance(n, numbers.Real) and low <= n <= high for n in pair):
        raise ValueError(
            f"{type(layer).__name__} needs {argument} to be a number or two, lower and upper, from {low} to {high}, "
            f"got {argument}={value!r}; pass e.g. {argument}=0.1"
        )
    return float(min(pair)), float(max(pair))


def channels_last(layer, value):
    """None or "channels_last", as it came.

    Raises:
        ValueError: it is something else.
    """
    if value not in (None, "channels_last"):
        raise ValueError(
            f"{type(layer).__name__} keeps images channels last, (N, height, width, channels), "
            f"got data_format={value!r}; leave data_format out and pass np.ascontiguousarray(np.moveaxis(x, 1, -1))"
        )
    return value


def image(layer, input_shape):
    """Check that samples are images (height, width, channels).

    Raises:
        ValueError: they are not.
    """
    where = f"{layer.name}: {type(layer).__name__} reads images (height, width, channels)"
    if len(input_shape) == 3:
        return
    if len(input_shape) == 2:
        fix = f"add the axis of channels: pass x[..., None], or put layers.Reshape({(*input_shape, 1)}) before it"
    elif len(input_shape) == 1 and input_shape[0] and math.isqrt(input_shape[0]) ** 2 == input_shape[0]:
        side = math.isqrt(input_shape[0])
        fix = f"put e.g. layers.Reshape(({side}, {side}, 1)) before it"
    else:
        fix = "put layers.Reshape((height, width, channels)) before it"
    raise ValueError(f"{where}, got samples of shape {tuple(input_shape)}; {fix}")
