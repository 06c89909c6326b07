"""Images resized, as numba.cuda kernels: each number of the result is a weighted sum, and so is each of the gradient.

The weights, `npdl.kernels.taps.Taps` of rows and of columns, depend on sizes alone; they stay on the device as three
arrays: start, place, weight. The gradient is the same sum with the transposed weights, those of each place of x.
"""

import numpy as np
from numba import cuda, float32

from npdl.kernels.cuda.index import over
from npdl.kernels.cuda.kernel import Floats, Int, Ints, Long, expect, kernel, launch_each


@kernel
def resample_kernel(
    x: Floats, out: Floats, n: Long, in_h: Int, in_w: Int, out_h: Int, out_w: Int, channels: Int,
    row_start: Ints, row_place: Ints, row_weight: Floats, column_start: Ints, column_place: Ints, column_weight: Floats,
):  # fmt: skip
    """out[n, i, j, c] = Σ_p v[p] Σ_q w[q] x[n, r[p], k[q], c] over the taps of row i and column j; a thread each."""
    e = cuda.grid(1)
    while e < n:
        place = e // channels
        c = e - place * channels
        line = over(place, out_w)
        j = place - line * out_w
        sample = over(line, out_h)
        i = line - sample * out_h
        total = float32(0)
        for p in range(row_start[i], row_start[i + 1]):
            row = (sample * in_h + row_place[p]) * in_w
            inner = float32(0)
            for q in range(column_start[j], column_start[j + 1]):
                inner += column_weight[q] * x[(row + column_place[q]) * channels + c]
            total += row_weight[p] * inner
        out[e] = total
        e += cuda.gridsize(1)


def _arrays(driver, taps, transposed):
    """(start, place, weight) on the device."""

    def make():
        own = taps.transposed() if transposed else taps
        parts = zip(own[1:], (np.int32, np.int32, np.float32))
        return tuple(driver.filled(array.astype(dtype)) for array, dtype in parts)

    return driver.kept.get(("taps", transposed, taps.size, *(array.tobytes() for array in taps[1:])), make)


def _run(kernel, name, x, rows, columns, out, transposed):
    if len(x.shape) != 4:
        raise ValueError(f"{kernel}: {name} must be images (N, height, width, channels), got shape {x.shape}")
    n, _, _, channels = x.shape
    long, made = (rows.size, columns.size), (rows.places, columns.places)
    from_, to = (made, long) if transposed else (long, made)
    expect(kernel, name, x, (n, *from_, channels))
    expect(kernel, "out", out, (n, *to, channels))
    if out.size:
        tables = (array for taps in (rows, columns) for array in _arrays(out.memory.driver, taps, transposed))
        launch_each(resample_kernel, out.size, x, out, out.size, *from_, *to, channels, *tables)


def interpolate(x, rows, columns, *, out):
    """out = x resized"""
    _run("interpolate", "x", x, rows, columns, out, False)


def interpolate_grad(dy, rows, columns, *, out):
    """dx = the transpose of that"""
    _run("interpolate_grad", "dy", dy, rows, columns, out, True)
