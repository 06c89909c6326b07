"""A step of a simple recurrent layer, and back."""

from numba import cuda, float32

from npdl.kernels.cuda.cells.cell import COMMON, arriving, formulas
from npdl.kernels.cuda.kernel import Bytes, Float, Floats, Int, kernel, variants


@variants(*COMMON)
def simple_step(code, keeps_z):
    a, _ = formulas(code)

    @kernel
    def simple_step(
        z: Floats, product: Floats, h: Floats, new: Floats, mask: Bytes, keep: Floats, operand: Floats,
        n: Int, units: Int, has_mask: Int, has_keep: Int, has_operand: Int, p: Float, q: Float, r: Float,
    ):  # fmt: skip
        i = cuda.grid(1)
        while i < n:
            v = z[i] + product[i]
            y = a(v, p, q, r)
            z[i] = v if keeps_z else y
            if has_mask and not mask[i // units]:
                y = h[i]
            new[i] = y
            if has_operand:
                operand[i] = y * keep[i] if has_keep else y
            i += cuda.gridsize(1)

    return simple_step


@variants(*COMMON)
def simple_back(code, keeps_z):
    _, slope = formulas(code)

    @kernel
    def simple_back(
        dy: Floats, z: Floats, mask: Bytes, keep: Floats, past: Floats, dz: Floats, dh: Floats,
        n: Int, units: Int, has_dy: Int, has_mask: Int, has_keep: Int, has_past: Int, p: Float, q: Float, r: Float,
    ):  # fmt: skip
        i = cuda.grid(1)
        while i < n:
            d = arriving(i, dh, past, past, keep, has_past, False, has_keep)
            if has_dy:
                d += dy[i]
            if has_mask and not mask[i // units]:
                dz[i] = float32(0)
                dh[i] = d
            else:
                dz[i] = d * slope(z[i], p, q, r)
                dh[i] = float32(0)
            i += cuda.gridsize(1)

    return simple_back
