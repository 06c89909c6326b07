"""Segments: which parts of a model's flat arrays an update changes, and by how much.

An update kernel is called once for the whole model:

    adam(p, g, m, v, segments, hyper)

p, g, m, v are flat arrays of one length and one dtype, on the device. `segments` and `hyper` are NumPy arrays of
float64 on the host, small: a row of `segments` is one tensor of the model, ascending, none overlapping another:

    start, stop     its elements p[start:stop]; what lies in no segment is never touched
    scale           its learning rate is hyper's times this
    decay           its weight decay λ, 0 for none
    trainable       0: it is left as it is, state included

`hyper` holds the numbers of this step that all tensors share, as each kernel says. What a kernel derives from both (a
step size, 1 − β) is computed in float64 and then rounded once to the arrays' dtype, in which all else is computed.
"""

import numpy as np

COLUMNS = ("start", "stop", "scale", "decay", "trainable")
OPTIONAL = {"sgd": ("velocity",), "adam": ("v_max",), "adamw": ("v_max",), "rmsprop": ("mean", "velocity")}
"""Kernel -> the arrays that may be None; every other one is read by its address."""


def check(kernel, arrays, segments, hyper, hyper_names):
    """Raise where a call of an update kernel is not what the kernel reads.

    Args:
        kernel: its name.
        arrays: name -> flat array, or None where `OPTIONAL` allows it; the first one sets length and dtype.
        segments, hyper: as above.
        hyper_names: what `hyper` holds.

    Raises:
        TypeError, ValueError: naming the kernel, what it expected and what it got.
    """
    for name, array in arrays.items():
        if array is None and name not in OPTIONAL.get(kernel, ()):
            raise TypeError(f"{kernel}: {name} must be an array like p, got None; pass e.g. np.zeros_like(p)")
    first = next(iter(arrays.values()))
    dtype, shape = first.dtype, first.shape
    if dtype != np.float32 and dtype != np.float64:
        raise TypeError(f"{kernel}: p must be float32 or float64, got {dtype}")
    for name, array in arrays.items():
        if array is None:
            continue
        if array.dtype != dtype:
            raise TypeError(f"{kernel}: {name} must be {dtype} like p, got {array.dtype}")
        if len(array.shape) != 1 or array.shape != shape:
            raise ValueError(f"{kernel}: {name} must be flat and as long as p, {shape}, got shape {array.shape}")
        strides = getattr(array, "strides", (dtype.itemsize,))  # a GPU's arrays have none: they are contiguous
        if array.shape[0] > 1 and strides[0] != dtype.itemsize:
            raise ValueError(f"{kernel}: {name} must be contiguous, got strides {array.strides}")
    _check_table(kernel, "segments", segments, ("rows", len(COLUMNS)), COLUMNS)
    _check_table(kernel, "hyper", hyper, (len(hyper_names),), hyper_names)


def check_out(kernel, segments, out):
    """Raise where `out`, a number of each segment, is no writeable array of them.

    Raises:
        ValueError: so.
    """
    if (
        out.dtype != np.float64
        or out.shape != (len(segments),)
        or not out.flags.c_contiguous
        or not out.flags.writeable
    ):
        raise ValueError(
            f"{kernel}: out must be a writeable C-contiguous array of float64 of shape ({len(segments)},), one number "
            f"a segment, got {out.dtype} of shape {out.shape}"
        )


def _check_table(kernel, name, table, shape, columns):
    if table.dtype != np.float64 or not table.flags.c_contiguous:
        raise TypeError(f"{kernel}: {name} must be a C-contiguous array of float64, got {table.dtype}")
    if table.ndim != len(shape) or table.shape[-1] != shape[-1]:
        raise ValueError(
            f"{kernel}: {name} must have shape ({', '.join(map(str, shape))}), {' '.join(columns)}, got {table.shape}"
        )


def cut(kernel, segments, length, size):
    """The trainable segments cut into pieces of at most `size` elements.

    Returns:
        (pieces, 3) int64: start, stop, row of `segments`.

    Raises:
        ValueError: a segment that is outside p[0:length], or starts before the one above it ends.
    """
    pieces: list[tuple[int, int, int]] = []
    end = 0
    for row, (start, stop, _, _, trainable) in enumerate(segments.tolist()):
        if not end <= start <= stop <= length:
            raise ValueError(
                f"{kernel}: segment {row} must lie in p[{end:.0f}:{length}], after the one before it, "
                f"got start {start:.0f}, stop {stop:.0f}"
            )
        end = stop
        if trainable:
            pieces += ((at, min(at + size, int(stop)), row) for at in range(int(start), int(stop), size))
    return np.array(pieces, np.int64).reshape(-1, 3)
