"""Samples with longer axes, which go on with what lies inside: what `padding_mode` and padding layers use."""

EXTENSIONS = ("reflect", "replicate", "circular")


def padding_mode(layer, value):
    """What windows see outside the sample: "zeros", or one of `EXTENSIONS`.

    Raises:
        ValueError: it is something else.
    """
    if value not in ("zeros", *EXTENSIONS):
        known = ", ".join(f'"{mode}"' for mode in ("zeros", *EXTENSIONS))
        raise ValueError(f"{type(layer).__name__} knows padding_mode={known}, got padding_mode={value!r}")
    return value


def check_sides(layer, shape, sides, mode):
    """Raise where samples of that shape are too short for their sides to go on so.

    Raises:
        ValueError: so; an axis reflects at most one place less than it has, and goes round once at most.
    """
    for size, both in zip(shape, sides):
        most = {"reflect": size - 1, "replicate": max(both), "circular": size}[mode]
        if max(both) > most:
            raise ValueError(
                f"{layer.name}: {type(layer).__name__} needs {max(both)} places beside an axis of {size}, more than "
                f'"{mode}" makes of it; give it larger samples, or take "replicate"'
            )


def extended(layer, x, sides, mode):
    """x with its axes longer by `sides`, ((before, after), ...), that go on with what lies inside; in buffers."""
    for axis, both in enumerate(sides, 1):
        if any(both):
            y = layer.buffer(f"longer{axis}", (*x.shape[:axis], x.shape[axis] + sum(both), *x.shape[axis + 1 :]))
            layer.k.extend(x, axis, both, mode, out=y)
            x = y
    return x


def extended_grad(layer, dy, sides, mode):
    """The gradient of `extended`."""
    for axis, both in reversed([*enumerate(sides, 1)]):
        if any(both):
            dx = layer.buffer(f"shorter{axis}", (*dy.shape[:axis], dy.shape[axis] - sum(both), *dy.shape[axis + 1 :]))
            layer.k.extend_grad(dy, axis, both, mode, out=dx)
            dy = dx
    return dy
