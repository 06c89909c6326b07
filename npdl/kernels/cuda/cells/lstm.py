"""A step of long short-term memory, and back."""

from numba import cuda, float32

from npdl.kernels.cuda.cells.cell import PAIRS, arriving, formulas
from npdl.kernels.cuda.kernel import Bytes, Float, Floats, Int, kernel, variants


@variants(*PAIRS)
def lstm_step(code, keeps_z, recurrent, keeps_gates):
    (a, _), (gate, _) = formulas(code), formulas(recurrent)

    @kernel
    def lstm_step(
        z: Floats, product: Floats, h: Floats, c: Floats, new_h: Floats, new_c: Floats,
        mask: Bytes, keep: Floats, operand: Floats,
        n: Int, units: Int, has_mask: Int, has_keep: Int, has_operand: Int,
        p: Float, q: Float, r: Float, p2: Float, q2: Float, r2: Float,
    ):  # fmt: skip
        """The gates i, f, g, o of a unit lie `units` apart."""
        at = cuda.grid(1)
        while at < n:
            row = at // units
            i = at + row * 3 * units
            f, g, o = i + units, i + 2 * units, i + 3 * units
            z_i, z_f, z_g, z_o = z[i] + product[i], z[f] + product[f], z[g] + product[g], z[o] + product[o]
            y_i, y_f, y_o = gate(z_i, p2, q2, r2), gate(z_f, p2, q2, r2), gate(z_o, p2, q2, r2)
            y_g = a(z_g, p, q, r)
            z[i] = z_i if keeps_gates else y_i
            z[f] = z_f if keeps_gates else y_f
            z[o] = z_o if keeps_gates else y_o
            z[g] = z_g if keeps_z else y_g
            cell = y_f * c[at] + y_i * y_g
            out = y_o * a(cell, p, q, r)
            if has_mask and not mask[row]:
                cell, out = c[at], h[at]
            new_c[at], new_h[at] = cell, out
            if has_operand:
                operand[at] = out * keep[at] if has_keep else out
            at += cuda.gridsize(1)

    return lstm_step


@variants(*PAIRS)
def lstm_back(code, keeps_z, recurrent, keeps_gates):
    (a, slope), (gate, gate_slope) = formulas(code), formulas(recurrent)

    @kernel
    def lstm_back(
        dy: Floats, z: Floats, c: Floats, new_c: Floats, mask: Bytes, keep: Floats, past: Floats,
        dz: Floats, dh: Floats, dc: Floats,
        n: Int, units: Int, has_dy: Int, has_mask: Int, has_keep: Int, has_past: Int,
        p: Float, q: Float, r: Float, p2: Float, q2: Float, r2: Float,
    ):  # fmt: skip
        at = cuda.grid(1)
        while at < n:
            row = at // units
            i = at + row * 3 * units
            f, g, o = i + units, i + 2 * units, i + 3 * units
            d = arriving(at, dh, past, past, keep, has_past, False, has_keep)
            if has_dy:
                d += dy[at]
            if has_mask and not mask[row]:
                dz[i], dz[f], dz[g], dz[o] = float32(0), float32(0), float32(0), float32(0)
                dh[at] = d
            else:
                z_i, z_f, z_g, z_o = z[i], z[f], z[g], z[o]
                y_i = gate(z_i, p2, q2, r2) if keeps_gates else z_i
                y_f = gate(z_f, p2, q2, r2) if keeps_gates else z_f
                y_o = gate(z_o, p2, q2, r2) if keeps_gates else z_o
                y_g = a(z_g, p, q, r) if keeps_z else z_g
                y = a(new_c[at], p, q, r)
                total = dc[at] + d * y_o * slope(new_c[at] if keeps_z else y, p, q, r)
                dz[i] = total * y_g * gate_slope(z_i, p2, q2, r2)
                dz[f] = total * c[at] * gate_slope(z_f, p2, q2, r2)
                dz[g] = total * y_i * slope(z_g, p, q, r)
                dz[o] = d * y * gate_slope(z_o, p2, q2, r2)
                dc[at] = total * y_f
                dh[at] = float32(0)
            at += cuda.gridsize(1)

    return lstm_back
