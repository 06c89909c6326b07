"""Steps: the copies that recurrent layers make, each into a buffer of the layer."""


def in_steps(layer, name, x, reverse):
    """(N, T, ...) as (T, N, ...), the last step first if `reverse`."""
    out = layer.buffer(name, (x.shape[1], x.shape[0], *x.shape[2:]), x.dtype)
    layer.k.to_steps(x, reverse, out=out)
    return out


def in_samples(layer, name, x, reverse):
    """(T, N, ...) as (N, T, ...), the last step first if `reverse`."""
    out = layer.buffer(name, (x.shape[1], x.shape[0], *x.shape[2:]), x.dtype)
    layer.k.from_steps(x, reverse, out=out)
    return out


def copy_of(layer, name, value, shape=None):
    """A copy of an array; of None zeros of that shape."""
    out = layer.buffer(name, shape or value.shape)
    if value is None:
        layer.k.fill(0.0, out=out)
    else:
        layer.k.copy(value, out=out)
    return out


def masked(layer, name, x, mask):
    """x with rows of 0 where the mask is false; x itself where it is None."""
    if mask is None:
        return x
    out = layer.buffer(name, x.shape)
    layer.k.mask_rows(x, mask, out=out)
    return out


def last(x):
    """The last of an array's steps."""
    return x[len(x) - 1 : len(x)].reshape(*x.shape[1:])
